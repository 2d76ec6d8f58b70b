/** What makes an answer more than an empty one. */
import type { AssistantPart, ProviderPart } from "../vocabulary/Chat.js"

/** Whether a part is the container beside an answer of Anthropic: see `wire/anthropic/container.ts`, which not every program bundles. */
const isContainer = ({ native }: ProviderPart): boolean => {
  const fields = native["anthropic-messages"]
  return fields?.["container"] !== undefined && fields["type"] === undefined
}

/** Whether a part is content: reasoning, empty texts, and the container beside an answer are not. */
export const isContentPart = (part: AssistantPart): boolean => {
  switch (part.type) {
    case "tool-call":
      return true
    case "text":
    case "refusal":
      return part.text !== ""
    case "provider":
      return !isContainer(part)
    case "reasoning":
      return false
  }
}
