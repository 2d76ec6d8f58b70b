import { describe, expect, it } from "@effect/vitest"
import { JSONSchema, Schema } from "effect"
import * as FastCheck from "fast-check"
import { strictSchema } from "../../../src/wire/schema/strict.js"

type Json = Readonly<Record<string, unknown>>

const object = (properties: Json, required: ReadonlyArray<string> = Object.keys(properties)): Json => ({
  type: "object",
  properties,
  required,
  additionalProperties: false
})

const string = { type: "string" }
const nullType = { type: "null" }

const property = (schema: Json, required: boolean): unknown =>
  strictSchema({ type: "object", properties: { it: schema }, required: required ? ["it"] : [] })?.["properties"]

describe("strictSchema", () => {
  it("closes objects at every depth", () => {
    expect(
      strictSchema({
        type: "object",
        properties: { inner: { type: "object", properties: { deep: string }, required: ["deep"] } },
        required: ["inner"]
      })
    ).toEqual(object({ inner: object({ deep: string }) }))
  })
  it("lists every property as required", () => {
    expect(strictSchema({ type: "object", properties: { a: string, b: string }, required: ["a", "b"] })).toEqual(
      object({ a: string, b: string })
    )
  })
  it("rewrites an object schema without properties to one without parameters", () => {
    expect(strictSchema({ type: "object" })).toEqual(object({}))
    expect(strictSchema({ type: "object", properties: {} })).toEqual(object({}))
  })
  it("rewrites list items, unions and definitions", () => {
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
  it("replaces a root reference by its definition", () => {
    const node = object({ next: { anyOf: [{ $ref: "#/$defs/Node" }, nullType] } })
    expect(
      strictSchema({
        $schema: "http://json-schema.org/draft-07/schema#",
        $ref: "#/$defs/Node",
        $defs: { Node: { type: "object", properties: { next: { $ref: "#/$defs/Node" } } } }
      })
    ).toEqual({ ...node, $defs: { Node: node } })
  })
  it("drops unsupported keywords and keeps supported ones", () => {
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
  it("adds the type of enum and const values", () => {
    expect(property({ enum: ["a", "b"] }, true)).toEqual({ it: { enum: ["a", "b"], type: "string" } })
    expect(property({ const: 1 }, true)).toEqual({ it: { const: 1, type: "number" } })
    expect(property({ enum: ["a", null] }, true)).toEqual({ it: { enum: ["a", null], type: ["string", "null"] } })
  })
  it("moves the description next to a $ref into an anyOf wrapper", () => {
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
  it("merges an allOf with one schema", () => {
    expect(property({ description: "d", allOf: [string] }, true)).toEqual({ it: { type: "string", description: "d" } })
  })
})

describe("strictSchema: optional properties", () => {
  it("adds null to the type of an optional property with a plain type", () => {
    expect(property({ type: "string", description: "d" }, false)).toEqual({
      it: { type: ["string", "null"], description: "d" }
    })
    expect(property({ type: ["string", "integer"] }, false)).toEqual({ it: { type: ["string", "integer", "null"] } })
  })
  it("wraps an optional enum, object or list in an anyOf with null", () => {
    expect(property({ type: "string", enum: ["a", "b"], description: "d" }, false)).toEqual({
      it: { description: "d", anyOf: [{ type: "string", enum: ["a", "b"] }, nullType] }
    })
    expect(property({ type: "object", properties: { a: string } }, false)).toEqual({
      it: { anyOf: [object({ a: { type: ["string", "null"] } }), nullType] }
    })
    expect(property({ type: "array", items: string }, false)).toEqual({
      it: { anyOf: [{ type: "array", items: string }, nullType] }
    })
  })
  it("adds null to the anyOf of an optional union", () => {
    expect(property({ anyOf: [string, { type: "number" }] }, false)).toEqual({
      it: { anyOf: [string, { type: "number" }, nullType] }
    })
  })
  it("keeps an optional property that is already nullable", () => {
    expect(property({ type: ["string", "null"] }, false)).toEqual({ it: { type: ["string", "null"] } })
    expect(property({ anyOf: [string, nullType] }, false)).toEqual({ it: { anyOf: [string, nullType] } })
  })
  it("wraps an optional nullable enum whose values lack null", () => {
    expect(property({ type: ["string", "null"], enum: ["a"] }, false)).toEqual({
      it: { anyOf: [{ type: ["string", "null"], enum: ["a"] }, nullType] }
    })
  })
})

describe("strictSchema: unsupported schemas", () => {
  const cases: ReadonlyArray<readonly [string, Json]> = [
    ["a map", { type: "object", properties: {}, additionalProperties: string }],
    ["an open object", { type: "object", properties: { a: string }, additionalProperties: true }],
    ["a nested object without properties", object({ a: { type: "object" } })],
    ["a property without a type", object({ a: {} })],
    ["a list without an item type", object({ a: { type: "array" } })],
    ["a tuple", object({ a: { type: "array", items: [string] } })],
    ["patternProperties", { type: "object", properties: {}, patternProperties: { "^a": string } }],
    ["an allOf of several schemas", object({ a: { allOf: [string, { minLength: 1 }] } })],
    ["a negation", object({ a: { type: "string", not: { const: "a" } } })],
    ["a condition", { ...object({ a: string }), if: {}, else: {} }],
    ["a union as the root", { anyOf: [object({ a: string }), object({ b: string })] }],
    ["a list as the root", { type: "array", items: string }],
    ["a reference to another document", object({ a: { $ref: "https://example.com/schema" } })],
    ["a reference to a missing definition", object({ a: { $ref: "#/$defs/Missing" } })],
    ["a required name without a property", object({ a: string }, ["a", "b"])],
    ["a pattern with a lookahead", object({ a: { type: "string", pattern: "(?=a)b" } })],
    ["a reference to itself", { $ref: "#" }],
    ["an open definition", { ...object({ a: { $ref: "#/$defs/A" } }), $defs: { A: { type: "object" } } }],
    ["a property with anyOf and oneOf", object({ a: { anyOf: [string], oneOf: [string] } })]
  ]
  for (const [name, schema] of cases) {
    it(`returns undefined for ${name}`, () => expect(strictSchema(schema)).toBeUndefined())
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

/** All object schemas inside a value. */
const objectsIn = (value: unknown): ReadonlyArray<Json> =>
  typeof value !== "object" || value === null
    ? []
    : [
        ...("properties" in value && "type" in value && value.type === "object" ? [{ ...value }] : []),
        ...Object.values(value).flatMap(objectsIn)
      ]

describe("strictSchema laws", () => {
  it.prop("every object of a strict schema is closed and requires all of its properties", [root], ([schema]) => {
    const strict = strictSchema(frozen(schema))
    expect(strict).toBeDefined()
    for (const objectSchema of objectsIn(strict)) {
      expect(objectSchema["additionalProperties"]).toBe(false)
      expect(objectSchema["required"]).toEqual(Object.keys(objectSchema["properties"] ?? {}))
    }
  })
  it.prop("rewriting a strict schema again changes nothing", [root], ([schema]) => {
    const once = strictSchema(schema)
    expect(once === undefined ? undefined : strictSchema(once)).toEqual(once)
  })
  it("rewrites a schema that Effect generated, and returns undefined for one with a record", () => {
    class Address extends Schema.Class<Address>("Address")({ city: Schema.NonEmptyString }) {}
    const effectSchema: Json = {
      ...JSONSchema.make(
        Schema.Struct({
          home: Address,
          age: Schema.optionalWith(Schema.Int, { exact: true }),
          tags: Schema.Array(Schema.Literal("a", "b")),
          note: Schema.NullOr(Schema.String)
        })
      )
    }
    const strict = strictSchema(effectSchema)
    expect(strict?.["required"]).toEqual(["home", "age", "tags", "note"])
    expect(
      strictSchema({
        ...JSONSchema.make(Schema.Struct({ m: Schema.Record({ key: Schema.String, value: Schema.String }) }))
      })
    ).toBeUndefined()
  })
})
