/** The messages of a request as those of a prompt of `@effect/ai`. */
import type * as Prompt from "@effect/ai/Prompt"
import { Either, Encoding, Struct } from "effect"
import * as Chat from "../vocabulary/Chat.js"
import { isReadableBy } from "../wire/native.js"
import { parseDataUrl } from "../wire/requestFields.js"
import type { Kept } from "./metadata.js"
import { metadataOf } from "./metadata.js"
import { native } from "./modelParts.js"

/** The options of a part: what the library keeps for itself, and those of the caller for the model's own provider. */
const optionsOf = (
  part: { readonly provider?: string; readonly native?: Chat.Native },
  kept: Kept,
  provider: string
) => {
  const options = { ...metadataOf(kept), ...(isReadableBy(part, provider) ? native.optionsOf(part) : {}) }
  return Object.keys(options).length === 0 ? {} : { options }
}

const parsed = (text: string): unknown =>
  Either.getOrElse(
    Either.try((): unknown => JSON.parse(text)),
    () => text
  )

/** Bytes in a `data:` URL, or the address. */
const mediaOf = (url: string, unknownType: string): Pick<Prompt.FilePartEncoded, "data" | "mediaType"> => {
  const data = parseDataUrl(url)
  if (data === undefined) return { mediaType: unknownType, data: new URL(url) }
  return { mediaType: data.mediaType, data: Either.getOrElse(Encoding.decodeBase64(data.data), () => data.data) }
}

const filePart = (part: Chat.ImagePart | Chat.AudioPart | Chat.FilePart, provider: string): Prompt.FilePartEncoded => {
  switch (part.type) {
    case "image":
      return {
        type: "file",
        ...mediaOf(part.url, "image/*"),
        ...optionsOf(part, Struct.pick(part, "detail", "cacheControl", "native"), provider)
      }
    case "audio":
      return {
        type: "file",
        ...mediaOf(part.url, "audio/*"),
        ...optionsOf(part, Struct.pick(part, "native"), provider)
      }
    case "file": {
      const { fileId, filename, url } = part
      return {
        type: "file",
        ...(url === undefined ? { mediaType: "application/pdf", data: fileId ?? "" } : mediaOf(url, "application/pdf")),
        ...(filename === undefined ? {} : { fileName: filename }),
        ...optionsOf(
          part,
          { ...Struct.pick(part, "cacheControl", "native"), ...(fileId === undefined ? {} : { id: fileId }) },
          provider
        )
      }
    }
  }
}

const textPart = (part: Chat.TextPart, provider: string): Prompt.TextPartEncoded => ({
  type: "text",
  text: part.text,
  ...optionsOf(part, Struct.pick(part, "cacheControl", "provider", "native"), provider)
})

const userPart = (part: Chat.UserPart, provider: string): ReadonlyArray<Prompt.UserMessagePartEncoded> => {
  switch (part.type) {
    case "text":
      return [textPart(part, provider)]
    case "provider":
      return native.userPartsOf(part)
    default:
      return [filePart(part, provider)]
  }
}

const assistantPart = (
  part: Chat.AssistantPart,
  provider: string
): ReadonlyArray<Prompt.AssistantMessagePartEncoded> => {
  switch (part.type) {
    case "text":
      return [textPart(part, provider)]
    case "refusal":
      return [
        {
          type: "text",
          text: part.text,
          ...optionsOf(part, { refusal: part.text, ...Struct.pick(part, "provider", "native") }, provider)
        }
      ]
    case "reasoning": {
      const kept = Struct.pick(part, "signature", "id", "format", "provider", "native")
      return [{ type: "reasoning", text: part.text, ...optionsOf(part, kept, provider) }]
    }
    case "tool-call":
      return [
        {
          type: "tool-call",
          id: part.id,
          name: part.name,
          params: part.custom === true ? part.arguments : parsed(part.arguments),
          providerExecuted: false,
          ...optionsOf(part, Struct.pick(part, "signature", "provider", "native"), provider)
        }
      ]
    case "provider":
      return isReadableBy(part, provider) ? native.assistantPartsOf(part) : []
  }
}

const partsOf = <P>(content: string | ReadonlyArray<P>): ReadonlyArray<P | Chat.TextPart> =>
  typeof content === "string" ? [Chat.text(content)] : content

const textOf = (content: string | ReadonlyArray<{ readonly type: string; readonly text?: string }>): string =>
  typeof content === "string" ? content : content.map(({ text = "" }) => text).join("\n")

/** The names of the calls so far, which results in a prompt carry. */
type Names = ReadonlyMap<string, string>

const toolResult = (message: Chat.ToolMessage, names: Names, provider: string): Prompt.ToolResultPartEncoded => ({
  type: "tool-result",
  id: message.toolCallId,
  name: names.get(message.toolCallId) ?? message.toolCallId,
  isFailure: message.isError ?? false,
  result: parsed(textOf(message.content)),
  providerExecuted: false,
  ...optionsOf(message, Struct.pick(message, "cacheControl", "native"), provider)
})

const systemMessage = (
  message: Chat.SystemMessage | Chat.DeveloperMessage,
  provider: string
): Prompt.SystemMessageEncoded => {
  const cached = typeof message.content === "string" ? undefined : message.content.at(-1)?.cacheControl
  const kept = { ...(cached === undefined ? {} : { cacheControl: cached }), ...Struct.pick(message, "native") }
  return { role: "system", content: textOf(message.content), ...optionsOf(message, kept, provider) }
}

/** What a message has that a prompt of `@effect/ai` has no place for: media in the result of a tool. */
export const unsupportedContent = (messages: ReadonlyArray<Chat.Message>): string | undefined =>
  messages.some(
    ({ content, role }) => role === "tool" && typeof content !== "string" && content.some(({ type }) => type !== "text")
  )
    ? "media in the result of a tool"
    : undefined

/** Makes the messages of a prompt. The results of one round become one message, as providers want them. */
export const promptOf = (
  messages: ReadonlyArray<Chat.Message>,
  provider: string
): ReadonlyArray<Prompt.MessageEncoded> => {
  const names = new Map<string, string>()
  const prompt: Array<Prompt.MessageEncoded> = []
  for (const message of messages) {
    switch (message.role) {
      case "system":
      case "developer":
        prompt.push(systemMessage(message, provider))
        break
      case "user":
        prompt.push({ role: "user", content: partsOf(message.content).flatMap((part) => userPart(part, provider)) })
        break
      case "assistant": {
        const parts = partsOf(message.content)
        for (const call of Chat.toolCallsOf(parts)) names.set(call.id, call.name)
        prompt.push({ role: "assistant", content: parts.flatMap((part) => assistantPart(part, provider)) })
        break
      }
      case "tool": {
        const last = prompt.at(-1)
        const result = toolResult(message, names, provider)
        if (last?.role === "tool") prompt[prompt.length - 1] = { ...last, content: [...last.content, result] }
        else prompt.push({ role: "tool", content: [result] })
      }
    }
  }
  return prompt
}
