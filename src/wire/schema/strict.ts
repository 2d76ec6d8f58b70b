/**
 * JSON Schemas as OpenAI's strict mode wants them ("Structured Outputs", section "Supported schemas"): every object closed,
 * every property required, and what was optional nullable instead.
 */

export type JsonSchema = Readonly<Record<string, unknown>>

/** Say nothing that strict mode could hold a model to; some of them it refuses. */
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

/** Taken over as they are, wherever they stand. */
const carried: ReadonlySet<string> = new Set([
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

/** The only formats that strict mode knows. Any other is left out: a format is a hint, not a bound. */
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

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isAnnotation = (keyword: string): boolean => annotations.has(keyword) || keyword.startsWith("x-")

const typesOf = (schema: JsonSchema): ReadonlyArray<unknown> =>
  schema["type"] === undefined ? [] : Array.isArray(schema["type"]) ? schema["type"] : [schema["type"]]

const typeOfValue = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : typeof value === "bigint" ? "number" : typeof value

/** Strict mode wants a type on everything; that of listed values follows from them. */
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
  (Array.isArray(schema["anyOf"]) && schema["anyOf"].some((branch) => isSchema(branch) && isNullable(branch)))

/** The same, or null: how strict mode says that a property may be left out. */
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

const definitionsOf = (root: JsonSchema, keyword: "$defs" | "definitions"): JsonSchema => {
  const definitions = root[keyword]
  return isSchema(definitions) ? definitions : {}
}

/** What a reference within the document points at, if it is to the root or to a definition. */
const resolve = (root: JsonSchema, reference: unknown): unknown => {
  if (reference === "#") return root
  const [, keyword, name] =
    /^#\/(\$defs|definitions)\/([^/]+)$/.exec(typeof reference === "string" ? reference : "") ?? []
  return name === undefined
    ? undefined
    : definitionsOf(root, keyword === "$defs" ? "$defs" : "definitions")[
        name.replaceAll("~1", "/").replaceAll("~0", "~")
      ]
}

const strictReference = (schema: JsonSchema, root: JsonSchema): JsonSchema | undefined => {
  const { $ref, ...siblings } = schema
  const stated = Object.entries(siblings).filter(([keyword]) => !isAnnotation(keyword))
  if (!isSchema(resolve(root, $ref)) || stated.some(([keyword]) => keyword !== "description" && keyword !== "title")) {
    return undefined
  }
  // A reference may have nothing beside it.
  return stated.length === 0 ? { $ref } : { ...Object.fromEntries(stated), anyOf: [{ $ref }] }
}

const strictProperties = (schema: JsonSchema, root: JsonSchema): JsonSchema | undefined => {
  const properties = schema["properties"]
  if (!isSchema(properties)) return undefined
  const required: ReadonlyArray<unknown> = Array.isArray(schema["required"]) ? schema["required"] : []
  if (required.some((name) => typeof name !== "string" || !Object.hasOwn(properties, name))) return undefined
  const result: Array<readonly [string, JsonSchema]> = []
  for (const [name, property] of Object.entries(properties)) {
    const strict = strictNode(property, root)
    if (strict === undefined) return undefined
    result.push([name, required.includes(name) ? strict : nullable(strict)])
  }
  return Object.fromEntries(result)
}

const strictBranches = (branches: unknown, root: JsonSchema): ReadonlyArray<JsonSchema> | undefined => {
  if (!Array.isArray(branches) || branches.length === 0) return undefined
  const strict = branches.map((branch) => strictNode(branch, root))
  return strict.every((branch) => branch !== undefined) ? strict : undefined
}

/** One schema, wherever it stands; nothing where strict mode cannot say it. */
const strictNode = (schema: unknown, root: JsonSchema): JsonSchema | undefined => {
  if (!isSchema(schema)) return undefined
  if (schema["$ref"] !== undefined) return strictReference(schema, root)
  const { allOf, oneOf, ...stated } = schema
  if (Array.isArray(allOf)) {
    const [only] = allOf
    return allOf.length === 1 && isSchema(only) ? strictNode({ ...only, ...stated }, root) : undefined
  }
  // A value that fits exactly one of them fits any of them.
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
    else if (carried.has(keyword) || keyword === "format") strict = value
    if (strict === undefined) return undefined
    result[keyword] = strict
  }
  return isObject
    ? {
        ...result,
        required: Object.keys(isSchema(result["properties"]) ? result["properties"] : {}),
        additionalProperties: false
      }
    : result
}

const strictDefinitions = (root: JsonSchema): JsonSchema | undefined => {
  const result: Record<string, JsonSchema> = {}
  for (const keyword of ["$defs", "definitions"] as const) {
    if (root[keyword] === undefined) continue
    const definitions: Array<readonly [string, JsonSchema]> = []
    for (const [name, definition] of Object.entries(definitionsOf(root, keyword))) {
      const strict = strictNode(definition, root)
      if (strict === undefined) return undefined
      definitions.push([name, strict])
    }
    result[keyword] = Object.fromEntries(definitions)
  }
  return result
}

/** The root must be an object itself, not a reference to one. */
const inlined = (root: JsonSchema): unknown => {
  let target: unknown = root
  for (let depth = 0; depth < 8 && isSchema(target) && target["$ref"] !== undefined; depth++) {
    target = target["$ref"] === "#" ? undefined : resolve(root, target["$ref"])
  }
  return target
}

/**
 * The schema as strict mode wants it, or nothing where strict mode cannot say what it says: open objects, tuples, `not`,
 * `allOf` of several, references out of the document, values without a type. The input is not touched.
 */
export const strictSchema = (root: JsonSchema): JsonSchema | undefined => {
  const target = inlined(root)
  if (!isSchema(target)) return undefined
  const { $defs: _, definitions: __, ...schema } = target
  // An object schema without properties is how many say that a function takes nothing.
  const closed =
    schema["type"] === "object" && schema["properties"] === undefined ? { ...schema, properties: {} } : schema
  const definitions = strictDefinitions(root)
  const strict = strictNode(closed, root)
  return definitions === undefined || strict === undefined || strict["type"] !== "object" || "anyOf" in strict
    ? undefined
    : { ...strict, ...definitions }
}

/** The schema to send, and whether it shall be held to strictly: where that is wished, and strict mode can say what it says. */
export const strictly = (
  schema: JsonSchema,
  wished: boolean | undefined
): { readonly schema: JsonSchema; readonly strict?: boolean } => {
  if (wished !== true) return wished === undefined ? { schema } : { schema, strict: wished }
  const strict = strictSchema(schema)
  return { schema: strict ?? schema, strict: strict !== undefined }
}
