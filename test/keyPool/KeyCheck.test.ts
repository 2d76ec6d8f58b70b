import type { HttpClient } from "@effect/platform"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as GeminiClient from "../../src/provider/GeminiClient.js"
import * as OllamaClient from "../../src/provider/OllamaClient.js"
import type { Endpoint } from "../../src/call/ProviderClient.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as SimulatedProvider from "../../src/testing/SimulatedProvider.js"
import { context } from "../support/scripted.js"

const keys = [
  { key: "key-good", id: "good" },
  { key: "key-revoked", id: "revoked" },
  { key: "key-empty", id: "empty" }
]

const simulated = SimulatedProvider.make({
  models: ["large", "small"],
  keys: [{ key: "key-good" }, { key: "key-revoked", revoked: true }, { key: "key-empty", outOfQuota: true }]
})

const pool = KeyPool.layer({ provider: "simulated", keys })

const clients: Readonly<
  Record<string, (endpoint: Endpoint) => Layer.Layer<ProviderClient.ProviderClient, never, HttpClient.HttpClient>>
> = {
  "chat-completions": ChatCompletionsClient.layer,
  anthropic: AnthropicClient.layer,
  gemini: GeminiClient.layer,
  ollama: OllamaClient.layer
}

describe.each(Object.entries(clients))("KeyPool.check by the %s client", (_, client) => {
  it.scopedLive("check tells working, revoked and out-of-quota keys apart", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* simulated
      const results = yield* KeyPool.check({ model: "large" }).pipe(
        Effect.provide(client({ provider: "simulated", baseUrl }))
      )
      expect(results.map(({ condition, id }) => [id, condition])).toEqual([
        ["good", "works"],
        ["revoked", "revoked"],
        ["empty", "over-quota"]
      ])
      expect(results[0]?.models).toEqual(["large", "small"])
      expect(results[1]?.error).toMatchObject({ _tag: "AuthenticationError", keyId: "revoked" })
    }).pipe(Effect.provide(pool), Effect.provide(NodeHttpClient.layerUndici))
  )
})

describe("KeyPool.check", () => {
  const clientLayer = (client: Omit<ProviderClient.Service, "provider" | "wire">) =>
    Layer.succeed(ProviderClient.ProviderClient, { provider: "test", wire: "test", ...client })

  const unreachable = new LLMErrors.NetworkError({ ...context, message: "gone" })

  it.scopedLive("check reports lacks-model for a model that is not listed, and sends one chat per key with ask", () =>
    Effect.gen(function* () {
      const provider = yield* simulated
      const client = ChatCompletionsClient.layer({ provider: "simulated", baseUrl: provider.baseUrl })
      const [listed] = yield* Effect.provide(KeyPool.check({ model: "huge" }), client)
      expect(listed).toMatchObject({ id: "good", condition: "lacks-model" })
      const [byChat] = yield* Effect.provide(KeyPool.check({ model: "large", ask: true }), client)
      expect(byChat).toMatchObject({ id: "good", condition: "works" })
      expect((yield* provider.log).filter(({ path }) => path.endsWith("/chat/completions"))).toHaveLength(3)
    }).pipe(Effect.provide(pool), Effect.provide(NodeHttpClient.layerUndici))
  )

  it.effect("check reports unknown when the provider does not answer, and leaves the pool's status unchanged", () =>
    Effect.gen(function* () {
      const results = yield* KeyPool.check()
      expect(results.map(({ condition, error }) => [condition, error])).toEqual(
        keys.map(() => ["unknown", unreachable])
      )
      const { keys: states } = yield* Effect.flatMap(KeyPool.KeyPool, ({ status }) => status)
      expect(states.map(({ served, state }) => [state._tag, served])).toEqual(keys.map(() => ["Ready", 0]))
    }).pipe(
      Effect.provide(pool),
      Effect.provide(
        clientLayer({
          chat: () => Effect.fail(unreachable),
          chatStream: () => Stream.fail(unreachable),
          listModels: () => Effect.fail(unreachable)
        })
      )
    )
  )

  it.effect("check fails with a typed error when the provider lists no models or ask has no model", () =>
    Effect.gen(function* () {
      expect(yield* Effect.flip(KeyPool.check())).toMatchObject({ _tag: "UnsupportedError" })
      expect(yield* Effect.flip(KeyPool.check({ ask: true }))).toMatchObject({
        _tag: "InvalidRequestError",
        field: "model"
      })
    }).pipe(
      Effect.provide(pool),
      Effect.provide(clientLayer({ chat: () => Effect.fail(unreachable), chatStream: () => Stream.fail(unreachable) }))
    )
  )
})
