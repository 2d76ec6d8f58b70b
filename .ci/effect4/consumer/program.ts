/** A program that uses the package for Effect 4: a pool, a fallback, a stream, typed errors, a mock, a cache and the gateway. */
import { Console, Effect, Layer, Stream } from "effect"
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

/** These are only checked by the compiler. */
export const wings = {
  cached: ResponseCache.layer(),
  gateway: Gateway.layer().pipe(Layer.provide(Access.layer())),
  prices: Prices.layer,
  shared: RedisKeyPool.layer,
  redis: Redis.layer,
  tokens: GptTokenizer.layer
}

Effect.runPromise(Effect.all([live, mocked, refused], { discard: true }))
