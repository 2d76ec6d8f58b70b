/** Tokens as Chat Completions counts them. OpenAI, API reference: chat/object. */
import * as Usage from "../../vocabulary/Usage.js"
import type { Json } from "../json.js"
import { array, isRecord, record, tokens } from "../json.js"
import { unknownFields, knownFields, mergeFields } from "../native.js"

/**
 * The counts under every provider's own names: cached input in `prompt_tokens_details` (OpenAI), as
 * `prompt_cache_hit_tokens` (DeepSeek, "Context Caching"), as `cached_tokens` (Moonshot), or in Anthropic's words (Databricks).
 *
 * Thoughts are counted inside of `completion_tokens`, but by providers whose total says that they stand beside it (xAI), or
 * who count them beside it and have more of them than of all the rest (Perplexity's deep research): there they are put
 * inside. More of them in the details than in the whole is but a poor count (OpenRouter, of what a limit cut off).
 */
const readUsage = (usage: Json | undefined): Usage.Usage | undefined => {
  if (usage === undefined) return undefined
  const input = tokens(usage, "prompt_tokens")
  const completion = tokens(usage, "completion_tokens")
  if (input === undefined && completion === undefined) return undefined
  const promptDetails = record(usage, "prompt_tokens_details") ?? {}
  const completionDetails = record(usage, "completion_tokens_details") ?? {}
  const detailed = tokens(completionDetails, "reasoning_tokens")
  const reasoningTokens = detailed ?? tokens(usage, "reasoning_tokens") ?? 0
  const total = tokens(usage, "total_tokens")
  const told = completion ?? 0
  const beside =
    total === (input ?? 0) + told + reasoningTokens ||
    (reasoningTokens > told && (detailed === undefined || total === undefined))
  return Usage.make({
    inputTokens: input ?? 0,
    outputTokens: told + (beside ? reasoningTokens : 0),
    ...(total === undefined ? {} : { totalTokens: total }),
    cachedInputTokens:
      tokens(promptDetails, "cached_tokens") ??
      tokens(usage, "prompt_cache_hit_tokens") ??
      tokens(usage, "cached_tokens") ??
      tokens(usage, "cache_read_input_tokens") ??
      0,
    cacheWriteTokens:
      tokens(promptDetails, "cache_write_tokens") ??
      tokens(promptDetails, "cache_creation_tokens") ??
      tokens(promptDetails, "cache_creation_input_tokens") ??
      tokens(usage, "cache_creation_input_tokens") ??
      0,
    reasoningTokens
  })
}

const usageOfChoice = (body: Json): Json | undefined => {
  const choice = array(body, "choices")?.[0]
  return isRecord(choice) ? record(choice, "usage") : undefined
}

/** The usage of an answer or a chunk: at the top, in the choice (Moonshot), or under `x_groq`. */
export const decodeUsage = (body: Json): Usage.Usage | undefined =>
  readUsage(record(body, "usage")) ??
  readUsage(usageOfChoice(body)) ??
  readUsage(record(record(body, "x_groq") ?? {}, "usage"))

const counted = knownFields(["prompt_tokens", "completion_tokens", "total_tokens"], {
  prompt_tokens_details: ["cached_tokens", "cache_write_tokens"],
  completion_tokens_details: ["reasoning_tokens"]
})

/** What is counted beside that: sounds, predictions, searches, cost …; nothing where there is no more. */
export const furtherUsage = (body: Json): Json | undefined => {
  const usage = record(body, "usage")
  return usage === undefined ? undefined : unknownFields(usage, counted)
}

/** `further`: what was counted beside that. */
export const encodeUsage = (usage: Usage.Usage, further: Json = {}): Json =>
  mergeFields(
    {
      prompt_tokens: usage.inputTokens,
      completion_tokens: usage.outputTokens,
      total_tokens: usage.totalTokens,
      prompt_tokens_details: { cached_tokens: usage.cachedInputTokens, cache_write_tokens: usage.cacheWriteTokens },
      completion_tokens_details: { reasoning_tokens: usage.reasoningTokens }
    },
    further
  )
