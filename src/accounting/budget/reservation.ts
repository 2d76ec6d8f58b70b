/**
 * The reservation of one call in all budgets that apply, and the consumption of its attempts. It is settled exactly once; an
 * attempt that ends later is charged separately.
 */
import type { Clock } from "effect"
import { Context, Duration, Effect, Option } from "effect"
import type { Status } from "./model.js"
import type { Period } from "./period.js"
import type { Store, UnsafeStore } from "./store.js"
import type { Cost } from "../../vocabulary/cost.js"
import type { ModelInfo } from "../../call/model.js"
import { after } from "../../call/plan.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import { BudgetExceededError, update } from "../../vocabulary/LLMError.js"
import * as Costs from "../pricing/cost.js"
import type { Service as Prices } from "../pricing/model.js"
import { Pricing } from "../pricing/model.js"
import * as Usage from "../../vocabulary/Usage.js"
import type { Change, Claim, AccountStatus } from "./accounts.js"
import type { Listener } from "../../call/usageListeners.js"

/** A budget with all defaults filled in, its limit in whole amounts. */
export interface BudgetRule {
  readonly name: string
  readonly unit: "dollars" | "tokens"
  readonly limit: number
  readonly period: Period
  readonly scope: "all" | "each-label" | { readonly label: string }
  /** The amount at which `onWarn` runs; infinite when it never does. */
  readonly warnAt: number
  readonly onWarn: (status: Status) => Effect.Effect<void>
  readonly mustBePriced: boolean
}

/** Trillionths of a dollar: see `Cost`. */
export const dollar = 1e12

export interface Dependencies {
  readonly owner: object
  readonly rules: ReadonlyArray<BudgetRule>
  readonly store: Store
  /** The store outside of Effect, if it can be used so. */
  readonly unsafeStore: UnsafeStore | undefined
  readonly pricing: Prices
  readonly onChange: (rule: BudgetRule, change: Change) => Effect.Effect<void>
}

export interface ReservationRequest {
  readonly info: ModelInfo
  readonly model: string
  readonly label: string
  readonly estimate: Usage.Usage
}

export interface BudgetReservation {
  readonly listener: Listener
  /**
   * Settles at the end of the call, once, and returns what is left of that. Must be called and run within one uninterruptible region.
   * `usage` is that of the answer; it is charged when no attempt has reported its usage.
   */
  readonly settle: (usage: Usage.Usage | undefined, by: Costs.Answerer) => Effect.Effect<void>
}

interface BudgetClaim {
  readonly rule: BudgetRule
  readonly claim: Claim
}

interface Consumption {
  readonly tokens: number
  readonly dollars: number
  readonly unpriced: number
}

const noConsumption: Consumption = { tokens: 0, dollars: 0, unpriced: 0 }

const amountOf = (cost: Cost): number => Math.round(cost.total * dollar)

/** The cost of a usage at the prices of the call. */
type CostOf = (usage: Usage.Usage, by: Costs.Answerer, at: number) => Option.Option<Cost>

const consumedBy = (costOf: CostOf, usage: Usage.Usage, by: Costs.Answerer, at: number): Consumption =>
  usage.totalTokens === 0
    ? noConsumption
    : Option.match(costOf(usage, by, at), {
        onNone: () => ({ tokens: usage.totalTokens, dollars: 0, unpriced: usage.totalTokens }),
        onSome: (cost) => ({ tokens: usage.totalTokens, dollars: amountOf(cost), unpriced: 0 })
      })

const add = (self: Consumption, that: Consumption): Consumption => ({
  tokens: self.tokens + that.tokens,
  dollars: self.dollars + that.dollars,
  unpriced: self.unpriced + that.unpriced
})

/** When a required price turns out to be unknown, at least the reserved amount counts as spent. */
const settlementOf = ({ claim, rule }: BudgetClaim, consumed: Consumption) => {
  if (rule.unit === "tokens") return { claim, spent: consumed.tokens, unpriced: 0 }
  const { dollars, unpriced } = consumed
  return { claim, spent: unpriced > 0 && rule.mustBePriced ? Math.max(dollars, claim.amount) : dollars, unpriced }
}

const formatAmount = (rule: BudgetRule, amount: number): string =>
  rule.unit === "dollars" ? `$${Number((amount / dollar).toPrecision(6))}` : `${amount.toLocaleString("en-US")} tokens`

const inUnit = (rule: BudgetRule, amount: number): number => (rule.unit === "dollars" ? amount / dollar : amount)

/** The largest time value of a `Date` (ECMA-262, "Time Values and Time Range"); later ends count as never. */
const maxTimestamp = 8.64e15

const budgetExceeded = (
  request: ReservationRequest,
  { claim, rule }: BudgetClaim,
  status: AccountStatus,
  now: number
): BudgetExceededError => {
  const { limit, reserved, resetsAt, spent } = status
  const resets =
    resetsAt <= maxTimestamp
      ? ` Some of it is renewed at ${new Date(resetsAt).toISOString()}.`
      : " None of its spending expires."
  return new BudgetExceededError({
    provider: request.info.provider,
    model: request.model,
    attempts: [],
    reason: "spent",
    budget: rule.name,
    unit: rule.unit,
    limit: inUnit(rule, limit),
    spent: inUnit(rule, spent),
    reserved: inUnit(rule, reserved),
    ...(resetsAt <= maxTimestamp ? { retryAfter: Duration.millis(Math.max(0, resetsAt - now)) } : {}),
    message:
      `The budget "${claim.account}" of ${formatAmount(rule, limit)} has no room for about ${formatAmount(rule, claim.amount)}:` +
      ` ${formatAmount(rule, spent)} are spent and ${formatAmount(rule, reserved)} are reserved for calls in flight.${resets}`
  })
}

const priceUnknown = (request: ReservationRequest, rule: BudgetRule): BudgetExceededError =>
  new BudgetExceededError({
    provider: request.info.provider,
    model: request.model,
    attempts: [],
    budget: rule.name,
    unit: rule.unit,
    limit: inUnit(rule, rule.limit),
    reason: "unknown-price",
    message:
      `The budget "${rule.name}" is in dollars and the price of ${request.info.provider}/${request.model} is not known, so the` +
      ' call was not sent. Set its "price" in provider.json or give it with `Pricing.layer`, or count the tokens of such calls' +
      ' instead with `unknownPrice: "count-tokens"`.'
  })

const accountOf = (rule: BudgetRule, label: string): string =>
  rule.scope === "each-label" ? `${rule.name}/${label}` : rule.name

const applies = (rule: BudgetRule, label: string): boolean =>
  typeof rule.scope === "string" || rule.scope.label === label

/** The claims on all budgets that apply, or the error of the first one that needs a price and has none. */
const claimsFor = (
  deps: Dependencies,
  costOf: CostOf,
  request: ReservationRequest,
  now: number
): ReadonlyArray<BudgetClaim> | BudgetExceededError => {
  const by = Costs.withOwnPrice(request.info, { provider: request.info.provider, model: request.model })
  const cost = costOf(request.estimate, by, now)
  const budgetClaims: Array<BudgetClaim> = []
  for (const rule of deps.rules) {
    if (!applies(rule, request.label)) continue
    if (rule.unit === "dollars" && rule.mustBePriced && Option.isNone(cost)) return priceUnknown(request, rule)
    const amount =
      rule.unit === "tokens" ? request.estimate.totalTokens : Option.match(cost, { onNone: () => 0, onSome: amountOf })
    const { limit, period } = rule
    budgetClaims.push({ rule, claim: { account: accountOf(rule, request.label), limit, period, amount } })
  }
  return budgetClaims
}

/** Reserves the estimate in all budgets that apply, atomically, and uses the reservation, or fails with `BudgetExceededError`. */
export const reserve = <A, R>(
  deps: Dependencies,
  request: ReservationRequest,
  context: Context.Context<never>,
  clock: Clock.Clock,
  use: (reservation: BudgetReservation) => Effect.Effect<A, LLMError, R>
): Effect.Effect<A, LLMError, R> => {
  const now = clock.unsafeCurrentTimeMillis()
  const callPrices = Context.get(context, Pricing)
  const costOf: CostOf = (usage, by, at) => Costs.costWithin(callPrices, deps.pricing, usage, by, at)
  const budgetClaims = claimsFor(deps, costOf, request, now)
  if ("message" in budgetClaims) return Effect.fail(budgetClaims)
  const { info, model } = request
  const claims = budgetClaims.map(({ claim }) => claim)
  const conclude = (refusal: Option.Option<AccountStatus>): Effect.Effect<A, LLMError, R> => {
    if (Option.isNone(refusal)) return use(makeReservation(deps, costOf, budgetClaims, request.estimate, clock))
    const refused = budgetClaims.find(({ claim }) => claim.account === refusal.value.account)
    return refused === undefined
      ? Effect.dieMessage(`The store refused a claim on "${refusal.value.account}", which the call did not make.`)
      : Effect.fail(budgetExceeded(request, refused, refusal.value, now))
  }
  return deps.unsafeStore === undefined
    ? Effect.matchEffect(deps.store.reserve(claims), {
        onFailure: (error) => Effect.fail(update(error, { provider: info.provider, model })),
        onSuccess: conclude
      })
    : conclude(deps.unsafeStore.reserve(claims, now))
}

/** Runs the warnings of the budgets whose accounts have changed. */
const warn = (
  { onChange }: Dependencies,
  budgetClaims: ReadonlyArray<BudgetClaim>,
  changes: ReadonlyArray<Change>
): Effect.Effect<void> => {
  let warnings: Effect.Effect<void> = Effect.void
  for (let index = 0; index < changes.length; index++) {
    const rule = budgetClaims[index]?.rule
    const change = changes[index]
    if (rule !== undefined && change !== undefined) warnings = after(warnings, onChange(rule, change))
  }
  return warnings
}

/** Replaces the claims by what was consumed. */
const charge = (
  deps: Dependencies,
  budgetClaims: ReadonlyArray<BudgetClaim>,
  consumed: Consumption,
  now: number
): Effect.Effect<void> => {
  const settlements = budgetClaims.map((budgetClaim) => settlementOf(budgetClaim, consumed))
  return deps.unsafeStore === undefined
    ? Effect.flatMap(deps.store.settle(settlements), (changes) => warn(deps, budgetClaims, changes))
    : warn(deps, budgetClaims, deps.unsafeStore.settle(settlements, now))
}

const makeReservation = (
  deps: Dependencies,
  costOf: CostOf,
  budgetClaims: ReadonlyArray<BudgetClaim>,
  estimate: Usage.Usage,
  clock: Clock.Clock
): BudgetReservation => {
  let consumed = noConsumption
  let hasUsageReports = false
  let isSettled = false

  return {
    listener: {
      owner: deps.owner,
      onUsage: (attempt) => {
        hasUsageReports = true
        const more = consumedBy(costOf, attempt.usage, Costs.answererOfAttempt(attempt), attempt.endedAt)
        if (isSettled) return charge(deps, budgetClaims.map(withoutAmount), more, clock.unsafeCurrentTimeMillis())
        consumed = add(consumed, more)
        return Effect.void
      }
    },
    settle: (usage, by) => {
      if (isSettled) return Effect.void
      isSettled = true
      const now = clock.unsafeCurrentTimeMillis()
      if (hasUsageReports || usage === undefined) return charge(deps, budgetClaims, consumed, now)
      // A custom `LLM` service can return invalid counts, and spending is never corrected.
      const checked = Usage.checked(usage, () => estimate)
      return charge(deps, budgetClaims, add(consumed, consumedBy(costOf, checked, by, now)), now)
    }
  }
}

const withoutAmount = ({ claim, rule }: BudgetClaim): BudgetClaim => ({ rule, claim: { ...claim, amount: 0 } })
