/** A provider in memory that records the keys of its requests and answers some of them with an error. */
import { Duration, Effect, Stream } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { ChatResponse } from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { AuthenticationError, ProviderUnavailableError, RateLimitError } from "../../src/vocabulary/LLMError.js"
import { ProviderClient } from "../../src/wire/providerClient.js"
import type { Service as Client } from "../../src/wire/providerClient.js"
import { answer } from "./scripted.js"

/** A 429 asks for a second. */
export type Status = 200 | 401 | 429 | 500

export interface FailingProvider {
  readonly client: Client
  /** The ids of the keys of all requests. */
  readonly sent: Array<string>
}

const errorOf = (status: Exclude<Status, 200>, provider: string, model: string, keyId: string): LLMError => {
  const fields = { provider, model, keyId, status, attempts: [], message: `Status ${status}.` }
  if (status === 429) return new RateLimitError({ ...fields, source: "provider", retryAfter: Duration.seconds(1) })
  return status === 401 ? new AuthenticationError(fields) : new ProviderUnavailableError(fields)
}

/** `statusOf` receives the id of the key and the number of the request, from 0 on. A request takes 10 milliseconds. */
export const failingProvider = (
  statusOf: (keyId: string, index: number) => Status,
  provider = "test"
): FailingProvider => {
  const sent: Array<string> = []
  const ask = (model: string, keyId: string): Effect.Effect<ChatResponse, LLMError> =>
    Effect.suspend(() => {
      const status = statusOf(keyId, sent.push(keyId) - 1)
      return Effect.zipRight(
        Effect.sleep(10),
        status === 200 ? Effect.succeed(answer("yes")) : Effect.fail(errorOf(status, provider, model, keyId))
      )
    })
  return {
    sent,
    client: {
      provider,
      wire: "test",
      chat: (_, { key, model }) => ask(model, key.id),
      chatStream: (_, { key, model }) =>
        Stream.unwrap(
          Effect.map(ask(model, key.id), (response) => Stream.fromIterable(ChatEvent.fromResponse(response)))
        )
    }
  }
}

/** An `LLM` of this provider with so many keys, without limits. */
export const llmWith = (client: Client, keys: number, options: Partial<LLM.Options> = {}) =>
  LLM.make({ model: "model", ...options }).pipe(
    Effect.provideService(ProviderClient, client),
    Effect.provide(
      KeyPool.layer({
        provider: client.provider,
        keys: Array.from({ length: keys }, (_, index) => ({ key: `secret-${index}`, id: `key-${index}` }))
      })
    ),
    Effect.provide(RateLimiter.layerUnlimited)
  )
