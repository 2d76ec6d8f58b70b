/**
 * Limits on the dollars or tokens that are spent per period: by all calls, by each label, or by one label.
 *
 * Before a call is sent, its estimated cost is reserved in all budgets that apply, atomically. When the call ends, the
 * reservation is replaced by what its attempts consumed: answered, failed or interrupted. Concurrent calls never spend the same
 * amount twice, so a limit is exceeded at most by what calls cost above their estimates. A call that does not fit fails with
 * `BudgetExceededError`, which reports what was spent and when the budget is renewed.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Budget, LLM } from "effect-llm"
 * import { Prices } from "effect-llm/prices"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 *
 * const Spending = Budget.layer([
 *   { name: "everybody", limit: { dollars: 50 }, period: "day", warnAt: 0.8 },
 *   { name: "a team", limit: { dollars: 5 }, period: { rolling: "1 hour" }, scope: "each-label" }
 * ]).pipe(Layer.provide(Prices.layer()))
 *
 * // Labels are those of `UsageLedger.label`.
 * const Limited = OpenAI.pipe(LLM.withMiddleware(Budget.middleware()), Layer.provideMerge(Spending))
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Layer, Option } from "effect"
import type { Middleware } from "../call/model.js"
import * as Checks from "../internal/optionChecks.js"
import * as Usage from "../vocabulary/Usage.js"
import * as Pricing from "./pricing/model.js"
import type * as Accounts from "./budget/accounts.js"
import type { Estimate } from "./budget/calls.js"
import { makeMiddleware } from "./budget/calls.js"
import type { MakeOptions, Options, Service, Status } from "./budget/model.js"
import { Budget, InvalidBudgetError } from "./budget/model.js"
import type { BudgetRule } from "./budget/reservation.js"
import { dollar } from "./budget/reservation.js"
import * as Store from "./budget/store.js"

export * from "./budget/model.js"

export { BudgetStore, type Store } from "./budget/store.js"

export type {
  /**
   * @since 0.1.0
   * @category model
   */
  CalendarUnit,
  /**
   * When spending stops counting: never; at the end of a calendar unit, in UTC or in another time zone (weeks begin on Monday);
   * or a duration after it was spent. A duration is exceeded by at most a sixtieth of the period.
   *
   * @since 0.1.0
   * @category model
   */
  Period
} from "./budget/period.js"

// -------------------------------------------------------------------------------------
// options
// -------------------------------------------------------------------------------------

const logWarning = (status: Status): Effect.Effect<void> => {
  const format = (amount: number) => (status.unit === "dollars" ? `$${amount}` : `${amount} tokens`)
  const ofLabel = Option.match(status.label, { onNone: () => "", onSome: (label) => ` of "${label}"` })
  return Effect.logWarning(
    `The budget "${status.budget}"${ofLabel} is nearly spent: ${format(status.spent)} of ${format(status.limit)}.`
  )
}

const ruleOf = (options: Options, index: number): BudgetRule => {
  const { limit } = options
  const [unit, amount] =
    "dollars" in limit ? (["dollars", limit.dollars * dollar] as const) : (["tokens", limit.tokens] as const)
  const share = options.warnAt ?? (options.onWarn === undefined ? Infinity : 0.8)
  return {
    name: options.name ?? `budget-${index + 1}`,
    unit,
    limit: Math.round(amount),
    period: options.period ?? "forever",
    scope: options.scope ?? "all",
    warnAt: share * amount,
    onWarn: options.onWarn ?? logWarning,
    mustBePriced: options.unknownPrice !== "count-tokens"
  }
}

const faultsOf = (budgets: ReadonlyArray<Options>, rules: ReadonlyArray<BudgetRule>): ReadonlyArray<string> => {
  const names = rules.map(({ name }) => name)
  return [
    ...rules.flatMap(({ limit, name }) =>
      limit > 0 && Number.isFinite(limit) ? [] : [`"${name}": the limit must be more than nothing, and finite`]
    ),
    ...rules.flatMap(({ name }) =>
      name === "" || name.includes("/") ? [`"${name}": the name must not be empty or contain "/"`] : []
    ),
    ...names.flatMap((name, index) => (names.indexOf(name) < index ? [`"${name}": another budget has this name`] : [])),
    ...budgets.flatMap(({ warnAt }, index) =>
      warnAt === undefined || (warnAt > 0 && warnAt <= 1)
        ? []
        : [`"${names[index] ?? ""}": warnAt must be above 0 and at most 1`]
    ),
    ...rules.flatMap(({ name, period }) => {
      if (typeof period === "string" || !("rolling" in period)) return []
      const { faults, millis } = Checks.make()
      millis(`"${name}": period.rolling`, period.rolling, Checks.finite)
      return faults
    })
  ]
}

// -------------------------------------------------------------------------------------
// the service
// -------------------------------------------------------------------------------------

const defaultOutputTokens = 1000

const defaultEstimate: Estimate = (request, _, inputTokens) =>
  Usage.make({
    inputTokens: inputTokens(),
    outputTokens: request.maxTokens ?? defaultOutputTokens,
    estimated: true
  })

const statusOf = (rule: BudgetRule, accountStatus: Accounts.AccountStatus): Status => {
  const unit = rule.unit === "dollars" ? dollar : 1
  const slash = accountStatus.account.indexOf("/")
  return {
    budget: rule.name,
    label: slash === -1 ? Option.none() : Option.some(accountStatus.account.slice(slash + 1)),
    unit: rule.unit,
    limit: accountStatus.limit / unit,
    spent: accountStatus.spent / unit,
    reserved: accountStatus.reserved / unit,
    unpricedTokens: accountStatus.unpriced,
    resetsAt: Number.isFinite(accountStatus.resetsAt) ? Option.some(accountStatus.resetsAt) : Option.none()
  }
}

const warnOnCrossing = (rule: BudgetRule, { after, before }: Accounts.Change): Effect.Effect<void> =>
  before.spent < rule.warnAt && after.spent >= rule.warnAt
    ? Effect.asVoid(
        Effect.forkDaemon(
          Effect.catchAllCause(
            Effect.suspend(() => rule.onWarn(statusOf(rule, after))),
            (cause) => Effect.logWarning(`The warning of the budget "${rule.name}" failed.`, cause)
          )
        )
      )
    : Effect.void

/**
 * Makes budgets over the prices in context. Accounts are kept in the `BudgetStore` in context, else in memory.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  budgets: Options | ReadonlyArray<Options>,
  options: MakeOptions = {}
): Effect.Effect<Service, InvalidBudgetError> =>
  Effect.gen(function* () {
    const all = isList(budgets) ? budgets : [budgets]
    const rules = all.map(ruleOf)
    const faults = faultsOf(all, rules)
    if (faults.length > 0) return yield* new InvalidBudgetError({ faults })
    const pricing = yield* Pricing.Pricing
    const store = yield* Effect.flatMap(
      Effect.serviceOption(Store.BudgetStore),
      Option.match({ onNone: () => Store.makeMemory, onSome: Effect.succeed })
    )
    return {
      middleware: makeMiddleware(
        { owner: rules, rules, store, unsafeStore: Store.unsafeStoreOf(store), pricing, onChange: warnOnCrossing },
        options.estimate ?? defaultEstimate
      ),
      status: Effect.flatMap(rules.some(isForEachLabel) ? store.accounts : Effect.succeed([]), (used) =>
        Effect.map(
          Effect.forEach(rules, (rule) =>
            Effect.forEach(accountsOf(rule, used), (account) =>
              Effect.map(store.accountStatus({ account, limit: rule.limit }), (accountStatus) =>
                statusOf(rule, accountStatus)
              )
            )
          ),
          (statuses) => statuses.flat()
        )
      )
    }
  })

const isList = (budgets: Options | ReadonlyArray<Options>): budgets is ReadonlyArray<Options> => Array.isArray(budgets)

const isForEachLabel = ({ scope }: BudgetRule): boolean => scope === "each-label"

const accountsOf = (rule: BudgetRule, used: ReadonlyArray<string>): ReadonlyArray<string> =>
  isForEachLabel(rule) ? used.filter((account) => account.startsWith(`${rule.name}/`)) : [rule.name]

/**
 * The budgets as a layer. Fails with an `InvalidBudgetError` that lists every fault when one of them is invalid.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Budget } from "effect-llm"
 * import { Prices } from "effect-llm/prices"
 *
 * const Spending = Budget.layer([
 *   { name: "daily", limit: { dollars: 50 }, period: "day" },
 *   { name: "hourly", limit: { tokens: 1_000_000 }, period: { rolling: "1 hour" } }
 * ]).pipe(Layer.provide(Prices.layer()))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  budgets: Options | ReadonlyArray<Options>,
  options: MakeOptions = {}
): Layer.Layer<Budget, InvalidBudgetError> => Layer.effect(Budget, make(budgets, options))

/**
 * The middleware that charges the calls of an `LLM` to the budgets in context, which any number of `LLM`s can share.
 *
 * Apply it outside retries and fallbacks, so that a call is admitted once and all its attempts are charged, and inside a cache,
 * so that hits are free. `LLM.layer` and what is built from it report the usage of every attempt; a custom `LLM` service is
 * charged by the usage of its answers, and of partial answers in its errors.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Budget, LLM } from "effect-llm"
 *
 * const Limited = LLM.layerConfig().pipe(
 *   LLM.withMiddleware(Budget.middleware()),
 *   Layer.provide(Budget.layer({ limit: { tokens: 1_000_000 }, period: "day" }))
 * )
 *
 * const program = LLM.chat("Hello").pipe(
 *   Effect.catchTag("BudgetExceededError", ({ message }) => Effect.logWarning(message)),
 *   Effect.provide(Limited)
 * )
 * ```
 *
 * @since 0.2.0
 * @category middlewares
 */
export const middleware = (): Middleware<never, Budget> => (next) =>
  Effect.flatMap(Budget, (budget) => budget.middleware(next))

/**
 * Status of the budgets in context.
 *
 * @since 0.1.0
 * @category accessors
 */
export const status: Effect.Effect<ReadonlyArray<Status>, never, Budget> = Effect.flatMap(
  Budget,
  (budget) => budget.status
)
