/** Input items as messages. */
import { Either } from "effect"
import type { AssistantPart } from "../../Chat.js"
import type { Json } from "../json.js"
import { isRecord, kept, record, string } from "../json.js"
import type { WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"
import { reasoningPieces } from "./output.js"

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
}

type Read<A> = Either.Either<A, WireFailure>

const soundTypes: Readonly<Record<string, string>> = { mp3: "mpeg" }

const part = (value: unknown, path: string): Read<Json> => {
  if (!isRecord(value)) return Either.left(malformed(path, value))
  switch (value["type"]) {
    case "input_text":
    case "output_text":
    case "text":
      return typeof value["text"] === "string"
        ? Either.right({ type: "text", text: value["text"] })
        : Either.left(malformed(`${path}.text`, value["text"]))
    case "refusal":
      return Either.right({ type: "text", text: value["refusal"] })
    case "input_image":
      return typeof value["image_url"] === "string"
        ? Either.right({ type: "image", url: value["image_url"], ...kept(value, ["detail"]) })
        : value["file_id"] === undefined || value["file_id"] === null
          ? Either.left(malformed(`${path}.image_url`, value["image_url"]))
          : Either.left({ _tag: "Unsupported", feature: "image by file id" })
    case "input_file":
      return Either.right({
        type: "file",
        ...kept({ url: value["file_data"] ?? value["file_url"], fileId: value["file_id"] }, ["url", "fileId"]),
        ...kept(value, ["filename"])
      })
    case "input_audio": {
      const sound = record(value, "input_audio") ?? {}
      const format = string(sound, "format") ?? ""
      return Either.right({
        type: "audio",
        url: `data:audio/${soundTypes[format] ?? format};base64,${string(sound, "data") ?? ""}`
      })
    }
    default:
      return Either.left(malformed(`${path}.type`, value["type"]))
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
const turnMessage = ({ calls, content, path }: Turn): Draft => {
  const [only] = content
  return {
    path,
    message: {
      role: "assistant",
      content: content.length === 0 ? "" : content.length === 1 && only?.type === "text" ? only["text"] : content,
      ...(calls.length === 0 ? {} : { toolCalls: calls })
    }
  }
}

const call = (item: Json): Json => ({
  id: item["call_id"] ?? item["id"],
  name: item["name"],
  ...(item["type"] === "custom_tool_call"
    ? { arguments: item["input"], type: "custom" }
    : { arguments: item["arguments"] === "" ? "{}" : item["arguments"] })
})

const thoughts = (item: Json): ReadonlyArray<AssistantPart> =>
  reasoningPieces(item, undefined).map((piece) => piece.part)

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
    return (turn ??= { path, content: [], calls: [], hasText: false })
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
        } else {
          close()
          drafts.push({ path, message: { role, content: content.right } })
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
        drafts.push({ path, message: { role: "tool", toolCallId: item["call_id"], content: content.right } })
        break
      }
      default:
        return typeof type === "string"
          ? Either.left({ _tag: "Unsupported", feature: `input item ${type}` })
          : Either.left(malformed(`${path}.type`, type))
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
