/** Encodes a whole response, or an error. */
import { Predicate } from "effect"
import type { ChatResponse, FinishReason, ReasoningPart, ToolCall } from "../../../vocabulary/Chat.js"
import type { Usage } from "../../../vocabulary/Usage.js"
import type { Json } from "../../json.js"
import { openaiType } from "../../error/openaiType.js"
import { isRecord, record, records, string } from "../../json.js"
import type { Served, ServedError } from "../../Wire.js"
import type { ContentPart } from "../items.js"
import * as Items from "../items.js"
import { native } from "../native.js"
import { lastTextWith } from "./textMetadata.js"

const { isBoolean, isNumber, isString } = Predicate

/** The response id without its prefix, which makes the ids of its items unique. */
export const idSuffix = (id: string): string => id.replace(/^resp_/, "")

const blankText = { annotations: [], logprobs: [] }

/** A message item; `id` and `status` are used when its parts have none. */
export const messageItem = (id: string, parts: ReadonlyArray<ContentPart>, status = "completed"): Json =>
  Items.messageItem(parts, native.fieldsOf, { id, status }, blankText)

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

/** The status of a message at the end of an answer. Open Responses, "Items are state machines". */
export const messageStatus = ({ status }: { readonly status: string }): string =>
  status === "incomplete" ? "incomplete" : "completed"

/** A function tool in an answer has all of its fields. Open Responses, `FunctionTool`. */
const toolOf = (tool: Json): Json =>
  tool["type"] === "function"
    ? {
        ...tool,
        description: tool["description"] ?? null,
        parameters: tool["parameters"] ?? null,
        strict: tool["strict"] ?? null
      }
    : tool

const formatOf = (format: Json): Json => {
  const type = string(format, "type")
  if (type === undefined) return { type: "text" }
  return type === "json_schema"
    ? { ...format, description: format["description"] ?? null, strict: format["strict"] ?? false }
    : format
}

const serviceTierOf = (request: Json): string => {
  const tier = string(request, "service_tier")
  // The tier of an answer is the one that was used.
  return tier === undefined || tier === "auto" ? "default" : tier
}

const isInteger = (value: unknown): value is number => Number.isInteger(value)

const isTruncation = (value: unknown): value is string => value === "auto" || value === "disabled"

const modes: ReadonlySet<unknown> = new Set(["auto", "none", "required"])

const isToolChoice = (value: unknown): value is unknown =>
  modes.has(value) || (isRecord(value) && typeof value["type"] === "string")

/**
 * The response object, which repeats fields of the request, with OpenAI's defaults for those that the request does not have. All of its fields
 * are required. Open Responses, `ResponseResource`.
 */
export const responseObject = (request: Json, createdAt: number, fields: Json): Record<string, unknown> => {
  /** A value of another type is not repeated: fields that no other protocol has were not decoded. */
  const repeated = <A, B>(field: string, isValid: (value: unknown) => value is A, absent: B): A | B => {
    const value = request[field]
    return isValid(value) ? value : absent
  }
  const text = record(request, "text") ?? {}
  const user = string(request, "user")
  return {
    object: "response",
    created_at: createdAt,
    completed_at: null,
    error: null,
    incomplete_details: null,
    background: repeated("background", isBoolean, false),
    frequency_penalty: repeated("frequency_penalty", isNumber, 0),
    instructions: repeated("instructions", isString, null),
    max_output_tokens: repeated("max_output_tokens", isInteger, null),
    max_tool_calls: repeated("max_tool_calls", isInteger, null),
    metadata: repeated("metadata", isRecord, {}),
    output: [],
    parallel_tool_calls: repeated("parallel_tool_calls", isBoolean, true),
    presence_penalty: repeated("presence_penalty", isNumber, 0),
    previous_response_id: repeated("previous_response_id", isString, null),
    prompt_cache_key: repeated("prompt_cache_key", isString, null),
    reasoning: { effort: null, summary: null, ...record(request, "reasoning") },
    safety_identifier: repeated("safety_identifier", isString, null),
    service_tier: serviceTierOf(request),
    store: repeated("store", isBoolean, true),
    temperature: repeated("temperature", isNumber, 1),
    text: { ...text, format: formatOf(record(text, "format") ?? {}) },
    tool_choice: repeated("tool_choice", isToolChoice, "auto"),
    tools: records(request, "tools").map(toolOf),
    top_logprobs: repeated("top_logprobs", isInteger, 0),
    top_p: repeated("top_p", isNumber, 1),
    truncation: repeated("truncation", isTruncation, "disabled"),
    usage: null,
    ...(user === undefined ? {} : { user }),
    ...fields
  }
}

/** The time of the end of an answer, which only a completed one has. */
export const completion = ({ status }: { readonly status: string }, completedAt: number): Json => ({
  completed_at: status === "completed" ? completedAt : null
})

/** The metadata that belongs to the response object: not its usage, nor what belongs to its text. */
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
  const end = endStatus(response.finishReason, response.rawFinishReason)
  const groups = Items.groupByItem(response.content, native.fieldsOf)
  const lastMessage = groups.findLastIndex(({ kind }) => kind === "message")
  const output = groups.map((group, position): Json => {
    switch (group.kind) {
      case "message":
        return messageItem(
          `msg_${suffix}_${position}`,
          position === lastMessage ? lastTextWith(group.parts, metadata) : group.parts,
          position === groups.length - 1 ? messageStatus(end) : "completed"
        )
      case "reasoning":
        return reasoningItem(`rs_${suffix}_${position}`, group.parts)
      case "call":
        return callItem(`fc_${suffix}_${position}`, group.call)
      case "other":
        return group.item
    }
  })
  return finished(request, createdAt, metadata, {
    id,
    model: response.model,
    ...end,
    ...completion(end, completedAt),
    output,
    usage: encodeUsage(response.usage, metadata)
  })
}

/** OpenAI, API reference: responses/object (`error.code`), which has no other codes for these. */
const failureCode = (status: number): string => {
  if (status === 402 || status === 429) return "rate_limit_exceeded"
  return status >= 400 && status < 500 ? "invalid_prompt" : "server_error"
}

/** The fields of a response that failed. */
export const failure = ({ message, status }: Pick<ServedError, "message" | "status">): Json => ({
  status: "failed",
  error: { code: failureCode(status), message }
})

export const errorFields = (error: ServedError): Json => ({
  message: error.message,
  type: error.type ?? openaiType(error.status),
  param: error.param ?? null,
  code: error.code ?? null
})

export const encodeError = (error: ServedError): Record<string, unknown> => ({ error: errorFields(error) })
