/** An `LLM` made with `LLM.make` over a scripted client: attempts, keys and retries are real. */
import { Effect, Layer, Stream } from "effect"
import type { ChatRequest, ChatResponse } from "../../src/vocabulary/Chat.js"
import type { ChatEvent } from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import type * as ProviderClient from "../../src/call/ProviderClient.js"
import * as Client from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"

export interface Behaviour {
  readonly chat?: (request: ChatRequest, call: ProviderClient.Call) => Effect.Effect<ChatResponse, LLMError>
  readonly stream?: (request: ChatRequest, call: ProviderClient.Call) => Stream.Stream<ChatEvent, LLMError>
}

export const llmOver = (
  { chat = () => Effect.never, stream = () => Stream.never }: Behaviour,
  options: Partial<LLM.Options> = {},
  keys: ReadonlyArray<string> = ["one"]
): Effect.Effect<LLM.Service> =>
  LLM.make({ model: "model", retry: false, timeouts: false, telemetry: false, ...options }).pipe(
    Effect.provide(
      Layer.mergeAll(
        Layer.succeed(Client.ProviderClient, { provider: "test", wire: "test", chat, chatStream: stream }),
        KeyPool.layer({ provider: "test", keys: keys.map((id) => ({ key: `secret-${id}`, id })) }),
        RateLimiter.layerUnlimited
      )
    ),
    Effect.orDie
  )
