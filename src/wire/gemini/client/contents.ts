/** Encodes messages as contents. Source: Gemini API reference, `Content` and `Part`. */
import { Either } from "effect"
import type {
  AssistantMessage,
  AssistantPart,
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
import { record, string } from "../../json.js"
import { parseDataUrl, unsupported } from "../../requestFields.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { isBeforeGemini3, requiresSignatures } from "../address.js"
import { mediaTypeOf } from "../mediaTypes.js"
import { native } from "../native.js"
import { skipSignature } from "../partReader.js"
import { encodeParts } from "../partWriter.js"

/** The provider and model of a request. */
export interface Context {
  readonly provider: string
  readonly model: string
}

type Encoded<A> = Either.Either<A, WireFailure>

// -------------------------------------------------------------------------------------
// media
// -------------------------------------------------------------------------------------

const fileData = (fileUri: string, mimeType: string | undefined): Json => ({
  fileData: { ...(mimeType === undefined ? {} : { mimeType }), fileUri }
})

const mediaPart = (part: ImagePart | AudioPart | FilePart): Encoded<Json> => {
  const name = part.type === "file" ? part.filename : undefined
  const url = part.url ?? (part.type === "file" ? part.fileId : undefined) ?? ""
  const inline = parseDataUrl(url)
  if (inline?.base64 === true) {
    return Either.right({ inlineData: { mimeType: inline.mediaType || "text/plain", data: inline.data } })
  }
  if (/^data:/i.test(url)) return unsupported("data: URL other than base64")
  return Either.right(fileData(url, mediaTypeOf(name ?? "") ?? mediaTypeOf(url)))
}

const userPart = (part: Exclude<UserPart, ProviderPart>): Encoded<Json> => {
  const encoded = part.type === "text" ? Either.right({ text: part.text }) : mediaPart(part)
  return Either.map(encoded, (fields) => native.encode(fields, part))
}

/** The parts of a user message or a result. Provider parts of other providers are left out. */
const userParts = (parts: ReadonlyArray<UserPart>, provider: string): Encoded<ReadonlyArray<Json>> =>
  Either.all(
    parts.flatMap((part) => {
      if (part.type !== "provider") return [userPart(part)]
      const fields = native.readableFields(part, provider)
      return fields === undefined ? [] : [Either.right(fields)]
    })
  )

// -------------------------------------------------------------------------------------
// turns
// -------------------------------------------------------------------------------------

const encodeUser = (message: UserMessage, { provider }: Context): Encoded<Json> => {
  if (message.name !== undefined) return unsupported("name of a user message")
  const parts = typeof message.content === "string" ? [Chat.text(message.content)] : message.content
  return Either.map(userParts(parts, provider), (encoded) => ({ role: "user", parts: encoded }))
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

/** Generated speech. Models that generate it accept only text ("Speech generation", Limitations), and others not its format. */
const isSpeech = (part: AssistantPart): boolean =>
  part.type === "provider" &&
  part.provider !== undefined &&
  /^audio\//i.test(string(record(native.fieldsOf(part) ?? {}, "inlineData") ?? {}, "mimeType") ?? "")

/** Parts in their order. Generated images are sent back, which image models require ("Thought signatures"); speech is not. */
const encodeAssistant = ({ content }: AssistantMessage, { model, provider }: Context): Json => {
  const parts = typeof content === "string" ? [Chat.text(content)] : content.filter((part) => !isSpeech(part))
  const encoded = encodeParts(parts, { provider, callIds: !isBeforeGemini3(model) })
  return { role: "model", parts: encoded.length === 0 ? [{ text: "" }] : withSkipSignature(encoded, model) }
}

/**
 * Encodes the result of a tool call. Since Gemini 3 it contains its media, which must be inline data ("Multimodal function
 * responses"); before, media are separate parts after it.
 */
const encodeResult = (message: ToolMessage, name: string, context: Context): Encoded<ReadonlyArray<Json>> => {
  const before = isBeforeGemini3(context.model)
  const parts = typeof message.content === "string" ? [] : message.content
  const media = parts.filter((part) => part.type !== "text")
  const text = Chat.textOf(message.content)
  return Either.flatMap(userParts(media, context.provider), (encoded) => {
    if (!before && encoded.some((part) => "fileData" in part)) return unsupported("file by URL in the result of a tool")
    const functionResponse = {
      ...(before ? {} : { id: message.toolCallId }),
      name,
      response: message.isError === true ? { error: text } : { output: text },
      ...(before || encoded.length === 0 ? {} : { parts: encoded })
    }
    return Either.right([native.encode({ functionResponse }, message), ...(before ? encoded : [])])
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
        const encoded = encodeUser(message, context)
        if (Either.isLeft(encoded)) return Either.left(encoded.left)
        contents.push(encoded.right)
        break
      }
      case "assistant":
        flush()
        for (const [callIndex, { id, name }] of Chat.toolCallsOf(message.content).entries()) {
          calls.set(id, { name, callIndex })
        }
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
