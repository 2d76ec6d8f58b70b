/**
 * JSON Schemas for Gemini. Source: `responseJsonSchema` of `GenerationConfig` (Gemini API reference), which lists the supported
 * keywords; others are ignored or rejected.
 */
import { isRecord } from "../json.js"
import type { JsonSchema } from "./walker.js"
import { mapKeyword, mapSchemas } from "./walker.js"

const supported: ReadonlySet<string> = new Set([
  "$anchor",
  "$defs",
  "$id",
  "$ref",
  "additionalProperties",
  "anyOf",
  "description",
  "enum",
  "format",
  "items",
  "maxItems",
  "maximum",
  "minItems",
  "minimum",
  "oneOf",
  "prefixItems",
  "properties",
  "propertyOrdering",
  "required",
  "title",
  "type"
])

const typeOf = (value: unknown): string | undefined =>
  value === null
    ? "null"
    : typeof value === "string" || typeof value === "number" || typeof value === "boolean"
      ? typeof value
      : undefined

/** A constant as an enumeration, which only strings and numbers can have; of other constants the type remains. */
const constant = (value: unknown): JsonSchema => {
  const type = typeOf(value)
  return {
    ...(type === undefined ? {} : { type }),
    ...(typeof value === "string" || typeof value === "number" ? { enum: [value] } : {})
  }
}

/** Exclusive bounds of an integer as inclusive ones. */
const inclusive = (schema: JsonSchema): JsonSchema => {
  if (schema["type"] !== "integer") return {}
  const { exclusiveMaximum: above, exclusiveMinimum: below } = schema
  return {
    ...(typeof below === "number" && schema["minimum"] === undefined ? { minimum: Math.floor(below) + 1 } : {}),
    ...(typeof above === "number" && schema["maximum"] === undefined ? { maximum: Math.ceil(above) - 1 } : {})
  }
}

/** Older drafts keep definitions under `definitions`. */
const currentReference = (reference: unknown): unknown =>
  typeof reference === "string" ? reference.replace(/^#\/definitions\//, "#/$defs/") : reference

const keyword = (name: string, value: unknown): JsonSchema => {
  if (name === "$ref") return { $ref: currentReference(value) }
  if (name === "definitions") return { $defs: mapKeyword(name, value, cleanSchema) }
  return supported.has(name) ? { [name]: mapKeyword(name, value, cleanSchema) } : {}
}

/** The schemas of an `allOf` as one. More than one of them can have properties and required names only as objects. */
const joined = (schemas: ReadonlyArray<unknown>): JsonSchema => {
  const parts = schemas.filter(isRecord).map(cleanSchema)
  const [only] = parts
  if (only === undefined || parts.length === 1) return only ?? {}
  const properties = Object.assign({}, ...parts.map((part) => part["properties"]))
  const required = [...new Set(parts.flatMap((part) => (Array.isArray(part["required"]) ? part["required"] : [])))]
  const { $ref: _, ...rest } = Object.assign({}, ...parts)
  return {
    ...rest,
    ...(Object.keys(properties).length === 0 ? {} : { properties }),
    ...(required.length === 0 ? {} : { required })
  }
}

/** The schema in supported keywords. Beside a `$ref` the API accepts only keywords that begin with `$`. */
export const cleanSchema = (schema: JsonSchema): JsonSchema => {
  const { allOf, const: value, ...rest } = schema
  const cleaned = Object.assign(
    {},
    Array.isArray(allOf) ? joined(allOf) : {},
    "const" in schema ? constant(value) : {},
    inclusive(schema),
    ...Object.entries(rest).map(([name, content]) => keyword(name, content))
  )
  return "$ref" in cleaned
    ? Object.fromEntries(Object.entries(cleaned).filter(([name]) => name.startsWith("$")))
    : cleaned
}

/** A schema of OpenAPI (`responseSchema`, `parameters`), whose types are in capitals, as a JSON Schema. */
export const fromOpenApi = ({ nullable, ...schema }: JsonSchema): JsonSchema => {
  const type = typeof schema["type"] === "string" ? schema["type"].toLowerCase() : undefined
  return {
    ...mapSchemas(schema, fromOpenApi),
    ...(type === undefined ? {} : { type: nullable === true ? [type, "null"] : type })
  }
}
