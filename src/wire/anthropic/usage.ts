/** Tokens as the protocol counts them: what the cache read and what it wrote stand beside the input, not in it. */
import * as Usage from "../../vocabulary/Usage.js"
import type { Json } from "../json.js"
import { record, tokens } from "../json.js"

/** The counts; nothing where there is none, and a request of no tokens at all was not counted. */
export const readUsage = (usage: Json): Usage.Usage | undefined => {
  const cached = tokens(usage, "cache_read_input_tokens") ?? 0
  const written = tokens(usage, "cache_creation_input_tokens") ?? 0
  const input = (tokens(usage, "input_tokens") ?? 0) + cached + written
  const output = tokens(usage, "output_tokens") ?? 0
  return input + output === 0
    ? undefined
    : Usage.make({
        inputTokens: input,
        outputTokens: output,
        cachedInputTokens: cached,
        cacheWriteTokens: written,
        cacheWrite1hTokens: tokens(record(usage, "cache_creation") ?? {}, "ephemeral_1h_input_tokens") ?? 0,
        reasoningTokens: tokens(record(usage, "output_tokens_details") ?? {}, "thinking_tokens") ?? 0
      })
}

const counted: ReadonlySet<string> = new Set([
  "input_tokens",
  "output_tokens",
  "cache_read_input_tokens",
  "cache_creation_input_tokens",
  "output_tokens_details"
])

/** What else is told of the usage: how long what was written to the cache stays there, searches made, service tier … */
export const furtherUsage = (usage: Json): Json =>
  Object.fromEntries(Object.entries(usage).filter(([field]) => !counted.has(field)))

export const encodeUsage = (usage: Usage.Usage, further: Json): Json => ({
  ...further,
  input_tokens: Math.max(0, usage.inputTokens - usage.cachedInputTokens - usage.cacheWriteTokens),
  cache_creation_input_tokens: usage.cacheWriteTokens,
  cache_read_input_tokens: usage.cachedInputTokens,
  output_tokens: usage.outputTokens,
  ...(usage.reasoningTokens === 0 ? {} : { output_tokens_details: { thinking_tokens: usage.reasoningTokens } })
})
