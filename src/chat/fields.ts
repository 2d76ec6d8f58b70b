/** What several schemas of the vocabulary have in common. */
import { Schema } from "effect"

/** What the vocabulary does not look into: JSON Schemas, and fields of one provider. */
export const JsonObject = Schema.Record({ key: Schema.String, value: Schema.Unknown })

export const NonEmptyId = Schema.NonEmptyString

/** http(s) for what the provider fetches itself, `data:` for bytes. */
export const MediaUrl = Schema.String.pipe(
  Schema.filter((url) => /^(https?:\/\/|data:)/i.test(url) || "expected an http(s): or data: URL")
)
