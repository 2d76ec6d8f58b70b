/**
 * A pool of keys that many processes share: what each key may do at once and a second, how loaded it is, and whether it rests,
 * holds for all of them together. It is a `KeyPool` like the one in memory and takes its place.
 *
 * Redis holds the ids of keys and how they are, never a secret: every process brings its own keys, and uses no others. A key
 * in the hands of a call is a lease with an end, which the process puts off for as long as it lives; so what a killed process
 * held is free again within `leaseTime`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Redis, RedisKeyPool } from "effect-llm/redis"
 *
 * const keys = RedisKeyPool.layer({
 *   providerId: "openai",
 *   keys: [{ key: "sk-one", maxConcurrency: 8 }, { key: "sk-two", maxConcurrency: 8, weight: 2 }],
 *   strategy: "least-loaded",
 *   whenAway: { share: 0.25 }
 * }).pipe(Layer.provide(Redis.layer({ url: "redis://localhost:6379" })))
 * ```
 *
 * @since 0.1.0
 */
import type { Scope } from "effect"
import type { Duration, Effect } from "effect"
import { Layer } from "effect"
import type { InvalidPoolError, Options as PoolOptions, Service } from "../keyPool/model.js"
import { KeyPool } from "../keyPool/model.js"
import * as Pool from "./keyPool/options.js"
import { steps } from "./keyPool/scripts.js"
import type { Redis } from "./Redis.js"

/**
 * The strategies of `KeyPool`, by name. One of your own cannot be: the choice is made in Redis.
 *
 * @since 0.1.0
 * @category model
 */
export type Strategy = "least-loaded" | "weighted" | "round-robin" | "latency" | "random" | "failover"

/**
 * What a pool does while Redis is away.
 *
 * - `{ share }`: the process goes on by itself, with this part of each key's `maxConcurrency` (at least 1) and
 *   `requestsPerSecond`. Keys that were disabled or rested, as far as it had heard, stay so. With as many processes as
 *   1 / share the limits hold; keys without limits have nothing to divide.
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
export interface Options extends Omit<PoolOptions, "strategy"> {
  /** @default "least-loaded" */
  readonly strategy?: Strategy
  /** How long after the end of a process the keys it held are free again, at the latest. @default "30 seconds" */
  readonly leaseTime?: Duration.DurationInput
  /**
   * How often a process asks again while calls of it wait for keys that other processes have. It asks once for all of them, and
   * at once when it gave a key back itself. @default "50 millis"
   */
  readonly pollInterval?: Duration.DurationInput
  /**
   * The default keeps answers coming, at a pace that four processes together may have: an outage of Redis is then slowness and
   * not an outage of everything behind it, and the providers' limits are not multiplied. @default { share: 0.25 }
   */
  readonly whenAway?: WhenAway
}

/**
 * The pools of one `providerId` on one Redis, with one prefix, are one pool. The scope ends what runs in the background.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, InvalidPoolError, Redis | Scope.Scope> =>
  Pool.make(options, steps)

/**
 * The pool, in place of the one in memory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<KeyPool, InvalidPoolError, Redis> =>
  Layer.scoped(KeyPool, make(options))
