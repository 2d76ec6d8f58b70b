import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as FastCheck from "fast-check"
import * as LLM from "../../src/LLM.js"
import { make as wrapped } from "../support/embedding.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { InvalidRequestError } from "../../src/vocabulary/LLMError.js"
import { context, rateLimited } from "../support/scripted.js"

const refused = new InvalidRequestError({ ...context, message: "The text is too long." })

describe("LLM.embedEach", () => {
  it.effect.prop(
    "fails for the texts that are refused, and embeds all others in their order",
    {
      texts: FastCheck.array(FastCheck.record({ length: FastCheck.nat(9), isBad: FastCheck.boolean() }), {
        minLength: 1,
        maxLength: 20
      }),
      batchSize: FastCheck.integer({ min: 1, max: 8 })
    },
    ({ batchSize, texts }) => {
      const input = texts.map(({ isBad, length }) => (isBad ? "!" : "") + "a".repeat(length))
      const { llm, requests } = wrapped((all) => (all.some((text) => text.startsWith("!")) ? refused : undefined))
      return Effect.gen(function* () {
        const { attempts, embeddings, usage } = yield* LLM.embedEach(input, { batchSize })
        expect(embeddings).toEqual(
          texts.map(({ isBad, length }) => (isBad ? Either.left(refused) : Either.right([length])))
        )
        const sent = requests.filter((all) => !all.some((text) => text.startsWith("!")))
        expect(usage.inputTokens).toBe(sent.flat().length)
        expect(attempts.length).toBeLessThanOrEqual(requests.length)
        expect(sent.flat().length).toBe(texts.filter(({ isBad }) => !isBad).length)
      }).pipe(Effect.provideService(LLM.LLM, llm))
    }
  )

  it.effect("asks for one bad text of a hundred with a few requests", () => {
    const { llm, requests } = wrapped((all) => (all.includes("!") ? refused : undefined))
    const input = Array.from({ length: 100 }, (_, index) => (index === 70 ? "!" : "a"))
    return Effect.gen(function* () {
      const { embeddings } = yield* LLM.embedEach(input)
      expect(embeddings.filter(Either.isLeft)).toHaveLength(1)
      expect(requests.length).toBeLessThan(20)
    }).pipe(Effect.provideService(LLM.LLM, llm))
  })

  it.effect("takes an error that every request meets for that of all texts, without asking for each", () => {
    const { llm, requests } = wrapped(() => refused)
    return Effect.gen(function* () {
      const { cost, embeddings, usage } = yield* LLM.embedEach(Array.from({ length: 1000 }, () => "a"))
      expect(embeddings).toEqual(Array.from({ length: 1000 }, () => Either.left(refused)))
      expect([usage.inputTokens, cost]).toEqual([0, undefined])
      expect(requests.length).toBeLessThan(80)
    }).pipe(Effect.provideService(LLM.LLM, llm))
  })

  it.effect("does not divide a request for a failure that is not of a text", () => {
    const error: LLMError = rateLimited()
    const { llm, requests } = wrapped((all) => (all.length > 1 ? error : undefined))
    return Effect.gen(function* () {
      const { embeddings } = yield* LLM.embedEach(["a", "b", "c"], { batchSize: 2 })
      expect(embeddings).toEqual([Either.left(error), Either.left(error), Either.right([1])])
      expect(requests).toHaveLength(2)
    }).pipe(Effect.provideService(LLM.LLM, llm))
  })
})
