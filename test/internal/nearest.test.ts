import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { didYouMean, nearest, unknownField } from "../../src/internal/nearest.js"

const fields = ["model_name", "api_keys", "base_url", "max_retries", "rate_limit_capacity"]

describe("nearest", () => {
  it.each([
    ["modle_name", "model_name"],
    ["apikeys", "api_keys"],
    ["api_key", "api_keys"],
    ["BASE_URL", "base_url"],
    ["max_retires", "max_retries"],
    ["rate_limit_capactiy", "rate_limit_capacity"]
  ])("finds the field that was meant by %s", (word, field) => {
    expect(nearest(word, fields)).toBe(field)
  })

  it.each(["notes", "url", "", "x", "completely_other"])("finds none for %j", (word) => {
    expect(nearest(word, fields)).toBeUndefined()
    expect([didYouMean(word, fields), unknownField(word, fields)]).toEqual(["", "unknown field"])
  })

  it("finds the closest of several", () => {
    expect(nearest("chad", ["chart", "chat", "ask"])).toBe("chat")
    expect(didYouMean("asks", ["chat", "ask"])).toBe(" Did you mean ask?")
  })

  it.prop("finds every word itself, and one that misses a letter", [fc.stringMatching(/^[a-z]{5,30}$/)], ([word]) => {
    expect(nearest(word, [word])).toBe(word)
    expect(nearest(word.slice(1), [word])).toBe(word)
  })
})
