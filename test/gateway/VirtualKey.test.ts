/** The models that a key includes. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import { VirtualKey } from "../../src/gateway/index.js"

const word = FastCheck.stringMatching(/^[a-z0-9/.+-]{0,8}$/)

describe("VirtualKey.allows", () => {
  it.each([
    ["openai/*", "openai/gpt-4o", true],
    ["openai/*", "openai", false],
    ["openai/*", "azure/openai/gpt", false],
    ["*", "", true],
    ["*mini", "gpt-4o-mini", true],
    ["gpt-*-mini", "gpt-4o-mini", true],
    ["gpt-*-mini", "gpt-mini", false],
    ["a*a", "a", false],
    ["gpt.4", "gpt-4", false],
    ["", "anything", false],
    ["**", "x", true],
    ["a**b", "ab", true]
  ])("matches pattern %s against %s: %s", (pattern, name, expected) => {
    expect(VirtualKey.allows({ models: [pattern] }, [name])).toBe(expected)
  })

  it.prop("matches a pattern without a star only with the same name", [word, word], ([one, other]) => {
    expect(VirtualKey.allows({ models: [one] }, [other])).toBe(one === other)
  })

  it.prop(
    "matches a pattern with any text in the place of its stars",
    [FastCheck.array(word, { minLength: 2 }), word],
    ([pieces, fill]) => {
      expect(VirtualKey.allows({ models: [pieces.join("*")] }, [pieces.join(fill)])).toBe(true)
    }
  )

  it.prop(
    "agrees with a regular expression for every pattern",
    [FastCheck.array(word, { minLength: 1 }), word],
    ([pieces, name]) => {
      const escaped = pieces.map((piece) => piece.replace(/[.+/-]/g, "\\$&"))
      expect(VirtualKey.allows({ models: [pieces.join("*")] }, [name])).toBe(
        new RegExp(`^${escaped.join(".*")}$`).test(name)
      )
    }
  )

  it("allows all models without a list, and none with an empty list", () => {
    expect(VirtualKey.allows({}, ["any"])).toBe(true)
    expect(VirtualKey.allows({ models: [] }, ["any"])).toBe(false)
  })

  it("rejects a 100,000 character name against 50 stars without exponential backtracking", () => {
    const started = performance.now()
    // Takes a few milliseconds on an idle machine.
    expect(VirtualKey.allows({ models: ["a*".repeat(50) + "b"] }, ["a".repeat(100_000)])).toBe(false)
    expect(performance.now() - started).toBeLessThan(5000)
  })
})
