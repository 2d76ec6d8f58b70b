/**
 * A `KeyPool` that several processes share: concurrency caps, rates, cooldowns and health of a key hold for all of them together.
 * Replaces the pool in memory.
 *
 * Redis stores the ids and states of keys, never a secret: every process has its own keys and uses no others. A call holds its
 * key by a lease with an expiry time, which the process renews while it lives, so that the keys of a killed process are free
 * again within `leaseTime`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Redis, RedisKeyPool } from "effect-llm/redis"
 *
 * const keys = RedisKeyPool.layer({
 *   provider: "openai",
 *   keys: [{ key: "sk-one", maxConcurrency: 8 }, { key: "sk-two", maxConcurrency: 8, weight: 2 }],
 *   strategy: "least-loaded",
 *   whenAway: { share: 0.25 }
 * }).pipe(Layer.provide(Redis.layer({ url: "redis://localhost:6379" })))
 * ```
 *
 * @since 0.1.0
 */
import type { Effect, Scope } from "effect"
import { Layer } from "effect"
import type { InvalidPoolError, Service } from "../keyPool/model.js"
import { KeyPool } from "../keyPool/model.js"
import type { Redis } from "./model.js"
import type { Options } from "./keyPool/model.js"
import * as Pool from "./keyPool/options.js"
import { script } from "./keyPool/exchange.js"

export type { Options, Strategy, WhenAway } from "./keyPool/model.js"

/**
 * Makes the pool. All pools of one `provider` on one Redis with one prefix are one pool. Closing the scope stops the background
 * fibers.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, InvalidPoolError, Redis | Scope.Scope> =>
  Pool.make(options, script)

/**
 * Provides the pool instead of the one in memory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<KeyPool, InvalidPoolError, Redis> =>
  Layer.scoped(KeyPool, make(options))
