/**
 * JSON Schemas as Gemini reads them: `responseJsonSchema` of `GenerationConfig` (Gemini API reference) lists the keywords.
 * What it does not list holds the model to nothing, and some of it is refused.
 */
import type { Json } from "../json.js"
import { isRecord } from "../json.js"

/** Taken over as they are. */
const carried: ReadonlySet<string> = new Set([
  "$anchor",
  "$id",
  "$ref",
  "description",
  "enum",
  "format",
  "maxItems",
  "maximum",
  "minItems",
  "minimum",
  "propertyOrdering",
  "required",
  "title",
  "type"
])

/** Hold a schema. */
const nested: ReadonlySet<string> = new Set(["additionalProperties", "items"])

/** Hold a list of schemas. */
const listed: ReadonlySet<string> = new Set(["anyOf", "oneOf", "prefixItems"])

/** Hold schemas by name. */
const keyed: ReadonlySet<string> = new Set(["$defs", "properties"])

const typeOf = (value: unknown): string | undefined =>
  value === null
    ? "null"
    : typeof value === "string" || typeof value === "number" || typeof value === "boolean"
      ? typeof value
      : undefined

/** Only texts and numbers are listed: of any other constant there remains its type. */
const constant = (value: unknown): Json => {
  const type = typeOf(value)
  return {
    ...(type === undefined ? {} : { type }),
    ...(typeof value === "string" || typeof value === "number" ? { enum: [value] } : {})
  }
}

const isWhole = (type: unknown): boolean => type === "integer"

/** A bound that a whole number does not reach is one that it reaches. */
const inclusive = (schema: Json): Json => {
  if (!isWhole(schema["type"])) return {}
  const { exclusiveMaximum: above, exclusiveMinimum: below } = schema
  return {
    ...(typeof below === "number" && schema["minimum"] === undefined ? { minimum: Math.floor(below) + 1 } : {}),
    ...(typeof above === "number" && schema["maximum"] === undefined ? { maximum: Math.ceil(above) - 1 } : {})
  }
}

const cleaned = (value: unknown): unknown => (isRecord(value) ? cleanSchema(value) : value)

const cleanedAll = (schemas: unknown): unknown =>
  isRecord(schemas)
    ? Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, cleaned(schema)]))
    : schemas

/** Where older drafts keep their definitions. */
const moved = (reference: unknown): unknown =>
  typeof reference === "string" ? reference.replace(/^#\/definitions\//, "#/$defs/") : reference

const keyword = (name: string, value: unknown): Json => {
  if (name === "$ref") return { $ref: moved(value) }
  if (name === "definitions") return { $defs: cleanedAll(value) }
  if (carried.has(name)) return { [name]: value }
  if (nested.has(name)) return { [name]: cleaned(value) }
  if (listed.has(name)) return { [name]: Array.isArray(value) ? value.map(cleaned) : value }
  return keyed.has(name) ? { [name]: cleanedAll(value) } : {}
}

/** Schemas that must all hold, as one that says what all of them say. Only of objects can more than one say something. */
const joined = (schemas: ReadonlyArray<unknown>): Json => {
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

/** The schema in the keywords that are read. Beside a `$ref` the API takes nothing but what begins with a `$`. */
export const cleanSchema = (schema: Json): Json => {
  const { allOf, const: value, ...rest } = schema
  const said = Object.assign(
    {},
    Array.isArray(allOf) ? joined(allOf) : {},
    "const" in schema ? constant(value) : {},
    inclusive(schema),
    ...Object.entries(rest).map(([name, content]) => keyword(name, content))
  )
  return "$ref" in said ? Object.fromEntries(Object.entries(said).filter(([name]) => name.startsWith("$"))) : said
}

/** A schema of OpenAPI, as `responseSchema` and `parameters` have it, as a JSON Schema: there types are in capitals. */
export const fromOpenApi = (schema: Json): Json =>
  Object.fromEntries(
    Object.entries(schema).flatMap(([name, value]): ReadonlyArray<readonly [string, unknown]> => {
      if (name === "nullable") return []
      if (name === "type" && typeof value === "string") {
        const type = value.toLowerCase()
        return [[name, schema["nullable"] === true ? [type, "null"] : type]]
      }
      if (name === "properties" && isRecord(value)) {
        return [
          [
            name,
            Object.fromEntries(
              Object.entries(value).map(([field, inner]) => [field, isRecord(inner) ? fromOpenApi(inner) : inner])
            )
          ]
        ]
      }
      if (isRecord(value) && nested.has(name)) return [[name, fromOpenApi(value)]]
      return [
        [
          name,
          Array.isArray(value) && listed.has(name)
            ? value.map((inner: unknown) => (isRecord(inner) ? fromOpenApi(inner) : inner))
            : value
        ]
      ]
    })
  )
