/**
 * Many keys of one provider, shared by many calls: which key may speak next, how much each may do at once, and how long one
 * that was told to stop stays away.
 *
 * Those who come from a pool with a "least loaded key" and an "increment" and "decrement" of its task count: `acquire` (or
 * `lease`, or `withKey`) is the first two in one step, and giving the key back is the third. It happens exactly once, however
 * the call ends.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { KeyPool } from "effect-llm"
 *
 * const keys = KeyPool.layer({
 *   providerId: "openai",
 *   keys: ["sk-one", { key: "sk-two", weight: 2, maxConcurrency: 8 }],
 *   maxWait: "10 seconds"
 * })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* KeyPool.KeyPool
 *   return yield* pool.withKey((key) => Effect.succeed(`spoke with ${key.id}`))
 * }).pipe(Effect.provide(keys))
 * ```
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer } from "effect"
import type { InvalidRequestError, UnsupportedError } from "../vocabulary/LLMError.js"
import type { ProviderClient } from "../wire/providerClient.js"
import * as KeyCheck from "./check.js"
import type { Options, Service } from "./model.js"
import { InvalidPoolError, KeyPool } from "./model.js"
import * as PoolService from "./service.js"
import { leastLoaded } from "./strategy.js"
import { verdictOf } from "./verdict.js"

export * from "./model.js"

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
 * A pool of keys. It needs no scope: nothing runs in the background.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, InvalidPoolError> =>
  PoolService.make(options, {
    strategy: options.strategy ?? leastLoaded,
    verdictOf,
    invalid: (faults) => new InvalidPoolError({ providerId: options.providerId, faults })
  })

/**
 * A pool of keys as a layer. `InvalidPoolError` where it makes no sense; it tells every fault, and no secret.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<KeyPool, InvalidPoolError> => Layer.effect(KeyPool, make(options))

/**
 * How the pools of a configuration (`Models`) are made, by the default strategy: in memory, unless another way is in context, such
 * as that of `effect-llm/redis`.
 *
 * @since 0.1.0
 * @category references
 */
export class Maker extends Context.Reference<Maker>()("effect-llm/KeyPool/Maker", {
  defaultValue: (): ((options: Omit<Options, "strategy">) => Effect.Effect<Service, InvalidPoolError>) => make
}) {}

/**
 * Tries every key of the pool in context, resting and disabled ones too, and says which work. Neither the pool's state nor a
 * rate limiter is touched. `UnsupportedError` where the provider can list no models and `ask` is false;
 * `InvalidRequestError` where `ask` is true and there is no model to ask.
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
