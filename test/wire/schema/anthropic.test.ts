import { describe, expect, it } from "@effect/vitest"
import { JSONSchema, Schema } from "effect"
import { outputSchema } from "../../../src/wire/schema/anthropic.js"

describe("outputSchema of Anthropic", () => {
  it("closes every object of the schema", () => {
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
  it("moves unsupported keywords into the description", () => {
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
  it("keeps the supported keywords", () => {
    const fine = { type: "array", minItems: 1, items: { type: "string", format: "email", enum: ["a", "b"] } }
    expect(outputSchema(fine)).toEqual(fine)
  })
  it("keeps properties that are named like keywords", () => {
    const properties = { minimum: { type: "number" }, format: { type: "string" }, oneOf: { const: 1 } }
    expect(outputSchema({ type: "object", properties })).toEqual({
      type: "object",
      properties,
      additionalProperties: false
    })
  })
  it("rewrites oneOf to anyOf", () => {
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
  it("returns undefined for a schema with open objects, except for additionalProperties: true", () => {
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
  it("keeps a schema with both anyOf and oneOf unchanged", () => {
    const both = { anyOf: [{ const: 1 }], oneOf: [{ const: 1 }] }
    expect(outputSchema(both)).toEqual(both)
  })
  it("closes a schema that Effect generated and drops its $schema", () => {
    const Person = Schema.Struct({ name: Schema.NonEmptyString, age: Schema.optional(Schema.Int) })
    expect(outputSchema({ ...JSONSchema.make(Person) })).toMatchObject({
      type: "object",
      required: ["name"],
      additionalProperties: false
    })
    expect(outputSchema({ ...JSONSchema.make(Person) })).not.toHaveProperty("$schema")
  })
})
