/**
 * The books of budgets in Redis, so that many processes spend from the same ones.
 *
 * A call's claims are set aside in all budgets at once or not at all, in one round trip, and settled once, by Redis's clock: spent
 * is never more than the limit but for what calls under way cost above their estimates. What a killed process had set aside is
 * free again after `leaseTime`. Sums are exact: whole trillionths of a dollar, also above 2^53.
 *
 * Periods of the calendar, in whatever time zone, are reckoned here and chosen by Redis's time; a process whose clock is wrong
 * learns so.
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
import type { Store } from "../accounting/budget/model.js"
import { BudgetStore, InvalidBudgetError } from "../accounting/budget/model.js"
import * as Books from "./budget/service.js"
import { Redis } from "./model.js"
import * as Terms from "./shared/options.js"

/**
 * What is done while Redis is away.
 *
 * - `{ share }`: the process spends this part of what was left of each budget when it was last heard of. What it spends is in the
 *   books when Redis is back. With as many processes as 1 / share no budget is overspent.
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
  /** The stores of one name on one Redis, with one prefix, are one store. */
  readonly name: string
  /** How long after the end of a process what it had set aside is free again, at the latest. @default "30 seconds" */
  readonly leaseTime?: Duration.DurationInput
  /**
   * @default a share of one divided by the number of processes that were there when Redis was last heard of; 0.25 where it never
   * was
   */
  readonly whenAway?: WhenAway
}

/**
 * The scope ends what runs in the background.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Store, InvalidBudgetError, Redis | Scope.Scope> =>
  Effect.flatMap(Redis, (redis) => {
    const { faults, leaseTime, share } = Terms.read(options)
    return faults.length > 0
      ? Effect.fail(new InvalidBudgetError({ faults }))
      : Books.make({ redis, name: options.name, leaseTime, share })
  })

/**
 * The store, in place of the one in memory.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<BudgetStore, InvalidBudgetError, Redis> =>
  Layer.scoped(BudgetStore, make(options))
