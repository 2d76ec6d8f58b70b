/** The reasoning of earlier turns that a model gets back. */
import type { Message } from "../../../vocabulary/Chat.js"
import type { HistoryRule } from "../models.js"

const withoutReasoning = (message: Message): Message =>
  message.role === "assistant" &&
  typeof message.content !== "string" &&
  message.content.some((part) => part.type === "reasoning")
    ? { ...message, content: message.content.filter((part) => part.type !== "reasoning") }
    : message

const hasCalls = (message: Message): boolean =>
  message.role === "assistant" &&
  typeof message.content !== "string" &&
  message.content.some((part) => part.type === "tool-call")

/** The messages without the reasoning that the model does not get back; without a rule it gets none. */
export const withSentReasoning = (
  messages: ReadonlyArray<Message>,
  rule: HistoryRule | undefined
): ReadonlyArray<Message> => {
  if (rule?.turns === "all") return messages
  const lastUser = messages.findLastIndex(({ role }) => role === "user")
  return messages.map((message, index) =>
    rule !== undefined && index > lastUser && hasCalls(message) ? message : withoutReasoning(message)
  )
}
