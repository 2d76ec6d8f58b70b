/**
 * A program that uses the package for Effect 4: a pool, a fallback, a stream, typed errors, a mock, a cache, the gateway, and the AI
 * modules of Effect.
 */
import { Console, Effect, Layer, Option, Schema, Stream } from "effect"
import { EmbeddingModel, LanguageModel, Tokenizer, Tool, Toolkit } from "effect/ai"
import {
  ChatCompletionsClient,
  Fallback,
  KeyPool,
  LLM,
  LLMError,
  RateLimiter,
  ResponseCache,
  ResponsesClient
} from "effect-llm"
import { LanguageModelLLM, LLMEmbeddingModel, LLMLanguageModel, LLMTokenizer, LLMToolkit } from "effect-llm/ai"
import { Access, Gateway } from "effect-llm/gateway"
import { NodeTransport } from "effect-llm/node"
import { Prices } from "effect-llm/prices"
import { Redis, RedisKeyPool } from "effect-llm/redis"
import { SimulatedProvider, TestLLM } from "effect-llm/testing"
import { GptTokenizer } from "effect-llm/tokenizer"

const ask = Effect.gen(function* () {
  const answer = yield* LLM.chat("Hello?")
  yield* Console.log(`${answer.provider}: ${answer.text} (${answer.attempts.length} attempts, key ${answer.keyId})`)
  yield* LLM.chatStream("Tell me more.").pipe(LLM.text, Stream.runForEach(Console.log))
})

const live = Effect.gen(function* () {
  const first = yield* SimulatedProvider.make({ keys: [{ key: "revoked", revoked: true }] })
  const second = yield* SimulatedProvider.make({ keys: [{ key: "good" }] })
  const primary = LLM.layer({ model: "large" }).pipe(
    Layer.provide(ChatCompletionsClient.layer({ provider: "first", baseUrl: first.baseUrl })),
    Layer.provide(KeyPool.layer({ provider: "first", keys: ["revoked", "unknown"] })),
    Layer.provide(RateLimiter.layer({ capacity: 20, refillRate: 3 }))
  )
  const backup = LLM.layer({ model: "small" }).pipe(
    Layer.provide(ResponsesClient.layer({ provider: "second", baseUrl: second.baseUrl })),
    Layer.provide(KeyPool.layer({ provider: "second", keys: [{ key: "good", weight: 2 }] })),
    Layer.provide(RateLimiter.layerUnlimited)
  )
  yield* ask.pipe(Effect.provide(Fallback.layer([primary, backup])), Effect.provide(NodeTransport.layerUndici))
}).pipe(Effect.scoped)

const mocked = ask.pipe(Effect.provide(TestLLM.layer(["mocked", "streamed"])))

const limited = new LLMError.RateLimitError({
  source: "provider",
  provider: "test",
  model: "test",
  attempts: [],
  message: "Slow down."
})

const refused = LLM.chat("?").pipe(
  Effect.asVoid,
  Effect.catchTag("RateLimitError", (error) => Console.log(`refused: ${error.message}`)),
  Effect.provide(TestLLM.layer([TestLLM.failure(limited)]))
)

const Weather = Tool.make("weather", {
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Struct({ celsius: Schema.Number })
})
const toolkit = Toolkit.make(Weather)
const Handlers = toolkit.toLayer({ weather: ({ city }) => Effect.succeed({ celsius: city.length }) })

const call = { type: "tool-call", id: "1", name: "weather", arguments: `{"city":"Rome"}` } as const

const ai = Effect.gen(function* () {
  const { text } = yield* LanguageModel.generateText({ prompt: "A river?" })
  const { toolResults } = yield* LanguageModel.generateText({ prompt: "How warm is Rome?", toolkit })
  const schema = Schema.Struct({ city: Schema.String })
  const { value } = yield* LanguageModel.generateObject({ prompt: "A capital?", schema })
  const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "More?" }))
  const { vector } = yield* Effect.flatMap(EmbeddingModel.EmbeddingModel, (model) => model.embed("a cat"))
  const tokens = yield* Effect.flatMap(Tokenizer.Tokenizer, (tokenizer) => tokenizer.tokenize("a cat"))
  const { response } = yield* LLM.runTools("How warm is Rome?", { tools: LLMToolkit.tools(yield* toolkit) })
  const error = yield* Effect.flip(LanguageModel.generateText({ prompt: "Again?" }))
  const cause = Option.getOrThrow(LLMLanguageModel.llmError(error))
  const celsius = toolResults.map(({ isFailure, result }) => (isFailure ? undefined : result.celsius))
  yield* Console.log(
    `ai: ${text} ${celsius.join()} ${value.city} ${parts.length} parts, ${vector.length} dimensions, ` +
      `${tokens.length} tokens, ${response.text} ${error.reason._tag} of a ${cause._tag}`
  )
}).pipe(
  Effect.provide(Handlers),
  Effect.provide(
    Layer.mergeAll(LLMLanguageModel.layer({ temperature: 0 }), LLMEmbeddingModel.layer(), LLMTokenizer.layer)
  ),
  Effect.provide(
    TestLLM.layer([
      "The Tiber.",
      TestLLM.answer({ toolCalls: [call] }),
      `{"city":"Rome"}`,
      "A short answer.",
      TestLLM.answer({ toolCalls: [call] }),
      "Mild.",
      TestLLM.failure(limited)
    ])
  )
)

/** An `LLM` over Effect's language model over an `LLM`. */
const there = ask.pipe(
  Effect.provide(LanguageModelLLM.layer({ provider: "there", model: "large" })),
  Effect.provide(LLMLanguageModel.layer()),
  Effect.provide(TestLLM.layer(["back", "and again"]))
)

/** These are only checked by the compiler. */
export const wings = {
  cached: ResponseCache.layer(),
  gateway: Gateway.layer().pipe(Layer.provide(Access.layer())),
  prices: Prices.layer,
  shared: RedisKeyPool.layer,
  redis: Redis.layer,
  tokens: GptTokenizer.layer
}

Effect.runPromise(Effect.all([live, mocked, refused, ai, there], { discard: true }))
