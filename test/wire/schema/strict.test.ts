import { describe, expect, it } from "@effect/vitest"
import { FastCheck, JSONSchema, Schema } from "effect"
import { strictSchema } from "../../../src/wire/schema/strict.js"

type Json = Readonly<Record<string, unknown>>

const object = (properties: Json, required: ReadonlyArray<string> = Object.keys(properties)): Json => ({
  type: "object",
  properties,
  required,
  additionalProperties: false
})

const string = { type: "string" }
const nothing = { type: "null" }

const property = (schema: Json, required: boolean): unknown =>
  strictSchema({ type: "object", properties: { it: schema }, required: required ? ["it"] : [] })?.["properties"]

describe("a schema in strict mode", () => {
  it("is closed, at every depth", () => {
    expect(
      strictSchema({
        type: "object",
        properties: { inner: { type: "object", properties: { deep: string }, required: ["deep"] } },
        required: ["inner"]
      })
    ).toEqual(object({ inner: object({ deep: string }) }))
  })
  it("requires every property", () => {
    expect(strictSchema({ type: "object", properties: { a: string, b: string }, required: ["a", "b"] })).toEqual(
      object({ a: string, b: string })
    )
  })
  it("takes an object schema without properties for a function without parameters", () => {
    expect(strictSchema({ type: "object" })).toEqual(object({}))
    expect(strictSchema({ type: "object", properties: {} })).toEqual(object({}))
  })
  it("reaches into lists, unions and definitions", () => {
    const open = { type: "object", properties: { a: string }, required: ["a"] }
    expect(
      strictSchema({
        type: "object",
        properties: {
          list: { type: "array", items: open },
          union: { anyOf: [open, string] },
          either: { oneOf: [open, string] },
          shared: { $ref: "#/$defs/Shared" }
        },
        required: ["list", "union", "either", "shared"],
        $defs: { Shared: open }
      })
    ).toEqual({
      ...object({
        list: { type: "array", items: object({ a: string }) },
        union: { anyOf: [object({ a: string }), string] },
        either: { anyOf: [object({ a: string }), string] },
        shared: { $ref: "#/$defs/Shared" }
      }),
      $defs: { Shared: object({ a: string }) }
    })
  })
  it("has its own root where that was a reference", () => {
    const node = object({ next: { anyOf: [{ $ref: "#/$defs/Node" }, nothing] } })
    expect(
      strictSchema({
        $schema: "http://json-schema.org/draft-07/schema#",
        $ref: "#/$defs/Node",
        $defs: { Node: { type: "object", properties: { next: { $ref: "#/$defs/Node" } } } }
      })
    ).toEqual({ ...node, $defs: { Node: node } })
  })
  it("keeps what strict mode knows and leaves out hints that it refuses", () => {
    expect(
      property(
        { type: "string", format: "uri", default: "x", examples: ["y"], minLength: 1, description: "d", "x-order": 1 },
        true
      )
    ).toEqual({ it: { type: "string", minLength: 1, description: "d" } })
    expect(property({ type: "string", format: "date-time", pattern: "^a$" }, true)).toEqual({
      it: { type: "string", format: "date-time", pattern: "^a$" }
    })
  })
  it("says the type of listed values", () => {
    expect(property({ enum: ["a", "b"] }, true)).toEqual({ it: { enum: ["a", "b"], type: "string" } })
    expect(property({ const: 1 }, true)).toEqual({ it: { const: 1, type: "number" } })
    expect(property({ enum: ["a", null] }, true)).toEqual({ it: { enum: ["a", null], type: ["string", "null"] } })
  })
  it("keeps words beside a reference without putting them beside it", () => {
    expect(
      strictSchema({
        type: "object",
        properties: { a: { $ref: "#/definitions/A", description: "d" } },
        required: ["a"],
        definitions: { A: string }
      })
    ).toEqual({
      ...object({ a: { description: "d", anyOf: [{ $ref: "#/definitions/A" }] } }),
      definitions: { A: string }
    })
  })
  it("resolves an intersection of one", () => {
    expect(property({ description: "d", allOf: [string] }, true)).toEqual({ it: { type: "string", description: "d" } })
  })
})

describe("an optional property becomes nullable", () => {
  it("by its type, where that is a plain one", () => {
    expect(property({ type: "string", description: "d" }, false)).toEqual({
      it: { type: ["string", "null"], description: "d" }
    })
    expect(property({ type: ["string", "integer"] }, false)).toEqual({ it: { type: ["string", "integer", "null"] } })
  })
  it("by a union, where its values are bounded", () => {
    expect(property({ type: "string", enum: ["a", "b"], description: "d" }, false)).toEqual({
      it: { description: "d", anyOf: [{ type: "string", enum: ["a", "b"] }, nothing] }
    })
    expect(property({ type: "object", properties: { a: string } }, false)).toEqual({
      it: { anyOf: [object({ a: { type: ["string", "null"] } }), nothing] }
    })
    expect(property({ type: "array", items: string }, false)).toEqual({
      it: { anyOf: [{ type: "array", items: string }, nothing] }
    })
  })
  it("by one more branch, where it is a union", () => {
    expect(property({ anyOf: [string, { type: "number" }] }, false)).toEqual({
      it: { anyOf: [string, { type: "number" }, nothing] }
    })
  })
  it("and stays as it is where it is nullable already", () => {
    expect(property({ type: ["string", "null"] }, false)).toEqual({ it: { type: ["string", "null"] } })
    expect(property({ anyOf: [string, nothing] }, false)).toEqual({ it: { anyOf: [string, nothing] } })
  })
  it("also where null is of its type, but not among its values", () => {
    expect(property({ type: ["string", "null"], enum: ["a"] }, false)).toEqual({
      it: { anyOf: [{ type: ["string", "null"], enum: ["a"] }, nothing] }
    })
  })
})

describe("a schema that strict mode cannot say is told apart", () => {
  const cases: ReadonlyArray<readonly [string, Json]> = [
    ["a map", { type: "object", properties: {}, additionalProperties: string }],
    ["an open object", { type: "object", properties: { a: string }, additionalProperties: true }],
    ["an object that says nothing, further in", object({ a: { type: "object" } })],
    ["anything at all, further in", object({ a: {} })],
    ["a list of anything", object({ a: { type: "array" } })],
    ["a tuple", object({ a: { type: "array", items: [string] } })],
    ["patterns of names", { type: "object", properties: {}, patternProperties: { "^a": string } }],
    ["an intersection of several", object({ a: { allOf: [string, { minLength: 1 }] } })],
    ["a negation", object({ a: { type: "string", not: { const: "a" } } })],
    ["a condition", { ...object({ a: string }), if: {}, else: {} }],
    ["a union as the root", { anyOf: [object({ a: string }), object({ b: string })] }],
    ["a list as the root", { type: "array", items: string }],
    ["a reference out of the document", object({ a: { $ref: "https://example.com/schema" } })],
    ["a reference to nothing", object({ a: { $ref: "#/$defs/Missing" } })],
    ["a requirement of what is no property", object({ a: string }, ["a", "b"])],
    ["a pattern that looks around", object({ a: { type: "string", pattern: "(?=a)b" } })],
    ["a reference to itself", { $ref: "#" }],
    ["an open definition", { ...object({ a: { $ref: "#/$defs/A" } }), $defs: { A: { type: "object" } } }],
    ["both kinds of union", object({ a: { anyOf: [string], oneOf: [string] } })]
  ]
  for (const [name, schema] of cases) {
    it(name, () => expect(strictSchema(schema)).toBeUndefined())
  }
})

// -------------------------------------------------------------------------------------
// laws
// -------------------------------------------------------------------------------------

const { node } = FastCheck.letrec<{ node: Json; object: Json }>((tie) => ({
  object: FastCheck.uniqueArray(FastCheck.tuple(FastCheck.string({ maxLength: 4 }), FastCheck.boolean(), tie("node")), {
    maxLength: 3,
    selector: ([name]) => name
  }).map((properties) => ({
    type: "object",
    properties: Object.fromEntries(properties.map(([name, , schema]) => [name, schema])),
    required: properties.filter(([, required]) => required).map(([name]) => name)
  })),
  node: FastCheck.oneof(
    { depthSize: "small", withCrossShrink: true },
    FastCheck.constantFrom<Json>(
      { type: "string", description: "d", default: "" },
      { type: ["integer", "null"] },
      { type: "string", enum: ["a", "b"] },
      { const: true },
      { $ref: "#/$defs/Leaf" },
      { $ref: "#", title: "t" }
    ),
    tie("node").map((items) => ({ type: "array", items })),
    FastCheck.array(tie("node"), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
    tie("object")
  )
}))

const root = FastCheck.dictionary(FastCheck.string({ maxLength: 4 }), node, { maxKeys: 4 }).chain((properties) =>
  FastCheck.subarray(Object.keys(properties)).map((required) => ({
    type: "object",
    properties,
    required,
    $defs: { Leaf: { type: "object", properties: { a: string } } }
  }))
)

const frozen = <A>(value: A): A => {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(frozen)
  return value
}

/** Every schema in it that is one of an object. */
const objectsIn = (value: unknown): ReadonlyArray<Json> =>
  typeof value !== "object" || value === null
    ? []
    : [
        ...("properties" in value && "type" in value && value.type === "object" ? [{ ...value }] : []),
        ...Object.values(value).flatMap(objectsIn)
      ]

describe("whatever the schema", () => {
  it.prop("every object is closed and requires all of its properties", [root], ([schema]) => {
    const strict = strictSchema(frozen(schema))
    expect(strict).toBeDefined()
    for (const found of objectsIn(strict)) {
      expect(found["additionalProperties"]).toBe(false)
      expect(found["required"]).toEqual(Object.keys(found["properties"] ?? {}))
    }
  })
  it.prop("doing it twice changes nothing", [root], ([schema]) => {
    const once = strictSchema(schema)
    expect(once === undefined ? undefined : strictSchema(once)).toEqual(once)
  })
  it("what Effect writes of a schema is understood", () => {
    class Address extends Schema.Class<Address>("Address")({ city: Schema.NonEmptyString }) {}
    const written: Json = {
      ...JSONSchema.make(
        Schema.Struct({
          home: Address,
          age: Schema.optionalWith(Schema.Int, { exact: true }),
          tags: Schema.Array(Schema.Literal("a", "b")),
          note: Schema.NullOr(Schema.String)
        })
      )
    }
    const strict = strictSchema(written)
    expect(strict?.["required"]).toEqual(["home", "age", "tags", "note"])
    expect(
      strictSchema({
        ...JSONSchema.make(Schema.Struct({ m: Schema.Record({ key: Schema.String, value: Schema.String }) }))
      })
    ).toBeUndefined()
  })
})
