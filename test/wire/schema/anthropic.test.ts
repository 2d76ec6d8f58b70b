import { describe, expect, it } from "@effect/vitest"
import { JSONSchema, Schema } from "effect"
import { outputSchema } from "../../../src/wire/schema/anthropic.js"

describe("a schema that an answer is held to", () => {
  it("is closed, wherever there is an object in it", () => {
    const point = { type: "object", properties: { x: { type: "number" } } }
    const closed = { ...point, additionalProperties: false }
    expect(
      outputSchema({
        properties: { a: point, list: { type: "array", items: point }, either: { anyOf: [point, { type: "null" }] } },
        $defs: { point },
        additionalProperties: true
      })
    ).toEqual({
      properties: { a: closed, list: { type: "array", items: closed }, either: { anyOf: [closed, { type: "null" }] } },
      $defs: { point: closed },
      additionalProperties: false
    })
  })
  it("tells in words what the API refuses as a constraint", () => {
    expect(outputSchema({ type: "string", description: "A name.", minLength: 1, maxLength: 9 })).toEqual({
      type: "string",
      description: "A name. (minLength: 1, maxLength: 9)"
    })
    expect(outputSchema({ type: "array", items: {}, minItems: 2 })).toEqual({
      type: "array",
      items: {},
      description: "minItems: 2"
    })
    expect(outputSchema({ type: "string", format: "color" })).toEqual({
      type: "string",
      description: 'format: "color"'
    })
  })
  it("keeps what the API takes", () => {
    const fine = { type: "array", minItems: 1, items: { type: "string", format: "email", enum: ["a", "b"] } }
    expect(outputSchema(fine)).toEqual(fine)
  })
  it("takes names of properties for what they are, even where they are those of constraints", () => {
    const properties = { minimum: { type: "number" }, format: { type: "string" }, oneOf: { const: 1 } }
    expect(outputSchema({ type: "object", properties })).toEqual({
      type: "object",
      properties,
      additionalProperties: false
    })
  })
  it("has alternatives under the one name that is known", () => {
    expect(
      outputSchema({
        oneOf: [
          { type: "string", pattern: "^a" },
          { type: "integer", minimum: 0 }
        ]
      })
    ).toEqual({
      anyOf: [
        { type: "string", pattern: "^a" },
        { type: "integer", description: "minimum: 0" }
      ]
    })
  })
  it("is none where the names of an object are open: closed, it would be another one", () => {
    const map = { type: "object", additionalProperties: { type: "number" } }
    expect(outputSchema(map)).toBeUndefined()
    expect(outputSchema({ type: "array", items: { patternProperties: { "^a": {} } } })).toBeUndefined()
    expect(
      outputSchema({ ...JSONSchema.make(Schema.Record({ key: Schema.String, value: Schema.Int })) })
    ).toBeUndefined()
    expect(outputSchema({ type: "object", additionalProperties: true })).toEqual({
      type: "object",
      additionalProperties: false
    })
  })
  it("keeps alternatives of both kinds as they are, for the API to judge", () => {
    const both = { anyOf: [{ const: 1 }], oneOf: [{ const: 1 }] }
    expect(outputSchema(both)).toEqual(both)
  })
  it("may come from Effect", () => {
    const Person = Schema.Struct({ name: Schema.NonEmptyString, age: Schema.optional(Schema.Int) })
    expect(outputSchema({ ...JSONSchema.make(Person) })).toMatchObject({
      type: "object",
      required: ["name"],
      additionalProperties: false
    })
    expect(outputSchema({ ...JSONSchema.make(Person) })).not.toHaveProperty("$schema")
  })
})
