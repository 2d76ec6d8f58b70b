import { describe, expect, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import { Either, Schema } from "effect"
import * as fc from "fast-check"
import { jsonSchemaOf } from "../../../src/programs/tools/jsonSchema.js"
import { mentionsOf } from "../../../src/testing/generated/text.js"
import { valueOf } from "../../../src/testing/generated/value.js"
import { outputSchema as anthropicSchema } from "../../../src/wire/schema/anthropic.js"
import { strictSchema } from "../../../src/wire/schema/strict.js"
import type { JsonSchema } from "../../../src/wire/schema/walker.js"
import type { Any } from "../../support/schemas.js"
import { schemas } from "../../support/schemas.js"

const generated = (schema: JsonSchema, prompt = ""): unknown => valueOf(schema, mentionsOf(prompt))

const prompts = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.constantFrom(
    "Invoice 7 of Ada Lovelace, due on 1 May 2026: a pen at 1.50, -3 of it.",
    'Say "yes" to Paris, then 12.'
  )
)

const document = (schema: Any): JsonSchema => jsonSchemaOf(Schema.Struct({ value: schema }))

/** The schemas that clients send for one Effect Schema. */
const sent: ReadonlyArray<readonly [string, (schema: Any) => JsonSchema | undefined]> = [
  ["its JSON Schema", document],
  ["its JSON Schema in strict form", (schema) => strictSchema(document(schema))],
  ["its JSON Schema for Anthropic", (schema) => anthropicSchema(document(schema))]
]

describe("a generated value", () => {
  for (const [form, schemaOf] of sent) {
    it.prop(
      `decodes by an Effect Schema when it is generated from ${form}`,
      [schemas, prompts],
      ([schema, prompt]) => {
        const json = schemaOf(schema)
        if (json === undefined) return
        const value = generated(json, prompt)
        const decoded = Schema.decodeUnknownEither(Schema.Struct({ value: schema }))(value)
        if (Either.isLeft(decoded)) {
          expect.fail(`${JSON.stringify(value)} of ${JSON.stringify(json)}: ${decoded.left.message}`)
        }
      },
      { fastCheck: { numRuns: 500 } }
    )
  }

  it.prop("is the same for the same schema and prompt", [schemas, prompts], ([schema, prompt]) => {
    const json = document(schema)
    expect(generated(json, prompt)).toEqual(generated(json, prompt))
  })

  const ajv = new Ajv2020({ strict: false, validateFormats: false })

  const cases: ReadonlyArray<readonly [string, JsonSchema]> = [
    ["const", { const: { a: [1] } }],
    ["enum with null", { enum: [null, "a"] }],
    ["a nullable type", { type: ["null", "integer"], minimum: 3 }],
    ["exclusive limits", { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 0.001 }],
    ["a negative range", { type: "integer", minimum: -12, maximum: -11 }],
    ["multipleOf with limits", { type: "number", multipleOf: 0.25, minimum: 7.1, maximum: 7.3 }],
    ["lengths", { type: "string", minLength: 30, maxLength: 31 }],
    ["a pattern with lengths", { type: "string", pattern: "^[a-c]+\\d*$", minLength: 7, maxLength: 9 }],
    ["a pattern with groups", { type: "string", pattern: "^(?:ab|cd){2,3}(?<last>[^a-z0-9])?\\u0041$" }],
    ["a pattern of a part", { type: "string", pattern: "\\bfoo-\\d{3}\\b" }],
    ["a pattern with letters of any script", { type: "string", pattern: "^\\p{Lu}\\p{Ll}+$" }],
    ["two patterns", { allOf: [{ type: "string", pattern: "^a" }, { pattern: "z$" }, { pattern: "^a[x-z]z$" }] }],
    [
      "allOf of objects",
      {
        allOf: [
          { type: "object", properties: { a: { type: "integer", minimum: 5 } }, required: ["a"] },
          { type: "object", properties: { a: { maximum: 5 }, b: { type: "string" } }, required: ["b"] }
        ]
      }
    ],
    [
      "anyOf beside properties",
      {
        type: "object",
        properties: { kind: { enum: ["a", "b"] }, size: { type: "integer" } },
        anyOf: [{ required: ["size"], properties: { kind: { const: "b" } } }]
      }
    ],
    [
      "oneOf with a discriminator",
      {
        oneOf: [
          { type: "object", properties: { kind: { const: "a" }, x: { type: "number" } }, required: ["kind", "x"] },
          { type: "object", properties: { kind: { const: "b" } }, required: ["kind"] }
        ]
      }
    ],
    ["an impossible alternative", { anyOf: [false, { not: {} }, { type: "boolean" }] }],
    ["an impossible optional property", { type: "object", properties: { a: false, b: { type: "null" } } }],
    [
      "required properties without a schema",
      { type: "object", required: ["a"], additionalProperties: { type: "integer" } }
    ],
    ["minProperties", { type: "object", minProperties: 3, additionalProperties: { type: "boolean" } }],
    [
      "patternProperties",
      {
        type: "object",
        minProperties: 2,
        patternProperties: { "^x-[a-z]+$": { type: "integer" } },
        additionalProperties: false
      }
    ],
    [
      "prefixItems",
      { type: "array", prefixItems: [{ type: "integer" }, { type: "string" }], items: false, minItems: 2 }
    ],
    ["unique items of an enum", { type: "array", uniqueItems: true, minItems: 3, items: { enum: ["a", "b", "c"] } }],
    ["unique numbers", { type: "array", uniqueItems: true, minItems: 4, items: { type: "integer", minimum: 9 } }],
    [
      "unique objects",
      {
        type: "array",
        uniqueItems: true,
        minItems: 3,
        items: { type: "object", properties: { id: { type: "string" } }, required: ["id"] }
      }
    ],
    [
      "a reference to the root",
      {
        type: "object",
        properties: {
          next: { anyOf: [{ $ref: "#" }, { type: "null" }] },
          all: { type: "array", items: { $ref: "#" } }
        },
        required: ["next", "all"]
      }
    ],
    [
      "a reference by a JSON Pointer",
      {
        type: "object",
        properties: { a: { type: "string", enum: ["x"] }, b: { $ref: "#/properties/a" }, c: { $ref: "#/$defs/a~1b" } },
        required: ["a", "b", "c"],
        $defs: { "a/b": { type: "integer" } }
      }
    ],
    [
      "definitions that contain each other",
      {
        $ref: "#/definitions/a",
        definitions: {
          a: { type: "object", properties: { b: { $ref: "#/definitions/b" } }, required: ["b"] },
          b: {
            type: "object",
            properties: { a: { anyOf: [{ $ref: "#/definitions/a" }, { type: "string" }] } },
            required: ["a"]
          }
        }
      }
    ]
  ]

  it.each(cases)("satisfies a JSON Schema with %s", (_, schema) => {
    const value = generated(schema, "Invoice 7 of Ada Lovelace")
    expect(ajv.validate(schema, value), JSON.stringify([value, ajv.errors])).toBe(true)
  })

  it.each([
    ["date-time", /^\d{4}-\d\d-\d\dT[\d:]+Z$/],
    ["date", /^\d{4}-\d\d-\d\d$/],
    ["email", /^\S+@\S+\.com$/],
    ["uri", /^https:\/\//],
    ["uuid", /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/]
  ])("has the format %s", (format, expected) => {
    const value = generated({ type: "array", minItems: 2, items: { type: "string", format } }, "Ask Ada.")
    expect(value).toEqual([expect.stringMatching(expected), expect.stringMatching(expected)])
  })

  it("is undefined when no value satisfies the schema", () => {
    const endless = { type: "object", properties: { a: { $ref: "#" } }, required: ["a"] }
    expect([{ not: {} }, { enum: [] }, endless].map((schema) => generated(schema))).toEqual([
      undefined,
      undefined,
      undefined
    ])
  })

  it("stays small for a schema that can be followed in many ways", () => {
    const names = Array.from("abcdefgh")
    const properties = Object.fromEntries(names.map((name) => [name, { $ref: `#/$defs/${name}` }]))
    const $defs = Object.fromEntries(names.map((name) => [name, { type: "object", properties }]))
    expect(JSON.stringify(generated({ $ref: "#/$defs/a", $defs })).length).toBeLessThan(100_000)
  })

  it("is made of the names and numbers of the prompt, in their order, and of the values that it mentions", () => {
    const schema = jsonSchemaOf(
      Schema.Struct({
        number: Schema.Int,
        customer: Schema.String,
        price: Schema.Number,
        currency: Schema.Literal("dollar", "euro"),
        city: Schema.String,
        note: Schema.String
      })
    )
    expect(generated(schema, 'Invoice 7 for Ada Lovelace in "Den Haag": a pen at 1.50 euro.')).toEqual({
      number: 7,
      customer: "Ada Lovelace",
      price: 1.5,
      currency: "euro",
      city: "Den Haag",
      note: "Example note"
    })
  })
})
