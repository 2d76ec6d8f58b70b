/** What a limiter says to those it does not let through. Times are in milliseconds. */
import { Duration } from "effect"
import type { LLMError } from "../vocabulary/LLMError.js"
import { InvalidRequestError, RateLimitError } from "../vocabulary/LLMError.js"
import type { Settings } from "./options.js"
import { isAmount } from "./options.js"

/** A wait of more than this is told as one without end: Effect cannot write a longer one in words. */
const longestDuration = Number.MAX_SAFE_INTEGER

const durationOf = (millis: number): Duration.Duration =>
  millis > longestDuration ? Duration.infinity : Duration.millis(millis)

const rateLimitError = (message: string, retryAfter?: number): RateLimitError =>
  new RateLimitError({
    provider: "",
    model: "",
    attempts: [],
    source: "limiter",
    message,
    ...(retryAfter === undefined ? {} : { retryAfter: durationOf(retryAfter) })
  })

const limitTooSmallCode = "limit_too_small"

/** No wait lets it pass, so it is not retried. */
const limitTooSmall = (message: string): InvalidRequestError =>
  new InvalidRequestError({ provider: "", model: "", attempts: [], code: limitTooSmallCode, message })

/** Whether the request is larger than our own limit ever lets pass. The limit of another model may be larger. */
export const isBeyondLimit = (error: LLMError): boolean =>
  error._tag === "InvalidRequestError" && error.code === limitTooSmallCode

/** A limit as a person would say it. */
const describe = (settings: Settings): string =>
  [
    ...(settings.capacity === Infinity ? [] : [`${settings.capacity} requests and ${settings.refillRate} a second`]),
    ...(settings.requestsPerMinute === undefined ? [] : [`${settings.requestsPerMinute} requests a minute`]),
    ...(settings.requestsPerDay === undefined ? [] : [`${settings.requestsPerDay} requests a day`]),
    ...(settings.tokensPerMinute === undefined ? [] : [`${settings.tokensPerMinute} tokens a minute`]),
    ...(settings.maxConcurrent === undefined ? [] : [`${settings.maxConcurrent} at once`])
  ].join(", and ")

export interface Refusals {
  readonly tooLong: (wait: number, allowed: number) => RateLimitError
  readonly waitedEnough: (allowed: number) => RateLimitError
  /** Absent where so many may be had. */
  readonly ofPermits: (n: number) => InvalidRequestError | undefined
  readonly ofTokens: (estimate: number) => InvalidRequestError | undefined
}

export const make = (settings: Settings): Refusals => {
  const { capacity, requestsPerDay, requestsPerMinute, tokensPerMinute } = settings
  const largest = Math.min(capacity, requestsPerMinute ?? Infinity, requestsPerDay ?? Infinity)
  const limit = describe(settings)
  const format = (millis: number): string => Duration.format(durationOf(millis))
  return {
    tooLong: (wait, allowed) =>
      rateLimitError(
        `The limit of ${limit} would make this call wait ${format(wait)}, longer than the ${format(allowed)} allowed. Try again later, or raise the limit or maxWait.`,
        wait
      ),
    waitedEnough: (allowed) =>
      rateLimitError(
        `The limit of ${limit} made this call wait longer than the ${format(allowed)} allowed, and those in flight are not over. Try again later, or raise the limit or maxWait.`
      ),
    ofPermits: (n) =>
      !isAmount(n)
        ? limitTooSmall(`A number of permits must be positive, not ${n}.`)
        : n > largest
          ? limitTooSmall(
              `${n} permits can never be had from a limiter with a capacity of ${largest}. Raise the capacity.`
            )
          : undefined,
    ofTokens: (estimate) =>
      tokensPerMinute !== undefined && estimate > tokensPerMinute
        ? limitTooSmall(
            `About ${Math.round(estimate)} tokens can never be had from a limit of ${tokensPerMinute} a minute. Shorten the request or raise tokensPerMinute.`
          )
        : undefined
  }
}
