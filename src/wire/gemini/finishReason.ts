/** Why a model stopped: `FinishReason` of the Gemini API and of Vertex AI. */
import type { FinishReason } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { string } from "../json.js"
import type { WireFailure } from "../Wire.js"
import { malformed as malformedAt } from "../Wire.js"

/** All others say that something went wrong that is neither the length nor the content (`OTHER`, `NO_IMAGE`, `IMAGE_OTHER` …). */
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

/** The model wrote no call or answer that Gemini can read. Where there is a call nevertheless, the answer stands. */
const malformed: ReadonlySet<string> = new Set([
  "MALFORMED_FUNCTION_CALL",
  "MALFORMED_RESPONSE",
  "TOO_MANY_TOOL_CALLS",
  "UNEXPECTED_TOOL_CALL"
])

/** The request is at fault: it lacks a signature that came with an earlier call. */
const missingSignature = "MISSING_THOUGHT_SIGNATURE"

/** The failure that an answer without calls is, by the reason why it ended (Gemini API reference, `FinishReason`). */
export const failureOf = (candidate: Json, path: string): WireFailure | undefined => {
  const reason = string(candidate, "finishReason") ?? ""
  const words = [reason, string(candidate, "finishMessage")].filter(Boolean).join(": ")
  if (malformed.has(reason)) return malformedAt(`${path}.finishReason`, words)
  return reason === missingSignature
    ? { _tag: "Reported", body: { error: { code: reason, message: words } } }
    : undefined
}

/** Calls have no reason of their own: the model stops. */
export const decodeFinishReason = (raw: string, hasCalls: boolean): FinishReason => {
  const reason = reasons.get(raw) ?? "other"
  return hasCalls && (reason === "stop" || raw === "") ? "tool-calls" : reason
}

const words: Readonly<Record<FinishReason, string>> = {
  stop: "STOP",
  length: "MAX_TOKENS",
  "tool-calls": "STOP",
  "content-filter": "SAFETY",
  other: "OTHER"
}

/** The word that was read, where it is one of this protocol's that is no failure. */
export const encodeFinishReason = (reason: FinishReason, raw: string, hasCalls: boolean): string =>
  /^[A-Z][A-Z_]*$/.test(raw) &&
  decodeFinishReason(raw, hasCalls) === reason &&
  (hasCalls || failureOf({ finishReason: raw }, "") === undefined)
    ? raw
    : words[reason]
