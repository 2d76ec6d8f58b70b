import { HttpClient, HttpClientResponse } from "@effect/platform"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Encoding, Layer, Stream } from "effect"
import * as FastCheck from "fast-check"
import type { Embeddable, EmbeddingResponse } from "../../src/vocabulary/Embedding.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as Batches from "../../src/call/embeddingBatches.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as EmbeddingsClient from "../../src/provider/EmbeddingsClient.js"
import * as ResponsesClient from "../../src/provider/ResponsesClient.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Retry from "../../src/call/Retry.js"
import * as SimulatedProvider from "../../src/testing/SimulatedProvider.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { context, scripted } from "../support/scripted.js"

const served = (provider: SimulatedProvider.Service, maxBatch: number, options: Partial<LLM.Options> = {}) =>
  LLM.make({ model: "vectors", retry: { backoff: { base: 1 } }, ...options }).pipe(
    Effect.provide(
      ChatCompletionsClient.layer({
        provider: "simulated",
        baseUrl: provider.baseUrl,
        dialect: { embeddings: { maxBatch, base64: true } }
      })
    ),
    Effect.provide(KeyPool.layer({ provider: "simulated", keys: ["key-one", "key-two"] })),
    Effect.provide(RateLimiter.layerUnlimited)
  )

const texts = (count: number) => Array.from({ length: count }, (_, index) => `text ${index}`)

describe("embeddings over sockets", () => {
  it.scopedLive("returns one vector for each text in order, however many requests that takes", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({})
      const whole = yield* Effect.flatMap(served(provider, 100), (llm) => llm.embed(texts(23)))
      const parts = yield* Effect.flatMap(served(provider, 4), (llm) => llm.embed(texts(23)))
      expect(parts.embeddings).toEqual(whole.embeddings)
      expect(new Set(parts.embeddings.map((vector) => vector.join())).size).toBe(23)
      expect(parts.usage.inputTokens).toBe(whole.usage.inputTokens)
      expect([whole.attempts.length, parts.attempts.length]).toEqual([1, 6])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.scopedLive("reads base64 and numbers as the same vectors", () =>
    Effect.gen(function* () {
      const llm = yield* Effect.flatMap(SimulatedProvider.make({}), (provider) => served(provider, 10))
      const input = texts(3)
      const [bytes, numbers] = yield* Effect.all([
        llm.embed({ input, dimensions: 5, encoding: "base64" }),
        llm.embed({ input, dimensions: 5, encoding: "float" })
      ])
      expect(bytes.embeddings).toEqual(numbers.embeddings)
      expect(bytes.embeddings.map((vector) => vector.length)).toEqual([5, 5, 5])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.scopedLive("retries only the batch of embeddings that failed", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({})
      const llm = yield* served(provider, 2, { embeddingConcurrency: 1 })
      yield* provider.next(SimulatedProvider.status(503))
      const { attempts, embeddings } = yield* llm.embed(texts(4))
      expect(embeddings).toHaveLength(4)
      expect(attempts.map(({ error }) => error)).toEqual(["ProviderUnavailableError", undefined, undefined])
      expect((yield* llm.status).keys.keys.map(({ inFlight }) => inFlight)).toEqual([0, 0])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.scopedLive("fails an invalid embedding request before a request is sent", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({})
      const llm = yield* served(provider, 2)
      const error = yield* Effect.flip(llm.embed({ input: [], dimensions: 3 }))
      expect(error).toMatchObject({ _tag: "InvalidRequestError", field: "input", provider: "simulated" })
      expect(yield* Effect.flip(llm.embed({ input: ["a"], dimensions: -1 }))).toMatchObject({ field: "dimensions" })
      expect(yield* provider.log).toHaveLength(0)
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.scopedLive("sends token arrays unchanged and counts them", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({})
      const llm = yield* served(provider, 2)
      const { attempts, embeddings, usage } = yield* llm.embed({ input: [[9906, 1917], [15339], [1, 2, 3]] })
      expect(embeddings).toHaveLength(3)
      expect(attempts).toHaveLength(2)
      expect(usage.inputTokens).toBe(6)
      expect((yield* provider.log).map(({ body }) => body)).toMatchObject([
        { input: [[9906, 1917], [15339]] },
        { input: [[1, 2, 3]] }
      ])
      for (const wrong of [[], [1.5], [-1]]) {
        expect(yield* Effect.flip(llm.embed({ input: [wrong] }))).toMatchObject({ _tag: "InvalidRequestError" })
      }
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.scopedLive("lists the models with the next key when the first is revoked", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        models: ["one", "two"],
        keys: [{ key: "key-one", revoked: true }, { key: "key-two" }]
      })
      const llm = yield* served(provider, 2)
      expect((yield* llm.listModels).map(({ id }) => id)).toEqual(["one", "two"])
      expect((yield* llm.status).keys.keys.map(({ state }) => state._tag)).toEqual(["Disabled", "Ready"])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )
})

describe("embedding values of other types than float", () => {
  /** Embeds with a provider that answers with these bytes in base64. */
  const embedded = (bytes: ReadonlyArray<number>, extra: Record<string, unknown>) =>
    Effect.gen(function* () {
      const llm = yield* LLM.make({ model: "vectors", retry: { maxAttempts: 1 } })
      return yield* llm.embed({ input: ["text"], extra })
    }).pipe(
      Effect.provide(EmbeddingsClient.layer(EmbeddingsClient.presets.voyage)),
      Effect.provide(KeyPool.layer({ provider: "voyage", keys: ["key-one"] })),
      Effect.provide(RateLimiter.layerUnlimited),
      Effect.provideService(
        HttpClient.HttpClient,
        HttpClient.make((request) =>
          Effect.succeed(
            HttpClientResponse.fromWeb(
              request,
              new Response(JSON.stringify({ data: [{ embedding: Encoding.encodeBase64(Uint8Array.from(bytes)) }] }))
            )
          )
        )
      )
    )

  it.effect("reads base64 embeddings as the type that `output_dtype` names", () =>
    Effect.gen(function* () {
      const { embeddings } = yield* embedded([1, 255, 0, 128], { output_dtype: "int8" })
      expect(embeddings).toEqual([[1, -1, 0, -128]])
    })
  )

  it.effect("fails when base64 embeddings have another dimension than the request asks for", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(embedded([1, 255, 0, 128], { output_dtype: "int8", output_dimension: 8 }))
      expect(error).toMatchObject({ _tag: "MalformedResponseError", path: "data[0]" })
    })
  )
})

describe("embeddings with middleware and presets", () => {
  const away = new LLMErrors.ProviderUnavailableError({ ...context, status: 503, message: "away" })

  it.live("Retry retries an embedding call", () =>
    Effect.gen(function* () {
      const llm = yield* Effect.flatMap(scripted(away, "four"), Retry.middleware({ backoff: { base: 1 } }))
      expect((yield* llm.embed("text")).embeddings).toEqual([[4]])
    })
  )

  it.effect("Fallback sends an embedding call to the next member, and the answer lists the attempts of both", () =>
    Effect.gen(function* () {
      const first = yield* scripted(away)
      const llm = yield* Fallback.make([yield* scripted("four")])(first)
      const { attempts, embeddings } = yield* llm.embed({ input: ["text"] })
      expect(embeddings).toEqual([[4]])
      expect(attempts).toHaveLength(away.attempts.length + 1)
    })
  )

  it.effect("a client has no embeddings when its preset has none", () =>
    Effect.gen(function* () {
      const clients = [
        ChatCompletionsClient.make(ChatCompletionsClient.presets.deepseek),
        ChatCompletionsClient.make(ChatCompletionsClient.presets.groq),
        ResponsesClient.make(ResponsesClient.presets.deepseek),
        ChatCompletionsClient.make(ChatCompletionsClient.presets.openai)
      ]
      const embeds = yield* Effect.forEach(
        clients,
        Effect.map((client) => client.embeddings !== undefined)
      )
      expect(embeds).toEqual([false, false, false, true])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.effect("embed and listModels fail with an UnsupportedError when the client has neither", () =>
    Effect.gen(function* () {
      const llm = yield* LLM.make({ model: "model" })
      expect(yield* Effect.flip(llm.embed("text"))).toMatchObject({ _tag: "UnsupportedError", feature: "embeddings" })
      expect(yield* Effect.flip(llm.listModels)).toMatchObject({ _tag: "UnsupportedError", feature: "list of models" })
    }).pipe(
      Effect.provide(
        Layer.succeed(ProviderClient.ProviderClient, {
          provider: "bare",
          wire: "bare",
          chat: () => Effect.fail(away),
          chatStream: () => Stream.fail(away)
        })
      ),
      Effect.provide(KeyPool.layer({ provider: "bare", keys: ["key"] })),
      Effect.provide(RateLimiter.layerUnlimited)
    )
  )
})

describe("embedding batches", () => {
  it.prop(
    "splits texts in order into batches within both limits, except a text that is too long by itself",
    {
      texts: FastCheck.array(FastCheck.string({ maxLength: 60 }), { minLength: 1, maxLength: 50 }),
      maxBatch: FastCheck.integer({ min: 1, max: 10 }),
      maxBatchTokens: FastCheck.integer({ min: 1, max: 40 })
    },
    ({ maxBatch, maxBatchTokens, texts }) => {
      const batches = Batches.split(texts, { maxBatch, maxBatchTokens })
      expect(batches.flat()).toEqual(texts)
      for (const batch of batches) {
        expect(batch.length).toBeGreaterThan(0)
        expect(batch.length).toBeLessThanOrEqual(maxBatch)
        if (batch.length > 1) expect(Usage.estimateAll(batch)).toBeLessThanOrEqual(maxBatchTokens)
      }
    }
  )

  it.effect("runs batches concurrently, and the first failure interrupts the others", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const slow = (input: ReadonlyArray<Embeddable>): Effect.Effect<EmbeddingResponse, LLMErrors.LLMError> =>
        Effect.acquireUseRelease(
          Effect.sync(() => {
            running++
            most = Math.max(most, running)
          }),
          () =>
            Effect.zipRight(
              Effect.yieldNow(),
              input.includes("text 9") ? Effect.fail(fault) : Effect.delay(Effect.never, Duration.zero)
            ),
          () => Effect.sync(() => running--)
        )
      const fault = new LLMErrors.NetworkError({ ...context, message: "gone" })
      const error = yield* Effect.flip(
        Batches.embed({ input: texts(10) }, { maxBatch: 1 }, 10, ({ input }) => slow(input))
      )
      expect(error).toBe(fault)
      expect([most, running]).toEqual([10, 0])
    })
  )
})
