/** Sums of ledger entries. Re-exported by `UsageLedger`. */
import type { Cost } from "../../vocabulary/cost.js"
import * as Costs from "../../vocabulary/cost.js"
import * as Usage from "../../vocabulary/Usage.js"
import type { Entry } from "./entries.js"
import { cacheHitOutcome } from "./entries.js"

/**
 * The sum of some entries.
 *
 * @since 0.1.0
 * @category model
 */
export interface Totals {
  /** Requests that were sent. */
  readonly attempts: number
  /** Attempts that were answered. */
  readonly succeeded: number
  /** Answers from a cache; they do not count as attempts and cost nothing. */
  readonly cacheHits: number
  readonly usage: Usage.Usage
  /** Cost of all usage whose price is known. */
  readonly cost: Cost
  /** Usage whose price is unknown, which `cost` does not cover. */
  readonly unpriced: Usage.Usage
}

/**
 * Totals of one provider, model, key and label.
 *
 * @since 0.1.0
 * @category model
 */
export interface Group {
  readonly provider: string
  readonly model: string
  readonly keyId: string
  readonly label: string
  readonly totals: Totals
}

/**
 * Totals of no entries: the identity of `combine`.
 *
 * @since 0.1.0
 * @category monoid
 */
export const empty: Totals = {
  attempts: 0,
  succeeded: 0,
  cacheHits: 0,
  usage: Usage.empty,
  cost: Costs.free,
  unpriced: Usage.empty
}

/**
 * Adds two totals.
 *
 * @since 0.1.0
 * @category monoid
 */
export const combine = (self: Totals, that: Totals): Totals => ({
  attempts: self.attempts + that.attempts,
  succeeded: self.succeeded + that.succeeded,
  cacheHits: self.cacheHits + that.cacheHits,
  usage: Usage.combine(self.usage, that.usage),
  cost: Costs.combine(self.cost, that.cost),
  unpriced: Usage.combine(self.unpriced, that.unpriced)
})

/**
 * Adds any number of totals.
 *
 * @since 0.1.0
 * @category monoid
 */
export const combineAll = (all: Iterable<Totals>): Totals => {
  let sum = empty
  for (const totals of all) sum = combine(sum, totals)
  return sum
}

/**
 * Totals of one entry.
 *
 * @since 0.1.0
 * @category monoid
 */
export const ofEntry = ({ cost, outcome, usage }: Pick<Entry, "cost" | "outcome" | "usage">): Totals => ({
  attempts: outcome === cacheHitOutcome ? 0 : 1,
  succeeded: outcome === "ok" ? 1 : 0,
  cacheHits: outcome === cacheHitOutcome ? 1 : 0,
  usage,
  cost: cost ?? Costs.free,
  unpriced: cost === undefined ? usage : Usage.empty
})

/**
 * Totals by provider, model, key or label.
 *
 * @since 0.1.0
 * @category accessors
 */
export const totalsBy = (
  groups: ReadonlyArray<Group>,
  field: "provider" | "model" | "keyId" | "label"
): ReadonlyMap<string, Totals> => {
  const sums = new Map<string, Totals>()
  for (const group of groups) sums.set(group[field], combine(sums.get(group[field]) ?? empty, group.totals))
  return sums
}
