/** The reasoning of earlier turns that a model gets back. */
import type { AssistantPart, Message } from "../../../vocabulary/Chat.js"
import type { HistoryRule } from "../models.js"
import { callSignatureFormat } from "../reasoning.js"

/** Signatures of tool calls are not reasoning, so no rule drops them. */
const isReasoning = (part: AssistantPart): boolean => part.type === "reasoning" && part.format !== callSignatureFormat

const withoutReasoning = (message: Message): Message =>
  message.role === "assistant" && typeof message.content !== "string" && message.content.some(isReasoning)
    ? { ...message, content: message.content.filter((part) => !isReasoning(part)) }
    : message

const hasCalls = (message: Message): boolean => message.role === "assistant" && (message.toolCalls ?? []).length > 0

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
