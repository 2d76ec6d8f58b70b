/**
 * Everything that a configuration makes, shared by all processes that run with it: the pools and the limits of `Models`, how the
 * members of its groups are doing, the limits of a gateway's keys, and the books of budgets. Nothing of the program changes but
 * this layer.
 *
 * @example
 * ```ts
 * import { NodeContext, NodeHttpClient } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Models } from "effect-llm"
 * import { Redis, RedisSharing } from "effect-llm/redis"
 *
 * const Shared = Models.layerFile("provider.json").pipe(
 *   Layer.provide(RedisSharing.layer()),
 *   Layer.provide(Redis.layerConfig()),
 *   Layer.provide(Layer.merge(NodeContext.layer, NodeHttpClient.layerUndici))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { Duration, Scope } from "effect"
import { Effect, Layer } from "effect"
import type { BalanceHealth } from "../routing/balance/health.js"
import type { BudgetStore, InvalidBudgetError } from "../accounting/budget/model.js"
import * as KeyPool from "../keyPool/KeyPool.js"
import * as RateLimiter from "../rateLimiter/RateLimiter.js"
import type { Redis } from "./model.js"
import * as RedisBalanceHealth from "./RedisBalanceHealth.js"
import * as RedisBudgetStore from "./RedisBudgetStore.js"
import * as RedisKeyPool from "./RedisKeyPool.js"
import * as RedisRateLimiter from "./RedisRateLimiter.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** What the books of budgets and the health of groups are called. @default "shared" */
  readonly name?: string
  /** How long after the end of a process what it held is free again, at the latest. @default "30 seconds" */
  readonly leaseTime?: Duration.DurationInput
  /** What is done while Redis is away. @default what each of the services does by default: a share of everything */
  readonly whenAway?: RedisRateLimiter.WhenAway
}

/**
 * What `Models`, an `Access` or a `Budget` that is made with this layer shares. Services that a reload replaces are closed with the
 * layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = ({ name = "shared", ...terms }: Options = {}): Layer.Layer<
  KeyPool.Maker | RateLimiter.Maker | BudgetStore | BalanceHealth,
  InvalidBudgetError | RedisBalanceHealth.InvalidBalanceHealthError,
  Redis
> =>
  Layer.mergeAll(
    Layer.scoped(
      KeyPool.Maker,
      Effect.map(
        Effect.context<Redis | Scope.Scope>(),
        (context) => (options) => Effect.provide(RedisKeyPool.make({ ...options, ...terms }), context)
      )
    ),
    Layer.scoped(
      RateLimiter.Maker,
      Effect.map(
        Effect.context<Redis | Scope.Scope>(),
        (context) => (name, options) => Effect.provide(RedisRateLimiter.make({ ...options, ...terms, name }), context)
      )
    ),
    RedisBudgetStore.layer({ name, ...terms }),
    RedisBalanceHealth.layer({ name })
  )
