/** Encodes messages. OpenAI, API reference: chat/create. */
import { Array as Arr, Either } from "effect"
import type {
  AssistantMessage,
  AssistantPart,
  CacheControl,
  FilePart,
  Message,
  NativePart,
  ReasoningPart,
  TextPart,
  ToolCall,
  ToolMessage,
  UserPart
} from "../../../vocabulary/Chat.js"
import { text, textOf } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import type { Peer, WireFailure } from "../../Wire.js"
import { apart } from "./attachments.js"
import { callId, encodeCall } from "../toolCalls.js"
import type { Dialect } from "../dialect.js"
import { named, unsupported } from "../fields.js"
import { native } from "../native.js"
import { callMark, encodeDetail, encodePart } from "../reasoning.js"
import { alternating } from "./turns.js"

// -------------------------------------------------------------------------------------
// parts
// -------------------------------------------------------------------------------------

/** The cache control of a part; empty when the dialect has none. */
const cacheMark = (mark: CacheControl | undefined, dialect: Dialect): Json =>
  mark === undefined || dialect.cacheControl === "none"
    ? {}
    : { cache_control: { type: "ephemeral", ...(dialect.cacheControl === "ttl" ? mark : {}) } }

/** The format and the base64 data of `data:audio/wav;base64,…`. */
const dataUrl = /^data:[^/;,]+\/([^;,]+)[^,]*;base64,(.*)$/is

/** OpenAI accepts `wav` and `mp3`, whose media types have other names too. */
const audioFormats: Readonly<Record<string, string>> = { mpeg: "mp3", "x-wav": "wav", wave: "wav", "vnd.wave": "wav" }

const filePart = (part: FilePart): Either.Either<Json, WireFailure> => {
  if (part.fileId !== undefined) {
    return Either.right({ type: "file", file: { file_id: part.fileId, ...named("filename", part.filename) } })
  }
  return part.url !== undefined && /^data:/i.test(part.url)
    ? Either.right({ type: "file", file: { filename: part.filename ?? "file", file_data: part.url } })
    : unsupported("file by URL")
}

const plainText = ({ cacheControl, text }: TextPart, dialect: Dialect): Json => ({
  type: "text",
  text,
  ...cacheMark(cacheControl, dialect)
})

const nativePart = (part: NativePart): Json => native.fieldsOf(part) ?? {}

const knownPart = (part: Exclude<UserPart, NativePart>, dialect: Dialect): Either.Either<Json, WireFailure> => {
  switch (part.type) {
    case "text":
      return Either.right(plainText(part, dialect))
    case "image":
      return Either.right({
        type: "image_url",
        image_url: { url: part.url, ...named("detail", part.detail) },
        ...cacheMark(part.cacheControl, dialect)
      })
    case "audio": {
      const [, format, data] = dataUrl.exec(part.url) ?? []
      if (format === undefined || data === undefined) {
        return unsupported(/^data:/i.test(part.url) ? "audio in another form than base64" : "audio by URL")
      }
      const known = audioFormats[format.toLowerCase()] ?? format.toLowerCase()
      return Either.right({ type: "input_audio", input_audio: { data, format: known } })
    }
    case "file":
      return Either.map(filePart(part), (file) => ({ ...file, ...cacheMark(part.cacheControl, dialect) }))
  }
}

const userPart = (part: UserPart, dialect: Dialect): Either.Either<Json, WireFailure> =>
  part.type === "native"
    ? Either.right(nativePart(part))
    : Either.map(knownPart(part, dialect), (written) => native.encode(written, part))

const content = (
  parts: string | ReadonlyArray<UserPart>,
  dialect: Dialect
): Either.Either<string | ReadonlyArray<Json>, WireFailure> =>
  typeof parts === "string" ? Either.right(parts) : Either.all(parts.map((part) => userPart(part, dialect)))

// -------------------------------------------------------------------------------------
// assistant messages
// -------------------------------------------------------------------------------------

/** Whether the part is of this provider, or was decoded from this protocol without a provider. */
const isOwn = (part: ReasoningPart, peer: Peer): boolean =>
  part.provider === peer.provider || (part.provider === undefined && native.fieldsOf(part) !== undefined)

/** The reasoning to send: of other providers only the text, since their signatures and ids are not valid here. */
const visible = (thoughts: ReadonlyArray<ReasoningPart>, peer: Peer): ReadonlyArray<ReasoningPart> =>
  thoughts
    .map((part): ReasoningPart => (isOwn(part, peer) ? part : { type: "reasoning", text: part.text }))
    .filter((part) => part.text !== "" || part.signature !== undefined)

const isThought = (part: { readonly type: string }): part is ReasoningPart => part.type === "reasoning"

const isSaid = (part: AssistantPart): part is TextPart | NativePart => part.type !== "reasoning"

/** Whether a part has fields beside its text. */
const isMore = (part: TextPart | NativePart, dialect: Dialect): boolean =>
  native.fieldsOf(part) !== undefined ||
  (dialect.cacheControl !== "none" && part.type === "text" && part.cacheControl !== undefined)

const saidPart = (part: TextPart | NativePart, dialect: Dialect): Json =>
  part.type === "native" ? nativePart(part) : native.encode(plainText(part, dialect), part)

/** The reasoning as fields of the message, by dialect. */
const history = (parts: ReadonlyArray<ReasoningPart>, peer: Peer, dialect: Dialect): Json => {
  switch (dialect.history) {
    case "reasoning_content": {
      const text = parts.map((part) => part.text).join("")
      return text === "" ? {} : { reasoning_content: text }
    }
    case "reasoning_details": {
      const own = visible(
        parts.filter((part) => isOwn(part, peer)),
        peer
      )
      return own.length === 0 ? {} : { reasoning_details: own.map(encodeDetail) }
    }
    default:
      return {}
  }
}

/** A call with its signature. Gemini, "OpenAI compatibility": thought signatures. */
const signedCall = (call: ToolCall, marks: ReadonlyArray<ReasoningPart>, dialect: Dialect): Json => {
  const signature = marks.find((mark) => mark.id === call.id)?.signature
  return {
    ...encodeCall({ ...call, id: callId(call.id, dialect.callIds) }),
    ...(signature === undefined ? {} : { extra_content: { google: { thought_signature: signature } } })
  }
}

const assistant = (message: AssistantMessage, peer: Peer, dialect: Dialect): Json => {
  const [thoughts, marks] = Arr.partition(
    typeof message.content === "string" ? [] : message.content.filter(isThought),
    (part) => part.format === callMark && part.provider === peer.provider
  )
  const parts = typeof message.content === "string" ? [] : message.content.filter(isSaid)
  const said = textOf(message.content)
  const calls = message.toolCalls ?? []
  const thinking = dialect.history === "thinking-parts" ? visible(thoughts, peer) : []
  const marked = parts.some((part) => isMore(part, dialect))
  const told = marked ? parts : said === "" ? [] : [text(said)]
  return native.encode(
    {
      role: "assistant",
      content:
        thinking.length > 0 || marked
          ? [...thinking.map(encodePart), ...told.map((part) => saidPart(part, dialect))]
          : said === "" && calls.length > 0
            ? null
            : said,
      ...history(thoughts, peer, dialect),
      ...(calls.length > 0 ? { tool_calls: calls.map((call) => signedCall(call, marks, dialect)) } : {})
    },
    message
  )
}

// -------------------------------------------------------------------------------------
// messages
// -------------------------------------------------------------------------------------

/** Moves the cache control of a tool result to its last part. */
const result = ({ cacheControl, content }: ToolMessage, dialect: Dialect): ToolMessage["content"] => {
  if (cacheControl === undefined || dialect.cacheControl === "none") return content
  const parts = typeof content === "string" ? [text(content)] : content
  return parts.map((part, index) =>
    index === parts.length - 1 && part.type !== "native" ? { ...part, cacheControl } : part
  )
}

const encodeMessage = (message: Message, peer: Peer, dialect: Dialect): Either.Either<Json, WireFailure> => {
  switch (message.role) {
    case "system":
    case "developer":
      return Either.map(content(message.content, dialect), (content) =>
        native.encode({ role: message.role === "system" ? "system" : dialect.developerRole, content }, message)
      )
    case "user":
      return Either.map(content(message.content, dialect), (content) =>
        native.encode({ role: "user", content, ...named("name", message.name) }, message)
      )
    case "assistant":
      return Either.right(assistant(message, peer, dialect))
    case "tool":
      return Either.map(content(result(message, dialect), dialect), (content) =>
        native.encode({ role: "tool", tool_call_id: callId(message.toolCallId, dialect.callIds), content }, message)
      )
  }
}

export const encodeMessages = (
  messages: ReadonlyArray<Message>,
  peer: Peer,
  dialect: Dialect
): Either.Either<ReadonlyArray<Json>, WireFailure> => {
  const told = dialect.toolImages ? messages : apart(messages, (id) => callId(id, dialect.callIds))
  return Either.all(
    (dialect.alternate ? alternating(told) : told).map((message) => encodeMessage(message, peer, dialect))
  )
}
