import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as FastCheck from "fast-check"
import * as ToolArguments from "../../src/programs/tools/arguments.js"
import { toolCall } from "../../src/vocabulary/Chat.js"

describe("ToolArguments.complete", () => {
  for (const [text, value] of [
    ["", {}],
    ["{", {}],
    ['{"city', {}],
    ['{"city"', {}],
    ['{"city":', {}],
    ['{"city":"Par', { city: "Par" }],
    ['{"city":"Par\\', { city: "Par" }],
    ['{"city":"Par\\u00', { city: "Par" }],
    ['{"path":"C:\\\\', { path: "C:\\" }],
    ['{"city":"Paris",', { city: "Paris" }],
    ['{"city":"Paris","n', { city: "Paris" }],
    ['{"days":[1,2,', { days: [1, 2] }],
    ['{"days":[1,2,3', { days: [1, 2, 3] }],
    ['{"a":{"b":[{"c":"d"', { a: { b: [{ c: "d" }] } }],
    ['{"sure":tru', {}],
    ['{"n":1.', {}],
    ['{"code":"a, b: {c', { code: "a, b: {c" }],
    ['{{"code":"print(1)"}', { code: "print(1)" }],
    ['{"code":"print(1)"}}', { code: "print(1)" }],
    ['{{"code":"print(', { code: "print(" }]
  ] as const) {
    it(`complete closes ${JSON.stringify(text)}`, () => {
      expect(ToolArguments.complete(text)).toEqual(value)
    })
  }

  it("complete returns undefined when the text is not an object", () => {
    for (const text of ["null", "[1,2", "hello", "12"]) expect(ToolArguments.complete(text)).toBe(undefined)
  })

  it.prop(
    "complete returns whole arguments unchanged, and an object for arguments cut at any character",
    {
      value: FastCheck.dictionary(FastCheck.string(), FastCheck.jsonValue()),
      at: FastCheck.double({ min: 0, max: 1, noNaN: true })
    },
    ({ at, value }) => {
      const text = JSON.stringify(value)
      expect(ToolArguments.complete(text)).toEqual(JSON.parse(text))
      const cut = text.slice(0, Math.floor(text.length * at))
      expect(typeof ToolArguments.complete(cut)).toBe("object")
    }
  )
})

describe("ToolArguments.parse", () => {
  it("parse returns the arguments of a call, or an error when they are not JSON", () => {
    const call = toolCall("1", "search", '{"q":1}')
    expect(ToolArguments.parse(call)).toEqual(Either.right({ q: 1 }))
    expect(Either.isLeft(ToolArguments.parse({ ...call, arguments: '{"q":' }))).toBe(true)
  })
})
