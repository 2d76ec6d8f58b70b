/**
 * The accounts of budgets in Redis, so that several processes spend from the same budgets.
 *
 * The claims of a call are reserved in all budgets at once or not at all, in one round trip, and settled once, by Redis's clock:
 * spending exceeds a limit only by what calls in flight cost above their estimates. Reservations of a killed process are free
 * again after `leaseTime`. Sums are exact: whole trillionths of a dollar, also above 2^53.
 *
 * The process computes calendar periods, in any time zone, and Redis selects one by its own clock; a process with a wrong clock
 * corrects its offset from the reply.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Budget } from "effect-llm"
 * import { Prices } from "effect-llm/prices"
 * import { Redis, RedisBudgetStore } from "effect-llm/redis"
 *
 * const Spending = Budget.layer({ name: "everybody", limit: { dollars: 50 }, period: "day" }).pipe(
 *   Layer.provide(RedisBudgetStore.layer({ name: "production" })),
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" })),
 *   Layer.provide(Prices.layer())
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { Duration, Scope } from "effect"
import { Effect, Layer } from "effect"
import { InvalidBudgetError } from "../accounting/budget/model.js"
import type { Store } from "../accounting/budget/store.js"
import { BudgetStore } from "../accounting/budget/store.js"
import * as BudgetService from "./budget/service.js"
import { Redis } from "./model.js"
import * as SharedOptions from "./shared/options.js"

/**
 * The behavior while Redis is away.
 *
 * - `{ share }`: the process spends this part of what was left of each budget in the last reply of Redis. Its spending is
 *   recorded when Redis is back. With up to 1 / share processes no budget is overspent.
 * - `"fail"`: calls fail with `SharedStateError`, and nothing is spent.
 *
 * @since 0.1.0
 * @category model
 */
export type WhenAway = "fail" | { readonly share: number }

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** All stores of one name on one Redis with one prefix are one store. */
  readonly name: string
  /** The longest time until the reservations of a lost process are free again. @default "30 seconds" */
  readonly leaseTime?: Duration.DurationInput
  /** @default a share of one divided by the number of processes in the last reply of Redis; 0.25 when there was none */
  readonly whenAway?: WhenAway
}

/**
 * Makes the store. Closing the scope stops the background fibers.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Store, InvalidBudgetError, Redis | Scope.Scope> =>
  Effect.flatMap(Redis, (redis) => {
    const { faults, leaseTime, share } = SharedOptions.read(options)
    return faults.length > 0
      ? Effect.fail(new InvalidBudgetError({ faults }))
      : BudgetService.make({ redis, name: options.name, leaseTime, share })
  })

/**
 * Provides the store instead of the one in memory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<BudgetStore, InvalidBudgetError, Redis> =>
  Layer.scoped(BudgetStore, make(options))
