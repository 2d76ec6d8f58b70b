/**
 * Fields and parts that only one protocol has, in messages and tools. The server's half of that protocol decodes them, its client's
 * half encodes them; every other wire drops the fields and rejects the parts. Those of an answer name its provider: they are sent
 * back to that provider alone, and left out for every other one, of the same protocol too.
 */
import type { AssistantPart, ChatRequest, Native, ProviderPart, UserPart } from "../vocabulary/Chat.js"
import type { Json } from "./json.js"
import { isRecord } from "./json.js"

/** A value of the vocabulary with native fields. */
export interface WithNative {
  readonly native?: Native
}

/** A part with native fields, which are of an answer when it names a provider. */
export interface PartWithNative extends WithNative {
  readonly provider?: string
}

/** Whether the provider can read the native fields and signatures of a part: its own, and those that no answer contained. */
export const isReadableBy = (part: { readonly provider?: string }, provider: string): boolean =>
  part.provider === undefined || part.provider === provider

/** The fields of an object that the vocabulary covers, and for objects in it, their covered fields. */
export type KnownFields = ReadonlyMap<string, true | ReadonlySet<string>>

export const knownFields = (
  fields: ReadonlyArray<string>,
  nested: Readonly<Record<string, ReadonlyArray<string>>> = {}
): KnownFields =>
  new Map<string, true | ReadonlySet<string>>([
    ...fields.map((field): readonly [string, true] => [field, true]),
    ...Object.entries(nested).map(([field, inner]): readonly [string, ReadonlySet<string>] => [field, new Set(inner)])
  ])

const unknownNested = (value: unknown, known: ReadonlySet<string>): Json | undefined => {
  if (!isRecord(value)) return undefined
  let unknown: Record<string, unknown> | undefined
  for (const field in value) {
    if (known.has(field)) continue
    const inner = value[field]
    if (inner !== undefined && inner !== null) (unknown ??= {})[field] = inner
  }
  return unknown
}

/** The fields of an object that the vocabulary does not cover; undefined when there are none, which is the usual case. */
export const unknownFields = (from: Json, known: KnownFields): Record<string, unknown> | undefined => {
  let unknown: Record<string, unknown> | undefined
  for (const field in from) {
    const covered = known.get(field)
    if (covered === true) continue
    const value = covered === undefined ? from[field] : unknownNested(from[field], covered)
    if (value !== undefined && value !== null) (unknown ??= {})[field] = value
  }
  return unknown
}

const noFields: Json = {}

/** The fields of both objects; a field that is an object in both has the fields of both. */
export const mergeFields = (encoded: Json, fields: Json): Json => {
  const merged: Record<string, unknown> = { ...encoded }
  for (const [field, value] of Object.entries(fields)) {
    const before = merged[field]
    merged[field] = isRecord(before) && isRecord(value) ? { ...before, ...value } : value
  }
  return merged
}

/** The feature that an `Unsupported` failure names for a part of another protocol. */
export const foreignPart = "part of a message that only another protocol has"

/** The feature of a request that a wire cannot encode. A wire without parts of its own passes no name. */
export const unsupportedPart = ({ messages }: ChatRequest, wire = ""): string | undefined =>
  messages.some(
    ({ content }) =>
      typeof content !== "string" &&
      content.some(
        (part: AssistantPart | UserPart) =>
          part.type === "provider" && part.provider === undefined && part.native[wire] === undefined
      )
  )
    ? foreignPart
    : undefined

/** The native fields of one wire. */
export const make = (wire: string) => {
  const fieldsOf = (value: WithNative): Json | undefined => value.native?.[wire]
  return {
    wire,
    /** The native fields of a value; undefined when it has none of this wire. */
    fieldsOf,
    /** Fields as native fields of this wire. */
    wrap: (fields: Json): { readonly native: Native } => ({ native: { [wire]: fields } }),
    /** The fields that are not known, and `more`, as a field of a decoded value. */
    decode: (from: Json, known: KnownFields, more?: Json): Json => {
      const unknown = unknownFields(from, known)
      if (unknown === undefined && more === undefined) return noFields
      return { native: { [wire]: more === undefined ? unknown : { ...unknown, ...more } } }
    },
    /** A part that the vocabulary does not cover. */
    part: (part: Json, provider?: string): ProviderPart => ({
      type: "provider",
      native: { [wire]: part },
      ...(provider === undefined ? {} : { provider })
    }),
    /** The fields of a part of an answer, if it has any, and the provider that sent them. */
    answered: (fields: Json | undefined, provider: string): PartWithNative =>
      fields === undefined ? {} : { provider, native: { [wire]: fields } },
    /**
     * Whether the provider made a part or, when no provider is known, the part was decoded from this protocol: only then its
     * signature and id are valid there.
     */
    isOwn: (part: PartWithNative, provider: string): boolean =>
      part.provider === provider || (part.provider === undefined && fieldsOf(part) !== undefined),
    /** The native fields of a part that the provider can read; undefined when it has none. */
    readableFields: (part: PartWithNative, provider: string): Json | undefined =>
      isReadableBy(part, provider) ? fieldsOf(part) : undefined,
    /** Encoded fields together with the native fields of the value. */
    encode: (encoded: Json, value: WithNative): Json => {
      const fields = fieldsOf(value)
      return fields === undefined ? encoded : mergeFields(encoded, fields)
    },
    /** The feature of a request that this wire cannot encode: a part of another protocol. */
    unsupported: (request: ChatRequest): string | undefined => unsupportedPart(request, wire)
  }
}
