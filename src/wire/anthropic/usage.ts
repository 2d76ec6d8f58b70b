/** Usage. Unlike in the vocabulary, `input_tokens` does not contain the tokens read from and written to the cache. */
import * as Usage from "../../vocabulary/Usage.js"
import type { Json } from "../json.js"
import { record, tokens } from "../json.js"

/** The counts; undefined when there are none, or all are zero. */
export const decodeUsage = (usage: Json): Usage.Usage | undefined => {
  const cached = tokens(usage, "cache_read_input_tokens") ?? 0
  const cacheWritten = tokens(usage, "cache_creation_input_tokens") ?? 0
  const input = (tokens(usage, "input_tokens") ?? 0) + cached + cacheWritten
  const output = tokens(usage, "output_tokens") ?? 0
  return input + output === 0
    ? undefined
    : Usage.make({
        inputTokens: input,
        outputTokens: output,
        cachedInputTokens: cached,
        cacheWriteTokens: cacheWritten,
        cacheWrite1hTokens: tokens(record(usage, "cache_creation") ?? {}, "ephemeral_1h_input_tokens") ?? 0,
        reasoningTokens: tokens(record(usage, "output_tokens_details") ?? {}, "thinking_tokens") ?? 0
      })
}

const knownCounts: ReadonlySet<string> = new Set([
  "input_tokens",
  "output_tokens",
  "cache_read_input_tokens",
  "cache_creation_input_tokens",
  "output_tokens_details"
])

/** The fields that the vocabulary does not cover, such as cache lifetimes, web searches and the service tier. */
export const otherUsage = (usage: Json): Json =>
  Object.fromEntries(Object.entries(usage).filter(([field]) => !knownCounts.has(field)))

export const encodeUsage = (usage: Usage.Usage, other: Json): Json => ({
  ...other,
  input_tokens: Math.max(0, usage.inputTokens - usage.cachedInputTokens - usage.cacheWriteTokens),
  cache_creation_input_tokens: usage.cacheWriteTokens,
  cache_read_input_tokens: usage.cachedInputTokens,
  output_tokens: usage.outputTokens,
  ...(usage.reasoningTokens === 0 ? {} : { output_tokens_details: { thinking_tokens: usage.reasoningTokens } })
})
