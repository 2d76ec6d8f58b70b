import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { readFileSync } from "node:fs"
import { outputFormatOf } from "../../src/programs/structuredOutput/modes.js"
import { jsonSchemaOf } from "../../src/programs/tools/jsonSchema.js"
import { userSchemas } from "../support/userSchemas.js"

const written: Readonly<Record<string, unknown>> = JSON.parse(
  readFileSync(new URL("userSchemas.json", import.meta.url), "utf8")
)

describe("the JSON Schema of an Effect Schema", () => {
  it("is listed for every schema", () => {
    expect(Object.keys(written)).toEqual(Object.keys(userSchemas))
  })

  for (const [name, schema] of Object.entries(userSchemas)) {
    it(`is written as models read it: ${name}`, () => {
      // In this order of properties.
      expect(JSON.stringify(jsonSchemaOf(schema))).toBe(JSON.stringify(written[name]))
    })
  }

  it("throws for a recursive schema without an identifier", () => {
    interface Node {
      readonly next: Node | null
    }
    const Node: Schema.Schema<Node> = Schema.Struct({ next: Schema.NullOr(Schema.suspend(() => Node)) })
    expect(() => jsonSchemaOf(Node)).toThrow(/identifier/)
  })
})

describe("the name of an answer", () => {
  const nameOf = (schema: (typeof userSchemas)[string]): string => outputFormatOf({ schema }).name

  it("is the identifier of its schema, and that of a class its name", () => {
    class Point extends Schema.Class<Point>("Point")({ x: Schema.Number }) {}
    expect(nameOf(Schema.Struct({ x: Schema.Number }).annotations({ identifier: "Vector" }))).toBe("Vector")
    expect(nameOf(Schema.Struct({ x: Schema.Number }).annotations({ identifier: "Date" }))).toBe("Date")
    expect(nameOf(Point)).toBe("Point")
  })

  it("is no identifier that Effect gives to its own schemas", () => {
    for (const schema of [
      Schema.Int,
      Schema.NonEmptyString,
      Schema.Trimmed,
      Schema.UUID,
      Schema.Date,
      Schema.DateFromString,
      Schema.DateTimeUtc,
      Schema.NumberFromString,
      Schema.BooleanFromString,
      Schema.URL,
      Schema.BigInt
    ])
      expect(nameOf(schema)).toBe("answer")
  })
})
