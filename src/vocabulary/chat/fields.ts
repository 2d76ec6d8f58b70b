/** Field schemas that several modules of the vocabulary share. */
import { Schema } from "effect"
import * as Arbitraries from "../arbitraries.js"

/** JSON that the vocabulary does not interpret: JSON Schemas, and fields of one provider. */
export const JsonObject = Schema.Record({ key: Schema.String, value: Schema.Unknown }).annotations(
  Arbitraries.jsonObject
)

/** Texts by name. */
export const StringRecord = Schema.Record({ key: Schema.String, value: Schema.String }).annotations(
  Arbitraries.textsByName
)

/** Numbers from -100 to 100 by name. */
export const LogitBias = Schema.Record({
  key: Schema.String,
  value: Schema.Finite.pipe(Schema.between(-100, 100))
}).annotations(Arbitraries.biasesByName)

/**
 * Fields of one protocol that the vocabulary has no field for, by the name of the wire, such as
 * `{ "chat-completions": { prefix: true } }`. That wire writes them, and they override the vocabulary's fields; other wires
 * ignore them. An entry of a wire, even without fields, marks a value that was received in that protocol: its reasoning can be
 * sent back there, and the library adds no defaults.
 *
 * @since 0.1.0
 * @category parts
 */
export interface Native extends Schema.Schema.Type<typeof nativeSchema> {}

const nativeSchema = Schema.Record({ key: Schema.String, value: JsonObject }).annotations({
  identifier: "Native",
  ...Arbitraries.objectsByName
})

/**
 * @since 0.1.0
 * @category parts
 */
export const Native: Schema.Schema<Native> = nativeSchema

export const native = Schema.optionalWith(Native, { exact: true })

export const NonEmptyId = Schema.NonEmptyString

/** An http(s) URL that the provider fetches, or a `data:` URL with the bytes. */
export const MediaUrl = Schema.String.pipe(
  Schema.filter((url) => /^(https?:\/\/|data:)/i.test(url) || "expected an http(s): or data: URL", Arbitraries.mediaUrl)
)
