/** Token counts of DashScope. alibabacloud.com/help/en/model-studio/qwen-api-via-dashscope, "usage" */
import * as Usage from "../../vocabulary/Usage.js"
import type { Json } from "../json.js"
import { record, tokens } from "../json.js"

export const hasCounts = (usage: Json): boolean =>
  tokens(usage, "input_tokens") !== undefined || tokens(usage, "output_tokens") !== undefined

export const decodeUsage = (usage: Json): Usage.Usage => {
  const prompt = record(usage, "prompt_tokens_details") ?? {}
  const total = tokens(usage, "total_tokens")
  return Usage.make({
    inputTokens: tokens(usage, "input_tokens") ?? 0,
    outputTokens: tokens(usage, "output_tokens") ?? 0,
    ...(total === undefined ? {} : { totalTokens: total }),
    cachedInputTokens: tokens(prompt, "cached_tokens") ?? tokens(usage, "cached_tokens") ?? 0,
    cacheWriteTokens: tokens(prompt, "cache_creation_input_tokens") ?? 0,
    reasoningTokens: tokens(record(usage, "output_tokens_details") ?? {}, "reasoning_tokens") ?? 0
  })
}

/** The counts that `Usage` does not cover: images, audio, video, plug-ins. */
export const unknownCounts = (usage: Json): Json => {
  const {
    cached_tokens: _,
    input_tokens: __,
    output_tokens: ___,
    output_tokens_details: ____,
    prompt_tokens_details: _____,
    total_tokens: ______,
    ...unknown
  } = usage
  return Object.fromEntries(Object.entries(unknown).filter(([, value]) => value !== null))
}

export const encodeUsage = (usage: Usage.Usage): Json => ({
  input_tokens: usage.inputTokens,
  output_tokens: usage.outputTokens,
  total_tokens: usage.totalTokens,
  prompt_tokens_details: {
    cached_tokens: usage.cachedInputTokens,
    cache_creation_input_tokens: usage.cacheWriteTokens
  },
  output_tokens_details: { reasoning_tokens: usage.reasoningTokens }
})
