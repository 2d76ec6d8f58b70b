import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import type * as FastCheck from "fast-check"
import { Effect, Option } from "effect"
import * as CacheStore from "../../src/caching/CacheStore.js"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as EmbeddingCache from "../../src/caching/EmbeddingCache.js"
import * as Key from "../../src/caching/key.js"
import { digest } from "../../src/internal/digest.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { chatRequest } from "../wire/generators.js"

const info: LLM.ModelInfo = { provider: "test", model: "model", wire: "test", contextWindow: 1000 }

const contentOf = (request: ChatRequest.Input, ignore: ReadonlyArray<Key.Ignorable> = []): string =>
  Key.ofChat("", info, request, new Set(ignore))

/** The same value with the fields of every object in reverse order, except inside `verbatimFields`. */
const reversed = (value: unknown, verbatimFields: ReadonlySet<string>): unknown =>
  Array.isArray(value)
    ? value.map((item: unknown) => reversed(item, verbatimFields))
    : typeof value === "object" && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .reverse()
            .map(([name, field]: [string, unknown]) => [
              name,
              verbatimFields.has(name) ? field : reversed(field, verbatimFields)
            ])
        )
      : value

const isRequest = (value: unknown): value is ChatRequest => typeof value === "object" && value !== null

const request: FastCheck.Arbitrary<ChatRequest> = chatRequest("test")

describe("key of a request", () => {
  it.prop(
    "Key.ofChat ignores the order of fields outside of parameters, schemas and extra",
    [request],
    ([original]) => {
      const other = reversed(original, new Set(["parameters", "schema", "extra"]))
      expect(isRequest(other) && contentOf(other)).toBe(contentOf(original))
    }
  )

  it.prop("Key.ofChat changes when any field is replaced or left out", [request, request], ([one, other]) => {
    const text = (value: unknown) => JSON.stringify(value)
    for (const name of [
      "messages",
      "tools",
      "toolChoice",
      "parallelToolCalls",
      "responseFormat",
      "temperature",
      "topP",
      "maxTokens",
      "stop",
      "seed",
      "reasoning",
      "user",
      "metadata",
      "extra"
    ] as const) {
      if (text(one[name]) === text(other[name]) || other[name] === undefined) continue
      const changed = { ...one, [name]: other[name] }
      if (text(reversed(one[name], new Set())) === text(other[name])) continue
      expect(contentOf(changed)).not.toBe(contentOf(one))
      if (name === "messages") continue
      const { [name]: _, ...without } = changed
      expect(contentOf(without)).not.toBe(contentOf(changed))
    }
  })

  it("Key.ofChat distinguishes requests by everything that a model can see", () => {
    const tool = (parameters: Record<string, unknown>): ChatRequest => ({
      messages: [Chat.user("?")],
      tools: [{ name: "search", parameters }]
    })
    const schema = (schema: Record<string, unknown>): ChatRequest => ({
      messages: [Chat.user("?")],
      responseFormat: { name: "answer", schema }
    })
    const extra = (extra: Record<string, unknown>): ChatRequest => ({ messages: [Chat.user("?")], extra })
    const different: ReadonlyArray<ChatRequest.Input> = [
      "?",
      "? ",
      "\ud800",
      "\ud801",
      "\ufffd",
      { messages: [Chat.system("?")] },
      { messages: [Chat.user("?"), Chat.user("?")] },
      { messages: [{ role: "user", content: "?", name: "ann" }] },
      { messages: [Chat.user("?")], model: "other" },
      { messages: [Chat.user("?")], temperature: 0 },
      { messages: [Chat.user("?")], temperature: 1 },
      { messages: [Chat.user("?")], user: "ann" },
      { messages: [Chat.user("?")], user: "bob" },
      { messages: [Chat.user("?")], metadata: { cacheControl: "a" } },
      { messages: [Chat.user("?")], metadata: { cacheControl: "b" } },
      { messages: [Chat.user("?")], metadata: JSON.parse('{"__proto__":"a"}') },
      { messages: [Chat.user("?")], stop: ["a", "b"] },
      { messages: [Chat.user("?")], stop: ["b", "a"] },
      { messages: [Chat.user("?")], stop: ["a,b"] },
      // Models generate the fields of an answer in the order of its schema.
      schema({ properties: { why: {}, answer: {} } }),
      schema({ properties: { answer: {}, why: {} } }),
      tool({ properties: { a: {}, b: {} } }),
      tool({ properties: { b: {}, a: {} } }),
      tool({ properties: { cacheControl: {} } }),
      extra({ top_k: 1 }),
      extra({ top_k: 2 }),
      extra({ cacheControl: 1 }),
      extra({ cacheControl: 2 }),
      { messages: [Chat.user("a"), Chat.assistant("b")] },
      { messages: [Chat.user("a"), { role: "assistant", content: [{ type: "reasoning", text: "", signature: "s" }] }] },
      { messages: [Chat.user("a"), { role: "assistant", content: [{ type: "reasoning", text: "", signature: "t" }] }] }
    ]
    expect(new Set(different.map((request) => contentOf(request))).size).toBe(different.length)
  })

  it("Key.ofChat ignores cacheControl and the fields in `ignore`", () => {
    const marked: ChatRequest = {
      messages: [{ role: "user", content: [{ type: "text", text: "?", cacheControl: { ttl: "1h" } }] }],
      tools: [{ name: "search", cacheControl: {} }]
    }
    const plain: ChatRequest = {
      messages: [{ role: "user", content: [{ type: "text", text: "?" }] }],
      tools: [{ name: "search" }]
    }
    expect(contentOf(marked)).toBe(contentOf(plain))
    expect(contentOf({ ...plain, user: "ann", metadata: { a: "b" } }, ["user", "metadata"])).toBe(contentOf(plain))
  })

  it("Key.ofChat includes the defaults of the LLM and ignores a trailing slash of its base URL", () => {
    const withDefaults = { ...info, defaults: { temperature: 1 } }
    const of = (info: LLM.ModelInfo, request: ChatRequest.Input) => Key.ofChat("", info, request, new Set())
    const explicit: ChatRequest = { messages: [Chat.user("?")], temperature: 1 }
    expect(of(withDefaults, "?")).toBe(of(info, explicit))
    expect(of(withDefaults, "?")).not.toBe(of(info, "?"))
    expect(of({ ...info, baseUrl: "https://a.example/v1/" }, "?")).toBe(
      of({ ...info, baseUrl: "https://a.example/v1" }, "?")
    )
  })

  it.effect("digest returns SHA-256 in hexadecimal", () =>
    Effect.gen(function* () {
      expect(yield* digest("abc")).toEqual(
        Option.some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
      )
    })
  )
})

const canary = "sk-canary-77aa0c31-never-to-be-seen"

describe("secrets in a cache store", () => {
  it.scopedLive("writes neither the API key nor its id into the keys and values of a store", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const seen: Array<string> = []
      const memory = yield* CacheStore.makeMemory()
      const store: CacheStore.Store = {
        ...memory,
        get: (key) =>
          Effect.zipRight(
            Effect.sync(() => seen.push(key)),
            memory.get(key)
          ),
        set: (key, value, ttl) =>
          Effect.zipRight(
            Effect.sync(() => seen.push(key, value)),
            memory.set(key, value, ttl)
          )
      }
      const base = yield* LLM.make({ model: "simulated" }).pipe(
        Effect.provide(
          ChatCompletionsClient.layer({
            provider: "simulated",
            baseUrl: provider.baseUrl.replace("://", `://name:${canary}@`),
            headers: { "x-secret": canary }
          })
        ),
        Effect.provide(KeyPool.layer({ provider: "simulated", keys: [canary] })),
        Effect.provide(RateLimiter.layerUnlimited)
      )
      expect(base.info.baseUrl).toBe(provider.baseUrl)
      const responses = yield* Effect.provideService(
        ResponseCache.make({ streams: true }),
        CacheStore.CacheStore,
        store
      )
      const vectors = yield* Effect.provideService(EmbeddingCache.make(), CacheStore.CacheStore, store)
      const llm = yield* Effect.flatMap(responses.middleware(base), vectors.middleware)
      const { keyId } = yield* llm.chat("?")
      expect((yield* llm.chat("?")).cached?.source).toBe("store")
      expect((yield* llm.embed("?")).cachedTexts).toBeUndefined()
      expect((yield* llm.embed("?")).cachedTexts).toBe(1)
      expect(seen).toHaveLength(8)
      expect(seen.join("\n")).not.toContain(keyId)
      expect(seen.join("\n")).not.toContain(canary)
      expect(seen.join("\n")).not.toMatch(/"keyId":"[^"]/)
    }).pipe(Effect.provide(NodeHttpClient.layerUndici), Effect.provide(NodeContext.layer))
  )
})
