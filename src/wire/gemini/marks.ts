/**
 * What must go back with what the model said, as a `ReasoningPart` without text: `format` is the name of the part of the
 * answer that it belongs to, `id` says which one that is, `signature` is what must go back.
 *
 * - `functionCall`: the signature of the call with the `id`.
 * - `text`: the signature of a piece of the text, from and to an offset in UTF-16 units, such as `0:12`.
 * - `executableCode` and whatever else a model may say: the whole part as JSON, at an offset of the text, such as `12`.
 */
import type { ReasoningPart } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, parseJson } from "../json.js"

export type Mark =
  | { readonly _tag: "Call"; readonly id: string; readonly signature: string }
  | { readonly _tag: "Text"; readonly start: number; readonly end: number; readonly signature: string }
  | { readonly _tag: "Part"; readonly start: number; readonly part: Json }

const blank = { type: "reasoning", text: "" } as const

export const callMark = (id: string, signature: string): ReasoningPart => ({
  ...blank,
  signature,
  id,
  format: "functionCall"
})

export const textMark = (start: number, end: number, signature: string): ReasoningPart => ({
  ...blank,
  signature,
  id: `${start}:${end}`,
  format: "text"
})

export const partMark = (start: number, format: string, part: Json): ReasoningPart => ({
  ...blank,
  signature: JSON.stringify(part),
  id: String(start),
  format
})

/** The mark that a part is; nothing where it is a thought. */
export const markOf = ({ format, id, signature, text }: ReasoningPart): Mark | undefined => {
  if (format === undefined || id === undefined || signature === undefined || text !== "") return undefined
  if (format === "functionCall") return { _tag: "Call", id, signature }
  const [, start, end = start] = /^(\d+)(?::(\d+))?$/.exec(id) ?? []
  if (start === undefined) return undefined
  if (format === "text") return { _tag: "Text", start: Number(start), end: Number(end), signature }
  const part = parseJson(signature)
  return isRecord(part) ? { _tag: "Part", start: Number(start), part } : undefined
}
