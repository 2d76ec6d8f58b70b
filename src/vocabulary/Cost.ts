/**
 * Money spent, in US dollars: a monoid, so that calls, retries and tool rounds add up.
 *
 * The parts are disjoint and `total` is their sum. Amounts are whole trillionths of a dollar: sums are exact up to two thousand
 * dollars, and to fifteen digits beyond.
 *
 * @example
 * ```ts
 * import { Cost } from "effect-llm"
 *
 * const rounds = [Cost.make({ input: 0.002, output: 0.01 }), Cost.make({ input: 0.003, reasoning: 0.02 })]
 * const bill = Cost.combineAll(rounds).total // 0.035
 * ```
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

const Dollars = Schema.Number.pipe(Schema.nonNegative())

/**
 * What was paid for, in dollars.
 *
 * @since 0.1.0
 * @category model
 */
export const Cost = Schema.Struct({
  /** Input that the provider had not seen before. */
  input: Dollars,
  /** Input that was read from the provider's prompt cache. */
  cachedInput: Dollars,
  /** Input that was written to the provider's prompt cache. */
  cacheWrite: Dollars,
  /** Output but for thoughts. */
  output: Dollars,
  /** Thoughts. */
  reasoning: Dollars,
  /** What the provider takes for the request as such, whatever its length. */
  request: Dollars,
  /** The sum of the parts. */
  total: Dollars
}).annotations({ identifier: "Cost" })

/**
 * @since 0.1.0
 * @category model
 */
export type Cost = typeof Cost.Type

/** Trillionths of a dollar: what a token costs is a whole number of them, as prices have at most six decimals a million. */
const trillionths = 1e12

const exactly = (dollars: number): number => Math.round(dollars * trillionths)

/**
 * The sum of two amounts of dollars, without the faults of binary fractions.
 *
 * @since 0.1.0
 * @category dollars
 */
export const addDollars = (self: number, that: number): number => (exactly(self) + exactly(that)) / trillionths

/**
 * What so many tokens cost at a price in dollars a million, to the trillionth of a dollar.
 *
 * @since 0.1.0
 * @category dollars
 */
export const ofTokens = (tokens: number, dollarsPerMillion: number): number =>
  Math.round(tokens * Math.round(dollarsPerMillion * 1e6)) / trillionths

/**
 * Nothing, and known to be nothing: the identity of `combine`. A cost that is not known is no `Cost` at all.
 *
 * @since 0.1.0
 * @category monoid
 */
export const free: Cost = {
  input: 0,
  cachedInput: 0,
  cacheWrite: 0,
  output: 0,
  reasoning: 0,
  request: 0,
  total: 0
}

/**
 * A cost from its parts; what is left out is nothing.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (parts: Partial<Omit<Cost, "total">>): Cost => {
  const whole = { ...free, ...parts }
  const { cacheWrite, cachedInput, input, output, reasoning, request } = whole
  return { ...whole, total: [input, cachedInput, cacheWrite, output, reasoning, request].reduce(addDollars, 0) }
}

/**
 * Two costs as one, part by part.
 *
 * @since 0.1.0
 * @category monoid
 */
export const combine = (self: Cost, that: Cost): Cost => ({
  input: addDollars(self.input, that.input),
  cachedInput: addDollars(self.cachedInput, that.cachedInput),
  cacheWrite: addDollars(self.cacheWrite, that.cacheWrite),
  output: addDollars(self.output, that.output),
  reasoning: addDollars(self.reasoning, that.reasoning),
  request: addDollars(self.request, that.request),
  total: addDollars(self.total, that.total)
})

/**
 * Costs as one, part by part; of none: nothing.
 *
 * @since 0.1.0
 * @category monoid
 */
export const combineAll = (costs: Iterable<Cost>): Cost => {
  let sum = free
  for (const cost of costs) sum = combine(sum, cost)
  return sum
}
