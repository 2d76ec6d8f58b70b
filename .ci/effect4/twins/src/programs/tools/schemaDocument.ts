/**
 * The JSON Schema of an Effect Schema, in the form in which Effect 3 writes it: requests are the same in both builds. That of Effect 4
 * allows other properties, and numbers as texts.
 */
import { Option, Schema, SchemaAST } from "effect"
import { keywordsOf, textOf } from "../../internal/filterKeywords.js"
import { isRecord } from "../../wire/json.js"
import type { JsonSchema } from "../../wire/schema/walker.js"

type Annotations = SchemaAST.AST["annotations"] | SchemaAST.Context["annotations"]

/** The encoded form of a value of a schema, if it is JSON. */
const jsonOf = (ast: SchemaAST.AST, value: unknown): Option.Option<unknown> =>
  Option.filter(Schema.encodeUnknownOption(Schema.make<Schema.Codec<unknown, unknown>>(ast))(value), isJson)

const isJson = (value: unknown): boolean =>
  value === null ||
  /^(string|number|boolean)$/.test(typeof value) ||
  (Array.isArray(value)
    ? value.every(isJson)
    : isRecord(value) &&
      [Object.prototype, null].includes(Object.getPrototypeOf(value)) &&
      Object.values(value).every(isJson))

/** What a user says of a schema. Values that he gives are encoded. */
const annotated = (node: JsonSchema, ast: SchemaAST.AST, annotations: Annotations): JsonSchema => {
  if (annotations === undefined) return node
  const given: Record<string, unknown> = {}
  for (const key of ["description", "title"]) if (typeof annotations[key] === "string") given[key] = annotations[key]
  if (annotations["default"] !== undefined) {
    const value = jsonOf(ast, annotations["default"])
    if (Option.isSome(value)) given["default"] = value.value
  }
  if (Array.isArray(annotations["examples"])) {
    const examples = annotations["examples"].flatMap((example) => Option.toArray(jsonOf(ast, example)))
    if (examples.length > 0) given["examples"] = examples
  }
  return { ...node, ...given }
}

/** Keywords that are held to both of two limits, and whether the first is the narrower one. */
const narrower: Readonly<Record<string, (one: unknown, other: unknown) => boolean>> = {
  minLength: (one, other) => Number(one) > Number(other),
  maxLength: (one, other) => Number(one) < Number(other),
  pattern: (one, other) => one !== other,
  minItems: (one, other) => Number(one) > Number(other),
  maxItems: (one, other) => Number(one) < Number(other),
  minimum: (one, other) => Number(one) > Number(other),
  maximum: (one, other) => Number(one) < Number(other),
  exclusiveMinimum: (one, other) => Number(one) > Number(other),
  exclusiveMaximum: (one, other) => Number(one) < Number(other),
  multipleOf: (one, other) => one !== other
}

/** A schema with the keywords of a filter: of two limits the one that was first is kept beside, if it is the narrower one. */
const refined = (node: JsonSchema, own: JsonSchema): JsonSchema => {
  const { allOf, ...out } = { ...node, ...own }
  let all: ReadonlyArray<JsonSchema> = Array.isArray(allOf) ? allOf.filter(isRecord) : []
  for (const [keyword, isNarrower] of Object.entries(narrower)) {
    if (!(keyword in own) || !(keyword in node)) continue
    all = [{ [keyword]: node[keyword] }, ...all].filter((part) => isNarrower(part[keyword], own[keyword]))
  }
  return all.length === 0 ? out : { ...out, allOf: all }
}

/** Whether an annotation `jsonSchema` stands for the whole schema. */
const isWhole = (jsonSchema: JsonSchema): boolean =>
  ["type", "oneOf", "anyOf", "$ref"].some((keyword) => keyword in jsonSchema)

/** What a user says of a schema, and of each of its checks. */
const said = (node: JsonSchema, ast: SchemaAST.AST): JsonSchema =>
  (ast.checks ?? []).reduce<JsonSchema>(
    (from, check) => annotated(from, ast, check.annotations),
    annotated(node, ast, ast.annotations)
  )

/** A schema with what its checks require, and what a user says of them. */
const checked = (node: JsonSchema, ast: SchemaAST.AST, checks: SchemaAST.Checks | undefined): JsonSchema =>
  (checks ?? []).reduce<JsonSchema>((from, check) => {
    const own = check.annotations?.["jsonSchema"]
    if (isRecord(own) && isWhole(own)) return own
    if (check._tag === "FilterGroup") return annotated(checked(from, ast, check.checks), ast, check.annotations)
    return refined(annotated(from, ast, check.annotations), isRecord(own) ? own : keywordsOf(check, from["type"]))
  }, node)

const isUndefined = (ast: SchemaAST.AST): boolean => ast._tag === "Undefined"

/** A type without `undefined`, which is written as an optional property. */
const withoutUndefined = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> | undefined =>
  ast._tag === "Union" && ast.encoding === undefined && ast.types.some(isUndefined)
    ? ast.types.filter((type) => !isUndefined(type))
    : undefined

const encodedOf = (ast: SchemaAST.AST): SchemaAST.AST | undefined => ast.encoding?.at(-1)?.to

const isLiteral = (
  node: JsonSchema | undefined
): node is { readonly type: string; readonly enum: ReadonlyArray<unknown> } =>
  node !== undefined && "enum" in node && "type" in node && Object.keys(node).length === 2

const isNever = (node: JsonSchema): boolean => "not" in node && Object.keys(node).length === 1

/** Literals of one type beside each other are one. */
const joined = (members: ReadonlyArray<JsonSchema>): ReadonlyArray<JsonSchema> => {
  const anyOf: Array<JsonSchema> = []
  for (const member of members) {
    if (isNever(member)) continue
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

const isJsonText = (ast: SchemaAST.AST): boolean =>
  ast._tag === "String" && ast.annotations?.["expected"] === "a string that will be decoded as JSON"

/** @throws when a part of the schema has no JSON Schema */
export const documentOf = <A, I, R>(schema: Schema.Codec<A, I, R, R>): JsonSchema => {
  const definitions: Record<string, JsonSchema> = {}

  const unsupported = (ast: SchemaAST.AST, path: ReadonlyArray<PropertyKey>, annotation = "jsonSchema"): Error =>
    new Error(
      `Missing annotation${path.length === 0 ? "" : ` at path: [${path.map((key) => JSON.stringify(String(key))).join("][")}]`}\n` +
        `details: Generating a JSON Schema for this schema requires a${annotation === "identifier" ? "n" : ""} "${annotation}" annotation\nschema (${ast._tag}): ${String(ast)}`
    )

  const written = (ast: SchemaAST.AST, path: ReadonlyArray<PropertyKey>): JsonSchema => {
    if (ast._tag === "Suspend") {
      const inner = ast.thunk()
      if (SchemaAST.resolveIdentifier(inner) === undefined) throw unsupported(ast, path, "identifier")
      return written(inner, path)
    }
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
    const own = ast.annotations?.["jsonSchema"]
    if (isRecord(own) && isWhole(own))
      return checked(ast._tag === "Declaration" ? annotated(own, ast, ast.annotations) : own, ast, ast.checks)
    const encoded = encodedOf(ast)
    // What holds for the value is no matter of its encoded form.
    const node =
      encoded === undefined
        ? checked(annotated(structural(ast, path), ast, ast.annotations), ast, ast.checks)
        : said(encodedForm(ast, encoded, path), ast)
    return isRecord(own) ? { ...node, ...own } : node
  }

  const encodedForm = (ast: SchemaAST.AST, encoded: SchemaAST.AST, path: ReadonlyArray<PropertyKey>): JsonSchema =>
    ast._tag === "BigInt" && encoded._tag === "String"
      ? { type: "string", description: "a string to be decoded into a bigint" }
      : isJsonText(encoded) && ast._tag !== "Unknown"
        ? { type: "string", contentMediaType: "application/json" }
        : written(encoded, path)

  const structural = (ast: SchemaAST.AST, path: ReadonlyArray<PropertyKey>): JsonSchema => {
    switch (ast._tag) {
      case "String":
        return textOf(String(ast.annotations?.["expected"]))
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
        if (ast.literal === null) return { type: "null" }
        const type = typeof ast.literal
        if (type === "bigint") throw unsupported(ast, path)
        return { type, enum: [ast.literal] }
      }
      case "Enum":
        return {
          $comment: "/schemas/enums",
          anyOf: ast.enums.map(([title, value]) => ({ type: typeof value, title, enum: [value] }))
        }
      case "TemplateLiteral": {
        const { description, title } = ast.annotations ?? {}
        return {
          type: "string",
          ...(typeof title === "string" ? { title } : {}),
          ...(typeof description === "string" ? { description } : {}),
          pattern: patternOf(ast)
        }
      }
      case "Arrays":
        return list(ast, path)
      case "Objects":
        return record(ast, path)
      case "Union":
        return unionOf(ast.types.map((type) => written(type, path)))
      case "Declaration":
        // Any JSON, which no keyword limits.
        if (isJsonDeclaration(ast)) return {}
        throw unsupported(ast, path)
      default:
        throw unsupported(ast, path)
    }
  }

  /** A schema without `undefined`. */
  const defined = (ast: SchemaAST.AST, path: ReadonlyArray<PropertyKey>): JsonSchema => {
    const rest = withoutUndefined(ast)
    return rest === undefined
      ? written(ast, path)
      : annotated(unionOf(rest.map((member) => written(member, path))), ast, ast.annotations)
  }

  const property = (ast: SchemaAST.AST, path: ReadonlyArray<PropertyKey>): JsonSchema => {
    const encoded = encodedOf(ast)
    // A property with a default is an optional one in its encoded form.
    const node =
      encoded !== undefined && withoutUndefined(encoded) !== undefined
        ? said(property(encoded, path), ast)
        : defined(ast, path)
    return annotated(node, ast, ast.context?.annotations)
  }

  const list = ({ elements, rest }: SchemaAST.Arrays, path: ReadonlyArray<PropertyKey>): JsonSchema => {
    const items = elements.map((element, index) =>
      annotated(written(element, [...path, index]), element, element.context?.annotations)
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
      properties[name] = property(type, [...path, name])
      const encoded = SchemaAST.toEncoded(type)
      if (!SchemaAST.isOptional(encoded) && withoutUndefined(encoded) === undefined) required.push(name)
    }
    const [index] = indexSignatures
    if (index === undefined) return { type: "object", required, properties, additionalProperties: false }
    const value = defined(index.type, path)
    if (isNever(value)) return { type: "object", required, properties, additionalProperties: false }
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

const isJsonDeclaration = ({ annotations }: SchemaAST.Declaration): boolean => {
  const representation: unknown = annotations?.["representation"]
  return isRecord(representation) && /^effect\/schema\/(Mutable)?Json$/.test(String(representation["id"]))
}

const literal = (text: unknown): string => String(text).replace(/[/\\^$*+?.()|[\]{}]/g, "\\$&")

const partOf = (part: SchemaAST.AST): string => {
  switch (part._tag) {
    case "Literal":
      return literal(part.literal)
    case "Number":
      return "[+-]?\\d*\\.?\\d+(?:[Ee][+-]?\\d+)?"
    case "TemplateLiteral":
      return part.parts.map(partOf).join("")
    case "Union":
      return `(${part.types.map(partOf).join("|")})`
    default:
      return "[\\s\\S]*?"
  }
}

const patternOf = ({ parts }: SchemaAST.TemplateLiteral): string => `^${parts.map(partOf).join("")}$`

/** The identifier that a user gives to a schema, or to the value that it decodes. */
export const identifierOf = <A, I, R>({ ast }: Schema.Codec<A, I, R, R>): Option.Option<string> =>
  Option.fromNullishOr(SchemaAST.resolveIdentifier(ast))
