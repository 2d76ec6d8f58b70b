import { EmbeddingModel } from "@effect/ai"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { LLMEmbeddingModel, LLMLanguageModel } from "../../src/ai/index.js"
import { LLM } from "../../src/LLM.js"
import { RateLimitError } from "../../src/vocabulary/LLMError.js"
import { reasonOf, vectorOf, vectorsOf } from "../support/ai.js"
import * as Embedding from "../support/embedding.js"
import { context } from "../support/scripted.js"

const limited = new RateLimitError({ ...context, status: 429, message: "Slow down.", source: "provider" })

describe("LLMEmbeddingModel", () => {
  it.effect("embeds one text and many, in their order", () => {
    const { llm, requests } = Embedding.make(() => undefined)
    return Effect.gen(function* () {
      const model = yield* EmbeddingModel.EmbeddingModel
      expect(vectorOf(yield* model.embed("four"))).toEqual([4])
      expect(vectorsOf(yield* model.embedMany(["a", "bcd", "ef"]))).toEqual([[1], [3], [2]])
      expect(requests).toEqual([["four"], ["a", "bcd", "ef"]])
    }).pipe(Effect.provide(LLMEmbeddingModel.layer()), Effect.provideService(LLM, llm))
  })

  it.effect("sends the options of the layer with each request", () => {
    const { llm } = Embedding.make(() => undefined)
    const seen: Array<unknown> = []
    const recording = LLM.of({
      ...llm,
      embed: (input) => {
        seen.push(input)
        return llm.embed(input)
      }
    })
    return Effect.gen(function* () {
      const model = yield* EmbeddingModel.EmbeddingModel
      yield* model.embedMany(["a"])
      expect(seen).toEqual([{ input: ["a"], dimensions: 256 }])
    }).pipe(Effect.provide(LLMEmbeddingModel.layer({ dimensions: 256 })), Effect.provideService(LLM, recording))
  })

  it.effect("fails with an AiError whose cause is the typed error of the LLM", () => {
    const { llm } = Embedding.make(() => limited)
    return Effect.gen(function* () {
      const model = yield* EmbeddingModel.EmbeddingModel
      const one = yield* Effect.flip(model.embed("a"))
      const many = yield* Effect.flip(model.embedMany(["a", "b"]))
      for (const error of [one, many]) {
        expect(reasonOf(error)).toBe("rate limit")
        expect(LLMLanguageModel.llmError(error)).toEqual(Option.some(limited))
      }
    }).pipe(Effect.provide(LLMEmbeddingModel.layer()), Effect.provideService(LLM, llm))
  })
})
