/**
 * Shares everything that a configuration creates between all processes that use it: the key pools and rate limits of `Models`,
 * the health of the members of its groups, the limits of gateway keys, and budgets. A program only adds this layer.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Models } from "effect-llm"
 * import { Redis, RedisSharing } from "effect-llm/redis"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const Shared = Models.layerFile("provider.json").pipe(
 *   Layer.provide(RedisSharing.layer()),
 *   Layer.provide(Redis.layerConfig()),
 *   Layer.provide(Layer.merge(NodeContext.layer, NodeTransport.layerUndici))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { Duration, Scope } from "effect"
import { Effect, Layer } from "effect"
import type { DeploymentHealth } from "../routing/balance/health.js"
import type { InvalidBudgetError } from "../accounting/budget/model.js"
import type { BudgetStore } from "../accounting/budget/store.js"
import { KeyPoolFactory } from "../keyPool/factory.js"
import { RateLimiterFactory } from "../rateLimiter/factory.js"
import type { Redis } from "./model.js"
import * as RedisDeploymentHealth from "./RedisDeploymentHealth.js"
import * as RedisBudgetStore from "./RedisBudgetStore.js"
import * as RedisKeyPool from "./RedisKeyPool.js"
import * as RedisRateLimiter from "./RedisRateLimiter.js"

export type {
  /**
   * Makes the key pools of a configuration: in memory, unless `layer` is provided.
   *
   * @since 0.2.0
   * @category references
   */
  KeyPoolFactory
} from "../keyPool/factory.js"

export type {
  /**
   * Makes the rate limiters of a configuration and of gateway keys: in memory, unless `layer` is provided.
   *
   * @since 0.2.0
   * @category references
   */
  RateLimiterFactory
} from "../rateLimiter/factory.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The name of the shared budgets and of the shared health of groups. @default "shared" */
  readonly name?: string
  /** The longest time until everything that a lost process held is free again. @default "30 seconds" */
  readonly leaseTime?: Duration.DurationInput
  /** The behavior while Redis is away. @default the default of each service: a share of everything */
  readonly whenAway?: RedisRateLimiter.WhenAway
}

/**
 * Provides the shared services to a `Models`, an `Access` or a `Budget`. Services that a reload replaces are closed with this
 * layer.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Redis, RedisSharing } from "effect-llm/redis"
 *
 * const Shared = RedisSharing.layer({ name: "production" }).pipe(
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = ({ name = "shared", ...sharing }: Options = {}): Layer.Layer<
  KeyPoolFactory | RateLimiterFactory | BudgetStore | DeploymentHealth,
  InvalidBudgetError | RedisDeploymentHealth.InvalidDeploymentHealthError,
  Redis
> =>
  Layer.mergeAll(
    Layer.scoped(
      KeyPoolFactory,
      Effect.map(
        Effect.context<Redis | Scope.Scope>(),
        (context) => (options) => Effect.provide(RedisKeyPool.make({ ...options, ...sharing }), context)
      )
    ),
    Layer.scoped(
      RateLimiterFactory,
      Effect.map(
        Effect.context<Redis | Scope.Scope>(),
        (context) => (name, options) => Effect.provide(RedisRateLimiter.make({ ...options, ...sharing, name }), context)
      )
    ),
    RedisBudgetStore.layer({ name, ...sharing }),
    RedisDeploymentHealth.layer({ name })
  )
