/** An `LLM` that embeds a text as its length, and records the texts of each request. */
import { Effect } from "effect"
import type { Service } from "../../src/call/model.js"
import { normalizeEmbedding } from "../../src/call/request.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { TestLLM } from "../../src/testing/index.js"
import { fromEither } from "../../src/internal/asEffect.js"

export const make = (failure: (texts: ReadonlyArray<string>) => LLMError | undefined) => {
  const requests: Array<ReadonlyArray<string>> = []
  const { llm } = Effect.runSync(TestLLM.make([]))
  const embed: Service["embed"] = (input) =>
    Effect.flatMap(fromEither(normalizeEmbedding(input)), (request) => {
      const texts = request.input.map(String)
      requests.push(texts)
      const error = failure(texts)
      return error !== undefined
        ? Effect.fail(error)
        : Effect.succeed({
            provider: "test",
            model: "model",
            embeddings: texts.map((text) => [text.length]),
            usage: Usage.make({ inputTokens: texts.length }),
            latency: 0,
            attempts: [{ provider: "test", model: "model", keyId: "key", duration: 0 }]
          })
    })
  return { llm: { ...llm, embed }, requests }
}
