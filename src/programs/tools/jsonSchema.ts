/**
 * The JSON Schema of a Schema in the form that all providers support: without `$schema` and ids, and with definitions inlined for
 * references. Only recursive definitions stay in `$defs`.
 */
import type { Schema } from "effect"
import { JSONSchema, Record } from "effect"
import { isRecord } from "../../wire/json.js"

export type JsonSchema = Readonly<Record<string, unknown>>

const prefix = "#/$defs/"

const target = (node: JsonSchema): string | undefined => {
  const reference = node["$ref"]
  return typeof reference === "string" && reference.startsWith(prefix)
    ? // The name is escaped in a JSON pointer (RFC 6901).
      reference.slice(prefix.length).replaceAll("~1", "/").replaceAll("~0", "~")
    : undefined
}

/** The keywords whose value is a schema, a list of schemas, or a record of named schemas. */
const schemaKeywords: Readonly<Record<string, "schema" | "named">> = {
  additionalItems: "schema",
  additionalProperties: "schema",
  allOf: "schema",
  anyOf: "schema",
  contains: "schema",
  items: "schema",
  not: "schema",
  oneOf: "schema",
  patternProperties: "named",
  prefixItems: "schema",
  properties: "named",
  propertyNames: "schema"
}

/** Maps the sub-schemas of a node. */
const mapSchemas = (node: JsonSchema, map: (node: JsonSchema) => JsonSchema): JsonSchema => {
  const each = (value: unknown): unknown =>
    Array.isArray(value) ? value.map(each) : isRecord(value) ? map(value) : value
  const below = (keyword: string, value: unknown): unknown => {
    if (schemaKeywords[keyword] === undefined) return value
    return schemaKeywords[keyword] === "named" && isRecord(value) ? Record.map(value, each) : each(value)
  }
  return Record.map(node, (value, keyword) => below(keyword, value))
}

const emptyObject: JsonSchema = { type: "object", properties: {}, additionalProperties: false }

/** Removes from a node what a model does not need. */
const clean = (node: JsonSchema): JsonSchema => {
  const { $id, $schema: _, allOf, ...rest } = node
  // Effect's schema of any value but null.
  if ($id === "/schemas/%7B%7D") return emptyObject
  // Effect writes a description beside a reference as an `allOf` with one element.
  const [only, second]: ReadonlyArray<unknown> = Array.isArray(allOf) ? allOf : []
  if (second === undefined && isRecord(only)) return { ...only, ...rest }
  return allOf === undefined ? rest : { ...rest, allOf }
}

const isRecursive = (name: string, definitions: JsonSchema): boolean => {
  const seen = new Set<string>()
  const visit = (node: JsonSchema): JsonSchema => {
    const next = target(node)
    if (next !== undefined && !seen.has(next)) {
      seen.add(next)
      const definition = definitions[next]
      if (isRecord(definition)) visit(definition)
    }
    return mapSchemas(node, visit)
  }
  const definition = definitions[name]
  if (isRecord(definition)) visit(definition)
  return seen.has(name)
}

/** @throws when a part of the schema has no JSON Schema and no `jsonSchema` annotation. */
export const jsonSchemaOf = <A, I, R>(schema: Schema.Schema<A, I, R>): JsonSchema => {
  const { $defs, ...root }: JsonSchema = { ...JSONSchema.make(schema) }
  const definitions: JsonSchema = isRecord($defs) ? $defs : {}
  const recursive = Object.keys(definitions).filter((name) => isRecursive(name, definitions))
  const inline = (node: JsonSchema): JsonSchema => {
    const name = target(node)
    const definition = name === undefined || recursive.includes(name) ? undefined : definitions[name]
    if (!isRecord(definition)) return clean(mapSchemas(node, inline))
    const { $ref: _, ...beside } = node
    return { ...inline(definition), ...beside }
  }
  // Providers require the root to be a schema and not a reference.
  const named = target(root)
  const rootDefinition = named === undefined ? root : definitions[named]
  const inlined = inline(isRecord(rootDefinition) ? rootDefinition : root)
  return recursive.length === 0
    ? inlined
    : {
        ...inlined,
        $defs: Object.fromEntries(
          recursive.flatMap((name) => {
            const definition = definitions[name]
            return isRecord(definition) ? [[name, inline(definition)]] : []
          })
        )
      }
}

/** Whether every valid value is an object, as providers require of the outermost value. */
export const isObjectSchema = (schema: JsonSchema): boolean => schema["type"] === "object" && !("anyOf" in schema)
