/** What 0.1.0 stored in Redis is used further, and what a version to come stores is not misread. */
import { describe, expect, it } from "@effect/vitest"
import { DateTime, Effect, Option } from "effect"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisAccessStore from "../../src/redis/RedisAccessStore.js"
import * as RedisBudgetStore from "../../src/redis/RedisBudgetStore.js"
import * as RedisCacheStore from "../../src/redis/RedisCacheStore.js"
import { keyOf } from "../../src/redis/shared/layout.js"
import { redisServer } from "../support/redisServer.js"

const setup = Effect.gen(function* () {
  const server = yield* redisServer
  const redis = yield* Redis.make({ url: server.url, timeout: "1 minute" })
  const accounts = yield* Effect.provideService(RedisBudgetStore.make({ name: "test" }), Redis.Redis, redis)
  const keys = yield* Effect.provideService(RedisAccessStore.make({ name: "test" }), Redis.Redis, redis)
  const cache = yield* Effect.provideService(RedisCacheStore.make({ name: "test" }), Redis.Redis, redis)
  return { client: server.client, redis, accounts, keys, cache }
})

const hash = "0123456789abcdef".repeat(4)

const keyOf010 =
  `{"id":"team-a","hash":"${hash}","createdAt":"2026-01-02T03:04:05.000Z","label":"Team A","models":["openai/*"],` +
  '"budget":{"dollars":20,"period":"day"},"rateLimit":{"requestsPerMinute":60,"maxConcurrent":4},"expiresAt":"2999-01-01T00:00:00.000Z"}'

const storedKeys = "effect-llm:{access:test}:keys"

const createdAt = "2026-01-02T03:04:05.000Z"

describe.concurrent("stored versions in Redis", () => {
  it.scopedLive("a virtual key that 0.1.0 stored is found with all its limits", () =>
    Effect.gen(function* () {
      const { client, keys } = yield* setup
      yield* Effect.promise(() => client.hset(storedKeys, hash, keyOf010))
      yield* Effect.promise(() => client.hset("effect-llm:{access:test}:made", hash, createdAt))
      yield* Effect.promise(() => client.hset("effect-llm:{access:test}:ids", "team-a", hash))
      const key = Option.getOrThrow(yield* keys.find(hash))
      expect(key).toMatchObject({ id: "team-a", label: "Team A", models: ["openai/*"], budget: { dollars: 20 } })
      // Stored again, it has every field of the old text: nothing was lost when it was read.
      yield* keys.put(key)
      const text = yield* Effect.promise(() => client.hget(storedKeys, hash))
      expect(JSON.parse(text ?? "")).toEqual({ ...JSON.parse(keyOf010), version: 1 })
      expect(yield* keys.list).toHaveLength(1)
    })
  )

  it.scopedLive("a secret that 0.1.0 revoked stays revoked", () =>
    Effect.gen(function* () {
      const { client, keys } = yield* setup
      yield* Effect.promise(() => client.sadd("effect-llm:{access:test}:removed", hash))
      yield* keys.put({ id: "team-a", hash, createdAt: DateTime.unsafeMake(createdAt) })
      expect(yield* keys.find(hash)).toEqual(Option.none())
    })
  )

  it.scopedLive("a virtual key is stored with version 1, and one of version 2 is refused with both versions", () =>
    Effect.gen(function* () {
      const { client, keys } = yield* setup
      yield* keys.put({ id: "team-a", hash, createdAt: DateTime.unsafeMake(createdAt) })
      const text = yield* Effect.promise(() => client.hget(storedKeys, hash))
      expect(JSON.parse(text ?? "")).toEqual({ id: "team-a", hash, createdAt, version: 1 })
      yield* Effect.promise(() => client.hset(storedKeys, hash, `{"version":2,${keyOf010.slice(1)}`))
      const detail =
        "a virtual key in Redis has version 2, and this version of effect-llm reads version 1. Update this gateway, or revoke the key"
      expect(yield* Effect.flip(keys.find(hash))).toMatchObject({ _tag: "AccessStoreError", detail })
      expect(yield* Effect.flip(keys.list)).toMatchObject({ _tag: "AccessStoreError", detail })
      expect(yield* keys.remove("team-a")).toBe(true)
      expect(yield* keys.list).toEqual([])
    })
  )

  it.scopedLive("what a budget spent at 0.1.0 counts, and the amount is exact above 2^53", () =>
    Effect.gen(function* () {
      const { accounts, client } = yield* setup
      const lua = `redis.call("HSET", KEYS[1], "all", cmsgpack.pack({ reserved = {}, slices = {
        { ends = -1, till = -1, spent = { 20000, 700 }, unpriced = 3 } } }))`
      yield* Effect.promise(() => client.eval(lua, 1, "effect-llm:{budget:test}:accounts"))
      const limit = 10 ** 17
      expect(yield* accounts.accountStatus({ account: "all", limit })).toEqual({
        account: "all",
        limit,
        spent: 20_000_000_000_000_700,
        reserved: 0,
        unpriced: 3,
        resetsAt: Infinity
      })
      expect(yield* accounts.accounts).toEqual(["all"])
    })
  )

  it.scopedLive("the values of a cache that 0.1.0 stored are counted and cleared with the new ones", () =>
    Effect.gen(function* () {
      const { cache, client } = yield* setup
      yield* Effect.promise(() => client.set("effect-llm:{cache:test}:value:old", "{}"))
      yield* Effect.promise(() => client.zadd("effect-llm:{cache:test}:index", "+inf", "old"))
      yield* cache.set("new", "{}", Option.none())
      expect(yield* cache.size ?? Effect.die("a cache in Redis counts its entries")).toEqual({ entries: 2 })
      yield* cache.clear
      expect(yield* Effect.promise(() => client.exists("effect-llm:{cache:test}:value:old"))).toBe(0)
    })
  )

  it.scopedLive("keys of two layout versions differ for all parts, on the same node of a cluster", () =>
    Effect.gen(function* () {
      const { redis } = yield* setup
      const layout = { kind: "cache", name: "test" }
      const keys = [1, 2, 3].flatMap((layoutVersion) =>
        ["index", "value:v2:a", "value:a", "value:a:v2"].map(keyOf(redis, { ...layout, layoutVersion }))
      )
      expect(keys.slice(0, 1)).toEqual(["effect-llm:{cache:test}:index"])
      expect(new Set(keys).size).toBe(keys.length)
      expect(keys.every((key) => key.startsWith("effect-llm:{cache:test}:"))).toBe(true)
    })
  )
})
