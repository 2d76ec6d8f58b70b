/** Reasoning as blocks, which are signed, sent back unchanged, and can be redacted. Source: Anthropic, "Thinking". */
import type { ReasoningPart } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, string } from "../json.js"
import { knownFields } from "../native.js"

/** The format of reasoning of which only the encrypted form is available. */
export const redacted = "redacted_thinking"

export const isReasoningBlock = (block: unknown): boolean =>
  isRecord(block) && (block["type"] === "thinking" || block["type"] === redacted)

/** The fields that a reasoning part covers. */
export const reasoningFields = knownFields(["type", "thinking", "signature", "data"])

type ReasoningFields = Pick<ReasoningPart, "text" | "signature" | "format">

/** The fields of a reasoning part; undefined when the block is empty. */
export const decodeReasoning = (block: Json): ReasoningFields | undefined => {
  if (block["type"] === redacted) {
    const data = string(block, "data") ?? ""
    return data === "" ? undefined : { text: "", signature: data, format: redacted }
  }
  const text = string(block, "thinking") ?? ""
  const signature = string(block, "signature") ?? ""
  return text === "" && signature === "" ? undefined : { text, ...(signature === "" ? {} : { signature }) }
}

/** The block without native fields. */
export const reasoningBlock = ({ format, signature = "", text }: ReasoningFields): Json =>
  format === redacted ? { type: redacted, data: signature } : { type: "thinking", thinking: text, signature }
