/**
 * Tokens counted: a monoid, so that calls, retries and tool rounds add up with `combineAll`.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import * as TextTokens from "./textTokens.js"

const Tokens = Schema.Number.pipe(Schema.nonNegative())

/**
 * What a call consumed, in tokens.
 *
 * The counts nest: `inputTokens` includes `cachedInputTokens` and `cacheWriteTokens`, and `outputTokens` includes
 * `reasoningTokens`, whatever the provider's own way of counting. `totalTokens` is the provider's total where it sends
 * one, else input plus output.
 *
 * Counts are whole numbers from 0 on. A provider's count that is none, or is more than one call can have consumed, is replaced by
 * an estimate, and `estimated` is true.
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
  /** True where the provider sent no counts, or impossible ones, and some of these are estimates. */
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
 * The largest count of tokens that is believed of one call: 50 million, several times the largest context window there is, since
 * a provider's own tools make a model read its context more than once.
 *
 * @since 0.2.0
 * @category estimates
 */
export const maxTokens = 50_000_000

/**
 * Whether a value is a count of tokens that one call can have consumed: a whole number from 0 to `maxTokens`.
 *
 * @since 0.2.0
 * @category guards
 */
export const isTokens = (value: unknown): value is number => isCount(value, maxTokens)

const isCount = (value: unknown, most: number): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most

/**
 * Replaces impossible counts of a usage. Input and output that are no whole numbers from 0 to `most` (at most `maxTokens`) become
 * the estimates; the total is then their sum, and `estimated` is true. Counts of a part (cached, written to a cache, reasoning)
 * are cut to the count that they are a part of, and are zero where they are no whole numbers. Returns the same object where
 * every count is possible.
 *
 * @since 0.2.0
 * @category estimates
 */
export const checked = (
  usage: Usage,
  estimate: () => Pick<Usage, "inputTokens" | "outputTokens">,
  most: Partial<Pick<Usage, "inputTokens" | "outputTokens">> = {}
): Usage => {
  const mostInput = Math.min(most.inputTokens ?? maxTokens, maxTokens)
  const mostOutput = Math.min(most.outputTokens ?? maxTokens, maxTokens)
  const isInput = isCount(usage.inputTokens, mostInput)
  const isOutput = isCount(usage.outputTokens, mostOutput)
  // A zero beside a count that is none says nothing: most providers leave out both or tell both.
  const hasInput = isInput && (isOutput || usage.inputTokens > 0)
  const hasOutput = isOutput && (isInput || usage.outputTokens > 0)
  const estimates = hasInput && hasOutput ? usage : estimate()
  const inputTokens = hasInput ? usage.inputTokens : estimates.inputTokens
  const outputTokens = hasOutput ? usage.outputTokens : estimates.outputTokens
  const hasTotal = hasInput && hasOutput && isCount(usage.totalTokens, mostInput + mostOutput)
  const partOf = (whole: number, part: number | undefined): number => (isTokens(part) ? Math.min(part, whole) : 0)
  const cachedInputTokens = partOf(inputTokens, usage.cachedInputTokens)
  const cacheWriteTokens = partOf(inputTokens - cachedInputTokens, usage.cacheWriteTokens)
  const cacheWrite1hTokens = partOf(cacheWriteTokens, usage.cacheWrite1hTokens)
  const reasoningTokens = partOf(outputTokens, usage.reasoningTokens)
  return hasTotal &&
    cachedInputTokens === usage.cachedInputTokens &&
    cacheWriteTokens === usage.cacheWriteTokens &&
    cacheWrite1hTokens === (usage.cacheWrite1hTokens ?? 0) &&
    reasoningTokens === usage.reasoningTokens
    ? usage
    : {
        inputTokens,
        outputTokens,
        totalTokens: hasTotal ? usage.totalTokens : inputTokens + outputTokens,
        cachedInputTokens,
        cacheWriteTokens,
        reasoningTokens,
        estimated: usage.estimated || !hasInput || !hasOutput,
        ...keptLong(cacheWrite1hTokens)
      }
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
