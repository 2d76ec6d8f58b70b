/** Decodes output items. */
import { Either } from "effect"
import type { AssistantPart, ReasoningPart, RefusalPart, TextPart, ToolCall } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, nonEmpty, records, string } from "../json.js"
import { knownFields, unknownFields } from "../native.js"
import type { WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"
import { native } from "./native.js"

/** `other`: items of tools that the provider runs itself and of unknown types, which are kept unchanged. */
export type Kind = "message" | "reasoning" | "call" | "other"

const kinds: ReadonlyMap<unknown, Kind> = new Map([
  ["message", "message"],
  ["reasoning", "reasoning"],
  ["function_call", "call"],
  ["custom_tool_call", "call"]
])

export const kindOf = (item: Json): Kind => kinds.get(item["type"]) ?? "other"

// -------------------------------------------------------------------------------------
// messages and reasoning
// -------------------------------------------------------------------------------------

/** The lists of an item that contain text. `sealed` is reasoning without text. */
export type List = "text" | "refusal" | "content" | "summary" | "sealed"

/** A part of a message or of a reasoning item, and its list and key within the item. */
export interface ItemPart {
  readonly list: List
  readonly key: string
  readonly part: TextPart | RefusalPart | ReasoningPart
}

/** The key of a part within its item. */
export const keyOf = (list: List, index: number): string => `${list}:${index}`

const knownOfMessage = knownFields(["type", "role", "content"])

/** The fields of a message item that its parts keep as `message`. */
export const messageFields = (item: Json): Json | undefined => unknownFields(item, knownOfMessage)

const knownOfText = knownFields(["type", "text", "annotations", "logprobs"])
const knownOfRefusal = knownFields(["type", "refusal"])

const nonEmptyList = (from: Json, field: string): Json => {
  const value = from[field]
  return Array.isArray(value) && value.length > 0 ? { [field]: value } : {}
}

/** The native fields of a text: its annotations and log probabilities, if any, and what the vocabulary does not cover. */
export const textFields = (text: Json, message?: Json): Json | undefined =>
  nonEmpty({
    ...unknownFields(text, knownOfText),
    ...nonEmptyList(text, "annotations"),
    ...nonEmptyList(text, "logprobs"),
    ...(message === undefined ? {} : { message })
  })

export const refusalFields = (refusal: Json, message?: Json): Json | undefined =>
  nonEmpty({ ...unknownFields(refusal, knownOfRefusal), ...(message === undefined ? {} : { message }) })

const contentOf = (item: Json): ReadonlyArray<Json> =>
  typeof item["content"] === "string" ? [{ type: "output_text", text: item["content"] }] : records(item, "content")

const messageParts = (item: Json, provider: string): ReadonlyArray<ItemPart> => {
  const message = messageFields(item)
  return contentOf(item).flatMap((entry, index): ReadonlyArray<ItemPart> => {
    const type = entry["type"] === "refusal" ? "refusal" : "text"
    const text = string(entry, type) ?? ""
    if (text === "") return []
    const fields = type === "text" ? textFields(entry, message) : refusalFields(entry, message)
    return [{ list: type, key: keyOf(type, index), part: { type, text, ...native.answered(fields, provider) } }]
  })
}

export const formats = { content: "reasoning.text", summary: "reasoning.summary" } as const

const knownOfReasoning = knownFields(["type", "id", "summary", "content", "encrypted_content"])

/**
 * The parts of a reasoning item in the order of a stream; encrypted reasoning is the signature of the last one. There is always
 * one part: reasoning without visible text must be sent back in the next turn as well.
 */
export const reasoningParts = (item: Json, provider?: string): ReadonlyArray<ItemPart & { part: ReasoningPart }> => {
  const id = string(item, "id")
  const encrypted = string(item, "encrypted_content")
  const fields = unknownFields(item, knownOfReasoning)
  const common = {
    type: "reasoning" as const,
    ...(id === undefined || id === "" ? {} : { id }),
    ...(provider === undefined ? {} : { provider }),
    ...(fields === undefined ? {} : native.wrap(fields))
  }
  const parts = (["content", "summary"] as const).flatMap((list) =>
    records(item, list).flatMap((entry, index) => {
      const text = string(entry, "text") ?? ""
      return text === "" ? [] : [{ list, key: keyOf(list, index), part: { text, ...common, format: formats[list] } }]
    })
  )
  const last = parts.at(-1) ?? { list: "sealed" as const, key: "sealed", part: { text: "", ...common } }
  return encrypted === undefined || encrypted === ""
    ? [...parts.slice(0, -1), last]
    : [...parts.slice(0, -1), { ...last, part: { ...last.part, signature: encrypted } }]
}

/** The parts of a message or of a reasoning item; none for other items. */
export const itemParts = (item: Json, provider: string): ReadonlyArray<ItemPart> => {
  const kind = kindOf(item)
  return kind === "message" ? messageParts(item, provider) : kind === "reasoning" ? reasoningParts(item, provider) : []
}

// -------------------------------------------------------------------------------------
// calls
// -------------------------------------------------------------------------------------

const knownOfCall = knownFields(["type", "call_id", "name", "arguments", "input"])

/** The native fields of a call, such as the id of its item. */
export const callFields = (item: Json): Json | undefined => unknownFields(item, knownOfCall)

/** A call, with an id from its number when it has none; undefined when it has no name. */
export const callOf = (item: Json, number: number, provider: string): ToolCall | undefined => {
  const name = string(item, "name")
  if (name === undefined || name === "") return undefined
  const id = string(item, "call_id") || string(item, "id") || `call_${number}`
  const fields = native.answered(callFields(item), provider)
  return item["type"] === "custom_tool_call"
    ? { type: "tool-call", id, name, arguments: string(item, "input") ?? "", custom: true, ...fields }
    : { type: "tool-call", id, name, arguments: string(item, "arguments") || "{}", ...fields }
}

// -------------------------------------------------------------------------------------
// answers
// -------------------------------------------------------------------------------------

/** Decodes all items of an answer. */
export const readOutput = (
  items: ReadonlyArray<unknown>,
  provider: string
): Either.Either<ReadonlyArray<AssistantPart>, WireFailure> => {
  const content: Array<AssistantPart> = []
  let calls = 0
  for (const [index, item] of items.entries()) {
    if (!isRecord(item)) return Either.left(malformed(`output[${index}]`, item))
    switch (kindOf(item)) {
      case "message":
      case "reasoning":
        for (const { part } of itemParts(item, provider)) content.push(part)
        break
      case "call": {
        const call = callOf(item, calls++, provider)
        if (call === undefined) return Either.left(malformed(`output[${index}].name`, item["name"]))
        content.push(call)
        break
      }
      case "other":
        content.push(native.part({ item }, provider))
        break
    }
  }
  return Either.right(content)
}
