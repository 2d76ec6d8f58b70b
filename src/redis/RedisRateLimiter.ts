/**
 * The rate limiter of `effect-llm`, shared by all processes that name it, in Redis.
 *
 * Who comes is let through, or told how long it has to wait, in one round trip, by Redis's clock: buckets, windows and places
 * together, or nothing. (The limiter of `@effect/experimental` over Redis goes by the clock of each caller and knows one bucket a
 * round trip, so that it cannot grant requests, tokens and a place at once, or know a wait beforehand.)
 *
 * What holds across processes:
 * - No limit is passed, over any window of time. A minute and a day are counted half a second longer than they are, because calls
 *   reach their provider later than they are let through.
 * - Those who wait for a bucket or a window go in the order in which they came, of whichever process they are. The moment is set
 *   when a call comes: what others use less than they had reserved is for those who come later.
 * - Those who wait for a place (`maxConcurrent`) go in the order of their process; among processes the one goes first whose first
 *   call has waited longest.
 * - A batch call never makes an interactive one wait, of whichever process, until it is as old as `batch.aging`. Among
 *   themselves, batch calls go in the order of their process.
 * - A call that is given up gives back what it was promised and is not due yet.
 * - The places and reservations of a process that is killed are free after `leaseTime`; what it had begun stays spent.
 * - A refusal by the provider that one process hears of slows all of them (`adaptive`).
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
 *   maxConcurrent: 32
 * }).pipe(Layer.provide(Redis.layer({ url: "redis://localhost:6379" })))
 * ```
 *
 * @since 0.1.0
 */
import type { Duration, Scope } from "effect"
import { Effect, Layer } from "effect"
import * as Read from "../rateLimiter/options.js"
import type { Options as LimiterOptions, Service } from "../rateLimiter/model.js"
import { CurrentPriority, InvalidLimitError, RateLimiter } from "../rateLimiter/model.js"
import * as LimiterService from "./rateLimiter/service.js"
import { Redis } from "./model.js"
import * as Terms from "./shared/options.js"

/**
 * What a limiter does while Redis is away.
 *
 * - `{ share }`: the process goes on by itself, with this part of each limit, and at least with one request and one call at a
 *   time. It begins with empty buckets, and what it lets through is counted when Redis is back. With as many processes as
 *   1 / share the limits hold.
 * - `"fail"`: calls fail with `SharedStateError`, for a fallback to take over.
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
  /** The limiters of one name on one Redis, with one prefix, are one limiter. Give them the same limits. */
  readonly name: string
  /** How long after the end of a process the places it held are free again, at the latest. @default "30 seconds" */
  readonly leaseTime?: Duration.DurationInput
  /**
   * The default keeps answers coming, and never multiplies the limits by the number of replicas. @default a share of one divided
   * by the number of processes that were there when Redis was last heard of; 0.25 where it never was
   */
  readonly whenAway?: WhenAway
}

/**
 * The scope ends what runs in the background, and gives back what is still held.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, InvalidLimitError, Redis | Scope.Scope> =>
  Effect.flatMap(Redis, (redis) => {
    const { leaseTime: _lease, name, whenAway: _whenAway, ...limits } = options
    const { faults: wrong, leaseTime, share } = Terms.read(options)
    const [settings, senseless] = Read.read(limits)
    const faults = [...wrong, ...senseless]
    return faults.length > 0
      ? Effect.fail(new InvalidLimitError({ faults }))
      : LimiterService.make({ redis, name, settings, leaseTime, share, priority: CurrentPriority })
  })

/**
 * The limiter, in place of the one in memory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<RateLimiter, InvalidLimitError, Redis> =>
  Layer.scoped(RateLimiter, make(options))
