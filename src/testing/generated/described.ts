/**
 * Constraints that the description of a schema tells, because the protocol of the request has no keyword for them: models read
 * descriptions. The forms are those of the Anthropic libraries (`minLength: 3`) and of Effect (`a string at least 3 character(s) long`).
 */
import type { JsonSchema } from "../../wire/schema/walker.js"

const keyword =
  /\b(exclusiveM(?:in|ax)imum|m(?:in|ax)imum|m(?:in|ax)(?:Length|Items|Properties)|multipleOf|uniqueItems): (true|-?\d[\d.e+-]*)/g

const sentences: ReadonlyArray<readonly [string, RegExp]> = [
  ["minLength", /a string at least (\d+) character/],
  ["maxLength", /a string at most (\d+) character/],
  ["minimum", /a number greater than or equal to (-?[\d.e-]+)/],
  ["maximum", /a number less than or equal to (-?[\d.e-]+)/],
  ["exclusiveMinimum", /a number greater than (-?[\d.e-]+)$/],
  ["exclusiveMaximum", /a number less than (-?[\d.e-]+)$/],
  ["exclusiveMinimum", /a number strictly greater than (-?[\d.e-]+)/],
  ["multipleOf", /a number divisible by (-?[\d.e-]+)/],
  ["minItems", /an array of at least (\d+) item/],
  ["maxItems", /an array of at most (\d+) item/]
]

/** The schema with the constraints of its description, except those that it states itself. */
export const withDescribed = (schema: JsonSchema): JsonSchema => {
  const { description } = schema
  if (typeof description !== "string") return schema
  const pattern = /a string matching the pattern (\S+)$/.exec(description)?.[1]
  return {
    ...Object.fromEntries([
      ...sentences.flatMap(([name, sentence]) => {
        const value = sentence.exec(description)?.[1]
        return value === undefined ? [] : [[name, Number(value)] as const]
      }),
      ...[...description.matchAll(keyword)].map(
        ([, name = "", value = ""]) => [name, value === "true" ? true : Number(value)] as const
      )
    ]),
    ...(pattern === undefined ? {} : { pattern }),
    ...schema
  }
}
