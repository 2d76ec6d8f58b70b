/** The refusals of the limits of a key: they name the limits, and how long to wait for them. */
import { Duration, Effect } from "effect"
import * as MonotonicClock from "../../internal/clock.js"
import { RateLimitError } from "../../vocabulary/LLMError.js"
import type { LimitError, Service } from "../../rateLimiter/model.js"
import { clientLimitCode } from "../http/callErrors.js"
import type { VirtualKey } from "../VirtualKey.js"

type RateLimit = NonNullable<VirtualKey["rateLimit"]>

const count = (n: number, what: string): string => `${n.toLocaleString("en-US")} ${what}${n === 1 ? "" : "s"}`

/** The limits on requests and tokens over time. */
const ratesOf = (limit: RateLimit): string =>
  [
    ...(limit.requestsPerMinute === undefined ? [] : [`${count(limit.requestsPerMinute, "request")} per minute`]),
    ...(limit.requestsPerDay === undefined ? [] : [`${count(limit.requestsPerDay, "request")} per day`]),
    ...(limit.tokensPerMinute === undefined ? [] : [`${count(limit.tokensPerMinute, "token")} per minute`])
  ].join(" and ")

/** The longest wait that is estimated for the end of a call in flight, in milliseconds. */
const longestEstimate = 60_000

/** The weight of the last call in the mean duration of calls. */
const weight = 0.2

/**
 * A limiter whose refusals are for the client of the key. The wait for a call in flight to end is estimated: the mean duration of the
 * calls of this key, divided by those in flight, and at least a second.
 */
export const named = (limiter: Service, limit: RateLimit): Service => {
  const { maxConcurrency } = limit
  let meanMillis = 0

  const recordDuration = (millis: number): void => {
    meanMillis = meanMillis === 0 ? millis : meanMillis + weight * (millis - meanMillis)
  }

  const refusal = (error: LimitError): LimitError => {
    if (error._tag !== "RateLimitError") return error
    const { retryAfter } = error
    // Only the wait for calls in flight is not known to the limiter.
    const isConcurrency = retryAfter === undefined && maxConcurrency !== undefined
    const reached = isConcurrency ? `${count(maxConcurrency, "request")} at once` : ratesOf(limit)
    const estimate = Math.min(longestEstimate, Math.max(1000, meanMillis / (maxConcurrency ?? 1)))
    return new RateLimitError({
      provider: error.provider,
      model: error.model,
      attempts: error.attempts,
      source: error.source,
      code: clientLimitCode,
      retryAfter: retryAfter ?? Duration.millis(Math.ceil(estimate)),
      message: `The limit of your key is reached: ${reached}.`
    })
  }

  const reserve: Service["reserve"] = (tokens, options) =>
    maxConcurrency === undefined
      ? Effect.mapError(limiter.reserve(tokens, options), refusal)
      : Effect.clockWith((clock) => {
          const startedAt = MonotonicClock.now(clock)
          return Effect.mapBoth(limiter.reserve(tokens, options), {
            onFailure: refusal,
            onSuccess: (reservation) => ({
              ...reservation,
              settle: (actual) =>
                Effect.suspend(() => {
                  recordDuration(MonotonicClock.now(clock) - startedAt)
                  return reservation.settle(actual)
                })
            })
          })
        })

  const { unsafeTryReserve } = limiter
  if (unsafeTryReserve === undefined || maxConcurrency === undefined) return { ...limiter, reserve }
  return {
    ...limiter,
    reserve,
    unsafeTryReserve: (clock, tokens, options) => {
      const reservation = unsafeTryReserve(clock, tokens, options)
      if (reservation === undefined) return undefined
      const startedAt = MonotonicClock.now(clock)
      return {
        ...reservation,
        unsafeSettle: (clock, used) => {
          recordDuration(MonotonicClock.now(clock) - startedAt)
          reservation.unsafeSettle(clock, used)
        }
      }
    }
  }
}
