import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema, SchemaTransformation } from "effect"
import { readFileSync } from "node:fs"
import { faultsOf, summary } from "../../src/internal/faults.js"
import { decoder } from "../../src/programs/tools/generated.js"
import { jsonSchemaOf } from "../../src/programs/tools/jsonSchema.js"

const written: Readonly<Record<string, unknown>> = JSON.parse(
  readFileSync(new URL("userSchemas.json", import.meta.url), "utf8")
)

type Any = Schema.Codec<unknown, unknown>

/** Schemas as users of Effect 4 write them, by the names of those for Effect 3 that say the same. */
const same: Readonly<Record<string, Any>> = {
  int: Schema.Number.check(Schema.isInt()),
  positive: Schema.Finite.check(Schema.isGreaterThan(0)),
  nonNegativeInt: Schema.Natural,
  "int with limits": Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10 })),
  "exclusive limits": Schema.Number.check(
    Schema.isBetween({ minimum: 0.5, maximum: 9.5, exclusiveMinimum: true, exclusiveMaximum: true })
  ),
  multipleOf: Schema.Number.check(Schema.isMultipleOf(0.5)),
  nonEmptyString: Schema.String.check(Schema.isMinLength(1)),
  lengths: Schema.String.check(Schema.isMinLength(2), Schema.isMaxLength(5)),
  length: Schema.String.check(Schema.isBetweenLength(4, 4)),
  pattern: Schema.String.check(Schema.isPattern(/^[A-Z]{3}-\d{4}$/)),
  startsWith: Schema.String.check(Schema.isStartingWith("https://a.b/")),
  endsWith: Schema.String.check(Schema.isEndingWith(".ts")),
  includes: Schema.String.check(Schema.isIncluding("C++")),
  trimmed: Schema.String.check(Schema.isTrimmed()),
  lowercased: Schema.String.check(Schema.isLowercased()),
  capitalized: Schema.String.check(Schema.isCapitalized()),
  uuid: Schema.String.check(Schema.isUUID()),
  ulid: Schema.String.check(Schema.isULID()),
  "a template literal": Schema.TemplateLiteral([
    "item-",
    Schema.Number,
    "/",
    Schema.Literals(["a", "b.c"]),
    Schema.String
  ]),
  "literals of one type": Schema.Literals(["a", "b"]),
  "array with limits": Schema.Array(Schema.Number).check(Schema.isBetweenLength(1, 3)),
  optional: Schema.Struct({ a: Schema.optionalKey(Schema.String), b: Schema.optionalKey(Schema.NullOr(Schema.Int)) }),
  "exactly optional": Schema.Struct({ a: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("b"))) }),
  undefinedOr: Schema.Struct({ a: Schema.UndefinedOr(Schema.String) }),
  record: Schema.Record(Schema.String, Schema.Number),
  discriminated: Schema.TaggedUnion({
    circle: { radius: Schema.Number.check(Schema.isGreaterThan(0)) },
    square: { side: Schema.Number.check(Schema.isGreaterThan(0)) }
  }),
  date: Schema.DateFromString,
  "parseJson of a struct": Schema.fromJsonString(Schema.Struct({ a: Schema.Int })),
  transformed: Schema.String.annotate({ description: "Words." }).pipe(
    Schema.decodeTo(
      Schema.Array(Schema.String),
      SchemaTransformation.transform({
        decode: (text): ReadonlyArray<string> => text.split(" "),
        encode: (words) => words.join(" ")
      })
    )
  ),
  brand: Schema.String.check(Schema.isMinLength(3)).pipe(Schema.brand("UserId")),
  "annotated int": Schema.Int.annotate({ description: "How many." }),
  "annotated before a filter": Schema.String.annotate({ description: "A word." }).check(Schema.isMinLength(2)),
  "annotated date": Schema.DateFromString.annotate({ description: "The day.", examples: [new Date(0)] }),
  "jsonSchema of its own": Schema.String.annotate({ jsonSchema: { type: "string", format: "email" } })
}

describe("the JSON Schema of a schema that is written for Effect 4", () => {
  for (const [name, schema] of Object.entries(same)) {
    it(`is that of the one for Effect 3: ${name}`, () => {
      expect(JSON.stringify(jsonSchemaOf(schema))).toBe(JSON.stringify(written[name]))
    })
  }

  it("has what Effect 3 has no schema for", () => {
    expect(jsonSchemaOf(Schema.Json)).toEqual({})
    expect(jsonSchemaOf(Schema.String.check(Schema.isUUID(4)))).toMatchObject({ type: "string", format: "uuid" })
    expect(jsonSchemaOf(Schema.Number.check(Schema.isInt32()).annotate({ description: "A count." }))).toEqual({
      type: "integer",
      minimum: -2147483648,
      maximum: 2147483647,
      description: "A count."
    })
    expect(jsonSchemaOf(Schema.UniqueArray(Schema.String))).toMatchObject({ type: "array", uniqueItems: true })
  })
})

describe("a property that JSON cannot write", () => {
  const decode = decoder(
    Schema.Struct({
      a: Schema.UndefinedOr(Schema.String),
      b: Schema.NullishOr(Schema.Int),
      c: Schema.optionalKey(Schema.Int)
    })
  )

  it.effect("is undefined where it is absent or null", () =>
    Effect.gen(function* () {
      expect(yield* decode({})).toEqual({ a: undefined, b: undefined })
      expect(yield* decode({ a: null, b: null })).toEqual({ a: undefined, b: null })
    })
  )

  it.effect("is no fault beside another one", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(decode({ c: "x" }))
      expect(summary(faultsOf(error.issue))).toBe('c: Expected number, actual "x"')
    })
  )
})
