/** Arbitrary Effect Schemas. */
import { Schema } from "effect"
import * as fc from "fast-check"

/** A schema of any value, without services. */
export type Any = Schema.Schema.AnyNoContext

const Colour = { Red: "red", Green: "green" } as const

interface Tree {
  readonly value: number
  readonly children: ReadonlyArray<Tree>
}

const Tree = Schema.Struct({
  value: Schema.Int,
  children: Schema.Array(Schema.suspend((): Schema.Schema<Tree> => Tree))
}).annotations({ identifier: "Tree" })

interface List {
  readonly head: string
  readonly tail: List | null
}

const List = Schema.Struct({
  head: Schema.NonEmptyString,
  tail: Schema.NullOr(Schema.suspend((): Schema.Schema<List> => List))
}).annotations({ identifier: "List" })

interface Operation {
  readonly operator: "+" | "-"
  readonly left: Expression
  readonly right: Expression
}

type Expression = number | Operation

const Operation = Schema.Struct({
  operator: Schema.Literal("+", "-"),
  left: Schema.suspend((): Schema.Schema<Expression> => Expression),
  right: Schema.suspend((): Schema.Schema<Expression> => Expression)
}).annotations({ identifier: "Operation" })

const Expression = Schema.Union(Operation, Schema.Number).annotations({ identifier: "Expression" })

const ordered = (max: number): fc.Arbitrary<readonly [number, number]> =>
  fc.tuple(fc.nat(max), fc.nat(max)).map(([one, other]) => [Math.min(one, other), Math.max(one, other)])

/** Scalars that both versions of Effect decode alike. */
const sharedScalars: ReadonlyArray<fc.Arbitrary<Any>> = [
  fc.constantFrom<Array<Any>>(
    Schema.String,
    Schema.NonEmptyString,
    Schema.Trimmed,
    Schema.Number,
    Schema.Finite,
    Schema.Int,
    Schema.Positive,
    Schema.Negative,
    Schema.NonPositive,
    Schema.Boolean,
    Schema.Null,
    Schema.Unknown,
    Schema.Object,
    Schema.Date,
    Schema.DateTimeUtc,
    Schema.BooleanFromString,
    Schema.Uppercased,
    Schema.Enums(Colour),
    Schema.TemplateLiteral("item-", Schema.Number),
    Schema.TemplateLiteral(Schema.Literal("a", "b"), "/", Schema.String),
    Schema.parseJson(),
    Tree,
    List,
    Operation
  ),
  ordered(60).map(([min, max]) => Schema.String.pipe(Schema.minLength(min), Schema.maxLength(max))),
  fc
    .constantFrom(
      /^[A-Z]{3}-\d{4}$/,
      /^(red|green|blue)$/,
      /^\+?[1-9]\d{1,14}$/,
      /^[\w.]+@[\w.]+$/,
      /^#(?:[0-9a-f]{3}){1,2}$/
    )
    .map((pattern) => Schema.String.pipe(Schema.pattern(pattern))),
  fc.stringMatching(/^[a-zA-Z .+/]{1,5}$/).map((text) => Schema.String.pipe(Schema.startsWith(text))),
  ordered(1000).map(([min, max]) => Schema.Int.pipe(Schema.between(min - 500, max - 500))),
  fc
    .tuple(
      fc.float({ noNaN: true, min: -1000, max: 1000 }),
      fc.float({ noNaN: true, min: Math.fround(0.01), max: 100 })
    )
    .map(([min, size]) => Schema.Number.pipe(Schema.greaterThan(min), Schema.lessThan(min + size))),
  fc.integer({ min: 1, max: 50 }).map((step) => Schema.Int.pipe(Schema.multipleOf(step), Schema.greaterThan(step * 3))),
  fc
    .uniqueArray(fc.oneof(fc.string(), fc.integer(), fc.boolean()), { minLength: 1, maxLength: 4 })
    .map((values) => Schema.Literal(...values))
]

/** Schemas of texts that one version of Effect takes and the other one rejects. */
const otherScalars = fc.constantFrom<Array<Any>>(
  Schema.NumberFromString,
  Schema.BigInt,
  Schema.BigDecimal,
  Schema.URL,
  Schema.UUID,
  Schema.ULID,
  Schema.Uint8ArrayFromBase64,
  Schema.Uint8ArrayFromHex
)

const name = fc.stringMatching(/^[a-z][a-zA-Z_]{0,8}$/)

/** How a schema stands in a struct. */
const fields = fc.constantFrom(
  (schema: Any) => schema,
  (schema: Any) => Schema.optional(schema),
  (schema: Any) => Schema.optionalWith(Schema.Array(schema), { default: () => [] })
)

const schemasOf = (scalars: fc.Arbitrary<Any>): fc.Arbitrary<Any> =>
  fc.letrec<{ readonly schema: Any }>((tie) => ({
    schema: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      scalars,
      tie("schema").map((item) => Schema.Array(item)),
      fc
        .tuple(tie("schema"), ordered(5))
        .map(([item, [min, max]]) => Schema.Array(item).pipe(Schema.minItems(min + 1), Schema.maxItems(max + 1))),
      tie("schema").map((item) => Schema.NonEmptyArray(item)),
      fc.tuple(tie("schema"), tie("schema")).map(([one, other]) => Schema.Tuple(one, Schema.optionalElement(other))),
      fc.tuple(tie("schema"), tie("schema")).map(([one, rest]) => Schema.Tuple([one], rest)),
      fc.array(tie("schema"), { minLength: 1, maxLength: 3 }).map((members) => Schema.Union(...members)),
      tie("schema").map((member) => Schema.NullOr(member)),
      tie("schema").map((value) => Schema.Record({ key: Schema.String, value })),
      tie("schema").map((value) => Schema.Record({ key: Schema.TemplateLiteral("x-", Schema.String), value })),
      fc
        .dictionary(name, fc.tuple(tie("schema"), fields), { maxKeys: 4 })
        .map((entries) =>
          Schema.Struct(
            Object.fromEntries(Object.entries(entries).map(([key, [schema, fieldOf]]) => [key, fieldOf(schema)]))
          )
        )
    )
  })).schema

/** Schemas of many shapes, all with a JSON Schema: scalars with filters, lists, tuples, unions, records, structs, and recursive ones. */
export const schemas = schemasOf(fc.oneof(...sharedScalars, { arbitrary: otherScalars, weight: 2 }))

/** Those that both versions of Effect decode alike. */
export const sharedSchemas = schemasOf(fc.oneof(...sharedScalars))
