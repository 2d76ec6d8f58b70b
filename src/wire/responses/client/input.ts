/** Encodes messages as input items. */
import type {
  AssistantMessage,
  AssistantPart,
  AudioPart,
  ChatRequest,
  DeveloperMessage,
  FilePart,
  ImagePart,
  Message,
  ProviderPart,
  ReasoningPart,
  SystemMessage,
  TextPart,
  ToolMessage,
  UserMessage,
  UserPart
} from "../../../vocabulary/Chat.js"
import * as Chat from "../../../vocabulary/Chat.js"
import type { Dialect } from "../dialect.js"
import { parseDataUrl } from "../../requestFields.js"
import type { Item } from "../items.js"
import { callItem, groupByItem, nativeItem, reasoningItem } from "../items.js"
import { native } from "../native.js"

/** The provider that receives the items. */
export interface Context {
  readonly provider: string
  readonly dialect: Dialect
  /** Whether the provider stores responses, so that an id alone identifies a reasoning item. */
  readonly stored: boolean
}

const audioFormats: Readonly<Record<string, string>> = {
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

/** A file name is sent only with `file_data`, for which the API requires one. */
const inputFile = (part: FilePart): Item => {
  if (part.fileId !== undefined) return { type: "input_file", file_id: part.fileId }
  const url = part.url ?? ""
  const data = parseDataUrl(url)
  return data === undefined
    ? { type: "input_file", file_url: url }
    : {
        type: "input_file",
        filename: part.filename ?? `file.${data.mediaType.split("/")[1] ?? "bin"}`,
        file_data: url
      }
}

const inputAudio = (part: AudioPart): Item => {
  const { data = "", mediaType = "" } = parseDataUrl(part.url) ?? {}
  const format = audioFormats[mediaType] ?? mediaType.split("/")[1] ?? mediaType
  return { type: "input_audio", input_audio: { data, format } }
}

const knownPart = (part: Exclude<UserPart, ProviderPart>): Item => {
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

const nativePart = (part: ProviderPart): Item => native.fieldsOf(part) ?? {}

const inputPart = (part: UserPart): Item =>
  part.type === "provider" ? nativePart(part) : native.encode(knownPart(part), part)

const outputPart = (part: TextPart | ProviderPart): Item =>
  part.type === "provider"
    ? nativePart(part)
    : native.encode({ type: "output_text", text: part.text, annotations: [] }, part)

const assistantItem = (parts: ReadonlyArray<TextPart | ProviderPart>, dialect: Dialect, position: string): Item => ({
  type: "message",
  role: "assistant",
  ...(dialect.messageIds ? { id: `msg_${position}`, status: "completed" } : {}),
  content: parts.map(outputPart)
})

/** Whether the provider can use a reasoning item: it is encrypted, has its text, or is stored under its id. */
const isReadable = (parts: ReadonlyArray<ReasoningPart>, context: Context): boolean =>
  parts.some(
    (part) =>
      part.signature !== undefined ||
      (part.format === "reasoning.text" && part.text !== "") ||
      (part.id !== undefined && context.stored)
  )

const isContent = (part: AssistantPart): part is TextPart | ProviderPart => part.type !== "reasoning"

const isReasoning = (part: AssistantPart): part is ReasoningPart => part.type === "reasoning"

/** Whether a part is sent back: not reasoning of another provider. The server's half decodes reasoning without a provider. */
const isReturnable = (part: AssistantPart, context: Context): boolean =>
  part.type !== "reasoning" ||
  part.provider === context.provider ||
  (part.provider === undefined && native.fieldsOf(part) !== undefined)

/** Drops reasoning of other providers, and reasoning that nothing follows, which the API rejects. */
const assistantItems = (message: AssistantMessage, position: number, context: Context): ReadonlyArray<Item> => {
  const parts = typeof message.content === "string" ? [Chat.text(message.content)] : message.content
  const calls = (message.toolCalls ?? []).map(callItem)
  const nonEmpty = parts.filter(
    (part) => part.type !== "text" || part.text !== "" || native.fieldsOf(part) !== undefined
  )
  const messageItem = (content: ReadonlyArray<TextPart | ProviderPart>, index: number): Item =>
    native.encode(assistantItem(content, context.dialect, `${position}_${index}`), message)
  if (!nonEmpty.some(isContent) && calls.length === 0 && native.fieldsOf(message) === undefined) {
    return [assistantItem([Chat.text("")], context.dialect, `${position}`)]
  }
  const returnable = nonEmpty.filter((part) => isReturnable(part, context))
  const items = groupByItem(returnable).flatMap((group, index): ReadonlyArray<Item> => {
    const item = group[0] === undefined ? undefined : nativeItem(group[0])
    if (item !== undefined) return [item]
    const reasoning = group.filter(isReasoning)
    if (reasoning.length === 0) return [messageItem(group.filter(isContent), index)]
    return isReadable(reasoning, context) ? [reasoningItem(reasoning)] : []
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

/** A user message, or an item that the vocabulary does not cover. */
const userItem = (message: UserMessage): Item => {
  const { content } = message
  if (typeof content === "string") return native.encode({ type: "message", role: "user", content }, message)
  const [only] = content
  const item = only === undefined ? undefined : nativeItem(only)
  return item ?? native.encode({ type: "message", role: "user", content: content.map(inputPart) }, message)
}

/** A system or developer message as an input item: its text, or its parts when it was decoded from this protocol. */
const instructionItem = (message: SystemMessage | DeveloperMessage): Item => {
  const { content, role } = message
  const isParts = native.fieldsOf(message) !== undefined && typeof content !== "string"
  return native.encode(
    { type: "message", role, content: isParts ? content.map(inputPart) : Chat.textOf(content) },
    message
  )
}

/** Whether a message belongs in `instructions`: one that was decoded from an item remains an item. */
const isInstruction = (message: Message): boolean =>
  (message.role === "system" || message.role === "developer") && native.fieldsOf(message) === undefined

/** The number of instructions at the beginning; zero when there are no other messages, so that `input` is not empty. */
const countInstructions = (messages: ReadonlyArray<Message>): number =>
  Math.max(
    0,
    messages.findIndex((message) => !isInstruction(message))
  )

/**
 * System and developer messages at the beginning become `instructions`. A later one remains an item, since its position matters.
 */
export const conversation = (
  request: ChatRequest,
  context: Context
): { readonly instructions?: string; readonly input: ReadonlyArray<Item> } => {
  const { messages } = request
  const start = countInstructions(messages)
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
