/** A program that uses the package as the README shows: a pool, a fallback, a stream, and a mock. */
import { Persistence } from "@effect/experimental"
import { Console, Effect, Layer, Stream } from "effect"
import {
  ChatCompletionsClient,
  Conversation,
  Fallback,
  KeyPool,
  LLM,
  Pricing,
  RateLimiter,
  ResponseCache,
  ResponsesClient,
  TokenCounter
} from "effect-llm"
import * as RetryModule from "effect-llm/Retry"
import { PersistenceStore } from "effect-llm/persistence"
import { Prices } from "effect-llm/prices"
import { Redis, RedisKeyPool } from "effect-llm/redis"
import { SimulatedProvider, TestLLM } from "effect-llm/testing"
import { GptTokenizer } from "effect-llm/tokenizer"
import { ZhipuClient } from "effect-llm/zhipu"
import { NodeTransport } from "effect-llm/node"

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
  const backup = LLM.layer({ model: "small", retry: false }).pipe(
    LLM.withMiddleware(RetryModule.middleware({ maxAttempts: 2 })),
    Layer.provide(ResponsesClient.layer({ provider: "second", baseUrl: second.baseUrl })),
    Layer.provide(KeyPool.layer({ provider: "second", keys: [{ key: "good", weight: 2 }] })),
    Layer.provide(RateLimiter.layerUnlimited)
  )
  yield* ask.pipe(Effect.provide(Fallback.layer([primary, backup])), Effect.provide(NodeTransport.layerUndici))
}).pipe(Effect.scoped)

const shortConversation = Effect.gen(function* () {
  const conversation = yield* Conversation.make({ budget: 1_000, strategy: Conversation.keepFirst() })
  yield* conversation.send("Hello?")
  const { tokens } = yield* conversation.tokens
  yield* Console.log(`about ${tokens} tokens`)
})

/** The key signs a token, which is sent in its place. */
const signed = Effect.gen(function* () {
  const provider = yield* SimulatedProvider.make()
  const zhipu = LLM.layer({ model: "glm" }).pipe(
    Layer.provide(ZhipuClient.layer({ baseUrl: provider.baseUrl })),
    Layer.provide(KeyPool.layer({ provider: "zhipu", keys: ["id.secret"] })),
    Layer.provide(RateLimiter.layerUnlimited)
  )
  yield* ask.pipe(Effect.provide(zhipu), Effect.provide(NodeTransport.layerUndici))
}).pipe(Effect.scoped)

/** A shared pool, only type-checked, since there may be no Redis. */
export const shared: Layer.Layer<KeyPool.KeyPool, KeyPool.InvalidPoolError> = RedisKeyPool.layer({
  provider: "openai",
  keys: [{ key: "sk-one", maxConcurrency: 8 }]
}).pipe(Layer.provide(Redis.layer({ url: "redis://localhost:6379" })))

/** A priced answer that comes from a cache over Effect's persistence the second time. */
const cached = Effect.gen(function* () {
  const first = yield* LLM.chat("Hello?")
  const second = yield* LLM.chat("Hello?")
  yield* Console.log(`$${first.cost?.total}, then from the ${second.cached?.source}`)
}).pipe(
  Effect.provide(
    TestLLM.layer([TestLLM.answer({ text: "Hello.", provider: "openai", model: "gpt-4o", attempts: [] })]).pipe(
      LLM.withMiddleware(Pricing.middleware()),
      LLM.withMiddleware(ResponseCache.middleware()),
      Layer.provide(ResponseCache.layer({ ttl: "1 day" })),
      Layer.provide(PersistenceStore.layer("answers")),
      Layer.provide(Persistence.layerMemory),
      Layer.provide(Prices.layer())
    )
  )
)

/** The optional peer is not installed here, so only its use fails. */
const withoutPeer = TokenCounter.count("Hello?", "gpt-4o").pipe(
  Effect.provide(GptTokenizer.layer()),
  Effect.catchTag("EncodingUnavailableError", (error) => Console.log(error.message))
)

await Effect.runPromise(
  Effect.all([
    live,
    signed,
    Effect.provide(ask, TestLLM.layer(["mocked", "and streamed"])),
    Effect.provide(shortConversation, TestLLM.layer(["Hello."])),
    cached,
    withoutPeer
  ])
)
