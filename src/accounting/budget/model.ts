/** The contract of a budget and of the store that holds its accounts. */
import type { Effect, Option } from "effect"
import { Context, Schema } from "effect"
import type { Middleware, ModelInfo } from "../../call/model.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { SharedStateError } from "../../vocabulary/LLMError.js"
import type * as Usage from "../../vocabulary/Usage.js"
import type * as Accounts from "./accounts.js"
import type { Period } from "./period.js"

/**
 * How much may be spent: in US dollars, at the prices in use, or in tokens of input and output.
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
  /** Tells it apart from others, in errors, in `status` and in the store. Without `/`. @default "budget-1", "budget-2" … */
  readonly name?: string
  /** The most that may be spent in a period. */
  readonly limit: Limit
  /** When money is there again. @default "forever" */
  readonly period?: Period
  /** The calls that it covers: all calls, each label separately, or the calls with this label. @default "all" */
  readonly scope?: "all" | "each-label" | { readonly label: string }
  /** The share of the limit, when spent, at which `onWarn` is run: once a period. @default 0.8 where there is an `onWarn`, else never */
  readonly warnAt?: number
  /** Runs in the background and cannot harm the call. @default a warning in the log */
  readonly onWarn?: (status: Status) => Effect.Effect<void>
  /**
   * What a budget in dollars does with a call whose price is unknown. `"deny"`: the call fails with `BudgetExceededError`; if the
   * price turns out to be unknown only afterwards (a fallback answered), the reserved amount counts as spent. `"count-tokens"`: the
   * call passes, spends no dollars, and its tokens are in `Status.unpricedTokens`. @default "deny"
   */
  readonly unknownPrice?: "deny" | "count-tokens"
}

/**
 * What all budgets of one `Budget` have in common.
 *
 * @since 0.1.0
 * @category model
 */
export interface Settings {
  /**
   * What a call may consume at most, as far as one can tell: so much is set aside for it. @default what is counted of the
   * input, and the request's `maxTokens` or 1,000 tokens of output
   */
  readonly estimate?: (request: ChatRequest, info: ModelInfo) => Usage.Usage
}

/**
 * How a budget stands, in its unit.
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
  /** In this period, by calls that are over. */
  readonly spent: number
  /** Set aside for calls under way. */
  readonly reserved: number
  /** Tokens of this period whose price is not known. */
  readonly unpricedTokens: number
  /** When something of what is spent is forgotten, in milliseconds since the epoch. */
  readonly resetsAt: Option.Option<number>
}

/**
 * Budgets that act together: a call must fit into all of those that it falls under.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Sets aside before a call what it may cost, and settles after it; a call that does not fit is a `BudgetExceededError`. */
  readonly middleware: Middleware
  /** Every budget as it stands; those for each label as far as they were used. */
  readonly status: Effect.Effect<ReadonlyArray<Status>>
}

/**
 * The budgets that `Budget.middleware` holds an `LLM` to.
 *
 * @since 0.1.0
 * @category tags
 */
export class Budget extends Context.Tag("effect-llm/Budget")<Budget, Service>() {}

/**
 * A budget makes no sense.
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

/**
 * What a call takes from an account. Amounts are whole numbers: tokens, or trillionths of a dollar.
 *
 * @since 0.1.0
 * @category store
 */
export type Claim = Accounts.Claim

/**
 * A claim whose call is over, and what it came to.
 *
 * @since 0.1.0
 * @category store
 */
export type Settlement = Accounts.Settlement

/**
 * How an account stands against the limit of a claim, in whole numbers as claims have them.
 *
 * @since 0.1.0
 * @category store
 */
export type Standing = Accounts.Standing

/**
 * How an account stood before and after a settlement.
 *
 * @since 0.1.0
 * @category store
 */
export type Change = Accounts.Change

/**
 * Where the books are kept. Each method is atomic. Time is the store's own.
 *
 * @since 0.1.0
 * @category store
 */
export interface Store {
  /**
   * Reserves all claims (of different accounts), or none and says how the account stands that has no room. Books that processes
   * share may be out of reach.
   */
  readonly reserve: (claims: ReadonlyArray<Claim>) => Effect.Effect<Option.Option<Standing>, SharedStateError>
  /**
   * Releases the claims and records what was spent, in the current period. Returns the changes, in order. A store that cannot be
   * reached records them later.
   */
  readonly settle: (settlements: ReadonlyArray<Settlement>) => Effect.Effect<ReadonlyArray<Change>>
  /** How an account stands now against a limit. */
  readonly standing: (account: Pick<Claim, "account" | "limit">) => Effect.Effect<Standing>
  /** The names of the accounts that were used. */
  readonly accounts: Effect.Effect<ReadonlyArray<string>>
}

/**
 * The store that `make` uses instead of one of its own, where there is one in context.
 *
 * @since 0.1.0
 * @category store
 */
export class BudgetStore extends Context.Tag("effect-llm/Budget/Store")<BudgetStore, Store>() {}

/**
 * A budget with all defaults filled in, its limit in whole amounts.
 *
 * @since 0.1.0
 * @category model
 */
export interface BudgetRule {
  readonly name: string
  readonly unit: "dollars" | "tokens"
  readonly limit: number
  readonly period: Period
  readonly scope: "all" | "each-label" | { readonly label: string }
  /** The amount at which `onWarn` is run; infinite where never. */
  readonly warnAt: number
  readonly onWarn: (status: Status) => Effect.Effect<void>
  readonly mustBePriced: boolean
}
