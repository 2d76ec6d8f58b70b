/**
 * A `RateLimiter` in Redis, shared by all processes that use its name.
 *
 * Memory and Redis are two stores of one algorithm. Each process orders its own calls with a limiter in memory, and Redis confirms
 * what that grants: one script takes from all limits together, by Redis's clock, or returns the wait.
 *
 * Guarantees across processes:
 * - No limit is exceeded in any window of time. A minute and a day are counted half a second longer, because calls reach the
 *   provider after they are granted.
 * - Calls of one process are served by priority and in order of arrival. A call of another process that has waited longer is not passed
 *   over: a call can be granted as far ahead as it has waited, and slots (`maxConcurrency`) go to the process that has waited longest.
 * - An interrupted call gives back what it was granted ahead.
 * - The slots of a killed process are free after `leaseTime`; requests and tokens that it took stay counted.
 * - The pace by headers and refusals (`adaptive`) is that of each process, below the shared limits.
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
import { InvalidLimitError, RateLimiter } from "../rateLimiter/model.js"
import * as LimiterService from "./rateLimiter/service.js"
import { Redis } from "./model.js"
import * as SharedOptions from "./shared/options.js"

/**
 * The behavior of a limiter while Redis is away.
 *
 * - `{ share }`: the process continues alone with this part of each limit, and at least one request and one call at a time. When Redis
 *   is back it counts what time has not paid for. With up to 1 / share processes the limits hold but for what other processes took after
 *   this one last heard of it: at most the share of `capacity` and of each window. A process that alone is cut off exceeds the limits
 *   by at most its share, because the others go on with all of them.
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
      : LimiterService.make({ redis, name, settings, leaseTime, share })
  })

/**
 * Provides the limiter instead of the one in memory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<RateLimiter, InvalidLimitError, Redis> =>
  Layer.scoped(RateLimiter, make(options))
