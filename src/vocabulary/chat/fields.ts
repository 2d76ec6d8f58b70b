/** What several schemas of the vocabulary have in common. */
import { Schema } from "effect"

/** What the vocabulary does not look into: JSON Schemas, and fields of one provider. */
export const JsonObject = Schema.Record({ key: Schema.String, value: Schema.Unknown })

/**
 * What is said in the words of one protocol, where the vocabulary has none: fields by the name of the wire whose words they are.
 * That wire writes them, over whatever the vocabulary says, and no other does. A wire that finds itself named, be it without a
 * field, knows that the thing was said in its own protocol: a thought can go back there, and defaults of ours are left out.
 */
export const Native = Schema.Record({ key: Schema.String, value: JsonObject }).annotations({ identifier: "Native" })

export const native = Schema.optionalWith(Native, { exact: true })

export const NonEmptyId = Schema.NonEmptyString

/** http(s) for what the provider fetches itself, `data:` for bytes. */
export const MediaUrl = Schema.String.pipe(
  Schema.filter((url) => /^(https?:\/\/|data:)/i.test(url) || "expected an http(s): or data: URL")
)
