/**
 * One key of a pool: whether it may speak, and what the end of a call says about it. All times are in milliseconds since the
 * pool was made.
 */
import { toMillis } from "effect/Duration"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { KeyState, Reason, Verdict } from "./model.js"
import * as StartWindow from "./startWindow.js"

export interface PooledKey extends KeyState {
  readonly key: ApiKey
  readonly slot: number
  readonly health: Health
  readonly starts: StartWindow.StartWindow | undefined
  /** How many calls the key was given. */
  readonly calls: number
  readonly succeeded: number
  readonly failures: Failures
  readonly availability: Availability
  /** When time alone will lift what keeps the key from speaking; infinite where time alone will not. */
  readonly wakeAt: number
}

/**
 * Whether a key may speak, and if not what keeps it from it:
 * - `capped`: as many calls as it may have are in flight
 * - `paced`: as many calls as it may have were started lately
 * - `probing`: it was out of order, and the one call that finds out whether it still is has not ended
 * - `limited`: it rests because of a rate limit
 * - `broken`: it rests because it was out of quota or refused
 * - `disabled`: by hand
 */
export type Availability = "ready" | "capped" | "paced" | "probing" | "limited" | "broken" | "disabled"

/** What the calls have said about a key, as far as it still matters. */
export interface Health {
  readonly disabled: boolean
  readonly restUntil: number
  readonly reason: Reason
  /** The number of the last call that had been started when the latest rest began. */
  readonly restedAtSequence: number
  /** Rate limits met without a success between them. */
  readonly consecutiveRateLimits: number
  /** Why the key must prove itself with one call at a time once it has rested. */
  readonly halfOpen: "out-of-quota" | "refused" | undefined
  /** The number of the call that is to prove it. */
  readonly probe: number | undefined
}

/** How often a call failed for reasons that lie with the key. */
export interface Failures {
  readonly rateLimited: number
  readonly outOfQuota: number
  readonly refused: number
}

/** What a call holds of a key. */
export interface KeyReservation {
  readonly key: ApiKey
  readonly slot: number
  /** Tells the key from one that has come into its slot later. */
  readonly position: number
  /** The number of the call. */
  readonly sequence: number
  readonly startedAt: number
}

/** The durations that verdicts lead to, in milliseconds. */
export interface CooldownSettings {
  readonly base: number
  readonly factor: number
  readonly max: number
  readonly quota: number
  readonly refused: number
  /** The time constant of the average latency. */
  readonly latencyDecay: number
}

/** What the pool knows at the end of a call. */
export interface SettleContext {
  readonly now: number
  /** The number of the last call that was started. */
  readonly sequence: number
  readonly cooldown: CooldownSettings
}

/** How far the pool as a whole has come: where the key of the latest call stood when it was picked. */
export interface VirtualTime {
  /** Calls served for its weight. */
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

/** A key that has just come into a pool. `interval` is drawn from the exponential distribution of rate 1. */
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
  starts: key.requestsPerSecond === undefined ? undefined : StartWindow.make(key.requestsPerSecond),
  calls: 0,
  succeeded: 0,
  failures: { rateLimited: 0, outOfQuota: 0, refused: 0 },
  availability: "ready",
  wakeAt: Infinity
})

/** Every call passes through this, and V8 takes forty times as long over a spread as over a literal. */
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
  wakeAt: change.wakeAt ?? key.wakeAt
})

const availabilityOf = ({ health, inFlight, maxConcurrency, starts }: PooledKey, now: number): Availability => {
  if (health.disabled) return "disabled"
  if (health.restUntil > now) {
    return health.reason === "rate-limited" || health.reason === "resting" ? "limited" : "broken"
  }
  if (health.halfOpen !== undefined && health.probe !== undefined) return "probing"
  if (maxConcurrency !== undefined && inFlight >= maxConcurrency) return "capped"
  return starts !== undefined && StartWindow.opensAt(starts) > now ? "paced" : "ready"
}

const wakeAt = ({ health, starts }: PooledKey, availability: Availability): number => {
  switch (availability) {
    case "limited":
    case "broken":
      return health.restUntil
    case "paced":
      return starts === undefined ? Infinity : StartWindow.opensAt(starts)
    default:
      return Infinity
  }
}

/** The key with its availability as it is now. */
export const refresh = (key: PooledKey, now: number): PooledKey => {
  const availability = availabilityOf(key, now)
  const wakes = wakeAt(key, availability)
  return availability === key.availability && wakes === key.wakeAt ? key : update(key, { availability, wakeAt: wakes })
}

/** Whether the key is out of the running, and not merely busy. */
export const isUnavailable = ({ availability }: PooledKey): boolean =>
  availability === "limited" || availability === "broken" || availability === "disabled"

/** Brings a key that was away catchUp with the others, so that it does not get their calls until it has caught up. */
export const catchUp = (key: PooledKey, virtualTime: VirtualTime, interval: number): PooledKey =>
  update(key, {
    served: Math.max(key.served, virtualTime.served * key.weight),
    ticket: virtualTime.ticket + interval / key.weight
  })

/** Gives the key to a call. `interval` is drawn from the exponential distribution of rate 1. */
export const reserve = (key: PooledKey, sequence: number, now: number, interval: number): PooledKey => {
  const { health, starts } = key
  return update(key, {
    inFlight: key.inFlight + 1,
    served: key.served + 1,
    lastServed: sequence,
    ticket: key.ticket + interval / key.weight,
    calls: key.calls + 1,
    starts: starts === undefined ? undefined : StartWindow.record(starts, now),
    health: health.halfOpen === undefined ? undefined : { ...health, probe: sequence }
  })
}

/** Takes the key back from a call. */
export const release = (key: PooledKey, reservation: KeyReservation): PooledKey =>
  update(key, {
    inFlight: key.inFlight - 1,
    health: key.health.probe === reservation.sequence ? { ...key.health, probe: undefined } : undefined
  })

/** Takes the key back from a call that was never made. */
export const withdraw = (key: PooledKey, reservation: KeyReservation): PooledKey =>
  update(release(key, reservation), { calls: key.calls - 1 })

/** Rests the key. A rest is never cut short by a later one. */
export const rest = (key: PooledKey, until: number, reason: Reason): PooledKey =>
  until > key.health.restUntil ? update(key, { health: { ...key.health, restUntil: until, reason } }) : key

/** Rests the key for what is known from elsewhere. After anything but a rate limit it has to prove itself. */
export const applySharedCooldown = (
  key: PooledKey,
  until: number,
  reason: "rate-limited" | "out-of-quota",
  sequence: number
): PooledKey => {
  const halfOpen = key.health.halfOpen ?? (reason === "rate-limited" ? undefined : reason)
  return rest(update(key, { health: { ...key.health, halfOpen, restedAtSequence: sequence } }), until, reason)
}

/** Whether the call began after the key's latest rest did, so that its end is news. */
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
  // Many calls that meet one limit together are one event, however many of them come back.
  const isFirst = startedAfterCooldown(health, reservation)
  const consecutiveRateLimits = isFirst ? health.consecutiveRateLimits + 1 : Math.max(1, health.consecutiveRateLimits)
  const backoff = Math.min(cooldown.max, cooldown.base * cooldown.factor ** (consecutiveRateLimits - 1))
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

/** The peak moving average: a higher sample counts at once, a lower one the more the longer ago the last one was. */
const movingAverage = (key: PooledKey, sample: number, measuredAt: number): number =>
  key.latency === undefined || sample >= key.latency
    ? sample
    : sample + (key.latency - sample) * Math.exp(key.measuredAt - measuredAt)

/** A Retry-After of nothing says nothing. */
export const retryAfterMillis = (
  verdict: Extract<Verdict, { readonly _tag: "RateLimited" | "OutOfQuota" }>
): number | undefined => {
  const millis = verdict.retryAfter === undefined ? 0 : toMillis(verdict.retryAfter)
  return millis > 0 ? millis : undefined
}

/** Takes the key back from a call that was served with it, in so many milliseconds. */
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
    ...(isMeasured ? { latency: movingAverage(key, latency, measuredAt), measuredAt } : {})
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

/** Takes the key back from a call with what it says about it. */
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

/** Whether a verdict on the key concerns the other keys of its account too, which share its limits but not its secret. */
export const concernsQuotaGroup = (key: PooledKey, verdict: Verdict): boolean =>
  verdict._tag === "RateLimited" || verdict._tag === "OutOfQuota" || (verdict._tag === "Served" && isUnhealthy(key))

/** What a verdict on one key of an account means for another. */
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

/** Forgets all that was held against the key. */
export const enable = (key: PooledKey): PooledKey =>
  update(key, { health: { ...healthy, restedAtSequence: key.health.restedAtSequence } })

/** Ends its rest, and it need not prove itself. */
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

/** Changes the weight. The key keeps its place among the others: neither credit nor debt comes of it. */
export const reweight = (key: PooledKey, weight: number, virtualTime: VirtualTime, interval: number): PooledKey =>
  update(key, {
    weight,
    key: { ...key.key, weight },
    served: (key.served / key.weight) * weight,
    ticket: virtualTime.ticket + interval / weight
  })
