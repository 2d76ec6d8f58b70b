/** The settings that tune the choice of tokens: which of them a target takes, and in which ranges. */
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { Json } from "./json.js"
import { optional } from "./requestFields.js"
import type { SamplingField, WireFailure } from "./Wire.js"

export const samplingFields: ReadonlyArray<SamplingField> = [
  "topK",
  "frequencyPenalty",
  "presencePenalty",
  "logitBias",
  "logprobs"
]

/**
 * The fields of each protocol by the name of its wire. A dialect of Chat Completions or Responses can have more or fewer. Other
 * wires have all.
 */
export const protocolFields = {
  // Anthropic, API reference, "Create a Message".
  "anthropic-messages": ["topK"],
  // OpenAI, API reference, chat/create.
  "chat-completions": ["frequencyPenalty", "presencePenalty", "logitBias", "logprobs"],
  // alibabacloud.com/help/en/model-studio/qwen-api-via-dashscope: `repetition_penalty` has another scale.
  dashscope: ["topK", "presencePenalty", "logprobs"],
  // Gemini API reference, `GenerationConfig`.
  gemini: ["topK", "frequencyPenalty", "presencePenalty", "logprobs"],
  // docs.ollama.com/api/chat
  ollama: ["topK", "frequencyPenalty", "presencePenalty", "logprobs"],
  // OpenAI, API reference, responses/create.
  responses: ["logprobs"]
} as const satisfies Readonly<Record<string, ReadonlyArray<SamplingField>>>

const fieldsByWire: ReadonlyMap<string, ReadonlyArray<SamplingField>> = new Map(Object.entries(protocolFields))

/** The fields of the protocol of a wire. */
export const fieldsOf = (wire: string): ReadonlyArray<SamplingField> => fieldsByWire.get(wire) ?? samplingFields

/** What a target accepts. The ranges that all targets share are those of `ChatRequest`. */
export interface SamplingLimits {
  readonly sampling: ReadonlyArray<SamplingField>
  /** The largest `temperature`. @default not limited */
  readonly maxTemperature?: number
  /** The largest number of `logprobs`. @default 20, as `ChatRequest` */
  readonly maxLogprobs?: number
}

/** Whether a value requests nothing, so that a target without the field answers the same. */
const isNeutral = (request: ChatRequest, field: SamplingField): boolean => {
  const value = request[field]
  if (value === undefined || value === false) return true
  return typeof value === "object" ? Object.keys(value).length === 0 : value === 0 && field.endsWith("Penalty")
}

const above = (field: string, value: unknown, max: number | undefined): WireFailure | undefined =>
  max === undefined || typeof value !== "number" || value <= max
    ? undefined
    : { _tag: "Invalid", field, message: `${field}: must be between 0 and ${max}, not ${value}` }

/**
 * The failure of a request that the target does not take: a field that it does not have, a value above its range, or several
 * answers (`n`).
 */
export const samplingFault = (request: ChatRequest, limits: SamplingLimits): WireFailure | undefined => {
  const answers = request.extra?.["n"]
  if (typeof answers === "number" && answers > 1) return { _tag: "Unsupported", feature: "n" }
  for (const feature of samplingFields) {
    if (!limits.sampling.includes(feature) && !isNeutral(request, feature)) return { _tag: "Unsupported", feature }
  }
  return (
    above("temperature", request.temperature, limits.maxTemperature) ??
    above("logprobs", request.logprobs, limits.maxLogprobs)
  )
}

// -------------------------------------------------------------------------------------
// the names of Chat Completions, which DashScope and Ollama share
// -------------------------------------------------------------------------------------

export const encodeLogprobs = (logprobs: ChatRequest["logprobs"]): Json => {
  if (logprobs === undefined) return {}
  return typeof logprobs === "number" ? { logprobs: true, top_logprobs: logprobs } : { logprobs }
}

/** Reads `logprobs` and `top_logprobs`. Together has the number in `logprobs` (API reference, chat-completions). */
export const decodeLogprobs = (logprobs: unknown, top: unknown): unknown =>
  logprobs === true ? (top ?? true) : (logprobs ?? undefined)

/** A number of alternatives without the request for log probabilities, which the vocabulary does not cover. */
export const unpairedTop = (logprobs: unknown, top: unknown): unknown => (logprobs === true ? undefined : top)

/** The fields of the request that the target takes. */
export const encodeSampling = (request: ChatRequest, { sampling }: SamplingLimits): Json => {
  const valueOf = (field: SamplingField): unknown => (sampling.includes(field) ? request[field] : undefined)
  return {
    ...optional("top_k", valueOf("topK")),
    ...optional("frequency_penalty", valueOf("frequencyPenalty")),
    ...optional("presence_penalty", valueOf("presencePenalty")),
    ...optional("logit_bias", valueOf("logitBias")),
    ...(sampling.includes("logprobs") ? encodeLogprobs(request.logprobs) : {})
  }
}
