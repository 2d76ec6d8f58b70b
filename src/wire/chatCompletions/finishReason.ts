/** Why a model stopped, in the words of OpenAI (API reference, chat/object) and of those who have their own. */
import type { FinishReason } from "../../vocabulary/Chat.js"

const reasons: ReadonlyMap<string, FinishReason> = new Map([
  ["stop", "stop"],
  ["length", "length"],
  ["tool_calls", "tool-calls"],
  ["function_call", "tool-calls"],
  ["content_filter", "content-filter"],
  // Together: the token that ends a text.
  ["eos", "stop"],
  // Proxies that pass on Anthropic's words.
  ["end_turn", "stop"],
  ["max_tokens", "length"],
  ["tool_use", "tool-calls"],
  // Mistral.
  ["model_length", "length"],
  // Z.ai.
  ["model_context_window_exceeded", "length"],
  ["sensitive", "content-filter"]
])

/**
 * Not the model stopped but the provider failed: DeepSeek ("Create Chat Completion", `finish_reason`), Z.ai (API reference, chat),
 * OpenRouter ("Errors").
 */
const failures: ReadonlySet<string> = new Set(["insufficient_system_resource", "network_error", "error"])

export const isFailure = (raw: string): boolean => failures.has(raw)

/** Providers that say `stop`, or nothing, with tool calls mean the calls. */
export const decodeFinishReason = (raw: string, hasCalls: boolean): FinishReason => {
  const reason = reasons.get(raw) ?? "other"
  return hasCalls && (reason === "stop" || raw === "") ? "tool-calls" : reason
}

const words: Readonly<Record<FinishReason, string | null>> = {
  stop: "stop",
  length: "length",
  "tool-calls": "tool_calls",
  "content-filter": "content_filter",
  other: null
}

const openAI = new Set(["stop", "length", "tool_calls", "function_call", "content_filter"])

/**
 * OpenAI's word for it, the one that was read where it is one of them; where there is none, what the provider said. Never empty:
 * a stream without a reason reads as one that was cut off.
 */
export const encodeFinishReason = (reason: FinishReason, raw: string, hasCalls: boolean): string =>
  (openAI.has(raw) && decodeFinishReason(raw, hasCalls) === reason ? raw : words[reason]) ?? (raw || "other")
