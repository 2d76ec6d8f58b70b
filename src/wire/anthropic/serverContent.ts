/** A server reads messages. */
import { Either, Encoding } from "effect"
import type { Json } from "../json.js"
import { isRecord, kept, record, string } from "../json.js"
import type { WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"
import { unsupported } from "./content.js"
import { readThought } from "./thoughts.js"

type Read<A> = Either.Either<A, WireFailure>

/** A message that is yet to be validated, and where it stood. */
export interface Draft {
  readonly path: string
  readonly message: Json
}

/** The mark that the prompt shall be remembered, in our words. */
export const readMark = (from: Json): Json => {
  const mark = record(from, "cache_control")
  return mark === undefined ? {} : { cacheControl: kept(mark, ["ttl"]) }
}

const readImage = (block: Json, path: string): Read<Json> => {
  const source = record(block, "source") ?? {}
  switch (source["type"]) {
    case "url":
      return Either.right({ type: "image", url: source["url"], ...readMark(block) })
    case "base64": {
      const url = `data:${string(source, "media_type") ?? ""};base64,${string(source, "data") ?? ""}`
      return Either.right({ type: "image", url, ...readMark(block) })
    }
    case "file":
      return unsupported("image by file id")
    default:
      return Either.left(malformed(`${path}.source.type`, source["type"]))
  }
}

/** Where a document is, as fields of a file part. */
const readSource = (source: Json, path: string): Read<Json> => {
  switch (source["type"]) {
    case "url":
      return Either.right({ url: source["url"] })
    case "base64":
      return Either.right({
        url: `data:${string(source, "media_type") ?? ""};base64,${string(source, "data") ?? ""}`
      })
    case "text":
      return Either.right({ url: `data:text/plain;base64,${Encoding.encodeBase64(string(source, "data") ?? "")}` })
    case "file":
      return Either.right({ fileId: source["file_id"] })
    case "content":
      return unsupported("document of content blocks")
    default:
      return Either.left(malformed(`${path}.source.type`, source["type"]))
  }
}

const readDocument = (block: Json, path: string): Read<Json> => {
  if (record(block, "citations")?.["enabled"] === true) return unsupported("citations of a document")
  if (typeof block["context"] === "string" && block["context"] !== "") return unsupported("context of a document")
  return Either.map(readSource(record(block, "source") ?? {}, path), (source) => ({
    type: "file",
    ...source,
    ...(block["title"] === undefined || block["title"] === null ? {} : { filename: block["title"] }),
    ...readMark(block)
  }))
}

const readText = (block: Json): Json => ({ type: "text", text: block["text"], ...readMark(block) })

/** A part of what the user says or a tool returns. */
const readPart = (block: unknown, path: string): Read<Json> => {
  if (!isRecord(block)) return Either.left(malformed(path, block))
  switch (block["type"]) {
    case "text":
      return Either.right(readText(block))
    case "image":
      return readImage(block, path)
    case "document":
      return readDocument(block, path)
    default:
      return typeof block["type"] === "string"
        ? unsupported(`content block ${block["type"]}`)
        : Either.left(malformed(`${path}.type`, block["type"]))
  }
}

const readParts = (content: unknown, path: string): Read<unknown> =>
  Array.isArray(content)
    ? Either.all(content.map((block, index) => readPart(block, `${path}[${index}]`)))
    : Either.right(content)

const readResult = (block: Json, path: string): Read<Draft> =>
  Either.map(readParts(block["content"] ?? "", `${path}.content`), (content) => ({
    path,
    message: {
      role: "tool",
      toolCallId: block["tool_use_id"],
      content,
      ...(typeof block["is_error"] === "boolean" ? { isError: block["is_error"] } : {}),
      ...readMark(block)
    }
  }))

/** What tools returned are messages of their own; what stands between them is the user's. */
const readUser = (content: ReadonlyArray<unknown>, path: string): Read<ReadonlyArray<Draft>> =>
  Either.gen(function* () {
    const drafts: Array<Draft> = []
    let parts: Array<Json> = []
    const close = (): void => {
      if (parts.length > 0) drafts.push({ path, message: { role: "user", content: parts } })
      parts = []
    }
    for (const [index, block] of content.entries()) {
      const at = `${path}.content[${index}]`
      if (isRecord(block) && block["type"] === "tool_result") {
        close()
        drafts.push(yield* readResult(block, at))
      } else if (isRecord(block) && block["type"] === "mid_conv_system") {
        close()
        const instruction = yield* readParts(block["content"], `${at}.content`)
        drafts.push({ path: at, message: { role: "system", content: instruction } })
      } else {
        parts.push(yield* readPart(block, at))
      }
    }
    if (content.length === 0) drafts.push({ path, message: { role: "user", content: [] } })
    close()
    return drafts
  })

const readCall = (block: Json): Json => ({
  id: block["id"],
  name: block["name"],
  arguments: JSON.stringify(block["input"] ?? {})
})

const readAssistant = (content: ReadonlyArray<unknown>, path: string): Read<Draft> =>
  Either.gen(function* () {
    const parts: Array<Json> = []
    const calls: Array<Json> = []
    for (const [index, block] of content.entries()) {
      const at = `${path}.content[${index}]`
      if (!isRecord(block)) return yield* Either.left(malformed(at, block))
      switch (block["type"]) {
        case "text":
          parts.push(readText(block))
          break
        case "thinking":
        case "redacted_thinking": {
          const thought = readThought(block)
          if (thought !== undefined) parts.push({ type: "reasoning", ...thought })
          break
        }
        case "tool_use":
          calls.push(readCall(block))
          break
        default:
          return yield* typeof block["type"] === "string"
            ? unsupported(`content block ${block["type"]}`)
            : Either.left(malformed(`${at}.type`, block["type"]))
      }
    }
    const [only] = parts
    const plain = parts.length === 1 && only?.["type"] === "text" && only["cacheControl"] === undefined
    return {
      path,
      message: {
        role: "assistant",
        content: parts.length === 0 ? "" : plain ? only["text"] : parts,
        ...(calls.length === 0 ? {} : { toolCalls: calls })
      }
    }
  })

const readMessage = (message: unknown, path: string): Read<ReadonlyArray<Draft>> => {
  if (!isRecord(message)) return Either.left(malformed(path, message))
  const { content, role } = message
  if (role !== "user" && role !== "assistant" && role !== "system") {
    return Either.left(malformed(`${path}.role`, role))
  }
  if (!Array.isArray(content)) return Either.right([{ path, message: { role, content } }])
  switch (role) {
    case "user":
      return readUser(content, path)
    case "assistant":
      return Either.map(readAssistant(content, path), (draft) => [draft])
    case "system":
      return Either.map(readParts(content, `${path}.content`), (parts) => [{ path, message: { role, content: parts } }])
  }
}

/** The conversation; what stands before it is a system message. */
export const readMessages = (system: unknown, messages: unknown): Read<ReadonlyArray<Draft>> =>
  Either.gen(function* () {
    if (!Array.isArray(messages)) return yield* Either.left(malformed("messages", messages))
    const said = yield* Either.all(messages.map((message, index) => readMessage(message, `messages[${index}]`)))
    const absent = system === undefined || system === null || system === ""
    const content = absent ? [] : yield* readParts(system, "system")
    const first: ReadonlyArray<Draft> = absent ? [] : [{ path: "system", message: { role: "system", content } }]
    return first.concat(...said)
  })
