/** Encodes a whole response, or an error. */
import type { ChatResponse, FinishReason, ReasoningPart, ToolCall } from "../../../vocabulary/Chat.js"
import type { Usage } from "../../../vocabulary/Usage.js"
import type { Json } from "../../json.js"
import { openaiType } from "../../error/openaiType.js"
import { isRecord, record, string } from "../../json.js"
import type { Served, ServedError } from "../../Wire.js"
import type { ContentPart } from "../items.js"
import * as Items from "../items.js"
import { native } from "../native.js"

/** The response id without its prefix, which makes the ids of its items unique. */
export const idSuffix = (id: string): string => id.replace(/^resp_/, "")

const blankText = { annotations: [], logprobs: [] }

/** A message item; `id` is used when its parts have none. */
export const messageItem = (id: string, parts: ReadonlyArray<ContentPart>): Json =>
  Items.messageItem(parts, native.fieldsOf, { id, status: "completed" }, blankText)

export const contentPart = (part: ContentPart): Json => Items.contentPart(part, native.fieldsOf, blankText)

/** A reasoning item; `id` is used when the parts have none. */
export const reasoningItem = (id: string, parts: ReadonlyArray<ReasoningPart>): Json => ({
  id,
  ...Items.reasoningItem(parts, native.fieldsOf)
})

/** The item of a call; `id` is used when the call has none. */
export const callItem = (id: string, call: ToolCall): Json => ({
  id,
  status: "completed",
  ...Items.callItem(call, native.fieldsOf)
})

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
    case "pause":
      return incomplete(raw === "" ? "pause_turn" : raw)
    case "other":
      return rawStatuses.has(raw) ? { status: raw, incomplete_details: null } : incomplete(raw === "" ? "other" : raw)
  }
}

/** A function tool in an answer has all of its fields. Open Responses, `FunctionTool`. */
const toolOf = (tool: unknown): unknown =>
  isRecord(tool) && tool["type"] === "function"
    ? {
        ...tool,
        description: tool["description"] ?? null,
        parameters: tool["parameters"] ?? null,
        strict: tool["strict"] ?? null
      }
    : tool

const formatOf = (format: Json): Json =>
  format["type"] === "json_schema"
    ? { ...format, description: format["description"] ?? null, strict: format["strict"] ?? false }
    : format

const serviceTierOf = (request: Json): string => {
  const tier = string(request, "service_tier")
  // The tier of an answer is the one that was used.
  return tier === undefined || tier === "auto" ? "default" : tier
}

/**
 * The response object, which repeats fields of the request, with OpenAI's defaults for those that the request does not have. All of its fields
 * are required. Open Responses, `ResponseResource`.
 */
export const responseObject = (request: Json, createdAt: number, fields: Json): Record<string, unknown> => ({
  object: "response",
  created_at: createdAt,
  completed_at: null,
  error: null,
  incomplete_details: null,
  background: request["background"] ?? false,
  frequency_penalty: request["frequency_penalty"] ?? 0,
  instructions: request["instructions"] ?? null,
  max_output_tokens: request["max_output_tokens"] ?? null,
  max_tool_calls: request["max_tool_calls"] ?? null,
  metadata: request["metadata"] ?? {},
  output: [],
  parallel_tool_calls: request["parallel_tool_calls"] ?? true,
  presence_penalty: request["presence_penalty"] ?? 0,
  previous_response_id: request["previous_response_id"] ?? null,
  prompt_cache_key: request["prompt_cache_key"] ?? null,
  reasoning: { effort: null, summary: null, ...record(request, "reasoning") },
  safety_identifier: request["safety_identifier"] ?? null,
  service_tier: serviceTierOf(request),
  store: request["store"] ?? true,
  temperature: request["temperature"] ?? 1,
  text: {
    ...record(request, "text"),
    format: formatOf(record(record(request, "text") ?? {}, "format") ?? { type: "text" })
  },
  tool_choice: request["tool_choice"] ?? "auto",
  tools: Array.isArray(request["tools"]) ? request["tools"].map(toolOf) : [],
  top_logprobs: request["top_logprobs"] ?? 0,
  top_p: request["top_p"] ?? 1,
  truncation: request["truncation"] ?? "disabled",
  usage: null,
  ...(string(request, "user") === undefined ? {} : { user: request["user"] }),
  ...fields
})

/** The time of the end of an answer, which only a completed one has. */
export const completion = ({ status }: { readonly status: string }, completedAt: number): Json => ({
  completed_at: status === "completed" ? completedAt : null
})

/** The metadata that belongs to the response object: not its usage, nor what other protocols have for a text of theirs. */
const ownMetadata = ({ annotations: _, logprobs: __, usage: ___, ...fields }: Json): Json => fields

/** A finished response. What the provider says of the tier that it used counts more than what was asked for. */
export const finished = (request: Json, createdAt: number, metadata: Json, fields: Json): Record<string, unknown> => {
  const tier = string(metadata, "service_tier")
  return {
    ...ownMetadata(metadata),
    ...responseObject(request, createdAt, { ...(tier === undefined ? {} : { service_tier: tier }), ...fields })
  }
}

export const encodeResponse = (
  response: ChatResponse,
  { createdAt = 0, completedAt = createdAt, request = {} }: Served = {}
): Record<string, unknown> => {
  const { id, providerMetadata: metadata } = response
  const suffix = idSuffix(id)
  const output = Items.groupByItem(response.content, native.fieldsOf).map((group, position): Json => {
    switch (group.kind) {
      case "message":
        return messageItem(`msg_${suffix}_${position}`, group.parts)
      case "reasoning":
        return reasoningItem(`rs_${suffix}_${position}`, group.parts)
      case "call":
        return callItem(`fc_${suffix}_${position}`, group.call)
      case "other":
        return group.item
    }
  })
  const end = endStatus(response.finishReason, response.rawFinishReason)
  return finished(request, createdAt, metadata, {
    id,
    model: response.model,
    ...end,
    ...completion(end, completedAt),
    output,
    usage: encodeUsage(response.usage, metadata)
  })
}

export const errorFields = (error: ServedError): Json => ({
  message: error.message,
  type: error.type ?? openaiType(error.status),
  param: error.param ?? null,
  code: error.code ?? null
})

export const encodeError = (error: ServedError): Record<string, unknown> => ({ error: errorFields(error) })
