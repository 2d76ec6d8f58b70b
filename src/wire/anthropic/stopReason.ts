/** Why a model stopped. Anthropic, "Stop reasons". */
import type { FinishReason } from "../../vocabulary/Chat.js"

const reasons: ReadonlyMap<string, FinishReason> = new Map([
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  ["max_tokens", "length"],
  ["model_context_window_exceeded", "length"],
  ["tool_use", "tool-calls"],
  ["refusal", "content-filter"]
])

/** A turn that pauses (`pause_turn`) goes on when it is sent back, which is none of our reasons. */
export const readStopReason = (raw: string, hasCalls: boolean): FinishReason => {
  const reason = reasons.get(raw) ?? "other"
  return hasCalls && (reason === "stop" || raw === "") ? "tool-calls" : reason
}

const words: Readonly<Record<FinishReason, string | null>> = {
  stop: "end_turn",
  length: "max_tokens",
  "tool-calls": "tool_use",
  "content-filter": "refusal",
  other: null
}

/** The protocol's word for it, the one that was read where it is one of them; where there is none, what was said. */
export const encodeStopReason = (reason: FinishReason, raw: string, hasCalls: boolean): string | null =>
  (reasons.has(raw) && readStopReason(raw, hasCalls) === reason ? raw : words[reason]) ?? (raw || null)
