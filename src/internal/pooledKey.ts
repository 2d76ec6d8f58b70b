/**
 * One key of a pool: whether it may speak, and what the end of a call says about it. All times are in milliseconds since the
 * pool was made.
 */
import { toMillis } from "effect/Duration"
import type { ApiKey } from "../ApiKey.js"
import type { KeyState, Reason, Verdict } from "../KeyPool.js"
import * as StartWindow from "./startWindow.js"

/**
 * Whether a key may speak, and if not what keeps it from it:
 * - `capped`: as many calls as it may have are in flight
 * - `paced`: as many calls as it may have were started lately
 * - `probing`: it was out of order, and the one call that finds out whether it still is has not ended
 * - `limited`: it rests because of a rate limit
 * - `broken`: it rests because it was out of quota or refused
 * - `disabled`: by hand
 */
export type Standing = "ready" | "capped" | "paced" | "probing" | "limited" | "broken" | "disabled"

/** What the calls have said about a key, as far as it still matters. */
export interface Health {
  readonly disabled: boolean
  readonly restUntil: number
  readonly reason: Reason
  /** The number of the last call that had been started when the latest rest began. */
  readonly restedAt: number
  /** Rate limits met without a success between them. */
  readonly strikes: number
  /** Why the key must prove itself with one call at a time once it has rested. */
  readonly halfOpen: "out-of-quota" | "refused" | undefined
  /** The number of the call that is to prove it. */
  readonly probe: number | undefined
}

/** How many calls the key was given, and how they ended. */
export interface Tally {
  readonly succeeded: number
  readonly rateLimited: number
  readonly outOfQuota: number
  readonly refused: number
}

export interface PooledKey extends KeyState {
  readonly key: ApiKey
  readonly slot: number
  readonly standing: Standing
  /** When time alone will lift what keeps the key from speaking; infinite where time alone will not. */
  readonly wakeAt: number
  readonly health: Health
  readonly starts: StartWindow.StartWindow | undefined
  readonly calls: number
  readonly tally: Tally
}

/** What a call holds of a key. */
export interface Hold {
  readonly key: ApiKey
  readonly slot: number
  /** Tells the key from one that has come into its slot later. */
  readonly position: number
  /** The number of the call. */
  readonly sequence: number
  readonly startedAt: number
}

/** The durations that verdicts lead to, in milliseconds. */
export interface Remedies {
  readonly base: number
  readonly factor: number
  readonly max: number
  readonly quota: number
  readonly refused: number
  /** The time constant of the average latency. */
  readonly latencyDecay: number
}

const healthy: Health = {
  disabled: false,
  restUntil: -Infinity,
  reason: "resting",
  restedAt: -1,
  strikes: 0,
  halfOpen: undefined,
  probe: undefined
}

/** How far the pool as a whole has come: where the key of the latest call stood when it was picked. */
export interface Pace {
  /** Calls served for its weight. */
  readonly served: number
  readonly ticket: number
}

/** A key that has just come into a pool. `interval` is drawn from the exponential distribution of rate 1. */
export const make = (key: ApiKey, slot: number, position: number, pace: Pace, interval: number): PooledKey => ({
  id: key.id,
  position,
  weight: key.weight,
  inFlight: 0,
  served: pace.served * key.weight,
  maxConcurrency: key.maxConcurrency,
  latency: undefined,
  measuredAt: 0,
  lastServed: 0,
  ticket: pace.ticket + interval / key.weight,
  key,
  slot,
  standing: "ready",
  wakeAt: Infinity,
  health: healthy,
  starts: key.requestsPerSecond === undefined ? undefined : StartWindow.make(key.requestsPerSecond),
  calls: 0,
  tally: { succeeded: 0, rateLimited: 0, outOfQuota: 0, refused: 0 }
})

const standingOf = (key: PooledKey, now: number): Standing => {
  const { health } = key
  if (health.disabled) return "disabled"
  if (health.restUntil > now) {
    return health.reason === "rate-limited" || health.reason === "resting" ? "limited" : "broken"
  }
  if (health.halfOpen !== undefined && health.probe !== undefined) return "probing"
  if (key.inFlight >= (key.maxConcurrency ?? Infinity)) return "capped"
  return key.starts !== undefined && StartWindow.opensAt(key.starts) > now ? "paced" : "ready"
}

const wakeAt = (key: PooledKey, standing: Standing): number => {
  switch (standing) {
    case "limited":
    case "broken":
      return key.health.restUntil
    case "paced":
      return key.starts === undefined ? Infinity : StartWindow.opensAt(key.starts)
    default:
      return Infinity
  }
}

/** The key with its standing as it is now. */
export const stand = (key: PooledKey, now: number): PooledKey => {
  const standing = standingOf(key, now)
  const wakes = wakeAt(key, standing)
  return standing === key.standing && wakes === key.wakeAt ? key : { ...key, standing, wakeAt: wakes }
}

/** Whether the key is out of the running, and not merely busy. */
export const isAway = (key: PooledKey): boolean =>
  key.standing === "limited" || key.standing === "broken" || key.standing === "disabled"

/** Brings a key that was away level with the others, so that it does not get their calls until it has caught up. */
export const level = (key: PooledKey, pace: Pace, interval: number): PooledKey => ({
  ...key,
  served: Math.max(key.served, pace.served * key.weight),
  ticket: pace.ticket + interval / key.weight
})

/** Gives the key to a call. `interval` is drawn from the exponential distribution of rate 1. */
export const reserve = (key: PooledKey, sequence: number, now: number, interval: number): PooledKey => {
  const starts = key.starts === undefined ? undefined : StartWindow.record(key.starts, now)
  return stand(
    {
      ...key,
      inFlight: key.inFlight + 1,
      served: key.served + 1,
      calls: key.calls + 1,
      lastServed: sequence,
      ticket: key.ticket + interval / key.weight,
      starts,
      health: key.health.halfOpen === undefined ? key.health : { ...key.health, probe: sequence }
    },
    now
  )
}

/** Takes the key back from a call. */
export const release = (key: PooledKey, hold: Hold): PooledKey => ({
  ...key,
  inFlight: key.inFlight - 1,
  health: key.health.probe === hold.sequence ? { ...key.health, probe: undefined } : key.health
})

/** Takes the key back from a call that was never made. */
export const withdraw = (key: PooledKey, hold: Hold): PooledKey => ({ ...release(key, hold), calls: key.calls - 1 })

/** Whether the call began after the key's latest rest did, so that its end is news. */
const isNews = (health: Health, hold: Hold): boolean => hold.sequence > health.restedAt

/** Rests the key. A rest is never cut short by a later one. */
export const rest = (key: PooledKey, until: number, reason: Reason): PooledKey =>
  until > key.health.restUntil ? { ...key, health: { ...key.health, restUntil: until, reason } } : key

const rateLimited = (
  key: PooledKey,
  hold: Hold,
  retryAfter: number | undefined,
  now: number,
  sequence: number,
  remedies: Remedies
): PooledKey => {
  const { health } = key
  // Many calls that meet one limit together are one event, however many of them come back.
  const news = isNews(health, hold)
  const strikes = news ? health.strikes + 1 : Math.max(1, health.strikes)
  const backoff = Math.min(remedies.max, remedies.base * remedies.factor ** (strikes - 1))
  return rest(
    { ...key, health: { ...health, strikes, restedAt: news ? sequence : health.restedAt } },
    now + (retryAfter ?? backoff),
    "rate-limited"
  )
}

const broken = (
  key: PooledKey,
  halfOpen: "out-of-quota" | "refused",
  duration: number,
  now: number,
  sequence: number
): PooledKey => rest({ ...key, health: { ...key.health, halfOpen, restedAt: sequence } }, now + duration, halfOpen)

/** The peak moving average: a higher sample counts at once, a lower one the more the longer ago the last one was. */
const measured = (key: PooledKey, sample: number, now: number, remedies: Remedies): PooledKey => {
  const at = now / remedies.latencyDecay
  const latency =
    key.latency === undefined || sample >= key.latency
      ? sample
      : sample + (key.latency - sample) * Math.exp(key.measuredAt - at)
  return { ...key, latency, measuredAt: at }
}

/** A Retry-After of nothing says nothing. */
const wait = (verdict: Extract<Verdict, { readonly _tag: "RateLimited" | "OutOfQuota" }>): number | undefined => {
  const millis = verdict.retryAfter === undefined ? 0 : toMillis(verdict.retryAfter)
  return millis > 0 ? millis : undefined
}

/** What a verdict means for the key that it speaks of. `sequence` is the number of the last call that was started. */
export const judge = (
  key: PooledKey,
  hold: Hold,
  verdict: Verdict,
  now: number,
  sequence: number,
  remedies: Remedies
): PooledKey => {
  const { tally } = key
  switch (verdict._tag) {
    case "Served": {
      const counted = { ...key, tally: { ...tally, succeeded: tally.succeeded + 1 } }
      const { latency } = verdict
      const timed = latency !== undefined && latency >= 0 ? measured(counted, latency, now, remedies) : counted
      return isNews(key.health, hold) && suffers(key) ? recover(timed) : timed
    }
    case "RateLimited":
      return rateLimited(
        { ...key, tally: { ...tally, rateLimited: tally.rateLimited + 1 } },
        hold,
        wait(verdict),
        now,
        sequence,
        remedies
      )
    case "OutOfQuota":
      return broken(
        { ...key, tally: { ...tally, outOfQuota: tally.outOfQuota + 1 } },
        "out-of-quota",
        wait(verdict) ?? remedies.quota,
        now,
        sequence
      )
    case "Refused":
      return broken(
        { ...key, tally: { ...tally, refused: tally.refused + 1 } },
        "refused",
        remedies.refused,
        now,
        sequence
      )
    case "Neutral":
      return key
  }
}

/** What a verdict on one key of an account means for its other keys, which share its limits but not its secret. */
export const judgeKin = (
  key: PooledKey,
  hold: Hold,
  verdict: Verdict,
  now: number,
  sequence: number,
  remedies: Remedies
): PooledKey => {
  switch (verdict._tag) {
    case "RateLimited":
      return rateLimited(key, hold, wait(verdict), now, sequence, remedies)
    case "OutOfQuota":
      return broken(key, "out-of-quota", wait(verdict) ?? remedies.quota, now, sequence)
    case "Served":
      return isNews(key.health, hold) && key.health.halfOpen !== "refused" ? recover(key) : key
    default:
      return key
  }
}

/** Whether a success would change what is held against the key. */
export const suffers = (key: PooledKey): boolean => key.health.strikes > 0 || key.health.halfOpen !== undefined

const recover = (key: PooledKey): PooledKey => ({
  ...key,
  health: { ...key.health, strikes: 0, halfOpen: undefined, probe: undefined }
})

/** Forgets all that was held against the key. */
export const enable = (key: PooledKey): PooledKey => ({
  ...key,
  health: { ...healthy, restedAt: key.health.restedAt }
})

export const disable = (key: PooledKey): PooledKey => ({ ...key, health: { ...key.health, disabled: true } })

/** Changes the weight. The key keeps its place among the others: neither credit nor debt comes of it. */
export const reweight = (key: PooledKey, weight: number, pace: Pace, interval: number): PooledKey => ({
  ...key,
  weight,
  served: (key.served / key.weight) * weight,
  ticket: pace.ticket + interval / weight,
  key: { ...key.key, weight }
})
