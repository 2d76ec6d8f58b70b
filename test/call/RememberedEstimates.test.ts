import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { inputTokensOf, rememberingEstimate } from "../../src/call/request.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as Usage from "../../src/vocabulary/Usage.js"

/** Texts of two lengths that differ only in places that a fingerprint may not look at. */
const similarText = FastCheck.record({
  length: FastCheck.constantFrom(250, 400),
  at: FastCheck.integer({ min: 1, max: 248 }),
  inserted: FastCheck.constantFrom(" ", "A", "的", "1", "b")
}).map(({ at, inserted, length }) => "b".repeat(at) + inserted + "b".repeat(length - at - 1))

describe("an estimate that remembers long texts", () => {
  it("is that of each text, whatever was estimated before", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(similarText, { maxLength: 40 }), (texts) => {
        const estimate = rememberingEstimate()
        for (const text of [...texts, ...texts]) expect(estimate(text)).toBe(Usage.estimateTokens(text))
      })
    )
  })

  it("estimates the texts of a request when its tokens are asked for first, and never again", () => {
    const texts: Array<string> = []
    const inputTokens = inputTokensOf({ messages: [Chat.user("one"), Chat.user("two")] }, (text) => texts.push(text))
    expect(texts).toEqual([])
    expect(inputTokens()).toBe(inputTokens())
    expect(texts).toEqual(["one", "two"])
  })
})
