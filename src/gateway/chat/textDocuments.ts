/**
 * Documents of plain text (`document` blocks with a `text` source; Anthropic, "Citations"), for providers whose protocols take other kinds of
 * files, or none: their text, after their title.
 */
import { Either, Encoding } from "effect"
import type { FilePart, Message, TextPart } from "../../vocabulary/Chat.js"

/** The wires whose providers read such documents. */
const readers: ReadonlySet<string> = new Set(["anthropic-messages", "gemini"])

const prefix = "data:text/plain;base64,"

const asText = (part: FilePart): FilePart | TextPart => {
  const { cacheControl, filename, url } = part
  const content = url?.startsWith(prefix) === true ? Encoding.decodeBase64String(url.slice(prefix.length)) : undefined
  if (content === undefined || Either.isLeft(content)) return part
  const text = filename === undefined ? content.right : `${filename}\n\n${content.right}`
  return { type: "text", text, ...(cacheControl === undefined ? {} : { cacheControl }) }
}

/** The messages of a client of Anthropic for the provider of a wire. */
export const forWire = (messages: ReadonlyArray<Message>, wire: string): ReadonlyArray<Message> =>
  readers.has(wire)
    ? messages
    : messages.map((message): Message => {
        if (typeof message.content === "string" || !message.content.some(({ type }) => type === "file")) return message
        switch (message.role) {
          case "user":
            return { ...message, content: message.content.map((part) => (part.type === "file" ? asText(part) : part)) }
          case "tool":
            return { ...message, content: message.content.map((part) => (part.type === "file" ? asText(part) : part)) }
          default:
            return message
        }
      })
