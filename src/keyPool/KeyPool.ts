/**
 * A pool of API keys of one provider, shared by many calls: picks the key for a call, limits the concurrency and rate of each
 * key, and puts keys that the provider limits or refuses into a cooldown.
 *
 * For users of a pool with "least loaded key", "increment" and "decrement": `acquire` (or `lease`, or `withKey`) does the first
 * two in one step; settling the lease does the third, exactly once, however the call ends.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { KeyPool } from "effect-llm"
 *
 * const keys = KeyPool.layer({
 *   provider: "openai",
 *   keys: ["sk-one", { key: "sk-two", weight: 2, maxConcurrency: 8 }],
 *   maxWait: "10 seconds"
 * })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* KeyPool.KeyPool
 *   return yield* pool.withKey((key) => Effect.succeed(`called with ${key.id}`))
 * }).pipe(Effect.provide(keys))
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import type { InvalidRequestError, UnsupportedError } from "../vocabulary/LLMError.js"
import type { ProviderClient } from "../wire/providerClient.js"
import * as KeyCheck from "./check.js"
import { make } from "./factory.js"
import type { InvalidPoolError, Options } from "./model.js"
import { KeyPool } from "./model.js"

export * from "./model.js"

export { make } from "./factory.js"

export {
  /**
   * @since 0.1.0
   * @category checking
   */
  type CheckedKey,
  /**
   * @since 0.1.0
   * @category checking
   */
  type CheckOptions,
  /**
   * @since 0.1.0
   * @category checking
   */
  type Condition
} from "./check.js"

/**
 * Provides a pool of keys, which picks a key for each call, rests keys after rate limits and failures, and disables keys that the provider
 * rejects. Fails with `InvalidPoolError`, which lists every fault of the options and no secret.
 *
 * A call that gets no key within `maxWait` fails. While keys are busy or in a cooldown, the error is a `RateLimitError` of the source
 * `"pool"`. When all are disabled or out of quota, it is a `KeyPoolExhaustedError`: add keys or credit, or enable a key.
 *
 * @example
 * ```ts
 * import { KeyPool } from "effect-llm"
 *
 * const keys = KeyPool.layer({
 *   provider: "openai",
 *   keys: ["sk-one", { key: "sk-two", weight: 2, maxConcurrency: 8 }],
 *   maxWait: "10 seconds"
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<KeyPool, InvalidPoolError> => Layer.effect(KeyPool, make(options))

/**
 * Checks every key of the pool in context, including those in a cooldown and disabled ones. Does not change the pool's state and
 * takes nothing from a rate limiter. Fails with `UnsupportedError` when the provider cannot list models and `ask` is false, and
 * with `InvalidRequestError` when `ask` is true without a `model`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { KeyPool } from "effect-llm"
 *
 * const program = Effect.flatMap(KeyPool.check(), (keys) => Effect.logInfo(keys))
 * ```
 *
 * @since 0.1.0
 * @category checking
 */
export const check = (
  options: KeyCheck.CheckOptions = {}
): Effect.Effect<
  ReadonlyArray<KeyCheck.CheckedKey>,
  UnsupportedError | InvalidRequestError,
  KeyPool | ProviderClient
> => Effect.flatMap(KeyPool, (pool) => KeyCheck.check(pool, options))
