/** Usage. Source: Gemini API reference, `UsageMetadata`. */
import * as Usage from "../../vocabulary/Usage.js"
import type { Json } from "../json.js"
import { array, isRecord, tokens } from "../json.js"

/** The counts that the vocabulary covers. */
const counts = [
  "promptTokenCount",
  "cachedContentTokenCount",
  "candidatesTokenCount",
  "thoughtsTokenCount",
  "totalTokenCount"
]

export const hasCounts = (usage: Json): boolean => counts.some((field) => tokens(usage, field) !== undefined)

/**
 * The counts; undefined when there are none. `candidatesTokenCount` does not contain the reasoning. The input from built-in tools
 * (`toolUsePromptTokenCount`) is not in `promptTokenCount`: it is part of the total only, and of `usage` in the metadata.
 */
export const decodeUsage = (usage: Json): Usage.Usage | undefined => {
  if (!hasCounts(usage)) return undefined
  const total = tokens(usage, "totalTokenCount")
  const reasoning = tokens(usage, "thoughtsTokenCount") ?? 0
  return Usage.make({
    inputTokens: tokens(usage, "promptTokenCount") ?? 0,
    outputTokens: (tokens(usage, "candidatesTokenCount") ?? 0) + reasoning,
    ...(total === undefined ? {} : { totalTokens: total }),
    cachedInputTokens: tokens(usage, "cachedContentTokenCount") ?? 0,
    reasoningTokens: reasoning,
    inputAudioTokens: audioIn(usage, "promptTokensDetails"),
    outputAudioTokens: audioIn(usage, "candidatesTokensDetails")
  })
}

/** The tokens of audio in details by modality. */
const audioIn = (usage: Json, field: string): number => {
  const detail = array(usage, field)?.find((each) => isRecord(each) && each["modality"] === "AUDIO")
  return isRecord(detail) ? (tokens(detail, "tokenCount") ?? 0) : 0
}

const present = (field: string, count: number): Json => (count === 0 ? {} : { [field]: count })

export const encodeUsage = (usage: Usage.Usage): Json => ({
  promptTokenCount: usage.inputTokens,
  ...present("cachedContentTokenCount", usage.cachedInputTokens),
  candidatesTokenCount: usage.outputTokens - usage.reasoningTokens,
  ...present("thoughtsTokenCount", usage.reasoningTokens),
  totalTokenCount: usage.totalTokens
})

/** The fields that the vocabulary does not cover, such as details by modality, tokens of tools and the service tier. */
export const otherUsage = (usage: Json): Json =>
  Object.fromEntries(Object.entries(usage).filter(([field, value]) => !counts.includes(field) && value != null))
