/** JSON Schemas for structured outputs of Anthropic. Source: "Structured outputs", "JSON Schema limitations". */
import { isRecord } from "../json.js"
import type { JsonSchema } from "./walker.js"
import { mapKeyword } from "./walker.js"

/** Keywords that the API rejects because its grammar cannot enforce them. */
const unsupported: ReadonlySet<string> = new Set([
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

const isUnsupported = (keyword: string, value: unknown): boolean =>
  unsupported.has(keyword) ||
  (keyword === "minItems" && value !== 0 && value !== 1) ||
  (keyword === "format" && !formats.has(value))

/** Whether an object allows properties that it does not list, so that closing it would change its meaning. */
const isOpen = (schema: JsonSchema): boolean =>
  isRecord(schema["additionalProperties"]) || isRecord(schema["patternProperties"])

const isObject = (schema: JsonSchema): boolean =>
  schema["type"] === "object" || (schema["type"] === undefined && isRecord(schema["properties"]))

/**
 * The schema with every object closed and every unsupported keyword moved into the description, as Anthropic's own libraries do.
 * `oneOf` is not supported and becomes `anyOf`. Undefined when an object cannot be closed.
 */
export const outputSchema = (schema: JsonSchema): JsonSchema | undefined => {
  let closable = true
  const close = (inner: JsonSchema): JsonSchema => {
    if (isOpen(inner)) closable = false
    const entries = Object.entries(inner).filter(([keyword]) => keyword !== "$schema")
    const supported = entries
      .filter(([keyword, value]) => !isUnsupported(keyword, value))
      .map(([keyword, value]): readonly [string, unknown] => [
        keyword === "oneOf" && inner["anyOf"] === undefined ? "anyOf" : keyword,
        mapKeyword(keyword, value, close)
      ])
    const constraints = entries
      .filter(([keyword, value]) => isUnsupported(keyword, value))
      .map(([keyword, value]) => `${keyword}: ${JSON.stringify(value)}`)
      .join(", ")
    const description =
      typeof inner["description"] === "string" ? `${inner["description"]} (${constraints})` : constraints
    return {
      ...Object.fromEntries(supported),
      ...(constraints === "" ? {} : { description }),
      ...(isObject(inner) ? { additionalProperties: false } : {})
    }
  }
  const closed = close(schema)
  return closable ? closed : undefined
}
