/**
 * JSON Schemas for OpenAI's strict mode ("Structured Outputs", section "Supported schemas"): every object is closed, every property
 * required, and optional properties are nullable instead.
 */
import { isRecord } from "../json.js"
import type { JsonSchema } from "./walker.js"
import { definitionName } from "./walker.js"

/** Keywords without effect on the answer, some of which strict mode rejects. */
const annotations: ReadonlySet<string> = new Set([
  "$comment",
  "$id",
  "$schema",
  "default",
  "deprecated",
  "example",
  "examples",
  "readOnly",
  "writeOnly"
])

/** Keywords that are copied unchanged. */
const copied: ReadonlySet<string> = new Set([
  "const",
  "description",
  "enum",
  "exclusiveMaximum",
  "exclusiveMinimum",
  "maxItems",
  "maxLength",
  "maximum",
  "minItems",
  "minLength",
  "minimum",
  "multipleOf",
  "pattern",
  "required",
  "title",
  "type"
])

/** The formats of strict mode. Others are dropped: a format is a hint, not a constraint. */
const formats: ReadonlySet<unknown> = new Set([
  "date",
  "date-time",
  "duration",
  "email",
  "hostname",
  "ipv4",
  "ipv6",
  "time",
  "uuid"
])

const scalars: ReadonlySet<unknown> = new Set(["boolean", "integer", "number", "string"])

const isAnnotation = (keyword: string): boolean => annotations.has(keyword) || keyword.startsWith("x-")

const typesOf = (schema: JsonSchema): ReadonlyArray<unknown> =>
  schema["type"] === undefined ? [] : Array.isArray(schema["type"]) ? schema["type"] : [schema["type"]]

const typeOfValue = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : typeof value === "bigint" ? "number" : typeof value

/** The type that strict mode requires, derived from the properties or the listed values when it is missing. */
const impliedType = (schema: JsonSchema): unknown => {
  if (schema["type"] !== undefined) return undefined
  if (schema["properties"] !== undefined) return "object"
  const values = Array.isArray(schema["enum"]) ? schema["enum"] : "const" in schema ? [schema["const"]] : []
  const types = [...new Set(values.map(typeOfValue))]
  return types.length === 0 || types.includes("object") || types.includes("array")
    ? undefined
    : types.length === 1
      ? types[0]
      : types
}

const isNullable = (schema: JsonSchema): boolean =>
  (typesOf(schema).includes("null") &&
    (!Array.isArray(schema["enum"]) || schema["enum"].includes(null)) &&
    (!("const" in schema) || schema["const"] === null)) ||
  (Array.isArray(schema["anyOf"]) && schema["anyOf"].some((branch) => isRecord(branch) && isNullable(branch)))

/** The schema or null, which stands for an optional property in strict mode. */
const nullable = (schema: JsonSchema): JsonSchema => {
  if (isNullable(schema)) return schema
  const types = typesOf(schema)
  const bounded = "enum" in schema || "const" in schema || "anyOf" in schema
  if (!bounded && types.length > 0 && types.every((type) => scalars.has(type))) {
    return { ...schema, type: [...types, "null"] }
  }
  const { anyOf, description, ...rest } = schema
  const branches =
    Array.isArray(anyOf) && Object.keys(rest).length === 0 ? anyOf : [description === undefined ? schema : rest]
  return { ...(description === undefined ? {} : { description }), anyOf: [...branches, { type: "null" }] }
}

const definitionKeywords = ["$defs", "definitions"] as const

/** The target of a reference to the root or to a definition. */
const resolve = (root: JsonSchema, reference: unknown): unknown => {
  if (reference === "#") return root
  const name = definitionName(reference)
  const keyword = definitionKeywords.find((keyword) => String(reference).startsWith(`#/${keyword}/`))
  const definitions = keyword === undefined ? undefined : root[keyword]
  return name === undefined || !isRecord(definitions) ? undefined : definitions[name]
}

/** Applies `strict` to every schema of a list of names; undefined when one of them cannot be strict. */
const allStrict = (
  schemas: JsonSchema,
  strict: (schema: unknown, name: string) => JsonSchema | undefined
): JsonSchema | undefined => {
  const result: Array<readonly [string, JsonSchema]> = []
  for (const [name, schema] of Object.entries(schemas)) {
    const changed = strict(schema, name)
    if (changed === undefined) return undefined
    result.push([name, changed])
  }
  return Object.fromEntries(result)
}

const strictReference = (schema: JsonSchema, root: JsonSchema): JsonSchema | undefined => {
  const { $ref, ...siblings } = schema
  const stated = Object.entries(siblings).filter(([keyword]) => !isAnnotation(keyword))
  if (!isRecord(resolve(root, $ref)) || stated.some(([keyword]) => keyword !== "description" && keyword !== "title")) {
    return undefined
  }
  // Strict mode allows no keyword beside a reference.
  return stated.length === 0 ? { $ref } : { ...Object.fromEntries(stated), anyOf: [{ $ref }] }
}

const strictProperties = (schema: JsonSchema, root: JsonSchema): JsonSchema | undefined => {
  const properties = schema["properties"]
  if (!isRecord(properties)) return undefined
  const required: ReadonlyArray<unknown> = Array.isArray(schema["required"]) ? schema["required"] : []
  if (required.some((name) => typeof name !== "string" || !Object.hasOwn(properties, name))) return undefined
  return allStrict(properties, (property, name) => {
    const strict = strictNode(property, root)
    return strict === undefined || required.includes(name) ? strict : nullable(strict)
  })
}

const strictBranches = (branches: unknown, root: JsonSchema): ReadonlyArray<JsonSchema> | undefined => {
  if (!Array.isArray(branches) || branches.length === 0) return undefined
  const strict = branches.map((branch) => strictNode(branch, root))
  return strict.every((branch) => branch !== undefined) ? strict : undefined
}

/** One schema of the tree; undefined when strict mode cannot express it. */
const strictNode = (schema: unknown, root: JsonSchema): JsonSchema | undefined => {
  if (!isRecord(schema)) return undefined
  if (schema["$ref"] !== undefined) return strictReference(schema, root)
  const { allOf, oneOf, ...stated } = schema
  if (Array.isArray(allOf)) {
    const [only] = allOf
    return allOf.length === 1 && isRecord(only) ? strictNode({ ...only, ...stated }, root) : undefined
  }
  // A value that matches exactly one of them also matches any of them.
  if (oneOf !== undefined) return "anyOf" in stated ? undefined : strictNode({ ...stated, anyOf: oneOf }, root)

  const type = impliedType(schema)
  const typed: JsonSchema = type === undefined ? schema : { ...schema, type }
  if (typesOf(typed).length === 0 && !("anyOf" in typed)) return undefined
  const isObject = typesOf(typed).includes("object")
  const isArray = typesOf(typed).includes("array")
  if ((isObject && !("properties" in typed)) || (isArray && !("items" in typed))) return undefined

  const result: Record<string, unknown> = {}
  for (const [keyword, value] of Object.entries(typed)) {
    if (value === undefined || isAnnotation(keyword) || (keyword === "format" && !formats.has(value))) continue
    let strict: unknown
    if (keyword === "properties") strict = strictProperties(typed, root)
    else if (keyword === "items") strict = strictNode(value, root)
    else if (keyword === "anyOf") strict = strictBranches(value, root)
    else if (keyword === "additionalProperties") strict = value === false ? false : undefined
    else if (keyword === "pattern") strict = typeof value === "string" && !/\(\?<?[=!]/.test(value) ? value : undefined
    else if (copied.has(keyword) || keyword === "format") strict = value
    if (strict === undefined) return undefined
    result[keyword] = strict
  }
  return isObject
    ? {
        ...result,
        required: Object.keys(isRecord(result["properties"]) ? result["properties"] : {}),
        additionalProperties: false
      }
    : result
}

const strictDefinitions = (root: JsonSchema): JsonSchema | undefined => {
  const definitions = Object.fromEntries(
    definitionKeywords.flatMap((keyword) => (root[keyword] === undefined ? [] : [[keyword, root[keyword]]]))
  )
  return allStrict(definitions, (schemas) =>
    allStrict(isRecord(schemas) ? schemas : {}, (schema) => strictNode(schema, root))
  )
}

/** The root must be an object itself, not a reference to one. */
const inlined = (root: JsonSchema): unknown => {
  let target: unknown = root
  for (let depth = 0; depth < 8 && isRecord(target) && target["$ref"] !== undefined; depth++) {
    target = target["$ref"] === "#" ? undefined : resolve(root, target["$ref"])
  }
  return target
}

/**
 * The schema in strict form; undefined when strict mode cannot express it: open objects, tuples, `not`, `allOf` of several schemas,
 * references out of the document, values without a type.
 */
export const strictSchema = (root: JsonSchema): JsonSchema | undefined => {
  const target = inlined(root)
  if (!isRecord(target)) return undefined
  const { $defs: _, definitions: __, ...schema } = target
  // An object schema without properties is a common way to declare a function without parameters.
  const closed =
    schema["type"] === "object" && schema["properties"] === undefined ? { ...schema, properties: {} } : schema
  const definitions = strictDefinitions(root)
  const strict = strictNode(closed, root)
  return definitions === undefined || strict === undefined || strict["type"] !== "object" || "anyOf" in strict
    ? undefined
    : { ...strict, ...definitions }
}

/** The schema to send and its `strict` flag. */
export type Strictly = (
  schema: JsonSchema,
  requested: boolean | undefined
) => { readonly schema: JsonSchema; readonly strict?: boolean }

/** The flag is true only when it is requested and strict mode can express the schema. */
export const strictly: Strictly = (schema, requested) => {
  if (requested !== true) return requested === undefined ? { schema } : { schema, strict: requested }
  const strict = strictSchema(schema)
  return { schema: strict ?? schema, strict: strict !== undefined }
}

/** How schemas are sent: see `EncodeOptions.keepsSchemas`. */
export const strictnessFor = (keepsSchemas: boolean): Strictly =>
  keepsSchemas
    ? (schema, requested) => ({ schema, ...(requested === undefined ? {} : { strict: requested }) })
    : strictly
