import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Option, Scope } from "effect"
import type { Service } from "../../src/gateway/ResponseStore.js"
import * as ResponseStore from "../../src/gateway/ResponseStore.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisResponseStore from "../../src/redis/RedisResponseStore.js"
import { eventually } from "../support/eventually.js"
import { redisServer } from "../support/redisServer.js"

const connected = (url: string) =>
  Effect.tap(Redis.make({ url, timeout: "300 millis", probeInterval: "50 millis" }), (redis) =>
    eventually(Effect.map(redis.status, (status) => status === "up"))
  )

const storeOf = (redis: Redis.Service, options: Partial<RedisResponseStore.Options> = {}) =>
  Effect.provideService(RedisResponseStore.make({ name: "answers", ...options }), Redis.Redis, redis)

/** The law of every store. */
const storesAndRemoves = ({ get, remove, set, unsafeSet }: Service) =>
  Effect.gen(function* () {
    expect(yield* get("a")).toEqual(Option.none())
    unsafeSet("a", "ä 1")
    expect(yield* get("a")).toEqual(Option.some("ä 1"))
    unsafeSet("a", "ä 2")
    yield* set("b", "3")
    expect(yield* get("a")).toEqual(Option.some("ä 2"))
    expect(yield* get("b")).toEqual(Option.some("3"))
    expect(yield* remove("a")).toBe(true)
    expect(yield* remove("a")).toBe(false)
    expect(yield* get("a")).toEqual(Option.none())
  })

describe.concurrent("RedisResponseStore", () => {
  it.scopedLive("stores, replaces and removes texts, as the store in memory does", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      yield* storesAndRemoves(yield* ResponseStore.makeMemory())
      yield* storesAndRemoves(yield* storeOf(yield* connected(url)))
    })
  )

  it.scopedLive("shows other processes what this one stored on the side, and renews what they read", () =>
    Effect.gen(function* () {
      const { client, url } = yield* redisServer
      const first = yield* storeOf(yield* connected(url), { ttl: "1 hour" })
      const second = yield* storeOf(yield* connected(url), { ttl: "2 hours" })
      first.unsafeSet("a", "1")
      yield* eventually(Effect.map(second.get("a"), Option.isSome))
      const keys = yield* Effect.promise(() => client.keys("*"))
      const key = keys.find((name) => !name.includes("{probe:")) ?? ""
      expect(yield* Effect.promise(() => client.pttl(key))).toBeGreaterThan(3_600_000)
      const other = yield* storeOf(yield* connected(url), { name: "others" })
      expect(yield* other.get("a")).toEqual(Option.none())
    })
  )

  it.scopedLive("forgets a text that was not read for its lifetime", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const { get, set } = yield* storeOf(yield* connected(url), { ttl: "20 millis" })
      yield* set("a", "1")
      yield* Effect.sleep("40 millis")
      yield* eventually(Effect.map(get("a"), Option.isNone))
    })
  )

  it.scopedLive(
    "returns what waits while Redis is away, fails for the rest, and stores what waited when it is back",
    () =>
      Effect.gen(function* () {
        const server = yield* redisServer
        const redis = yield* connected(server.url)
        const store = yield* storeOf(redis, { maxPendingBytes: 10 })
        yield* store.set("before", "1")
        yield* server.kill
        yield* eventually(Effect.map(redis.status, (status) => status === "away"))
        store.unsafeSet("waits", "12345")
        store.unsafeSet("too large", "123456")
        expect(yield* store.get("waits")).toEqual(Option.some("12345"))
        expect(yield* Effect.flip(store.get("before"))).toMatchObject({ _tag: "ResponseStoreError", operation: "get" })
        expect(yield* Effect.flip(store.get("too large"))).toMatchObject({ _tag: "ResponseStoreError" })
        yield* server.start
        const other = yield* storeOf(yield* connected(server.url))
        yield* eventually(Effect.map(other.get("waits"), Option.isSome))
        expect(yield* other.get("too large")).toEqual(Option.none())
      })
  )

  it.scopedLive("stores what waits before its scope closes", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const redis = yield* connected(url)
      const scope = yield* Scope.make()
      const store = yield* Scope.extend(storeOf(redis), scope)
      for (let n = 0; n < 100; n++) store.unsafeSet(`a${n}`, "1")
      yield* Scope.close(scope, Exit.void)
      const other = yield* storeOf(redis)
      for (let n = 0; n < 100; n++) expect(yield* other.get(`a${n}`)).toEqual(Option.some("1"))
    })
  )
})
