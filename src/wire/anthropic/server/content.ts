/** A server reads messages. */
import { Either, Encoding } from "effect"
import type { Json } from "../../json.js"
import { isRecord, withoutNulls, record, string } from "../../json.js"
import { knownFields } from "../../native.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { furtherOfCall } from "../toolCalls.js"
import { native } from "../native.js"
import { readThought } from "../reasoning.js"

type Read<A> = Either.Either<A, WireFailure>

/** A message that is yet to be validated, and where it stood. */
export interface Draft {
  readonly path: string
  readonly message: Json
}

const ttls: ReadonlySet<unknown> = new Set(["5m", "1h"])

/** The mark that the prompt shall be remembered, in our words. */
export const readMark = (from: Json): Json => {
  const mark = record(from, "cache_control")
  if (mark === undefined) return {}
  const ttl = mark["ttl"]
  return { cacheControl: ttls.has(ttl) ? { ttl } : {} }
}

/** A mark of another kind, as it is. */
export const furtherMark = (from: Json): Json | undefined => {
  const mark = record(from, "cache_control")
  const isKnown =
    mark === undefined ||
    Object.entries(withoutNulls(mark)).every(
      ([field, value]) => (field === "type" && value === "ephemeral") || (field === "ttl" && ttls.has(value))
    )
  return isKnown ? undefined : { cache_control: mark }
}

const imageFields = knownFields(["type", "cache_control"], { source: ["type", "url", "media_type", "data"] })

/** An image; one of an upload only this protocol can name. */
const readImage = (block: Json, path: string): Read<Json> => {
  const source = record(block, "source") ?? {}
  const image = (url: unknown): Read<Json> =>
    Either.right({
      type: "image",
      url,
      ...readMark(block),
      ...native.decode(block, imageFields, furtherMark(block))
    })
  switch (source["type"]) {
    case "url":
      return image(source["url"])
    case "base64":
      return image(`data:${string(source, "media_type") ?? ""};base64,${string(source, "data") ?? ""}`)
    case "file":
      return Either.right(native.part(block))
    default:
      return Either.left(malformed(`${path}.source.type`, source["type"]))
  }
}

/** Where a document is, as fields of a file part; nothing where only this protocol can say it. */
const readSource = (source: Json, path: string): Read<Json | undefined> => {
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
      return Either.right(undefined)
    default:
      return Either.left(malformed(`${path}.source.type`, source["type"]))
  }
}

const documentFields = knownFields(["type", "title", "cache_control"], {
  source: ["type", "url", "media_type", "data", "file_id"]
})

/** Without its context, or asked for no citations, it would be another document. */
const isMore = (block: Json): boolean =>
  record(block, "citations")?.["enabled"] === true || Boolean(string(block, "context"))

const readDocument = (block: Json, path: string): Read<Json> =>
  Either.map(readSource(record(block, "source") ?? {}, path), (source) =>
    source === undefined || isMore(block)
      ? native.part(block)
      : {
          type: "file",
          ...source,
          ...withoutNulls({ filename: block["title"] }),
          ...readMark(block),
          ...native.decode(block, documentFields, furtherMark(block))
        }
  )

const textFields = knownFields(["type", "text", "cache_control"])

const readText = (block: Json): Json => ({
  type: "text",
  text: block["text"],
  ...readMark(block),
  ...native.decode(block, textFields, furtherMark(block))
})

/** A block that there is no word for: of a tool that the provider runs itself, or of a kind yet to come. */
const readOther = (block: Json, path: string): Read<Json> =>
  typeof block["type"] === "string"
    ? Either.right(native.part(block))
    : Either.left(malformed(`${path}.type`, block["type"]))

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
      return readOther(block, path)
  }
}

const readParts = (content: unknown, path: string): Read<unknown> =>
  Array.isArray(content)
    ? Either.all(content.map((block, index) => readPart(block, `${path}[${index}]`)))
    : Either.right(content)

const resultFields = knownFields(["type", "tool_use_id", "content", "is_error", "cache_control"])

const readResult = (block: Json, path: string): Read<Draft> =>
  Either.map(readParts(block["content"] ?? "", `${path}.content`), (content) => ({
    path,
    message: {
      role: "tool",
      toolCallId: block["tool_use_id"],
      content,
      ...(typeof block["is_error"] === "boolean" ? { isError: block["is_error"] } : {}),
      ...readMark(block),
      ...native.decode(block, resultFields, furtherMark(block))
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
  arguments: JSON.stringify(block["input"] ?? {}),
  ...furtherOfCall(block)
})

const thoughtFields = knownFields(["type", "thinking", "signature", "data"])

/** A thought that goes back to where this protocol is spoken: whoever hands it on does not know who thought it. */
const readReasoning = (block: Json): ReadonlyArray<Json> => {
  const thought = readThought(block)
  return thought === undefined
    ? []
    : [{ type: "reasoning", ...thought, ...native.wrap({}), ...native.decode(block, thoughtFields) }]
}

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
        case "redacted_thinking":
          parts.push(...readReasoning(block))
          break
        case "tool_use":
          calls.push(readCall(block))
          break
        default:
          parts.push(yield* readOther(block, at))
      }
    }
    const [only] = parts
    // With calls a text is written as a block in any case.
    const plain = calls.length > 0 && parts.length === 1 && only?.["type"] === "text" && Object.keys(only).length === 2
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
