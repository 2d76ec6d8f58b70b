import type { ChatEvent } from "../vocabulary/ChatEvent.js"

/** The words of an event, which cost tokens. */
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
