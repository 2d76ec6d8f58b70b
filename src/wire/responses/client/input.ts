/** Messages as input items. */
import type {
  AssistantMessage,
  AssistantPart,
  AudioPart,
  ChatRequest,
  DeveloperMessage,
  FilePart,
  ImagePart,
  Message,
  NativePart,
  ReasoningPart,
  SystemMessage,
  TextPart,
  ToolMessage,
  UserMessage,
  UserPart
} from "../../../vocabulary/Chat.js"
import * as Chat from "../../../vocabulary/Chat.js"
import type { Dialect } from "../dialect.js"
import type { Item } from "../items.js"
import { callItem, itemOf, reasoningItem, runs } from "../items.js"
import { native } from "../native.js"

/** For whom items are written. */
export interface Context {
  readonly provider: string
  readonly dialect: Dialect
  /** Whether the provider keeps answers, so that an id alone names a thought. */
  readonly stored: boolean
}

/** The media type and the base64 text of a `data:` URL. */
export const dataOf = (url: string): { readonly mediaType: string; readonly base64: string } | undefined => {
  const [, mediaType, base64] = /^data:([^;,]*)[^,]*,([\s\S]*)$/i.exec(url) ?? []
  return mediaType === undefined || base64 === undefined ? undefined : { mediaType: mediaType.toLowerCase(), base64 }
}

const soundFormats: Readonly<Record<string, string>> = {
  "audio/mpeg": "mp3",
  "audio/vnd.wave": "wav",
  "audio/wave": "wav",
  "audio/x-wav": "wav"
}

const inputImage = (part: ImagePart): Item => ({
  type: "input_image",
  image_url: part.url,
  ...(part.detail === undefined ? {} : { detail: part.detail })
})

/** The name of a file counts only where its bytes are sent, and there the API insists on one. */
const inputFile = (part: FilePart): Item => {
  if (part.fileId !== undefined) return { type: "input_file", file_id: part.fileId }
  const url = part.url ?? ""
  const data = dataOf(url)
  return data === undefined
    ? { type: "input_file", file_url: url }
    : {
        type: "input_file",
        filename: part.filename ?? `file.${data.mediaType.split("/")[1] ?? "bin"}`,
        file_data: url
      }
}

const inputAudio = (part: AudioPart): Item => {
  const { base64, mediaType } = dataOf(part.url) ?? { base64: "", mediaType: "" }
  const format = soundFormats[mediaType] ?? mediaType.split("/")[1] ?? mediaType
  return { type: "input_audio", input_audio: { data: base64, format } }
}

const knownPart = (part: Exclude<UserPart, NativePart>): Item => {
  switch (part.type) {
    case "text":
      return { type: "input_text", text: part.text }
    case "image":
      return inputImage(part)
    case "file":
      return inputFile(part)
    case "audio":
      return inputAudio(part)
  }
}

const nativePart = (part: NativePart): Item => native.fieldsOf(part) ?? {}

const inputPart = (part: UserPart): Item =>
  part.type === "native" ? nativePart(part) : native.encode(knownPart(part), part)

const outputPart = (part: TextPart | NativePart): Item =>
  part.type === "native"
    ? nativePart(part)
    : native.encode({ type: "output_text", text: part.text, annotations: [] }, part)

const assistantItem = (parts: ReadonlyArray<TextPart | NativePart>, dialect: Dialect, position: string): Item => ({
  type: "message",
  role: "assistant",
  ...(dialect.messageIds ? { id: `msg_${position}`, status: "completed" } : {}),
  content: parts.map(outputPart)
})

/** Whether the peer can make something of a thought: it is sealed or open, or kept where its id finds it. */
const isReadable = (parts: ReadonlyArray<ReasoningPart>, context: Context): boolean =>
  parts.some(
    (part) =>
      part.signature !== undefined ||
      (part.format === "reasoning.text" && part.text !== "") ||
      (part.id !== undefined && context.stored)
  )

const isSaid = (part: AssistantPart): part is TextPart | NativePart => part.type !== "reasoning"

const isReasoning = (part: AssistantPart): part is ReasoningPart => part.type === "reasoning"

/** Whether the provider thought it, or whoever says so knows the protocol alone. */
const isOwn = (part: AssistantPart, context: Context): boolean =>
  part.type !== "reasoning" ||
  part.provider === context.provider ||
  (part.provider === undefined && native.fieldsOf(part) !== undefined)

/**
 * Thoughts go back only to the provider that thought them, and only before what followed from them: the API refuses one
 * that nothing follows.
 */
const assistantItems = (message: AssistantMessage, position: number, context: Context): ReadonlyArray<Item> => {
  const parts = typeof message.content === "string" ? [Chat.text(message.content)] : message.content
  const calls = (message.toolCalls ?? []).map(callItem)
  const said = parts.filter((part) => part.type !== "text" || part.text !== "" || native.fieldsOf(part) !== undefined)
  const messageItem = (texts: ReadonlyArray<TextPart | NativePart>, at: string): Item =>
    native.encode(assistantItem(texts, context.dialect, at), message)
  if (!said.some(isSaid) && calls.length === 0 && native.fieldsOf(message) === undefined) {
    return [assistantItem([Chat.text("")], context.dialect, `${position}`)]
  }
  const own = said.filter((part) => isOwn(part, context))
  const items = runs(own).flatMap((run, index): ReadonlyArray<Item> => {
    const item = run[0] === undefined ? undefined : itemOf(run[0])
    if (item !== undefined) return [item]
    const thoughts = run.filter(isReasoning)
    if (thoughts.length === 0) return [messageItem(run.filter(isSaid), `${position}_${index}`)]
    return isReadable(thoughts, context) ? [reasoningItem(thoughts)] : []
  })
  return [...items, ...calls]
}

const toolItem = (message: ToolMessage, customCalls: ReadonlySet<string>): Item =>
  native.encode(
    {
      type: customCalls.has(message.toolCallId) ? "custom_tool_call_output" : "function_call_output",
      call_id: message.toolCallId,
      output: typeof message.content === "string" ? message.content : message.content.map(inputPart)
    },
    message
  )

/** What the user says, or an item that the vocabulary has no word for. */
const userItem = (message: UserMessage): Item => {
  const { content } = message
  if (typeof content === "string") return native.encode({ type: "message", role: "user", content }, message)
  const [only] = content
  const item = only === undefined ? undefined : itemOf(only)
  return item ?? native.encode({ type: "message", role: "user", content: content.map(inputPart) }, message)
}

/** An instruction that keeps its place: its words alone, but in parts where they were said so in this protocol. */
const instructionItem = (message: SystemMessage | DeveloperMessage): Item => {
  const { content, role } = message
  const isParts = native.fieldsOf(message) !== undefined && typeof content !== "string"
  return native.encode(
    { type: "message", role, content: isParts ? content.map(inputPart) : Chat.textOf(content) },
    message
  )
}

/** One that was read from an item stays one. */
const isInstruction = (message: Message): boolean =>
  (message.role === "system" || message.role === "developer") && native.fieldsOf(message) === undefined

/** How many messages at the beginning are instructions; none where nothing else would remain to be asked. */
const leading = (messages: ReadonlyArray<Message>): number =>
  Math.max(
    0,
    messages.findIndex((message) => !isInstruction(message))
  )

/**
 * The conversation. What stands before it is `instructions`; a system or developer message further on keeps its place as
 * an item, since its place is part of its meaning.
 */
export const conversation = (
  request: ChatRequest,
  context: Context
): { readonly instructions?: string; readonly input: ReadonlyArray<Item> } => {
  const { messages } = request
  const start = leading(messages)
  const customCalls = new Set(
    messages.flatMap((message) =>
      message.role === "assistant"
        ? (message.toolCalls ?? []).filter((call) => call.type === "custom").map((call) => call.id)
        : []
    )
  )
  const input = messages.slice(start).flatMap((message, position): ReadonlyArray<Item> => {
    switch (message.role) {
      case "system":
      case "developer":
        return [instructionItem(message)]
      case "user":
        return [userItem(message)]
      case "assistant":
        return assistantItems(message, position, context)
      case "tool":
        return [toolItem(message, customCalls)]
    }
  })
  return start === 0
    ? { input }
    : {
        instructions: messages
          .slice(0, start)
          .map((message) => Chat.textOf(message.content))
          .join("\n\n"),
        input
      }
}
