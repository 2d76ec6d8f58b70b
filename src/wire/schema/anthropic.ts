/** JSON Schemas as structured outputs take them. Anthropic, "Structured outputs": "JSON Schema limitations". */
import type { Json } from "../json.js"
import { isRecord } from "../json.js"

/** Constraints that the grammar cannot hold the model to. The API refuses them; the model can still read of them. */
const constraints: ReadonlySet<string> = new Set([
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "multipleOf",
  "minLength",
  "maxLength",
  "maxItems",
  "uniqueItems",
  "minProperties",
  "maxProperties"
])

const formats: ReadonlySet<unknown> = new Set([
  "date-time",
  "time",
  "date",
  "duration",
  "email",
  "hostname",
  "uri",
  "ipv4",
  "ipv6",
  "uuid"
])

const isRefused = (keyword: string, value: unknown): boolean =>
  constraints.has(keyword) ||
  (keyword === "minItems" && value !== 0 && value !== 1) ||
  (keyword === "format" && !formats.has(value))

const schemas: ReadonlySet<string> = new Set(["items", "contains", "not", "if", "then", "else"])
const listsOfSchemas: ReadonlySet<string> = new Set(["anyOf", "allOf", "oneOf", "prefixItems"])
const mapsOfSchemas: ReadonlySet<string> = new Set(["properties", "$defs", "definitions"])

/** The value of a keyword, with the schemas in it changed. */
const mapSchemas = (keyword: string, value: unknown, change: (schema: unknown) => unknown): unknown => {
  if (schemas.has(keyword)) return change(value)
  if (listsOfSchemas.has(keyword) && Array.isArray(value)) return value.map(change)
  if (mapsOfSchemas.has(keyword) && isRecord(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, change(schema)]))
  }
  return value
}

/** An object whose names are open: closed, it would be another one. */
const isOpen = (schema: Json): boolean =>
  isRecord(schema["additionalProperties"]) || isRecord(schema["patternProperties"])

const isObject = (schema: Json): boolean =>
  schema["type"] === "object" || (schema["type"] === undefined && isRecord(schema["properties"]))

/**
 * The schema with every object closed, and with the constraints that the API refuses told in the description instead, as
 * Anthropic's own libraries do. `oneOf` is unknown there and becomes `anyOf`. Nothing where an object cannot be closed.
 */
export const outputSchema = (schema: Json): Json | undefined => {
  let closable = true
  const close = (inner: unknown): unknown => {
    if (!isRecord(inner)) return inner
    if (isOpen(inner)) closable = false
    const entries = Object.entries(inner).filter(([keyword]) => keyword !== "$schema")
    const kept = entries
      .filter(([keyword, value]) => !isRefused(keyword, value))
      .map(([keyword, value]): readonly [string, unknown] => [
        keyword === "oneOf" && inner["anyOf"] === undefined ? "anyOf" : keyword,
        mapSchemas(keyword, value, close)
      ])
    const words = entries
      .filter(([keyword, value]) => isRefused(keyword, value))
      .map(([keyword, value]) => `${keyword}: ${JSON.stringify(value)}`)
      .join(", ")
    const description = typeof inner["description"] === "string" ? `${inner["description"]} (${words})` : words
    return {
      ...Object.fromEntries(kept),
      ...(words === "" ? {} : { description }),
      ...(isObject(inner) ? { additionalProperties: false } : {})
    }
  }
  const closed = close(schema)
  return closable && isRecord(closed) ? closed : undefined
}
