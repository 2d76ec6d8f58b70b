/** A prompt of `@effect/ai` as the messages of a request. */
import type * as Prompt from "@effect/ai/Prompt"
import { Encoding, Struct } from "effect"
import * as Chat from "../vocabulary/Chat.js"
import { keptIn } from "./metadata.js"
import type { AssistantPart } from "./promptParts.js"
import { assistantPartsOf, resultContent, toolResultsOf } from "./promptParts.js"

/** Finds the answer that made these tool calls. */
export type FindAnswer = (callIds: ReadonlyArray<string>) => ReadonlyArray<Chat.AssistantPart> | undefined

const urlOf = ({ data, mediaType }: Prompt.FilePart): string => {
  if (data instanceof URL) return data.href
  const type = mediaType === "image/*" ? "image/jpeg" : mediaType
  if (data instanceof Uint8Array) return `data:${type};base64,${Encoding.encodeBase64(data)}`
  return /^(https?:|data:)/i.test(data) ? data : `data:${type};base64,${data}`
}

const filePart = (part: Prompt.FilePart): Chat.UserPart => {
  const kept = keptIn(part.options)
  if (part.mediaType.startsWith("image/")) {
    return { type: "image", url: urlOf(part), ...Struct.pick(kept, "detail", "cacheControl", "native") }
  }
  if (part.mediaType.startsWith("audio/")) return { type: "audio", url: urlOf(part), ...Struct.pick(kept, "native") }
  const fields = Struct.pick(kept, "cacheControl", "native")
  const filename = part.fileName === undefined ? {} : { filename: part.fileName }
  return typeof kept.id === "string"
    ? { type: "file", fileId: kept.id, ...filename, ...fields }
    : { type: "file", url: urlOf(part), ...filename, ...fields }
}

const textPart = (part: Prompt.TextPart): Chat.TextPart => ({
  type: "text",
  text: part.text,
  ...Struct.pick(keptIn(part.options), "cacheControl", "provider", "native")
})

const userPart = (part: Prompt.TextPart | Prompt.FilePart): Chat.UserPart =>
  part.type === "text" ? textPart(part) : filePart(part)

const userMessage = ({ content }: Prompt.UserMessage): Chat.UserMessage => {
  const [first, ...others] = content
  const single = others.length === 0 && first?.type === "text" ? textPart(first) : undefined
  return Chat.user(single !== undefined && Object.keys(single).length === 2 ? single.text : content.map(userPart))
}

/** A file of an earlier answer is sent back if its metadata has been kept; there is no other part for it. */
const assistantPart = (part: AssistantPart): ReadonlyArray<Chat.AssistantPart> => {
  const kept = keptIn(part.options)
  switch (part.type) {
    case "text":
      return kept.refusal === undefined
        ? [textPart(part)]
        : [{ type: "refusal", text: kept.refusal, ...Struct.pick(kept, "provider", "native") }]
    case "reasoning":
      return [
        {
          type: "reasoning",
          text: part.text,
          ...Struct.pick(kept, "signature", "id", "format", "provider", "native")
        }
      ]
    case "tool-call":
      if (part.providerExecuted) return providerPart(kept)
      return [
        {
          ...Chat.toolCall(part.id, part.name, JSON.stringify(part.params ?? {})),
          ...Struct.pick(kept, "signature", "provider", "native")
        }
      ]
    case "tool-result":
    case "file":
      return providerPart(kept)
  }
}

/** A file that the model made, or the call or the result of a tool that the provider ran: sent back if its metadata has been kept. */
const providerPart = (kept: ReturnType<typeof keptIn>): ReadonlyArray<Chat.AssistantPart> =>
  kept.native === undefined ? [] : [{ type: "provider", native: kept.native, ...Struct.pick(kept, "provider") }]

const assistantMessage = (message: Prompt.AssistantMessage, find: FindAnswer): Chat.AssistantMessage => {
  const content = assistantPartsOf(message)
  const parts = content.flatMap(assistantPart)
  const calls = Chat.toolCallsOf(parts)
  const isKept = content.some(({ options }) => Object.keys(keptIn(options)).length > 0)
  const answer = calls.length === 0 || isKept ? undefined : find(calls.map(({ id }) => id))
  return Chat.assistant(answer !== undefined && Chat.textOf(answer) === Chat.textOf(parts) ? answer : parts)
}

const toolMessage = (part: Prompt.ToolResultPart): Chat.ToolMessage => ({
  role: "tool",
  toolCallId: part.id,
  content: resultContent(part, userPart),
  ...(part.isFailure ? { isError: true } : {}),
  ...Struct.pick(keptIn(part.options), "cacheControl", "native")
})

const systemMessage = ({ content, options }: Prompt.SystemMessage): Chat.SystemMessage => {
  const { cacheControl } = keptIn(options)
  return cacheControl === undefined
    ? Chat.system(content)
    : { role: "system", content: [{ type: "text", text: content, cacheControl }] }
}

/**
 * Makes messages of a prompt. `Chat` of `@effect/ai` drops the metadata of answers, so `find` restores the parts of an answer with
 * tool calls, with the signatures of its reasoning.
 */
export const messagesOf = (prompt: Prompt.Prompt, find: FindAnswer): ReadonlyArray<Chat.Message> =>
  prompt.content.flatMap((message): ReadonlyArray<Chat.Message> => {
    switch (message.role) {
      case "system":
        return [systemMessage(message)]
      case "user":
        return [userMessage(message)]
      case "assistant":
        return [assistantMessage(message, find)]
      case "tool":
        return toolResultsOf(message).map(toolMessage)
    }
  })
