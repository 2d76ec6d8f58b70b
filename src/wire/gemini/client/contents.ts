/** Encodes messages as contents. Source: Gemini API reference, `Content` and `Part`. */
import { Either } from "effect"
import type {
  AssistantMessage,
  AudioPart,
  FilePart,
  ImagePart,
  Message,
  ProviderPart,
  ToolMessage,
  UserMessage,
  UserPart
} from "../../../vocabulary/Chat.js"
import * as Chat from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { record } from "../../json.js"
import { foreignPart } from "../../native.js"
import { parseDataUrl, unsupported } from "../../requestFields.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { isBeforeGemini3, requiresSignatures } from "../address.js"
import { skipSignature } from "../partReader.js"
import { partsOf } from "../partWriter.js"

/** The provider and model of a request. */
export interface Context {
  readonly provider: string
  readonly model: string
}

type Encoded<A> = Either.Either<A, WireFailure>

// -------------------------------------------------------------------------------------
// media
// -------------------------------------------------------------------------------------

/** The media types that Gemini supports ("Image understanding", "Audio understanding" …), by file extension. */
const mediaTypes: Readonly<Record<string, string>> = {
  aac: "audio/aac",
  aiff: "audio/aiff",
  csv: "text/csv",
  flac: "audio/flac",
  gif: "image/gif",
  heic: "image/heic",
  heif: "image/heif",
  htm: "text/html",
  html: "text/html",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  md: "text/markdown",
  mov: "video/quicktime",
  mp3: "audio/mpeg",
  mp4: "video/mp4",
  ogg: "audio/ogg",
  pdf: "application/pdf",
  png: "image/png",
  txt: "text/plain",
  wav: "audio/wav",
  webm: "video/webm",
  webp: "image/webp",
  xml: "text/xml"
}

const mediaTypeOf = (name: string): string | undefined =>
  mediaTypes[/\.([a-z0-9]+)$/i.exec(name.split(/[?#]/)[0] ?? "")?.[1]?.toLowerCase() ?? ""]

const fileData = (fileUri: string, mimeType: string | undefined): Json => ({
  fileData: { ...(mimeType === undefined ? {} : { mimeType }), fileUri }
})

const mediaPart = (part: ImagePart | AudioPart | FilePart | ProviderPart): Encoded<Json> => {
  if (part.type === "provider") return unsupported(foreignPart)
  const name = part.type === "file" ? part.filename : undefined
  const url = part.url ?? (part.type === "file" ? part.fileId : undefined) ?? ""
  const inline = parseDataUrl(url)
  if (inline?.base64 === true) {
    return Either.right({ inlineData: { mimeType: inline.mediaType || "text/plain", data: inline.data } })
  }
  if (/^data:/i.test(url)) return unsupported("data: URL other than base64")
  return Either.right(fileData(url, mediaTypeOf(name ?? "") ?? mediaTypeOf(url)))
}

const userPart = (part: UserPart): Encoded<Json> =>
  part.type === "text" ? Either.right({ text: part.text }) : mediaPart(part)

// -------------------------------------------------------------------------------------
// turns
// -------------------------------------------------------------------------------------

const encodeUser = (message: UserMessage): Encoded<Json> => {
  if (message.name !== undefined) return unsupported("name of a user message")
  const parts = typeof message.content === "string" ? [Chat.text(message.content)] : message.content
  return Either.map(Either.all(parts.map(userPart)), (encoded) => ({ role: "user", parts: encoded }))
}

const isCall = (part: Json): boolean => record(part, "functionCall") !== undefined

/**
 * Tool calls of another model have no signature. The first gets the placeholder that the API accepts ("Thought signatures", FAQ):
 * parallel calls have one signature, on the first.
 */
const withSkipSignature = (parts: ReadonlyArray<Json>, model: string): ReadonlyArray<Json> => {
  const first = parts.findIndex(isCall)
  if (first === -1 || !requiresSignatures(model)) return parts
  if (parts.some((part) => isCall(part) && part["thoughtSignature"] !== undefined)) return parts
  return parts.map((part, index) => (index === first ? { ...part, thoughtSignature: skipSignature } : part))
}

/** Reasoning of other providers is dropped. */
const encodeAssistant = (message: AssistantMessage, context: Context): Json => {
  const parts = typeof message.content === "string" ? [Chat.text(message.content)] : message.content
  const own = parts.filter(
    (part) => part.type === "text" || (part.type === "reasoning" && part.provider === context.provider)
  )
  const encoded = partsOf(own, message.toolCalls ?? [], { callIds: !isBeforeGemini3(context.model) })
  return { role: "model", parts: encoded.length === 0 ? [{ text: "" }] : withSkipSignature(encoded, context.model) }
}

/**
 * Encodes the result of a tool call. Since Gemini 3 it contains its media, which must be inline data ("Multimodal function
 * responses"); before, media are separate parts after it.
 */
const encodeResult = (message: ToolMessage, name: string, context: Context): Encoded<ReadonlyArray<Json>> => {
  const before = isBeforeGemini3(context.model)
  const parts = typeof message.content === "string" ? [] : message.content
  const media = parts.flatMap((part) => (part.type === "text" ? [] : [mediaPart(part)]))
  const text = Chat.textOf(message.content)
  return Either.flatMap(Either.all(media), (encoded) => {
    if (!before && encoded.some((part) => "fileData" in part)) return unsupported("file by URL in the result of a tool")
    const functionResponse = {
      ...(before ? {} : { id: message.toolCallId }),
      name,
      response: message.isError === true ? { error: text } : { output: text },
      ...(before || encoded.length === 0 ? {} : { parts: encoded })
    }
    return Either.right([{ functionResponse }, ...(before ? encoded : [])])
  })
}

const isInstruction = (message: Message): boolean => message.role === "system" || message.role === "developer"

const instructionParts = (messages: ReadonlyArray<Message>): ReadonlyArray<Json> =>
  messages.flatMap(({ content }) =>
    typeof content === "string"
      ? [{ text: content }]
      : content.flatMap((part) => (part.type === "text" ? [{ text: part.text }] : []))
  )

interface EncodedResult {
  readonly callIndex: number
  readonly parts: ReadonlyArray<Json>
}

/** Adjacent results as one content. Before Gemini 3 they have no ids and are matched to their calls by order. */
const resultsContent = (results: ReadonlyArray<EncodedResult>, context: Context): Json => {
  const inOrder = isBeforeGemini3(context.model)
    ? [...results].sort((one, other) => one.callIndex - other.callIndex)
    : results
  return { role: "user", parts: inOrder.flatMap(({ parts }) => parts) }
}

/**
 * Encodes the conversation. System messages at any position become the instruction, the protocol's only field for them; a
 * conversation of system messages only becomes a user content. Adjacent results become one content, as their calls were.
 */
export const conversation = (
  messages: ReadonlyArray<Message>,
  context: Context
): Encoded<{ readonly systemInstruction?: Json; readonly contents: ReadonlyArray<Json> }> => {
  const instructions = messages.filter(isInstruction)
  if (instructions.length === messages.length) {
    return Either.right({ contents: [{ role: "user", parts: instructionParts(instructions) }] })
  }
  const calls = new Map<string, { readonly name: string; readonly callIndex: number }>()
  const contents: Array<Json> = []
  let results: Array<EncodedResult> = []
  const flush = (): void => {
    if (results.length > 0) contents.push(resultsContent(results, context))
    results = []
  }
  for (const [index, message] of messages.entries()) {
    switch (message.role) {
      case "system":
      case "developer":
        break
      case "user": {
        flush()
        const encoded = encodeUser(message)
        if (Either.isLeft(encoded)) return Either.left(encoded.left)
        contents.push(encoded.right)
        break
      }
      case "assistant":
        flush()
        for (const [callIndex, { id, name }] of (message.toolCalls ?? []).entries()) calls.set(id, { name, callIndex })
        contents.push(encodeAssistant(message, context))
        break
      case "tool": {
        const call = calls.get(message.toolCallId)
        if (call === undefined) return Either.left(malformed(`messages[${index}].toolCallId`, message.toolCallId))
        const encoded = encodeResult(message, call.name, context)
        if (Either.isLeft(encoded)) return Either.left(encoded.left)
        results.push({ callIndex: call.callIndex, parts: encoded.right })
        break
      }
    }
  }
  flush()
  return Either.right({
    ...(instructions.length === 0 ? {} : { systemInstruction: { parts: instructionParts(instructions) } }),
    contents
  })
}
