/** Makes key pools, in memory or where the context keeps them. */
import { Context, type Effect } from "effect"
import type { Options, Service } from "./model.js"
import { InvalidPoolError } from "./model.js"
import * as PoolService from "./service.js"
import { leastLoaded } from "./strategy.js"
import { verdictOf } from "./verdict.js"

/**
 * Makes a pool of keys. It needs no scope: nothing runs in the background.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, InvalidPoolError> =>
  PoolService.make(options, {
    strategy: options.strategy ?? leastLoaded,
    verdictOf,
    invalid: (faults) => new InvalidPoolError({ provider: options.provider, faults })
  })

/**
 * Makes the pools of a configuration (`Models`), with the default strategy: in memory, unless the context has another function,
 * such as that of `RedisSharing`.
 *
 * @since 0.2.0
 * @category references
 */
export class KeyPoolFactory extends Context.Reference<KeyPoolFactory>()("effect-llm/KeyPoolFactory", {
  defaultValue: (): ((options: Omit<Options, "strategy">) => Effect.Effect<Service, InvalidPoolError>) => make
}) {}
