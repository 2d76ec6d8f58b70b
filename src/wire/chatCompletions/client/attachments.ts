/** What tools returned beside text, for servers whose `tool` messages hold text alone. */
import type { Message, ToolMessage, UserMessage, UserPart } from "../../../vocabulary/Chat.js"
import { text } from "../../../vocabulary/Chat.js"

type ToolPart = Exclude<ToolMessage["content"], string>[number]

/** An image or a file. Native parts stay in the result. */
const isAttachment = (part: ToolPart): boolean => part.type === "image" || part.type === "file"

const attached = text("The attachments of this result are in the next user message.")

/**
 * Moves images and files out of tool results into one user message after the last of consecutive results, each under the call that
 * it belongs to; results stay next to their calls. OpenAI, API reference, chat/create: "For tool messages, only type `text` is
 * supported." `idOf` encodes the id of a call.
 */
export const apart = (messages: ReadonlyArray<Message>, idOf: (id: string) => string): ReadonlyArray<Message> => {
  if (!messages.some((message) => message.role === "tool" && typeof message.content !== "string")) return messages
  const names = new Map<string, string>()
  const written: Array<Message> = []
  let waiting: ReadonlyArray<UserPart> = []
  const release = (): void => {
    if (waiting.length > 0) written.push({ role: "user", content: waiting } satisfies UserMessage)
    waiting = []
  }
  for (const message of messages) {
    if (message.role !== "tool") release()
    // A result belongs to the nearest call before it: generated ids repeat from answer to answer.
    if (message.role === "assistant") for (const { id, name } of message.toolCalls ?? []) names.set(id, name)
    const attachments =
      message.role === "tool" && typeof message.content !== "string" ? message.content.filter(isAttachment) : []
    if (message.role !== "tool" || typeof message.content === "string" || attachments.length === 0) {
      written.push(message)
      continue
    }
    const name = names.get(message.toolCallId)
    const call = `${idOf(message.toolCallId)}${name === undefined ? "" : ` (${name})`}`
    waiting = [...waiting, text(`Attachments of the result of tool call ${call}:`), ...attachments]
    written.push({ ...message, content: [...message.content.filter((part) => !isAttachment(part)), attached] })
  }
  release()
  return written
}
