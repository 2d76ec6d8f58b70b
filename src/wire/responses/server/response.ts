/** A server writes a whole answer, or an error. */
import type { ChatResponse, FinishReason, ReasoningPart, ToolCall } from "../../../vocabulary/Chat.js"
import type { Usage } from "../../../vocabulary/Usage.js"
import type { Json } from "../../json.js"
import { isRecord } from "../../json.js"
import type { Served, ServedError } from "../../Wire.js"
import { callItem, reasoningItem, runs } from "../items.js"

/** What tells the items of an answer apart from those of others: the answer's id without its kind. */
export const stem = (id: string): string => id.replace(/^resp_/, "")

/** A part of a message. */
export interface SaidPart {
  readonly voice: "text" | "refusal"
  readonly text: string
}

/** What the model said, as its item: the parts in their order. What `metadata` says of the text is on the first of its parts. */
export const messageItem = (
  id: string,
  parts: ReadonlyArray<SaidPart>,
  metadata: Json,
  status: "completed" | "in_progress" = "completed"
): Json => {
  const first = parts.find(({ voice }) => voice === "text")
  return {
    id,
    type: "message",
    role: "assistant",
    status,
    content: parts.map((part) =>
      part.voice === "refusal" ? refusalPart(part.text) : textPart(part.text, part === first ? metadata : {})
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

/** A thought, as its item; `id` is that of one which has none. */
export const thoughtItem = (id: string, parts: ReadonlyArray<ReasoningPart>): Json => ({ id, ...reasoningItem(parts) })

/** A call, as its item. */
export const toolCallItem = (id: string, call: ToolCall, status: "completed" | "in_progress" = "completed"): Json => ({
  id,
  ...callItem(call),
  status
})

/** Items of tools that the provider has run itself, as they came. */
export const furtherItems = (metadata: Json): ReadonlyArray<unknown> => list(metadata["items"])

export const encodeUsage = (usage: Usage, metadata: Json): Json => ({
  ...(isRecord(metadata["usage"]) ? metadata["usage"] : {}),
  input_tokens: usage.inputTokens,
  input_tokens_details: { cached_tokens: usage.cachedInputTokens, cache_write_tokens: usage.cacheWriteTokens },
  output_tokens: usage.outputTokens,
  output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
  total_tokens: usage.totalTokens
})

/** Of the reasons that the protocol has no word for, those that are a status of their own. */
const statuses: ReadonlySet<string> = new Set(["cancelled", "in_progress", "queued"])

/** How an answer ended: its status, and why it is incomplete. */
export const ending = (
  reason: FinishReason,
  raw: string
): { readonly status: string; readonly incomplete_details: { readonly reason: string } | null } => {
  const incomplete = (because: string) => ({ status: "incomplete", incomplete_details: { reason: because } })
  switch (reason) {
    case "stop":
    case "tool-calls":
      return { status: "completed", incomplete_details: null }
    case "length":
      return incomplete("max_output_tokens")
    case "content-filter":
      return incomplete("content_filter")
    case "other":
      return statuses.has(raw) ? { status: raw, incomplete_details: null } : incomplete(raw === "" ? "other" : raw)
  }
}

/** The answer's own object, which repeats what was asked. */
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

/** What the provider said further, which stands beside the answer, not in its items. */
export const furtherFields = (metadata: Json): Json => {
  const { annotations: _, items: __, logprobs: ___, usage: ____, ...fields } = metadata
  return fields
}

const isReasoning = (part: { readonly type: string }): part is ReasoningPart => part.type === "reasoning"

export const encodeResponse = (
  response: ChatResponse,
  { createdAt = 0, request = {} }: Served = {}
): Record<string, unknown> => {
  const { id, providerMetadata: metadata } = response
  const suffix = stem(id)
  const thoughts = runs(response.reasoningParts).map((run, index) =>
    thoughtItem(`rs_${suffix}_${index}`, run.filter(isReasoning))
  )
  const parts = (["text", "refusal"] as const)
    .map((voice): SaidPart => ({ voice, text: response[voice] }))
    .filter(({ text }) => text !== "")
  const said = parts.length === 0 ? [] : [messageItem(`msg_${suffix}`, parts, metadata)]
  const calls = response.toolCalls.map((call, index) => toolCallItem(`fc_${suffix}_${index}`, call))
  return {
    ...furtherFields(metadata),
    ...responseObject(request, createdAt, {
      id,
      model: response.model,
      ...ending(response.finishReason, response.rawFinishReason),
      output: [...thoughts, ...said, ...calls, ...furtherItems(metadata)],
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
