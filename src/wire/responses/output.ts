/** Decodes output items. */
import { Either } from "effect"
import type { ReasoningPart, ToolCall } from "../../vocabulary/Chat.js"
import type { WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"
import type { Json } from "../json.js"
import { array, isRecord, string } from "../json.js"

/** The content of an answer's items. */
export interface Output {
  readonly text: string
  readonly refusal: string
  readonly reasoningParts: ReadonlyArray<ReasoningPart>
  readonly toolCalls: ReadonlyArray<ToolCall>
}

/** `other`: items of tools that the provider runs itself and of unknown types, which are kept unchanged. */
export type Kind = "message" | "reasoning" | "call" | "other"

const kinds: Readonly<Record<string, Kind>> = {
  message: "message",
  reasoning: "reasoning",
  function_call: "call",
  custom_tool_call: "call"
}

export const kindOf = (item: Json): Kind => kinds[string(item, "type") ?? ""] ?? "other"

const records = (value: unknown): ReadonlyArray<Json> => (Array.isArray(value) ? value.filter(isRecord) : [])

/** The parts of a message by index; `text` and `refusal` are empty when a part has none. */
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

/** A part of a reasoning item: the reasoning itself (`content`) or its summary (`summary`). */
export interface KeyedReasoning {
  readonly key: string
  readonly part: ReasoningPart
}

/** The key of a part within its item. */
export const reasoningKey = (list: "content" | "summary", index: number): string => `${list}:${index}`

export const formats = { content: "reasoning.text", summary: "reasoning.summary" } as const

/**
 * The parts of a reasoning item in the order of a stream; encrypted reasoning is the signature of the last one. There is always
 * one part: reasoning without visible text must be sent back in the next turn as well.
 */
export const keyedReasoning = (item: Json, provider: string | undefined): ReadonlyArray<KeyedReasoning> => {
  const id = string(item, "id")
  const encrypted = string(item, "encrypted_content")
  const common = {
    ...(id === undefined || id === "" ? {} : { id }),
    ...(provider === undefined ? {} : { provider })
  }
  const parts = (["content", "summary"] as const).flatMap((list) =>
    records(item[list]).flatMap((entry, index): ReadonlyArray<KeyedReasoning> => {
      const text = string(entry, "text") ?? ""
      return text === ""
        ? []
        : [{ key: reasoningKey(list, index), part: { type: "reasoning", text, ...common, format: formats[list] } }]
    })
  )
  const last = parts.at(-1) ?? { key: "encrypted", part: { type: "reasoning", text: "", ...common } }
  return encrypted === undefined || encrypted === ""
    ? [...parts.slice(0, -1), last]
    : [...parts.slice(0, -1), { ...last, part: { ...last.part, signature: encrypted } }]
}

/** A call, with a generated id when it has none; undefined when it has no name. */
export const callOf = (item: Json, index: number): ToolCall | undefined => {
  const name = string(item, "name")
  if (name === undefined || name === "") return undefined
  const id = string(item, "call_id") || string(item, "id") || `call_${index}`
  return item["type"] === "custom_tool_call"
    ? { id, name, arguments: string(item, "input") ?? "", type: "custom" }
    : { id, name, arguments: string(item, "arguments") || "{}" }
}

/** Decodes all items of an answer. */
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
        for (const { part } of keyedReasoning(item, provider)) reasoningParts.push(part)
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

const contentParts = (items: ReadonlyArray<unknown>): ReadonlyArray<Json> =>
  records(items)
    .filter((item) => kindOf(item) === "message")
    .flatMap((item) => messageParts(item).map(({ part }) => part))

const nonEmpty = <A>(key: string, values: ReadonlyArray<A>): Readonly<Record<string, ReadonlyArray<A>>> =>
  values.length === 0 ? {} : { [key]: values }

/** Metadata of the items: `items`, those of kind `other`, unchanged; `annotations`, the sources of the text; `logprobs`. */
export const outputMetadata = (items: ReadonlyArray<unknown>): Json => ({
  ...nonEmpty(
    "items",
    records(items).filter((item) => kindOf(item) === "other")
  ),
  ...nonEmpty(
    "annotations",
    contentParts(items).flatMap((part) => array(part, "annotations") ?? [])
  ),
  ...nonEmpty(
    "logprobs",
    contentParts(items).flatMap((part) => array(part, "logprobs") ?? [])
  )
})
