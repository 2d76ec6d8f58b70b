/**
 * The tab of one call: what the budgets that apply have set aside for it, and what its attempts consume. It is settled exactly
 * once; an attempt that ends after that is charged by itself.
 */
import { Clock, Duration, Effect, Option } from "effect"
import type { BudgetRule, Store } from "./model.js"
import type { Cost } from "../../vocabulary/Cost.js"
import type { ModelInfo } from "../../call/model.js"
import type { SharedStateError } from "../../vocabulary/LLMError.js"
import { BudgetExceededError, amend } from "../../vocabulary/LLMError.js"
import * as Costs from "../pricing/cost.js"
import type { Service as Prices } from "../pricing/model.js"
import { Pricing } from "../pricing/model.js"
import * as Usage from "../../vocabulary/Usage.js"
import type { Change, Claim, Standing } from "./accounts.js"
import type { Listener } from "../../telemetry/usageListeners.js"

/** Trillionths of a dollar: see `Cost`. */
export const dollar = 1e12

export interface Dependencies {
  readonly owner: object
  readonly rules: ReadonlyArray<BudgetRule>
  readonly store: Store
  readonly pricing: Prices
  readonly changed: (rule: BudgetRule, change: Change) => Effect.Effect<void>
}

export interface Call {
  readonly info: ModelInfo
  readonly model: string
  readonly label: string
  readonly estimate: Usage.Usage
}

export interface BudgetReservation {
  readonly listener: Listener
  /** The end of the call, with the usage that its answer tells, for an `LLM` whose attempts report no usage. */
  readonly settle: (usage: Usage.Usage | undefined, by: Costs.Answerer) => Effect.Effect<void>
}

interface Entry {
  readonly rule: BudgetRule
  readonly claim: Claim
}

interface Consumed {
  readonly tokens: number
  readonly dollars: number
  readonly unpriced: number
}

const nothing: Consumed = { tokens: 0, dollars: 0, unpriced: 0 }

const amountOf = (cost: Cost): number => Math.round(cost.total * dollar)

/** What a usage costs, by the prices that the call has. */
type CostOf = (usage: Usage.Usage, by: Costs.Answerer, at: number) => Option.Option<Cost>

const consumedBy = (costOf: CostOf, usage: Usage.Usage, by: Costs.Answerer, at: number): Consumed =>
  usage.totalTokens === 0
    ? nothing
    : Option.match(costOf(usage, by, at), {
        onNone: () => ({ tokens: usage.totalTokens, dollars: 0, unpriced: usage.totalTokens }),
        onSome: (cost) => ({ tokens: usage.totalTokens, dollars: amountOf(cost), unpriced: 0 })
      })

const add = (self: Consumed, that: Consumed): Consumed => ({
  tokens: self.tokens + that.tokens,
  dollars: self.dollars + that.dollars,
  unpriced: self.unpriced + that.unpriced
})

/** Where the price turns out to be unknown although it had to be known, what was set aside is taken, if it is more. */
const settlementOf = ({ claim, rule }: Entry, consumed: Consumed) => {
  if (rule.unit === "tokens") return { claim, spent: consumed.tokens, unpriced: 0 }
  const { dollars, unpriced } = consumed
  return { claim, spent: unpriced > 0 && rule.mustBePriced ? Math.max(dollars, claim.amount) : dollars, unpriced }
}

const said = (rule: BudgetRule, amount: number): string =>
  rule.unit === "dollars" ? `$${Number((amount / dollar).toPrecision(6))}` : `${amount.toLocaleString("en-US")} tokens`

const inUnit = (rule: BudgetRule, amount: number): number => (rule.unit === "dollars" ? amount / dollar : amount)

/** The last moment that a date can be (ECMA-262, "Time Values and Time Range"): what ends later never does. */
const latest = 8.64e15

const denied = (call: Call, { claim, rule }: Entry, standing: Standing, now: number): BudgetExceededError => {
  const { limit, reserved, resetsAt, spent } = standing
  const resets =
    resetsAt <= latest
      ? ` Some of it is free again at ${new Date(resetsAt).toISOString()}.`
      : " It is not renewed by itself."
  return new BudgetExceededError({
    provider: call.info.provider,
    model: call.model,
    attempts: [],
    reason: "spent",
    budget: rule.name,
    unit: rule.unit,
    limit: inUnit(rule, limit),
    spent: inUnit(rule, spent),
    reserved: inUnit(rule, reserved),
    ...(resetsAt <= latest ? { retryAfter: Duration.millis(Math.max(0, resetsAt - now)) } : {}),
    message:
      `The budget "${claim.account}" of ${said(rule, limit)} has no room for about ${said(rule, claim.amount)}:` +
      ` ${said(rule, spent)} are spent and ${said(rule, reserved)} are set aside for calls under way.${resets}`
  })
}

const priceless = (call: Call, rule: BudgetRule): BudgetExceededError =>
  new BudgetExceededError({
    provider: call.info.provider,
    model: call.model,
    attempts: [],
    budget: rule.name,
    unit: rule.unit,
    limit: inUnit(rule, rule.limit),
    reason: "unknown-price",
    message:
      `The budget "${rule.name}" is in dollars and the price of ${call.info.provider}/${call.model} is not known, so the call` +
      ' was not sent. Set its "price" in provider.json or give it with `Pricing.layer`, or count the tokens of such calls' +
      ' instead with `unknownPrice: "count-tokens"`.'
  })

const accountOf = (rule: BudgetRule, label: string): string =>
  rule.scope === "each-label" ? `${rule.name}/${label}` : rule.name

const applies = (rule: BudgetRule, label: string): boolean =>
  typeof rule.scope === "string" || rule.scope.label === label

/** What each budget that applies has to set aside; or the first that cannot know it. */
const entriesOf = (
  deps: Dependencies,
  costOf: CostOf,
  call: Call,
  now: number
): ReadonlyArray<Entry> | BudgetExceededError => {
  const by = Costs.withOwnPrice(call.info, { provider: call.info.provider, model: call.model })
  const cost = costOf(call.estimate, by, now)
  const entries: Array<Entry> = []
  for (const rule of deps.rules) {
    if (!applies(rule, call.label)) continue
    if (rule.unit === "dollars" && rule.mustBePriced && Option.isNone(cost)) return priceless(call, rule)
    const amount =
      rule.unit === "tokens" ? call.estimate.totalTokens : Option.match(cost, { onNone: () => 0, onSome: amountOf })
    const { limit, period } = rule
    entries.push({ rule, claim: { account: accountOf(rule, call.label), limit, period, amount } })
  }
  return entries
}

/** Sets aside what the call is taken to cost, in all budgets that apply at once, or refuses the call. */
export const open = (
  deps: Dependencies,
  call: Call
): Effect.Effect<BudgetReservation, BudgetExceededError | SharedStateError> =>
  Effect.flatMap(Effect.zip(Clock.currentTimeMillis, Pricing), ([now, called]) => {
    const costOf: CostOf = (usage, by, at) => Costs.costWithin(called, deps.pricing, usage, by, at)
    const entries = entriesOf(deps, costOf, call, now)
    if ("message" in entries) return Effect.fail(entries)
    const claims = entries.map(({ claim }) => claim)
    const { info, model } = call
    const reserved = Effect.mapError(deps.store.reserve(claims), (error) =>
      amend(error, { provider: info.provider, model })
    )
    return Effect.flatMap(reserved, (refusal) => {
      if (Option.isNone(refusal)) return Effect.succeed(tabOf(deps, costOf, entries, call.estimate))
      const refused = entries.find(({ claim }) => claim.account === refusal.value.account)
      return refused === undefined
        ? Effect.dieMessage(`The store refused a claim on "${refusal.value.account}" that nobody made.`)
        : Effect.fail(denied(call, refused, refusal.value, now))
    })
  })

const tabOf = (
  deps: Dependencies,
  costOf: CostOf,
  entries: ReadonlyArray<Entry>,
  estimate: Usage.Usage
): BudgetReservation => {
  let consumed = nothing
  let heardAny = false
  let over = false

  const charge = (entries: ReadonlyArray<Entry>, consumed: Consumed): Effect.Effect<void> =>
    Effect.flatMap(deps.store.settle(entries.map((entry) => settlementOf(entry, consumed))), (changes) =>
      Effect.forEach(
        entries,
        ({ rule }, index) => {
          const change = changes[index]
          return change === undefined ? Effect.void : deps.changed(rule, change)
        },
        { discard: true }
      )
    )

  return {
    listener: {
      owner: deps.owner,
      onUsage: (attempt) =>
        Effect.suspend(() => {
          heardAny = true
          const more = consumedBy(costOf, attempt.usage, Costs.answererOfAttempt(attempt), attempt.endedAt)
          if (over) return charge(entries.map(withoutClaim), more)
          consumed = add(consumed, more)
          return Effect.void
        })
    },
    settle: (usage, by) =>
      Effect.uninterruptible(
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          if (over) return Effect.void
          over = true
          if (heardAny || usage === undefined) return charge(entries, consumed)
          // The counts of an `LLM` of another make may be anything, and what is once spent stays spent.
          const believed = Usage.checked(usage, () => estimate)
          return charge(entries, add(consumed, consumedBy(costOf, believed, by, now)))
        })
      )
  }
}

const withoutClaim = ({ claim, rule }: Entry): Entry => ({ rule, claim: { ...claim, amount: 0 } })
