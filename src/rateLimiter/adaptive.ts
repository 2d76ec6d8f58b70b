/**
 * Adapts the rate of a limiter to the provider: slower at once after a refusal, faster step by step with served calls (AIMD), and
 * never faster than what the headers report as remaining lasts. A pure module; times are in milliseconds.
 */
import { Duration } from "effect"
import type { AdaptiveOptions, Signal } from "./model.js"
import type { RateLimits } from "../wire/headers/rateLimits.js"
import * as Checks from "../internal/optionChecks.js"
import * as Bucket from "./tokenBucket.js"

export interface Settings {
  readonly decrease: number
  readonly increase: number
  readonly every: number
  readonly minimum: number
}

/** `share` is the part of the full rate in use: 1 if the provider refuses nothing. */
export interface Pace {
  readonly share: number
  /** When the pace was last lowered, and when it was last changed. */
  readonly slowedAt: number
  readonly changedAt: number
}

export const fullPace: Pace = { share: 1, slowedAt: -Infinity, changedAt: -Infinity }

const isShare = (value: number): boolean => value > 0 && value < 1

/** The checked settings and their faults. */
export const settings = (options: true | AdaptiveOptions): readonly [Settings, ReadonlyArray<string>] => {
  const input = options === true ? {} : options
  const { faults: durationFaults, millis } = Checks.make()
  const read: Settings = {
    decrease: input.decrease ?? 0.5,
    increase: input.increase ?? 0.05,
    every: millis("adaptive.every", input.every ?? "1 second", Checks.anyLength),
    minimum: input.minimum ?? 0.05
  }
  const faults = (["decrease", "increase", "minimum"] as const).flatMap((name) =>
    isShare(read[name]) ? [] : [`adaptive.${name}: expected a number between 0 and 1, actual ${read[name]}`]
  )
  return [read, [...faults, ...durationFaults]]
}

/**
 * The pace after a refusal of a call that began at `since`. Refusals of calls that began before the last slowdown have no effect.
 */
export const slowDown = (pace: Pace, settings: Settings, now: number, since: number, share: number): Pace =>
  since <= pace.slowedAt
    ? pace
    : {
        share: Math.max(settings.minimum, pace.share * (1 - (1 - settings.decrease) * share)),
        slowedAt: now,
        changedAt: now
      }

/** The pace after a served call. */
export const speedUp = (pace: Pace, settings: Settings, now: number): Pace =>
  pace.share === 1 || now - pace.changedAt < settings.every
    ? pace
    : // Sums of fractions are inexact: a share this close to 1 counts as 1.
      { ...pace, share: pace.share + settings.increase > 1 - 1e-9 ? 1 : pace.share + settings.increase, changedAt: now }

export const applySignal = (pace: Pace, settings: Settings, now: number, signal: Signal): Pace => {
  switch (signal._tag) {
    case "Refused":
      return slowDown(pace, settings, now, now - Duration.toMillis(signal.elapsed), signal.share)
    case "Served":
      return speedUp(pace, settings, now)
    case "Headers":
      return pace
  }
}

/** Headers can be wrong: they have no effect for longer than this, in milliseconds. */
const longestEffect = 60_000

/** The slowest rate by headers, as a share of the configured one. */
export const minimumByHeaders = 0.05

/**
 * Withholds from a bucket what the provider does not report as remaining, and refills it until the provider's reset no faster than
 * that lasts. If the provider has a token bucket, this settles at its true rate with half of it in reserve; if it counts from reset to
 * reset, the rest is spread over the time. A reset that has passed says nothing. Returns the same bucket if this changes nothing.
 */
const limitTo = (
  bucket: Bucket.Bucket,
  minimum: number,
  remaining: number | undefined,
  reset: Duration.Duration | undefined
): Bucket.Bucket => {
  if (remaining === undefined || !(remaining >= 0)) return bucket
  const time = reset === undefined ? longestEffect : Math.min(Duration.toMillis(reset), longestEffect)
  if (!(time > 0)) return bucket
  const slowest = bucket.rate === Infinity ? 0 : bucket.rate * minimum
  const rate = reset === undefined ? bucket.rate : Math.max(slowest, remaining / time)
  return Bucket.slowDown(bucket, remaining, bucket.updatedAt + time, rate)
}

export const limitRequests = (bucket: Bucket.Bucket, minimum: number, limits: RateLimits): Bucket.Bucket =>
  limitTo(bucket, minimum, limits.remainingRequests, limits.resetRequests)

export const limitTokens = (bucket: Bucket.Bucket, minimum: number, limits: RateLimits): Bucket.Bucket =>
  limitTo(bucket, minimum, limits.remainingTokens, limits.resetTokens)
