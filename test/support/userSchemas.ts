/** Effect Schemas as users write them for tools and answers, by what is special about them. */
import { Schema } from "effect"
import type { Any } from "./schemas.js"

const Colour = { Red: "red", Green: "green", One: 1 } as const

class Place extends Schema.Class<Place>("Place")({
  city: Schema.String.annotations({ description: "The city." }),
  at: Schema.optional(Schema.Date)
}) {}

class Order extends Schema.TaggedClass<Order>()("Order", { to: Place, items: Schema.NonEmptyArray(Schema.Int) }) {}

const UserId = Schema.String.pipe(Schema.minLength(3), Schema.brand("UserId"))

interface Comment {
  readonly text: string
  readonly answers: ReadonlyArray<Comment>
}

const Comment = Schema.Struct({
  text: Schema.String,
  answers: Schema.Array(
    Schema.suspend((): Schema.Schema<Comment> => Comment).annotations({ description: "Answers to it." })
  )
}).annotations({ identifier: "Comment", description: "A comment." })

const Money = Schema.Struct({ amount: Schema.Int, currency: Schema.Literal("EUR", "USD") }).annotations({
  identifier: "Money",
  title: "Money",
  description: "An amount."
})

const Circle = Schema.TaggedStruct("circle", { radius: Schema.Positive })
const Square = Schema.TaggedStruct("square", { side: Schema.Positive })

export const userSchemas: Readonly<Record<string, Any>> = {
  // Types.
  string: Schema.String,
  number: Schema.Number,
  boolean: Schema.Boolean,
  null: Schema.Null,
  unknown: Schema.Unknown,
  void: Schema.Void,
  object: Schema.Object,
  "a literal": Schema.Literal("a"),
  "literals of one type": Schema.Literal("a", "b"),
  "literals of more types": Schema.Literal("a", 1, true, "b"),
  "an enum": Schema.Enums(Colour),
  // Numbers.
  int: Schema.Int,
  "int as a filter": Schema.Number.pipe(Schema.int()),
  finite: Schema.Finite,
  positive: Schema.Positive,
  negative: Schema.Negative,
  nonPositive: Schema.NonPositive,
  nonNegative: Schema.NonNegative,
  nonNegativeInt: Schema.NonNegativeInt,
  "a positive int": Schema.Int.pipe(Schema.positive()),
  "int with limits": Schema.Int.pipe(Schema.between(1, 10)),
  "limits, then int": Schema.Number.pipe(Schema.between(1, 10), Schema.int()),
  "exclusive limits": Schema.Number.pipe(Schema.greaterThan(0.5), Schema.lessThan(9.5)),
  "inclusive limits": Schema.Number.pipe(Schema.greaterThanOrEqualTo(-1), Schema.lessThanOrEqualTo(1)),
  multipleOf: Schema.Number.pipe(Schema.multipleOf(0.5)),
  "two lower limits": Schema.Number.pipe(Schema.greaterThanOrEqualTo(5), Schema.greaterThanOrEqualTo(1)),
  // Texts.
  nonEmptyString: Schema.NonEmptyString,
  nonEmptyTrimmedString: Schema.NonEmptyTrimmedString,
  char: Schema.Char,
  minLength: Schema.String.pipe(Schema.minLength(3)),
  maxLength: Schema.String.pipe(Schema.maxLength(30)),
  lengths: Schema.String.pipe(Schema.minLength(2), Schema.maxLength(5)),
  length: Schema.String.pipe(Schema.length(4)),
  "length from to": Schema.String.pipe(Schema.length({ min: 2, max: 4 })),
  pattern: Schema.String.pipe(Schema.pattern(/^[A-Z]{3}-\d{4}$/)),
  "pattern with a flag": Schema.String.pipe(Schema.pattern(/^[a-z]+$/i)),
  "two patterns": Schema.String.pipe(Schema.pattern(/^a/), Schema.pattern(/z$/)),
  startsWith: Schema.String.pipe(Schema.startsWith("https://a.b/")),
  endsWith: Schema.String.pipe(Schema.endsWith(".ts")),
  includes: Schema.String.pipe(Schema.includes("C++")),
  trimmed: Schema.Trimmed,
  lowercased: Schema.Lowercased,
  uppercased: Schema.Uppercased,
  capitalized: Schema.Capitalized,
  uncapitalized: Schema.Uncapitalized,
  uuid: Schema.UUID,
  ulid: Schema.ULID,
  "a template literal": Schema.TemplateLiteral("item-", Schema.Number, "/", Schema.Literal("a", "b.c"), Schema.String),
  // Lists.
  array: Schema.Array(Schema.String),
  "array with limits": Schema.Array(Schema.Number).pipe(Schema.minItems(1), Schema.maxItems(3)),
  itemsCount: Schema.Array(Schema.Number).pipe(Schema.itemsCount(2)),
  nonEmptyArray: Schema.NonEmptyArray(Schema.String),
  tuple: Schema.Tuple(Schema.String, Schema.Number),
  "tuple with an optional element": Schema.Tuple(Schema.String, Schema.optionalElement(Schema.Number)),
  "tuple with a rest": Schema.Tuple([Schema.String], Schema.Number),
  "an empty tuple": Schema.Tuple(),
  // Objects.
  struct: Schema.Struct({ a: Schema.String, b: Schema.Number }),
  "an empty struct": Schema.Struct({}),
  nested: Schema.Struct({ a: Schema.Struct({ b: Schema.Array(Schema.Struct({ c: Schema.Int })) }) }),
  optional: Schema.Struct({ a: Schema.optional(Schema.String), b: Schema.optional(Schema.NullOr(Schema.Int)) }),
  "exactly optional": Schema.Struct({ a: Schema.optionalWith(Schema.String, { exact: true }) }),
  "with a default": Schema.Struct({
    a: Schema.optionalWith(Schema.Int, { default: () => 1 }),
    b: Schema.optionalWith(Schema.Array(Schema.String).annotations({ description: "The tags." }), {
      default: () => []
    }),
    c: Schema.optionalWith(Schema.NumberFromString, { exact: true, default: () => 3 }),
    d: Schema.optionalWith(Money, { default: () => ({ amount: 1, currency: "EUR" as const }) })
  }),
  nullOr: Schema.Struct({ a: Schema.NullOr(Schema.String), b: Schema.NullOr(Money) }),
  nullishOr: Schema.Struct({ a: Schema.NullishOr(Schema.String) }),
  undefinedOr: Schema.Struct({ a: Schema.UndefinedOr(Schema.String) }),
  "a required property after an optional one": Schema.Struct({ a: Schema.optional(Schema.Int), b: Schema.Int }),
  record: Schema.Record({ key: Schema.String, value: Schema.Number }),
  "record of literals": Schema.Record({ key: Schema.Literal("a", "b"), value: Schema.Number }),
  "record of a template": Schema.Record({ key: Schema.TemplateLiteral("x-", Schema.String), value: Schema.Number }),
  "record of a pattern": Schema.Record({
    key: Schema.String.pipe(Schema.pattern(/^[a-z]+$/)),
    value: Schema.Number
  }),
  "record of undefined": Schema.Record({ key: Schema.String, value: Schema.UndefinedOr(Schema.Number) }),
  "struct with a record": Schema.Struct(
    { a: Schema.String },
    Schema.Record({ key: Schema.String, value: Schema.String })
  ),
  extended: Schema.extend(Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.Int })),
  picked: Schema.Struct({ a: Schema.String, b: Schema.Int }).pick("a"),
  omitted: Schema.Struct({ a: Schema.String, b: Schema.Int }).omit("a"),
  "other names of keys": Schema.Struct({
    ownName: Schema.propertySignature(Schema.String).pipe(Schema.fromKey("own_name"))
  }),
  // Unions.
  union: Schema.Union(Schema.String, Schema.Number),
  "union of literals and others": Schema.Union(Schema.Literal("auto"), Schema.Number, Schema.Literal("none")),
  "union with any": Schema.Union(Schema.String, Schema.Unknown),
  discriminated: Schema.Union(Circle, Square),
  "discriminated by literals": Schema.Union(
    Schema.Struct({ kind: Schema.Literal("a", "b"), x: Schema.Int }),
    Schema.Struct({ kind: Schema.Literal("c"), y: Schema.optional(Schema.String) })
  ),
  // Decoded from another form.
  date: Schema.Date,
  dateFromString: Schema.DateFromString,
  dateTimeUtc: Schema.DateTimeUtc,
  numberFromString: Schema.NumberFromString,
  booleanFromString: Schema.BooleanFromString,
  bigint: Schema.BigInt,
  bigDecimal: Schema.BigDecimal,
  url: Schema.URL,
  trim: Schema.Trim,
  bytes: Schema.Uint8ArrayFromBase64,
  "bytes in hex": Schema.Uint8ArrayFromHex,
  "text from base64": Schema.StringFromBase64,
  "text from hex": Schema.StringFromHex,
  parseJson: Schema.parseJson(),
  "parseJson of a struct": Schema.parseJson(Schema.Struct({ a: Schema.Int })),
  "parseJson in a struct": Schema.Struct({ json: Schema.parseJson(Schema.Struct({ a: Schema.Int })) }),
  transformed: Schema.transform(Schema.String.annotations({ description: "Words." }), Schema.Array(Schema.String), {
    decode: (text): ReadonlyArray<string> => text.split(" "),
    encode: (words) => words.join(" ")
  }),
  composed: Schema.compose(Schema.Trim, Schema.NonEmptyString),
  "filtered after decoding": Schema.NumberFromString.pipe(Schema.int(), Schema.positive()),
  optionFromNullOr: Schema.OptionFromNullOr(Schema.String),
  class: Place,
  "a class of classes": Order,
  brand: UserId,
  // Filters of users.
  filter: Schema.String.pipe(Schema.filter((text) => text !== "no")),
  "filter with a message": Schema.String.pipe(Schema.filter((text) => text !== "no" || "Do not say no.")),
  "filter with annotations": Schema.String.pipe(
    Schema.filter((text) => text !== "no", {
      title: "Yes",
      description: "anything but no",
      jsonSchema: { not: { const: "no" } }
    })
  ),
  "filter of a struct": Schema.Struct({ from: Schema.Int, to: Schema.Int }).pipe(
    Schema.filter(({ from, to }) => from <= to || "from is after to")
  ),
  // Recursive.
  recursive: Comment,
  "recursive in a struct": Schema.Struct({ first: Comment, rest: Schema.Array(Comment) }),
  // Annotations.
  annotated: Schema.String.annotations({ title: "Name", description: "The name.", examples: ["Ada"], default: "Bob" }),
  "annotated filter": Schema.String.pipe(Schema.minLength(2), Schema.maxLength(5)).annotations({
    description: "Short."
  }),
  "annotated before a filter": Schema.String.annotations({ description: "A word." }).pipe(Schema.minLength(2)),
  "annotations of a filter": Schema.Number.pipe(Schema.greaterThan(1, { description: "Much.", title: "Count" })),
  "annotated int": Schema.Int.annotations({ description: "How many." }),
  "annotated date": Schema.Date.annotations({ description: "The day.", examples: [new Date(0)] }),
  "annotated struct": Money,
  "annotated properties": Schema.Struct({
    a: Schema.propertySignature(Money).annotations({ description: "The price." }),
    b: Schema.optional(Schema.String.annotations({ description: "A note." })),
    c: Schema.optional(Schema.Int).annotations({ description: "A count." }),
    d: Schema.Array(Money).annotations({ description: "Others." })
  }),
  "annotated union": Schema.Union(Schema.String, Schema.Number).annotations({ description: "Either." }),
  "annotated literal": Schema.Literal("a", "b").annotations({ description: "One of both." }),
  "annotated array": Schema.Array(Schema.String.annotations({ description: "A tag." })).annotations({ title: "Tags" }),
  "jsonSchema of its own": Schema.String.annotations({ jsonSchema: { type: "string", format: "email" } }),
  "jsonSchema beside": Schema.String.annotations({ jsonSchema: { format: "email" } }),
  "jsonSchema of a value": Schema.DateFromSelf.annotations({ jsonSchema: { type: "string", format: "date" } })
}

/** Schemas whose values differ between the versions of Effect after decoding. */
export const decodedApart: ReadonlySet<string> = new Set([
  // Effect 4 makes `undefined` of any value.
  "void",
  // It takes no UUID of an unknown version, and no invalid date.
  "uuid",
  "dateFromString",
  // Of a text without a number it makes NaN.
  "numberFromString",
  "filtered after decoding",
  "with a default",
  // Not values of JSON.
  "jsonSchema of a value",
  // Other texts are numbers, addresses and bytes.
  "bigint",
  "bigDecimal",
  "url",
  "bytes",
  "bytes in hex",
  "text from base64",
  "text from hex"
])
