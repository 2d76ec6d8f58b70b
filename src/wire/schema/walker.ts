/** JSON Schemas as trees: the keywords that contain schemas, and references to definitions. */
import type { Json } from "../json.js"
import { isRecord } from "../json.js"

export type JsonSchema = Json

/** Keywords whose value is a schema, a list of schemas, or both in turn (`items`). */
const direct: ReadonlySet<string> = new Set([
  "additionalItems",
  "additionalProperties",
  "allOf",
  "anyOf",
  "contains",
  "else",
  "if",
  "items",
  "not",
  "oneOf",
  "prefixItems",
  "propertyNames",
  "then"
])

/** Keywords whose value is an object with schemas by name. */
const named: ReadonlySet<string> = new Set(["$defs", "definitions", "patternProperties", "properties"])

/** The value of a keyword with the schemas in it changed; any other value unchanged. */
export const mapKeyword = (keyword: string, value: unknown, change: (schema: JsonSchema) => unknown): unknown => {
  const each = (inner: unknown): unknown =>
    Array.isArray(inner) ? inner.map(each) : isRecord(inner) ? change(inner) : inner
  if (direct.has(keyword)) return each(value)
  return named.has(keyword) && isRecord(value)
    ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, each(inner)]))
    : value
}

/** The schema with the schemas directly in it changed. */
export const mapSchemas = (schema: JsonSchema, change: (schema: JsonSchema) => unknown): JsonSchema =>
  Object.fromEntries(Object.entries(schema).map(([keyword, value]) => [keyword, mapKeyword(keyword, value, change)]))

/** The name of the definition that a reference within the document points at. In a JSON Pointer names are escaped (RFC 6901). */
export const definitionName = (reference: unknown): string | undefined =>
  /^#\/(?:\$defs|definitions)\/([^/]+)$/
    .exec(typeof reference === "string" ? reference : "")?.[1]
    ?.replaceAll("~1", "/")
    .replaceAll("~0", "~")
