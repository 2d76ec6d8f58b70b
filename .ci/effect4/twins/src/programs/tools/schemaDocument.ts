/**
 * The JSON Schema of an Effect Schema, in the form in which Effect 3 writes it: requests are the same in both builds. That of Effect 4
 * allows other properties, and numbers as texts.
 */
import type { Schema } from "effect"
import { SchemaAST } from "effect"
import { isRecord } from "../../wire/json.js"
import type { JsonSchema } from "../../wire/schema/walker.js"

const annotationKeys = ["description", "title", "default", "examples"]

type Annotations = SchemaAST.AST["annotations"] | SchemaAST.Context["annotations"]

const annotated = (node: JsonSchema, annotations: Annotations): JsonSchema => {
  const given: Record<string, unknown> = {}
  for (const key of annotationKeys) if (annotations?.[key] !== undefined) given[key] = annotations[key]
  return { ...node, ...given }
}

/** What the filters of Effect 3 write. */
const keywordsOf = ({ annotations }: SchemaAST.Filter<never>, type: unknown): JsonSchema => {
  if (isRecord(annotations?.["jsonSchema"])) return annotations["jsonSchema"]
  const { representation } = annotations ?? {}
  const toJsonSchema: unknown = annotations?.["toJsonSchema"]
  const { id, payload } = isRecord(representation) ? representation : {}
  const { maxLength, minLength, source } = isRecord(payload) ? payload : {}
  if (id === "effect/schema/isInt") return { type: "integer" }
  // Effect 4 writes patterns with the flag `u` alone.
  if (id === "effect/schema/isPattern") return { pattern: source }
  if (minLength !== undefined) return type === "array" ? { minItems: minLength } : { minLength }
  if (maxLength !== undefined) return type === "array" ? { maxItems: maxLength } : { maxLength }
  if (typeof toJsonSchema !== "function") return {}
  const answer: unknown = toJsonSchema({ type })
  const keywords: unknown = Array.isArray(answer) ? answer[0] : answer
  return isRecord(keywords) ? keywords : {}
}

const filtersOf = (checks: SchemaAST.Checks | undefined): ReadonlyArray<SchemaAST.Filter<never>> =>
  (checks ?? []).flatMap((check) => (check._tag === "Filter" ? [check] : filtersOf(check.checks)))

const isUndefined = (ast: SchemaAST.AST): boolean => ast._tag === "Undefined"

/** An encoded form that is the text of JSON is that of the value: a model writes it. */
const encodedOf = (ast: SchemaAST.AST): SchemaAST.AST | undefined => ast.encoding?.at(-1)?.to

/** A type without `undefined`, which is written as an optional property: one that has a default is another only where it is encoded. */
const withoutUndefined = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> | undefined => {
  const encoded = encodedOf(ast)
  if (encoded !== undefined) return withoutUndefined(encoded)
  return ast._tag === "Union" && ast.types.some(isUndefined)
    ? ast.types.filter((type) => !isUndefined(type)).flatMap((type) => withoutUndefined(type) ?? [type])
    : undefined
}

const isLiteral = (
  node: JsonSchema | undefined
): node is { readonly type: string; readonly enum: ReadonlyArray<unknown> } =>
  node !== undefined && "enum" in node && "type" in node && Object.keys(node).length === 2

/** Literals of one type beside each other are one. */
const joined = (members: ReadonlyArray<JsonSchema>): ReadonlyArray<JsonSchema> => {
  const anyOf: Array<JsonSchema> = []
  for (const member of members) {
    if (Object.keys(member).length === 0) return [member]
    const last = anyOf.at(-1)
    if (isLiteral(member) && isLiteral(last) && last.type === member.type) {
      anyOf[anyOf.length - 1] = { type: last.type, enum: [...last.enum, ...member.enum] }
    } else anyOf.push(member)
  }
  return anyOf
}

const unionOf = (members: ReadonlyArray<JsonSchema>): JsonSchema => {
  const anyOf = joined(members)
  return anyOf.length === 1 ? { ...anyOf[0] } : anyOf.length === 0 ? { not: {} } : { anyOf }
}

/** What Effect 4 expects of a string in Base64, in hexadecimal digits, or of no encoding. */
const decodedAs = /^a (?:(?:base64|base64 \(URL\)|hex) encoded )?string that will be decoded as (.+)$/

/** @throws when a part of the schema has no JSON Schema */
export const documentOf = <A, I, R>(schema: Schema.Codec<A, I, R, R>): JsonSchema => {
  const definitions: Record<string, JsonSchema> = {}

  const unsupported = (ast: SchemaAST.AST, path: ReadonlyArray<PropertyKey>): Error =>
    new Error(
      `Missing annotation${path.length === 0 ? "" : ` at path: [${path.map((key) => JSON.stringify(String(key))).join("][")}]`}\n` +
        `details: Generating a JSON Schema for this schema requires a "jsonSchema" annotation\nschema (${ast._tag}): ${String(ast)}`
    )

  const written = (ast: SchemaAST.AST, path: ReadonlyArray<PropertyKey>): JsonSchema => {
    const identifier = SchemaAST.resolveIdentifier(ast)
    if (identifier === undefined) return described(ast, path)
    const reference = { $ref: `#/$defs/${identifier.replaceAll("~", "~0").replaceAll("/", "~1")}` }
    if (!Object.hasOwn(definitions, identifier)) {
      definitions[identifier] = reference
      definitions[identifier] = described(ast, path)
    }
    return reference
  }

  const described = (ast: SchemaAST.AST, path: ReadonlyArray<PropertyKey>): JsonSchema => {
    const own = SchemaAST.resolve(ast)
    if (isRecord(own?.["jsonSchema"]) && ast.checks === undefined) return annotated(own["jsonSchema"], own)
    const encoded = encodedOf(ast)
    const node = annotated(encoded === undefined ? structural(ast, path) : written(encoded, path), ast.annotations)
    if (encoded !== undefined) return annotated(node, own)
    const { type } = node
    const keywords = filtersOf(ast.checks).map((filter) => keywordsOf(filter, type))
    return Object.assign({}, annotated(node, own), ...keywords)
  }

  const structural = (ast: SchemaAST.AST, path: ReadonlyArray<PropertyKey>): JsonSchema => {
    switch (ast._tag) {
      case "String": {
        const decoded = decodedAs.exec(String(ast.annotations?.["expected"]))?.[1]
        return decoded === undefined
          ? { type: "string" }
          : {
              type: "string",
              description:
                decoded === "a trimmed string"
                  ? "a string that will be trimmed"
                  : `a string to be decoded into ${decoded === "Uint8Array" ? "a Uint8Array" : decoded}`
            }
      }
      case "Number":
        return { type: "number" }
      case "Boolean":
        return { type: "boolean" }
      case "Null":
        return { type: "null" }
      case "Unknown":
      case "Any":
      case "Void":
        return {}
      case "Never":
        return { not: {} }
      case "ObjectKeyword":
        return { anyOf: [{ type: "object" }, { type: "array" }] }
      case "Literal": {
        const type = typeof ast.literal
        if (type === "bigint") throw unsupported(ast, path)
        return { type, enum: [ast.literal] }
      }
      case "Enum":
        return {
          $comment: "/schemas/enums",
          anyOf: ast.enums.map(([title, value]) => ({ type: typeof value, title, enum: [value] }))
        }
      case "TemplateLiteral":
        return { type: "string", pattern: patternOf(ast) }
      case "Arrays":
        return list(ast, path)
      case "Objects":
        return record(ast, path)
      case "Union":
        return unionOf(ast.types.map((type) => written(type, path)))
      case "Suspend":
        return written(ast.thunk(), path)
      default:
        throw unsupported(ast, path)
    }
  }

  const list = ({ elements, rest }: SchemaAST.Arrays, path: ReadonlyArray<PropertyKey>): JsonSchema => {
    const items = elements.map((element, index) =>
      annotated(written(element, [...path, index]), element.context?.annotations)
    )
    const minItems = elements.filter((element) => !isOptional(element)).length
    const bounds = items.length === 0 ? {} : { minItems }
    const [head, second] = rest
    if (second !== undefined) throw unsupported(second, path)
    if (head === undefined) {
      return items.length === 0
        ? { type: "array", maxItems: 0 }
        : { type: "array", ...bounds, items, additionalItems: false }
    }
    return elements.every((element) => element === head)
      ? { type: "array", ...bounds, items: written(head, path) }
      : { type: "array", ...bounds, items, additionalItems: written(head, path) }
  }

  const record = (
    { indexSignatures, propertySignatures }: SchemaAST.Objects,
    path: ReadonlyArray<PropertyKey>
  ): JsonSchema => {
    if (indexSignatures.length === 0 && propertySignatures.length === 0) return { $id: "/schemas/%7B%7D" }
    const required: Array<string> = []
    const properties: Record<string, JsonSchema> = {}
    for (const { name, type } of propertySignatures) {
      if (typeof name !== "string") throw unsupported(type, [...path, name])
      const rest = withoutUndefined(type)
      const inner =
        rest === undefined
          ? written(type, [...path, name])
          : unionOf(rest.map((member) => written(member, [...path, name])))
      const own = rest === undefined ? inner : annotated(inner, type.annotations)
      properties[name] = annotated(own, type.context?.annotations)
      if (rest === undefined && !isOptional(type)) required.push(name)
    }
    const [index] = indexSignatures
    if (index === undefined) return { type: "object", required, properties, additionalProperties: false }
    const value = written(index.type, path)
    const key = written(index.parameter, path)
    // Keys of a form have a schema of their own.
    return "pattern" in key || "minLength" in key || "maxLength" in key
      ? { type: "object", required, properties, patternProperties: { "": value }, propertyNames: key }
      : { type: "object", required, properties, additionalProperties: value }
  }

  const root = written(schema.ast, [])
  return Object.keys(definitions).length === 0 ? root : { ...root, $defs: definitions }
}

const isOptional = (ast: SchemaAST.AST): boolean => SchemaAST.isOptional(SchemaAST.toEncoded(ast))

const escaped = (text: string): string => text.replace(/[/\\^$*+?.()|[\]{}]/g, "\\$&")

const patternOf = ({ parts }: SchemaAST.TemplateLiteral): string =>
  `^${parts
    .map((part) =>
      part._tag === "Literal"
        ? escaped(String(part.literal))
        : part._tag === "Number"
          ? "[+-]?\\d*\\.?\\d+(?:[Ee][+-]?\\d+)?"
          : "[\\s\\S]*?"
    )
    .join("")}$`
