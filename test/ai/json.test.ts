import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import { jsonFieldsOf, jsonOf } from "../../src/ai/json.js"

describe("JSON of parts", () => {
  it.prop("is an equal copy of any JSON", [FastCheck.jsonValue()], ([value]) => {
    expect(JSON.stringify(jsonOf(value))).toBe(JSON.stringify(value))
  })

  it("leaves undefined fields out, and has null for what JSON has no form for", () => {
    const fields = { a: undefined, b: [undefined, Number.NaN], c: { d: undefined, e: 1 }, f: () => 1 }
    expect(jsonFieldsOf(fields)).toEqual({ b: [null, null], c: { e: 1 }, f: null })
  })

  it("keeps a field with the name of the prototype as a field", () => {
    const copy = jsonOf(JSON.parse(`{"__proto__":{"a":1}}`))
    expect(JSON.stringify(copy)).toBe(`{"__proto__":{"a":1}}`)
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype)
  })
})
