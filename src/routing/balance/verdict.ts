/** What a call says about the deployment that it went to, and whether another one may answer. */
import type { Duration } from "effect"
import { Data, Option } from "effect"
import type { LLMError } from "../../vocabulary/LLMError.js"
import { isBeyondLimit } from "../../rateLimiter/errors.js"
import * as Errors from "../../vocabulary/LLMError.js"

/**
 * What a call says about the deployment that it went to:
 * - `Served`: it works; an open circuit closes. `latency` is in milliseconds.
 * - `Limited`: it rests for `retryAfter`, or longer each time. That is no fault.
 * - `Overloaded`: it rests in the same way, and counts as failed.
 * - `Failed`: it counts as failed; too many of those open the circuit.
 * - `Down`: the circuit opens at once: no call would do better.
 * - `Neutral`: nothing.
 *
 * @since 0.1.0
 * @category verdicts
 */
export type Verdict = Data.TaggedEnum<{
  Served: { readonly latency?: number }
  Limited: { readonly retryAfter?: Duration.Duration }
  Overloaded: { readonly retryAfter?: Duration.Duration }
  Failed: {}
  Down: { readonly retryAfter?: Duration.Duration }
  Neutral: {}
}>

/**
 * @since 0.1.0
 * @category verdicts
 */
export const Verdict = Data.taggedEnum<Verdict>()

const retryAfter = (error: LLMError): { readonly retryAfter?: Duration.Duration } =>
  Option.match(Errors.retryAfter(error), { onNone: () => ({}), onSome: (retryAfter) => ({ retryAfter }) })

/** Statuses by which providers say that they have too much to do, Anthropic with 529. */
const isOverload = (error: Errors.ProviderUnavailableError): boolean =>
  error.status === 503 || error.status === 529 || error.retryAfter !== undefined

/**
 * What an error says about the deployment:
 *
 * | error | verdict |
 * | --- | --- |
 * | `RateLimitError` of the provider | `Limited` |
 * | `ProviderUnavailableError` with a Retry-After, or with status 503 or 529 | `Overloaded` |
 * | any other `ProviderUnavailableError`, `NetworkError`, `TimeoutError`, `MalformedResponseError`, `StreamInterruptedError` | `Failed` |
 * | `AuthenticationError`, `PermissionError`, `QuotaExceededError`, `KeyPoolExhaustedError` (no key of it is left), `ModelNotFoundError` unless the request named the model | `Down` |
 * | all others, which speak of the request, the caller's own limits or the call's own deadline | `Neutral` |
 *
 * A `BalanceExhaustedError`, of a balance within the balance, is `Overloaded` where it says when one will be back, else `Failed`.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const verdictOf = (error: LLMError): Verdict => {
  switch (error._tag) {
    case "RateLimitError":
      return error.source === "provider" ? Verdict.Limited(retryAfter(error)) : Verdict.Neutral()
    case "ProviderUnavailableError":
      return isOverload(error) ? Verdict.Overloaded(retryAfter(error)) : Verdict.Failed()
    case "BalanceExhaustedError":
      return error.retryAfter === undefined ? Verdict.Failed() : Verdict.Overloaded(retryAfter(error))
    case "TimeoutError":
      return error.phase === "total" ? Verdict.Neutral() : Verdict.Failed()
    case "NetworkError":
    case "MalformedResponseError":
    case "StreamInterruptedError":
      return Verdict.Failed()
    case "AuthenticationError":
    case "PermissionError":
    case "QuotaExceededError":
    case "KeyPoolExhaustedError":
    case "ModelNotFoundError":
      return Verdict.Down(retryAfter(error))
    default:
      return Verdict.Neutral()
  }
}

/**
 * Whether another deployment may answer what one failed to: after every error but those that speak of the request itself
 * (`InvalidRequestError`, unless the limiter of the deployment alone is too small for it), of its content (`ContentFilterError`), of the money, and of the call's own deadline.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const handsOn = (error: LLMError): boolean => {
  switch (error._tag) {
    case "InvalidRequestError":
      return isBeyondLimit(error)
    case "ContentFilterError":
    case "BudgetExceededError":
      return false
    case "TimeoutError":
      return error.phase !== "total"
    default:
      return true
  }
}
