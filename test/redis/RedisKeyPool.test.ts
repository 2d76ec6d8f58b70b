import { describe, expect, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Ref } from "effect"
import { Cluster } from "ioredis"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLMError from "../../src/vocabulary/LLMError.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisKeyPool from "../../src/redis/RedisKeyPool.js"
import { acquire, ids, inFlight, key, pool, settleAll, storedLeases, waits } from "../support/redisPool.js"
import { redisCluster, redisServer } from "../support/redisServer.js"

const { Neutral, OutOfQuota, RateLimited, Refused, Served } = KeyPool.Verdict

const atOnce = { maxWait: 0 }

const rateLimit = new LLMError.RateLimitError({
  provider: "test",
  model: "m",
  attempts: [],
  source: "provider",
  message: "slow down",
  retryAfter: Duration.seconds(20)
})

describe.concurrent("RedisKeyPool", () => {
  it.scopedLive("gives keys by load and weight, and takes each back once", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const self = yield* pool(server, [key("a", { weight: 2 }), key("b")])
      const leases = yield* acquire(self, 6)
      expect(ids(leases)).toEqual(["a", "b", "a", "a", "b", "a"])
      yield* settleAll(leases, Served({ latency: 5 }))
      yield* settleAll(leases, Refused())
      const status = yield* self.status
      expect(status).toMatchObject({ provider: "test", waiting: 0, degraded: false })
      expect(status.keys.map(({ id, inFlight, refused, succeeded }) => [id, inFlight, succeeded, refused])).toEqual([
        ["a", 0, 4, 0],
        ["b", 0, 2, 0]
      ])
    })
  )

  it.scopedLive("withKey settles the key according to how the call ended", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const self = yield* pool(server, [key("a"), key("b"), key("c")], { strategy: "failover" })
      yield* self.withKey(() => Effect.sleep("10 millis"))
      yield* Effect.flip(self.withKey(() => Effect.fail(rateLimit)))
      yield* Effect.exit(self.withKey(() => Effect.die("oops")))
      yield* Effect.scoped(self.lease())
      const [a, b] = (yield* self.status).keys
      expect(a).toMatchObject({ succeeded: 1, rateLimited: 1, state: { _tag: "Cooling", reason: "rate-limited" } })
      expect(a?.latency).toBeGreaterThan(8)
      expect(b).toMatchObject({ served: 2, succeeded: 0, inFlight: 0, state: { _tag: "Ready" } })
      expect(yield* inFlight(self)).toBe(0)
    })
  )

  it.scopedLive("gives keys in proportion to their weights with the random strategy", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const self = yield* pool(server, [key("a", { weight: 3 }), key("b")], { strategy: "random" })
      const drawn = ids(
        yield* Effect.all(
          Array.from({ length: 400 }, () => self.reserve()),
          { concurrency: 50 }
        )
      )
      const share = drawn.filter((id) => id === "a").length / 400
      // Five standard deviations.
      expect(Math.abs(share - 0.75)).toBeLessThan(0.11)
      expect(new Set(drawn.slice(0, 50)).size).toBe(2)
    })
  )

  it.scopedLive("rejects invalid options with all faults at once, without secrets", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const error = yield* Effect.flip(
        pool(server, [key("a", { weight: 0 }), ""], {
          leaseTime: 0,
          pollInterval: -1,
          whenAway: { share: 2 },
          maxWait: -1
        })
      )
      expect(error.faults.length).toBe(6)
      expect(error.message).not.toContain("canary")
    })
  )

  it.scopedLive(
    "disables, enables, rests and reweights keys for all processes, and adds and removes them for one",
    () =>
      Effect.gen(function* () {
        const server = yield* redisServer
        const keys = [key("a"), key("b")]
        const [one, two] = yield* Effect.all([pool(server, keys), pool(server, keys)])
        expect(yield* one.disable("a")).toBe(true)
        expect(yield* one.disable("x")).toBe(false)
        expect(ids(yield* acquire(two, 2))).toEqual(["b", "b"])
        expect(yield* two.enable("a")).toBe(true)
        yield* one.rest("b", "1 minute")
        yield* one.rest("b", "1 second")
        expect((yield* two.status).keys[1]?.state).toMatchObject({ _tag: "Cooling", reason: "resting" })
        expect(ids(yield* acquire(two, 2))).toEqual(["a", "a"])
        expect(yield* one.add(key("c"))).toBe("c")
        expect(yield* Effect.flip(one.add(key("c")))).toMatchObject({ _tag: "InvalidPoolError" })
        expect(ids(yield* acquire(one, 1, { exclude: new Set(["a", "b"]) }))).toEqual(["c"])
        expect((yield* two.keys).map(({ id }) => id)).toEqual(["a", "b"])
        expect(yield* one.remove("c")).toBe(true)
        expect(yield* one.remove("c")).toBe(false)
        expect(ids(yield* acquire(one, 1))).toEqual(["a"])
        yield* one.reweight("a", 7)
        expect((yield* two.status).keys[0]?.weight).toBe(7)
        expect(yield* Effect.flip(one.reweight("a", 0))).toMatchObject({ _tag: "InvalidPoolError" })
        expect(yield* Effect.flip(one.reweight("x", 1))).toMatchObject({ _tag: "InvalidPoolError" })
        // A process that starts with the old configured weight does not undo the change.
        const three = yield* pool(server, keys)
        expect((yield* three.status).keys[0]?.weight).toBe(7)
      })
  )
})

describe.concurrent("RedisKeyPool across processes", () => {
  it.scopedLive("shares concurrency caps, loads and weights between processes", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const keys = [key("a", { maxConcurrency: 3 }), key("b", { maxConcurrency: 1 })]
      const [one, two] = yield* Effect.all([pool(server, keys), pool(server, keys)])
      const taken = yield* Effect.all([acquire(one, 2), acquire(two, 2)])
      expect(ids(taken.flat())).toEqual(["a", "b", "a", "a"])
      const error = yield* Effect.flip(one.reserve(atOnce))
      expect(error).toMatchObject({ _tag: "RateLimitError", source: "pool" })
      expect(error.message).toContain("2 busy")
    })
  )

  it.scopedLive("shares requestsPerSecond between processes", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      // One call every 100 seconds.
      const keys = [key("a", { requestsPerSecond: 0.01 })]
      const [one, two] = yield* Effect.all([pool(server, keys), pool(server, keys)])
      yield* acquire(one, 1)
      const error = yield* Effect.flip(two.reserve(atOnce))
      expect(error._tag).toBe("RateLimitError")
      expect(Duration.toSeconds(error.retryAfter ?? 0)).toBeGreaterThan(50)
      expect(Duration.toSeconds(error.retryAfter ?? 0)).toBeLessThanOrEqual(100)
    })
  )

  it.scopedLive("shares cooldowns, quota groups and the probe of a half-open key between processes", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const keys = [key("a", { quotaGroup: "g" }), key("b", { quotaGroup: "g" }), key("c")]
      const options = { strategy: "failover", cooldown: { refused: "2 seconds" } } as const
      const [one, two] = yield* Effect.all([pool(server, keys, options), pool(server, keys, options)])
      yield* settleAll(yield* acquire(one, 1), RateLimited({ retryAfter: Duration.minutes(1) }))
      yield* settleAll(yield* acquire(one, 1), Refused())
      expect((yield* two.status).keys.map(({ state }) => state._tag)).toEqual(["Cooling", "Cooling", "Disabled"])
      expect((yield* Effect.flip(two.reserve({ onCooldown: "fail" })))._tag).toBe("RateLimitError")
      // The wait ends when the key is half-open, and only one call can probe it.
      const probe = yield* two.reserve()
      expect(probe.key.id).toBe("c")
      expect((yield* Effect.flip(one.reserve({ ...atOnce, exclude: new Set(["a", "b"]) })))._tag).toBe(
        "KeyPoolExhaustedError"
      )
      yield* probe.settle(Served({}))
      expect(ids(yield* acquire(one, 2))).toEqual(["c", "c"])
      yield* settleAll(yield* acquire(one, 1), OutOfQuota({}))
      expect((yield* two.status).keys[2]).toMatchObject({ state: { reason: "out-of-quota" }, halfOpen: true })
    })
  )
})

describe.concurrent("RedisKeyPool in a cluster", () => {
  it.scopedLive("keeps all of a pool in one slot of a cluster", () =>
    Effect.gen(function* () {
      const server = yield* redisCluster
      const cluster = yield* Effect.acquireRelease(
        Effect.sync(() => new Cluster([{ host: "127.0.0.1", port: server.port }], { enableOfflineQueue: false })),
        (cluster) => Effect.sync(() => cluster.disconnect())
      )
      yield* Effect.async<void>((resume) => void cluster.once("ready", () => resume(Effect.void)))
      const redis = yield* Redis.fromClient(cluster, { timeout: "1 minute" })
      expect(yield* redis.status).toBe("up")
      const self = yield* Effect.provideService(
        RedisKeyPool.make({
          provider: "test",
          keys: [key("a", { quotaGroup: "g", requestsPerSecond: 9 }), key("b")]
        }),
        Redis.Redis,
        redis
      )
      yield* settleAll(yield* acquire(self, 2), RateLimited({}))
      expect((yield* self.status).keys.map(({ rateLimited }) => rateLimited)).toEqual([1, 1])
    })
  )
})

describe.concurrent("RedisKeyPool waiters", () => {
  it.scopedLive("gives a waiting call the key that another process gives back", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const keys = [key("a", { maxConcurrency: 1 })]
      const [one, two] = yield* Effect.all([pool(server, keys), pool(server, keys)])
      const held = yield* one.reserve()
      const waiting = yield* Effect.fork(two.reserve())
      yield* waits(two, 1)
      yield* held.settle(Neutral())
      expect((yield* Fiber.join(waiting)).key.id).toBe("a")
    })
  )

  it.scopedLive(
    "serves waiting calls of one process in order of arrival, and passes one that excludes the free key",
    () =>
      Effect.gen(function* () {
        const server = yield* redisServer
        // The next poll is in a minute: only returned keys wake the waiters.
        const self = yield* pool(server, [key("a", { maxConcurrency: 1 }), key("b", { maxConcurrency: 1 })], {
          pollInterval: "1 minute"
        })
        const leases = yield* acquire(self, 2)
        const served = yield* Ref.make<ReadonlyArray<number>>([])
        const wait = (index: number, options?: KeyPool.LeaseOptions) =>
          self.withKey(() => Ref.update(served, (before) => [...before, index]), options)
        const fibers = yield* Effect.forEach([0, 1, 2, 3, 4], (index) =>
          Effect.zipLeft(
            Effect.fork(wait(index, index === 0 ? { exclude: new Set(["a"]) } : {})),
            waits(self, index + 1)
          )
        )
        yield* leases[0]?.settle(Neutral()) ?? Effect.void
        yield* Effect.forEach(fibers.slice(1), Fiber.join)
        expect(yield* Ref.get(served)).toEqual([1, 2, 3, 4])
        yield* leases[1]?.settle(Neutral()) ?? Effect.void
        yield* Effect.forEach(fibers, Fiber.join)
        expect(yield* Ref.get(served)).toEqual([1, 2, 3, 4, 0])
      })
  )

  it.scopedLive("refuses a waiting call after its maxWait, and as soon as no key can become ready", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const self = yield* pool(server, [key("a", { maxConcurrency: 1 })], { maxWait: "1 minute" })
      yield* self.reserve()
      const [took, error] = yield* Effect.timed(Effect.flip(self.reserve({ maxWait: "80 millis" })))
      expect(error._tag).toBe("RateLimitError")
      expect(Duration.toMillis(took)).toBeGreaterThanOrEqual(75)
      expect(Duration.toSeconds(took)).toBeLessThan(30)
      const inVain = yield* Effect.fork(Effect.flip(self.reserve()))
      yield* waits(self, 1)
      yield* self.disable("a")
      expect((yield* Fiber.join(inVain))._tag).toBe("KeyPoolExhaustedError")
    })
  )

  it.scopedLive(
    "leaves no lease behind when calls are interrupted at random times, and exceeds no concurrency cap",
    () =>
      Effect.gen(function* () {
        const server = yield* redisServer
        // A lost lease would not expire before the end of the test.
        const keys = [key("a", { maxConcurrency: 2 }), key("b", { maxConcurrency: 1 })]
        const options = { leaseTime: "1 minute", pollInterval: "3 millis" } as const
        const pools = yield* Effect.all([pool(server, keys, options), pool(server, keys, options)])
        const inUse = new Map<string, number>()
        const most = new Map<string, number>()
        const random = (below: number) => Math.floor(Math.random() * below)
        const call = Effect.suspend(() => {
          const self = pools[random(2)] ?? pools[0]
          const use = (id: string) =>
            Effect.ensuring(
              Effect.suspend(() => {
                inUse.set(id, (inUse.get(id) ?? 0) + 1)
                most.set(id, Math.max(most.get(id) ?? 0, inUse.get(id) ?? 0))
                return Effect.sleep(Duration.millis(random(4)))
              }),
              Effect.sync(() => inUse.set(id, (inUse.get(id) ?? 0) - 1))
            )
          const held =
            random(2) === 0
              ? self.withKey(({ id }) => use(id))
              : Effect.acquireUseRelease(
                  self.reserve(),
                  ({ key }) => use(key.id),
                  ({ settle }) => settle(Neutral())
                )
          return Effect.flatMap(Effect.fork(held), (fiber) =>
            Effect.zipRight(Effect.sleep(Duration.millis(random(8))), Fiber.interrupt(fiber))
          )
        })
        const isEnough = () => most.get("a") === 2 && most.get("b") === 1
        for (let round = 0; round < 12 || !isEnough(); round++) {
          yield* Effect.all(
            Array.from({ length: 25 }, () => call),
            { concurrency: "unbounded" }
          )
          expect(yield* storedLeases(server)).toBe(0)
          expect(yield* Effect.all(pools.map(inFlight))).toEqual([0, 0])
          expect((yield* pools[0].status).waiting).toBe(0)
        }
        expect(most).toEqual(
          new Map([
            ["a", 2],
            ["b", 1]
          ])
        )
      })
  )

  it.scopedLive("fails waiting and later calls with SharedStateError when the pool is closed", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const closing = yield* Deferred.make<void>()
      const made = yield* Deferred.make<KeyPool.Service>()
      yield* Effect.fork(
        Effect.scoped(
          Effect.flatMap(pool(server, [key("a", { maxConcurrency: 1 })], { whenAway: "fail" }), (self) =>
            Effect.zipRight(Deferred.succeed(made, self), Deferred.await(closing))
          )
        )
      )
      const self = yield* Deferred.await(made)
      yield* self.reserve()
      const waiting = yield* Effect.fork(Effect.flip(self.reserve()))
      yield* waits(self, 1)
      yield* Deferred.succeed(closing, undefined)
      expect((yield* Fiber.join(waiting))._tag).toBe("SharedStateError")
      expect((yield* Effect.flip(self.reserve()))._tag).toBe("SharedStateError")
    })
  )
})
