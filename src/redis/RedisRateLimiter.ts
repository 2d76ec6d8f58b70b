/**
 * A `RateLimiter` in Redis, shared by all processes that use its name.
 *
 * One round trip grants buckets, windows and a permit together or returns the wait, by Redis's clock. (The limiter of
 * `@effect/experimental` over Redis uses the clock of each caller and one bucket a round trip, so that it cannot grant requests,
 * tokens and a permit at once, or compute a wait beforehand.)
 *
 * Guarantees across processes:
 * - No limit is exceeded in any window of time. A minute and a day are counted half a second longer, because calls reach the
 *   provider after they are granted.
 * - Calls that wait for a bucket or a window are served in order of arrival over all processes. The time of a call is fixed when
 *   it arrives: capacity that other calls reserved and did not use goes to later calls.
 * - Calls that wait for a permit (`maxConcurrency`) are served in the order of their process; among processes, the one whose first
 *   call has waited longest is served first.
 * - A batch call does not delay an interactive call of any process until it is as old as `batch.aging`. Batch calls are served in
 *   the order of their process.
 * - An interrupted call gives back its booking when that is not due yet.
 * - The permits and reservations of a killed process are free after `leaseTime`; requests that it started stay counted.
 * - A rate-limit error that one process observes slows all of them (`adaptive`).
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Redis, RedisRateLimiter } from "effect-llm/redis"
 *
 * const limits = RedisRateLimiter.layer({
 *   name: "openai",
 *   requestsPerMinute: 500,
 *   tokensPerMinute: 200_000,
 *   maxConcurrency: 32
 * }).pipe(Layer.provide(Redis.layer({ url: "redis://localhost:6379" })))
 * ```
 *
 * @since 0.1.0
 */
import type { Duration, Scope } from "effect"
import { Effect, Layer } from "effect"
import * as LimiterOptionChecks from "../rateLimiter/options.js"
import type { Options as LimiterOptions, Service } from "../rateLimiter/model.js"
import { CurrentPriority, InvalidLimitError, RateLimiter } from "../rateLimiter/model.js"
import * as LimiterService from "./rateLimiter/service.js"
import { Redis } from "./model.js"
import * as SharedOptions from "./shared/options.js"

/**
 * The behavior of a limiter while Redis is away.
 *
 * - `{ share }`: the process continues alone with this part of each limit, and at least one request and one call at a time. It
 *   starts with empty buckets, and its calls are counted when Redis is back. With up to 1 / share processes the limits hold.
 * - `"fail"`: calls fail with `SharedStateError`, so that a fallback can answer.
 *
 * @since 0.1.0
 * @category model
 */
export type WhenAway = "fail" | { readonly share: number }

/**
 * @since 0.1.0
 * @category model
 */
export interface Options extends LimiterOptions {
  /** All limiters of one name on one Redis with one prefix are one limiter. Give them the same limits. */
  readonly name: string
  /** The longest time until the permits of a lost process are free again. @default "30 seconds" */
  readonly leaseTime?: Duration.DurationInput
  /**
   * The default keeps calls going without multiplying the limits by the number of replicas. @default a share of one divided by
   * the number of processes in the last reply of Redis; 0.25 when there was none
   */
  readonly whenAway?: WhenAway
}

/**
 * Makes the limiter. Closing the scope stops the background fibers and frees what the process still holds. Fails with
 * `InvalidLimitError` if an option is invalid or `refill` is set.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, InvalidLimitError, Redis | Scope.Scope> =>
  Effect.flatMap(Redis, (redis) => {
    const { leaseTime: _lease, name, whenAway: _whenAway, ...limits } = options
    const { faults: sharedFaults, leaseTime, share } = SharedOptions.read(options)
    const [settings, limitFaults] = LimiterOptionChecks.read(limits)
    const refillFaults = limits.refill === undefined ? [] : ["refill: a limiter in Redis cannot follow a schedule"]
    const faults = [...sharedFaults, ...limitFaults, ...refillFaults]
    return faults.length > 0
      ? Effect.fail(new InvalidLimitError({ faults }))
      : LimiterService.make({ redis, name, settings, leaseTime, share, priority: CurrentPriority })
  })

/**
 * Provides the limiter instead of the one in memory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<RateLimiter, InvalidLimitError, Redis> =>
  Layer.scoped(RateLimiter, make(options))
