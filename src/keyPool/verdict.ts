/** What calls say about the keys they used. Public by way of `KeyPool`. */
import type { Duration } from "effect"
import { Data, Option } from "effect"
import * as Errors from "../vocabulary/LLMError.js"

/**
 * What a call says about the key it used:
 * - `Served`: it works. `latency` is what the call took, in milliseconds.
 * - `RateLimited`: it rests for `retryAfter`, or longer each time.
 * - `OutOfQuota`: it rests for `retryAfter` or an hour; then one call at a time finds out whether it is good again.
 * - `Refused`: it is disabled for five minutes; then one call at a time finds out whether it is good again.
 * - `Neutral`: nothing.
 *
 * @since 0.1.0
 * @category verdicts
 */
export type Verdict = Data.TaggedEnum<{
  Served: { readonly latency?: number }
  RateLimited: { readonly retryAfter?: Duration.Duration }
  OutOfQuota: { readonly retryAfter?: Duration.Duration }
  Refused: {}
  Neutral: {}
}>

/**
 * Makes verdicts, such as `Verdict.Served({ latency: 120 })`, and tells them apart.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const Verdict = Data.taggedEnum<Verdict>()

/**
 * What a failure says about the key: a provider's `RateLimitError`, `QuotaExceededError`, and `AuthenticationError` or
 * `PermissionError` speak of it, all else does not.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const verdictOf = (error: unknown): Verdict => {
  if (!Errors.isLLMError(error)) return Verdict.Neutral()
  switch (error._tag) {
    case "RateLimitError":
      return error.source === "provider" ? Verdict.RateLimited(retryAfter(error)) : Verdict.Neutral()
    case "QuotaExceededError":
      return Verdict.OutOfQuota(retryAfter(error))
    case "AuthenticationError":
    case "PermissionError":
      return Verdict.Refused()
    default:
      return Verdict.Neutral()
  }
}

const retryAfter = (error: Errors.LLMError): { readonly retryAfter?: Duration.Duration } =>
  Option.match(Errors.retryAfter(error), { onNone: () => ({}), onSome: (retryAfter) => ({ retryAfter }) })
