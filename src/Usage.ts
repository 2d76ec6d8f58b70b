/**
 * Tokens counted: a monoid, so that calls, retries and tool rounds add up with `combineAll`.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import * as TextTokens from "./internal/textTokens.js"

const Tokens = Schema.Number.pipe(Schema.nonNegative())

/**
 * What a call consumed, in tokens.
 *
 * The counts nest: `inputTokens` includes `cachedInputTokens` and `cacheWriteTokens`, and `outputTokens` includes
 * `reasoningTokens`, whatever the provider's own way of counting. `totalTokens` is the provider's total where it sends
 * one, else input plus output.
 *
 * @since 0.1.0
 * @category model
 */
export const Usage = Schema.Struct({
  inputTokens: Tokens,
  outputTokens: Tokens,
  totalTokens: Tokens,
  /** The part of the input that the provider read from its prompt cache. */
  cachedInputTokens: Tokens,
  /** The part of the input that the provider wrote to its prompt cache. */
  cacheWriteTokens: Tokens,
  /** The part of `cacheWriteTokens` that is kept for an hour, at a price of its own (Anthropic); absent where there is none. */
  cacheWrite1hTokens: Schema.optionalWith(Tokens, { exact: true }),
  /** The part of the output that the model spent on thinking. */
  reasoningTokens: Tokens,
  /** True where the provider sent no counts and these were estimated from the length of the text. */
  estimated: Schema.Boolean
}).annotations({ identifier: "Usage" })

/**
 * @since 0.1.0
 * @category model
 */
export type Usage = typeof Usage.Type

/**
 * No tokens at all: the identity of `combine`.
 *
 * @since 0.1.0
 * @category monoid
 */
export const empty: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  totalTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  estimated: false
}

/**
 * A `Usage` from the counts at hand; what is left out is zero, and the total is input plus output unless given.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (counts: Partial<Usage>): Usage => {
  const inputTokens = counts.inputTokens ?? 0
  const outputTokens = counts.outputTokens ?? 0
  return {
    inputTokens,
    outputTokens,
    totalTokens: counts.totalTokens ?? inputTokens + outputTokens,
    cachedInputTokens: counts.cachedInputTokens ?? 0,
    cacheWriteTokens: counts.cacheWriteTokens ?? 0,
    reasoningTokens: counts.reasoningTokens ?? 0,
    estimated: counts.estimated ?? false,
    ...keptLong(counts.cacheWrite1hTokens ?? 0)
  }
}

const keptLong = (tokens: number): Pick<Usage, "cacheWrite1hTokens"> =>
  tokens === 0 ? {} : { cacheWrite1hTokens: tokens }

/**
 * Adds two usages field by field. The sum is an estimate as soon as one of its parts is.
 *
 * @since 0.1.0
 * @category monoid
 */
export const combine = (self: Usage, that: Usage): Usage => ({
  inputTokens: self.inputTokens + that.inputTokens,
  outputTokens: self.outputTokens + that.outputTokens,
  totalTokens: self.totalTokens + that.totalTokens,
  cachedInputTokens: self.cachedInputTokens + that.cachedInputTokens,
  cacheWriteTokens: self.cacheWriteTokens + that.cacheWriteTokens,
  reasoningTokens: self.reasoningTokens + that.reasoningTokens,
  estimated: self.estimated || that.estimated,
  ...keptLong((self.cacheWrite1hTokens ?? 0) + (that.cacheWrite1hTokens ?? 0))
})

/**
 * Adds up any number of usages.
 *
 * @since 0.1.0
 * @category monoid
 */
export const combineAll = (usages: Iterable<Usage>): Usage => {
  let total = empty
  for (const usage of usages) total = combine(total, usage)
  return total
}

/**
 * About how many tokens a text has, for when nobody counted, whatever the model: a whole number.
 *
 * Words, numbers, signs and white space are counted as tokenizers cut them, and other scripts (Chinese, kana, Hangul,
 * Cyrillic, emoji …) by the character. Prose and code come out within about a tenth of OpenAI's newer tokenizer, other
 * languages within a third; a tokenizer that was trained on little of a language needs up to twice as many. What is built
 * from it says so: `Usage.estimated`. `TokenCounter` counts whole requests by it.
 *
 * @since 0.1.0
 * @category estimates
 */
export const estimateTokens: (text: string) => number = TextTokens.estimate

/**
 * A rough count of the tokens in several texts. Those that are tokens already are counted.
 *
 * @since 0.1.0
 * @category estimates
 */
export const estimateAll = (texts: ReadonlyArray<string | ReadonlyArray<number>>): number =>
  texts.reduce<number>((sum, text) => sum + (typeof text === "string" ? estimateTokens(text) : text.length), 0)
