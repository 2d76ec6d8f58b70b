/**
 * What a part keeps for its provider, under the name `effectLlm` of the metadata of a part of `@effect/ai`, and of the options of a
 * part in a prompt.
 */
import { Option, Schema } from "effect"
import * as Chat from "../vocabulary/Chat.js"
import type { JsonValue } from "./json.js"
import { jsonFieldsOf } from "./json.js"

/** The name of the library's entry in metadata and options. */
export const name = "effectLlm"

type Entries = { readonly [key: string]: unknown }

/** The metadata of a part, or the options of a part in a prompt, with nothing but JSON in it. */
export type Metadata = { readonly [key: string]: { readonly [key: string]: JsonValue } }

const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

/** Fields of the library's parts that the parts of `@effect/ai` have no field for. */
const Kept = Schema.Struct({
  provider: optional(Schema.String),
  native: optional(Chat.Native),
  signature: optional(Schema.String),
  id: optional(Schema.String),
  format: optional(Schema.String),
  refusal: optional(Schema.String),
  cacheControl: optional(Chat.CacheControl),
  detail: optional(Schema.Literal("low", "high", "auto"))
})

export type Kept = typeof Kept.Type

const decode = Schema.decodeUnknownOption(Kept)

/** The kept fields of a part in a prompt: none if it has no entry, or one that the library did not make. */
export const keptIn = (options: Entries): Kept => Option.getOrElse(decode(options[name]), () => ({}))

/** The metadata of a part, from its fields: empty when it has none. */
export const metadataOf = (fields: Kept): Metadata => (Object.keys(fields).length === 0 ? {} : entryOf(fields))

/** Metadata with the library's entry. */
export const entryOf = (fields: object): Metadata => ({ [name]: jsonFieldsOf(fields) })
