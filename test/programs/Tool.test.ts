import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import { faultsOf, summary } from "../../src/internal/faults.js"
import * as Tool from "../../src/programs/Tool.js"

const unused = () => Effect.succeed("unused")

/** The text of the tool result for these arguments. */
const resultText = <Name extends string, Args, A, E, R>(
  tool: Tool.Tool<Name, Args, A, E, R>,
  args: Record<string, unknown>
) => Effect.flatten(tool.prepare(args))

describe("Tool.definition", () => {
  it("defines a tool by name, description and the JSON Schema of its parameters", () => {
    const tool = Tool.make("weather", {
      description: "The weather in a city.",
      parameters: {
        city: Schema.String.annotations({ description: "In English." }),
        unit: Schema.optional(Schema.Literal("C", "F"))
      },
      strict: true,
      handler: unused
    })
    expect(Tool.definition(tool)).toEqual({
      name: "weather",
      description: "The weather in a city.",
      parameters: {
        type: "object",
        properties: {
          city: { type: "string", description: "In English." },
          unit: { type: "string", enum: ["C", "F"] }
        },
        required: ["city"],
        additionalProperties: false
      },
      strict: true
    })
  })

  it("writes the same JSON Schema for fields, a struct and a class", () => {
    class Place extends Schema.Class<Place>("Place")({ city: Schema.String }) {}
    const parameters = (tool: Tool.Any) => Tool.definition(tool).parameters
    const ofFields = parameters(Tool.make("t", { parameters: { city: Schema.String }, handler: unused }))
    const struct = Schema.Struct({ city: Schema.String })
    expect(parameters(Tool.make("t", { parameters: struct, handler: unused }))).toEqual(ofFields)
    expect(parameters(Tool.make("t", { parameters: Place, handler: unused }))).toEqual(ofFields)
  })

  it("writes an empty object schema for a tool without parameters", () => {
    expect(Tool.definition(Tool.make("now", { handler: unused }))).toEqual({
      name: "now",
      parameters: { type: "object", properties: {}, additionalProperties: false }
    })
  })

  it("inlines definitions where they are used, with the description of the property", () => {
    const Price = Schema.Struct({ amount: Schema.Int }).annotations({ identifier: "a/b" })
    const { parameters } = Tool.definition(
      Tool.make("t", {
        parameters: {
          one: Price,
          many: Schema.Array(Price),
          told: Schema.propertySignature(Price).annotations({ description: "The last." })
        },
        handler: unused
      })
    )
    const inlined = {
      type: "object",
      properties: { amount: { type: "integer" } },
      required: ["amount"],
      additionalProperties: false
    }
    expect(parameters).toEqual({
      type: "object",
      properties: {
        one: inlined,
        many: { type: "array", items: inlined },
        told: { ...inlined, description: "The last." }
      },
      required: ["one", "many", "told"],
      additionalProperties: false
    })
  })

  it("keeps recursive definitions as $defs below an object at the root", () => {
    interface Category {
      readonly name: string
      readonly below: ReadonlyArray<Category>
    }
    const Category: Schema.Schema<Category> = Schema.Struct({
      name: Schema.String,
      below: Schema.Array(Schema.suspend(() => Category))
    }).annotations({ identifier: "Category" })
    const category = {
      type: "object",
      properties: { name: { type: "string" }, below: { type: "array", items: { $ref: "#/$defs/Category" } } },
      required: ["name", "below"],
      additionalProperties: false
    }
    expect(Tool.definition(Tool.make("t", { parameters: Category, handler: unused })).parameters).toEqual({
      ...category,
      $defs: { Category: category }
    })
  })

  it("treats properties named $ref, $id and allOf as properties", () => {
    const { parameters } = Tool.definition(
      Tool.make("t", { parameters: { $ref: Schema.String, $id: Schema.String, allOf: Schema.String }, handler: unused })
    )
    expect(parameters?.["properties"]).toEqual({
      $ref: { type: "string" },
      $id: { type: "string" },
      allOf: { type: "string" }
    })
  })

  it("throws when the parameters are not an object or have no JSON Schema", () => {
    expect(() => Tool.make("t", { parameters: Schema.Array(Schema.String), handler: unused })).toThrow("not an object")
    expect(() => Tool.make("t", { parameters: { at: Schema.DateFromSelf }, handler: unused })).toThrow()
  })
})

describe("Tool.prepare", () => {
  const Due = Schema.Struct({
    at: Schema.Date,
    tags: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] })
  })

  it.effect("gives decoded arguments to the handler and an encoded result to the model", () =>
    Effect.gen(function* () {
      const tool = Tool.make("postpone", {
        parameters: Due,
        success: Due,
        handler: ({ at, tags }) => Effect.succeed({ at: new Date(at.getTime() + 1000), tags: [...tags, "late"] })
      })
      expect(yield* resultText(tool, { at: "2026-01-01T00:00:00.000Z" })).toBe(
        '{"at":"2026-01-01T00:00:01.000Z","tags":["late"]}'
      )
      expect(yield* tool.handler({ at: new Date(0), tags: [] })).toEqual({ at: new Date(1000), tags: ["late"] })
    })
  )

  it.effect("gives a text result to the model without JSON quotes", () =>
    Effect.gen(function* () {
      expect(yield* resultText(Tool.make("t", { handler: () => Effect.succeed('say "hi"') }), {})).toBe('say "hi"')
      const dated = Tool.make("t", { success: Schema.Date, handler: () => Effect.succeed(new Date(0)) })
      expect(yield* resultText(dated, {})).toBe("1970-01-01T00:00:00.000Z")
      const silent = Tool.make("t", { success: Schema.Void, handler: () => Effect.void })
      expect(yield* resultText(silent, {})).toBe("null")
    })
  )

  it.effect("decodes a null that the schema rejects as an absent property, at any depth", () =>
    Effect.gen(function* () {
      const tool = Tool.make("t", {
        parameters: {
          a: Schema.optional(Schema.String),
          b: Schema.NullOr(Schema.String),
          list: Schema.Array(Schema.Struct({ c: Schema.optional(Schema.Number) }))
        },
        handler: (args) => Effect.succeed(JSON.stringify(args))
      })
      expect(yield* resultText(tool, { a: null, b: null, list: [{ c: null }, { c: 1 }] })).toBe(
        '{"b":null,"list":[{},{"c":1}]}'
      )
      const required = Tool.make("t", { parameters: { a: Schema.String }, handler: unused })
      const { issue } = yield* Effect.flip(required.prepare({ a: null }))
      expect(summary(faultsOf(issue))).toBe("a: is missing")
    })
  )

  it.effect("does not run the handler when the arguments do not decode", () =>
    Effect.gen(function* () {
      const tool = Tool.make("t", { parameters: { n: Schema.Int }, handler: () => Effect.die("reached") })
      expect((yield* Effect.flip(tool.prepare({ n: 0.5 })))._tag).toBe("ParseError")
    })
  )

  it.effect("fails with an InvalidResultError that names the path when the result does not fit its schema", () =>
    Effect.gen(function* () {
      const tool = Tool.make("t", {
        success: Schema.Struct({ items: Schema.Array(Schema.Int) }),
        handler: () => Effect.succeed({ items: [1, 0.5] })
      })
      const error = yield* Effect.flip(resultText(tool, {}))
      expect(error).toMatchObject({ _tag: "InvalidResultError", tool: "t" })
      expect(error.message).toContain("items[1]: Expected an integer, actual 0.5")
    })
  )

  it.effect("fails with an InvalidResultError when the result cannot be written as JSON", () =>
    Effect.gen(function* () {
      const tool = Tool.make("t", { success: Schema.Unknown, handler: () => Effect.succeed({ big: 1n }) })
      const error = yield* Effect.flip(resultText(tool, {}))
      expect(error).toBeInstanceOf(Tool.InvalidResultError)
      expect(error.message).toContain("BigInt")
    })
  )
})

describe("types of tools", () => {
  class Down extends Schema.TaggedError<Down>()("Down", {}) {}
  class Database extends Context.Tag("Database")<Database, string>() {}

  it("Tool.make keeps the types of arguments, results, errors and requirements", () => {
    const tool = Tool.make("lookup", {
      parameters: { id: Schema.NumberFromString, note: Schema.optional(Schema.String) },
      success: Schema.Struct({ at: Schema.Date }),
      handler: ({ id, note }) => {
        expectTypeOf(id).toEqualTypeOf<number>()
        expectTypeOf(note).toEqualTypeOf<string | undefined>()
        return Effect.flatMap(Database, () => Effect.fail(new Down()))
      }
    })
    expectTypeOf(tool.name).toEqualTypeOf<"lookup">()
    expectTypeOf<Tool.Failure<typeof tool>>().toEqualTypeOf<Down>()
    expectTypeOf<Tool.Requirements<typeof tool>>().toEqualTypeOf<Database>()
    expectTypeOf(tool).toExtend<Tool.Any>()
  })

  it("Tool.make rejects a handler whose result is not a string when there is no `success` schema", () => {
    // @ts-expect-error a number is not a string
    Tool.make("t", { handler: () => Effect.succeed(1) })
    // @ts-expect-error a string is not a number
    Tool.make("t", { success: Schema.Number, handler: () => Effect.succeed("1") })
  })
})
