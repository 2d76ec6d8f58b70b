/**
 * What only one protocol has a word for, inside of messages and tools: its server's side reads it, its client's side writes it, and
 * every other wire leaves its fields alone and refuses its parts.
 */
import type { ChatRequest, Native, NativePart } from "../vocabulary/Chat.js"
import type { Json } from "./json.js"
import { isRecord } from "./json.js"

export interface Bearer {
  readonly native?: Native
}

/** The fields of an object that the vocabulary has words for; of an object in one of them, those of its fields. */
export type Known = ReadonlyMap<string, true | ReadonlySet<string>>

export const known = (
  fields: ReadonlyArray<string>,
  within: Readonly<Record<string, ReadonlyArray<string>>> = {}
): Known =>
  new Map<string, true | ReadonlySet<string>>([
    ...fields.map((field): readonly [string, true] => [field, true]),
    ...Object.entries(within).map(([field, inner]): readonly [string, ReadonlySet<string>] => [field, new Set(inner)])
  ])

const withinOf = (value: unknown, inner: ReadonlySet<string>): Json | undefined => {
  if (!isRecord(value)) return undefined
  let found: Record<string, unknown> | undefined
  for (const field in value) {
    if (inner.has(field)) continue
    const said = value[field]
    if (said !== undefined && said !== null) (found ??= {})[field] = said
  }
  return found
}

/** The fields that the vocabulary has no words for; nothing where there are none, which is nearly always. */
export const beyondOf = (from: Json, words: Known): Record<string, unknown> | undefined => {
  let found: Record<string, unknown> | undefined
  for (const field in from) {
    const word = words.get(field)
    if (word === true) continue
    const value = from[field]
    const beyond = word === undefined ? value : withinOf(value, word)
    if (beyond !== undefined && beyond !== null) (found ??= {})[field] = beyond
  }
  return found
}

const nothing: Json = {}

/** Both, and of objects that both have, the fields of both. */
export const over = (written: Json, fields: Json): Json => {
  const all: Record<string, unknown> = { ...written }
  for (const [field, value] of Object.entries(fields)) {
    const before = all[field]
    all[field] = isRecord(before) && isRecord(value) ? { ...before, ...value } : value
  }
  return all
}

/** A part that only another protocol has. */
export const foreign = "part of a message that only another protocol has"

/** What a request holds that a wire has no word for: without a name, one that has no words of its own here. */
export const lacking = ({ messages }: ChatRequest, wire = ""): string | undefined =>
  messages.some(
    ({ content }) =>
      typeof content !== "string" && content.some((part) => part.type === "native" && part.native[wire] === undefined)
  )
    ? foreign
    : undefined

export const make = (wire: string) => {
  const of = (said: Bearer): Json | undefined => said.native?.[wire]
  return {
    /** The name of the wire. */
    wire,
    /** What this protocol says of it; nothing where it was not said in it. */
    of,
    /** These fields, as they are held. */
    said: (fields: Json): { readonly native: Native } => ({ native: { [wire]: fields } }),
    /** What is said beyond the words that are known, and further, as a field of what is read. */
    read: (from: Json, words: Known, further?: Json): Json => {
      const beyond = beyondOf(from, words)
      if (beyond === undefined && further === undefined) return nothing
      return { native: { [wire]: further === undefined ? beyond : { ...beyond, ...further } } }
    },
    /** A part that the vocabulary has no word for. */
    part: (part: Json): NativePart => ({ type: "native", native: { [wire]: part } }),
    /** What was written, and what only this protocol says of it. */
    written: (written: Json, said: Bearer): Json => {
      const fields = of(said)
      return fields === undefined ? written : over(written, fields)
    },
    /** What a request holds that only other protocols have. */
    lacking: (request: ChatRequest): string | undefined => lacking(request, wire)
  }
}
