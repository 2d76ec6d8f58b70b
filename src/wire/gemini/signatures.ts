/**
 * Signatures and other parts that must be sent back with an answer. Each is a `ReasoningPart` without text: `format` is the kind
 * of the part that it belongs to, `id` identifies this part, and `signature` is the value to send back.
 *
 * - `functionCall`: the signature of the tool call with this `id`.
 * - `text`: the signature of a range of the text. `id` has its offsets in UTF-16 units, such as `0:12`.
 * - `executableCode` and all other kinds: the whole part as JSON. `id` is its offset in the text, such as `12`.
 */
import type { ReasoningPart } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, parseJson } from "../json.js"

export type Signature =
  | { readonly _tag: "Call"; readonly id: string; readonly signature: string }
  | { readonly _tag: "Text"; readonly start: number; readonly end: number; readonly signature: string }
  | { readonly _tag: "Part"; readonly start: number; readonly part: Json }

const emptyPart = { type: "reasoning", text: "" } as const

export const callSignature = (id: string, signature: string): ReasoningPart => ({
  ...emptyPart,
  signature,
  id,
  format: "functionCall"
})

export const textSignature = (start: number, end: number, signature: string): ReasoningPart => ({
  ...emptyPart,
  signature,
  id: `${start}:${end}`,
  format: "text"
})

export const storedPart = (start: number, format: string, part: Json): ReasoningPart => ({
  ...emptyPart,
  signature: JSON.stringify(part),
  id: String(start),
  format
})

/** The signature or stored part in a reasoning part; undefined when it is ordinary reasoning. */
export const signatureOf = ({ format, id, signature, text }: ReasoningPart): Signature | undefined => {
  if (format === undefined || id === undefined || signature === undefined || text !== "") return undefined
  if (format === "functionCall") return { _tag: "Call", id, signature }
  const [, start, end = start] = /^(\d+)(?::(\d+))?$/.exec(id) ?? []
  if (start === undefined) return undefined
  if (format === "text") return { _tag: "Text", start: Number(start), end: Number(end), signature }
  const part = parseJson(signature)
  return isRecord(part) ? { _tag: "Part", start: Number(start), part } : undefined
}
