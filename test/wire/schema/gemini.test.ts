import { describe, expect, it } from "@effect/vitest"
import { cleanSchema, fromOpenApi } from "../../../src/wire/schema/gemini.js"

describe("cleanSchema of Gemini", () => {
  it("keeps every keyword that Gemini documents, at any depth", () => {
    const schema = {
      $id: "city",
      $defs: { name: { type: "string", title: "Name", description: "Its name." } },
      type: ["object", "null"],
      properties: {
        name: { $ref: "#/$defs/name" },
        size: { type: "number", minimum: 0, maximum: 9.5 },
        kind: { type: "string", enum: ["a", "b"], format: "date" },
        tags: { type: "array", items: { type: "string" }, minItems: 1, maxItems: 3 },
        pair: { type: "array", prefixItems: [{ type: "string" }, { type: "integer" }] },
        either: { anyOf: [{ type: "string" }, { oneOf: [{ type: "null" }] }] }
      },
      required: ["name"],
      propertyOrdering: ["name", "size"],
      additionalProperties: false
    }
    expect(cleanSchema(schema)).toEqual(schema)
  })
  it("drops unsupported keywords but not properties of that name", () => {
    expect(
      cleanSchema({
        $schema: "https://json-schema.org/draft/2020-12/schema",
        $comment: "mine",
        type: "object",
        default: {},
        examples: [{}],
        patternProperties: {},
        properties: {
          pattern: { type: "string", pattern: "^a", minLength: 1, maxLength: 2, default: "a" },
          default: { type: "array", uniqueItems: true, items: { type: "number", multipleOf: 2 } }
        },
        additionalProperties: { type: "string", contentEncoding: "base64" }
      })
    ).toEqual({
      type: "object",
      properties: { pattern: { type: "string" }, default: { type: "array", items: { type: "number" } } },
      additionalProperties: { type: "string" }
    })
  })
  it("rewrites a const to an enum or to its type", () => {
    expect(cleanSchema({ const: "a" })).toEqual({ type: "string", enum: ["a"] })
    expect(cleanSchema({ type: "integer", const: 3 })).toEqual({ type: "integer", enum: [3] })
    expect(cleanSchema({ const: true })).toEqual({ type: "boolean" })
    expect(cleanSchema({ const: null })).toEqual({ type: "null" })
    expect(cleanSchema({ const: { a: 1 } })).toEqual({})
  })
  it("rewrites exclusive bounds of integers to inclusive ones and drops those of numbers", () => {
    expect(cleanSchema({ type: "integer", exclusiveMinimum: 0, exclusiveMaximum: 10 })).toEqual({
      type: "integer",
      minimum: 1,
      maximum: 9
    })
    expect(cleanSchema({ type: "integer", exclusiveMinimum: 0.5, minimum: 5 })).toEqual({ type: "integer", minimum: 5 })
    expect(cleanSchema({ type: "number", exclusiveMinimum: 0 })).toEqual({ type: "number" })
  })
  it("moves definitions to $defs and rewrites their references", () => {
    expect(
      cleanSchema({ definitions: { a: { type: "string" } }, properties: { a: { $ref: "#/definitions/a" } } })
    ).toEqual({ $defs: { a: { type: "string" } }, properties: { a: { $ref: "#/$defs/a" } } })
  })
  it("drops the siblings of a $ref and merges allOf", () => {
    expect(cleanSchema({ $ref: "#/$defs/a", description: "An a.", type: "string" })).toEqual({ $ref: "#/$defs/a" })
    expect(cleanSchema({ allOf: [{ $ref: "#/$defs/a" }], description: "An a." })).toEqual({ $ref: "#/$defs/a" })
    expect(cleanSchema({ allOf: [{ type: "string", pattern: "a" }], description: "An a." })).toEqual({
      type: "string",
      description: "An a."
    })
    expect(cleanSchema({ allOf: [{ type: "string" }, { enum: ["a"] }, true] })).toEqual({ type: "string", enum: ["a"] })
    const object = (name: string) => ({ type: "object", properties: { [name]: { type: "string" } }, required: [name] })
    expect(cleanSchema({ allOf: [object("a"), object("b"), { $ref: "#/$defs/c" }] })).toEqual({
      type: "object",
      properties: { a: { type: "string" }, b: { type: "string" } },
      required: ["a", "b"]
    })
  })
})

describe("fromOpenApi", () => {
  it("converts types in capitals and nullable to JSON Schema", () => {
    expect(
      fromOpenApi({
        type: "OBJECT",
        properties: {
          type: { type: "STRING", nullable: true },
          list: { type: "ARRAY", items: { type: "INTEGER" } },
          either: { anyOf: [{ type: "NUMBER" }, { type: "NULL" }] }
        },
        required: ["type"]
      })
    ).toEqual({
      type: "object",
      properties: {
        type: { type: ["string", "null"] },
        list: { type: "array", items: { type: "integer" } },
        either: { anyOf: [{ type: "number" }, { type: "null" }] }
      },
      required: ["type"]
    })
  })
})
