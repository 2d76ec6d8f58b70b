import * as Persistence from "@effect/experimental/Persistence"
import { FileSystem, KeyValueStore } from "@effect/platform"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeKeyValueStore from "@effect/platform-node/NodeKeyValueStore"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Logger, Option, TestClock } from "effect"
import * as FastCheck from "fast-check"
import * as CacheStore from "../../src/caching/CacheStore.js"
import { PersistenceStore } from "../../src/caching/persistence/index.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import { scripted } from "../support/scripted.js"
import { settled } from "../support/settled.js"

const minute = Option.some(Duration.minutes(1))

describe("CacheStore contract", () => {
  const stores: ReadonlyArray<readonly [string, Layer.Layer<CacheStore.CacheStore>]> = [
    ["memory", CacheStore.layerMemory()],
    ["a KeyValueStore", Layer.provide(CacheStore.layerKeyValueStore, KeyValueStore.layerMemory)],
    ["a Persistence", Layer.provide(PersistenceStore.layer("cache"), Persistence.layerMemory)]
  ]
  for (const [name, store] of stores) {
    it.effect(`gets, replaces, removes and clears values in ${name}`, () =>
      Effect.gen(function* () {
        const { clear, get, remove, set } = yield* CacheStore.CacheStore
        expect(yield* get("a")).toEqual(Option.none())
        yield* set("a", "ä 1", minute)
        yield* set("a", "ä 2", minute)
        yield* set("b", "3", Option.none())
        expect(yield* get("a")).toEqual(Option.some("ä 2"))
        yield* remove("a")
        yield* remove("a")
        expect(yield* get("a")).toEqual(Option.none())
        expect(yield* get("b")).toEqual(Option.some("3"))
        yield* clear
        expect(yield* get("b")).toEqual(Option.none())
      }).pipe(Effect.provide(store))
    )
  }

  it.effect("expires a value at its ttl in memory and in a Persistence", () =>
    Effect.gen(function* () {
      for (const layer of [
        CacheStore.layerMemory(),
        Layer.provide(PersistenceStore.layer("x"), Persistence.layerMemory)
      ]) {
        yield* Effect.gen(function* () {
          const store = yield* CacheStore.CacheStore
          yield* store.set("a", "1", minute)
          yield* TestClock.adjust("59 seconds")
          expect(Option.isSome(yield* store.get("a"))).toBe(true)
          yield* TestClock.adjust("1 second")
          expect(Option.isSome(yield* store.get("a"))).toBe(false)
        }).pipe(Effect.provide(layer))
      }
    })
  )
})

describe("CacheStore.makeMemory", () => {
  const operation = FastCheck.oneof(
    FastCheck.record({ do: FastCheck.constant("set" as const), key: FastCheck.nat(6), size: FastCheck.nat(40) }),
    FastCheck.record({ do: FastCheck.constant("get" as const), key: FastCheck.nat(6), size: FastCheck.constant(0) }),
    FastCheck.record({ do: FastCheck.constant("remove" as const), key: FastCheck.nat(6), size: FastCheck.constant(0) })
  )

  it.effect.prop(
    "evicts the least recently used entries and counts bytes exactly as a model list does",
    [FastCheck.array(operation, { maxLength: 60 })],
    ([operations]) =>
      Effect.gen(function* () {
        const store = yield* CacheStore.makeMemory({ maxEntries: 4, maxBytes: 100 })
        let model: ReadonlyArray<readonly [key: string, value: string]> = []
        const bytes = () => model.reduce((sum, [key, value]) => sum + key.length + value.length, 0)
        for (const step of operations) {
          const key = `k${step.key}`
          const others = model.filter(([other]) => other !== key)
          const current = model.find(([other]) => other === key)
          if (step.do === "set") {
            const value = "v".repeat(step.size)
            yield* store.set(key, value, Option.none())
            model = [...others, [key, value]]
            while (model.length > 4 || bytes() > 100) model = model.slice(1)
          } else if (step.do === "get") {
            expect(yield* store.get(key)).toEqual(Option.fromNullable(current?.[1]))
            if (current !== undefined) model = [...others, current]
          } else {
            yield* store.remove(key)
            model = others
          }
          expect(yield* store.size ?? Effect.succeed(undefined)).toEqual({ entries: model.length, bytes: bytes() })
        }
      })
  )
})

describe("CacheStore over a directory of files", () => {
  const over = (directory: string) =>
    CacheStore.layerKeyValueStore.pipe(Layer.provide(NodeKeyValueStore.layerFileSystem(directory)))

  it.scoped("a cache over files replays an answer after a restart and replaces it once it has expired", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const directory = yield* files.makeTempDirectoryScoped()
      const next = yield* scripted("first", "second")
      const afterRestart = Effect.gen(function* () {
        const cache = yield* ResponseCache.make({ ttl: "1 hour" })
        const { cached, text } = yield* (yield* cache.middleware(next)).chat("?")
        return { text, from: cached?.source, entries: (yield* cache.stats).entries }
      }).pipe(Effect.provide(over(`${directory}/answers`)))
      expect(yield* afterRestart).toEqual({ text: "first", from: undefined, entries: 1 })
      expect(yield* afterRestart).toEqual({ text: "first", from: "store", entries: 1 })
      yield* TestClock.adjust("1 hour")
      expect(yield* afterRestart).toEqual({ text: "second", from: undefined, entries: 1 })
    }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("a cache over files treats a truncated, foreign or unreadable file as a miss and replaces it", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const directory = yield* files.makeTempDirectoryScoped()
      const next = yield* scripted("yes")
      yield* Effect.gen(function* () {
        const cache = yield* ResponseCache.make()
        const llm = yield* cache.middleware(next)
        yield* llm.chat("?")
        const [name] = yield* files.readDirectory(directory)
        const file = `${directory}/${name}`
        const whole = yield* files.readFileString(file)
        const damaged = ["", "{", "null", '{"at":0,"until":null,"response":{}}', "\u0000\u0001", whole.slice(0, -20)]
        for (const [index, text] of damaged.entries()) {
          yield* files.writeFileString(file, text)
          expect((yield* llm.chat("?")).cached).toBeUndefined()
          expect((yield* next.asked).length).toBe(index + 2)
          expect((yield* llm.chat("?")).cached?.source).toBe("store")
        }
        expect((yield* cache.stats).storeFailures).toBe(0)
      }).pipe(Effect.provide(over(directory)))
    }).pipe(Effect.provide(NodeContext.layer))
  )
})

describe("a store that fails or is slow", () => {
  const failure = new CacheStore.CacheStoreError({ operation: "get", detail: "out of order" })

  /** A cache over a store whose operations run `behaviour` first, and the number of these operations. */
  const over = (behaviour: () => Effect.Effect<void, CacheStore.CacheStoreError>) =>
    Effect.gen(function* () {
      const memory = yield* CacheStore.makeMemory()
      let operations = 0
      const withBehaviour = <A>(operation: Effect.Effect<A, CacheStore.CacheStoreError>) =>
        Effect.suspend(() => {
          operations++
          return Effect.zipRight(behaviour(), operation)
        })
      const store: CacheStore.Store = {
        get: (key) => withBehaviour(memory.get(key)),
        set: (key, value, ttl) => withBehaviour(memory.set(key, value, ttl)),
        remove: (key) => withBehaviour(memory.remove(key)),
        clear: withBehaviour(memory.clear)
      }
      const next = yield* scripted("yes")
      const cache = yield* Effect.provideService(ResponseCache.make(), CacheStore.CacheStore, store)
      const llm = yield* cache.middleware(next)
      return { llm, cache, operations: () => operations, next }
    })

  const logged = () => {
    const lines: Array<string> = []
    const layer = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ logLevel, message }) => {
        lines.push(`${logLevel.label} ${String(message)}`)
      })
    )
    return { lines, layer }
  }

  it.effect(
    "opens the circuit at the first store failure, logs it once, and uses the store again when a probe succeeds",
    () => {
      const { layer, lines } = logged()
      return Effect.gen(function* () {
        let broken = true
        const { operations, cache, llm } = yield* over(() => (broken ? Effect.fail(failure) : Effect.void))
        for (let call = 0; call < 5; call++) expect((yield* llm.chat("?")).text).toBe("yes")
        expect(operations()).toBe(1)
        expect(lines).toHaveLength(1)
        expect(lines[0]).toMatch(/^WARN ResponseCache: .*out of order/)
        yield* TestClock.adjust("10 seconds")
        yield* llm.chat("?")
        expect(operations()).toBe(2)
        expect(lines).toHaveLength(1)
        broken = false
        yield* llm.chat("?")
        expect(operations()).toBe(2)
        yield* TestClock.adjust("10 seconds")
        yield* llm.chat("?")
        expect((yield* llm.chat("?")).cached?.source).toBe("store")
        expect(lines.slice(1)).toEqual(["INFO ResponseCache: the store is back."])
        expect((yield* cache.stats).storeFailures).toBe(2)
      }).pipe(Effect.provide(layer))
    }
  )

  for (const [name, fault] of [
    ["a defect", Effect.die("bug")],
    ["its own interruption", Effect.interrupt]
  ] as const) {
    it.effect(`a call succeeds without the store when the store's operation ends with ${name}`, () =>
      Effect.gen(function* () {
        const { cache, llm } = yield* over(() => fault)
        expect((yield* llm.chat("?")).text).toBe("yes")
        expect((yield* cache.stats).storeFailures).toBe(1)
      }).pipe(Effect.provide(logged().layer))
    )
  }

  for (const [name, slow] of [
    ["hanging", Effect.never],
    ["hanging and uninterruptible", Effect.uninterruptible(Effect.sleep("1 hour"))]
  ] as const) {
    it.effect(`a call waits no longer than storeTimeout for a store operation that is ${name}`, () =>
      Effect.gen(function* () {
        const { llm } = yield* over(() => slow)
        const fiber = yield* Effect.fork(llm.chat("?"))
        yield* settled
        yield* TestClock.adjust("499 millis")
        yield* settled
        expect(Option.isNone(yield* Fiber.poll(fiber))).toBe(true)
        yield* TestClock.adjust("1 millis")
        expect((yield* Fiber.join(fiber)).text).toBe("yes")
        // The circuit is open: the call does not wait for the store, so the clock need not move.
        expect((yield* llm.chat("?")).text).toBe("yes")
      }).pipe(Effect.provide(logged().layer))
    )
  }

  it.effect("probes a failed store with one operation at a time and with another one when that is interrupted", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      let state: "broken" | "hanging" | "well" = "broken"
      const { operations, llm } = yield* over(() =>
        state === "broken" ? Effect.fail(failure) : state === "hanging" ? Deferred.await(gate) : Effect.void
      )
      yield* llm.chat("?")
      yield* TestClock.adjust("10 seconds")
      state = "hanging"
      const probe = yield* Effect.fork(llm.chat("probe"))
      yield* settled
      expect(operations()).toBe(2)
      expect((yield* llm.chat("other")).text).toBe("yes")
      expect(operations()).toBe(2)
      yield* Fiber.interrupt(probe)
      state = "well"
      yield* llm.chat("next")
      expect((yield* llm.chat("next")).cached?.source).toBe("store")
    }).pipe(Effect.provide(logged().layer))
  )

  it.effect("clear and invalidate fail with the CacheStoreError of the store", () =>
    Effect.gen(function* () {
      const { cache, llm } = yield* over(() => Effect.fail(failure))
      expect(yield* Effect.flip(cache.clear)).toBe(failure)
      expect(yield* Effect.flip(cache.invalidate(llm, "?"))).toBe(failure)
    })
  )
})
