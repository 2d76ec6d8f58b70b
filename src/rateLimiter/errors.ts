/** The errors of a limiter. Times are in milliseconds. */
import { Duration } from "effect"
import { durationText } from "../internal/durationText.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { InvalidRequestError, RateLimitError } from "../vocabulary/LLMError.js"
import type { Settings } from "./options.js"
import { isAmount } from "./options.js"

/** A longer wait is infinite in `retryAfter`. */
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

/** The error is not retryable: no wait would help. */
const limitTooSmall = (message: string): InvalidRequestError =>
  new InvalidRequestError({ provider: "", model: "", attempts: [], code: limitTooSmallCode, message })

/** Whether the request exceeds what this limiter can ever grant. The limit of another model can be larger. */
export const isBeyondLimit = (error: LLMError): boolean =>
  error._tag === "InvalidRequestError" && error.code === limitTooSmallCode

/** `1 request`, `20 requests`, `0.33 requests`. */
const count = (n: number, noun: string): string => `${rounded(n)} ${noun}${n === 1 ? "" : "s"}`

/** Three digits of a fraction are enough for a message. */
const rounded = (n: number): number => (Number.isInteger(n) ? n : Number(n.toPrecision(3)))

/** The limits in words, for messages. */
const describe = (settings: Settings): string =>
  [
    ...(settings.capacity === Infinity
      ? []
      : settings.refill === undefined
        ? [`${count(settings.capacity, "request")} and ${rounded(settings.refillRate)} a second`]
        : [`${count(settings.capacity, "request")} between two refills`]),
    ...(settings.requestsPerMinute === undefined ? [] : [`${count(settings.requestsPerMinute, "request")} a minute`]),
    ...(settings.requestsPerDay === undefined ? [] : [`${count(settings.requestsPerDay, "request")} a day`]),
    ...(settings.tokensPerMinute === undefined ? [] : [`${count(settings.tokensPerMinute, "token")} a minute`]),
    ...(settings.maxConcurrency === undefined ? [] : [`${settings.maxConcurrency} at once`])
  ].join(", and ")

export interface Refusals {
  /** The wait is infinite after the end of a refill schedule. */
  readonly tooLong: (wait: number, allowed: number) => RateLimitError
  readonly waitedEnough: (allowed: number) => RateLimitError
  /** Undefined if another call can join the `waiting` ones; `wait` is how long it would wait, if that is known. */
  readonly ofQueue: (waiting: number, wait?: number) => RateLimitError | undefined
  /** Undefined if the limiter can grant them. */
  readonly ofPermits: (n: number) => InvalidRequestError | undefined
  readonly ofTokens: (estimate: number) => InvalidRequestError | undefined
}

export const make = (settings: Settings): Refusals => {
  const { capacity, requestsPerDay, requestsPerMinute, tokensPerMinute } = settings
  const largest = Math.min(capacity, requestsPerMinute ?? Infinity, requestsPerDay ?? Infinity)
  const limit = describe(settings)
  return {
    tooLong: (wait, allowed) =>
      settings.refill !== undefined && wait === Infinity
        ? rateLimitError(
            `The limit of ${limit} is used up and its refill schedule has ended, so this call is never granted. Give refill a schedule that does not end, or reset the limiter.`
          )
        : rateLimitError(
            `The limit of ${limit} would make this call wait ${durationText(wait)}, longer than the ${durationText(allowed)} allowed. Try again later, or raise the limit or maxWait.`,
            wait
          ),
    waitedEnough: (allowed) =>
      rateLimitError(
        `The limit of ${limit} made this call wait longer than the ${durationText(allowed)} allowed, and calls in flight have not ended. Try again later, or raise the limit or maxWait.`
      ),
    ofQueue: (waiting, wait) =>
      waiting < settings.maxQueueLength
        ? undefined
        : rateLimitError(
            `The queue for the limit of ${limit} is full: ${waiting} calls wait already. Send fewer calls at the same time, try again later, or raise the limit or maxQueueLength.`,
            wait
          ),
    ofPermits: (n) =>
      !isAmount(n)
        ? limitTooSmall(`The number of permits must be a positive number, not ${n}.`)
        : n > largest
          ? limitTooSmall(`A limiter with a capacity of ${largest} can never grant ${n} permits. Raise the capacity.`)
          : undefined,
    ofTokens: (estimate) =>
      tokensPerMinute !== undefined && estimate > tokensPerMinute
        ? limitTooSmall(
            `A limit of ${tokensPerMinute} tokens a minute can never grant about ${Math.round(estimate)} tokens. Shorten the request or raise tokensPerMinute.`
          )
        : undefined
  }
}
