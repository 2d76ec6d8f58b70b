/**
 * Limits the requests of one call through nested policies, such as a `Retry` around a `Fallback` of `Hedge`s. Each policy can repeat
 * the requests of the policies below it, so without a common limit their numbers multiply.
 *
 * A policy counts the requests of a failed call by the `attempts` of its error, and passes the rest of the limit to its next call.
 * Nothing is counted while calls succeed.
 */
import { Context } from "effect"
import type { Attempt } from "../vocabulary/attempt.js"
import type { ModelInfo } from "./model.js"

/**
 * The most requests that one call sends through nested policies (`Retry`, `Fallback`, `Balance`, `Hedge`), whatever fails. Another
 * key after a failure that concerns the key is not counted, and neither are the requests that continue a broken stream. Members
 * of a `Fallback` and deployments of a `Balance` that have not been tried keep one request each, as far as the limit goes. An
 * `LLM` alone is limited by its `maxAttempts` or `schedule`, not by this, and so is a `Retry` with one of them around single requests.
 *
 * At least 2; with 1 a call is still sent again once. @default 15
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LLM, Retry } from "effect-llm"
 *
 * const program = LLM.chat("Hello").pipe(Effect.provideService(Retry.MaxRequests, 6))
 * ```
 *
 * @since 0.2.0
 * @category limits
 */
export class MaxRequests extends Context.Reference<MaxRequests>()("effect-llm/MaxRequests", {
  defaultValue: (): number => 15
}) {}

/** The limit that a policy passes to the `LLM` that it calls. */
export interface RequestLimit {
  /** The `LLM` that is called: calls of others within it, such as one that shortens a conversation, have limits of their own. */
  readonly info: ModelInfo
  /** The most requests that it may send. */
  readonly left: number
  /** The requests that the call has sent to it before, so that other keys are tried first. */
  readonly earlier: ReadonlyArray<Attempt>
}

/** The limit of a call of this `LLM`; undefined where no policy around it has set one. */
export const limitFor = (limit: RequestLimit | undefined, info: ModelInfo): RequestLimit | undefined =>
  limit?.info === info ? limit : undefined

/** The most requests below a policy. The outermost one reserves one for the second request of a hedge, which no other policy counts. */
export const requestsLeft = (context: Context.Context<never>, limit: RequestLimit | undefined): number =>
  limit?.left ?? Math.max(1, Context.get(context, MaxRequests) - 1)

const keyErrors: ReadonlySet<string | undefined> = new Set([
  "RateLimitError",
  "QuotaExceededError",
  "AuthenticationError",
  "PermissionError"
])

/** The number of requests. Requests with one key after the other, each of which is refused, count as one. */
export const requestsOf = (attempts: ReadonlyArray<Attempt>): number => {
  let count = 0
  let tried = new Set<string>()
  let previous: Attempt | undefined
  for (const attempt of attempts) {
    const isFailover =
      previous !== undefined &&
      keyErrors.has(previous.error) &&
      previous.provider === attempt.provider &&
      previous.model === attempt.model &&
      !tried.has(attempt.keyId)
    if (!isFailover) {
      count++
      tried = new Set()
    }
    tried.add(attempt.keyId)
    previous = attempt
  }
  return Math.max(1, count)
}
