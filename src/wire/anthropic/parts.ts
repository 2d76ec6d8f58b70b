/** Parts of assistant messages and answers as blocks. */
import type { AssistantPart, ProviderPart } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { reasoningBlock } from "./reasoning.js"
import { callBlock } from "./toolCalls.js"

/** The block of a part without its native fields. The protocol has no block for a refusal: it is a text. */
export const partBlock = (part: Exclude<AssistantPart, ProviderPart>): Json => {
  switch (part.type) {
    case "text":
    case "refusal":
      return { type: "text", text: part.text }
    case "reasoning":
      return reasoningBlock(part)
    case "tool-call":
      return callBlock(part)
  }
}
