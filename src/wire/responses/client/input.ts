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
  ToolMessage,
  UserMessage,
  UserPart
} from "../../../vocabulary/Chat.js"
import * as Chat from "../../../vocabulary/Chat.js"
import type { Dialect } from "../dialect.js"
import { parseDataUrl } from "../../requestFields.js"
import type { ContentPart, Group, Item } from "../items.js"
import { callItem, groupByItem, messageItem, reasoningItem } from "../items.js"
import type { ReadFields } from "../native.js"
import { native, nativeItem } from "../native.js"

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

/** The API reference requires `detail`, whose default is `auto`. */
const inputImage = ({ detail = "auto", url }: ImagePart): Item => ({ type: "input_image", image_url: url, detail })

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

const inputPart = (part: UserPart): Item =>
  part.type === "provider" ? (native.fieldsOf(part) ?? {}) : native.encode(knownPart(part), part)

/** Whether the provider can use a reasoning item: it is encrypted, has its text, or is stored under its id. */
const isReadable = (parts: ReadonlyArray<ReasoningPart>, context: Context): boolean =>
  parts.some(
    (part) =>
      part.signature !== undefined ||
      (part.format === "reasoning.text" && part.text !== "") ||
      (part.id !== undefined && context.stored)
  )

/** Whether a part is sent back: not reasoning of another provider. */
const isReturnable = (part: AssistantPart, { provider }: Context): boolean =>
  part.type !== "reasoning" || native.isOwn(part, provider)

/** What the API reference requires of a text, beside the text. */
const blankText = { annotations: [], logprobs: [] }

const withoutId = ({ id: _, ...item }: Item): Item => item

/**
 * The text of a message without an id is one string, without a status: OpenAI's schema has parts of the assistant only in an item with
 * both. A message whose parts are not plain texts keeps them, which the API accepts.
 */
const withPlainContent = (item: Item, parts: ReadonlyArray<ContentPart>, read: ReadFields): Item => {
  const texts = parts.map((part) => {
    const { message: _, ...fields } = read(part) ?? {}
    return part.type === "text" && Object.keys(fields).length === 0 ? part.text : undefined
  })
  if ("id" in item || texts.includes(undefined)) return item
  const { status: _, ...message } = item
  return { ...message, content: texts.join("") }
}

/**
 * Items in the order of the parts. Drops reasoning of other providers, and reasoning that nothing follows, which OpenAI rejects
 * ("Item 'rs_…' of type 'reasoning' was provided without its required following item"). Where reasoning is dropped because the
 * provider cannot read it, the messages and calls after it are sent without their ids: by its id, the API requires the reasoning
 * before an item ("… was provided without its required 'reasoning' item").
 */
const assistantItems = (message: AssistantMessage, position: number, context: Context): ReadonlyArray<Item> => {
  const read: ReadFields = (part) => native.readableFields(part, context.provider)
  const parts = typeof message.content === "string" ? [Chat.text(message.content)] : message.content
  const generated = (id: string): Item => (context.dialect.messageIds ? { id: `msg_${id}`, status: "completed" } : {})
  let isPaired = true
  const itemOf = (group: Group, index: number): Item | undefined => {
    switch (group.kind) {
      case "reasoning":
        isPaired = isReadable(group.parts, context)
        return isPaired ? reasoningItem(group.parts, read) : undefined
      case "message": {
        const item = messageItem(group.parts, read, native.fieldsOf(message) ?? {}, blankText)
        const identified = { ...generated(`${position}_${index}`), ...(isPaired ? item : withoutId(item)) }
        return withPlainContent(identified, group.parts, read)
      }
      case "call": {
        const item = callItem(group.call, read)
        return isPaired ? item : withoutId(item)
      }
      case "other":
        return group.item
    }
  }
  const items = groupByItem(
    parts.filter((part) => isReturnable(part, context)),
    read
  )
    .map(itemOf)
    .filter((item) => item !== undefined)
  const last = items.findLastIndex((item) => item["type"] !== "reasoning")
  if (last >= 0) return items.slice(0, context.dialect.lastReasoning ? items.length : last + 1)
  const empty = [Chat.text("")]
  const fields = { ...generated(`${position}`), ...native.fieldsOf(message) }
  return [withPlainContent(messageItem(empty, read, fields, blankText), empty, read)]
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

/** The parts of a user message, and in their places the items that the vocabulary does not cover. */
const userItems = (message: UserMessage): ReadonlyArray<Item> => {
  const userItem = (content: string | ReadonlyArray<Item>): Item =>
    native.encode({ type: "message", role: "user", content }, message)
  const { content } = message
  if (typeof content === "string" || content.length === 0) return [userItem(content)]
  const items: Array<Item> = []
  let parts: Array<Item> = []
  const close = (): void => {
    if (parts.length > 0) items.push(userItem(parts))
    parts = []
  }
  for (const part of content) {
    const item = nativeItem(part)
    if (item === undefined) {
      parts.push(inputPart(part))
      continue
    }
    close()
    items.push(item)
  }
  close()
  return items
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
        ? Chat.toolCallsOf(message.content)
            .filter((call) => call.custom === true)
            .map((call) => call.id)
        : []
    )
  )
  const input = messages.slice(start).flatMap((message, position): ReadonlyArray<Item> => {
    switch (message.role) {
      case "system":
      case "developer":
        return [instructionItem(message)]
      case "user":
        return userItems(message)
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
