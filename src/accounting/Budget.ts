/**
 * Money or tokens that may be spent in a time: by all calls, by each label, or by one.
 *
 * A call sets aside what it may cost before it is sent, in every budget that applies to it at once, and settles when it is over
 * for what its attempts consumed: answered, failed, given up or cut short. Calls under way never spend the same money twice, so
 * that a limit is passed by no more than calls cost above their estimates. A call for which there is no room fails with
 * `BudgetExceededError`, which says what was spent and when there is money again.
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
 * const Limited = OpenAI.pipe(LLM.withMiddleware(Budget.middleware), Layer.provideMerge(Spending))
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Layer, Option, Ref } from "effect"
import type { Middleware } from "../call/model.js"
import { estimateInput } from "../call/request.js"
import * as Checks from "../internal/optionChecks.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import * as Usage from "../vocabulary/Usage.js"
import * as Pricing from "./pricing/model.js"
import * as Accounts from "./budget/accounts.js"
import { around } from "./budget/calls.js"
import type { BudgetRule, Change, Options, Service, Settings, Standing, Status, Store } from "./budget/model.js"
import { Budget, BudgetStore, InvalidBudgetError } from "./budget/model.js"
import { dollar } from "./budget/reservation.js"

export * from "./budget/model.js"

export type {
  /**
   * @since 0.1.0
   * @category model
   */
  CalendarUnit,
  /**
   * When what was spent is forgotten: never; with a unit of the calendar, in UTC or in another time zone (weeks begin on
   * Monday); or so long after it was spent, to a sixtieth of the period and never too early.
   *
   * @since 0.1.0
   * @category model
   */
  Period
} from "./budget/period.js"

// -------------------------------------------------------------------------------------
// the store
// -------------------------------------------------------------------------------------

/**
 * The books of one process, in memory.
 *
 * @since 0.1.0
 * @category store
 */
export const makeStore: Effect.Effect<Store> = Effect.map(Ref.make(Accounts.opened), (books): Store => {
  const modify = <A>(change: (books: Accounts.Books, now: number) => readonly [A, Accounts.Books]): Effect.Effect<A> =>
    Effect.clockWith((clock) => Ref.modify(books, (books) => change(books, clock.unsafeCurrentTimeMillis())))
  return {
    reserve: (claims) => modify((books, now) => Accounts.reserve(books, claims, now)),
    settle: (settlements) => modify((books, now) => Accounts.settle(books, settlements, now)),
    standing: (account) => modify((books, now) => [Accounts.standing(books, account, now), books]),
    accounts: Effect.map(Ref.get(books), Accounts.names)
  }
})

// -------------------------------------------------------------------------------------
// options
// -------------------------------------------------------------------------------------

const logged = (status: Status): Effect.Effect<void> => {
  const shown = (amount: number) => (status.unit === "dollars" ? `$${amount}` : `${amount} tokens`)
  const whose = Option.match(status.label, { onNone: () => "", onSome: (label) => ` of "${label}"` })
  return Effect.logWarning(
    `The budget "${status.budget}"${whose} is nearly spent: ${shown(status.spent)} of ${shown(status.limit)}.`
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
    onWarn: options.onWarn ?? logged,
    mustBePriced: options.unknownPrice !== "count-tokens"
  }
}

const faultsOf = (budgets: ReadonlyArray<Options>, rules: ReadonlyArray<BudgetRule>): ReadonlyArray<string> => {
  const names = rules.map(({ name }) => name)
  return [
    ...rules.flatMap(({ limit, name }) =>
      limit > 0 && Number.isFinite(limit) ? [] : [`"${name}": the limit must be more than nothing, and finite`]
    ),
    ...rules.flatMap(({ name }) => (name === "" || name.includes("/") ? [`"${name}": a name has no "/" in it`] : [])),
    ...names.flatMap((name, index) => (names.indexOf(name) < index ? [`"${name}": two budgets have this name`] : [])),
    ...budgets.flatMap(({ warnAt }, index) =>
      warnAt === undefined || (warnAt > 0 && warnAt <= 1)
        ? []
        : [`"${names[index] ?? ""}": warnAt is a share between 0 and 1`]
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

const usualOutput = 1000

const usual = (request: ChatRequest): Usage.Usage =>
  Usage.make({ inputTokens: estimateInput(request), outputTokens: request.maxTokens ?? usualOutput, estimated: true })

const statusOf = (rule: BudgetRule, standing: Standing): Status => {
  const unit = rule.unit === "dollars" ? dollar : 1
  const slash = standing.account.indexOf("/")
  return {
    budget: rule.name,
    label: slash === -1 ? Option.none() : Option.some(standing.account.slice(slash + 1)),
    unit: rule.unit,
    limit: standing.limit / unit,
    spent: standing.spent / unit,
    reserved: standing.reserved / unit,
    unpricedTokens: standing.unpriced,
    resetsAt: Number.isFinite(standing.resetsAt) ? Option.some(standing.resetsAt) : Option.none()
  }
}

const warned = (rule: BudgetRule, { after, before }: Change): Effect.Effect<void> =>
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
 * Budgets over the prices in context. They keep their books in the `BudgetStore` in context, or in memory of their own.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  budgets: Options | ReadonlyArray<Options>,
  settings: Settings = {}
): Effect.Effect<Service, InvalidBudgetError> =>
  Effect.gen(function* () {
    const all = isList(budgets) ? budgets : [budgets]
    const rules = all.map(ruleOf)
    const faults = faultsOf(all, rules)
    if (faults.length > 0) return yield* new InvalidBudgetError({ faults })
    const pricing = yield* Pricing.Pricing
    const store = yield* Effect.flatMap(
      Effect.serviceOption(BudgetStore),
      Option.match({ onNone: () => makeStore, onSome: Effect.succeed })
    )
    return {
      middleware: around({ owner: rules, rules, store, pricing, changed: warned }, settings.estimate ?? usual),
      status: Effect.flatMap(rules.some(isForEachLabel) ? store.accounts : Effect.succeed([]), (used) =>
        Effect.map(
          Effect.forEach(rules, (rule) =>
            Effect.forEach(accountsOf(rule, used), (account) =>
              Effect.map(store.standing({ account, limit: rule.limit }), (standing) => statusOf(rule, standing))
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
 * The budgets as a layer. `InvalidBudgetError` where one of them makes no sense; it tells every fault.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  budgets: Options | ReadonlyArray<Options>,
  settings: Settings = {}
): Layer.Layer<Budget, InvalidBudgetError> => Layer.effect(Budget, make(budgets, settings))

/**
 * The middleware: the calls of an `LLM` are paid for by the budgets in context, which any number of `LLM`s may share.
 *
 * It belongs outside of retries and fallbacks, so that a call is admitted once and pays for all of its attempts, and inside of a
 * cache, so that hits are free. What the attempts of a call consume it hears from `LLM.layer` and what is built from it; for an
 * `LLM` of another make it goes by the usage of answers, and of errors that carry part of one.
 *
 * @since 0.1.0
 * @category middleware
 */
export const middleware: Middleware<never, Budget> = (next) =>
  Effect.flatMap(Budget, (budget) => budget.middleware(next))

/**
 * How the budgets in context stand.
 *
 * @since 0.1.0
 * @category accessors
 */
export const status: Effect.Effect<ReadonlyArray<Status>, never, Budget> = Effect.flatMap(
  Budget,
  (budget) => budget.status
)
