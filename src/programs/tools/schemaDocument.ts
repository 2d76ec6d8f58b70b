/** The JSON Schema of an Effect Schema, as Effect writes it: one module, since Effect 4 writes others. */
import { JSONSchema, Option, Schema, SchemaAST } from "effect"
import { isRecord } from "../../wire/json.js"
import type { JsonSchema } from "../../wire/schema/walker.js"
import { mapSchemas } from "../../wire/schema/walker.js"

/**
 * Titles and descriptions that Effect gives to its own filters. Keywords say the same, or nothing has to be said; what a text is
 * decoded into remains, since no keyword says it.
 */
const ownTitle =
  /^(int|finite|nonNaN|(positive|negative|nonPositive|nonNegative)(Big(Int|Decimal))?|nonEmptyString|trimmed|lowercased|uppercased|capitalized|uncapitalized|validDate|(between|greaterThan|greaterThanOrEqualTo|lessThan|lessThanOrEqualTo|multipleOf|minLength|maxLength|length|minItems|maxItems|itemsCount|startsWith|endsWith|includes)(Big(Int|Decimal)|Date|Duration)?\(.*\))$/s

const ownDescription =
  /^(an integer|a finite number|a number excluding NaN|a (positive|negative|non-positive|non-negative) (number|bigint|BigDecimal)|a (number|bigint|BigDecimal|date|Duration) (between|greater than|less than|divisible by|before|after) .+|a string (at least \d+ character\(s\) and )?(at least|at most) \d+ character\(s\) long|a string \d+ character\(s\) long|a string matching the pattern .+|a string (starting|ending) with .+|a string including .+|a string with no leading or trailing whitespace|an? (lowercase|uppercase|capitalized|uncapitalized) string|a non empty string|a single character|an array of (at least|at most|exactly) \d+ item\(s\)|a valid Date|a Universally Unique .+|a (valid|potentially invalid) Date instance|a (DateTime|TimeZone)\.\w+ instance|an instance of .+)$/s

const isText = (value: unknown, form: RegExp): boolean => typeof value === "string" && form.test(value)

const escaped = (text: string): string => text.replace(/[\\^$*+?.()|[\]{}]/g, "\\$&")

/** The patterns of filters whose own do not escape their text, or match every text. */
const patternOf = (schemaId: unknown, payload: unknown): string | undefined => {
  const { endsWith, includes, startsWith } = isRecord(payload) ? payload : {}
  if (typeof startsWith === "string") return `^${escaped(startsWith)}`
  if (typeof endsWith === "string") return `^.*${escaped(endsWith)}$`
  if (typeof includes === "string") return `.*${escaped(includes)}.*`
  if (schemaId === Schema.CapitalizedSchemaId) return "^(?:[^a-z][\\s\\S]*)?$"
  return schemaId === Schema.UncapitalizedSchemaId ? "^(?:[^A-Z][\\s\\S]*)?$" : undefined
}

/** The annotations of a filter or type, without those that Effect gives to it itself. */
const saidOf = ({ annotations }: SchemaAST.Annotated): SchemaAST.Annotations => {
  const schemaId = annotations[SchemaAST.SchemaIdAnnotationId]
  if (schemaId === undefined) return annotations
  const said: Record<symbol, unknown> = { ...annotations }
  if (isText(said[SchemaAST.TitleAnnotationId], ownTitle)) said[SchemaAST.TitleAnnotationId] = undefined
  if (isText(said[SchemaAST.DescriptionAnnotationId], ownDescription))
    said[SchemaAST.DescriptionAnnotationId] = undefined
  const pattern = patternOf(schemaId, typeof schemaId === "symbol" ? annotations[schemaId] : undefined)
  if (pattern !== undefined) said[SchemaAST.JSONSchemaAnnotationId] = { pattern }
  return said
}

/** Whether the value of a schema has another encoded form. */
const isDecoded = (ast: SchemaAST.AST): boolean =>
  ast._tag === "Transformation" || (ast._tag === "Refinement" && isDecoded(ast.from))

/** What a filter of a decoded value says of its encoded form. */
const saidOfEncoded: ReadonlyArray<symbol> = [
  SchemaAST.TitleAnnotationId,
  SchemaAST.DescriptionAnnotationId,
  SchemaAST.ExamplesAnnotationId,
  SchemaAST.DefaultAnnotationId
]

/** Whether an annotation `jsonSchema` stands for the whole schema. */
const isWhole = (jsonSchema: unknown): boolean =>
  isRecord(jsonSchema) && ["type", "oneOf", "anyOf", "$ref"].some((keyword) => keyword in jsonSchema)

/**
 * A schema without what Effect says of its own filters, which would stand for what a program says. What is said of a decoded value is said of
 * its encoded form.
 */
const withoutOwn = (): ((ast: SchemaAST.AST) => SchemaAST.AST) => {
  const seen = new Map<SchemaAST.AST, SchemaAST.AST>()
  const clean = (ast: SchemaAST.AST): SchemaAST.AST => {
    const known = seen.get(ast)
    if (known !== undefined) return known
    const cleaned = cleanNode(ast)
    seen.set(ast, cleaned)
    return cleaned
  }
  /** The struct that is written for a class. */
  const surrogateOf = (ast: SchemaAST.Annotated): SchemaAST.Annotations =>
    Option.match(SchemaAST.getSurrogateAnnotation(ast), {
      onNone: () => ({}),
      onSome: (surrogate) => ({ [SchemaAST.SurrogateAnnotationId]: clean(surrogate) })
    })

  const cleanNode = (ast: SchemaAST.AST): SchemaAST.AST => {
    switch (ast._tag) {
      case "Refinement": {
        const said = saidOf(ast)
        const isOwnInt = said[SchemaAST.SchemaIdAnnotationId] === Schema.IntSchemaId
        if (!isDecoded(ast) || (isWhole(said[SchemaAST.JSONSchemaAnnotationId]) && !isOwnInt))
          return new SchemaAST.Refinement(clean(ast.from), ast.filter, said)
        const given = saidOfEncoded.filter((key) => said[key] !== undefined).map((key) => [key, said[key]])
        return SchemaAST.annotations(clean(ast.from), Object.fromEntries(given))
      }
      case "Declaration":
        return SchemaAST.annotations(ast, { ...saidOf(ast), ...surrogateOf(ast) })
      case "Transformation": {
        // Effect writes what is said of the properties of a struct with defaults, too.
        const to = ast.transformation._tag === "TypeLiteralTransformation" ? clean(ast.to) : ast.to
        return new SchemaAST.Transformation(clean(ast.from), to, ast.transformation, {
          ...ast.annotations,
          ...surrogateOf(ast)
        })
      }
      case "TypeLiteral":
        return new SchemaAST.TypeLiteral(
          ast.propertySignatures.map(
            ({ annotations, isOptional, isReadonly, name, type }) =>
              new SchemaAST.PropertySignature(name, clean(type), isOptional, isReadonly, annotations)
          ),
          ast.indexSignatures.map(
            ({ isReadonly, parameter, type }) => new SchemaAST.IndexSignature(clean(parameter), clean(type), isReadonly)
          ),
          ast.annotations
        )
      case "TupleType":
        return new SchemaAST.TupleType(
          ast.elements.map(
            ({ annotations, isOptional, type }) => new SchemaAST.OptionalType(clean(type), isOptional, annotations)
          ),
          ast.rest.map(({ annotations, type }) => new SchemaAST.Type(clean(type), annotations)),
          ast.isReadonly,
          ast.annotations
        )
      case "Union":
        return SchemaAST.Union.make(ast.types.map(clean), ast.annotations)
      case "Suspend":
        return new SchemaAST.Suspend(() => clean(ast.f()), ast.annotations)
      default:
        return ast
    }
  }
  return clean
}

/** What Effect says of its own types, which have no other keyword. */
const isOwn = (key: string, value: unknown): boolean =>
  (key === "title" && isText(value, /^(never|unknown|any|void|object|parseJson|`.*`)$/s)) ||
  (key === "description" &&
    isText(
      value,
      /^(a template literal|an object in the TypeScript meaning.+|a string to be decoded into a boolean)$/s
    ))

const withoutOwnWords = (node: JsonSchema): JsonSchema =>
  Object.fromEntries(Object.entries(mapSchemas(node, withoutOwnWords)).filter(([key, value]) => !isOwn(key, value)))

/** @throws when a part of the schema has neither a JSON Schema nor an annotation with one */
export const documentOf = <A, I, R>(schema: Schema.Schema<A, I, R>): JsonSchema => {
  const definitions = {}
  // `JSONSchema.make` writes a text of JSON as its value, which such a text is not decoded from.
  const root = JSONSchema.fromAST(withoutOwn()(schema.ast), { definitions })
  return withoutOwnWords(Object.keys(definitions).length === 0 ? { ...root } : { ...root, $defs: definitions })
}

/** The identifiers of Effect's own schemas, which are not names of values. */
const ownIdentifier =
  /^(\w+FromSelf|BigDecimal|BigDecimalFromNumber|BigInt|BigIntFromNumber|BooleanFromString|BooleanFromUnknown|Capitalized?|Char|Date|DateFrom(Number|String)|DateTime(Utc|UtcFromNumber|Zoned)|Duration|DurationFrom(Millis|Nanos)|Finite|Int|JsonNumber|Lowercased?|(Non)?(Negative|Positive)(BigInt|Bigint|Int)?|NonEmpty(Trimmed)?String|NonNaN|NumberFromString|StringFrom\w+|Symbol|TimeZone(Named|Offset)?|Trim(med)?|ULID|UUID|URL|Uint8|Uint8Array\w*|Uncapitalized?|Uppercased?)$/

/** The identifier that a user gives to a schema, or to the value that it decodes. */
export const identifierOf = <A, I, R>({ ast }: Schema.Schema<A, I, R>): Option.Option<string> => nameOf(ast)

const nameOf = (ast: SchemaAST.AST): Option.Option<string> =>
  Option.orElse(
    Option.filter(
      SchemaAST.getIdentifierAnnotation(ast),
      (identifier) => ast._tag === "TypeLiteral" || !ownIdentifier.test(identifier)
    ),
    () => (ast._tag === "Transformation" ? nameOf(ast.to) : Option.none())
  )
