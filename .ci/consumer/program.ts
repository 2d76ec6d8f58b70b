/** What a stranger writes from the README alone: a pool, a fallback, a stream, and a mock. */
import { NodeHttpClient } from "@effect/platform-node"
import { Console, Effect, Layer, Stream } from "effect"
import {
  ChatCompletionsClient,
  Conversation,
  Fallback,
  KeyPool,
  LLM,
  RateLimiter,
  ResponsesClient,
  TokenCounter
} from "effect-llm"
import * as RetryModule from "effect-llm/Retry"
import { SimulatedProvider, TestLLM } from "effect-llm/testing"
import { GptTokenizer } from "effect-llm/tokenizer"
import { ZhipuClient } from "effect-llm/zhipu"

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
    Layer.provide(KeyPool.layer({ providerId: "first", keys: ["revoked", "unknown"] })),
    Layer.provide(RateLimiter.layer({ capacity: 20, refillRate: 3 }))
  )
  const backup = LLM.layer({ model: "small", retry: false }).pipe(
    LLM.withMiddleware(RetryModule.make({ attempts: 2 })),
    Layer.provide(ResponsesClient.layer({ provider: "second", baseUrl: second.baseUrl })),
    Layer.provide(KeyPool.layer({ providerId: "second", keys: [{ key: "good", weight: 2 }] })),
    Layer.provide(RateLimiter.unlimited)
  )
  yield* ask.pipe(Effect.provide(Fallback.layer([primary, backup])), Effect.provide(NodeHttpClient.layerUndici))
}).pipe(Effect.scoped)

const remembered = Effect.gen(function* () {
  const conversation = yield* Conversation.make({ budget: 1_000, strategy: Conversation.keepFirst() })
  yield* conversation.send("Hello?")
  const { tokens } = yield* conversation.tokens
  yield* Console.log(`about ${tokens} tokens`)
})

/** The key signs a token, which is what the provider sees. */
const signed = Effect.gen(function* () {
  const provider = yield* SimulatedProvider.make()
  const zhipu = LLM.layer({ model: "glm" }).pipe(
    Layer.provide(ZhipuClient.layer({ baseUrl: provider.baseUrl })),
    Layer.provide(KeyPool.layer({ providerId: "zhipu", keys: ["id.secret"] })),
    Layer.provide(RateLimiter.unlimited)
  )
  yield* ask.pipe(Effect.provide(zhipu), Effect.provide(NodeHttpClient.layerUndici))
}).pipe(Effect.scoped)

/** This optional peer is not installed here: only who asks for it hears of that. */
const withoutPeer = TokenCounter.count("Hello?", "gpt-4o").pipe(
  Effect.provide(GptTokenizer.layer()),
  Effect.catchTag("EncodingUnavailableError", (error) => Console.log(error.message))
)

await Effect.runPromise(
  Effect.all([
    live,
    signed,
    Effect.provide(ask, TestLLM.layer(["mocked", "and streamed"])),
    Effect.provide(remembered, TestLLM.layer(["Hello."])),
    withoutPeer
  ])
)
