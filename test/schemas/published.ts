/** Inspects values by schemas that other packages have generated from the API descriptions of providers. */
import { Either, ParseResult, Schema } from "effect"

export interface Finding {
  /** What the schema rejects, each with its place. */
  readonly faults: ReadonlyArray<string>
  /** The places of fields that the schema does not have; an index is `[]`. */
  readonly unknown: ReadonlyArray<string>
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** The places in a value that a schema has lost by decoding and encoding it. It drops fields that it does not have. */
const lostFields = (value: unknown, kept: unknown, place: string): ReadonlyArray<string> => {
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([name, field]) => {
    const at = Array.isArray(value) ? `${place}[]` : place === "" ? name : `${place}.${name}`
    // The schemas take null for an absent field.
    if (field === null) return []
    return isObject(kept) && name in kept ? lostFields(field, Reflect.get(kept, name), at) : [at]
  })
}

export const inspector = <A, I>(schema: Schema.Schema<A, I>): ((value: unknown) => Finding) => {
  const decode = Schema.decodeUnknownEither(schema, { errors: "all" })
  const encode = Schema.encodeSync(schema)
  return (value) =>
    Either.match(decode(value), {
      onLeft: (error) => ({
        faults: ParseResult.ArrayFormatter.formatErrorSync(error).map(
          ({ message, path }) => `${path.join(".")}: ${message}`
        ),
        unknown: []
      }),
      onRight: (decoded) => ({ faults: [], unknown: [...new Set(lostFields(value, encode(decoded), ""))] })
    })
}
