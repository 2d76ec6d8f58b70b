/** Field schemas that several modules of the vocabulary share. */
import type { FastCheck } from "effect"
import { Schema } from "effect"

/**
 * Generates a record with at most three fields, since requests and responses contain many records. `Schema.Record` drops a field
 * with the name `__proto__`, so none is generated.
 */
const smallRecord = <A>(fc: typeof FastCheck, value: FastCheck.Arbitrary<A>): FastCheck.Arbitrary<Record<string, A>> =>
  fc.dictionary(
    fc.string().filter((name) => name !== "__proto__"),
    value,
    { maxKeys: 3, noNullPrototype: true }
  )

/** Generates JSON without deep nesting. */
const jsonObject = (fc: typeof FastCheck): FastCheck.Arbitrary<Record<string, unknown>> =>
  smallRecord(fc, fc.jsonValue({ maxDepth: 1 }))

/** JSON that the vocabulary does not interpret: JSON Schemas, and fields of one provider. */
export const JsonObject = Schema.Record({ key: Schema.String, value: Schema.Unknown }).annotations({
  arbitrary: () => jsonObject
})

/** Texts by name. */
export const StringRecord = Schema.Record({ key: Schema.String, value: Schema.String }).annotations({
  arbitrary: () => (fc) => smallRecord(fc, fc.string())
})

/** Numbers from -100 to 100 by name. */
export const LogitBias = Schema.Record({
  key: Schema.String,
  value: Schema.Finite.pipe(Schema.between(-100, 100))
}).annotations({
  arbitrary: () => (fc) => smallRecord(fc, fc.double({ min: -100, max: 100, noNaN: true }))
})

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
  arbitrary: () => (fc) => smallRecord(fc, jsonObject(fc))
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
  Schema.filter((url) => /^(https?:\/\/|data:)/i.test(url) || "expected an http(s): or data: URL", {
    arbitrary: () => (fc) =>
      fc.oneof(
        fc.webUrl(),
        fc
          .tuple(fc.constantFrom("image/png", "audio/wav", "application/pdf"), fc.base64String())
          .map(([mediaType, bytes]) => `data:${mediaType};base64,${bytes}`)
      )
  })
)
