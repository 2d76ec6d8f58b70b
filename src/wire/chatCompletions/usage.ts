/** Token counts of Chat Completions. OpenAI, API reference: chat/object. */
import * as Usage from "../../vocabulary/Usage.js"
import type { Json } from "../json.js"
import { array, isRecord, record, tokens } from "../json.js"
import { unknownFields, knownFields, mergeFields } from "../native.js"

/**
 * Reads the counts under the names of each provider: cached input in `prompt_tokens_details` (OpenAI), as
 * `prompt_cache_hit_tokens` (DeepSeek, "Context Caching"), as `cached_tokens` (Moonshot), or under Anthropic's names
 * (Databricks).
 *
 * `completion_tokens` includes the reasoning tokens unless the total shows that they are counted separately (xAI), or they exceed
 * it and are not in the details, or there is no total (Perplexity's deep research): then they are added. Details that exceed it
 * although there is a total are a wrong count (OpenRouter, of an answer cut off by a limit).
 */
const readUsage = (usage: Json | undefined): Usage.Usage | undefined => {
  if (usage === undefined) return undefined
  const input = tokens(usage, "prompt_tokens")
  const completion = tokens(usage, "completion_tokens")
  if (input === undefined && completion === undefined) return undefined
  const promptDetails = record(usage, "prompt_tokens_details") ?? {}
  const completionDetails = record(usage, "completion_tokens_details") ?? {}
  const detailedTokens = tokens(completionDetails, "reasoning_tokens")
  const reasoningTokens = detailedTokens ?? tokens(usage, "reasoning_tokens") ?? 0
  const total = tokens(usage, "total_tokens")
  const completionTokens = completion ?? 0
  const isSeparate =
    total === (input ?? 0) + completionTokens + reasoningTokens ||
    (reasoningTokens > completionTokens && (detailedTokens === undefined || total === undefined))
  return Usage.make({
    inputTokens: input ?? 0,
    outputTokens: completionTokens + (isSeparate ? reasoningTokens : 0),
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
    reasoningTokens,
    inputAudioTokens: tokens(promptDetails, "audio_tokens") ?? 0,
    outputAudioTokens: tokens(completionDetails, "audio_tokens") ?? 0
  })
}

const usageOfChoice = (body: Json): Json | undefined => {
  const choice = array(body, "choices")?.[0]
  return isRecord(choice) ? record(choice, "usage") : undefined
}

/** The usage of a response or a chunk: in the body, in the choice (Moonshot), or under `x_groq`. */
export const decodeUsage = (body: Json): Usage.Usage | undefined =>
  readUsage(record(body, "usage")) ??
  readUsage(usageOfChoice(body)) ??
  readUsage(record(record(body, "x_groq") ?? {}, "usage"))

const knownCounts = knownFields(["prompt_tokens", "completion_tokens", "total_tokens"], {
  prompt_tokens_details: ["cached_tokens", "cache_write_tokens"],
  completion_tokens_details: ["reasoning_tokens"]
})

/** The counts that `Usage` does not cover, and audio, as they came: predictions, searches, cost …; undefined when there are none. */
export const unknownCounts = (body: Json): Json | undefined => {
  const usage = record(body, "usage")
  return usage === undefined ? undefined : unknownFields(usage, knownCounts)
}

const audio = (count: number | undefined): Json => (count === undefined ? {} : { audio_tokens: count })

/** `otherCounts`: counts that `Usage` does not cover. */
export const encodeUsage = (usage: Usage.Usage, otherCounts: Json = {}): Json =>
  mergeFields(
    {
      prompt_tokens: usage.inputTokens,
      completion_tokens: usage.outputTokens,
      total_tokens: usage.totalTokens,
      prompt_tokens_details: {
        cached_tokens: usage.cachedInputTokens,
        cache_write_tokens: usage.cacheWriteTokens,
        ...audio(usage.inputAudioTokens)
      },
      completion_tokens_details: { reasoning_tokens: usage.reasoningTokens, ...audio(usage.outputAudioTokens) }
    },
    otherCounts
  )
