/** The client reads a whole answer. */
import { Either } from "effect"
import type { FinishReason } from "../../Chat.js"
import * as Usage from "../../Usage.js"
import { saysError } from "../inBand.js"
import type { Json } from "../json.js"
import { isRecord, record, string, tokens } from "../json.js"
import { beyondOf, known } from "../native.js"
import type { AnswerSource, WireFailure, WireResponse } from "../Wire.js"
import { estimatedUsage, malformed } from "../Wire.js"
import { outputMetadata, readOutput } from "./output.js"

/** Why the model stopped, in our word and the provider's own. */
export interface Stop {
  readonly reason: FinishReason
  readonly raw: string
}

const incompleteReasons: Readonly<Record<string, FinishReason>> = {
  max_output_tokens: "length",
  content_filter: "content-filter"
}

/** An answer that is `queued`, `in_progress` or `cancelled` has no better name than `other`. */
export const stopOf = (response: Json, hasCalls: boolean): Stop => {
  const status = string(response, "status") ?? ""
  if (status === "incomplete") {
    const raw = string(record(response, "incomplete_details") ?? {}, "reason") || status
    return { reason: incompleteReasons[raw] ?? "other", raw }
  }
  const complete = status === "completed" || status === ""
  return { reason: complete ? (hasCalls ? "tool-calls" : "stop") : "other", raw: status }
}

const counted = known(["input_tokens", "output_tokens", "total_tokens"], {
  input_tokens_details: ["cached_tokens", "cache_write_tokens"],
  output_tokens_details: ["reasoning_tokens"]
})

/** The provider's counts, where it sent any. */
export const usageOf = (response: Json): Usage.Usage | undefined => {
  const usage = record(response, "usage")
  if (usage === undefined || (usage["input_tokens"] === undefined && usage["output_tokens"] === undefined)) {
    return undefined
  }
  const input = record(usage, "input_tokens_details") ?? {}
  const output = record(usage, "output_tokens_details") ?? {}
  const total = tokens(usage, "total_tokens")
  return Usage.make({
    inputTokens: tokens(usage, "input_tokens") ?? 0,
    outputTokens: tokens(usage, "output_tokens") ?? 0,
    ...(total === undefined ? {} : { totalTokens: total }),
    cachedInputTokens: tokens(input, "cached_tokens") ?? 0,
    cacheWriteTokens: tokens(input, "cache_write_tokens") ?? 0,
    reasoningTokens: tokens(output, "reasoning_tokens") ?? 0
  })
}

/** What the vocabulary says, and what a client knows by heart: it has just said so. */
const said: ReadonlySet<string> = new Set([
  "created_at",
  "error",
  "id",
  "incomplete_details",
  "input",
  "instructions",
  "metadata",
  "model",
  "object",
  "output",
  "output_text",
  "status",
  "tools",
  "usage"
])

/** How the answer was made: what was asked for, as the provider took it. */
const settings: ReadonlySet<string> = new Set([
  "background",
  "completed_at",
  "conversation",
  "frequency_penalty",
  "include",
  "max_output_tokens",
  "max_tool_calls",
  "parallel_tool_calls",
  "presence_penalty",
  "previous_response_id",
  "prompt",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  "reasoning",
  "safety_identifier",
  "store",
  "temperature",
  "text",
  "tool_choice",
  "top_logprobs",
  "top_p",
  "truncation",
  "user"
])

const isSaid = (value: unknown): boolean => value !== undefined && value !== null

/**
 * What else the answer says: service tier, moderation, cost … beside what its items say. Under `response` what a server needs to
 * give the same answer again: the settings, and the items with their ids.
 */
export const metadataOf = (response: Json, items: ReadonlyArray<unknown>): Json => {
  const beyond: Record<string, unknown> = {}
  const again: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(response)) {
    if (!said.has(field) && isSaid(value)) (settings.has(field) ? again : beyond)[field] = value
  }
  const usage = beyondOf(record(response, "usage") ?? {}, counted)
  return {
    ...beyond,
    ...(usage === undefined ? {} : { usage }),
    ...outputMetadata(items),
    response: { ...again, output: items }
  }
}

/** Neither an event nor a response, which have a type and an output, but the words of a gateway. */
const isForeign = (body: Json): boolean =>
  body["object"] === "error" || (body["type"] === undefined && body["output"] === undefined)

/** An error that stands where an answer should: `error` in it, or a status that says no more than that it failed. */
export const reportedBy = (response: Json): WireFailure | undefined => {
  const error = response["error"]
  // xAI has its code beside a text.
  if (error !== undefined && error !== null) {
    return { _tag: "Reported", body: typeof error === "string" ? response : { error } }
  }
  return response["status"] === "failed" || (isForeign(response) && saysError(response))
    ? { _tag: "Reported", body: response }
    : undefined
}

const unfinished: ReadonlySet<unknown> = new Set(["queued", "in_progress"])

export const decodeResponse = (body: unknown, source: AnswerSource): Either.Either<WireResponse, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const reported = reportedBy(body)
  if (reported !== undefined) return Either.left(reported)
  const items = body["output"] ?? (unfinished.has(body["status"]) ? [] : undefined)
  if (!Array.isArray(items)) return Either.left(malformed("output", body["output"]))
  return Either.map(readOutput(items, source.provider), (output): WireResponse => {
    const reasoning = output.reasoningParts.map((part) => part.text).join("")
    const stop = stopOf(body, output.toolCalls.length > 0)
    return {
      ...output,
      id: string(body, "id") ?? "",
      model: string(body, "model") || source.model,
      reasoning,
      finishReason: stop.reason,
      rawFinishReason: stop.raw,
      usage: usageOf(body) ?? estimatedUsage(source, allOf(reasoning, output)),
      providerMetadata: metadataOf(body, items)
    }
  })
}

/** All that the model wrote, to be counted where the provider counts nothing. */
const allOf = (
  reasoning: string,
  output: {
    readonly text: string
    readonly refusal: string
    readonly toolCalls: ReadonlyArray<{ readonly arguments: string }>
  }
): string => reasoning + output.text + output.refusal + output.toolCalls.map((call) => call.arguments).join("")
