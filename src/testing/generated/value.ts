/** Values that satisfy a JSON Schema, made of what a prompt mentions. */
import { isRecord } from "../../wire/json.js"
import type { JsonSchema } from "../../wire/schema/walker.js"
import { withDescribed } from "./described.js"
import { examplesOf, regExpOf } from "./pattern.js"
import * as Schemas from "./schema.js"
import type { Mentions } from "./text.js"
import { textOf } from "./text.js"

/** A recursive schema is followed this often; then its smallest values are taken. */
const maxReferences = 3

/** From this number of values on the smallest ones are taken. */
const maxValues = 2000

/** The most items of a list, and properties of an object, whatever their minimum. */
const maxItems = 1000

interface Place {
  /** The name of the property; empty for other values. */
  readonly name: string
  /** The place in a list, from 0. */
  readonly index: number
  /** The references that lead here. */
  readonly references: ReadonlyArray<string>
}

const numberOf = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined)

const numberFor = (schema: JsonSchema, index: number, mentioned: ReadonlyArray<number>): number => {
  const { examples, exclusiveMaximum, exclusiveMinimum, maximum, minimum, multipleOf } = schema
  // In OpenAPI 3.0 the exclusive limits are flags.
  const above = exclusiveMinimum === true ? numberOf(minimum) : numberOf(exclusiveMinimum)
  const below = exclusiveMaximum === true ? numberOf(maximum) : numberOf(exclusiveMaximum)
  const isInteger = Schemas.typesOf(schema).includes("integer") && !Schemas.typesOf(schema).includes("number")
  const step = numberOf(multipleOf) ?? 1
  const isAllowed = (value: number): boolean =>
    (!isInteger || Number.isInteger(value)) &&
    value >= (numberOf(minimum) ?? -Infinity) &&
    value <= (numberOf(maximum) ?? Infinity) &&
    value > (above ?? -Infinity) &&
    value < (below ?? Infinity) &&
    (multipleOf === undefined || Math.abs(value / step - Math.round(value / step)) < 1e-9)
  const low = Math.max(numberOf(minimum) ?? -Infinity, above ?? -Infinity)
  const high = Math.min(numberOf(maximum) ?? Infinity, below ?? Infinity)
  const multiples = [Math.ceil(low / step), Math.floor(high / step)].flatMap((count) => [
    (count + index) * step,
    (count + 1) * step,
    (count - 1) * step,
    (count - index) * step
  ])
  const candidates = [
    ...(Array.isArray(examples) && index === 0 ? examples.filter((value) => typeof value === "number") : []),
    ...mentioned,
    index + 1,
    (index + 1) * step,
    0,
    ...multiples,
    (low + high) / 2,
    low,
    high,
    low + Math.abs(low) * Number.EPSILON + Number.MIN_VALUE
  ].filter(Number.isFinite)
  return candidates.find(isAllowed) ?? candidates[0] ?? 0
}

/** The type to generate when the schema allows several or names none. */
const typeOf = (schema: JsonSchema): unknown => {
  const types = Schemas.typesOf(schema)
  if (types.length > 0) return types.find((type) => type !== "null") ?? "null"
  const has = (...keywords: ReadonlyArray<string>): boolean => keywords.some((keyword) => keyword in schema)
  if (has("properties", "required", "additionalProperties", "patternProperties", "minProperties")) return "object"
  if (has("items", "prefixItems", "minItems")) return "array"
  if (has("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")) return "number"
  return "string"
}

const isMentioned = (text: string, value: unknown): boolean =>
  typeof value === "string" &&
  value !== "" &&
  ` ${text.toLowerCase().replace(/[^\p{L}\p{N}_-]+/gu, " ")} `.includes(
    ` ${value
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_-]+/gu, " ")
      .trim()} `
  )

/**
 * A value that satisfies a JSON Schema: the same for the same arguments. Names and numbers of the prompt are used in the order in
 * which they are mentioned, and a mentioned value of an `enum` is preferred. Optional properties are present, lists have an item,
 * and of alternatives the first one is taken that is not null. Undefined when no value satisfies the schema.
 *
 * `not`, `if`, `contains`, dependencies, lookaheads in patterns, and that only one schema of `oneOf` matches are not obeyed.
 */
export const valueOf = (root: JsonSchema, mentions: Mentions): unknown => {
  const schemas = Schemas.make(root)
  const names = [...mentions.names]
  const numbers = [...mentions.numbers]
  let count = 0

  const isSmallest = (references: ReadonlyArray<string>): boolean =>
    count > maxValues ||
    references.length > 2 * maxReferences ||
    references.some((reference, index) => references.indexOf(reference) < index)

  const choose =
    (smallest: boolean) =>
    (alternatives: ReadonlyArray<unknown>): unknown => {
      const depths = alternatives.map(schemas.depthOf)
      if (smallest) return alternatives[depths.indexOf(Math.min(...depths))] ?? false
      const possible = alternatives.filter((_, index) => depths[index] !== Infinity)
      const isNull = (schema: unknown): boolean =>
        isRecord(schema) && (schema["type"] === "null" || ("const" in schema && schema["const"] === null))
      return possible.find((schema) => !isNull(schema)) ?? possible[0] ?? false
    }

  const takeNumber = (schema: JsonSchema, index: number): number => {
    const value = numberFor(schema, index, numbers)
    const at = numbers.indexOf(value)
    if (at !== -1) numbers.splice(at, 1)
    return value
  }

  const objectOf = (schema: JsonSchema, { index: place, references }: Place, smallest: boolean): unknown => {
    const { additionalProperties = {}, maxProperties, minProperties, patternProperties, propertyNames } = schema
    const properties = isRecord(schema["properties"]) ? schema["properties"] : {}
    const required = Array.isArray(schema["required"]) ? schema["required"].map(String) : []
    const entries = new Map<string, unknown>()
    const patterns = isRecord(patternProperties) ? Object.entries(patternProperties) : []
    const schemaOf = (name: string): unknown =>
      Object.hasOwn(properties, name)
        ? properties[name]
        : (patterns.find(([pattern]) => regExpOf(pattern)?.test(name))?.[1] ?? additionalProperties)
    for (const name of new Set([...Object.keys(properties), ...required])) {
      const isRequired = required.includes(name)
      if (!isRequired && (smallest || entries.size >= (numberOf(maxProperties) ?? Infinity))) continue
      const value = generate(schemaOf(name), { name, index: place, references })
      if (value !== undefined) entries.set(name, value)
      else if (isRequired) return undefined
    }
    // An entry shows what a record contains.
    const isRecordSchema =
      Object.keys(properties).length === 0 && ("additionalProperties" in schema || patterns.length > 0)
    const least = Math.min(maxItems, Math.max(numberOf(minProperties) ?? 0, isRecordSchema && !smallest ? 1 : 0))
    for (let index = 0; entries.size < least && index < 2 * least; index++) {
      const [pattern] = patterns[0] ?? []
      const name =
        pattern === undefined
          ? textOf(
              { ...(isRecord(propertyNames) ? propertyNames : {}), description: "" },
              { name: "", index, mentioned: () => undefined, valueOf: () => "" }
            )
          : examplesOf(pattern, index + 1)[1]
      if (name === undefined || entries.has(name)) continue
      const value = generate(schemaOf(name), { name, index, references })
      if (value !== undefined) entries.set(name, value)
    }
    return Object.fromEntries(entries)
  }

  const listOf = (schema: JsonSchema, references: ReadonlyArray<string>, smallest: boolean): unknown => {
    const { additionalItems = {}, items = {}, prefixItems } = schema
    const tuple: ReadonlyArray<unknown> = Array.isArray(prefixItems) ? prefixItems : Array.isArray(items) ? items : []
    const rest = Array.isArray(items) ? additionalItems : items
    const least = Math.min(maxItems, numberOf(schema["minItems"]) ?? 0)
    const hasRest = schemas.depthOf(rest) !== Infinity
    const wanted = smallest ? least : Math.max(least, tuple.length, tuple.length === 0 && hasRest ? 1 : 0)
    const length = Math.min(wanted, numberOf(schema["maxItems"]) ?? Infinity)
    const values: Array<unknown> = []
    const seen = new Set<string>()
    for (let index = 0; values.length < length && index < 4 * length; index++) {
      const value = generate(values.length < tuple.length ? tuple[values.length] : rest, {
        name: "",
        index,
        references
      })
      if (value === undefined) return values.length < least ? undefined : values
      const text = JSON.stringify(value)
      if (schema["uniqueItems"] === true && seen.has(text)) continue
      seen.add(text)
      values.push(value)
    }
    return values
  }

  const generate = (schema: unknown, { index, name, references }: Place): unknown => {
    count++
    const smallest = isSmallest(references)
    const flat = schemas.flatten(schema, choose(smallest))
    if (flat === undefined || schemas.depthOf(schema) === Infinity) return undefined
    const path = [...references, ...flat.references]
    const own = withDescribed(flat.schema)
    if ("const" in own) return own["const"]
    if (Array.isArray(own["enum"])) {
      const values: ReadonlyArray<unknown> = own["enum"]
      const present = values.filter((value) => value !== null)
      const mentioned = index === 0 ? present.find((value) => isMentioned(mentions.text, value)) : undefined
      return mentioned ?? (present.length === 0 ? values[0] : present[index % present.length])
    }
    switch (typeOf(own)) {
      case "object":
        return objectOf(own, { name, index, references: path }, smallest)
      case "array":
        return listOf(own, path, smallest)
      case "integer":
      case "number":
        return takeNumber(own, index)
      case "boolean":
        return index % 2 === 0
      case "null":
        return null
      default:
        return textOf(own, {
          name,
          index,
          mentioned: () => names.shift(),
          valueOf: (inner) => generate(inner, { name: "", index: 0, references: path }) ?? null
        })
    }
  }

  return generate(root, { name: "", index: 0, references: [] })
}
