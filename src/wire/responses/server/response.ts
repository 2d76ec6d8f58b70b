/** Encodes a whole response, or an error. */
import type { ChatResponse, FinishReason, ReasoningPart, ToolCall } from "../../../vocabulary/Chat.js"
import type { Usage } from "../../../vocabulary/Usage.js"
import type { Json } from "../../json.js"
import { isRecord } from "../../json.js"
import type { Served, ServedError } from "../../Wire.js"
import { callItem, groupByItem, reasoningItem } from "../items.js"

/** The response id without its prefix, which makes the ids of its items unique. */
export const idSuffix = (id: string): string => id.replace(/^resp_/, "")

/** A part of a message. */
export interface MessagePart {
  readonly channel: "text" | "refusal"
  readonly text: string
}

/** A message item. The first text part gets the annotations and log probabilities of `metadata`. */
export const messageItem = (
  id: string,
  parts: ReadonlyArray<MessagePart>,
  metadata: Json,
  status: "completed" | "in_progress" = "completed"
): Json => {
  const first = parts.find(({ channel }) => channel === "text")
  return {
    id,
    type: "message",
    role: "assistant",
    status,
    content: parts.map((part) =>
      part.channel === "refusal" ? refusalPart(part.text) : textPart(part.text, part === first ? metadata : {})
    )
  }
}

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

export const textPart = (text: string, metadata: Json = {}): Json => ({
  type: "output_text",
  text,
  annotations: list(metadata["annotations"]),
  logprobs: list(metadata["logprobs"])
})

export const refusalPart = (refusal: string): Json => ({ type: "refusal", refusal })

/** A reasoning item; `id` is used when the parts have none. */
export const reasoningOutput = (id: string, parts: ReadonlyArray<ReasoningPart>): Json => ({
  id,
  ...reasoningItem(parts)
})

export const toolCallItem = (id: string, call: ToolCall, status: "completed" | "in_progress" = "completed"): Json => ({
  id,
  ...callItem(call),
  status
})

/** Items of tools that the provider ran itself, unchanged. */
export const metadataItems = (metadata: Json): ReadonlyArray<unknown> => list(metadata["items"])

export const encodeUsage = (usage: Usage, metadata: Json): Json => ({
  ...(isRecord(metadata["usage"]) ? metadata["usage"] : {}),
  input_tokens: usage.inputTokens,
  input_tokens_details: { cached_tokens: usage.cachedInputTokens, cache_write_tokens: usage.cacheWriteTokens },
  output_tokens: usage.outputTokens,
  output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  total_tokens: usage.totalTokens
})

/** Raw reasons that are a status of the protocol. */
const rawStatuses: ReadonlySet<string> = new Set(["cancelled", "in_progress", "queued"])

/** The status of a finished response, and the reason of an incomplete one. */
export const endStatus = (
  reason: FinishReason,
  raw: string
): { readonly status: string; readonly incomplete_details: { readonly reason: string } | null } => {
  const incomplete = (detail: string) => ({ status: "incomplete", incomplete_details: { reason: detail } })
  switch (reason) {
    case "stop":
    case "tool-calls":
      return { status: "completed", incomplete_details: null }
    case "length":
      return incomplete("max_output_tokens")
    case "content-filter":
      return incomplete("content_filter")
    case "other":
      return rawStatuses.has(raw) ? { status: raw, incomplete_details: null } : incomplete(raw === "" ? "other" : raw)
  }
}

/** The response object, which repeats fields of the request. */
export const responseObject = (request: Json, createdAt: number, fields: Json): Record<string, unknown> => ({
  object: "response",
  created_at: createdAt,
  error: null,
  incomplete_details: null,
  instructions: request["instructions"] ?? null,
  max_output_tokens: request["max_output_tokens"] ?? null,
  metadata: request["metadata"] ?? {},
  output: [],
  parallel_tool_calls: request["parallel_tool_calls"] ?? true,
  previous_response_id: request["previous_response_id"] ?? null,
  reasoning: request["reasoning"] ?? { effort: null, summary: null },
  store: request["store"] ?? true,
  temperature: request["temperature"] ?? null,
  text: request["text"] ?? { format: { type: "text" } },
  tool_choice: request["tool_choice"] ?? "auto",
  tools: request["tools"] ?? [],
  top_p: request["top_p"] ?? null,
  truncation: request["truncation"] ?? "disabled",
  usage: null,
  user: request["user"] ?? null,
  ...fields
})

/** The metadata that belongs to the response object and not to its items or usage. */
export const metadataFields = (metadata: Json): Json => {
  const { annotations: _, items: __, logprobs: ___, usage: ____, ...fields } = metadata
  return fields
}

const isReasoning = (part: { readonly type: string }): part is ReasoningPart => part.type === "reasoning"

export const encodeResponse = (
  response: ChatResponse,
  { createdAt = 0, request = {} }: Served = {}
): Record<string, unknown> => {
  const { id, providerMetadata: metadata } = response
  const suffix = idSuffix(id)
  const reasoning = groupByItem(response.reasoningParts).map((group, index) =>
    reasoningOutput(`rs_${suffix}_${index}`, group.filter(isReasoning))
  )
  const parts = (["text", "refusal"] as const)
    .map((channel): MessagePart => ({ channel, text: response[channel] }))
    .filter(({ text }) => text !== "")
  const messages = parts.length === 0 ? [] : [messageItem(`msg_${suffix}`, parts, metadata)]
  const calls = response.toolCalls.map((call, index) => toolCallItem(`fc_${suffix}_${index}`, call))
  return {
    ...metadataFields(metadata),
    ...responseObject(request, createdAt, {
      id,
      model: response.model,
      ...endStatus(response.finishReason, response.rawFinishReason),
      output: [...reasoning, ...messages, ...calls, ...metadataItems(metadata)],
      usage: encodeUsage(response.usage, metadata)
    })
  }
}

const typeOf = (status: number): string =>
  status === 429 ? "rate_limit_exceeded" : status >= 500 ? "server_error" : "invalid_request_error"

export const encodeError = (error: ServedError): Record<string, unknown> => ({
  error: {
    message: error.message,
    type: error.type ?? typeOf(error.status),
    param: error.param ?? null,
    code: error.code ?? null
  }
})
