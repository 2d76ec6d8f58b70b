/**
 * Retries failed calls with exponential backoff or a schedule: rate limits, unavailable providers, broken connections, time limits.
 *
 * The `LLM` itself has already tried the other ready keys after a failure that concerns the key; a failure that reaches this
 * middleware needs time, not another key. A stream is retried only before its first event.
 *
 * No retry starts before the error's Retry-After, and no wait goes past the deadline of the call or the `failoverAfter` of a fallback: a
 * call that would have to wait longer fails at once with the error.
 *
 * All calls share a budget of retries, so that an outage does not multiply the requests: see `BudgetOptions`. The requests of one
 * call through nested policies are limited by `MaxRequests`.
 *
 * @example
 * ```ts
 * import { Schedule } from "effect"
 * import type { Layer } from "effect"
 * import { LLM, Retry } from "effect-llm"
 *
 * // An `LLM` layer retries by itself. Its option takes the same options.
 * const patient = LLM.layer({ model: "gpt-4o", retry: { maxAttempts: 8, backoff: { base: "2 seconds" } } })
 *
 * declare const robust: Layer.Layer<LLM.LLM>
 *
 * // Every 5 seconds, for at most a minute after the first failure.
 * const steady = robust.pipe(
 *   LLM.withMiddleware(Retry.middleware({ schedule: Schedule.spaced("5 seconds").pipe(Schedule.upTo("1 minute")) }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import * as OptionChecks from "../internal/optionChecks.js"
import type { Backoff } from "../vocabulary/backoff.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Middleware } from "./model.js"
import * as Calls from "./retry/calls.js"
import * as Decisions from "./retry/decisions.js"
import type { Options } from "./retry/model.js"
import * as States from "./retry/state.js"

export type { Backoff } from "../vocabulary/backoff.js"
export { MaxRequests } from "./requestLimit.js"
export type { BackoffOptions, BudgetOptions, Conditions, Options, ScheduleOptions } from "./retry/model.js"

/**
 * The delay before the next attempt, in milliseconds: the error's `retryAfter` if it has one, else the backoff after
 * `failures` failures (1 for the first) with a random draw from [0, 1). Defaults are those of `BackoffOptions.backoff`.
 *
 * @throws TypeError when an option is invalid
 * @since 0.1.0
 * @category decisions
 */
export const delay = (backoff: Backoff, error: LLMError, failures: number, draw: number): number =>
  Decisions.delayOf(
    OptionChecks.valid("Retry.delay", (checks) => Decisions.growthOf(checks, "backoff", backoff)),
    error,
    failures,
    draw
  )

/**
 * The middleware that retries failed calls. Defaults: 5 attempts, backoff from 1 second doubling up to 60 seconds, full jitter, and
 * a budget of its own. Requirements of a schedule become requirements of the middleware.
 *
 * An `LLM` of `LLM.layer` retries by itself, by its option `retry`. When all attempts fail, the call fails with the last error, with the
 * `attempts` of all.
 *
 * @example
 * ```ts
 * import { LLM, Retry } from "effect-llm"
 *
 * const Retried = LLM.layerConfig({ retry: false }).pipe(
 *   LLM.withMiddleware(Retry.middleware({ maxAttempts: 3, backoff: { base: "500 millis", max: "10 seconds" } }))
 * )
 * ```
 *
 * @throws TypeError when an option is invalid, such as `maxAttempts` that is not a whole number of at least 1
 * @since 0.2.0
 * @category middlewares
 */
export const middleware = <R = never>(options: Options<R> = {}): Middleware<never, R> => {
  const settings = Calls.settingsOf(options)
  return (next) =>
    Effect.suspend(() =>
      Calls.apply(settings, {
        budget: settings.budget === undefined ? undefined : States.makeBudget(settings.budget),
        ownsKeys: false,
        retried: () => Effect.void
      })(next)
    )
}
