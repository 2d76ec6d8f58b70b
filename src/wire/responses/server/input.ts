/** Decodes input items as messages. */
import { Either } from "effect"
import type { AssistantPart } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord, pick, record, string } from "../../json.js"
import { knownFields } from "../../native.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { native } from "../native.js"
import { keyedReasoning } from "../output.js"

/** A message before validation, and its path in the request. */
export interface Draft {
  readonly path: string
  readonly message: Json
}

/** One turn of the assistant: one message of the vocabulary, and an item for each reasoning, text and call in the protocol. */
interface Turn {
  readonly path: string
  readonly content: Array<Json | AssistantPart>
  readonly calls: Array<Json>
  hasText: boolean
  /** The native fields of its message item. */
  nativeFields: Json
}

type Read<A> = Either.Either<A, WireFailure>

const audioTypes: Readonly<Record<string, string>> = { mp3: "mpeg" }

const textFields = knownFields(["type", "text", "annotations", "logprobs"])

const refusalFields = knownFields(["type", "refusal"])

const imageFields = knownFields(["type", "image_url", "detail"])

const fileFields = knownFields(["type", "file_data", "file_url", "file_id", "filename"])

const audioFields = knownFields(["type"], { input_audio: ["data", "format"] })

const details: ReadonlySet<unknown> = new Set(["low", "high", "auto"])

/** Annotations and log probabilities of a text; undefined when it has neither. */
const textExtras = ({ annotations, logprobs }: Json): Json | undefined => {
  const hasAnnotations = Array.isArray(annotations) && annotations.length > 0
  const hasLogprobs = Array.isArray(logprobs) && logprobs.length > 0
  return hasAnnotations || hasLogprobs
    ? { ...(hasAnnotations ? { annotations } : {}), ...(hasLogprobs ? { logprobs } : {}) }
    : undefined
}

/** An image. The vocabulary has no image by file id: it is a native part. */
const image = (value: Json, path: string): Read<Json> => {
  const { detail, file_id: fileId, image_url: url } = value
  if (typeof url === "string") {
    const isKnown = detail === undefined || detail === null || details.has(detail)
    return Either.right({
      type: "image",
      url,
      ...(isKnown ? pick(value, ["detail"]) : {}),
      ...native.decode(value, imageFields, isKnown ? undefined : { detail })
    })
  }
  return fileId === undefined || fileId === null
    ? Either.left(malformed(`${path}.image_url`, url))
    : Either.right(native.part(value))
}

const audio = (value: Json): Json => {
  const input = record(value, "input_audio") ?? {}
  const format = string(input, "format") ?? ""
  return {
    type: "audio",
    url: `data:audio/${audioTypes[format] ?? format};base64,${string(input, "data") ?? ""}`,
    ...native.decode(value, audioFields)
  }
}

const part = (value: unknown, path: string): Read<Json> => {
  if (!isRecord(value)) return Either.left(malformed(path, value))
  switch (value["type"]) {
    case "input_text":
    case "output_text":
    case "text":
      return typeof value["text"] === "string"
        ? Either.right({ type: "text", text: value["text"], ...native.decode(value, textFields, textExtras(value)) })
        : Either.left(malformed(`${path}.text`, value["text"]))
    case "refusal": {
      const { refusal } = value
      const encoded = { type: "refusal", refusal, text: undefined, annotations: undefined }
      return Either.right({ type: "text", text: refusal, ...native.decode(value, refusalFields, encoded) })
    }
    case "input_image":
      return image(value, path)
    case "input_file":
      return Either.right({
        type: "file",
        ...pick({ url: value["file_data"] ?? value["file_url"], fileId: value["file_id"] }, ["url", "fileId"]),
        ...pick(value, ["filename"]),
        ...native.decode(value, fileFields)
      })
    case "input_audio":
      return Either.right(audio(value))
    default:
      return typeof value["type"] === "string"
        ? Either.right(native.part(value))
        : Either.left(malformed(`${path}.type`, value["type"]))
  }
}

const parts = (content: unknown, path: string): Read<string | ReadonlyArray<Json>> =>
  typeof content === "string"
    ? Either.right(content)
    : Array.isArray(content)
      ? Either.all(content.map((value, index) => part(value, `${path}[${index}]`)))
      : Either.left(malformed(path, content))

const roles: ReadonlySet<unknown> = new Set(["user", "system", "developer", "assistant"])

/** The message of a turn; a single text without native fields becomes a string. */
const turnMessage = ({ calls, content, nativeFields, path }: Turn): Draft => {
  const [only] = content
  const isPlain = content.length === 1 && only?.type === "text" && only["native"] === undefined
  return {
    path,
    message: {
      role: "assistant",
      content: content.length === 0 ? "" : isPlain ? only["text"] : content,
      ...(calls.length === 0 ? {} : { toolCalls: calls }),
      ...nativeFields
    }
  }
}

const callFields = knownFields(["type", "call_id", "name", "arguments", "input"])

const call = (item: Json): Json => ({
  id: item["call_id"] ?? item["id"],
  name: item["name"],
  ...(item["type"] === "custom_tool_call"
    ? { arguments: item["input"], type: "custom" }
    : { arguments: item["arguments"] === "" ? "{}" : item["arguments"] }),
  ...native.decode(item, callFields)
})

const reasoningFields = knownFields(["type", "id", "summary", "content", "encrypted_content"])

/** Reasoning with native fields and no provider, which the request does not name: clients of this protocol send it back. */
const reasoning = (item: Json): ReadonlyArray<AssistantPart> => {
  const fields = { ...native.wrap({}), ...native.decode(item, reasoningFields) }
  return keyedReasoning(item, undefined).map(({ part }) => ({ ...part, ...fields }))
}

const messageFields = knownFields(["type", "role", "content"])

const outputFields = knownFields(["type", "call_id", "output"])

/**
 * Whether an item without its own case comes from the client and ends the turn. All others belong to the turn of the assistant.
 */
const isClientItem = (type: string): boolean => /_(?:output|response|reference)$/.test(type)

const decodeItems = (items: ReadonlyArray<unknown>): Read<ReadonlyArray<Draft>> => {
  const drafts: Array<Draft> = []
  let turn: Turn | undefined
  const close = (): void => {
    if (turn !== undefined) drafts.push(turnMessage(turn))
    turn = undefined
  }
  /** The current turn, or a new one at `path`. */
  const turnAt = (path: string, isNew: boolean): Turn => {
    if (isNew) close()
    return (turn ??= { path, content: [], calls: [], hasText: false, nativeFields: {} })
  }
  for (const [index, item] of items.entries()) {
    const path = `input[${index}]`
    if (!isRecord(item)) return Either.left(malformed(path, item))
    const type = item["type"] ?? "message"
    switch (type) {
      case "message": {
        const { role } = item
        if (!roles.has(role)) return Either.left(malformed(`${path}.role`, role))
        const content = parts(item["content"], `${path}.content`)
        if (Either.isLeft(content)) return Either.left(content.left)
        if (role === "assistant") {
          const current = turnAt(path, turn !== undefined && (turn.hasText || turn.calls.length > 0))
          const texts = typeof content.right === "string" ? [{ type: "text", text: content.right }] : content.right
          current.content.push(...texts)
          current.hasText = true
          current.nativeFields = native.decode(item, messageFields)
        } else {
          close()
          const marker = role === "user" ? {} : native.wrap({})
          drafts.push({
            path,
            message: { role, content: content.right, ...marker, ...native.decode(item, messageFields) }
          })
        }
        break
      }
      case "reasoning":
        turnAt(path, turn !== undefined && (turn.hasText || turn.calls.length > 0)).content.push(...reasoning(item))
        break
      case "function_call":
      case "custom_tool_call":
        turnAt(path, false).calls.push(call(item))
        break
      case "function_call_output":
      case "custom_tool_call_output": {
        const content = parts(item["output"], `${path}.output`)
        if (Either.isLeft(content)) return Either.left(content.left)
        close()
        drafts.push({
          path,
          message: {
            role: "tool",
            toolCallId: item["call_id"],
            content: content.right,
            ...native.decode(item, outputFields)
          }
        })
        break
      }
      default: {
        if (typeof type !== "string") return Either.left(malformed(`${path}.type`, type))
        const other = native.part({ item })
        if (isClientItem(type)) {
          close()
          drafts.push({ path, message: { role: "user", content: [other] } })
        } else {
          turnAt(path, turn !== undefined && turn.calls.length > 0).content.push(other)
        }
      }
    }
  }
  close()
  return Either.right(drafts)
}

/** The messages of a request; `instructions` becomes a system message. */
export const messagesOf = (instructions: unknown, input: unknown): Read<ReadonlyArray<Draft>> => {
  if (instructions !== undefined && instructions !== null && typeof instructions !== "string") {
    return Either.left(malformed("instructions", instructions))
  }
  const first: ReadonlyArray<Draft> =
    typeof instructions === "string" && instructions !== ""
      ? [{ path: "instructions", message: { role: "system", content: instructions } }]
      : []
  if (typeof input === "string") {
    return Either.right([...first, { path: "input", message: { role: "user", content: input } }])
  }
  if (!Array.isArray(input) || input.length === 0) return Either.left(malformed("input", input))
  return Either.map(decodeItems(input), (drafts) => [...first, ...drafts])
}
