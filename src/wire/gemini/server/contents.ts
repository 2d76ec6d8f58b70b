/** Contents as messages. */
import { Either } from "effect"
import type { ChatEvent } from "../../../vocabulary/ChatEvent.js"
import * as Events from "../../../vocabulary/ChatEvent.js"
import type { Json } from "../../json.js"
import { array, isRecord, record, string } from "../../json.js"
import type { WireEvent, WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { named } from "../names.js"
import { partReader } from "../partReader.js"

/** A message that is yet to be validated, and where it stood. */
export interface Draft {
  readonly path: string
  readonly message: Json
}

type Read<A> = Either.Either<A, WireFailure>

/** A call that has no result yet. */
interface Asked {
  readonly id: string
  readonly name: string
}

const typed = (mimeType: string): "image" | "audio" | "file" =>
  mimeType.startsWith("image/") ? "image" : mimeType.startsWith("audio/") ? "audio" : "file"

const mediaOf = (part: Json, path: string): Read<Json> => {
  const bytes = record(part, "inlineData")
  if (bytes !== undefined) {
    const { data, mimeType } = named(bytes)
    if (typeof data !== "string" || typeof mimeType !== "string")
      return Either.left(malformed(`${path}.inlineData`, bytes))
    return Either.right({ type: typed(mimeType), url: `data:${mimeType};base64,${data}` })
  }
  const file = record(part, "fileData")
  if (file === undefined) return Either.left({ _tag: "Unsupported", feature: `part ${Object.keys(part).join(" ")}` })
  const { fileUri, mimeType } = named(file)
  if (typeof fileUri !== "string") return Either.left(malformed(`${path}.fileData.fileUri`, fileUri))
  return Either.right(
    /^https?:/i.test(fileUri)
      ? { type: typeof mimeType === "string" ? typed(mimeType) : "file", url: fileUri }
      : { type: "file", fileId: fileUri }
  )
}

const userPart = (part: Json, path: string): Read<Json> =>
  typeof part["text"] === "string" ? Either.right({ type: "text", text: part["text"] }) : mediaOf(part, path)

/** A list, or its only element. */
const listOf = (value: unknown): ReadonlyArray<unknown> =>
  Array.isArray(value) ? value : isRecord(value) ? [value] : []

const textOf = (response: Json, field: "output" | "error"): string | undefined =>
  Object.keys(response).length === 1 ? string(response, field) : undefined

/** The result of the call with its id, or of the first of its name that has none yet. */
const resultOf = (from: Json, path: string, asked: Array<Asked>): Read<Json> => {
  const fields = named(from)
  const { name } = fields
  const id = string(fields, "id") ?? ""
  const at = id === "" ? asked.findIndex((call) => call.name === name) : -1
  const [call] = at === -1 ? [] : asked.splice(at, 1)
  const toolCallId = id === "" ? call?.id : id
  if (toolCallId === undefined) return Either.left(malformed(`${path}.name`, name))
  const response = record(fields, "response") ?? {}
  const error = textOf(response, "error")
  const text = error ?? textOf(response, "output") ?? JSON.stringify(response)
  const parts = array(fields, "parts") ?? []
  return Either.map(
    Either.all(parts.map((part, index) => mediaOf(isRecord(part) ? named(part) : {}, `${path}.parts[${index}]`))),
    (media) => ({
      role: "tool",
      toolCallId,
      content: media.length === 0 ? text : [...(text === "" ? [] : [{ type: "text", text }]), ...media],
      ...(error === undefined ? {} : { isError: true })
    })
  )
}

/** Results, one message each, and what else the user says. */
const userDrafts = (parts: ReadonlyArray<Json>, path: string, asked: Array<Asked>): Read<ReadonlyArray<Draft>> => {
  const results: Array<Draft> = []
  const said: Array<Json> = []
  for (const [index, part] of parts.entries()) {
    const at = `${path}.parts[${index}]`
    const response = record(part, "functionResponse")
    const read = response === undefined ? userPart(part, at) : resultOf(response, `${at}.functionResponse`, asked)
    if (Either.isLeft(read)) return Either.left(read.left)
    if (response === undefined) said.push(read.right)
    else results.push({ path: at, message: read.right })
  }
  const [only] = said
  if (only === undefined) return Either.right(results)
  const content = said.length === 1 && only["type"] === "text" ? only["text"] : said
  return Either.right([...results, { path, message: { role: "user", content } }])
}

/** What a model said, read as an answer is. Who thought is not told. */
const modelDraft = (
  parts: ReadonlyArray<Json>,
  path: string,
  asked: Array<Asked>,
  idOf: () => string
): Read<ReadonlyArray<Draft>> => {
  const out: Array<WireEvent> = []
  const reader = partReader(undefined, idOf)
  const failure = reader.read(parts, `${path}.parts`, out)
  if (failure !== undefined) return Either.left(failure)
  reader.end(out)
  const said = out.reduce((all, event: ChatEvent) => Events.append(all, event), Events.nothing)
  asked.splice(0, asked.length, ...said.toolCalls)
  return Either.right([
    {
      path,
      message: {
        role: "assistant",
        content:
          said.reasoningParts.length === 0
            ? said.text
            : [...said.reasoningParts, ...(said.text === "" ? [] : [{ type: "text", text: said.text }])],
        ...(said.toolCalls.length === 0 ? {} : { toolCalls: said.toolCalls })
      }
    }
  ])
}

const partsAt = (content: Json): ReadonlyArray<Json> =>
  listOf(content["parts"]).map((part) => (isRecord(part) ? named(part) : {}))

/** The instruction: a content, or only its text. */
const instruction = (from: unknown): ReadonlyArray<Draft> => {
  const parts = typeof from === "string" ? [{ text: from }] : isRecord(from) ? partsAt(from) : []
  const texts = parts.flatMap(({ text }) => (typeof text === "string" && text !== "" ? [text] : []))
  const [only, ...others] = texts
  if (only === undefined) return []
  const content = others.length === 0 ? only : texts.map((text) => ({ type: "text", text }))
  return [{ path: "systemInstruction", message: { role: "system", content } }]
}

/** The conversation, with its instruction before it. */
export const messagesOf = (systemInstruction: unknown, contents: unknown): Read<ReadonlyArray<Draft>> => {
  const listed = listOf(contents)
  if (listed.length === 0) return Either.left(malformed("contents", contents))
  const drafts: Array<Draft> = [...instruction(systemInstruction)]
  const asked: Array<Asked> = []
  let calls = 0
  for (const [index, content] of listed.entries()) {
    const path = `contents[${index}]`
    if (!isRecord(content)) return Either.left(malformed(path, content))
    const parts = partsAt(content)
    const { role = "user" } = content
    const read =
      role === "model"
        ? modelDraft(parts, path, asked, () => `call_${calls++}`)
        : role === "user" || role === "function" || role === "tool"
          ? userDrafts(parts, path, asked)
          : Either.left(malformed(`${path}.role`, role))
    if (Either.isLeft(read)) return Either.left(read.left)
    drafts.push(...read.right)
  }
  return Either.right(drafts)
}
