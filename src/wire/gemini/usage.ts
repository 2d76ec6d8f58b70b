/** Tokens as Gemini counts them: `UsageMetadata` of the Gemini API reference. */
import * as Usage from "../../vocabulary/Usage.js"
import type { Json } from "../json.js"
import { tokens } from "../json.js"

/** The counts that the vocabulary has words for. */
const counts = [
  "promptTokenCount",
  "cachedContentTokenCount",
  "candidatesTokenCount",
  "thoughtsTokenCount",
  "totalTokenCount"
]

export const isCounted = (usage: Json): boolean => counts.some((field) => tokens(usage, field) !== undefined)

/**
 * The counts, where there are any. Thoughts are counted beside the answer. What tools of the provider's gave to the model
 * (`toolUsePromptTokenCount`) is counted beside the prompt, and only in the total here: see `usage` in the metadata.
 */
export const decodeUsage = (usage: Json): Usage.Usage | undefined => {
  if (!isCounted(usage)) return undefined
  const total = tokens(usage, "totalTokenCount")
  const thoughts = tokens(usage, "thoughtsTokenCount") ?? 0
  return Usage.make({
    inputTokens: tokens(usage, "promptTokenCount") ?? 0,
    outputTokens: (tokens(usage, "candidatesTokenCount") ?? 0) + thoughts,
    ...(total === undefined ? {} : { totalTokens: total }),
    cachedInputTokens: tokens(usage, "cachedContentTokenCount") ?? 0,
    reasoningTokens: thoughts
  })
}

const present = (field: string, count: number): Json => (count === 0 ? {} : { [field]: count })

export const encodeUsage = (usage: Usage.Usage): Json => ({
  promptTokenCount: usage.inputTokens,
  ...present("cachedContentTokenCount", usage.cachedInputTokens),
  candidatesTokenCount: usage.outputTokens - usage.reasoningTokens,
  ...present("thoughtsTokenCount", usage.reasoningTokens),
  totalTokenCount: usage.totalTokens
})

/** What else is said of the consumption: details by modality, tokens of tools, the tier. */
export const furtherUsage = (usage: Json): Json =>
  Object.fromEntries(Object.entries(usage).filter(([field, value]) => !counts.includes(field) && value != null))
