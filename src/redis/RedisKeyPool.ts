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
import type { Effect, Scope } from "effect"
import { Layer } from "effect"
import type { InvalidPoolError, Service } from "../keyPool/model.js"
import { KeyPool } from "../keyPool/model.js"
import type { Redis } from "./model.js"
import type { Options } from "./keyPool/model.js"
import * as Pool from "./keyPool/options.js"
import { steps } from "./keyPool/scripts.js"

export type { Options, Strategy, WhenAway } from "./keyPool/model.js"

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
