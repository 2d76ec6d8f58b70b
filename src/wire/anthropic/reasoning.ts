/** Thoughts as blocks. Anthropic, "Thinking": they are signed, go back unchanged, and may be sealed. */
import type { ReasoningPart } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, string } from "../json.js"
import { native } from "./native.js"

/** The format of a thought of which only the sealed form is told. */
export const sealed = "redacted_thinking"

/** Whether a block is a thought. */
export const isThought = (block: unknown): boolean =>
  isRecord(block) && (block["type"] === "thinking" || block["type"] === sealed)

type Thought = Omit<ReasoningPart, "type">

/** What a block says of a thought; nothing where it is empty. */
export const readThought = (block: Json): Thought | undefined => {
  if (block["type"] === sealed) {
    const data = string(block, "data") ?? ""
    return data === "" ? undefined : { text: "", signature: data, format: sealed }
  }
  const text = string(block, "thinking") ?? ""
  const signature = string(block, "signature") ?? ""
  return text === "" && signature === "" ? undefined : { text, ...(signature === "" ? {} : { signature }) }
}

export const thoughtBlock = (thought: Thought): Json =>
  native.encode(
    thought.format === sealed
      ? { type: sealed, data: thought.signature ?? "" }
      : { type: "thinking", thinking: thought.text, signature: thought.signature ?? "" },
    thought
  )
