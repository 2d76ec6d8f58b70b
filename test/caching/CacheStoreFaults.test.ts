/** A user's own store that breaks the contract of `Store` fails no call of either cache. */
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

/** Faulty operations; results of any type, since a store need not be written in TypeScript. */
const faults: Readonly<Record<string, () => unknown>> = {
  "throws at once": boom,
  dies: () => Effect.die(new Error("the store broke")),
  "fails with another error": () => Effect.fail("not a CacheStoreError"),
  "interrupts itself": () => Effect.interrupt,
  "throws inside its effect": () => Effect.sync(boom),
  "returns undefined": () => undefined,
  "returns a promise": () => Promise.resolve(Option.none()),
  "succeeds with undefined": () => Effect.void,
  "succeeds with null": () => Effect.succeed(null),
  "succeeds with a bare string": () => Effect.succeed("text"),
  "succeeds with an Option of a number": () => Effect.succeed(Option.some(7)),
  "succeeds with text that is not an entry": () => Effect.succeed(Option.some("{}")),
  "succeeds with an entry that lacks its fields": () =>
    Effect.succeed(Option.some('{"at":0,"until":null,"response":{}}'))
}

type Operation = "get" | "set" | "remove"

/** A memory store with these operations replaced by a fault. */
const faulty = (operations: ReadonlyArray<Operation>, fault: () => unknown, immediate: boolean) =>
  Effect.map(CacheStore.makeMemory(), (memory): CacheStore.Store => {
    const store = { ...memory, immediate }
    for (const operation of operations) Reflect.set(store, operation, fault)
    return store
  })

const operationSets: ReadonlyArray<ReadonlyArray<Operation>> = [
  ["get"],
  ["set"],
  ["remove"],
  ["get", "remove"],
  ["get", "set", "remove"]
]

describe("a faulty cache store", () => {
  for (const [name, fault] of Object.entries(faults)) {
    it.effect(`chats, streams and embeddings succeed when an operation of the cache store ${name}`, () =>
      Effect.gen(function* () {
        for (const operations of operationSets) {
          for (const immediate of [false, true]) {
            const store = yield* faulty(operations, fault, immediate)
            const next = yield* scripted("yes")
            const responses = yield* Effect.provideService(
              ResponseCache.make({ streams: true, storeCooldown: 1 }),
              CacheStore.CacheStore,
              store
            )
            const embeddings = yield* Effect.provideService(
              EmbeddingCache.make({ storeCooldown: 1 }),
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

  it.effect("counts an exception of the store as a failure, and invalidate fails with it as a CacheStoreError", () =>
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

  it.effect("calls the operations of a store with their `this`", () =>
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
