import { FetchHttpClient } from "@effect/platform"
import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import type * as ProviderClient from "../src/call/ProviderClient.js"
import * as KeyPool from "../src/keyPool/KeyPool.js"
import * as LLM from "../src/LLM.js"
import * as ChatCompletionsClient from "../src/provider/ChatCompletionsClient.js"
import * as EmbeddingsClient from "../src/provider/EmbeddingsClient.js"
import { names } from "../src/provider/registry.js"
import * as ResponsesClient from "../src/provider/ResponsesClient.js"
import * as RateLimiter from "../src/rateLimiter/RateLimiter.js"

const keysOf = (provider: string) => KeyPool.layer({ provider, keys: ["secret"] })

/** The services of an `LLM` beside its client. */
const others = Layer.mergeAll(keysOf("team-a"), RateLimiter.layerUnlimited, FetchHttpClient.layer)

const chatThenResponses = Layer.merge(ChatCompletionsClient.layer(), ResponsesClient.layer())
const responsesThenChat = Layer.merge(ResponsesClient.layer(), ChatCompletionsClient.layer())

const wireOf = <E, R>(llm: Layer.Layer<LLM.LLM, E, R>) =>
  Effect.map(Layer.build(llm), (context) => Context.get(context, LLM.LLM).info.wire)

describe("the option client of LLM.make and LLM.layer", () => {
  it.scoped.each([chatThenResponses, responsesThenChat])(
    "chooses one of two clients in context, in whichever order their layers are merged",
    (clients) =>
      Effect.gen(function* () {
        const provided = Layer.provideMerge(clients, others)
        const chat = LLM.layer({ model: "gpt-4o", client: ChatCompletionsClient.ChatCompletionsClient })
        const responses = LLM.layer({ model: "gpt-5", client: ResponsesClient.ResponsesClient })
        expect(yield* wireOf(Layer.provide(chat, provided))).toBe("chat-completions")
        expect(yield* wireOf(Layer.provide(responses, provided))).toBe("responses")
      })
  )

  it.scoped("is by default the ProviderClient, which is the client of the layer that was merged last", () =>
    Effect.gen(function* () {
      const llm = LLM.layer({ model: "gpt-4o" })
      expect(yield* wireOf(Layer.provide(llm, Layer.provideMerge(chatThenResponses, others)))).toBe("responses")
      expect(yield* wireOf(Layer.provide(llm, Layer.provideMerge(responsesThenChat, others)))).toBe("chat-completions")
    })
  )

  it.scoped("accepts the tag of a client for embeddings", () =>
    Effect.gen(function* () {
      const llm = LLM.layer({ model: "voyage-3.5", client: EmbeddingsClient.EmbeddingsClient }).pipe(
        Layer.provide(EmbeddingsClient.layer(EmbeddingsClient.presets.voyage)),
        Layer.provide(others)
      )
      expect(yield* wireOf(llm)).toBe("embeddings")
    })
  )

  it("makes the chosen tag the requirement instead of ProviderClient", () => {
    expectTypeOf(LLM.layer({ model: "m" })).toEqualTypeOf<
      Layer.Layer<
        LLM.LLM,
        LLM.InvalidLLMError,
        ProviderClient.ProviderClient | KeyPool.KeyPool | RateLimiter.RateLimiter
      >
    >()
    const layer = LLM.layer({ model: "m", client: ResponsesClient.ResponsesClient })
    expectTypeOf(layer).toEqualTypeOf<
      Layer.Layer<
        LLM.LLM,
        LLM.InvalidLLMError,
        ResponsesClient.ResponsesClient | KeyPool.KeyPool | RateLimiter.RateLimiter
      >
    >()
    expectTypeOf(LLM.make({ model: "m", client: ResponsesClient.ResponsesClient })).toEqualTypeOf<
      Effect.Effect<
        LLM.Service,
        LLM.InvalidLLMError,
        ResponsesClient.ResponsesClient | KeyPool.KeyPool | RateLimiter.RateLimiter
      >
    >()
    const wrong = Layer.provide(layer, Layer.provideMerge(ChatCompletionsClient.layer(), others))
    // @ts-expect-error: the layer of another client does not provide the chosen one.
    const provided: Layer.Layer<LLM.LLM, LLM.InvalidLLMError | KeyPool.InvalidPoolError> = wrong
    expect(Layer.isLayer(provided)).toBe(true)
    // @ts-expect-error: a tag of another service is no client.
    LLM.layer({ model: "m", client: KeyPool.KeyPool })
  })
})

describe("the provider of the keys", () => {
  const make = (client: ReturnType<typeof ChatCompletionsClient.layer>, pool: string) =>
    LLM.make({ model: "gpt-4o" }).pipe(
      Effect.provide(client.pipe(Layer.provideMerge(Layer.mergeAll(keysOf(pool), RateLimiter.layerUnlimited)))),
      Effect.provide(FetchHttpClient.layer)
    )

  it.effect("fails the construction when the pool has keys of another provider than the client's", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(make(ChatCompletionsClient.layer(), "deepseek"))
      expect(error).toBeInstanceOf(LLM.InvalidLLMError)
      expect(error.message).toBe(
        "The LLM for gpt-4o of openai is not valid. The key pool has keys of deepseek, but the client calls openai at " +
          "https://api.openai.com/v1. Provide the key pool of openai or the client of deepseek; if this address accepts keys of " +
          "deepseek, give both the same provider name."
      )
    })
  )

  it.effect.each([...names])(
    "rejects keys of %s at an address without a preset, unless the client has its name",
    (name) =>
      Effect.gen(function* () {
        const baseUrl = "https://proxy.test/v1"
        const error = yield* Effect.flip(make(ChatCompletionsClient.layer({ baseUrl }), name))
        expect(error._tag).toBe("InvalidLLMError")
        const llm = yield* make(ChatCompletionsClient.layer({ baseUrl, provider: name }), name)
        expect(llm.info.provider).toBe(name)
      })
  )

  it.effect.each(["team-a", "openai/gpt-4o", "deepseek-eu", "local", ""])(
    "accepts a pool whose name %j is an id and not the name of a provider",
    (name) => Effect.map(make(ChatCompletionsClient.layer(), name), ({ info }) => expect(info.provider).toBe("openai"))
  )

  it.effect("compares the names of providers without case and by their aliases", () =>
    Effect.gen(function* () {
      expect((yield* make(ChatCompletionsClient.layer(), "OpenAI")).info.provider).toBe("openai")
      const google = ChatCompletionsClient.layer({ provider: "gemini", baseUrl: "https://proxy.test/v1" })
      expect((yield* make(google, "google")).info.provider).toBe("gemini")
    })
  )
})

describe("the keys of an LLM", () => {
  it.effect("are administered by their ids without access to a key", () =>
    Effect.gen(function* () {
      const llm = yield* LLM.make({ model: "gpt-4o" }).pipe(
        Effect.provide(Layer.provideMerge(ChatCompletionsClient.layer(), others))
      )
      expectTypeOf(llm.keys).toEqualTypeOf<KeyPool.KeyAdministration | undefined>()
      expectTypeOf<keyof KeyPool.KeyAdministration>().toEqualTypeOf<
        "status" | "add" | "remove" | "reweight" | "enable" | "disable" | "rest"
      >()
      const id = (yield* llm.status).keys.keys[0]?.id ?? ""
      expect(yield* llm.keys?.disable(id) ?? Effect.succeed(false)).toBe(true)
      expect((yield* llm.status).keys.keys[0]?.state._tag).toBe("Disabled")
    })
  )
})
