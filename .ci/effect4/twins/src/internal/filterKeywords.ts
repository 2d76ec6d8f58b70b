/** What the filters and texts of Effect 4 are in JSON Schema, as Effect 3 writes it. */
import type { SchemaAST } from "effect"
import { Predicate } from "effect"

type JsonSchema = Readonly<Record<string, unknown>>

const isRecord = (value: unknown): value is JsonSchema => Predicate.isObject(value)

const lengths = (type: unknown, minimum: unknown, maximum: unknown): JsonSchema => {
  const [least, most] = type === "array" ? ["minItems", "maxItems"] : ["minLength", "maxLength"]
  return {
    ...(minimum === undefined ? {} : { [least]: minimum }),
    ...(maximum === undefined ? {} : { [most]: maximum })
  }
}

/** Like those of Effect 3, patterns do not escape slashes. */
const escaped = (text: unknown): string => String(text).replace(/[\\^$*+?.()|[\]{}]/g, "\\$&")

/** What the filters of Effect 3 write, by the ids of those of Effect 4. */
const keywords: Readonly<Record<string, (payload: JsonSchema, type: unknown) => JsonSchema>> = {
  isInt: () => ({ type: "integer" }),
  // Effect 4 writes patterns with the flag `u` alone.
  isPattern: ({ source }) => ({ pattern: source }),
  isStartingWith: ({ startsWith }) => ({ pattern: `^${escaped(startsWith)}` }),
  isEndingWith: ({ endsWith }) => ({ pattern: `^.*${escaped(endsWith)}$` }),
  isIncluding: ({ includes }) => ({ pattern: `.*${escaped(includes)}.*` }),
  // Effect 4 counts code points, as JSON Schema does.
  isMinLength: ({ minLength }, type) => lengths(type, minLength, undefined),
  isMaxLength: ({ maxLength }, type) => lengths(type, undefined, maxLength),
  isBetweenLength: ({ maximum, minimum }, type) => lengths(type, minimum, maximum),
  isULID: () => ({ pattern: "^[0-7][0-9A-HJKMNP-TV-Z]{25}$" })
}

/** Effect 4 takes no UUID of an unknown version. A model may have read one, and is not made to write another. */
const uuid: JsonSchema = {
  format: "uuid",
  pattern: "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
}

export const keywordsOf = ({ annotations }: SchemaAST.Filter<never>, type: unknown): JsonSchema => {
  const representation: unknown = annotations?.["representation"]
  const { id, payload } = isRecord(representation) ? representation : {}
  const own = isRecord(payload) ? payload : {}
  const name = typeof id === "string" ? id.replace(/^effect\/schema\//, "") : ""
  if (name === "isUUID" && typeof own["version"] !== "number") return uuid
  const known = Object.hasOwn(keywords, name) ? keywords[name] : undefined
  if (known !== undefined) return known(own, type)
  const toJsonSchema: unknown = annotations?.["toJsonSchema"]
  if (typeof toJsonSchema !== "function") return {}
  const answer: unknown = toJsonSchema({ type, schemas: [] })
  const written: unknown = Array.isArray(answer) ? answer[0] : answer
  return isRecord(written) ? written : {}
}

/** What Effect 4 expects of a string in Base64, in hexadecimal digits, or of no encoding. */
const decodedAs =
  /^a (?:(?:base64|base64 \(URL\)|hex|URI component) encoded )?string that will be decoded as (?:a )?(.+)$/

/** How Effect 3 describes the text of a value. */
export const textOf = (expected: string): JsonSchema => {
  const decoded = decodedAs.exec(expected)?.[1]
  if (decoded === undefined) return { type: "string" }
  const encoding = /^a (base64 \(URL\)|base64|hex|URI component) /.exec(expected)?.[1]
  const description =
    decoded === "trimmed string"
      ? "a string that will be trimmed"
      : decoded === "UTF-8 string"
        ? `A string that is interpreted as being ${encodings[encoding ?? ""]}-encoded and will be decoded into a UTF-8 string`
        : `a string to be decoded into ${decoded === "JSON" ? "" : "a "}${decoded}`
  return { type: "string", description }
}

const encodings: Readonly<Record<string, string>> = {
  base64: "Base64",
  "base64 (URL)": "Base64Url",
  hex: "Hex",
  "URI component": "UriComponent"
}
