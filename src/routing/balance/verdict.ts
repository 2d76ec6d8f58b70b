/** Maps errors to verdicts on a deployment, and decides which errors hand a call on. */
import type { Duration } from "effect"
import { Data, Option } from "effect"
import type { LLMError } from "../../vocabulary/LLMError.js"
import { isBeyondLimit } from "../../rateLimiter/errors.js"
import * as Errors from "../../vocabulary/LLMError.js"

/**
 * What the result of a call means for its deployment:
 * - `Served`: success; a half-open circuit closes. `latency` is in milliseconds.
 * - `Limited`: starts a cooldown of `retryAfter`, or else one that grows each time. Does not count as a failure.
 * - `Overloaded`: starts the same cooldown, and counts as a failure.
 * - `Failed`: counts as a failure; too many failures open the circuit.
 * - `Down`: opens the circuit at once, since further calls would fail too.
 * - `Neutral`: no change.
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

/** The statuses of an overload: 503, and 529 of Anthropic. */
const isOverload = (error: Errors.ProviderUnavailableError): boolean =>
  error.status === 503 || error.status === 529 || error.retryAfter !== undefined

/**
 * Maps an error to a verdict on the deployment:
 *
 * | error | verdict |
 * | --- | --- |
 * | `RateLimitError` of the provider | `Limited` |
 * | `ProviderUnavailableError` with a Retry-After, or with status 503 or 529 | `Overloaded` |
 * | any other `ProviderUnavailableError`, `NetworkError`, `TimeoutError`, `MalformedResponseError`, `StreamInterruptedError` | `Failed` |
 * | `AuthenticationError`, `PermissionError`, `QuotaExceededError`, `KeyPoolExhaustedError` (no key of it is left), `ModelNotFoundError` unless the request named the model | `Down` |
 * | all others, which concern the request, the caller's own limits or the call's deadline | `Neutral` |
 *
 * A `BalanceExhaustedError`, of a nested balance, is `Overloaded` if it has a `retryAfter`, else `Failed`.
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
 * Whether another deployment can answer after this error. It cannot after errors of the request (`InvalidRequestError`, except
 * `limit_too_small` of the deployment's limiter), of its content (`ContentFilterError`), of the budget (`BudgetExceededError`)
 * and of the call's deadline (a `TimeoutError` of the phase `total`).
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
