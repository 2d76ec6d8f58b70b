/**
 * The token counts of calls: a monoid, so that calls, retries and tool rounds add up with `combineAll`.
 *
 * @example
 * ```ts
 * import { Usage } from "effect-llm"
 *
 * const rounds = [
 *   Usage.make({ inputTokens: 120, outputTokens: 30 }),
 *   Usage.make({ inputTokens: 180, cachedInputTokens: 120, outputTokens: 45 })
 * ]
 * const total = Usage.combineAll(rounds).totalTokens // 375
 * ```
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import * as TextTokens from "./textTokens.js"

const Tokens = Schema.Number.pipe(Schema.nonNegative())

/**
 * The tokens that a call consumed.
 *
 * The counts nest: `inputTokens` includes `cachedInputTokens`, `cacheWriteTokens` and `inputAudioTokens`, and `outputTokens` includes
 * `reasoningTokens` and `outputAudioTokens`, however the provider counts. `totalTokens` is the provider's total if it sends one, else input plus output.
 *
 * Counts are non-negative whole numbers. A provider's count of input or output that is not one, or is more than one call can
 * consume, is replaced by an estimate, and `estimated` is true.
 *
 * @since 0.1.0
 * @category model
 */
export interface Usage extends Schema.Schema.Type<typeof usageSchema> {}

const usageSchema = Schema.Struct({
  inputTokens: Tokens,
  outputTokens: Tokens,
  totalTokens: Tokens,
  /** Input that the provider read from its prompt cache. */
  cachedInputTokens: Tokens,
  /** Input that the provider wrote to its prompt cache. */
  cacheWriteTokens: Tokens,
  /** The part of `cacheWriteTokens` that is cached for an hour, at a separate price (Anthropic). Absent when zero. */
  cacheWrite1hTokens: Schema.optionalWith(Tokens, { exact: true }),
  /** Output that the model spent on reasoning. */
  reasoningTokens: Tokens,
  /** Input that is audio, at a separate price (OpenAI, Gemini). Absent when zero. */
  inputAudioTokens: Schema.optionalWith(Tokens, { exact: true }),
  /** Output that is audio. Absent when zero. */
  outputAudioTokens: Schema.optionalWith(Tokens, { exact: true }),
  /** Whether some counts are estimates, because the provider sent none or impossible ones. */
  estimated: Schema.Boolean
}).annotations({ identifier: "Usage" })

/**
 * @since 0.1.0
 * @category model
 */
export const Usage: Schema.Schema<Usage> = usageSchema

/**
 * Zero tokens: the identity of `combine`.
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
 * Makes a `Usage` from some counts. Counts that are left out are zero; the default total is input plus output.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (counts: Partial<Usage>): Usage => {
  const inputTokens = counts.inputTokens ?? 0
  const outputTokens = counts.outputTokens ?? 0
  const usage = {
    inputTokens,
    outputTokens,
    totalTokens: counts.totalTokens ?? inputTokens + outputTokens,
    cachedInputTokens: counts.cachedInputTokens ?? 0,
    cacheWriteTokens: counts.cacheWriteTokens ?? 0,
    reasoningTokens: counts.reasoningTokens ?? 0,
    estimated: counts.estimated ?? false
  }
  return withRareCounts(usage, counts.cacheWrite1hTokens, counts.inputAudioTokens, counts.outputAudioTokens)
}

/** Without a spread for the many that have none: it takes several times as long as the sums. */
const withRareCounts = (usage: Usage, cacheWrite1h = 0, inputAudio = 0, outputAudio = 0): Usage =>
  cacheWrite1h === 0 && inputAudio === 0 && outputAudio === 0
    ? usage
    : {
        ...usage,
        ...(cacheWrite1h === 0 ? {} : { cacheWrite1hTokens: cacheWrite1h }),
        ...(inputAudio === 0 ? {} : { inputAudioTokens: inputAudio }),
        ...(outputAudio === 0 ? {} : { outputAudioTokens: outputAudio })
      }

/**
 * Adds two usages field by field. The sum is estimated if one of them is.
 *
 * @since 0.1.0
 * @category monoid
 */
export const combine = (self: Usage, that: Usage): Usage =>
  withRareCounts(
    {
      inputTokens: self.inputTokens + that.inputTokens,
      outputTokens: self.outputTokens + that.outputTokens,
      totalTokens: self.totalTokens + that.totalTokens,
      cachedInputTokens: self.cachedInputTokens + that.cachedInputTokens,
      cacheWriteTokens: self.cacheWriteTokens + that.cacheWriteTokens,
      reasoningTokens: self.reasoningTokens + that.reasoningTokens,
      estimated: self.estimated || that.estimated
    },
    (self.cacheWrite1hTokens ?? 0) + (that.cacheWrite1hTokens ?? 0),
    (self.inputAudioTokens ?? 0) + (that.inputAudioTokens ?? 0),
    (self.outputAudioTokens ?? 0) + (that.outputAudioTokens ?? 0)
  )

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
 * The largest token count that is accepted for one call: 50 million, several times the largest context window, since a provider's
 * own tools make a model read its context more than once.
 *
 * @since 0.2.0
 * @category estimates
 */
export const maxTokens = 50_000_000

/**
 * Whether a value is a possible token count of one call: a whole number from 0 to `maxTokens`.
 *
 * @since 0.2.0
 * @category guards
 */
export const isTokens = (value: unknown): value is number => isCount(value, maxTokens)

const isCount = (value: unknown, max: number): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max

/**
 * Replaces impossible counts of a usage. Input and output counts that are not whole numbers from 0 to `limits` (at most
 * `maxTokens`) become the estimates; the total is then their sum, and `estimated` is true. Counts of a part (cached, written to a
 * cache, reasoning) are limited to the count that they are part of, and are zero when they are not whole numbers. Returns the
 * same object when every count is possible.
 *
 * @since 0.2.0
 * @category estimates
 */
export const checked = (
  usage: Usage,
  estimate: () => Pick<Usage, "inputTokens" | "outputTokens">,
  limits: Partial<Pick<Usage, "inputTokens" | "outputTokens">> = {}
): Usage => {
  const maxInput = Math.min(limits.inputTokens ?? maxTokens, maxTokens)
  const maxOutput = Math.min(limits.outputTokens ?? maxTokens, maxTokens)
  const isInput = isCount(usage.inputTokens, maxInput)
  const isOutput = isCount(usage.outputTokens, maxOutput)
  // A zero next to an impossible count is not trusted: most providers report both counts or neither.
  const hasInput = isInput && (isOutput || usage.inputTokens > 0)
  const hasOutput = isOutput && (isInput || usage.outputTokens > 0)
  const estimates = hasInput && hasOutput ? usage : estimate()
  const inputTokens = hasInput ? usage.inputTokens : estimates.inputTokens
  const outputTokens = hasOutput ? usage.outputTokens : estimates.outputTokens
  const hasTotal = hasInput && hasOutput && isCount(usage.totalTokens, maxInput + maxOutput)
  const partOf = (whole: number, part: number | undefined): number => (isTokens(part) ? Math.min(part, whole) : 0)
  const cachedInputTokens = partOf(inputTokens, usage.cachedInputTokens)
  const cacheWriteTokens = partOf(inputTokens - cachedInputTokens, usage.cacheWriteTokens)
  const cacheWrite1hTokens = partOf(cacheWriteTokens, usage.cacheWrite1hTokens)
  const reasoningTokens = partOf(outputTokens, usage.reasoningTokens)
  const inputAudioTokens = partOf(inputTokens, usage.inputAudioTokens)
  const outputAudioTokens = partOf(outputTokens, usage.outputAudioTokens)
  return hasTotal &&
    cachedInputTokens === usage.cachedInputTokens &&
    cacheWriteTokens === usage.cacheWriteTokens &&
    cacheWrite1hTokens === (usage.cacheWrite1hTokens ?? 0) &&
    inputAudioTokens === (usage.inputAudioTokens ?? 0) &&
    outputAudioTokens === (usage.outputAudioTokens ?? 0) &&
    reasoningTokens === usage.reasoningTokens
    ? usage
    : withRareCounts(
        {
          inputTokens,
          outputTokens,
          totalTokens: hasTotal ? usage.totalTokens : inputTokens + outputTokens,
          cachedInputTokens,
          cacheWriteTokens,
          reasoningTokens,
          estimated: usage.estimated || !hasInput || !hasOutput
        },
        cacheWrite1hTokens,
        inputAudioTokens,
        outputAudioTokens
      )
}

/**
 * Estimates the tokens of a text for any model, for calls without counts of the provider. Returns a whole number.
 *
 * Words, numbers, signs and white space are counted as tokenizers split them, and other scripts (Chinese, kana, Hangul,
 * Cyrillic, emoji …) by the character. The estimate is within about a tenth of OpenAI's newer tokenizer for English prose and
 * code, and within a third for other languages; a tokenizer with little training data of a language needs up to twice as many
 * tokens. A `Usage` with estimates has `estimated: true`. `TokenCounter` estimates whole requests with it.
 *
 * @since 0.1.0
 * @category estimates
 */
export const estimateTokens: (text: string) => number = TextTokens.estimate

/**
 * Estimates the tokens of several texts. Texts that are arrays of tokens are counted exactly.
 *
 * @since 0.1.0
 * @category estimates
 */
export const estimateAll = (texts: ReadonlyArray<string | ReadonlyArray<number>>): number =>
  texts.reduce<number>((sum, text) => sum + (typeof text === "string" ? estimateTokens(text) : text.length), 0)
