/** The cost of calls in US dollars: a monoid, so that calls, retries and tool rounds add up. */
import { Schema } from "effect"

const Dollars = Schema.Number.pipe(Schema.nonNegative())

/**
 * The cost of one or more calls by what was paid for, in US dollars. The parts are disjoint and `total` is their sum.
 *
 * Amounts are whole trillionths of a dollar: sums are exact up to two thousand dollars, and accurate to fifteen digits above that.
 *
 * @since 0.1.0
 * @category model
 */
export interface Cost extends Schema.Schema.Type<typeof costSchema> {}

const costSchema = Schema.Struct({
  /** Input that was neither read from nor written to the provider's prompt cache. */
  input: Dollars,
  /** Input that was read from the provider's prompt cache. */
  cachedInput: Dollars,
  /** Input that was written to the provider's prompt cache. */
  cacheWrite: Dollars,
  /** Output without reasoning. */
  output: Dollars,
  /** Reasoning. */
  reasoning: Dollars,
  /** The provider's fixed price of the request, whatever its length. */
  request: Dollars,
  /** The sum of the parts. */
  total: Dollars
}).annotations({ identifier: "Cost" })

/**
 * @since 0.1.0
 * @category model
 */
export const Cost: Schema.Schema<Cost> = costSchema

/** Trillionths in a dollar. Prices per million tokens have at most six decimals, so a token costs a whole number of them. */
const trillionths = 1e12

const toTrillionths = (dollars: number): number => Math.round(dollars * trillionths)

/**
 * Adds two amounts in dollars without the rounding errors of binary fractions.
 *
 * @since 0.1.0
 * @category dollars
 */
export const addDollars = (self: number, that: number): number =>
  (toTrillionths(self) + toTrillionths(that)) / trillionths

/**
 * Returns the cost of tokens in dollars, at a price in dollars per million tokens. Rounded to a trillionth of a dollar.
 *
 * @since 0.1.0
 * @category dollars
 */
export const ofTokens = (tokens: number, dollarsPerMillion: number): number =>
  Math.round(tokens * Math.round(dollarsPerMillion * 1e6)) / trillionths

/**
 * Zero cost, the identity of the sum. An unknown cost is not zero; it has no `Cost`.
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
 * Makes a cost from its parts. Parts that are left out are zero.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (parts: Partial<Omit<Cost, "total">>): Cost => {
  const { cacheWrite = 0, cachedInput = 0, input = 0, output = 0, reasoning = 0, request = 0 } = parts
  const inputTotal = addDollars(addDollars(addDollars(0, input), cachedInput), cacheWrite)
  const total = addDollars(addDollars(addDollars(inputTotal, output), reasoning), request)
  return { input, cachedInput, cacheWrite, output, reasoning, request, total }
}

/**
 * Adds two costs part by part.
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
 * Adds any number of costs part by part. The sum of none is zero.
 *
 * @example
 * ```ts
 * import { Pricing } from "effect-llm"
 *
 * const rounds = [Pricing.makeCost({ input: 0.002, output: 0.01 }), Pricing.makeCost({ input: 0.003, reasoning: 0.02 })]
 * const bill = Pricing.combineAllCosts(rounds).total // 0.035
 * ```
 *
 * @since 0.1.0
 * @category monoid
 */
export const combineAll = (costs: Iterable<Cost>): Cost => {
  let sum = free
  for (const cost of costs) sum = combine(sum, cost)
  return sum
}
