/** Encodes a whole response, or an error. */
import type { ChatResponse, FinishReason, ReasoningPart, ToolCall } from "../../../vocabulary/Chat.js"
import type { Usage } from "../../../vocabulary/Usage.js"
import type { Json } from "../../json.js"
import { openaiType } from "../../error/openaiType.js"
import { isRecord } from "../../json.js"
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

/** The metadata that belongs to the response object: not its usage, nor what other protocols have for a text of theirs. */
export const metadataFields = (metadata: Json): Json => {
  const { annotations: _, logprobs: __, usage: ___, ...fields } = metadata
  return fields
}

export const encodeResponse = (
  response: ChatResponse,
  { createdAt = 0, request = {} }: Served = {}
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
  return {
    ...metadataFields(metadata),
    ...responseObject(request, createdAt, {
      id,
      model: response.model,
      ...endStatus(response.finishReason, response.rawFinishReason),
      output,
      usage: encodeUsage(response.usage, metadata)
    })
  }
}

export const encodeError = (error: ServedError): Record<string, unknown> => ({
  error: {
    message: error.message,
    type: error.type ?? openaiType(error.status),
    param: error.param ?? null,
    code: error.code ?? null
  }
})
