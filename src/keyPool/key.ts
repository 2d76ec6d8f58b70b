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
  /** When time alone makes the key ready, or lets more calls start with it, or ends its demotion; undefined if time changes nothing. */
  readonly wakeAt: number | undefined
  /** Whether its latest calls have failed, so that calls use it only where no other key is ready. */
  readonly isFailing: boolean
  /** `sequence` of the latest call when a call with the key last succeeded. */
  readonly provenAt: number
  readonly others: Others
}

/** What other processes do with a key that they share. */
export interface Others {
  readonly inFlight: number
  /** Those of the calls in flight that count towards `Admission`. */
  readonly tests: number
  /** When their starts leave room within `requestsPerSecond`. */
  readonly pacedUntil: number
}

const noOthers: Others = { inFlight: 0, tests: 0, pacedUntil: -Infinity }

/**
 * Whether a call may start with a key:
 * - `capped`: `maxConcurrency` calls are in flight
 * - `paced`: `requestsPerSecond` is used up
 * - `probing`: the single call that probes the key after it was out of quota or refused has not ended
 * - `admitting`: as many calls are in flight as it takes so soon after a rate limit or failures
 * - `limited`: in a cooldown after a rate limit or failures, or put to rest by hand
 * - `broken`: in a cooldown after it was out of quota or refused
 * - `disabled`: by hand
 */
export type Availability = "ready" | "capped" | "paced" | "probing" | "admitting" | "limited" | "broken" | "disabled"

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
  readonly halfOpen: HalfOpenReason | undefined
  /** How many calls the key takes at a time after its cooldown; undefined when that is over. */
  readonly admission: Admission | undefined
  /** The failures since the last success; undefined when there are none. */
  readonly trouble: Trouble | undefined
}

export type HalfOpenReason = "rate-limited" | "out-of-quota" | "refused" | "failing"

/** The calls of a key after its cooldown: one at first, then two for each one that succeeds. */
export interface Admission {
  readonly limit: number
  /** The calls in flight that began after the cooldown did, without those that the provider has accepted. */
  readonly inFlight: number
  /** When the latest of them began. */
  readonly startedAt: number
}

/** Consecutive failures of the provider with one key: 5xx, resets, timeouts. */
export interface Trouble {
  readonly failures: number
  /** How often the key was demoted or cooled. Calls in flight together count once. */
  readonly rounds: number
  /** `sequence` of the latest call when the latest round began. */
  readonly sequence: number
  /** Until then calls use the key only where no other one is ready; then one of them tries it. */
  readonly until: number
}

/** Failed calls by the reasons that concern the key. */
export interface Failures {
  readonly failed: number
  readonly rateLimited: number
  readonly outOfQuota: number
  readonly refused: number
}

/** The keys of a pool as the calls of one model see them. */
export interface View {
  readonly model: string
  /** The ids of the keys that they use. @default all */
  readonly keys?: ReadonlySet<string> | undefined
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
  /** Whether the provider has accepted the call while it is in flight. */
  readonly isAccepted?: boolean
  /** Absent for a call that is not made for a model. */
  readonly view?: View | undefined
}

/** How a key is tested after a cooldown, and cooled after failures. */
export interface KeyHealthSettings {
  /** The longest cooldown that a provider can ask for, in milliseconds. */
  readonly maxCooldown: number
  /** The consecutive failures after which a key is cooled. */
  readonly maxFailures: number
}

/** Lengths of cooldowns, in milliseconds. */
export interface CooldownSettings extends Growth {
  /** Absent for the deployments of a balance, which have a circuit breaker instead. */
  readonly keyHealth?: KeyHealthSettings
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

export const healthy: Health = {
  disabled: false,
  restUntil: -Infinity,
  reason: "resting",
  restedAtSequence: -1,
  consecutiveRateLimits: 0,
  halfOpen: undefined,
  admission: undefined,
  trouble: undefined
}

/** The admission of a key at the end of its cooldown. */
const oneProbe: Admission = { limit: 1, inFlight: 0, startedAt: -Infinity }

/** The calls in flight from which on a key is no longer tested. */
const maxAdmission = 1024

/**
 * A rate limit is said at once, an answer can take a minute: where no call was refused for so long, the key takes twice as many calls.
 * In milliseconds.
 */
const refusalTime = 1_000

/** A rate below one a second lengthens the window; a fraction above it, such as 2.5, shortens it. Starts are never grouped. */
export const windowOf = (requestsPerSecond: number): { readonly limit: number; readonly duration: number } => {
  const limit = Math.max(1, Math.floor(requestsPerSecond))
  return { limit, duration: (limit / requestsPerSecond) * 1000 }
}

const startWindow = (requestsPerSecond: number): SlidingWindow.SlidingWindow => {
  const { duration, limit } = windowOf(requestsPerSecond)
  return SlidingWindow.make(limit, duration, 0, Infinity)
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
  failures: { rateLimited: 0, outOfQuota: 0, refused: 0, failed: 0 },
  availability: "ready",
  wakeAt: undefined,
  isFailing: false,
  provenAt: -1,
  others: noOthers
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
  maxConcurrency: change.maxConcurrency ?? key.maxConcurrency,
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
  wakeAt: change.availability === undefined ? key.wakeAt : change.wakeAt,
  isFailing: change.isFailing ?? key.isFailing,
  provenAt: change.provenAt ?? key.provenAt,
  others: change.others ?? key.others
})

const availabilityOf = (key: PooledKey, now: number): Availability => {
  const { health, inFlight, maxConcurrency, others } = key
  if (health.disabled) return "disabled"
  if (health.restUntil > now) {
    return health.reason === "out-of-quota" || health.reason === "refused" ? "broken" : "limited"
  }
  if (
    health.admission !== undefined &&
    health.admission.inFlight + others.tests >= admitted(health, health.admission, others, now)
  ) {
    return health.halfOpen === "out-of-quota" || health.halfOpen === "refused" ? "probing" : "admitting"
  }
  if (maxConcurrency !== undefined && inFlight + others.inFlight >= maxConcurrency) return "capped"
  return pacedUntil(key) > now ? "paced" : "ready"
}

const pacedUntil = ({ others, starts }: PooledKey): number =>
  starts === undefined ? others.pacedUntil : Math.max(others.pacedUntil, SlidingWindow.opensAt(starts, 1))

/** Whether a call that was not refused at once has passed the test, before its answer. */
const passesByTime = ({ halfOpen }: Health): boolean => halfOpen === undefined || halfOpen === "rate-limited"

const admitted = (health: Health, { inFlight, limit, startedAt }: Admission, { tests }: Others, now: number): number =>
  inFlight + tests >= limit && passesByTime(health) && now >= startedAt + refusalTime ? 2 * limit : limit

const isFailing = ({ trouble }: Health, now: number): boolean => trouble !== undefined && trouble.until > now

const wakeAt = (key: PooledKey, availability: Availability, now: number): number | undefined => {
  const { health } = key
  switch (availability) {
    case "ready":
      return isFailing(health, now) ? health.trouble?.until : undefined
    case "admitting": {
      if (health.admission === undefined || !passesByTime(health)) return undefined
      const at = health.admission.startedAt + refusalTime
      // Other processes can have begun more calls than twice the limit.
      return at > now ? at : undefined
    }
    case "limited":
    case "broken":
      return health.restUntil
    case "paced":
      return pacedUntil(key)
    default:
      return undefined
  }
}

/** The key with its availability at `now`. */
export const refresh = (key: PooledKey, now: number): PooledKey => {
  const availability = availabilityOf(key, now)
  const wakes = wakeAt(key, availability, now)
  const failing = isFailing(key.health, now)
  return availability === key.availability && wakes === key.wakeAt && failing === key.isFailing
    ? key
    : update(key, { availability, wakeAt: wakes, isFailing: failing })
}

/** The availabilities of a key, the one that lasts longest last. */
const severity: Readonly<Record<Availability, number>> = {
  ready: 0,
  paced: 1,
  capped: 2,
  admitting: 3,
  probing: 4,
  limited: 5,
  broken: 6,
  disabled: 7
}

/** The key as the calls of one model see it: with its own limits and health, and what is known of the key with that model. */
export const seenWith = (key: PooledKey, { health, provenAt }: PooledKey, now: number): PooledKey => {
  const known = isPristine(health, now) ? healthy : health
  const seen = refresh(update(key, { health: known, provenAt }), now)
  const { availability } = key
  if (severity[availability] < severity.admitting) return key.isFailing ? update(seen, { isFailing: true }) : seen
  return update(seen, {
    availability: severity[seen.availability] > severity[availability] ? seen.availability : availability,
    wakeAt: seen.wakeAt === undefined || key.wakeAt === undefined ? key.wakeAt : Math.max(seen.wakeAt, key.wakeAt),
    isFailing: seen.isFailing || key.isFailing
  })
}

/** Whether nothing is known that affects the next calls. */
const isPristine = (health: Health, now: number): boolean =>
  !health.disabled &&
  health.restUntil <= now &&
  health.consecutiveRateLimits === 0 &&
  health.halfOpen === undefined &&
  health.admission === undefined &&
  health.trouble === undefined

/** Whether no failure of the key is known that no success has followed. */
export const isTrusted = ({ health }: PooledKey): boolean =>
  health.trouble === undefined && health.halfOpen === undefined

/** Whether anything is known of the key. */
export const isKnown = ({ health }: PooledKey): boolean => health !== healthy

/** The key without what is known of it. */
export const asNew = (key: PooledKey): PooledKey => update(key, { health: healthy })

/** Whether the key is in a cooldown or disabled, not only busy. */
export const isUnavailable = ({ availability }: PooledKey): boolean =>
  availability === "limited" || availability === "broken" || availability === "disabled"

/** Whether calls pass the key by: it is unavailable, or they prefer the others. */
export const isPassedBy = (key: PooledKey): boolean => key.isFailing || isUnavailable(key)

/** Advances a key that was unavailable to the virtual time, so that it does not receive all calls until it has caught up. */
export const catchUp = (key: PooledKey, virtualTime: VirtualTime, interval: number): PooledKey =>
  update(key, {
    served: Math.max(key.served, virtualTime.served * key.weight),
    ticket: virtualTime.ticket + interval / key.weight
  })

/** Reserves the key for a call. `interval` is drawn from the exponential distribution of rate 1. */
export const reserve = (
  key: PooledKey,
  sequence: number,
  now: number,
  interval: number,
  cooldown?: CooldownSettings
): PooledKey => {
  const { health, others, starts } = key
  return update(key, {
    inFlight: key.inFlight + 1,
    served: key.served + 1,
    lastServed: sequence,
    ticket: key.ticket + interval / key.weight,
    calls: key.calls + 1,
    starts: starts === undefined ? undefined : SlidingWindow.take(SlidingWindow.expire(starts, now), 1),
    health:
      health.admission === undefined && health.trouble === undefined
        ? undefined
        : started(health, others, now, cooldown)
  })
}

/** The health of a key with which a call starts. A failing key is tried by one call; the others go on preferring other keys. */
const started = (health: Health, others: Others, now: number, cooldown: CooldownSettings | undefined): Health => {
  const { admission, trouble } = health
  return {
    ...health,
    admission: admission && {
      limit: admitted(health, admission, others, now),
      inFlight: admission.inFlight + 1,
      startedAt: now
    },
    trouble:
      trouble === undefined || cooldown === undefined || trouble.until > now
        ? trouble
        : { ...trouble, until: now + delayAfter(cooldown, trouble.rounds) }
  }
}

/** Demotes a key that is tried in place of a failing one, until it succeeds. */
export const demote = (key: PooledKey, sequence: number, now: number, cooldown: CooldownSettings): PooledKey =>
  update(key, {
    health: {
      ...key.health,
      trouble: key.health.trouble ?? { failures: 0, rounds: 1, sequence, until: now + delayAfter(cooldown, 1) }
    }
  })

/** Applies what is known of other processes. Their latest test began by now. */
export const withOthers = (key: PooledKey, others: Others, now: number): PooledKey => {
  const { admission } = key.health
  return update(key, {
    others,
    health:
      admission !== undefined && others.tests > key.others.tests
        ? { ...key.health, admission: { ...admission, startedAt: now } }
        : undefined
  })
}

/** Replaces the health by that which the processes agree on. */
export const withHealth = (key: PooledKey, health: Health): PooledKey => update(key, { health })

/** Changes the limits of the key. Earlier starts still count for as long as they would have. */
export const withLimits = (
  key: PooledKey,
  maxConcurrency: number | undefined,
  requestsPerSecond: number | undefined
): PooledKey =>
  update(key, {
    maxConcurrency,
    starts:
      key.starts === undefined || requestsPerSecond === undefined
        ? undefined
        : { ...key.starts, ...windowOf(requestsPerSecond) }
  })

/** Ends a reservation. */
export const release = (key: PooledKey, reservation: KeyReservation): PooledKey =>
  update(key, {
    inFlight: key.inFlight - 1,
    health: isAdmitted(key.health, reservation) ? { ...key.health, admission: withoutOne(key.health) } : undefined
  })

/** Whether the call counts among those that the key takes at a time. */
export const isAdmitted = (health: Health, reservation: KeyReservation): boolean =>
  health.admission !== undefined && reservation.isAccepted !== true && startedAfterCooldown(health, reservation)

const withoutOne = ({ admission }: Health): Admission | undefined =>
  admission && { ...admission, inFlight: Math.max(0, admission.inFlight - 1) }

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
  const admission = halfOpen === undefined ? key.health.admission : oneProbe
  return rest(
    update(key, { health: { ...key.health, halfOpen, admission, restedAtSequence: sequence } }),
    until,
    reason
  )
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
  const isTested = isFirst && cooldown.keyHealth !== undefined
  const counted = update(key, {
    health: {
      ...health,
      consecutiveRateLimits,
      restedAtSequence: isFirst ? sequence : health.restedAtSequence,
      halfOpen: isTested ? (health.halfOpen ?? "rate-limited") : health.halfOpen,
      admission: isTested || (isFirst && health.admission !== undefined) ? oneProbe : health.admission
    }
  })
  return rest(counted, now + boundedBy(cooldown, retryAfter ?? backoff), "rate-limited")
}

/** A cooldown that a provider asks for, as long as it can be. */
export const boundedBy = ({ keyHealth }: CooldownSettings, duration: number): number =>
  keyHealth === undefined ? duration : Math.min(duration, keyHealth.maxCooldown)

const requireProbe = (
  key: PooledKey,
  halfOpen: Exclude<HalfOpenReason, "rate-limited">,
  duration: number,
  { now, sequence }: SettleContext
): PooledKey =>
  rest(
    update(key, { health: { ...key.health, halfOpen, admission: oneProbe, restedAtSequence: sequence } }),
    now + duration,
    halfOpen
  )

const quotaCooldown = (
  verdict: Extract<Verdict, { readonly _tag: "OutOfQuota" }>,
  { cooldown }: SettleContext
): number => {
  const retryAfter = retryAfterMillis(verdict)
  return retryAfter === undefined ? cooldown.quota : boundedBy(cooldown, retryAfter)
}

/** Applies a failure of the provider: calls prefer other keys, and after several failures the key is cooled where `mayCool`. */
const applyFailure = (
  key: PooledKey,
  reservation: KeyReservation,
  mayCool: boolean,
  context: SettleContext
): PooledKey => {
  const { health } = key
  const { cooldown, now, sequence } = context
  if (!startedAfterCooldown(health, reservation)) return key
  const before = health.trouble ?? { failures: 0, rounds: 0, sequence: -1, until: -Infinity }
  const isNewRound = reservation.sequence > before.sequence
  const rounds = isNewRound ? before.rounds + 1 : before.rounds
  const trouble: Trouble = {
    failures: before.failures + 1,
    rounds,
    sequence: isNewRound ? sequence : before.sequence,
    until: now + delayAfter(cooldown, rounds)
  }
  const counted = update(key, { health: { ...health, trouble } })
  return mayCool && trouble.failures >= (cooldown.keyHealth?.maxFailures ?? Infinity)
    ? requireProbe(counted, "failing", delayAfter(cooldown, rounds), context)
    : counted
}

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
  { now, cooldown, sequence }: SettleContext
): PooledKey => {
  const measuredAt = now / cooldown.latencyDecay
  const isMeasured = latency !== undefined && latency >= 0
  const after = update(key, {
    inFlight: key.inFlight - 1,
    succeeded: key.succeeded + 1,
    latency: isMeasured ? movingAverage(key, latency, measuredAt) : undefined,
    measuredAt: isMeasured ? measuredAt : undefined,
    provenAt: sequence
  })
  return isUnhealthy(key) ? markHealthy(after, reservation, cooldown, true) : after
}

/** Whether a success changes the health of the key. */
export const isUnhealthy = ({ health }: PooledKey): boolean =>
  health.consecutiveRateLimits > 0 ||
  health.halfOpen !== undefined ||
  health.admission !== undefined ||
  health.trouble !== undefined

/** Applies a success: of a call with the key (`isOwn`), or with another one of its quota group. */
const markHealthy = (
  key: PooledKey,
  reservation: KeyReservation,
  cooldown: CooldownSettings,
  isOwn: boolean
): PooledKey => {
  const { health } = key
  if (!startedAfterCooldown(health, reservation)) return key
  return update(key, {
    health: {
      ...health,
      consecutiveRateLimits: 0,
      halfOpen: undefined,
      trouble: undefined,
      admission:
        !isOwn || reservation.isAccepted === true || health.admission === undefined
          ? health.admission
          : admissionAfter(health.admission, key.maxConcurrency, cooldown)
    }
  })
}

/** The admission after one of its calls has succeeded. */
const admissionAfter = (
  { inFlight, limit, startedAt }: Admission,
  maxConcurrency = maxAdmission,
  { keyHealth }: CooldownSettings
): Admission | undefined =>
  keyHealth === undefined || limit >= maxConcurrency
    ? undefined
    : { limit: limit + 1, inFlight: Math.max(0, inFlight - 1), startedAt }

/** Applies the success of a call that goes on: the provider has accepted it. */
export const accept = (key: PooledKey, reservation: KeyReservation, { cooldown, sequence }: SettleContext): PooledKey =>
  markHealthy(update(key, { provenAt: sequence }), reservation, cooldown, true)

/**
 * Whether a verdict concerns the key with the model of the call alone. Providers limit requests by model, and a model that is down says
 * nothing about the others: with one count of failures for all, each success of another model would reset it.
 */
export const concernsModel = (verdict: Verdict): boolean => {
  switch (verdict._tag) {
    case "RateLimited":
    case "Failed":
      return true
    case "OutOfQuota":
    case "Refused":
      return verdict.modelOnly === true
    default:
      return false
  }
}

/** Ends a reservation and counts the verdict of the call, which does not affect the health of the key. */
export const count = (key: PooledKey, reservation: KeyReservation, verdict: Verdict): PooledKey => {
  const { failures } = key
  const released = release(key, reservation)
  switch (verdict._tag) {
    case "RateLimited":
      return update(released, { failures: { ...failures, rateLimited: failures.rateLimited + 1 } })
    case "OutOfQuota":
      return update(released, { failures: { ...failures, outOfQuota: failures.outOfQuota + 1 } })
    case "Refused":
      return update(released, { failures: { ...failures, refused: failures.refused + 1 } })
    case "Failed":
      return update(released, { failures: { ...failures, failed: failures.failed + 1 } })
    default:
      return released
  }
}

/** Ends a reservation and applies the verdict of the call. */
export const settle = (
  key: PooledKey,
  reservation: KeyReservation,
  verdict: Verdict,
  context: SettleContext,
  mayCool = false
): PooledKey => {
  if (verdict._tag === "Served") return settleServed(key, reservation, verdict.latency, context)
  const counted = count(key, reservation, verdict)
  switch (verdict._tag) {
    case "RateLimited":
      return applyRateLimit(counted, reservation, retryAfterMillis(verdict), context)
    case "OutOfQuota":
      return requireProbe(counted, "out-of-quota", quotaCooldown(verdict, context), context)
    case "Refused":
      return requireProbe(counted, "refused", context.cooldown.refused, context)
    case "Failed":
      return applyFailure(counted, reservation, mayCool, context)
    case "Neutral":
      return counted
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
      return requireProbe(key, "out-of-quota", quotaCooldown(verdict, context), context)
    case "Served":
      return key.health.halfOpen === "refused" ? key : markHealthy(key, reservation, context.cooldown, false)
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
      admission: undefined
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
