/** Stop reasons. Source: Anthropic, "Stop reasons". */
import type { FinishReason } from "../../vocabulary/Chat.js"

const reasons: ReadonlyMap<string, FinishReason> = new Map([
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  ["max_tokens", "length"],
  ["model_context_window_exceeded", "length"],
  ["tool_use", "tool-calls"],
  ["refusal", "content-filter"],
  ["pause_turn", "pause"]
])

export const decodeStopReason = (raw: string, hasCalls: boolean): FinishReason => {
  const reason = reasons.get(raw) ?? "other"
  return hasCalls && (reason === "stop" || raw === "") ? "tool-calls" : reason
}

const stopReasons: Readonly<Record<FinishReason, string | null>> = {
  stop: "end_turn",
  length: "max_tokens",
  "tool-calls": "tool_use",
  "content-filter": "refusal",
  pause: "pause_turn",
  other: null
}

/** The raw reason when it is one of this protocol with the same meaning, or when the protocol has no other for `reason`. */
export const encodeStopReason = (reason: FinishReason, raw: string, hasCalls: boolean): string | null =>
  (reasons.has(raw) && decodeStopReason(raw, hasCalls) === reason ? raw : stopReasons[reason]) ?? (raw || null)
