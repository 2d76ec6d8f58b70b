/** Finish reasons. Source: `FinishReason` of the Gemini API and of Vertex AI. */
import type { FinishReason } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { string } from "../json.js"
import type { WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"

/** All others, such as `OTHER`, `NO_IMAGE` and `IMAGE_OTHER`, become `other`. */
const reasons: ReadonlyMap<string, FinishReason> = new Map([
  ["STOP", "stop"],
  ["MAX_TOKENS", "length"],
  ["SAFETY", "content-filter"],
  ["RECITATION", "content-filter"],
  ["LANGUAGE", "content-filter"],
  ["BLOCKLIST", "content-filter"],
  ["PROHIBITED_CONTENT", "content-filter"],
  ["SPII", "content-filter"],
  ["MODEL_ARMOR", "content-filter"],
  ["IMAGE_SAFETY", "content-filter"],
  ["IMAGE_PROHIBITED_CONTENT", "content-filter"],
  ["IMAGE_RECITATION", "content-filter"]
])

/** Gemini could not parse the output of the model. An answer with a tool call is accepted nevertheless. */
const malformedOutput: ReadonlySet<string> = new Set([
  "MALFORMED_FUNCTION_CALL",
  "MALFORMED_RESPONSE",
  "TOO_MANY_TOOL_CALLS",
  "UNEXPECTED_TOOL_CALL"
])

/** An error of the request: it lacks the signature of an earlier tool call. */
const missingSignature = "MISSING_THOUGHT_SIGNATURE"

/** The failure of an answer without tool calls that its finish reason reports (Gemini API reference, `FinishReason`). */
export const failureOf = (candidate: Json, path: string): WireFailure | undefined => {
  const reason = string(candidate, "finishReason") ?? ""
  const message = [reason, string(candidate, "finishMessage")].filter(Boolean).join(": ")
  if (malformedOutput.has(reason)) return malformed(`${path}.finishReason`, message)
  return reason === missingSignature ? { _tag: "Reported", body: { error: { code: reason, message } } } : undefined
}

/** The protocol has no finish reason for tool calls: it reports `STOP`. */
export const decodeFinishReason = (raw: string, hasCalls: boolean): FinishReason => {
  const reason = reasons.get(raw) ?? "other"
  return hasCalls && (reason === "stop" || raw === "") ? "tool-calls" : reason
}

/** The protocol has no reason for an answer that a later request continues: it is incomplete, as with `MAX_TOKENS`. */
const finishReasons: Readonly<Record<FinishReason, string>> = {
  stop: "STOP",
  length: "MAX_TOKENS",
  "tool-calls": "STOP",
  "content-filter": "SAFETY",
  pause: "MAX_TOKENS",
  other: "OTHER"
}

/** The raw reason when it has the form and meaning of one of this protocol and is not a failure. */
export const encodeFinishReason = (reason: FinishReason, raw: string, hasCalls: boolean): string =>
  /^[A-Z][A-Z_]*$/.test(raw) &&
  decodeFinishReason(raw, hasCalls) === reason &&
  (hasCalls || failureOf({ finishReason: raw }, "") === undefined)
    ? raw
    : finishReasons[reason]
