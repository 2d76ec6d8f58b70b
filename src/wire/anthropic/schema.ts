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

const schemas: ReadonlySet<string> = new Set(["items", "additionalItems", "contains", "not", "if", "then", "else"])
const listsOfSchemas: ReadonlySet<string> = new Set(["anyOf", "allOf", "oneOf", "prefixItems"])
const mapsOfSchemas: ReadonlySet<string> = new Set(["properties", "$defs", "definitions"])

const within = (keyword: string, value: unknown): unknown => {
  if (schemas.has(keyword)) return closed(value)
  if (listsOfSchemas.has(keyword) && Array.isArray(value)) return value.map(closed)
  if (mapsOfSchemas.has(keyword) && isRecord(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, closed(schema)]))
  }
  return value
}

const closed = (schema: unknown): unknown => (isRecord(schema) ? outputSchema(schema) : schema)

const isObject = (schema: Json): boolean =>
  schema["type"] === "object" || (schema["type"] === undefined && isRecord(schema["properties"]))

/**
 * The schema with every object closed, and with the constraints that the API refuses told in the description instead, as
 * Anthropic's own libraries do. `oneOf` is unknown there and becomes `anyOf`.
 */
export const outputSchema = (schema: Json): Json => {
  const entries = Object.entries(schema).filter(([keyword]) => keyword !== "$schema")
  const kept = entries
    .filter(([keyword, value]) => !isRefused(keyword, value))
    .map(([keyword, value]): readonly [string, unknown] => [
      keyword === "oneOf" ? "anyOf" : keyword,
      within(keyword, value)
    ])
  const told = entries.filter(([keyword, value]) => isRefused(keyword, value))
  const words = told.map(([keyword, value]) => `${keyword}: ${JSON.stringify(value)}`).join(", ")
  const description = typeof schema["description"] === "string" ? `${schema["description"]} (${words})` : words
  return {
    ...Object.fromEntries(kept),
    ...(words === "" ? {} : { description }),
    ...(isObject(schema) ? { additionalProperties: false } : {})
  }
}
