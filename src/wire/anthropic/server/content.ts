/** Decodes messages. */
import { Either, Encoding } from "effect"
import { decodeCacheControl, unknownCacheControl } from "../../cacheControl.js"
import type { Json } from "../../json.js"
import { isRecord, withoutNulls, record, string } from "../../json.js"
import { knownFields } from "../../native.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { native } from "../native.js"
import { decodeReasoning, reasoningFields } from "../reasoning.js"
import { callFields } from "../toolCalls.js"

type Decoded<A> = Either.Either<A, WireFailure>

/** A message before its validation, and its path in the request. */
export interface Draft {
  readonly path: string
  readonly message: Json
}

const imageFields = knownFields(["type", "cache_control"], { source: ["type", "url", "media_type", "data"] })

/** Decodes an image. That of an uploaded file is a provider part. */
const decodeImage = (block: Json, path: string): Decoded<Json> => {
  const source = record(block, "source") ?? {}
  const image = (url: unknown): Decoded<Json> =>
    Either.right({
      type: "image",
      url,
      ...decodeCacheControl(block),
      ...native.decode(block, imageFields, unknownCacheControl(block))
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

/** The source of a document as fields of a file part; undefined when the vocabulary has none for it. */
const decodeSource = (source: Json, path: string): Decoded<Json | undefined> => {
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

/** Whether a document has a context or requests citations, for which a file part has no fields. */
const needsProviderPart = (block: Json): boolean =>
  record(block, "citations")?.["enabled"] === true || Boolean(string(block, "context"))

const decodeDocument = (block: Json, path: string): Decoded<Json> =>
  Either.map(decodeSource(record(block, "source") ?? {}, path), (source) =>
    source === undefined || needsProviderPart(block)
      ? native.part(block)
      : {
          type: "file",
          ...source,
          ...withoutNulls({ filename: block["title"] }),
          ...decodeCacheControl(block),
          ...native.decode(block, documentFields, unknownCacheControl(block))
        }
  )

const textFields = knownFields(["type", "text", "cache_control"])

const decodeText = (block: Json): Json => ({
  type: "text",
  text: block["text"],
  ...decodeCacheControl(block),
  ...native.decode(block, textFields, unknownCacheControl(block))
})

/** Decodes a block that the vocabulary does not cover, such as one of a server tool. */
const decodeOther = (block: Json, path: string): Decoded<Json> =>
  typeof block["type"] === "string"
    ? Either.right(native.part(block))
    : Either.left(malformed(`${path}.type`, block["type"]))

/** Decodes a part of a user message or a tool result. */
const decodePart = (block: unknown, path: string): Decoded<Json> => {
  if (!isRecord(block)) return Either.left(malformed(path, block))
  switch (block["type"]) {
    case "text":
      return Either.right(decodeText(block))
    case "image":
      return decodeImage(block, path)
    case "document":
      return decodeDocument(block, path)
    default:
      return decodeOther(block, path)
  }
}

const decodeParts = (content: unknown, path: string): Decoded<unknown> =>
  Array.isArray(content)
    ? Either.all(content.map((block, index) => decodePart(block, `${path}[${index}]`)))
    : Either.right(content)

const resultFields = knownFields(["type", "tool_use_id", "content", "is_error", "cache_control"])

const decodeResult = (block: Json, path: string): Decoded<Draft> =>
  Either.map(decodeParts(block["content"] ?? "", `${path}.content`), (content) => ({
    path,
    message: {
      role: "tool",
      toolCallId: block["tool_use_id"],
      content,
      ...(typeof block["is_error"] === "boolean" ? { isError: block["is_error"] } : {}),
      ...decodeCacheControl(block),
      ...native.decode(block, resultFields, unknownCacheControl(block))
    }
  }))

/** Each tool result and each instruction becomes a message; the parts between them become user messages. */
const decodeUser = (content: ReadonlyArray<unknown>, path: string): Decoded<ReadonlyArray<Draft>> =>
  Either.gen(function* () {
    const drafts: Array<Draft> = []
    let parts: Array<Json> = []
    const flush = (): void => {
      if (parts.length > 0) drafts.push({ path, message: { role: "user", content: parts } })
      parts = []
    }
    for (const [index, block] of content.entries()) {
      const blockPath = `${path}.content[${index}]`
      if (isRecord(block) && block["type"] === "tool_result") {
        flush()
        drafts.push(yield* decodeResult(block, blockPath))
      } else if (isRecord(block) && block["type"] === "mid_conv_system") {
        flush()
        const instruction = yield* decodeParts(block["content"], `${blockPath}.content`)
        drafts.push({ path: blockPath, message: { role: "system", content: instruction } })
      } else {
        parts.push(yield* decodePart(block, blockPath))
      }
    }
    if (content.length === 0) drafts.push({ path, message: { role: "user", content: [] } })
    flush()
    return drafts
  })

const decodeCall = (block: Json): Json => ({
  type: "tool-call",
  id: block["id"],
  name: block["name"],
  arguments: JSON.stringify(block["input"] ?? {}),
  ...native.decode(block, callFields)
})

/** Reasoning of an unknown provider. The native field lets a client of this protocol send it back. */
const decodeReasoningPart = (block: Json): ReadonlyArray<Json> => {
  const reasoning = decodeReasoning(block)
  return reasoning === undefined
    ? []
    : [{ type: "reasoning", ...reasoning, ...native.wrap({}), ...native.decode(block, reasoningFields) }]
}

/** The parts of a block of an assistant message: one, or none for empty reasoning. */
const decodeAssistantBlock = (block: unknown, path: string): Decoded<ReadonlyArray<Json>> => {
  if (!isRecord(block)) return Either.left(malformed(path, block))
  switch (block["type"]) {
    case "text":
      return Either.right([decodeText(block)])
    case "thinking":
    case "redacted_thinking":
      return Either.right(decodeReasoningPart(block))
    case "tool_use":
      return Either.right([decodeCall(block)])
    default:
      return Either.map(decodeOther(block, path), (part) => [part])
  }
}

const decodeAssistant = (content: ReadonlyArray<unknown>, path: string): Decoded<Draft> =>
  Either.map(
    Either.all(content.map((block, index) => decodeAssistantBlock(block, `${path}.content[${index}]`))),
    (parts) => ({ path, message: { role: "assistant", content: parts.flat() } })
  )

const decodeMessage = (message: unknown, path: string): Decoded<ReadonlyArray<Draft>> => {
  if (!isRecord(message)) return Either.left(malformed(path, message))
  const { content, role } = message
  if (role !== "user" && role !== "assistant" && role !== "system") {
    return Either.left(malformed(`${path}.role`, role))
  }
  if (!Array.isArray(content)) return Either.right([{ path, message: { role, content } }])
  switch (role) {
    case "user":
      return decodeUser(content, path)
    case "assistant":
      return Either.map(decodeAssistant(content, path), (draft) => [draft])
    case "system":
      return Either.map(decodeParts(content, `${path}.content`), (parts) => [
        { path, message: { role, content: parts } }
      ])
  }
}

/** Decodes the conversation. `system` becomes its first message. */
export const decodeMessages = (system: unknown, messages: unknown): Decoded<ReadonlyArray<Draft>> =>
  Either.gen(function* () {
    if (!Array.isArray(messages)) return yield* Either.left(malformed("messages", messages))
    const drafts = yield* Either.all(messages.map((message, index) => decodeMessage(message, `messages[${index}]`)))
    const absent = system === undefined || system === null || system === ""
    const content = absent ? [] : yield* decodeParts(system, "system")
    const first: ReadonlyArray<Draft> = absent ? [] : [{ path: "system", message: { role: "system", content } }]
    // Without a spread: a call has room for some 100,000 arguments.
    return first.concat(drafts.flat())
  })
