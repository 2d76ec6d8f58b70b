import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as FastCheck from "fast-check"
import { estimateInput, inputTokensOf, ofSchema, rememberingEstimate } from "../../src/call/request.js"
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

describe("the estimate of a request", () => {
  it("reads no more than 262,144 units and one text of it, and is that of its whole text within two percent", () => {
    const texts = Array.from({ length: 2000 }, (_, index) =>
      `${index} Some words, and a number: 12,345! 的确如此。`.repeat(10)
    )
    const messages = texts.map((text) => Chat.user(text))
    let units = 0
    const bounded = estimateInput({ messages }, (text) => {
      units += text.length
      return Usage.estimateTokens(text)
    })
    expect(units).toBeGreaterThanOrEqual(262_144)
    expect(units).toBeLessThan(262_144 + 1000)
    const whole = texts.reduce((sum, text) => sum + 4 + Usage.estimateTokens(text), 3)
    expect(Math.abs(bounded / whole - 1)).toBeLessThan(0.02)
  })

  it("is made once for a validated request", () => {
    const request = Either.getOrThrow(ofSchema({ messages: [Chat.user("one"), Chat.user("two")] }))
    let texts = 0
    const estimate = (text: string) => {
      texts++
      return text.length
    }
    expect(estimateInput(request, estimate)).toBe(estimateInput(request, estimate))
    expect(texts).toBe(2)
  })
})
