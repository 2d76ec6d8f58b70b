/** JSON Schemas for the generation of values: references, combinations of schemas, and the least depth of their values. */
import { isRecord } from "../../wire/json.js"
import type { JsonSchema } from "../../wire/schema/walker.js"
import { mapSchemas } from "../../wire/schema/walker.js"

/** The target of a JSON Pointer (RFC 6901) within the document. */
const targetOf = (root: JsonSchema, reference: string): unknown =>
  reference
    .slice(1)
    .split("/")
    .filter((step) => step !== "")
    .map((step) => decodeURIComponent(step.replace(/%(?![0-9a-f]{2})/gi, "%25")))
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce<unknown>(
      (node, step) =>
        isRecord(node) && Object.hasOwn(node, step) ? node[step] : Array.isArray(node) ? node[Number(step)] : undefined,
      root
    )

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** The allowed types; empty when every type is allowed. */
export const typesOf = ({ type }: JsonSchema): ReadonlyArray<unknown> =>
  type === undefined ? [] : Array.isArray(type) ? type : [type]

const intersection = (one: ReadonlyArray<unknown>, other: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  if (one.length === 0 || other.length === 0) return [...one, ...other]
  const both = one.filter((type) => other.includes(type))
  const hasInteger = [one, other].every((types) => types.includes("integer") || types.includes("number"))
  return hasInteger && !both.includes("number") && !both.includes("integer") ? [...both, "integer"] : both
}

/** Keywords of which the larger value is the stricter one, and those of which it is the smaller one. */
const largest = new Set(["exclusiveMinimum", "minItems", "minLength", "minProperties", "minimum"])
const smallest = new Set(["exclusiveMaximum", "maxItems", "maxLength", "maxProperties", "maximum"])

const mergedKeyword = (keyword: string, one: unknown, other: unknown): unknown => {
  if (largest.has(keyword)) return typeof one === "number" && typeof other === "number" ? Math.max(one, other) : other
  if (smallest.has(keyword)) return typeof one === "number" && typeof other === "number" ? Math.min(one, other) : other
  switch (keyword) {
    case "type":
      return intersection(typesOf({ type: one }), typesOf({ type: other }))
    case "enum": {
      const texts = new Set(list(other).map((value) => JSON.stringify(value)))
      return list(one).filter((value) => texts.has(JSON.stringify(value)))
    }
    case "required":
      return [...new Set([...list(one), ...list(other)])]
    // A list of patterns, all of which hold.
    case "pattern":
      return [...(Array.isArray(one) ? one : [one]), ...(Array.isArray(other) ? other : [other])]
    case "properties":
    case "patternProperties":
    case "$defs":
    case "definitions":
      return isRecord(one) && isRecord(other) ? merge(one, other, (_, a, b) => ({ allOf: [a, b] })) : other
    case "items":
    case "additionalProperties":
      return one === false || other === false ? false : { allOf: [one, other] }
    case "allOf":
      return [...list(one), ...list(other)]
    default:
      return other
  }
}

/** A schema for what both allow, as far as the keywords tell. */
const merge = (one: JsonSchema, other: JsonSchema, keyword = mergedKeyword): JsonSchema => ({
  ...one,
  ...Object.fromEntries(
    Object.entries(other).map(([name, value]) => [
      name,
      Object.hasOwn(one, name) ? keyword(name, one[name], value) : value
    ])
  )
})

/** A schema without references and combinations: one way to satisfy it. */
export interface Flat {
  readonly schema: JsonSchema
  /** The references that were followed. */
  readonly references: ReadonlyArray<string>
}

export interface Schemas {
  /** The least depth of a value, in objects, lists and references; infinite when no value satisfies the schema. */
  readonly depthOf: (schema: unknown) => number
  /** Resolves the schema; of several alternatives `choose` takes one. Undefined when no value satisfies it. */
  readonly flatten: (schema: unknown, choose: (alternatives: ReadonlyArray<unknown>) => unknown) => Flat | undefined
}

const isImpossible = (schema: unknown): boolean =>
  schema === false || (isRecord(schema) && isRecord(schema["not"]) && Object.keys(schema["not"]).length === 0)

/** The schemas of one document. */
export const make = (root: JsonSchema): Schemas => {
  const depths = new Map<string, number>()

  const ownDepth = (schema: JsonSchema): number => {
    const types = typesOf(schema)
    if (Array.isArray(schema["enum"])) return schema["enum"].length === 0 ? Infinity : 0
    if (types.length > 1 || "const" in schema) return 0
    const { additionalProperties, items, minItems, prefixItems, properties } = schema
    if (types[0] === "object" || (types.length === 0 && isRecord(properties))) {
      const declared = isRecord(properties) ? properties : {}
      const required = list(schema["required"]).map((name) => {
        const own = Object.hasOwn(declared, String(name)) ? declared[String(name)] : additionalProperties
        return depthOf(own)
      })
      return 1 + Math.max(0, ...required)
    }
    if (types[0] !== "array" && (types.length > 0 || items === undefined)) return 0
    const tuple = list(prefixItems ?? items).slice(0, Number(minItems ?? 0))
    const rest = Array.isArray(items) ? schema["additionalItems"] : items
    return 1 + Math.max(0, ...tuple.map(depthOf), Number(minItems ?? 0) > tuple.length ? depthOf(rest) : 0)
  }

  const depthOf = (schema: unknown): number => {
    if (isImpossible(schema)) return Infinity
    if (!isRecord(schema)) return 0
    const { $ref, allOf, anyOf, oneOf } = schema
    return Math.max(
      ownDepth(schema),
      typeof $ref === "string" ? 1 + (depths.get($ref) ?? 0) : 0,
      ...list(allOf).map(depthOf),
      ...[anyOf, oneOf].map((some) => (Array.isArray(some) ? Math.min(...some.map(depthOf)) : 0))
    )
  }

  const collect = (schema: JsonSchema): JsonSchema => {
    if (typeof schema["$ref"] === "string") depths.set(schema["$ref"], Infinity)
    return mapSchemas(schema, collect)
  }
  collect(root)
  // A recursive definition is as deep as its least alternative that does not contain it.
  for (let isStable = false; !isStable;) {
    isStable = true
    for (const [reference, depth] of depths) {
      const next = depthOf(targetOf(root, reference))
      if (next < depth) {
        depths.set(reference, next)
        isStable = false
      }
    }
  }

  const flatten: Schemas["flatten"] = (start, choose) => {
    const references: Array<string> = []
    const visit = (schema: unknown): JsonSchema | undefined => {
      if (isImpossible(schema)) return undefined
      if (!isRecord(schema)) return {}
      const { $ref, allOf, anyOf, oneOf, ...own } = schema
      let flat: JsonSchema | undefined = own
      const add = (other: unknown): void => {
        const next = visit(other)
        flat = flat === undefined || next === undefined ? undefined : merge(next, flat)
      }
      if (typeof $ref === "string" && references.filter((reference) => reference === $ref).length < 2) {
        references.push($ref)
        add(targetOf(root, $ref))
      }
      for (const each of list(allOf)) add(each)
      for (const some of [anyOf, oneOf]) if (Array.isArray(some)) add(choose(some))
      return flat
    }
    const schema = visit(start)
    return schema === undefined ? undefined : { schema, references }
  }

  return { depthOf, flatten }
}
