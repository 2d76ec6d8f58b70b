/** Calls and streams that succeed, fail and are stopped early, for tests of metrics. */
import { Effect, Layer, Stream } from "effect"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type * as Telemetry from "../../src/telemetry/Telemetry.js"
import { answer, context } from "./scripted.js"

const refused = new LLMErrors.AuthenticationError({ ...context, status: 401, message: "wrong key" })

const events = Stream.rechunk(Stream.fromIterable(ChatEvent.fromResponse(answer("Hello"))), 1)

/** Rejects the key `bad`. */
const client = Layer.succeed(ProviderClient.ProviderClient, {
  provider: "scripted",
  wire: "test",
  chat: (_, { key }) => (key.id === "bad" ? Effect.fail(refused) : Effect.succeed(answer("Hello"))),
  chatStream: (_, { key }) => (key.id === "bad" ? Stream.fail(refused) : events)
})

const keys = KeyPool.layer({
  provider: "scripted",
  keys: [
    { key: "1", id: "bad" },
    { key: "2", id: "good" }
  ]
})

export const meteredCalls = (telemetry: Telemetry.Options = {}): Effect.Effect<void> =>
  Effect.gen(function* () {
    const llm = yield* LLM.make({ model: 'a "model"\\', telemetry })
    yield* Effect.repeatN(llm.chat("?"), 9)
    yield* Effect.repeatN(Stream.runDrain(llm.chatStream("?")), 9)
    yield* Effect.flip(llm.chat({ messages: [] }))
    yield* Stream.runDrain(Stream.take(llm.chatStream("?"), 1))
  }).pipe(
    Effect.provide(client),
    Effect.provide(keys),
    Effect.provide(RateLimiter.layer({ capacity: 100, refillRate: 100 })),
    Effect.orDie
  )
