/** Encodes messages. OpenAI, API reference: chat/create. */
import { Array as Arr, Either, Option } from "effect"
import type {
  AssistantMessage,
  AssistantPart,
  CacheControl,
  FilePart,
  Message,
  ProviderPart,
  ReasoningPart,
  RefusalPart,
  TextPart,
  ToolCall,
  ToolMessage,
  UserMessage,
  UserPart
} from "../../../vocabulary/Chat.js"
import { text, toolCall, toolCallsOf } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { pick } from "../../json.js"
import { mergeFields } from "../../native.js"
import type { Peer, WireFailure } from "../../Wire.js"
import { encodeCallId, encodeCall } from "../toolCalls.js"
import { encodeEntries } from "../content.js"
import type { Dialect } from "../dialect.js"
import { optional, parseDataUrl, unsupported } from "../../requestFields.js"
import { messageFieldsOf, native } from "../native.js"
import { encodeReasoningDetail, encodeThinkingEntry } from "../reasoning.js"
import { withSentReasoning } from "./history.js"
import { alternateTurns } from "./turns.js"

/** The provider and the model that messages are encoded for. */
export interface Target extends Peer {
  /** Whether the model may reason in its answer. */
  readonly thinks: boolean
}

interface Context extends Peer {
  /** Whether messages with tool calls need an empty reasoning when they have none. */
  readonly emptyReasoning: boolean
}

// -------------------------------------------------------------------------------------
// parts
// -------------------------------------------------------------------------------------

/** The cache control of a part; empty when the dialect has none. */
const cacheControlField = (cacheControl: CacheControl | undefined, dialect: Dialect): Json =>
  cacheControl === undefined || dialect.cacheControl === "none"
    ? {}
    : { cache_control: { type: "ephemeral", ...(dialect.cacheControl === "ttl" ? cacheControl : {}) } }

/** OpenAI accepts `wav` and `mp3`, whose media types have other names too. */
const audioFormats: Readonly<Record<string, string>> = { mpeg: "mp3", "x-wav": "wav", wave: "wav", "vnd.wave": "wav" }

const encodeFile = (part: FilePart): Either.Either<Json, WireFailure> => {
  if (part.fileId !== undefined) {
    return Either.right({ type: "file", file: { file_id: part.fileId, ...optional("filename", part.filename) } })
  }
  return part.url !== undefined && /^data:/i.test(part.url)
    ? Either.right({ type: "file", file: { filename: part.filename ?? "file", file_data: part.url } })
    : unsupported("file by URL")
}

const encodeText = ({ cacheControl, text }: TextPart, dialect: Dialect): Json => ({
  type: "text",
  text,
  ...cacheControlField(cacheControl, dialect)
})

const encodePart = (part: Exclude<UserPart, ProviderPart>, dialect: Dialect): Either.Either<Json, WireFailure> => {
  switch (part.type) {
    case "text":
      return Either.right(encodeText(part, dialect))
    case "image":
      return Either.right({
        type: "image_url",
        image_url: { url: part.url, ...optional("detail", part.detail) },
        ...cacheControlField(part.cacheControl, dialect)
      })
    case "audio": {
      const { base64 = false, data, mediaType = "" } = parseDataUrl(part.url) ?? {}
      const [, subtype] = mediaType.split("/")
      if (!base64 || !subtype) {
        return unsupported(/^data:/i.test(part.url) ? "audio data other than base64" : "audio by URL")
      }
      return Either.right({ type: "input_audio", input_audio: { data, format: audioFormats[subtype] ?? subtype } })
    }
    case "file":
      return Either.map(encodeFile(part), (file) => ({ ...file, ...cacheControlField(part.cacheControl, dialect) }))
  }
}

/** A part as an entry of the content; none for a part of another provider. */
const encodeUserPart = (
  part: UserPart,
  peer: Peer,
  dialect: Dialect
): Either.Either<ReadonlyArray<Json>, WireFailure> =>
  part.type === "provider"
    ? Either.right(Arr.fromNullable(native.readableFields(part, peer.provider)))
    : Either.map(encodePart(part, dialect), (encoded) => [native.encode(encoded, part)])

const encodeContent = (
  parts: string | ReadonlyArray<UserPart>,
  peer: Peer,
  dialect: Dialect
): Either.Either<string | ReadonlyArray<Json>, WireFailure> =>
  typeof parts === "string"
    ? Either.right(parts)
    : Either.map(Either.all(parts.map((part) => encodeUserPart(part, peer, dialect))), (entries) => {
        const content = entries.flat()
        // An empty list is rejected.
        return content.length === 0 ? "" : content
      })

// -------------------------------------------------------------------------------------
// assistant messages
// -------------------------------------------------------------------------------------

const isSent = ({ signature, text }: ReasoningPart): boolean => text !== "" || signature !== undefined

/**
 * A refusal as an entry of the content: if it came as one, or as text for a provider without refusals. Undefined for one in the
 * field of the message.
 */
const encodeRefusal = (part: RefusalPart, peer: Peer, dialect: Dialect): Json | undefined => {
  if (!dialect.assistantFields.includes("refusal")) return text(part.text)
  const fields = native.readableFields(part, peer.provider)
  return fields === undefined ? undefined : { type: "refusal", refusal: part.text, ...fields }
}

/** A part as an entry of the content; undefined for a part that has no place there. */
const encodeEntry = (part: AssistantPart, peer: Peer, dialect: Dialect): Json | undefined => {
  switch (part.type) {
    case "text":
      return mergeFields(encodeText(part, dialect), native.readableFields(part, peer.provider) ?? {})
    case "refusal":
      return encodeRefusal(part, peer, dialect)
    case "reasoning": {
      if (dialect.history !== "thinking-parts") return undefined
      // Of another provider only the text, since its signature and id are not valid here.
      const sent: ReasoningPart = native.isOwn(part, peer.provider) ? part : { type: "reasoning", text: part.text }
      return isSent(sent) ? encodeThinkingEntry(sent) : undefined
    }
    case "tool-call":
      return undefined
    case "provider": {
      const entry = native.readableFields(part, peer.provider)
      return entry === undefined || messageFieldsOf(entry) !== undefined ? undefined : entry
    }
  }
}

/** The reasoning as fields of the message, by dialect. */
const encodeReasoning = (
  parts: ReadonlyArray<ReasoningPart>,
  peer: Peer,
  dialect: Dialect,
  needsField: boolean
): Json => {
  switch (dialect.history) {
    case "reasoning_content":
    case "reasoning": {
      const text = parts.map((part) => part.text).join("")
      return text === "" && !needsField ? {} : { [dialect.history]: text }
    }
    case "reasoning_details": {
      const own = parts.filter((part) => native.isOwn(part, peer.provider) && isSent(part))
      return own.length === 0 ? {} : { reasoning_details: own.map(encodeReasoningDetail) }
    }
    default:
      return {}
  }
}

/** A call; of another provider without its signature and its native fields. */
const encodeOwnCall = (call: ToolCall, peer: Peer, dialect: Dialect): Json => {
  const id = encodeCallId(call.id, dialect.callIds)
  const { arguments: args, custom, name } = call
  return encodeCall(
    native.isOwn(call, peer.provider)
      ? { ...call, id }
      : { ...toolCall(id, name, args), ...(custom === undefined ? {} : { custom }) }
  )
}

/** The fields of the message that its parts stand for, as far as the provider accepts them. */
const messageFields = (parts: ReadonlyArray<AssistantPart>, peer: Peer, dialect: Dialect): Json => {
  let fields: Json = {}
  let refusal: string | undefined
  for (const part of parts) {
    if (part.type === "refusal" && encodeRefusal(part, peer, dialect) === undefined) {
      refusal = (refusal ?? "") + part.text
    } else if (part.type === "provider") {
      fields = mergeFields(fields, messageFieldsOf(native.readableFields(part, peer.provider) ?? {}) ?? {})
    }
  }
  return { ...optional("refusal", refusal), ...pick(fields, dialect.assistantFields) }
}

const encodeAssistant = (message: AssistantMessage, peer: Context, dialect: Dialect): Json => {
  const parts = typeof message.content === "string" ? [text(message.content)] : message.content
  const content = encodeEntries(Arr.filterMap(parts, (part) => Option.fromNullable(encodeEntry(part, peer, dialect))))
  const reasoning = parts.filter((part) => part.type === "reasoning")
  const calls = toolCallsOf(parts)
  const fields = {
    ...messageFields(parts, peer, dialect),
    ...encodeReasoning(reasoning, peer, dialect, peer.emptyReasoning && calls.length > 0),
    ...(calls.length > 0 ? { tool_calls: calls.map((call) => encodeOwnCall(call, peer, dialect)) } : {})
  }
  const isAbsent = content === "" && ["tool_calls", ...dialect.assistantFields].some((field) => field in fields)
  return native.encode({ role: "assistant", content: isAbsent ? null : content, ...fields }, message)
}

// -------------------------------------------------------------------------------------
// tool results
// -------------------------------------------------------------------------------------

type ToolPart = Exclude<ToolMessage["content"], string>[number]

/** An image or a file. Provider parts stay in the result. */
const isAttachment = (part: ToolPart): boolean => part.type === "image" || part.type === "file"

const attachmentNotice = text("The attachments of this result are in the next user message.")

/**
 * Moves images and files out of tool results into one user message after the last of consecutive results, each under the call
 * that it belongs to; results stay next to their calls. OpenAI, API reference, chat/create: "For tool messages, only type `text`
 * is supported."
 */
const separateAttachments = (messages: ReadonlyArray<Message>, dialect: Dialect): ReadonlyArray<Message> => {
  if (!messages.some((message) => message.role === "tool" && typeof message.content !== "string")) return messages
  const names = new Map<string, string>()
  const separated: Array<Message> = []
  let pending: ReadonlyArray<UserPart> = []
  const flush = (): void => {
    if (pending.length > 0) separated.push({ role: "user", content: pending } satisfies UserMessage)
    pending = []
  }
  for (const message of messages) {
    if (message.role !== "tool") flush()
    // A result belongs to the nearest call before it: generated ids repeat from answer to answer.
    if (message.role === "assistant") for (const { id, name } of toolCallsOf(message.content)) names.set(id, name)
    const attachments =
      message.role === "tool" && typeof message.content !== "string" ? message.content.filter(isAttachment) : []
    if (message.role !== "tool" || typeof message.content === "string" || attachments.length === 0) {
      separated.push(message)
      continue
    }
    const name = names.get(message.toolCallId)
    const call = `${encodeCallId(message.toolCallId, dialect.callIds)}${name === undefined ? "" : ` (${name})`}`
    pending = [...pending, text(`Attachments of the result of tool call ${call}:`), ...attachments]
    separated.push({
      ...message,
      content: [...message.content.filter((part) => !isAttachment(part)), attachmentNotice]
    })
  }
  flush()
  return separated
}

/** Moves the cache control of a tool result to its last part. */
const resultContent = ({ cacheControl, content }: ToolMessage, dialect: Dialect): ToolMessage["content"] => {
  if (cacheControl === undefined || dialect.cacheControl === "none") return content
  const parts = typeof content === "string" ? [text(content)] : content
  return parts.map((part, index) =>
    index === parts.length - 1 && part.type !== "provider" ? { ...part, cacheControl } : part
  )
}

// -------------------------------------------------------------------------------------
// messages
// -------------------------------------------------------------------------------------

const encodeMessage = (message: Message, peer: Context, dialect: Dialect): Either.Either<Json, WireFailure> => {
  switch (message.role) {
    case "system":
    case "developer":
      return Either.map(encodeContent(message.content, peer, dialect), (content) =>
        native.encode({ role: message.role === "system" ? "system" : dialect.developerRole, content }, message)
      )
    case "user":
      return Either.map(encodeContent(message.content, peer, dialect), (content) =>
        native.encode({ role: "user", content, ...optional("name", message.name) }, message)
      )
    case "assistant":
      return Either.right(encodeAssistant(message, peer, dialect))
    case "tool":
      return Either.map(encodeContent(resultContent(message, dialect), peer, dialect), (content) =>
        native.encode(
          { role: "tool", tool_call_id: encodeCallId(message.toolCallId, dialect.callIds), content },
          message
        )
      )
  }
}

export const encodeMessages = (
  messages: ReadonlyArray<Message>,
  { model, provider, thinks }: Target,
  dialect: Dialect
): Either.Either<ReadonlyArray<Json>, WireFailure> => {
  const rule = dialect.historyModels.find(({ name }) => name.test(model))
  const context: Context = { provider, model, emptyReasoning: thinks && rule?.emptyReasoning === true }
  // Before the attachments of results become user messages, which do not end a tool loop.
  const sent = dialect.history === "none" ? messages : withSentReasoning(messages, rule)
  const separated = dialect.toolImages ? sent : separateAttachments(sent, dialect)
  const turns = dialect.alternate ? alternateTurns(separated) : separated
  return Either.all(turns.map((message) => encodeMessage(message, context, dialect)))
}
