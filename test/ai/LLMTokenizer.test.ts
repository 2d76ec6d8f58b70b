import { Tokenizer } from "@effect/ai"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { LLMTokenizer } from "../../src/ai/index.js"
import { TestLLM } from "../../src/testing/index.js"

describe("LLMTokenizer", () => {
  it.effect("counts the tokens of a prompt, and truncates one to its last messages that fit", () =>
    Effect.gen(function* () {
      const tokenizer = yield* Tokenizer.Tokenizer
      const prompt = ["One two three four. ".repeat(20), "Six seven.", "Eight."].map((content) => ({
        role: "system" as const,
        content
      }))
      const all = yield* tokenizer.tokenize(prompt)
      expect(all).toEqual(all.map((_, position) => position))
      expect(all.length).toBeGreaterThan(0)
      expect(yield* tokenizer.tokenize([])).toEqual([])
      const counts = yield* Effect.forEach(prompt, (message) => tokenizer.tokenize([message]))
      const [first = 0, ...rest] = counts.map(({ length }) => length)
      const last = rest.reduce((sum, count) => sum + count, 0)
      const truncated = yield* tokenizer.truncate(prompt, last)
      expect(truncated.content.map(({ content }) => content)).toEqual(["Six seven.", "Eight."])
      expect((yield* tokenizer.truncate(prompt, first + last)).content).toHaveLength(3)
    }).pipe(Effect.provide(LLMTokenizer.layer.pipe(Layer.provide(TestLLM.layer([])))))
  )
})
