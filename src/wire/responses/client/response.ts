/** Decodes a whole response. */
import { Either } from "effect"
import type { FinishReason } from "../../../vocabulary/Chat.js"
import * as Chat from "../../../vocabulary/Chat.js"
import * as ChatEvent from "../../../vocabulary/ChatEvent.js"
import * as Usage from "../../../vocabulary/Usage.js"
import { hasError } from "../../inBand.js"
import type { Json } from "../../json.js"
import { isRecord, record, string, tokens } from "../../json.js"
import type { AnswerSource, WireFailure, WireResponse } from "../../Wire.js"
import { malformed, usageOf } from "../../Wire.js"
import { readOutput } from "../output.js"

/** Why the model stopped: the reason of the vocabulary, and the provider's value. */
export interface Stop {
  readonly reason: FinishReason
  readonly raw: string
}

/** The reason of the vocabulary for `incomplete_details.reason`. `pause_turn` is Anthropic's word, which gateways send unchanged. */
const incompleteReasons: ReadonlyMap<string, FinishReason> = new Map([
  ["max_output_tokens", "length"],
  ["content_filter", "content-filter"],
  ["pause_turn", "pause"]
])

/** The vocabulary has no reason for `queued`, `in_progress` and `cancelled`: they become `other`. */
export const stopOf = (response: Json, hasCalls: boolean): Stop => {
  const status = string(response, "status") ?? ""
  if (status === "incomplete") {
    const raw = string(record(response, "incomplete_details") ?? {}, "reason") || status
    return { reason: incompleteReasons.get(raw) ?? "other", raw }
  }
  const complete = status === "completed" || status === ""
  return { reason: complete ? (hasCalls ? "tool-calls" : "stop") : "other", raw: status }
}

const usageFields: ReadonlySet<string> = new Set([
  "input_tokens",
  "input_tokens_details",
  "output_tokens",
  "output_tokens_details",
  "total_tokens"
])

/** The provider's counts; undefined when it sent none. */
export const decodeUsage = (response: Json): Usage.Usage | undefined => {
  const usage = record(response, "usage")
  if (usage === undefined) return undefined
  const inputTokens = tokens(usage, "input_tokens")
  const outputTokens = tokens(usage, "output_tokens")
  if (inputTokens === undefined && outputTokens === undefined) return undefined
  const input = record(usage, "input_tokens_details") ?? {}
  const output = record(usage, "output_tokens_details") ?? {}
  const total = tokens(usage, "total_tokens")
  return Usage.make({
    inputTokens: inputTokens ?? 0,
    outputTokens: outputTokens ?? 0,
    ...(total === undefined ? {} : { totalTokens: total }),
    cachedInputTokens: tokens(input, "cached_tokens") ?? 0,
    cacheWriteTokens: tokens(input, "cache_write_tokens") ?? 0,
    reasoningTokens: tokens(output, "reasoning_tokens") ?? 0
  })
}

/** Fields that the vocabulary covers, that repeat the request, or that are times of the provider. */
const omittedFields: ReadonlySet<string> = new Set([
  "background",
  "completed_at",
  "conversation",
  "created_at",
  "error",
  "frequency_penalty",
  "id",
  "include",
  "incomplete_details",
  "input",
  "instructions",
  "max_output_tokens",
  "max_tool_calls",
  "metadata",
  "model",
  "object",
  "output",
  "output_text",
  "parallel_tool_calls",
  "presence_penalty",
  "previous_response_id",
  "prompt",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  "reasoning",
  "safety_identifier",
  "status",
  "store",
  "temperature",
  "text",
  "tool_choice",
  "tools",
  "top_logprobs",
  "top_p",
  "truncation",
  "usage",
  "user"
])

/** The remaining fields of a response, such as service tier, moderation and cost. */
export const metadataOf = (response: Json): Json => {
  const unknown = Object.entries(response).filter(([field, value]) => !omittedFields.has(field) && value != null)
  const usage = Object.entries(record(response, "usage") ?? {}).filter(
    ([field, value]) => !usageFields.has(field) && value != null
  )
  return {
    ...Object.fromEntries(unknown),
    ...(usage.length === 0 ? {} : { usage: Object.fromEntries(usage) })
  }
}

/** Whether a body is neither an event, which has a type, nor a response, which has an output. Gateways send such errors. */
const isGatewayError = (body: Json): boolean =>
  body["object"] === "error" || (body["type"] === undefined && body["output"] === undefined)

/** The failure of a body that is an error: it has `error`, the status `failed`, or the error of a gateway. */
export const reportedBy = (response: Json): WireFailure | undefined => {
  const error = response["error"]
  // xAI sends a text in `error` and has its code beside it.
  if (error !== undefined && error !== null) {
    return { _tag: "Reported", body: typeof error === "string" ? response : { error } }
  }
  return response["status"] === "failed" || (isGatewayError(response) && hasError(response))
    ? { _tag: "Reported", body: response }
    : undefined
}

const pendingStatuses: ReadonlySet<unknown> = new Set(["queued", "in_progress"])

export const decodeResponse = (body: unknown, source: AnswerSource): Either.Either<WireResponse, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const reported = reportedBy(body)
  if (reported !== undefined) return Either.left(reported)
  const items = body["output"] ?? (pendingStatuses.has(body["status"]) ? [] : undefined)
  if (!Array.isArray(items)) return Either.left(malformed("output", body["output"]))
  return Either.map(readOutput(items, source.provider), (content): WireResponse => {
    const stop = stopOf(body, Chat.toolCallsOf(content).length > 0)
    return Chat.withContent(
      {
        id: string(body, "id") ?? "",
        model: string(body, "model") || source.model,
        finishReason: stop.reason,
        rawFinishReason: stop.raw,
        usage: usageOf(decodeUsage(body), source, ChatEvent.generatedText({ content })),
        providerMetadata: metadataOf(body)
      },
      content
    )
  })
}
