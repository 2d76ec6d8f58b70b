import { describe, expect, it } from "@effect/vitest"
import { DateTime, Effect, Either, Logger, LogLevel, Option, Redacted } from "effect"
import { createHash } from "node:crypto"
import { Access, AccessStore } from "../../src/gateway/index.js"
import type { VirtualKey } from "../../src/gateway/VirtualKey.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisAccessStore from "../../src/redis/RedisAccessStore.js"
import { eventually } from "../support/eventually.js"
import type { RedisServer } from "../support/redisServer.js"
import { redisCluster, redisServer } from "../support/redisServer.js"

const quiet = Logger.withMinimumLogLevel(LogLevel.None)

/** A store with its own connection, like that of a separate gateway. */
const peer = ({ url }: RedisServer, options: Partial<RedisAccessStore.Options> = {}) =>
  Effect.gen(function* () {
    const redis = yield* Redis.make({ url, timeout: "1 minute", probeInterval: "50 millis" })
    const storeOptions = { name: "test", cacheTime: "30 millis", ...options } as const
    return yield* Effect.provideService(RedisAccessStore.make(storeOptions), Redis.Redis, redis)
  })

const hashOf = (secret: string) => createHash("sha256").update(secret).digest("hex")

const key = (secret: string, second: number, settings: Partial<VirtualKey> = {}): VirtualKey => ({
  id: `key-${secret}`,
  hash: hashOf(secret),
  createdAt: DateTime.unsafeMake(second * 1000),
  ...settings
})

const full = key("b", 2, {
  label: "Équipe {b}",
  models: [],
  budget: { dollars: 0.1, period: "day" },
  rateLimit: { requestsPerMinute: 60, tokensPerMinute: 9_007_199_254_740_991 },
  expiresAt: DateTime.unsafeMake("2999-01-01")
})

const becomesUnknown = (store: AccessStore.Store, secret: string) =>
  eventually(Effect.map(store.find(hashOf(secret)), Option.isNone))

describe.concurrent("RedisAccessStore", () => {
  it.scopedLive(
    "returns a key as it was put from every store, and keeps its first creation time when it is put again",
    () =>
      Effect.gen(function* () {
        // A cluster rejects a script that uses keys of two slots.
        const server = yield* redisCluster
        const [one, other] = [yield* peer(server), yield* peer(server)]
        expect(yield* other.find(full.hash)).toEqual(Option.none())
        yield* one.put(full)
        yield* one.put(key("a", 1))
        expect(yield* other.find(full.hash)).toEqual(Option.some(full))
        expect(yield* other.list).toEqual([key("a", 1), full])
        // A repeated put replaces the key, except its creation time.
        yield* other.put({ ...full, label: "new", createdAt: DateTime.unsafeMake(9000) })
        yield* Effect.sleep("40 millis")
        expect(yield* one.find(full.hash)).toEqual(Option.some({ ...full, label: "new" }))
        expect(yield* one.remove(full.id)).toBe(true)
      })
  )

  it.scopedLive(
    "rejects a revoked key at every gateway soon after, and at a gateway that starts with it configured",
    () =>
      Effect.gen(function* () {
        const server = yield* redisServer
        const [one, other] = [yield* peer(server, { cacheTime: "1 minute" }), yield* peer(server)]
        yield* one.put(key("a", 1))
        yield* one.find(hashOf("a"))
        yield* other.find(hashOf("a"))
        expect(yield* one.remove("key-a")).toBe(true)
        expect(yield* one.remove("key-a")).toBe(false)
        // Without delay in the store that revoked it.
        expect(yield* one.find(hashOf("a"))).toEqual(Option.none())
        yield* becomesUnknown(other, "a")
        // A gateway starts with the revoked key configured.
        const access = Access.make({ keys: [{ key: "a" }, { key: "c" }] })
        const again = yield* Effect.provideService(access, AccessStore.AccessStore, yield* peer(server))
        expect((yield* Effect.either(again.caller(Option.some(Redacted.make("a")))))._tag).toBe("Left")
        expect((yield* again.list).map(({ hash }) => hash)).toEqual([hashOf("c")])
      }).pipe(quiet)
  )

  it.scopedLive("accepts a configured key only at gateways that configure it, and a created key at all gateways", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const gateway = (...keys: ReadonlyArray<string>) =>
        Effect.provideServiceEffect(
          Access.make({ adminToken: "admin", keys: keys.map((key) => ({ key })) }),
          AccessStore.AccessStore,
          peer(server)
        )
      const isGood = (access: Access.Service, secret: string) =>
        Effect.map(Effect.either(access.caller(Option.some(Redacted.make(secret)))), Either.isRight)
      // The older gateway keeps the keys that it was started with.
      const old = yield* gateway("removed", "kept")
      const young = yield* gateway("kept")
      expect([yield* isGood(old, "kept"), yield* isGood(young, "kept")]).toEqual([true, true])
      expect([yield* isGood(old, "removed"), yield* isGood(young, "removed")]).toEqual([true, false])
      expect((yield* young.list).map(({ hash }) => hash)).toEqual([hashOf("kept")])
      const { secret } = yield* old.create({ label: "made" })
      expect(yield* isGood(young, Redacted.value(secret))).toBe(true)
      expect(yield* isGood(yield* gateway(), Redacted.value(secret))).toBe(true)
    })
  )

  it.scopedLive("replaces the secret of an id at every store, but not of one that was revoked", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const [one, other] = [yield* peer(server), yield* peer(server)]
      yield* one.put(key("a", 1))
      yield* other.put({ ...key("a", 1), hash: hashOf("new") })
      yield* becomesUnknown(one, "a")
      expect((yield* one.list).map(({ hash }) => hash)).toEqual([hashOf("new")])
      yield* quiet(one.put(key("a", 1)))
      expect((yield* one.list).map(({ hash }) => hash)).toEqual([hashOf("new")])
      expect(yield* one.remove("key-a")).toBe(true)
      yield* quiet(other.put({ ...key("a", 1), hash: hashOf("newer") }))
      expect(yield* other.find(hashOf("newer"))).toEqual(Option.none())
      expect(yield* other.list).toEqual([])
    })
  )

  it.scopedLive("finds a cached key without a round trip", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const store = yield* peer(server, { cacheTime: "1 minute" })
      yield* store.put(key("a", 1))
      const commands = Effect.promise(async () => {
        const info = await server.client.info("commandstats")
        return [...info.matchAll(/cmdstat_evalsha:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0)
      })
      yield* store.find(hashOf("a"))
      const before = yield* commands
      yield* Effect.replicateEffect(store.find(hashOf("a")), 100)
      expect(yield* commands).toBe(before)
    })
  )
})

describe.concurrent("RedisAccessStore failures", () => {
  it.scopedLive("finds known keys for the keepTime while Redis is away, and fails all else with AccessStoreError", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const store = yield* peer(server)
      const forgetful = yield* peer(server, { keepTime: "60 millis" })
      yield* store.put(key("a", 1))
      yield* store.find(hashOf("a"))
      yield* forgetful.find(hashOf("a"))
      yield* server.kill
      // Longer than the cacheTime and the shorter keepTime.
      yield* Effect.sleep("80 millis")
      expect(yield* store.find(hashOf("a"))).toEqual(Option.some(key("a", 1)))
      expect(yield* Effect.flip(store.find(hashOf("b")))).toBeInstanceOf(AccessStore.AccessStoreError)
      expect(yield* Effect.flip(store.remove("key-a"))).toBeInstanceOf(AccessStore.AccessStoreError)
      expect(yield* Effect.flip(store.list)).toBeInstanceOf(AccessStore.AccessStoreError)
      expect(Either.isLeft(yield* Effect.either(forgetful.find(hashOf("a"))))).toBe(true)
    }).pipe(quiet)
  )

  it.scopedLive("fails when the stored value is not a valid key", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const store = yield* peer(server)
      yield* store.put(key("a", 1))
      yield* Effect.promise(() => server.client.hset("effect-llm:{access:test}:keys", hashOf("a"), `{"id":1}`))
      const error = yield* Effect.flip(store.find(hashOf("a")))
      expect(error.message).toContain("not a valid virtual key")
    })
  )
})
