/** Messages as contents. Gemini API reference, `Content` and `Part`. */
import { Either } from "effect"
import type {
  AssistantMessage,
  AudioPart,
  FilePart,
  ImagePart,
  Message,
  NativePart,
  ToolMessage,
  UserMessage,
  UserPart
} from "../../../vocabulary/Chat.js"
import * as Chat from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { record } from "../../json.js"
import { foreignPart } from "../../native.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { isBeforeGemini3, wantsSignatures } from "../address.js"
import { skipSignature } from "../partReader.js"
import { partsOf } from "../partWriter.js"

/** For whom contents are written. */
export interface Context {
  readonly provider: string
  readonly model: string
}

type Written<A> = Either.Either<A, WireFailure>

const unsupported = (feature: string): Written<never> => Either.left({ _tag: "Unsupported", feature })

// -------------------------------------------------------------------------------------
// media
// -------------------------------------------------------------------------------------

/** The media types that Gemini knows ("Image understanding", "Audio understanding" …), by the endings of names. */
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

const base64Data = /^data:([^;,]*)[^,]*;base64,([\s\S]*)$/i

const mediaPart = (part: ImagePart | AudioPart | FilePart | NativePart): Written<Json> => {
  if (part.type === "native") return unsupported(foreignPart)
  const name = part.type === "file" ? part.filename : undefined
  const url = part.url ?? (part.type === "file" ? part.fileId : undefined) ?? ""
  const [, mimeType, data] = base64Data.exec(url) ?? []
  if (data !== undefined) return Either.right({ inlineData: { mimeType: mimeType || "text/plain", data } })
  if (/^data:/i.test(url)) return unsupported("data: URL in another form than base64")
  return Either.right(fileData(url, mediaTypeOf(name ?? "") ?? mediaTypeOf(url)))
}

const userPart = (part: UserPart): Written<Json> =>
  part.type === "text" ? Either.right({ text: part.text }) : mediaPart(part)

// -------------------------------------------------------------------------------------
// turns
// -------------------------------------------------------------------------------------

const user = (message: UserMessage): Written<Json> => {
  if (message.name !== undefined) return unsupported("name of a user message")
  const parts = typeof message.content === "string" ? [Chat.text(message.content)] : message.content
  return Either.map(Either.all(parts.map(userPart)), (written) => ({ role: "user", parts: written }))
}

const isCall = (part: Json): boolean => record(part, "functionCall") !== undefined

/**
 * Calls that another model asked for have no signature of Gemini's. The first of them says so, which lets the history pass
 * ("Thought signatures", FAQ): parallel calls have one signature, on the first.
 */
const excused = (parts: ReadonlyArray<Json>, model: string): ReadonlyArray<Json> => {
  const first = parts.findIndex(isCall)
  if (first === -1 || !wantsSignatures(model)) return parts
  if (parts.some((part) => isCall(part) && part["thoughtSignature"] !== undefined)) return parts
  return parts.map((part, index) => (index === first ? { ...part, thoughtSignature: skipSignature } : part))
}

/** Thoughts of other providers mean nothing here, and are not sent. */
const model = (message: AssistantMessage, context: Context): Json => {
  const parts = typeof message.content === "string" ? [Chat.text(message.content)] : message.content
  const own = parts.filter(
    (part) => part.type === "text" || (part.type === "reasoning" && part.provider === context.provider)
  )
  const written = partsOf(own, message.toolCalls ?? [], { callIds: !isBeforeGemini3(context.model) })
  return { role: "model", parts: written.length === 0 ? [{ text: "" }] : excused(written, context.model) }
}

/**
 * The result of a call. Its media are within it since Gemini 3 ("Multimodal function responses"), where they must be bytes;
 * before they stand beside it.
 */
const result = (message: ToolMessage, name: string, context: Context): Written<ReadonlyArray<Json>> => {
  const before = isBeforeGemini3(context.model)
  const parts = typeof message.content === "string" ? [] : message.content
  const media = parts.flatMap((part) => (part.type === "text" ? [] : [mediaPart(part)]))
  const text = Chat.textOf(message.content)
  return Either.flatMap(Either.all(media), (written) => {
    if (!before && written.some((part) => "fileData" in part)) return unsupported("file by URL in the result of a tool")
    const functionResponse = {
      ...(before ? {} : { id: message.toolCallId }),
      name,
      response: message.isError === true ? { error: text } : { output: text },
      ...(before || written.length === 0 ? {} : { parts: written })
    }
    return Either.right([{ functionResponse }, ...(before ? written : [])])
  })
}

const isInstruction = (message: Message): boolean => message.role === "system" || message.role === "developer"

const instructionParts = (messages: ReadonlyArray<Message>): ReadonlyArray<Json> =>
  messages.flatMap(({ content }) =>
    typeof content === "string"
      ? [{ text: content }]
      : content.flatMap((part) => (part.type === "text" ? [{ text: part.text }] : []))
  )

/** Results that follow each other, each with the place of its call: without ids they are told apart by their order. */
const resultsOf = (
  results: ReadonlyArray<{ readonly place: number; readonly parts: ReadonlyArray<Json> }>,
  context: Context
): Json => {
  const inOrder = isBeforeGemini3(context.model) ? [...results].sort((one, other) => one.place - other.place) : results
  return { role: "user", parts: inOrder.flatMap(({ parts }) => parts) }
}

/**
 * The conversation. System messages, wherever they stand, are its instruction, for the protocol has no other place; where
 * there is nothing else, they are asked. Results that follow each other are one content, as the calls were.
 */
export const conversation = (
  messages: ReadonlyArray<Message>,
  context: Context
): Written<{ readonly systemInstruction?: Json; readonly contents: ReadonlyArray<Json> }> => {
  const instructions = messages.filter(isInstruction)
  if (instructions.length === messages.length) {
    return Either.right({ contents: [{ role: "user", parts: instructionParts(instructions) }] })
  }
  const calls = new Map<string, { readonly name: string; readonly place: number }>()
  const contents: Array<Json> = []
  let results: Array<{ readonly place: number; readonly parts: ReadonlyArray<Json> }> = []
  const close = (): void => {
    if (results.length > 0) contents.push(resultsOf(results, context))
    results = []
  }
  for (const [index, message] of messages.entries()) {
    switch (message.role) {
      case "system":
      case "developer":
        break
      case "user": {
        close()
        const written = user(message)
        if (Either.isLeft(written)) return Either.left(written.left)
        contents.push(written.right)
        break
      }
      case "assistant":
        close()
        for (const [place, { id, name }] of (message.toolCalls ?? []).entries()) calls.set(id, { name, place })
        contents.push(model(message, context))
        break
      case "tool": {
        const call = calls.get(message.toolCallId)
        if (call === undefined) return Either.left(malformed(`messages[${index}].toolCallId`, message.toolCallId))
        const written = result(message, call.name, context)
        if (Either.isLeft(written)) return Either.left(written.left)
        results.push({ place: call.place, parts: written.right })
        break
      }
    }
  }
  close()
  return Either.right({
    ...(instructions.length === 0 ? {} : { systemInstruction: { parts: instructionParts(instructions) } }),
    contents
  })
}
