/** Input items as messages. */
import { Either } from "effect"
import type { AssistantPart } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord, pick, record, string } from "../../json.js"
import { knownFields } from "../../native.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { native } from "../native.js"
import { reasoningPieces } from "../output.js"

/** A message that is yet to be validated, and where it stood. */
export interface Draft {
  readonly path: string
  readonly message: Json
}

/** What the model said in one turn is one message of ours, and there an item for each thought, text and call. */
interface Turn {
  readonly path: string
  readonly content: Array<Json | AssistantPart>
  readonly calls: Array<Json>
  hasText: boolean
  /** What its one message says beside its words. */
  further: Json
}

type Read<A> = Either.Either<A, WireFailure>

const soundTypes: Readonly<Record<string, string>> = { mp3: "mpeg" }

const textFields = knownFields(["type", "text", "annotations", "logprobs"])

const refusalFields = knownFields(["type", "refusal"])

const imageFields = knownFields(["type", "image_url", "detail"])

const fileFields = knownFields(["type", "file_data", "file_url", "file_id", "filename"])

const audioFields = knownFields(["type"], { input_audio: ["data", "format"] })

const details: ReadonlySet<unknown> = new Set(["low", "high", "auto"])

/** The sources of a text and what was likely of it, where there is any of that. */
const besideText = ({ annotations, logprobs }: Json): Json | undefined => {
  const isCited = Array.isArray(annotations) && annotations.length > 0
  const isWeighed = Array.isArray(logprobs) && logprobs.length > 0
  return isCited || isWeighed ? { ...(isCited ? { annotations } : {}), ...(isWeighed ? { logprobs } : {}) } : undefined
}

/** An image; one of an upload only this protocol can name. */
const image = (value: Json, path: string): Read<Json> => {
  const { detail, file_id: upload, image_url: url } = value
  if (typeof url === "string") {
    const isKnown = detail === undefined || detail === null || details.has(detail)
    return Either.right({
      type: "image",
      url,
      ...(isKnown ? pick(value, ["detail"]) : {}),
      ...native.decode(value, imageFields, isKnown ? undefined : { detail })
    })
  }
  return upload === undefined || upload === null
    ? Either.left(malformed(`${path}.image_url`, url))
    : Either.right(native.part(value))
}

const audio = (value: Json): Json => {
  const sound = record(value, "input_audio") ?? {}
  const format = string(sound, "format") ?? ""
  return {
    type: "audio",
    url: `data:audio/${soundTypes[format] ?? format};base64,${string(sound, "data") ?? ""}`,
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
        ? Either.right({ type: "text", text: value["text"], ...native.decode(value, textFields, besideText(value)) })
        : Either.left(malformed(`${path}.text`, value["text"]))
    case "refusal": {
      const { refusal } = value
      const said = { type: "refusal", refusal, text: undefined, annotations: undefined }
      return Either.right({ type: "text", text: refusal, ...native.decode(value, refusalFields, said) })
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

/** A turn whose only content is text has it as a string. */
const turnMessage = ({ calls, content, further, path }: Turn): Draft => {
  const [only] = content
  const isPlain = content.length === 1 && only?.type === "text" && only["native"] === undefined
  return {
    path,
    message: {
      role: "assistant",
      content: content.length === 0 ? "" : isPlain ? only["text"] : content,
      ...(calls.length === 0 ? {} : { toolCalls: calls }),
      ...further
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

/** A thought goes back to where this protocol is spoken: whoever hands it on does not know who thought it. */
const thoughts = (item: Json): ReadonlyArray<AssistantPart> => {
  const said = { ...native.wrap({}), ...native.decode(item, reasoningFields) }
  return reasoningPieces(item, undefined).map((piece) => ({ ...piece.part, ...said }))
}

const messageFields = knownFields(["type", "role", "content"])

const outputFields = knownFields(["type", "call_id", "output"])

/** What is handed to the model stands between its turns. All other items of other kinds are of what the model did. */
const isGiven = (type: string): boolean => /_(?:output|response|reference)$/.test(type)

/** Reads the items in order. */
const read = (items: ReadonlyArray<unknown>): Read<ReadonlyArray<Draft>> => {
  const drafts: Array<Draft> = []
  let turn: Turn | undefined
  const close = (): void => {
    if (turn !== undefined) drafts.push(turnMessage(turn))
    turn = undefined
  }
  /** The turn that goes on, or a new one where the item can only begin one. */
  const within = (path: string, begins: boolean): Turn => {
    if (begins) close()
    return (turn ??= { path, content: [], calls: [], hasText: false, further: {} })
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
          const current = within(path, turn !== undefined && (turn.hasText || turn.calls.length > 0))
          const said = typeof content.right === "string" ? [{ type: "text", text: content.right }] : content.right
          current.content.push(...said)
          current.hasText = true
          current.further = native.decode(item, messageFields)
        } else {
          close()
          const said = role === "user" ? {} : native.wrap({})
          drafts.push({
            path,
            message: { role, content: content.right, ...said, ...native.decode(item, messageFields) }
          })
        }
        break
      }
      case "reasoning":
        within(path, turn !== undefined && (turn.hasText || turn.calls.length > 0)).content.push(...thoughts(item))
        break
      case "function_call":
      case "custom_tool_call":
        within(path, false).calls.push(call(item))
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
        if (isGiven(type)) {
          close()
          drafts.push({ path, message: { role: "user", content: [other] } })
        } else {
          within(path, turn !== undefined && turn.calls.length > 0).content.push(other)
        }
      }
    }
  }
  close()
  return Either.right(drafts)
}

/** The conversation: what stands before it is a system message. */
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
  return Either.map(read(input), (drafts) => [...first, ...drafts])
}
