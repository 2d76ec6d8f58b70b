/** Contract of budgets. */
import type { Effect, Option } from "effect"
import { Context, Schema } from "effect"
import type { Middleware, ModelInfo } from "../../call/model.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type * as Usage from "../../vocabulary/Usage.js"
import type { Period } from "./period.js"

/**
 * A limit in US dollars, at the prices in use, or in tokens of input and output.
 *
 * @since 0.1.0
 * @category model
 */
export type Limit = { readonly dollars: number } | { readonly tokens: number }

/**
 * One budget.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** Name of the budget in errors, in `status` and in the store; unique, without `/`. @default "budget-1", "budget-2" … */
  readonly name?: string
  /** The most that can be spent in a period. */
  readonly limit: Limit
  /** When spending stops counting. @default "forever" */
  readonly period?: Period
  /** The calls that it covers: all calls, each label separately, or the calls with this label. @default "all" */
  readonly scope?: "all" | "each-label" | { readonly label: string }
  /** The spent share of the limit at which `onWarn` runs, once a period. @default 0.8 with an `onWarn`, else never */
  readonly warnAt?: number
  /** Runs in the background; its failure is logged and does not affect the call. @default a warning in the log */
  readonly onWarn?: (status: Status) => Effect.Effect<void>
  /**
   * How a budget in dollars handles a call whose price is unknown. `"deny"`: the call fails with `BudgetExceededError`; when the
   * price turns out to be unknown only afterwards (a fallback answered), at least the reserved amount counts as spent.
   * `"count-tokens"`: the call is admitted, spends no dollars, and its tokens are in `Status.unpricedTokens`. @default "deny"
   */
  readonly unknownPrice?: "deny" | "count-tokens"
}

/**
 * Options of `make` that all its budgets share.
 *
 * @since 0.2.0
 * @category model
 */
export interface MakeOptions {
  /**
   * Estimates the usage of a call, which is reserved before it is sent. @default the estimated input tokens, and the request's
   * `maxTokens` or 1,000 tokens of output
   */
  readonly estimate?: (request: ChatRequest, info: ModelInfo) => Usage.Usage
}

/**
 * Status of a budget, in its unit.
 *
 * @since 0.1.0
 * @category model
 */
export interface Status {
  readonly budget: string
  /** The label, for a budget with the scope "each-label". */
  readonly label: Option.Option<string>
  readonly unit: "dollars" | "tokens"
  readonly limit: number
  /** Spent in this period by calls that have ended. */
  readonly spent: number
  /** Reserved for calls in flight. */
  readonly reserved: number
  /** Tokens of this period whose price is unknown. */
  readonly unpricedTokens: number
  /** When the oldest spending stops counting, in milliseconds since the epoch. */
  readonly resetsAt: Option.Option<number>
}

/**
 * Budgets that apply together: a call must fit all of those that cover it.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Reserves the estimated cost of a call and settles it at the end. Fails with `BudgetExceededError` when it does not fit. */
  readonly middleware: Middleware
  /** Status of every budget; for the scope "each-label", of every label that was used. */
  readonly status: Effect.Effect<ReadonlyArray<Status>>
}

/**
 * The budgets that `Budget.middleware()` applies.
 *
 * @since 0.1.0
 * @category tags
 */
export class Budget extends Context.Tag("effect-llm/Budget")<Budget, Service>() {}

/**
 * A budget's options are invalid.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidBudgetError extends Schema.TaggedError<InvalidBudgetError>()("InvalidBudgetError", {
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The budget is not valid. ${this.faults.join("; ")}`
  }
}
