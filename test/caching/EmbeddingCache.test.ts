import { describe, expect, it } from "@effect/vitest"
import { Effect, Ref, TestClock } from "effect"
import * as FastCheck from "fast-check"
import * as CacheStore from "../../src/caching/CacheStore.js"
import type { Embeddable, EmbeddingRequest, EmbeddingResponse } from "../../src/vocabulary/Embedding.js"
import * as EmbeddingCache from "../../src/caching/EmbeddingCache.js"
import { normalizeEmbedding } from "../../src/call/request.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { scripted, unavailable } from "../support/scripted.js"
import { character } from "../support/character.js"
import { fromEither } from "../../src/internal/asEffect.js"

const vectorOf = (text: Embeddable): ReadonlyArray<number> => [text.length, 0.1, String(text).charCodeAt(0) / 3]

const answerTo = (texts: ReadonlyArray<Embeddable>): EmbeddingResponse => ({
  provider: "test",
  model: "model",
  embeddings: texts.map(vectorOf),
  usage: Usage.make({ inputTokens: texts.length }),
  latency: 1,
  attempts: [{ provider: "test", model: "model", keyId: "key", duration: 1 }]
})

type Embed = (request: EmbeddingRequest, call: number) => Effect.Effect<EmbeddingResponse, LLMError>

/** A cache around an `LLM` that embeds, and the texts of each request to that `LLM`. */
const cacheAround = (
  embed: Embed = ({ input }) => Effect.succeed(answerTo(input)),
  options: EmbeddingCache.Options = {},
  memory: CacheStore.MemoryOptions = {}
) =>
  Effect.gen(function* () {
    const requested = yield* Ref.make<ReadonlyArray<ReadonlyArray<Embeddable>>>([])
    const next = {
      ...(yield* scripted("unused")),
      embed: (input: EmbeddingRequest.Input) =>
        Effect.flatMap(fromEither(normalizeEmbedding(input)), (request) =>
          Effect.flatMap(
            Ref.getAndUpdate(requested, (before) => [...before, request.input]),
            (before) => embed(request, before.length)
          )
        )
    }
    const cache = yield* Effect.provide(EmbeddingCache.make(options), CacheStore.layerMemory(memory))
    return { llm: yield* cache.middleware(next), cache, requested: Ref.get(requested) }
  })

describe("lookup of an EmbeddingCache", () => {
  it.effect("requests only the texts that are not cached and returns all vectors in the order of the texts", () =>
    Effect.gen(function* () {
      const { requested, cache, llm } = yield* cacheAround()
      expect(yield* llm.embed(["a", "bb"])).toEqual(answerTo(["a", "bb"]))
      const mixed = yield* llm.embed(["ccc", "bb", "a", "dddd", "ccc"])
      expect(mixed).toEqual({
        ...answerTo(["ccc", "bb", "a", "dddd", "ccc"]),
        usage: Usage.make({ inputTokens: 2 }),
        cachedTexts: 2
      })
      const cached = yield* llm.embed(["dddd", "a"])
      expect(cached).toEqual({
        ...answerTo(["dddd", "a"]),
        usage: Usage.empty,
        attempts: [],
        latency: 0,
        cachedTexts: 2
      })
      expect(yield* requested).toEqual([
        ["a", "bb"],
        ["ccc", "dddd"]
      ])
      expect(yield* cache.stats).toMatchObject({ hits: 4, misses: 4, hitRate: 0.5, entries: 4 })
    })
  )

  it.effect.prop(
    "returns the same vectors as without a cache and requests no text twice",
    [
      FastCheck.array(
        FastCheck.array(FastCheck.string({ maxLength: 3, unit: character }), { minLength: 1, maxLength: 6 }),
        { maxLength: 6 }
      )
    ],
    ([batches]) =>
      Effect.gen(function* () {
        const { requested, llm } = yield* cacheAround()
        for (const texts of batches) expect((yield* llm.embed(texts)).embeddings).toEqual(texts.map(vectorOf))
        const all = (yield* requested).flat()
        expect(all.length).toBe(new Set(batches.flat()).size)
      }),
    { fastCheck: { numRuns: 25 } }
  )

  it.effect("misses a text when dimensions, purpose, model or extra differ, but not for encoding or user", () =>
    Effect.gen(function* () {
      const { requested, llm } = yield* cacheAround()
      const variants: ReadonlyArray<EmbeddingRequest> = [
        { input: ["a"] },
        { input: ["a"], dimensions: 2 },
        { input: ["a"], purpose: "query" },
        { input: ["a"], purpose: "document" },
        { input: ["a"], model: "other" },
        { input: ["a"], extra: { truncate: "END" } },
        { input: ["a "] }
      ]
      for (const variant of variants) yield* llm.embed(variant)
      expect((yield* requested).length).toBe(variants.length)
      // The encoding of the vectors and the user do not change the vectors.
      yield* llm.embed({ input: ["a"], encoding: "float", user: "ann" })
      expect((yield* requested).length).toBe(variants.length)
    })
  )

  it.effect("caches an array of tokens apart from a text that looks the same", () =>
    Effect.gen(function* () {
      const { requested, llm } = yield* cacheAround()
      yield* llm.embed({ input: [[7, 8], "[7,8]"] })
      const again = yield* llm.embed({ input: ["[7,8]", [8, 7], [7, 8]] })
      expect(again.embeddings).toEqual(answerTo(["[7,8]", [8, 7], [7, 8]]).embeddings)
      expect(again.cachedTexts).toBe(2)
      expect(yield* requested).toEqual([[[7, 8], "[7,8]"], [[8, 7]]])
    })
  )

  it.effect("keeps the cached vectors when the request for the missing texts fails", () =>
    Effect.gen(function* () {
      const { requested, llm } = yield* cacheAround(({ input }, call) =>
        call === 1 ? Effect.fail(unavailable) : Effect.succeed(answerTo(input))
      )
      yield* llm.embed(["a"])
      expect(yield* Effect.flip(llm.embed(["a", "b"]))).toBe(unavailable)
      expect((yield* llm.embed(["a", "b"])).cachedTexts).toBe(1)
      expect(yield* requested).toEqual([["a"], ["b"], ["b"]])
    })
  )

  it.effect("requests all texts again when another model answers than the one of the cached vectors", () =>
    Effect.gen(function* () {
      const { requested, llm } = yield* cacheAround(({ input }, call) =>
        Effect.succeed(call === 0 ? answerTo(input) : { ...answerTo(input), model: "newer" })
      )
      yield* llm.embed(["a"])
      const whole = yield* llm.embed(["a", "b"])
      expect(whole.model).toBe("newer")
      expect(whole.cachedTexts).toBeUndefined()
      expect(whole.usage.inputTokens).toBe(3)
      expect(whole.attempts).toHaveLength(2)
      expect(yield* requested).toEqual([["a"], ["b"], ["a", "b"]])
    })
  )

  it.effect("returns an answer with too few vectors unchanged and does not store it", () =>
    Effect.gen(function* () {
      const { cache, llm } = yield* cacheAround(() => Effect.succeed(answerTo(["a"])))
      expect((yield* llm.embed(["a", "b"])).embeddings).toHaveLength(1)
      expect(yield* cache.stats).toMatchObject({ entries: 0 })
    })
  )
})

describe("vectors of an EmbeddingCache", () => {
  const exact = [0.1, 1 / 3, -0, 1e-300, 123_456_789.123]
  const floats = [Math.fround(0.1), -0.5, 0, Math.fround(1e-20)]
  const made =
    (vector: ReadonlyArray<number>): Embed =>
    ({ input }) =>
      Effect.succeed({ ...answerTo(input), embeddings: input.map(() => vector) })

  it.effect("returns a cached vector with exactly the numbers that were stored", () =>
    Effect.gen(function* () {
      for (const vector of [exact, floats, []]) {
        const { llm } = yield* cacheAround(made(vector))
        yield* llm.embed("a")
        expect((yield* llm.embed("a")).embeddings).toEqual([vector])
      }
    })
  )

  it.effect("stores a number in 4 bytes when that is exact or precision is single, else in 8", () =>
    Effect.gen(function* () {
      const vector = Array.from({ length: 1536 }, (_, index) => Math.fround(Math.sin(index) / 40))
      const sizeOf = (vector: ReadonlyArray<number>, options: EmbeddingCache.Options = {}) =>
        Effect.gen(function* () {
          const { cache, llm } = yield* cacheAround(made(vector), options)
          yield* llm.embed("a")
          const [read] = (yield* llm.embed("a")).embeddings
          for (const [index, value] of vector.entries()) expect(read?.[index]).toBeCloseTo(value, 6)
          return (yield* cache.stats).bytes ?? 0
        })
      const whole = (1536 * 4 * 4) / 3
      expect(yield* sizeOf(vector)).toBeLessThan(whole + 250)
      const doubles = vector.map((value) => value + 1e-12)
      expect(yield* sizeOf(doubles)).toBeGreaterThan(2 * whole)
      expect(yield* sizeOf(doubles, { precision: "single" })).toBeLessThan(whole + 250)
    })
  )

  it.effect("requests texts again after ttl, invalidate, bypass, refresh and clear", () =>
    Effect.gen(function* () {
      const { requested, cache, llm } = yield* cacheAround(undefined, { ttl: "1 day" })
      const times = Effect.map(requested, (calls) => calls.length)
      yield* llm.embed(["a", "b"])
      yield* TestClock.adjust("1 day")
      yield* llm.embed(["a", "b"])
      expect(yield* times).toBe(2)
      yield* cache.invalidate(llm, ["a"])
      yield* llm.embed(["a", "b"])
      expect((yield* requested)[2]).toEqual(["a"])
      yield* ResponseCache.bypass(llm.embed(["a"]))
      yield* ResponseCache.refresh(llm.embed(["a"]))
      expect(yield* times).toBe(5)
      yield* ResponseCache.withTtl(llm.embed(["c"]), "1 minute")
      yield* TestClock.adjust("1 minute")
      yield* llm.embed(["c"])
      expect(yield* times).toBe(7)
      yield* cache.clear
      yield* llm.embed(["a"])
      expect(yield* times).toBe(8)
    })
  )

  it.effect("requests a text again when its stored vector cannot be decoded", () =>
    Effect.gen(function* () {
      const memory = yield* CacheStore.makeMemory()
      const nonsense: CacheStore.Store = {
        ...memory,
        set: (key, value, ttl) => memory.set(key, value.replace(/"vector":"..../, '"vector":"?'), ttl)
      }
      const { info, ...rest } = yield* scripted("unused")
      let calls = 0
      const next = {
        ...rest,
        info,
        embed: () =>
          Effect.sync(() => {
            calls++
            return answerTo(["a"])
          })
      }
      const cache = yield* Effect.provideService(EmbeddingCache.make(), CacheStore.CacheStore, nonsense)
      const llm = yield* cache.middleware(next)
      yield* llm.embed("a")
      expect((yield* llm.embed("a")).embeddings).toEqual([vectorOf("a")])
      expect(calls).toBe(2)
    })
  )
})
