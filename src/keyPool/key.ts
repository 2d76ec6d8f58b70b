/**
 * State of one key: whether a call may start with it, and how the results of calls change that. All times are in milliseconds
 * since the pool was made.
 */
import { toMillis } from "effect/Duration"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { Growth } from "../vocabulary/backoff.js"
import { delayAfter } from "../vocabulary/backoff.js"
import type { KeyState, Reason, Verdict } from "./model.js"
import * as SlidingWindow from "../internal/slidingWindow.js"

export interface PooledKey extends KeyState {
  readonly key: ApiKey
  readonly slot: number
  readonly health: Health
  readonly starts: SlidingWindow.SlidingWindow | undefined
  /** Calls that were given the key. */
  readonly calls: number
  readonly succeeded: number
  readonly failures: Failures
  readonly availability: Availability
  /** When the key becomes ready by time alone; undefined if time alone does not make it ready. */
  readonly wakeAt: number | undefined
}

/**
 * Whether a call may start with a key:
 * - `capped`: `maxConcurrency` calls are in flight
 * - `paced`: `requestsPerSecond` is used up
 * - `probing`: the single call that probes the key after a cooldown has not ended
 * - `limited`: in a cooldown after a rate limit, or put to rest by hand
 * - `broken`: in a cooldown after it was out of quota or refused
 * - `disabled`: by hand
 */
export type Availability = "ready" | "capped" | "paced" | "probing" | "limited" | "broken" | "disabled"

/** The results of earlier calls that still affect the key. */
export interface Health {
  readonly disabled: boolean
  readonly restUntil: number
  readonly reason: Reason
  /** `sequence` of the latest call when the latest cooldown began. */
  readonly restedAtSequence: number
  /** Rate limits without a success between them. */
  readonly consecutiveRateLimits: number
  /** Why calls go to the key one at a time after its cooldown, until one succeeds. */
  readonly halfOpen: "out-of-quota" | "refused" | undefined
  /** `sequence` of the call that probes the key. */
  readonly probe: number | undefined
}

/** Failed calls by the reasons that concern the key. */
export interface Failures {
  readonly rateLimited: number
  readonly outOfQuota: number
  readonly refused: number
}

/** A key in use by one call. */
export interface KeyReservation {
  readonly key: ApiKey
  readonly slot: number
  /** Distinguishes the key from a later one in the same slot. */
  readonly position: number
  /** Number of the call, counted over the pool. */
  readonly sequence: number
  readonly startedAt: number
}

/** Lengths of cooldowns, in milliseconds. */
export interface CooldownSettings extends Growth {
  readonly quota: number
  readonly refused: number
  /** The time constant of the average latency. */
  readonly latencyDecay: number
}

/** What the settlement of a call depends on besides its key. */
export interface SettleContext {
  readonly now: number
  /** `sequence` of the latest call. */
  readonly sequence: number
  readonly cooldown: CooldownSettings
}

/** The progress of the pool, as in fair queueing: the position of the key that was picked last, before that call. */
export interface VirtualTime {
  /** Calls served divided by the weight. */
  readonly served: number
  readonly ticket: number
}

const healthy: Health = {
  disabled: false,
  restUntil: -Infinity,
  reason: "resting",
  restedAtSequence: -1,
  consecutiveRateLimits: 0,
  halfOpen: undefined,
  probe: undefined
}

/** A rate below one a second lengthens the window; a fraction above it, such as 2.5, shortens it. Starts are never grouped. */
const startWindow = (requestsPerSecond: number): SlidingWindow.SlidingWindow => {
  const limit = Math.max(1, Math.floor(requestsPerSecond))
  return SlidingWindow.make(limit, (limit / requestsPerSecond) * 1000, 0, Infinity)
}

/** A new key. `interval` is drawn from the exponential distribution of rate 1. */
export const make = (
  key: ApiKey,
  slot: number,
  position: number,
  virtualTime: VirtualTime,
  interval: number
): PooledKey => ({
  id: key.id,
  position,
  weight: key.weight,
  inFlight: 0,
  served: virtualTime.served * key.weight,
  maxConcurrency: key.maxConcurrency,
  latency: undefined,
  measuredAt: 0,
  lastServed: 0,
  ticket: virtualTime.ticket + interval / key.weight,
  key,
  slot,
  health: healthy,
  starts: key.requestsPerSecond === undefined ? undefined : startWindow(key.requestsPerSecond),
  calls: 0,
  succeeded: 0,
  failures: { rateLimited: 0, outOfQuota: 0, refused: 0 },
  availability: "ready",
  wakeAt: undefined
})

/**
 * A literal instead of a spread: every call takes this path, and a spread is forty times as slow in V8. `wakeAt` changes with
 * `availability` alone.
 */
const update = (
  key: PooledKey,
  change: { readonly [Field in keyof PooledKey]?: PooledKey[Field] | undefined }
): PooledKey => ({
  id: key.id,
  position: key.position,
  weight: change.weight ?? key.weight,
  inFlight: change.inFlight ?? key.inFlight,
  served: change.served ?? key.served,
  maxConcurrency: key.maxConcurrency,
  latency: change.latency ?? key.latency,
  measuredAt: change.measuredAt ?? key.measuredAt,
  lastServed: change.lastServed ?? key.lastServed,
  ticket: change.ticket ?? key.ticket,
  key: change.key ?? key.key,
  slot: key.slot,
  health: change.health ?? key.health,
  starts: change.starts ?? key.starts,
  calls: change.calls ?? key.calls,
  succeeded: change.succeeded ?? key.succeeded,
  failures: change.failures ?? key.failures,
  availability: change.availability ?? key.availability,
  wakeAt: change.availability === undefined ? key.wakeAt : change.wakeAt
})

const availabilityOf = ({ health, inFlight, maxConcurrency, starts }: PooledKey, now: number): Availability => {
  if (health.disabled) return "disabled"
  if (health.restUntil > now) {
    return health.reason === "rate-limited" || health.reason === "resting" ? "limited" : "broken"
  }
  if (health.halfOpen !== undefined && health.probe !== undefined) return "probing"
  if (maxConcurrency !== undefined && inFlight >= maxConcurrency) return "capped"
  return starts !== undefined && SlidingWindow.opensAt(starts, 1) > now ? "paced" : "ready"
}

const wakeAt = ({ health, starts }: PooledKey, availability: Availability): number | undefined => {
  switch (availability) {
    case "limited":
    case "broken":
      return health.restUntil
    case "paced":
      return starts === undefined ? undefined : SlidingWindow.opensAt(starts, 1)
    default:
      return undefined
  }
}

/** The key with its availability at `now`. */
export const refresh = (key: PooledKey, now: number): PooledKey => {
  const availability = availabilityOf(key, now)
  const wakes = wakeAt(key, availability)
  return availability === key.availability && wakes === key.wakeAt ? key : update(key, { availability, wakeAt: wakes })
}

/** Whether the key is in a cooldown or disabled, not only busy. */
export const isUnavailable = ({ availability }: PooledKey): boolean =>
  availability === "limited" || availability === "broken" || availability === "disabled"

/** Advances a key that was unavailable to the virtual time, so that it does not receive all calls until it has caught up. */
export const catchUp = (key: PooledKey, virtualTime: VirtualTime, interval: number): PooledKey =>
  update(key, {
    served: Math.max(key.served, virtualTime.served * key.weight),
    ticket: virtualTime.ticket + interval / key.weight
  })

/** Reserves the key for a call. `interval` is drawn from the exponential distribution of rate 1. */
export const reserve = (key: PooledKey, sequence: number, now: number, interval: number): PooledKey => {
  const { health, starts } = key
  return update(key, {
    inFlight: key.inFlight + 1,
    served: key.served + 1,
    lastServed: sequence,
    ticket: key.ticket + interval / key.weight,
    calls: key.calls + 1,
    starts: starts === undefined ? undefined : SlidingWindow.take(SlidingWindow.expire(starts, now), 1),
    health: health.halfOpen === undefined ? undefined : { ...health, probe: sequence }
  })
}

/** Ends a reservation. */
export const release = (key: PooledKey, reservation: KeyReservation): PooledKey =>
  update(key, {
    inFlight: key.inFlight - 1,
    health: key.health.probe === reservation.sequence ? { ...key.health, probe: undefined } : undefined
  })

/** Ends the reservation of a call that was never made: the key has neither served it nor started it. */
export const withdraw = (key: PooledKey, reservation: KeyReservation): PooledKey =>
  update(release(key, reservation), {
    calls: key.calls - 1,
    served: key.served - 1,
    starts: key.starts === undefined ? undefined : SlidingWindow.giveBack(key.starts, reservation.startedAt, 1)
  })

/** Starts a cooldown. It never shortens an earlier one. */
export const rest = (key: PooledKey, until: number, reason: Reason): PooledKey =>
  until > key.health.restUntil ? update(key, { health: { ...key.health, restUntil: until, reason } }) : key

/** Starts a cooldown that another process reported. After anything but a rate limit the key needs a probe. */
export const applySharedCooldown = (
  key: PooledKey,
  until: number,
  reason: "rate-limited" | "out-of-quota",
  sequence: number
): PooledKey => {
  const halfOpen = key.health.halfOpen ?? (reason === "rate-limited" ? undefined : reason)
  return rest(update(key, { health: { ...key.health, halfOpen, restedAtSequence: sequence } }), until, reason)
}

/** Whether the call began after the latest cooldown did, so that its result is new information. */
const startedAfterCooldown = (health: Health, reservation: KeyReservation): boolean =>
  reservation.sequence > health.restedAtSequence

const applyRateLimit = (
  key: PooledKey,
  reservation: KeyReservation,
  retryAfter: number | undefined,
  context: SettleContext
): PooledKey => {
  const { health } = key
  const { now, cooldown, sequence } = context
  // Concurrent calls that meet one limit count as one rate limit.
  const isFirst = startedAfterCooldown(health, reservation)
  const consecutiveRateLimits = isFirst ? health.consecutiveRateLimits + 1 : Math.max(1, health.consecutiveRateLimits)
  const backoff = delayAfter(cooldown, consecutiveRateLimits)
  const counted = update(key, {
    health: { ...health, consecutiveRateLimits, restedAtSequence: isFirst ? sequence : health.restedAtSequence }
  })
  return rest(counted, now + (retryAfter ?? backoff), "rate-limited")
}

const requireProbe = (
  key: PooledKey,
  halfOpen: "out-of-quota" | "refused",
  duration: number,
  { now, sequence }: SettleContext
): PooledKey =>
  rest(update(key, { health: { ...key.health, halfOpen, restedAtSequence: sequence } }), now + duration, halfOpen)

/** Peak moving average: a higher sample counts at once, a lower one by the time since the last sample. */
const movingAverage = (key: PooledKey, sample: number, measuredAt: number): number =>
  key.latency === undefined || sample >= key.latency
    ? sample
    : sample + (key.latency - sample) * Math.exp(key.measuredAt - measuredAt)

/** The Retry-After in milliseconds; undefined if it is zero. */
export const retryAfterMillis = (
  verdict: Extract<Verdict, { readonly _tag: "RateLimited" | "OutOfQuota" }>
): number | undefined => {
  const millis = verdict.retryAfter === undefined ? 0 : toMillis(verdict.retryAfter)
  return millis > 0 ? millis : undefined
}

/** Ends the reservation of a call that succeeded. `latency` is in milliseconds. */
const settleServed = (
  key: PooledKey,
  reservation: KeyReservation,
  latency: number | undefined,
  { now, cooldown }: SettleContext
): PooledKey => {
  const measuredAt = now / cooldown.latencyDecay
  const isMeasured = latency !== undefined && latency >= 0
  const after = update(key, {
    inFlight: key.inFlight - 1,
    succeeded: key.succeeded + 1,
    latency: isMeasured ? movingAverage(key, latency, measuredAt) : undefined,
    measuredAt: isMeasured ? measuredAt : undefined
  })
  return isUnhealthy(key) ? markHealthy(after, reservation) : after
}

const isUnhealthy = ({ health }: PooledKey): boolean =>
  health.consecutiveRateLimits > 0 || health.halfOpen !== undefined

const markHealthy = (key: PooledKey, reservation: KeyReservation): PooledKey => {
  const { health } = key
  if (startedAfterCooldown(health, reservation)) {
    return update(key, { health: { ...health, consecutiveRateLimits: 0, halfOpen: undefined, probe: undefined } })
  }
  return health.probe === reservation.sequence ? update(key, { health: { ...health, probe: undefined } }) : key
}

/** Ends a reservation and applies the verdict of the call. */
export const settle = (
  key: PooledKey,
  reservation: KeyReservation,
  verdict: Verdict,
  context: SettleContext
): PooledKey => {
  if (verdict._tag === "Served") return settleServed(key, reservation, verdict.latency, context)
  const released = release(key, reservation)
  const { failures } = key
  switch (verdict._tag) {
    case "RateLimited": {
      const counted = update(released, { failures: { ...failures, rateLimited: failures.rateLimited + 1 } })
      return applyRateLimit(counted, reservation, retryAfterMillis(verdict), context)
    }
    case "OutOfQuota": {
      const counted = update(released, { failures: { ...failures, outOfQuota: failures.outOfQuota + 1 } })
      return requireProbe(counted, "out-of-quota", retryAfterMillis(verdict) ?? context.cooldown.quota, context)
    }
    case "Refused": {
      const counted = update(released, { failures: { ...failures, refused: failures.refused + 1 } })
      return requireProbe(counted, "refused", context.cooldown.refused, context)
    }
    case "Neutral":
      return released
  }
}

/** Whether a verdict on the key also applies to the other keys of its quota group, which share its limits but not its secret. */
export const concernsQuotaGroup = (key: PooledKey, verdict: Verdict): boolean =>
  verdict._tag === "RateLimited" || verdict._tag === "OutOfQuota" || (verdict._tag === "Served" && isUnhealthy(key))

/** Applies the verdict on one key of a quota group to another key of the group. */
export const settleQuotaGroup = (
  key: PooledKey,
  reservation: KeyReservation,
  verdict: Verdict,
  context: SettleContext
): PooledKey => {
  switch (verdict._tag) {
    case "RateLimited":
      return applyRateLimit(key, reservation, retryAfterMillis(verdict), context)
    case "OutOfQuota":
      return requireProbe(key, "out-of-quota", retryAfterMillis(verdict) ?? context.cooldown.quota, context)
    case "Served":
      return key.health.halfOpen === "refused" ? key : markHealthy(key, reservation)
    default:
      return key
  }
}

/** Ends every cooldown and failure state of the key. */
export const enable = (key: PooledKey): PooledKey =>
  update(key, { health: { ...healthy, restedAtSequence: key.health.restedAtSequence } })

/** Ends the cooldown without requiring a probe. */
export const clearCooldown = (key: PooledKey): PooledKey =>
  update(key, {
    health: {
      ...key.health,
      restUntil: -Infinity,
      reason: "resting",
      consecutiveRateLimits: 0,
      halfOpen: undefined,
      probe: undefined
    }
  })

export const disable = (key: PooledKey): PooledKey => update(key, { health: { ...key.health, disabled: true } })

/** Changes the weight. The ratio of served calls to weight stays, so the key gains neither credit nor debt. */
export const reweight = (key: PooledKey, weight: number, virtualTime: VirtualTime, interval: number): PooledKey =>
  update(key, {
    weight,
    key: { ...key.key, weight },
    served: (key.served / key.weight) * weight,
    ticket: virtualTime.ticket + interval / weight
  })
