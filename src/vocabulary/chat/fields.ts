/** Field schemas that several modules of the vocabulary share. */
import { Schema } from "effect"

/** JSON that the vocabulary does not interpret: JSON Schemas, and fields of one provider. */
export const JsonObject = Schema.Record({ key: Schema.String, value: Schema.Unknown })

/**
 * Fields of one protocol that the vocabulary has no field for, by the name of the wire. That wire writes them, and they override
 * the vocabulary's fields; other wires ignore them. An entry of a wire, even without fields, marks a value that was received in
 * that protocol: its reasoning can be sent back there, and the library adds no defaults.
 */
export const Native = Schema.Record({ key: Schema.String, value: JsonObject }).annotations({ identifier: "Native" })

export const native = Schema.optionalWith(Native, { exact: true })

export const NonEmptyId = Schema.NonEmptyString

/** An http(s) URL that the provider fetches, or a `data:` URL with the bytes. */
export const MediaUrl = Schema.String.pipe(
  Schema.filter((url) => /^(https?:\/\/|data:)/i.test(url) || "expected an http(s): or data: URL")
)
