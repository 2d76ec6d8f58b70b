/** Lines of a ledger, added up. Public by way of `UsageLedger`. */
import type { Cost } from "../../vocabulary/Cost.js"
import * as Costs from "../../vocabulary/Cost.js"
import * as Usage from "../../vocabulary/Usage.js"
import type { Entry } from "./entries.js"
import { cacheHitOutcome } from "./entries.js"

/**
 * Entries, added up.
 *
 * @since 0.1.0
 * @category model
 */
export interface Totals {
  /** Requests that were sent. */
  readonly attempts: number
  /** Those that were answered. */
  readonly succeeded: number
  /** Answers that came from a cache; they are no attempts and cost nothing. */
  readonly cacheHits: number
  readonly usage: Usage.Usage
  /** Of all whose price is known. */
  readonly cost: Cost
  /** What was consumed at a price that is not known, and is therefore not in `cost`. */
  readonly unpriced: Usage.Usage
}

/**
 * Whose totals they are.
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
 * Nothing: the identity of `combine`.
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
 * Two totals as one.
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
 * Totals as one; of none: `empty`.
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
 * One entry as totals.
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
 * The totals of each provider, model, key or label.
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
