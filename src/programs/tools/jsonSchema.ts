/**
 * The JSON Schema of a Schema, as models and providers read it best: no `$schema` and no ids, and definitions in place of
 * references, since not every provider follows these. Only a definition that speaks of itself stays one.
 */
import type { Schema } from "effect"
import { JSONSchema, Record } from "effect"
import { isRecord } from "../../wire/json.js"

export type JsonSchema = Readonly<Record<string, unknown>>

const prefix = "#/$defs/"

const target = (node: JsonSchema): string | undefined => {
  const reference = node["$ref"]
  return typeof reference === "string" && reference.startsWith(prefix)
    ? // A pointer, and in it the name is escaped (RFC 6901).
      reference.slice(prefix.length).replaceAll("~1", "/").replaceAll("~0", "~")
    : undefined
}

/** By keyword, how schemas stand below it. Under any other keyword are values. */
const holding: Readonly<Record<string, "schema" | "named">> = {
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

/** The same node with its sub-schemas mapped. */
const mapSchemas = (node: JsonSchema, map: (node: JsonSchema) => JsonSchema): JsonSchema => {
  const each = (value: unknown): unknown =>
    Array.isArray(value) ? value.map(each) : isRecord(value) ? map(value) : value
  const below = (keyword: string, value: unknown): unknown => {
    if (holding[keyword] === undefined) return value
    return holding[keyword] === "named" && isRecord(value) ? Record.map(value, each) : each(value)
  }
  return Record.map(node, (value, keyword) => below(keyword, value))
}

const emptyObject: JsonSchema = { type: "object", properties: {}, additionalProperties: false }

/** One node without what says nothing to a model. */
const cleaned = (node: JsonSchema): JsonSchema => {
  const { $id, $schema: _, allOf, ...rest } = node
  // How Effect says "anything but null".
  if ($id === "/schemas/%7B%7D") return emptyObject
  // How Effect puts a description beside a reference.
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

/** @throws where the schema holds what JSON Schema has no word for, and no annotation says it. */
export const jsonSchemaOf = <A, I, R>(schema: Schema.Schema<A, I, R>): JsonSchema => {
  const { $defs, ...root }: JsonSchema = { ...JSONSchema.make(schema) }
  const definitions: JsonSchema = isRecord($defs) ? $defs : {}
  const recursive = Object.keys(definitions).filter((name) => isRecursive(name, definitions))
  const inline = (node: JsonSchema): JsonSchema => {
    const name = target(node)
    const definition = name === undefined || recursive.includes(name) ? undefined : definitions[name]
    if (!isRecord(definition)) return cleaned(mapSchemas(node, inline))
    const { $ref: _, ...beside } = node
    return { ...inline(definition), ...beside }
  }
  // The root must say itself what it is.
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

/** Whether every value that fits is an object, as providers want the outermost value to be. */
export const isObjectSchema = (schema: JsonSchema): boolean => schema["type"] === "object" && !("anyOf" in schema)
