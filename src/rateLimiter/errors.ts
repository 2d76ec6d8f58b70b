/** What a limiter says to those it does not let through. Times are in milliseconds. */
import { Duration } from "effect"
import type { LLMError } from "../vocabulary/LLMError.js"
import { InvalidRequestError, RateLimitError } from "../vocabulary/LLMError.js"
import type { Settings } from "./options.js"
import { isAmount } from "./options.js"

/** A wait of more than this is told as one without end: Effect cannot write a longer one in words. */
const longest = Number.MAX_SAFE_INTEGER

const lasting = (millis: number): Duration.Duration => (millis > longest ? Duration.infinity : Duration.millis(millis))

const refused = (message: string, retryAfter?: number): RateLimitError =>
  new RateLimitError({
    provider: "",
    model: "",
    attempts: [],
    source: "limiter",
    message,
    ...(retryAfter === undefined ? {} : { retryAfter: lasting(retryAfter) })
  })

const beyondLimit = "limit_too_small"

/** No wait lets it pass, so it is not retried. */
const neverPasses = (message: string): InvalidRequestError =>
  new InvalidRequestError({ provider: "", model: "", attempts: [], code: beyondLimit, message })

/** Whether the request is larger than our own limit ever lets pass. The limit of another model may be larger. */
export const isBeyondLimit = (error: LLMError): boolean =>
  error._tag === "InvalidRequestError" && error.code === beyondLimit

/** A limit as a person would say it. */
const inWords = (settings: Settings): string =>
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
  const limit = inWords(settings)
  const inTime = (millis: number): string => Duration.format(lasting(millis))
  return {
    tooLong: (wait, allowed) =>
      refused(
        `The limit of ${limit} would make this call wait ${inTime(wait)}, longer than the ${inTime(allowed)} allowed. Try again later, or raise the limit or maxWait.`,
        wait
      ),
    waitedEnough: (allowed) =>
      refused(
        `The limit of ${limit} made this call wait longer than the ${inTime(allowed)} allowed, and those in flight are not over. Try again later, or raise the limit or maxWait.`
      ),
    ofPermits: (n) =>
      !isAmount(n)
        ? neverPasses(`A number of permits must be positive, not ${n}.`)
        : n > largest
          ? neverPasses(
              `${n} permits can never be had from a limiter with a capacity of ${largest}. Raise the capacity.`
            )
          : undefined,
    ofTokens: (estimate) =>
      tokensPerMinute !== undefined && estimate > tokensPerMinute
        ? neverPasses(
            `About ${Math.round(estimate)} tokens can never be had from a limit of ${tokensPerMinute} a minute. Shorten the request or raise tokensPerMinute.`
          )
        : undefined
  }
}
