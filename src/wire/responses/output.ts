/** Output items, read. */
import { Either } from "effect"
import type { ReasoningPart, ToolCall } from "../../vocabulary/Chat.js"
import type { WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"
import type { Json } from "../json.js"
import { array, isRecord, string } from "../json.js"

/** What the items of an answer say. */
export interface Output {
  readonly text: string
  readonly refusal: string
  readonly reasoningParts: ReadonlyArray<ReasoningPart>
  readonly toolCalls: ReadonlyArray<ToolCall>
}

/** Items of tools that the provider runs itself and of kinds yet to come are none of these: they are kept as they are. */
export type Kind = "message" | "reasoning" | "call" | "other"

const kinds: Readonly<Record<string, Kind>> = {
  message: "message",
  reasoning: "reasoning",
  function_call: "call",
  custom_tool_call: "call"
}

export const kindOf = (item: Json): Kind => kinds[string(item, "type") ?? ""] ?? "other"

const records = (value: unknown): ReadonlyArray<Json> => (Array.isArray(value) ? value.filter(isRecord) : [])

/** The parts of a message by their index: `text` and `refusal` are empty where a part has none. */
export const messageParts = (
  item: Json
): ReadonlyArray<{ readonly text: string; readonly refusal: string; readonly part: Json }> =>
  typeof item["content"] === "string"
    ? [{ text: item["content"], refusal: "", part: {} }]
    : records(item["content"]).map((part) => ({
        text: part["type"] === "refusal" ? "" : (string(part, "text") ?? ""),
        refusal: string(part, "refusal") ?? "",
        part
      }))

/** One piece of a thought: what the model thought (`content`), or what it tells of it (`summary`). */
export interface Piece {
  readonly key: string
  readonly part: ReasoningPart
}

/** Names a piece within its item. */
export const pieceKey = (list: "content" | "summary", index: number): string => `${list}:${index}`

export const formats = { content: "reasoning.text", summary: "reasoning.summary" } as const

/**
 * A thought in its pieces, in the order in which they come in a stream. What is sealed is on the last of them, and there is
 * always one: a thought of which nothing is shown still goes back in the next turn.
 */
export const reasoningPieces = (item: Json, provider: string | undefined): ReadonlyArray<Piece> => {
  const id = string(item, "id")
  const sealed = string(item, "encrypted_content")
  const own = {
    ...(id === undefined || id === "" ? {} : { id }),
    ...(provider === undefined ? {} : { provider })
  }
  const pieces = (["content", "summary"] as const).flatMap((list) =>
    records(item[list]).flatMap((piece, index): ReadonlyArray<Piece> => {
      const text = string(piece, "text") ?? ""
      return text === ""
        ? []
        : [{ key: pieceKey(list, index), part: { type: "reasoning", text, ...own, format: formats[list] } }]
    })
  )
  const last = pieces[pieces.length - 1] ?? { key: "sealed", part: { type: "reasoning", text: "", ...own } }
  return sealed === undefined || sealed === ""
    ? [...pieces.slice(0, -1), last]
    : [...pieces.slice(0, -1), { ...last, part: { ...last.part, signature: sealed } }]
}

/** A call, with an id made up where there is none; nothing where it has no name. */
export const callOf = (item: Json, index: number): ToolCall | undefined => {
  const name = string(item, "name")
  if (name === undefined || name === "") return undefined
  const id = string(item, "call_id") || string(item, "id") || `call_${index}`
  return item["type"] === "custom_tool_call"
    ? { id, name, arguments: string(item, "input") ?? "", type: "custom" }
    : { id, name, arguments: string(item, "arguments") || "{}" }
}

/** Reads all items of an answer. */
export const readOutput = (items: ReadonlyArray<unknown>, provider: string): Either.Either<Output, WireFailure> => {
  let text = ""
  let refusal = ""
  const reasoningParts: Array<ReasoningPart> = []
  const toolCalls: Array<ToolCall> = []
  for (const [index, item] of items.entries()) {
    if (!isRecord(item)) return Either.left(malformed(`output[${index}]`, item))
    switch (kindOf(item)) {
      case "message":
        for (const part of messageParts(item)) {
          text += part.text
          refusal += part.refusal
        }
        break
      case "reasoning":
        for (const { part } of reasoningPieces(item, provider)) reasoningParts.push(part)
        break
      case "call": {
        const call = callOf(item, toolCalls.length)
        if (call === undefined) return Either.left(malformed(`output[${index}].name`, item["name"]))
        toolCalls.push(call)
        break
      }
      case "other":
        break
    }
  }
  return Either.right({ text, refusal, reasoningParts, toolCalls })
}

const said = (items: ReadonlyArray<unknown>): ReadonlyArray<Json> =>
  records(items)
    .filter((item) => kindOf(item) === "message")
    .flatMap((item) => messageParts(item).map(({ part }) => part))

const nonEmpty = <A>(key: string, values: ReadonlyArray<A>): Readonly<Record<string, ReadonlyArray<A>>> =>
  values.length === 0 ? {} : { [key]: values }

/**
 * What the items say beside text, thoughts and calls: `items`, those of other kinds as they are; `annotations`, the sources
 * of the text; `logprobs`.
 */
export const outputMetadata = (items: ReadonlyArray<unknown>): Json => ({
  ...nonEmpty(
    "items",
    records(items).filter((item) => kindOf(item) === "other")
  ),
  ...nonEmpty(
    "annotations",
    said(items).flatMap((part) => array(part, "annotations") ?? [])
  ),
  ...nonEmpty(
    "logprobs",
    said(items).flatMap((part) => array(part, "logprobs") ?? [])
  )
})
