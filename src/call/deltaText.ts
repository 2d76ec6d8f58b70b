import type { ChatEvent } from "../vocabulary/ChatEvent.js"

/** The generated text of an event, which counts as output tokens. */
export const deltaText = (event: ChatEvent): string => {
  switch (event._tag) {
    case "TextDelta":
    case "ReasoningDelta":
    case "RefusalDelta":
      return event.text
    case "ToolCallDelta":
      return event.argumentsDelta
    default:
      return ""
  }
}
