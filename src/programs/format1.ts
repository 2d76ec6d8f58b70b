/**
 * Reads what 0.1.0 stored, in version 1 of its formats: messages and responses with a field for each kind of parts, whose content is
 * now one list. The parts get the order in which 0.1.0 sent them back: reasoning, text, then the calls. Anything else is returned
 * unchanged, and the schema that decodes the result says what is wrong with it.
 */
import type { Json } from "../wire/json.js"
import { isRecord } from "../wire/json.js"

/** The parts of a text; what is not a text becomes a part that no schema accepts. */
const ofText = (type: "text" | "reasoning" | "refusal", text: unknown = ""): ReadonlyArray<unknown> =>
  text === "" ? [] : [{ type, text }]

/** The parts of a list; what is not a list becomes a part that no schema accepts. */
const ofList = (list: unknown = []): ReadonlyArray<unknown> => (Array.isArray(list) ? list : [list])

const toCall = (call: unknown): unknown => {
  if (!isRecord(call)) return call
  const { type, ...fields } = call
  return { ...fields, type: "tool-call", ...(type === "custom" ? { custom: true } : {}) }
}

const toPart = (part: unknown): unknown =>
  isRecord(part) && part["type"] === "native" ? { ...part, type: "provider" } : part

/** A message. */
export const messageOf = (message: unknown): unknown => {
  if (!isRecord(message)) return message
  const { content, toolCalls, ...fields } = message
  const calls = ofList(toolCalls).map(toCall)
  if (typeof content === "string" && calls.length === 0) return message
  return {
    ...fields,
    content: [...(typeof content === "string" ? ofText("text", content) : ofList(content).map(toPart)), ...calls]
  }
}

const responseOf = (response: Json): Json => {
  const { reasoning, reasoningParts, refusal = "", text, toolCalls } = response
  const calls = ofList(toolCalls).map(toCall)
  const parts = ofList(reasoningParts)
  const content = [
    ...(parts.length === 0 ? ofText("reasoning", reasoning) : parts),
    ...ofText("text", text),
    ...ofText("refusal", refusal),
    ...calls
  ]
  return { ...response, content, refusal, toolCalls: calls }
}

/** Whether a value is a response, or the partial response in an error. */
const isResponse = (value: Json): boolean =>
  ["id", "model", "text", "reasoning", "toolCalls", "usage"].every((field) => field in value) && !("content" in value)

/** The result of a request, with every response in it, those in errors included. */
export const resultOf = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(resultOf)
  if (!isRecord(value)) return value
  const fields = Object.fromEntries(Object.entries(value).map(([field, inner]) => [field, resultOf(inner)]))
  return isResponse(fields) ? responseOf(fields) : fields
}
