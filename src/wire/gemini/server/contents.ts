/** Decodes contents as messages. */
import { Either } from "effect"
import * as Chat from "../../../vocabulary/Chat.js"
import { collectAll } from "../../../vocabulary/chatEvent/collected.js"
import type { Json } from "../../json.js"
import { array, isRecord, record, string } from "../../json.js"
import { knownFields } from "../../native.js"
import type { WireEvent, WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { mediaTypeOf } from "../mediaTypes.js"
import { camelCased } from "../names.js"
import { native } from "../native.js"
import { hasContent, partReader } from "../partReader.js"

/** A message before its validation, and its path in the request. */
export interface Draft {
  readonly path: string
  readonly message: Json
}

type Decoded<A> = Either.Either<A, WireFailure>

/** A tool call without a result. */
interface PendingCall {
  readonly id: string
  readonly name: string
}

const partType = (mimeType: string): "image" | "audio" | "file" =>
  mimeType.startsWith("image/") ? "image" : mimeType.startsWith("audio/") ? "audio" : "file"

const textFields = knownFields(["text"])
const inlineFields = knownFields([], { inlineData: ["data", "mimeType"] })
const fileFields = knownFields([], { fileData: ["fileUri", "mimeType"] })
/** A media type that the URL does not imply is a native field. */
const fileFieldsWithoutType = knownFields([], { fileData: ["fileUri"] })

const inlineMedia = (part: Json, inlineData: Json, path: string): Decoded<Json> => {
  const { data, mimeType } = inlineData
  return typeof data === "string" && typeof mimeType === "string"
    ? Either.right({
        type: partType(mimeType),
        url: `data:${mimeType};base64,${data}`,
        ...native.decode({ ...part, inlineData }, inlineFields)
      })
    : Either.left(malformed(`${path}.inlineData`, part["inlineData"]))
}

const fileMedia = (part: Json, fileData: Json, path: string): Decoded<Json> => {
  const { fileUri, mimeType } = fileData
  if (typeof fileUri !== "string") return Either.left(malformed(`${path}.fileData.fileUri`, fileUri))
  const known = mediaTypeOf(fileUri) === mimeType ? fileFields : fileFieldsWithoutType
  return Either.right({
    ...(/^https?:/i.test(fileUri)
      ? { type: typeof mimeType === "string" ? partType(mimeType) : "file", url: fileUri }
      : { type: "file", fileId: fileUri }),
    ...native.decode({ ...part, fileData }, known)
  })
}

/** Decodes a part of the user or of a result. A part of another kind, such as executed code, is a provider part. */
const userPart = (part: Json, path: string): Decoded<Json> => {
  const { text } = part
  if (typeof text === "string") return Either.right({ type: "text", text, ...native.decode(part, textFields) })
  const inlineData = record(part, "inlineData")
  if (inlineData !== undefined) return inlineMedia(part, camelCased(inlineData), path)
  const fileData = record(part, "fileData")
  if (fileData !== undefined) return fileMedia(part, camelCased(fileData), path)
  return hasContent(part) ? Either.right({ ...native.part(part) }) : Either.left(malformed(path, part))
}

/** A list, or its only element. */
const listOf = (value: unknown): ReadonlyArray<unknown> =>
  Array.isArray(value) ? value : isRecord(value) ? [value] : []

const textOf = (response: Json, field: "output" | "error"): string | undefined =>
  Object.keys(response).length === 1 ? string(response, field) : undefined

const resultFields = knownFields([], { functionResponse: ["id", "name", "parts", "response"] })

/** Decodes a result. One without an id belongs to the first pending call of its name. */
const decodeResult = (part: Json, from: Json, path: string, pending: Array<PendingCall>): Decoded<Json> => {
  const fields = camelCased(from)
  const { name } = fields
  const id = string(fields, "id") ?? ""
  const at = id === "" ? pending.findIndex((call) => call.name === name) : -1
  const [call] = at === -1 ? [] : pending.splice(at, 1)
  const toolCallId = id === "" ? call?.id : id
  if (toolCallId === undefined) return Either.left(malformed(`${path}.name`, name))
  const response = record(fields, "response") ?? {}
  const error = textOf(response, "error")
  const text = error ?? textOf(response, "output") ?? JSON.stringify(response)
  const parts = array(fields, "parts") ?? []
  return Either.map(
    Either.all(parts.map((each, index) => userPart(isRecord(each) ? camelCased(each) : {}, `${path}.parts[${index}]`))),
    (media) => ({
      role: "tool",
      toolCallId,
      content: media.length === 0 ? text : [...(text === "" ? [] : [{ type: "text", text }]), ...media],
      ...(error === undefined ? {} : { isError: true }),
      ...native.decode({ ...part, functionResponse: fields }, resultFields)
    })
  )
}

/** Each result becomes a message; all other parts become one user message after them. */
const userDrafts = (
  parts: ReadonlyArray<Json>,
  path: string,
  pending: Array<PendingCall>
): Decoded<ReadonlyArray<Draft>> => {
  const results: Array<Draft> = []
  const others: Array<Json> = []
  for (const [index, part] of parts.entries()) {
    const partPath = `${path}.parts[${index}]`
    const response = record(part, "functionResponse")
    const decoded =
      response === undefined
        ? userPart(part, partPath)
        : decodeResult(part, response, `${partPath}.functionResponse`, pending)
    if (Either.isLeft(decoded)) return Either.left(decoded.left)
    if (response === undefined) others.push(decoded.right)
    else results.push({ path: partPath, message: decoded.right })
  }
  const [only] = others
  if (only === undefined) return Either.right(results)
  const isPlain = others.length === 1 && only["type"] === "text" && only["native"] === undefined
  const content = isPlain ? only["text"] : others
  return Either.right([...results, { path, message: { role: "user", content } }])
}

/** Decodes an assistant message with the reader of answers. The provider of its parts is unknown. */
const modelDraft = (
  parts: ReadonlyArray<Json>,
  path: string,
  pending: Array<PendingCall>,
  idOf: () => string
): Decoded<ReadonlyArray<Draft>> => {
  const out: Array<WireEvent> = []
  const reader = partReader(undefined, idOf)
  const failure = reader.read(parts, `${path}.parts`, out)
  if (failure !== undefined) return Either.left(failure)
  reader.end(out)
  const { content } = collectAll(out)
  pending.splice(0, pending.length, ...Chat.toolCallsOf(content))
  return Either.right([{ path, message: { ...Chat.toMessage({ content }) } }])
}

const partsAt = (content: Json): ReadonlyArray<Json> =>
  listOf(content["parts"]).map((part) => (isRecord(part) ? camelCased(part) : {}))

/** Decodes the instruction, which is a content or a string. */
const instruction = (from: unknown): ReadonlyArray<Draft> => {
  const parts = typeof from === "string" ? [{ text: from }] : isRecord(from) ? partsAt(from) : []
  const texts = parts.flatMap(({ text }) => (typeof text === "string" && text !== "" ? [text] : []))
  const [only, ...others] = texts
  if (only === undefined) return []
  const content = others.length === 0 ? only : texts.map((text) => ({ type: "text", text }))
  return [{ path: "systemInstruction", message: { role: "system", content } }]
}

/** Decodes the conversation. The instruction becomes its first message. */
export const decodeMessages = (systemInstruction: unknown, contents: unknown): Decoded<ReadonlyArray<Draft>> => {
  const listed = listOf(contents)
  if (listed.length === 0) return Either.left(malformed("contents", contents))
  const drafts: Array<Draft> = [...instruction(systemInstruction)]
  const pending: Array<PendingCall> = []
  let calls = 0
  for (const [index, content] of listed.entries()) {
    const path = `contents[${index}]`
    if (!isRecord(content)) return Either.left(malformed(path, content))
    const parts = partsAt(content)
    const { role = "user" } = content
    const decoded =
      role === "model"
        ? modelDraft(parts, path, pending, () => `call_${calls++}`)
        : role === "user" || role === "function" || role === "tool"
          ? userDrafts(parts, path, pending)
          : Either.left(malformed(`${path}.role`, role))
    if (Either.isLeft(decoded)) return Either.left(decoded.left)
    drafts.push(...decoded.right)
  }
  return Either.right(drafts)
}
