/** Decodes input items as messages. */
import { Either } from "effect"
import type { AssistantPart } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord, pick, record, string } from "../../json.js"
import { knownFields } from "../../native.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { isSameMessage, native } from "../native.js"
import { callFields, messageFields, reasoningParts, refusalFields, textFields } from "../output.js"

/** A message before validation, and its path in the request. */
export interface Draft {
  readonly path: string
  readonly message: Json
  /** The paths of the parts of its content that are items. */
  readonly partPaths?: ReadonlyArray<string>
}

/** One turn of the assistant: one message of the vocabulary, whose parts are several items in the protocol. */
interface Turn {
  readonly path: string
  readonly content: Array<Json | AssistantPart>
  readonly partPaths: Array<string>
  /** The fields of the last item, if it is a message. */
  lastMessage: { readonly fields: Json | undefined } | undefined
}

type Read<A> = Either.Either<A, WireFailure>

const audioTypes: Readonly<Record<string, string>> = { mp3: "mpeg" }

const imageFields = knownFields(["type", "image_url", "detail"])

const fileFields = knownFields(["type", "file_data", "file_url", "file_id", "filename"])

const audioFields = knownFields(["type"], { input_audio: ["data", "format"] })

const details: ReadonlySet<unknown> = new Set(["low", "high", "auto"])

const wrapped = (fields: Json | undefined): Json => (fields === undefined ? {} : native.wrap(fields))

const text = (value: Json, path: string, message?: Json): Read<Json> =>
  typeof value["text"] === "string"
    ? Either.right({ type: "text", text: value["text"], ...wrapped(textFields(value, message)) })
    : Either.left(malformed(`${path}.text`, value["text"]))

/** An image. The vocabulary has no image by file id: it is a provider part. */
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
      return text(value, path)
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

/** A part of an assistant message with the fields of its item. */
const assistantPart = (value: unknown, path: string, message: Json | undefined): Read<Json> => {
  if (!isRecord(value)) return Either.left(malformed(path, value))
  switch (value["type"]) {
    case "input_text":
    case "output_text":
    case "text":
      return text(value, path, message)
    case "refusal":
      return typeof value["refusal"] === "string"
        ? Either.right({ type: "refusal", text: value["refusal"], ...wrapped(refusalFields(value, message)) })
        : Either.left(malformed(`${path}.refusal`, value["refusal"]))
    default:
      return typeof value["type"] === "string"
        ? Either.right(native.part(message === undefined ? value : { ...value, message }))
        : Either.left(malformed(`${path}.type`, value["type"]))
  }
}

/** The parts of an assistant message; one empty text when it has none, so that its item stays. */
const assistantParts = (content: unknown, path: string, message: Json | undefined): Read<ReadonlyArray<Json>> => {
  if (typeof content !== "string" && !Array.isArray(content)) return Either.left(malformed(path, content))
  return typeof content === "string" || content.length === 0
    ? Either.map(text({ text: content || "" }, path, message), (part) => [part])
    : Either.all(content.map((value, index) => assistantPart(value, `${path}[${index}]`, message)))
}

const roles: ReadonlySet<unknown> = new Set(["user", "system", "developer", "assistant"])

/** The message of a turn; a single text without native fields becomes a string. */
const turnMessage = ({ content, partPaths, path }: Turn): Draft => {
  const [only] = content
  const isPlain = content.length === 1 && only?.type === "text" && only["native"] === undefined
  return { path, partPaths, message: { role: "assistant", content: isPlain ? only["text"] : content } }
}

const call = (item: Json): Json => ({
  type: "tool-call",
  id: item["call_id"] ?? item["id"],
  name: item["name"],
  ...(item["type"] === "custom_tool_call"
    ? { arguments: item["input"], custom: true }
    : { arguments: item["arguments"] === "" ? "{}" : item["arguments"] }),
  ...wrapped(callFields(item))
})

/** Reasoning with native fields and no provider, which the request does not name: clients of this protocol send it back. */
const reasoning = (item: Json): ReadonlyArray<AssistantPart> =>
  reasoningParts(item).map(({ part }) => ({ ...native.wrap({}), ...part }))

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
  const add = (
    parts: ReadonlyArray<Json | AssistantPart>,
    paths: (index: number) => string,
    path: string,
    lastMessage?: Turn["lastMessage"]
  ): void => {
    turn ??= { path, content: [], partPaths: [], lastMessage: undefined }
    turn.content.push(...parts)
    turn.partPaths.push(...parts.map((_, index) => paths(index)))
    turn.lastMessage = lastMessage
  }
  const addItem = (part: Json | AssistantPart, path: string): void => add([part], () => path, path)
  for (const [index, item] of items.entries()) {
    const path = `input[${index}]`
    if (!isRecord(item)) return Either.left(malformed(path, item))
    const type = item["type"] ?? "message"
    switch (type) {
      case "message": {
        const { role } = item
        if (!roles.has(role)) return Either.left(malformed(`${path}.role`, role))
        const fields = messageFields(item)
        if (role === "assistant") {
          const content = assistantParts(item["content"], `${path}.content`, fields)
          if (Either.isLeft(content)) return Either.left(content.left)
          // Adjacent message items that nothing distinguishes are two messages, since their texts would become one item.
          if (turn?.lastMessage !== undefined && isSameMessage(turn.lastMessage.fields, fields)) close()
          const isText = typeof item["content"] === "string"
          add(content.right, (at) => `${path}.content${isText ? "" : `[${at}]`}`, path, { fields })
          break
        }
        const content = parts(item["content"], `${path}.content`)
        if (Either.isLeft(content)) return Either.left(content.left)
        close()
        const marker = role === "user" ? {} : native.wrap({})
        drafts.push({ path, message: { role, content: content.right, ...marker, ...wrapped(fields) } })
        break
      }
      case "reasoning":
        add(reasoning(item), () => path, path)
        break
      case "function_call":
      case "custom_tool_call":
        addItem(call(item), path)
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
          addItem(other, path)
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
