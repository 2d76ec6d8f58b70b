import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as FastCheck from "fast-check"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as Key from "../../src/caching/key.js"
import * as RecentValues from "../../src/internal/recentValues.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import { scripted } from "../support/scripted.js"

/** Values with few differences, so that many of them have one fingerprint. */
const { value: similar } = FastCheck.letrec<{ readonly value: unknown }>((tie) => ({
  value: FastCheck.oneof(
    { maxDepth: 3 },
    FastCheck.constantFrom("", "a", "b", "aba", "aca", 0, -0, 1, true, false, null, undefined),
    FastCheck.array(tie("value"), { maxLength: 2 }),
    FastCheck.dictionary(FastCheck.constantFrom("x", "y", "__proto__"), tie("value"), { maxKeys: 2 })
  )
}))

const requestWith = (extra: unknown) => ({ messages: [Chat.user("?")], extra: { field: extra } })

const info = { provider: "test", model: "model", wire: "test", contextWindow: 1000 }

const keyOf = (request: Chat.ChatRequest.Input) => Key.ofChat("", info, request, new Set())

describe("the results for recent values", () => {
  it("are found for equal requests, and for no request with another cache key", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(similar, { minLength: 2, maxLength: 12 }), (values) => {
        const recent = RecentValues.make<string>()
        for (const value of values) {
          const request = requestWith(value)
          const found = recent.get(request)
          if (found !== undefined) expect(found).toBe(keyOf(request))
          recent.prepare(request)(keyOf(request))
          expect(recent.get(structuredClone(request))).toBe(keyOf(request))
        }
      }),
      { numRuns: 500 }
    )
  })

  it("belong to the value as it was when it was prepared, however it is changed afterwards", () => {
    const recent = RecentValues.make<string>()
    const messages = [{ role: "user", content: "one" }]
    const remember = recent.prepare({ messages })
    messages.push({ role: "user", content: "two" })
    remember("a")
    expect(recent.get({ messages })).toBeUndefined()
    expect(recent.get({ messages: [{ role: "user", content: "one" }] })).toBe("a")
  })

  it("are not kept for values that are not JSON, for cycles and for very long texts", () => {
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    for (const request of [{ a: () => 1 }, { a: 1n }, { a: Symbol() }, { a: new Date(0) }, cycle, "x".repeat(1e6)]) {
      const recent = RecentValues.make<string>()
      recent.prepare(request)("a")
      expect(recent.get(request)).toBeUndefined()
    }
  })

  it("are those of the latest 128 values, and of no more than 2 million units of text", () => {
    const recent = RecentValues.make<number>()
    for (let index = 0; index < 200; index++) recent.prepare({ index })(index)
    const found = Array.from({ length: 200 }, (_, index) => recent.get({ index })).filter(
      (result) => result !== undefined
    )
    expect(found).toEqual(Array.from({ length: 128 }, (_, index) => index + 72))
    const textOf = (index: number) => `${index}`.padStart(200_000, "_")
    for (let index = 0; index < 20; index++) recent.prepare(textOf(index))(index)
    expect(Array.from({ length: 20 }, (_, index) => recent.get(textOf(index)))).toEqual([
      ...Array.from({ length: 10 }, () => undefined),
      ...Array.from({ length: 10 }, (_, index) => index + 10)
    ])
  })
})

describe("a ResponseCache", () => {
  it.effect("calls the provider again when the messages of a request were changed after its answer was stored", () =>
    Effect.gen(function* () {
      const cache = yield* Effect.provide(ResponseCache.make(), CacheStore.layerMemory())
      const llm = yield* cache.middleware(yield* scripted("one", "two"))
      const messages = [Chat.user("?")]
      const ask = Effect.map(llm.chat({ messages }), ({ cached, text }) => [text, cached?.source])
      expect(yield* ask).toEqual(["one", undefined])
      expect(yield* ask).toEqual(["one", "store"])
      messages.push(Chat.user("And now?"))
      expect(yield* ask).toEqual(["two", undefined])
      expect(yield* ask).toEqual(["two", "store"])
    })
  )

  it.effect("uses the `get` of a store in memory that was changed", () =>
    Effect.gen(function* () {
      const memory = yield* CacheStore.makeMemory()
      let reads = 0
      const counting: CacheStore.Store = {
        ...memory,
        get: (key) => {
          reads++
          return memory.get(key)
        }
      }
      const cache = yield* Effect.provideService(ResponseCache.make(), CacheStore.CacheStore, counting)
      const llm = yield* cache.middleware(yield* scripted("one"))
      yield* llm.chat("?")
      const readsOfMiss = reads
      expect((yield* llm.chat("?")).cached?.source).toBe("store")
      expect(reads).toBe(readsOfMiss + 1)
    })
  )
})
