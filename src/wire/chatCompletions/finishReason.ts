/** Finish reasons of OpenAI (API reference, chat/object) and of providers with other values. */
import type { FinishReason } from "../../vocabulary/Chat.js"

const reasons: ReadonlyMap<string, FinishReason> = new Map([
  ["stop", "stop"],
  ["length", "length"],
  ["tool_calls", "tool-calls"],
  ["function_call", "tool-calls"],
  ["content_filter", "content-filter"],
  // Together: end of sequence.
  ["eos", "stop"],
  // Proxies that forward Anthropic's values.
  ["end_turn", "stop"],
  ["max_tokens", "length"],
  ["tool_use", "tool-calls"],
  ["pause_turn", "pause"],
  // Mistral.
  ["model_length", "length"],
  // Z.ai.
  ["model_context_window_exceeded", "length"],
  ["sensitive", "content-filter"]
])

/**
 * Finish reasons that report a failure of the provider: DeepSeek ("Create Chat Completion", `finish_reason`), Z.ai (API
 * reference, chat), OpenRouter ("Errors").
 */
const failures: ReadonlySet<string> = new Set(["insufficient_system_resource", "network_error", "error"])

export const isFailure = (raw: string): boolean => failures.has(raw)

/** With tool calls, `stop` and a missing reason stand for `tool-calls`: some providers send them. */
export const decodeFinishReason = (raw: string, hasCalls: boolean): FinishReason => {
  const reason = reasons.get(raw) ?? "other"
  return hasCalls && (reason === "stop" || raw === "") ? "tool-calls" : reason
}

const protocolReasons: Readonly<Record<FinishReason, string | null>> = {
  stop: "stop",
  length: "length",
  "tool-calls": "tool_calls",
  "content-filter": "content_filter",
  // The answer is incomplete, and the protocol has no other word for that.
  pause: "length",
  other: null
}

const openAIReasons = new Set(["stop", "length", "tool_calls", "function_call", "content_filter"])

/**
 * OpenAI's value of a reason; `other` has none and keeps the raw value of the provider. Never empty, since a stream without a
 * finish reason looks truncated. Calls are announced as OpenAI does, also where the provider said `stop`.
 */
export const encodeFinishReason = (reason: FinishReason, raw: string): string =>
  (openAIReasons.has(raw) && reasons.get(raw) === reason ? raw : protocolReasons[reason]) ?? (raw || "other")
