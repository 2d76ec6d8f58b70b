import * as PersistenceRedis from "@effect/experimental/Persistence/Redis"
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, LogLevel, Option } from "effect"
import * as CacheStore from "../../src/caching/CacheStore.js"
import { PersistenceStore } from "../../src/caching/persistence/index.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisCacheStore from "../../src/redis/RedisCacheStore.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import { eventually } from "../support/eventually.js"
import { redisServer } from "../support/redisServer.js"
import { scripted } from "../support/scripted.js"

const long = Option.some(Duration.minutes(1))

const short = Option.some(Duration.millis(20))

const isUp = (redis: Redis.Service) => Effect.map(redis.status, (status) => status === "up")

describe.concurrent("RedisCacheStore", () => {
  it.scopedLive("stores, expires, removes, clears and counts entries, as PersistenceStore over Redis does", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const ownStore = Layer.provide(RedisCacheStore.layer({ name: "answers" }), Redis.layer({ url: server.url }))
      const persistenceStore = Layer.provide(
        PersistenceStore.layer("answers"),
        PersistenceRedis.layer({ port: server.port })
      )
      yield* Effect.promise(() => server.client.set("another", "stays"))
      for (const layer of [ownStore, persistenceStore]) {
        yield* Effect.gen(function* () {
          const { clear, get, remove, set, size } = yield* CacheStore.CacheStore
          expect(yield* get("a")).toEqual(Option.none())
          yield* set("a", "ä 1", long)
          yield* set("a", "ä 2", long)
          yield* set("b", "3", Option.none())
          expect(yield* get("a")).toEqual(Option.some("ä 2"))
          if (size !== undefined) expect(yield* size).toEqual({ entries: 2 })
          yield* set("a", "ä 3", short)
          yield* eventually(Effect.map(get("a"), Option.isNone))
          expect(yield* get("b")).toEqual(Option.some("3"))
          if (size !== undefined) expect(yield* size).toEqual({ entries: 1 })
          yield* remove("b")
          yield* remove("b")
          expect(yield* get("b")).toEqual(Option.none())
          for (let n = 0; n < 20; n++) yield* set(`k${n}`, "4", Option.none())
          yield* clear
          expect(yield* get("k7")).toEqual(Option.none())
        }).pipe(Effect.provide(layer))
      }
      const left = yield* Effect.promise(() => server.client.keys("*"))
      expect(left.filter((name) => !name.includes("{probe:"))).toEqual(["another"])
    })
  )

  it.scopedLive("serves calls without the cache while Redis is away, and cached responses when it is back", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const redis = yield* Redis.make({ url: server.url, timeout: "300 millis", probeInterval: "50 millis" })
      yield* eventually(isUp(redis))
      const store = yield* Effect.provideService(RedisCacheStore.make({ name: "answers" }), Redis.Redis, redis)
      const next = yield* scripted("it is")
      const cached = Effect.provideService(ResponseCache.make(), CacheStore.CacheStore, store)
      const llm = yield* (yield* cached).middleware(next)
      yield* llm.chat("kept")
      expect((yield* llm.chat("kept")).cached).toMatchObject({ source: "store" })
      yield* server.freeze
      const during = yield* llm.chat("kept")
      expect([during.text, during.cached]).toEqual(["it is", undefined])
      expect(yield* Effect.flip(store.get("kept"))).toMatchObject({ _tag: "CacheStoreError", operation: "get" })
      yield* server.thaw
      yield* eventually(isUp(redis))
      const after = yield* (yield* cached).middleware(next)
      expect((yield* after.chat("kept")).cached).toMatchObject({ source: "store" })
    }).pipe(Effect.provide(Logger.minimumLogLevel(LogLevel.None)))
  )
})
