/** Verdicts of calls on the keys they used. Public by way of `KeyPool`. */
import type { Duration } from "effect"
import { Data, Option } from "effect"
import * as Errors from "../vocabulary/LLMError.js"

/**
 * The verdict of a call on its key:
 * - `Served`: it works. `latency` is the duration of the call in milliseconds.
 * - `RateLimited`: a cooldown of `retryAfter`, or one that grows with each further rate limit.
 * - `OutOfQuota`: a cooldown of `retryAfter` or one hour; then one call at a time probes the key.
 * - `Refused`: the key is disabled for five minutes; then one call at a time probes it.
 * - `Failed`: the provider failed or did not answer. Calls prefer other keys; after several failures the key is cooled.
 * - `Neutral`: no effect.
 *
 * In a pool that several models share (`Service.forModel`), `RateLimited` and `Failed` concern the key with the model of the call.
 * `OutOfQuota` and `Refused` concern the key with every model, unless they are `modelOnly`.
 *
 * @since 0.1.0
 * @category verdicts
 */
export type Verdict = Data.TaggedEnum<{
  Served: { readonly latency?: number }
  RateLimited: { readonly retryAfter?: Duration.Duration }
  OutOfQuota: { readonly retryAfter?: Duration.Duration; readonly modelOnly?: boolean }
  Refused: { readonly modelOnly?: boolean }
  Failed: {}
  Neutral: {}
}>

const { $is, $match, Failed, Neutral, OutOfQuota, RateLimited, Refused, Served } = Data.taggedEnum<Verdict>()

/**
 * Constructs verdicts, such as `Verdict.Served({ latency: 120 })`, and matches them.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const Verdict = {
  Served,
  RateLimited,
  OutOfQuota,
  Refused: (options: { readonly modelOnly?: boolean } = {}) => Refused(options),
  Failed,
  Neutral,
  $is,
  $match
}

/**
 * The verdict of a failure: `RateLimited` for a provider's `RateLimitError`, `OutOfQuota` for `QuotaExceededError`, `Refused` for
 * `AuthenticationError` and, `modelOnly`, for `PermissionError`, `Failed` for `ProviderUnavailableError`, `NetworkError`,
 * `TimeoutError` and `StreamInterruptedError`, and `Neutral` for everything else.
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
      return Verdict.OutOfQuota({ ...retryAfter(error), ...(error.modelOnly === true ? { modelOnly: true } : {}) })
    case "AuthenticationError":
      return Verdict.Refused()
    case "PermissionError":
      return Verdict.Refused({ modelOnly: true })
    case "ProviderUnavailableError":
    case "NetworkError":
    case "TimeoutError":
    case "StreamInterruptedError":
      return Verdict.Failed()
    default:
      return Verdict.Neutral()
  }
}

const retryAfter = (error: Errors.LLMError): { readonly retryAfter?: Duration.Duration } =>
  Option.match(Errors.retryAfter(error), { onNone: () => ({}), onSome: (retryAfter) => ({ retryAfter }) })
