/** A store of a user's own that does what no store may do fails no call, of neither cache. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger, LogLevel, Option, TestClock } from "effect"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as EmbeddingCache from "../../src/caching/EmbeddingCache.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import { scripted } from "../support/scripted.js"

const boom = (): never => {
  throw new Error("the store broke")
}

/** What an operation does in place of its work; a value of any shape, as a store that is not written in TypeScript may give. */
const faults: Readonly<Record<string, () => unknown>> = {
  "throws at once": boom,
  dies: () => Effect.die(new Error("the store broke")),
  "fails with another error": () => Effect.fail("not a CacheStoreError"),
  "interrupts itself": () => Effect.interrupt,
  "throws inside its effect": () => Effect.sync(boom),
  "returns nothing": () => undefined,
  "returns a promise": () => Promise.resolve(Option.none()),
  "gives nothing": () => Effect.void,
  "gives null": () => Effect.succeed(null),
  "gives a bare text": () => Effect.succeed("text"),
  "gives an option of a number": () => Effect.succeed(Option.some(7)),
  "gives a text that is no entry": () => Effect.succeed(Option.some("{}")),
  "gives an entry without its fields": () => Effect.succeed(Option.some('{"at":0,"until":null,"response":{}}'))
}

type Operation = "get" | "set" | "remove"

/** A memory store of which these operations are faulty. */
const faulty = (operations: ReadonlyArray<Operation>, fault: () => unknown, immediate: boolean) =>
  Effect.map(CacheStore.memory(), (memory): CacheStore.Store => {
    const store = { ...memory, immediate }
    for (const operation of operations) Reflect.set(store, operation, fault)
    return store
  })

const places: ReadonlyArray<ReadonlyArray<Operation>> = [
  ["get"],
  ["set"],
  ["remove"],
  ["get", "remove"],
  ["get", "set", "remove"]
]

describe("a cache store that is faulty", () => {
  for (const [name, fault] of Object.entries(faults)) {
    it.effect(`fails no chat, stream or embedding: it ${name}`, () =>
      Effect.gen(function* () {
        for (const operations of places) {
          for (const immediate of [false, true]) {
            const store = yield* faulty(operations, fault, immediate)
            const next = yield* scripted("yes")
            const responses = yield* Effect.provideService(
              ResponseCache.make({ streams: true, storeRest: 1 }),
              CacheStore.CacheStore,
              store
            )
            const embeddings = yield* Effect.provideService(
              EmbeddingCache.make({ storeRest: 1 }),
              CacheStore.CacheStore,
              store
            )
            const chat = yield* responses.middleware(next)
            const embed = yield* embeddings.middleware(next)
            for (let time = 0; time < 2; time++) {
              expect((yield* chat.chat("?")).text).toBe("yes")
              expect((yield* ChatEvent.collect(chat.chatStream("?!"))).text).toBe("yes")
              expect((yield* embed.embed("?")).embeddings).toEqual([[3]])
              yield* TestClock.adjust("1 second")
            }
          }
        }
      }).pipe(Logger.withMinimumLogLevel(LogLevel.None))
    )
  }

  it.effect("is counted, and what it throws is told as a CacheStoreError where the caller asked the store", () =>
    Effect.gen(function* () {
      for (const immediate of [false, true]) {
        const store = yield* faulty(["get", "set", "remove"], boom, immediate)
        const cache = yield* Effect.provideService(ResponseCache.make(), CacheStore.CacheStore, store)
        const llm = yield* cache.middleware(yield* scripted("yes"))
        yield* llm.chat("?")
        expect((yield* cache.stats).storeFailures).toBeGreaterThan(0)
        const error = yield* Effect.flip(cache.invalidate(llm, "?"))
        expect(error).toMatchObject({ _tag: "CacheStoreError", operation: "remove", detail: "the store broke" })
      }
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None))
  )

  it.effect("may be an object whose operations need its `this`", () =>
    Effect.gen(function* () {
      class Counting implements CacheStore.Store {
        private readonly values = new Map<string, string>()
        get(key: string) {
          return Effect.sync(() => Option.fromNullable(this.values.get(key)))
        }
        set(key: string, value: string) {
          return Effect.sync(() => void this.values.set(key, value))
        }
        remove(key: string) {
          return Effect.sync(() => void this.values.delete(key))
        }
        readonly clear = Effect.sync(() => this.values.clear())
      }
      const cache = yield* Effect.provideService(EmbeddingCache.make(), CacheStore.CacheStore, new Counting())
      const llm = yield* cache.middleware(yield* scripted("yes"))
      yield* llm.embed(["one"])
      yield* llm.embed(["one"])
      expect(yield* cache.stats).toMatchObject({ hits: 1, misses: 1, storeFailures: 0 })
    })
  )
})
