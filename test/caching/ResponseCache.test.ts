import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, TestClock } from "effect"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import type * as LLM from "../../src/LLM.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { answer, scripted, unavailable } from "../support/scripted.js"
import type { Step } from "../support/scripted.js"

const cacheOver = (options: ResponseCache.Options = {}, memory: CacheStore.MemoryOptions = {}) =>
  Effect.provide(ResponseCache.make(options), CacheStore.layerMemory(memory))

/** A cache around a scripted `LLM`, and the number of calls of that `LLM`. */
const cacheAround = (step: Step, options: ResponseCache.Options = {}, memory: CacheStore.MemoryOptions = {}) =>
  Effect.gen(function* () {
    const next = yield* scripted(step)
    const cache = yield* cacheOver(options, memory)
    const llm = yield* cache.middleware(next)
    return { llm, cache, times: Effect.map(next.asked, (asked) => asked.length) }
  })

describe("ResponseCache lookup", () => {
  it.effect("answers the second of two equal requests from the store and reports its source, age and usage", () =>
    Effect.gen(function* () {
      const { cache, llm, times } = yield* cacheAround("Paris")
      const first = yield* llm.chat("The capital of France?")
      yield* TestClock.adjust("1 minute")
      const second = yield* llm.chat({ messages: [Chat.user("The capital of France?")] })
      expect(first).toEqual(answer("Paris"))
      expect(second).toEqual({
        ...answer("Paris"),
        usage: Usage.empty,
        latency: 0,
        keyId: "",
        attempts: [],
        cached: { source: "store", age: 60_000, usage: answer("Paris").usage }
      })
      expect(yield* times).toBe(1)
      expect(yield* cache.stats).toMatchObject({ hits: 1, shared: 0, misses: 1, hitRate: 0.5, entries: 1 })
    })
  )

  it.effect("replays all parts of a cached answer in their order, and its provider metadata", () =>
    Effect.gen(function* () {
      const whole: Chat.ChatResponse = Chat.withContent(
        {
          ...answer(""),
          finishReason: "tool-calls",
          providerMetadata: { citations: [{ url: "https://example.com" }] }
        },
        [
          { type: "reasoning", text: "hm", signature: "sealed", provider: "test" },
          { type: "text", text: "so", provider: "test", native: { anthropic: { citations: [{ url: "a" }] } } },
          { ...Chat.toolCall("call_1", "search", '{"q":"é"}'), signature: "signed", provider: "test" },
          { type: "provider", provider: "test", native: { anthropic: { type: "server_tool_use", input: { q: "é" } } } },
          { type: "reasoning", text: " well", id: "r2", format: "summary", provider: "test" },
          { type: "text", text: " it is" },
          { ...Chat.toolCall("call_2", "sql", "SELECT 1"), custom: true }
        ]
      )
      const { llm } = yield* cacheAround(Effect.succeed(whole))
      yield* llm.chat("?")
      const { cached, ...hit } = yield* llm.chat("?")
      expect(hit).toEqual({ ...whole, usage: Usage.empty, latency: 0, keyId: "", attempts: [] })
      expect(cached?.usage).toEqual(whole.usage)
    })
  )

  it.effect("a cached answer has no cost from pricing below the cache and zero cost from pricing above it", () =>
    Effect.gen(function* () {
      const priced = yield* Effect.flatMap(scripted("Paris"), Pricing.middleware())
      const cache = yield* cacheOver()
      const inside = yield* cache.middleware(priced)
      const outside = yield* Pricing.middleware()(inside)
      expect((yield* inside.chat("?")).cost?.total).toBeGreaterThan(0)
      expect((yield* inside.chat("?")).cost).toBe(undefined)
      expect((yield* outside.chat("?")).cost?.total).toBe(0)
    }).pipe(Effect.provide(Pricing.layer({ test: { "*": { input: 1, output: 2 } } })))
  )

  it.effect("misses when the model, provider, wire, base URL, defaults or scope differ", () =>
    Effect.gen(function* () {
      const next = yield* scripted("yes")
      const store = CacheStore.layerMemory()
      yield* Effect.gen(function* () {
        const cache = yield* ResponseCache.make()
        const tenant = yield* ResponseCache.make({ scope: "tenant" })
        const variants: ReadonlyArray<Partial<LLM.ModelInfo>> = [
          {},
          { model: "other" },
          { provider: "other" },
          { wire: "other" },
          { baseUrl: "https://eu.example.com" },
          { defaults: { temperature: 0 } }
        ]
        for (const variant of variants) {
          const llm = { ...next, info: { ...next.info, ...variant } }
          yield* (yield* cache.middleware(llm)).chat("?")
          yield* (yield* tenant.middleware(llm)).chat("?")
        }
        expect((yield* next.asked).length).toBe(variants.length * 2)
      }).pipe(Effect.provide(store))
    })
  )

  it.effect("hits when a request names the model that the LLM uses anyway", () =>
    Effect.gen(function* () {
      const { llm, times } = yield* cacheAround("yes")
      yield* llm.chat("?")
      yield* llm.chat({ model: "model", messages: [Chat.user("?")] })
      expect(yield* times).toBe(1)
    })
  )
})

describe("ResponseCache around a ResponseCache", () => {
  it.effect("the outer cache stores the answer of the inner one with its original age and usage", () =>
    Effect.gen(function* () {
      const next = yield* scripted("yes")
      const inner = yield* cacheOver()
      const outer = yield* cacheOver()
      const llm = yield* Effect.flatMap(inner.middleware(next), outer.middleware)
      yield* llm.chat("?")
      yield* outer.clear
      yield* TestClock.adjust("1 minute")
      const fromInner = yield* llm.chat("?")
      yield* TestClock.adjust("1 minute")
      const fromOuter = yield* llm.chat("?")
      const { usage } = answer("yes")
      expect(fromInner.cached).toEqual({ source: "store", age: 60_000, usage })
      expect(fromOuter.cached).toEqual({ source: "store", age: 120_000, usage })
      expect(fromOuter.usage).toEqual(Usage.empty)
      expect((yield* next.asked).length).toBe(1)
      expect(yield* outer.stats).toMatchObject({ hits: 1, misses: 1 })
    })
  )
})

describe("which answers a ResponseCache stores", () => {
  const incomplete: ReadonlyArray<readonly [string, Partial<Chat.ChatResponse>]> = [
    ["cut off", { finishReason: "length" }],
    ["filtered", { finishReason: "content-filter" }],
    ["finished for an unknown reason", { finishReason: "other" }],
    ["refused", { refusal: "I will not." }],
    ["empty", Chat.withContent(answer(""), [])]
  ]
  for (const [name, fields] of incomplete) {
    it.effect(`does not store an answer that is ${name}`, () =>
      Effect.gen(function* () {
        const { cache, llm, times } = yield* cacheAround(Effect.succeed({ ...answer("text"), ...fields }))
        yield* llm.chat("?")
        expect((yield* llm.chat("?")).cached).toBeUndefined()
        expect(yield* times).toBe(2)
        expect(yield* cache.stats).toMatchObject({ misses: 2, entries: 0 })
      })
    )
  }

  it.effect("stores an answer whose only content is a provider part", () =>
    Effect.gen(function* () {
      const image: Chat.ProviderPart = { type: "provider", provider: "test", native: { test: { type: "image" } } }
      const { llm, times } = yield* cacheAround(Effect.succeed(Chat.withContent(answer(""), [image])))
      yield* llm.chat("?")
      expect((yield* llm.chat("?")).content).toEqual([image])
      expect(yield* times).toBe(1)
    })
  )

  it.effect("stores an answer that was cut off when `accept` allows it", () =>
    Effect.gen(function* () {
      const { llm, times } = yield* cacheAround(Effect.succeed({ ...answer("cut"), finishReason: "length" }), {
        accept: (response) => ResponseCache.isComplete(response) || response.finishReason === "length"
      })
      yield* llm.chat("?")
      expect((yield* llm.chat("?")).finishReason).toBe("length")
      expect(yield* times).toBe(1)
    })
  )

  it.effect("does not store a failed call", () =>
    Effect.gen(function* () {
      const next = yield* scripted(unavailable, "back")
      const llm = yield* (yield* cacheOver()).middleware(next)
      expect(yield* Effect.flip(llm.chat("?"))).toBe(unavailable)
      expect((yield* llm.chat("?")).text).toBe("back")
    })
  )

  it.effect("bypasses the cache for requests that `when` excludes", () =>
    Effect.gen(function* () {
      const { cache, llm, times } = yield* cacheAround("yes", { when: (request) => request.temperature === 0 })
      const cold = { messages: [Chat.user("?")], temperature: 0 }
      yield* llm.chat("?")
      yield* llm.chat("?")
      yield* llm.chat(cold)
      yield* llm.chat(cold)
      expect(yield* times).toBe(3)
      expect(yield* cache.stats).toMatchObject({ bypassed: 2, hits: 1, misses: 1 })
    })
  )
})

describe("ttl and capacity of a ResponseCache", () => {
  it.effect("serves an answer until its ttl has passed and calls the provider after that", () =>
    Effect.gen(function* () {
      const { llm, times } = yield* cacheAround("yes", { ttl: "10 minutes" })
      yield* llm.chat("?")
      yield* TestClock.adjust("599 seconds")
      yield* llm.chat("?")
      expect(yield* times).toBe(1)
      yield* TestClock.adjust("1 second")
      yield* llm.chat("?")
      expect(yield* times).toBe(2)
    })
  )

  it.effect("withTtl overrides the ttl of the cache for one call", () =>
    Effect.gen(function* () {
      const { llm, times } = yield* cacheAround("yes")
      yield* ResponseCache.withTtl(llm.chat("?"), "1 second")
      yield* TestClock.adjust("1 second")
      yield* llm.chat("?").pipe(ResponseCache.withTtl("0 seconds"))
      yield* llm.chat("?")
      expect(yield* times).toBe(3)
    })
  )

  it.effect("evicts the least recently used answer when maxEntries is reached", () =>
    Effect.gen(function* () {
      const { cache, llm, times } = yield* cacheAround("yes", {}, { maxEntries: 2 })
      yield* llm.chat("one")
      yield* llm.chat("two")
      yield* llm.chat("one")
      yield* llm.chat("three")
      yield* llm.chat("one")
      expect(yield* times).toBe(3)
      yield* llm.chat("two")
      expect(yield* times).toBe(4)
      expect(yield* cache.stats).toMatchObject({ entries: 2 })
    })
  )

  it.effect("keeps the store within maxBytes and does not store an answer that is larger than maxBytes", () =>
    Effect.gen(function* () {
      const next = yield* scripted(Effect.succeed(answer("x".repeat(2000))))
      const cache = yield* cacheOver({}, { maxBytes: 6000 })
      const llm = yield* cache.middleware(next)
      for (const question of ["one", "two", "three", "four"]) yield* llm.chat(question)
      const { bytes, entries } = yield* cache.stats
      expect(entries).toBe(2)
      expect(bytes).toBeGreaterThan(4000)
      expect(bytes).toBeLessThanOrEqual(6000)
      const small = yield* cacheAround(Effect.succeed(answer("x".repeat(2000))), {}, { maxBytes: 1000 })
      yield* small.llm.chat("?")
      expect(yield* small.cache.stats).toMatchObject({ entries: 0, bytes: 0 })
    })
  )
})

describe("bypass, refresh, invalidate and clear", () => {
  it.effect("bypass neither looks an answer up nor stores it", () =>
    Effect.gen(function* () {
      const { cache, llm, times } = yield* cacheAround("yes")
      yield* ResponseCache.bypass(llm.chat("?"))
      yield* llm.chat("?")
      yield* ResponseCache.bypass(llm.chat("?"))
      expect(yield* times).toBe(3)
      expect(yield* cache.stats).toMatchObject({ bypassed: 2, misses: 1, hits: 0, hitRate: 0 })
    })
  )

  it.effect("refresh calls the provider and replaces the stored answer", () =>
    Effect.gen(function* () {
      const next = yield* scripted("old", "new")
      const llm = yield* (yield* cacheOver()).middleware(next)
      yield* llm.chat("?")
      expect((yield* ResponseCache.refresh(llm.chat("?"))).text).toBe("new")
      expect((yield* llm.chat("?")).text).toBe("new")
    })
  )

  it.effect("invalidate removes the answer of one request, and clear removes all and resets the statistics", () =>
    Effect.gen(function* () {
      const { cache, llm, times } = yield* cacheAround("yes")
      yield* llm.chat("one")
      yield* llm.chat("two")
      yield* cache.invalidate(llm, "one")
      yield* llm.chat("two")
      expect(yield* times).toBe(2)
      yield* llm.chat("one")
      expect(yield* times).toBe(3)
      yield* cache.clear
      expect(yield* cache.stats).toMatchObject({ hits: 0, misses: 0, entries: 0, bytes: 0 })
      yield* llm.chat("one")
      expect(yield* times).toBe(4)
    })
  )

  it.effect("neither stores nor shares the answer of a call in flight once its key was invalidated", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const next = yield* scripted(Effect.as(Deferred.await(gate), answer("stale")), "new")
      const cache = yield* cacheOver()
      const llm = yield* cache.middleware(next)
      const stale = yield* Effect.fork(llm.chat("?"))
      yield* untilCalled(next, 1)
      yield* cache.invalidate(llm, "?")
      expect((yield* llm.chat("?")).text).toBe("new")
      yield* Deferred.succeed(gate, undefined)
      expect((yield* Fiber.join(stale)).text).toBe("stale")
      expect((yield* llm.chat("?")).text).toBe("new")
      yield* cache.clear
      expect((yield* llm.chat("?")).cached).toBeUndefined()
    })
  )
})

const untilCalled = (
  next: { readonly asked: Effect.Effect<ReadonlyArray<unknown>> },
  times: number
): Effect.Effect<void> =>
  Effect.repeat(
    Effect.zipRight(
      Effect.promise(() => new Promise((resolve) => setImmediate(resolve))),
      next.asked
    ),
    { until: (asked) => asked.length >= times }
  )
