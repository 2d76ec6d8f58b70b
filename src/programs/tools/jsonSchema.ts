/**
 * The JSON Schema of an Effect Schema for models: without `$schema` and ids, and with definitions in place of references, which
 * not every provider resolves. Only a recursive definition remains a definition.
 */
import type { Schema } from "effect"
import { isRecord } from "../../wire/json.js"
import type { JsonSchema } from "../../wire/schema/walker.js"
import { definitionName, mapSchemas } from "../../wire/schema/walker.js"
import { documentOf } from "./schemaDocument.js"

export type { JsonSchema } from "../../wire/schema/walker.js"

const emptyObject: JsonSchema = { type: "object", properties: {}, additionalProperties: false }

const limits: ReadonlySet<string> = new Set([
  "exclusiveMaximum",
  "exclusiveMinimum",
  "maximum",
  "maxItems",
  "maxLength",
  "minimum",
  "minItems",
  "minLength"
])

/** The property that tells the members of a union apart is the first: models write properties in their order. */
const withTagFirst = (node: JsonSchema): JsonSchema => {
  const { properties, required } = node
  if (!isRecord(properties) || !Array.isArray(required)) return node
  const { _tag: tag, ...others } = properties
  return isRecord(tag) && Array.isArray(tag["enum"]) && required.at(-1) === "_tag"
    ? { ...node, required: ["_tag", ...required.slice(0, -1)], properties: { _tag: tag, ...others } }
    : node
}

/** One node in the form that models read best. */
const cleaned = (written: JsonSchema): JsonSchema => {
  const { $id, $schema: _, allOf, ...rest } = withTagFirst(written)
  // Effect's schema of any value except null.
  if ($id === "/schemas/%7B%7D") return emptyObject
  // Effect puts a description beside a reference by an `allOf` of one, and beside a limit a narrower one.
  const [only, second]: ReadonlyArray<unknown> = Array.isArray(allOf) ? allOf : []
  if (second === undefined && isRecord(only)) {
    if (Object.keys(only).every((keyword) => limits.has(keyword))) return { ...rest, ...only }
    if (!("pattern" in only && "pattern" in rest) && !("multipleOf" in only && "multipleOf" in rest))
      return { ...only, ...rest }
  }
  return allOf === undefined ? rest : { ...rest, allOf }
}

const isRecursive = (name: string, definitions: JsonSchema): boolean => {
  const seen = new Set<string>()
  const visit = (node: JsonSchema): JsonSchema => {
    const next = definitionName(node["$ref"])
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

/** @throws when a part of the schema has neither a JSON Schema nor an annotation with one */
export const jsonSchemaOf = <A, I, R>(schema: Schema.Schema<A, I, R>): JsonSchema => {
  const { $defs, ...root }: JsonSchema = documentOf(schema)
  const definitions: JsonSchema = isRecord($defs) ? $defs : {}
  const recursive = Object.keys(definitions).filter((name) => isRecursive(name, definitions))
  const inline = (node: JsonSchema): JsonSchema => {
    const name = definitionName(node["$ref"])
    const definition = name === undefined || recursive.includes(name) ? undefined : definitions[name]
    if (!isRecord(definition)) return cleaned(mapSchemas(node, inline))
    const { $ref: _, ...siblings } = node
    return { ...inline(definition), ...siblings }
  }
  // The root must be a schema itself, not a reference to one. What stands beside the reference holds, too.
  const { $ref, ...siblings } = root
  const rootName = definitionName($ref)
  const rootDefinition = rootName === undefined ? undefined : definitions[rootName]
  const inlined = inline(isRecord(rootDefinition) ? { ...rootDefinition, ...siblings } : root)
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

/** Whether every value of the schema is an object, which providers require of the outermost value. */
export const isObjectSchema = (schema: JsonSchema): boolean => schema["type"] === "object" && !("anyOf" in schema)
