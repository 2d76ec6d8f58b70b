/** A whole answer as Chat Completions writes it. OpenAI, API reference: chat/object. */
import { Either } from "effect"
import type { FinishReason, ReasoningPart, ToolCall } from "../../Chat.js"
import * as Usage from "../../Usage.js"
import type { Json } from "../json.js"
import { isRecord, kept, record, records, string, tokens } from "../json.js"
import type { AnswerSource, WireFailure, WireResponse } from "../Wire.js"
import { estimatedUsage, malformed } from "../Wire.js"

const finishReasons: Readonly<Record<string, FinishReason>> = {
  stop: "stop",
  // Together and others, of the token that ends a text.
  eos: "stop",
  end_turn: "stop",
  length: "length",
  max_tokens: "length",
  model_length: "length",
  tool_calls: "tool-calls",
  function_call: "tool-calls",
  tool_use: "tool-calls",
  content_filter: "content-filter"
}

/** Why the model stopped. Providers that say `stop` with tool calls mean the calls. */
export const finishReason = (raw: string, hasCalls: boolean): FinishReason => {
  const reason = finishReasons[raw] ?? "other"
  return hasCalls && (reason === "stop" || raw === "") ? "tool-calls" : reason
}

/**
 * The counts under every provider's own names: cached input in `prompt_tokens_details` (OpenAI) or as
 * `prompt_cache_hit_tokens` (DeepSeek), and thoughts inside of `completion_tokens`, but for providers whose total says that
 * they stand beside it (xAI).
 */
const readUsage = (usage: Json | undefined): Usage.Usage | undefined => {
  if (usage === undefined) return undefined
  const input = tokens(usage, "prompt_tokens")
  const completion = tokens(usage, "completion_tokens")
  if (input === undefined && completion === undefined) return undefined
  const promptDetails = record(usage, "prompt_tokens_details") ?? {}
  const completionDetails = record(usage, "completion_tokens_details") ?? {}
  const reasoningTokens = tokens(completionDetails, "reasoning_tokens") ?? tokens(usage, "reasoning_tokens") ?? 0
  const total = tokens(usage, "total_tokens")
  const beside = reasoningTokens > 0 && total === (input ?? 0) + (completion ?? 0) + reasoningTokens
  return Usage.make({
    inputTokens: input ?? 0,
    outputTokens: (completion ?? 0) + (beside ? reasoningTokens : 0),
    ...(total === undefined ? {} : { totalTokens: total }),
    cachedInputTokens:
      tokens(promptDetails, "cached_tokens") ??
      tokens(usage, "prompt_cache_hit_tokens") ??
      tokens(usage, "cached_tokens") ??
      0,
    cacheWriteTokens:
      tokens(promptDetails, "cache_write_tokens") ?? tokens(promptDetails, "cache_creation_tokens") ?? 0,
    reasoningTokens
  })
}

/** The usage of an answer or a chunk: at the top, in the choice (Moonshot), or under `x_groq`. */
export const usageOf = (body: Json): Usage.Usage | undefined =>
  readUsage(record(body, "usage")) ??
  readUsage(record(records(body, "choices")[0] ?? {}, "usage")) ??
  readUsage(record(record(body, "x_groq") ?? {}, "usage"))

interface Content {
  readonly text: string
  readonly thinking: string
  readonly signature: string | undefined
}

const joined = (parts: ReadonlyArray<Json>): string => parts.map((part) => string(part, "text") ?? "").join("")

/** What the content of a message says: a text, or parts of text and thoughts (Mistral, "Reasoning"). */
export const readContent = (message: Json): Content => {
  const whole = string(message, "content")
  if (whole !== undefined) return { text: whole, thinking: "", signature: undefined }
  let text = ""
  let thinking = ""
  let signature: string | undefined
  for (const part of records(message, "content")) {
    if (part["type"] === "thinking") {
      thinking += string(part, "thinking") ?? joined(records(part, "thinking"))
      signature = string(part, "signature") ?? signature
    } else {
      text += string(part, "text") ?? ""
    }
  }
  return { text, thinking, signature }
}

/** The plain thoughts of a message or delta. The same text may stand under both names. */
export const plainThoughts = (message: Json): string =>
  string(message, "reasoning_content") || string(message, "reasoning") || ""

/** One entry of `reasoning_details` (OpenRouter, "Reasoning tokens"). */
export const readDetail = (detail: Json, provider: string): ReasoningPart => {
  const signature = string(detail, "signature") ?? string(detail, "data")
  const id = string(detail, "id")
  const format = string(detail, "type")
  return {
    type: "reasoning",
    text: string(detail, "text") ?? string(detail, "summary") ?? "",
    ...(signature === undefined ? {} : { signature }),
    ...(id === undefined ? {} : { id }),
    ...(format === undefined ? {} : { format }),
    provider
  }
}

const readThoughts = (message: Json, content: Content, provider: string): ReadonlyArray<ReasoningPart> => {
  const details = records(message, "reasoning_details").map((detail) => readDetail(detail, provider))
  const plain = plainThoughts(message) || content.thinking
  // The details are the fuller telling, where they tell the text at all: some only carry what is sealed.
  if (plain === "" || details.some((part) => part.text !== "")) return details
  const { signature } = content
  return [{ type: "reasoning", text: plain, ...(signature === undefined ? {} : { signature }), provider }, ...details]
}

/** A call by its place among the calls, with an id of our own where the provider gives none. */
export const toolCallOf = (
  index: number,
  call: { id: string; name: string; args: string; custom: boolean }
): ToolCall => ({
  id: call.id === "" ? `call_${index}` : call.id,
  name: call.name,
  arguments: call.args === "" && !call.custom ? "{}" : call.args,
  ...(call.custom ? { type: "custom" as const } : {})
})

/** One call, or a piece of one: a function with its arguments, or a custom tool with its input. */
export const readCall = (call: Json) => {
  const custom = record(call, "custom")
  const body = custom ?? record(call, "function") ?? {}
  const args = body["arguments"]
  return {
    id: string(call, "id") ?? "",
    name: string(body, "name") ?? "",
    // Arguments are a text; some send the object itself.
    args:
      custom === undefined
        ? isRecord(args)
          ? JSON.stringify(args)
          : (string(body, "arguments") ?? "")
        : (string(custom, "input") ?? ""),
    custom: custom !== undefined
  }
}

const readCalls = (message: Json): ReadonlyArray<ToolCall> => {
  const legacy = record(message, "function_call")
  const calls = records(message, "tool_calls")
  return (calls.length === 0 && legacy !== undefined ? [{ function: legacy }] : calls)
    .map(readCall)
    .filter(({ name }) => name !== "")
    .map((call, index) => toolCallOf(index, call))
}

/** What else is said of the answer as a whole, in the provider's own words. */
export const bodyMetadata: ReadonlyArray<string> = [
  "service_tier",
  "system_fingerprint",
  "citations",
  "search_results",
  "provider"
]

/** What else is said of the message. */
export const messageMetadata: ReadonlyArray<string> = ["annotations", "audio", "executed_tools"]

/** An error where an answer should be. */
export const isReported = (body: Json): boolean => body["error"] !== undefined && body["error"] !== null

export const decodeResponse = (body: unknown, source: AnswerSource): Either.Either<WireResponse, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  if (isReported(body)) return Either.left({ _tag: "Reported", body })
  const choices = body["choices"]
  if (!Array.isArray(choices)) return Either.left(malformed("choices", body))
  const choice: unknown = choices[0]
  if (!isRecord(choice)) return Either.left(malformed("choices[0]", body))
  const message = record(choice, "message") ?? {}
  const content = readContent(message)
  const reasoningParts = readThoughts(message, content, source.provider)
  const reasoning = reasoningParts.map((part) => part.text).join("")
  const toolCalls = readCalls(message)
  const raw = string(choice, "finish_reason") ?? ""
  return Either.right({
    id: string(body, "id") ?? "",
    model: string(body, "model") || source.model,
    text: content.text,
    reasoning,
    reasoningParts,
    refusal: string(message, "refusal") ?? "",
    toolCalls,
    finishReason: finishReason(raw, toolCalls.length > 0),
    rawFinishReason: raw,
    usage:
      usageOf(body) ??
      estimatedUsage(source, reasoning + content.text + toolCalls.map((call) => call.arguments).join("")),
    providerMetadata: {
      ...kept(body, bodyMetadata),
      ...kept(message, messageMetadata),
      ...kept(choice, ["logprobs"]),
      ...(choices.length > 1 ? { choices: choices.slice(1) } : {})
    }
  })
}
