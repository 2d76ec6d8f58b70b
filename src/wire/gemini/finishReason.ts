/** Why a model stopped: `FinishReason` of the Gemini API and of Vertex AI. */
import type { FinishReason } from "../../Chat.js"

/** All others say that something went wrong that is neither the length nor the content. */
const reasons: Readonly<Record<string, FinishReason>> = {
  STOP: "stop",
  MAX_TOKENS: "length",
  SAFETY: "content-filter",
  RECITATION: "content-filter",
  LANGUAGE: "content-filter",
  BLOCKLIST: "content-filter",
  PROHIBITED_CONTENT: "content-filter",
  SPII: "content-filter",
  MODEL_ARMOR: "content-filter",
  IMAGE_SAFETY: "content-filter",
  IMAGE_PROHIBITED_CONTENT: "content-filter",
  IMAGE_RECITATION: "content-filter"
}

/** Calls have no reason of their own: the model stops. */
export const decodeFinishReason = (raw: string, hasCalls: boolean): FinishReason => {
  const reason = reasons[raw] ?? "other"
  return hasCalls && (reason === "stop" || raw === "") ? "tool-calls" : reason
}

const words: Readonly<Record<FinishReason, string>> = {
  stop: "STOP",
  length: "MAX_TOKENS",
  "tool-calls": "STOP",
  "content-filter": "SAFETY",
  other: "OTHER"
}

/** The word that was read, where it is one of this protocol's. */
export const encodeFinishReason = (reason: FinishReason, raw: string, hasCalls: boolean): string =>
  /^[A-Z][A-Z_]*$/.test(raw) && decodeFinishReason(raw, hasCalls) === reason ? raw : words[reason]
