/** Limiters and pools through a cluster of three nodes. */
import { describe, expect, it } from "@effect/vitest"
import { Array, Effect, Logger, LogLevel } from "effect"
import { Cluster } from "ioredis"
import type { Service } from "../../src/rateLimiter/RateLimiter.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisKeyPool from "../../src/redis/RedisKeyPool.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { eventually } from "../support/eventually.js"
import type { RedisServer } from "../support/redisServer.js"
import { redisNodes } from "../support/redisServer.js"

const quiet = Logger.minimumLogLevel(LogLevel.None)

/** A connection to the whole cluster, like that of a separate process. */
const connection = (nodes: ReadonlyArray<RedisServer>) =>
  Effect.gen(function* () {
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const all = nodes.map(({ port }) => ({ host: "127.0.0.1", port }))
        const cluster = new Cluster(all, { slotsRefreshTimeout: 5000, redisOptions: { maxRetriesPerRequest: 0 } })
        cluster.on("error", () => undefined)
        return cluster
      }),
      (cluster) => Effect.sync(() => cluster.disconnect())
    )
    yield* eventually(Effect.sync(() => client.status === "ready"))
    return yield* Redis.fromClient(client, { timeout: "1 second", probeInterval: "100 millis" })
  })

const limits = { capacity: 4, refillRate: 0.001, requestsPerMinute: 3, maxConcurrency: 2 }

const limiterOf = (redis: Redis.Service, name: string, options: Partial<RedisRateLimiter.Options> = limits) =>
  Effect.provideService(RedisRateLimiter.make({ name, ...options }), Redis.Redis, redis)

/** Names whose hash slots are on all three nodes: enough that each node has some. */
const names = Array.makeBy(12, (index) => `name-${index}`)

const hasKeys = ({ client }: RedisServer) => Effect.promise(async () => (await client.keys("effect-llm:*")).length > 0)

describe("a cluster of three nodes", () => {
  it.scopedLive("holds limits and caps of keys for all processes, with names on every node", () =>
    Effect.gen(function* () {
      const nodes = yield* redisNodes(3)
      const [one, two] = [yield* connection(nodes), yield* connection(nodes)]
      yield* Effect.forEach(
        names,
        (name) =>
          Effect.gen(function* () {
            const [here, there] = [yield* limiterOf(one, name), yield* limiterOf(two, name)]
            const first = yield* here.reserve(0)
            const second = yield* there.reserve(0)
            expect((yield* here.status).concurrency).toEqual({ inFlight: 2, limit: 2 })
            expect(yield* Effect.flip(here.reserve(0, { maxWait: 0 }))).toMatchObject({ source: "limiter" })
            yield* first.settle(0)
            yield* second.giveBack ?? Effect.void
            expect(yield* there.tryTake(2)).toBe(true)
            expect(yield* here.tryTake()).toBe(false)
            const pools = yield* Effect.forEach([one, two], (redis) =>
              Effect.provideService(
                RedisKeyPool.make({ provider: name, keys: [{ key: "sk-one", maxConcurrency: 1 }] }),
                Redis.Redis,
                redis
              )
            )
            const leases = yield* Effect.forEach(pools, (pool) => Effect.option(pool.reserve({ maxWait: 0 })))
            expect(leases.map(({ _tag }) => _tag)).toEqual(["Some", "None"])
          }),
        { concurrency: "unbounded" }
      )
      expect(yield* Effect.forEach(nodes, hasKeys)).toEqual([true, true, true])
    })
  )

  it.scopedLive("fails no call while one node is down, and shares all limits again when it is back", () =>
    Effect.gen(function* () {
      const nodes = yield* redisNodes(3)
      const redis = yield* connection(nodes)
      const fast = { capacity: 10_000, refillRate: 10_000, maxConcurrency: 50 }
      const limiters = yield* Effect.forEach(names, (name) => limiterOf(redis, name, fast))
      const call = (limiter: Service) => limiter.withPermits(1, { maxWait: "10 seconds" })(Effect.sleep("5 millis"))
      const burst = Effect.forEach(limiters, call, { concurrency: "unbounded", discard: true })
      yield* burst
      const [, victim] = nodes
      if (victim === undefined) return
      yield* victim.kill
      yield* Effect.repeatN(burst, 100)
      yield* victim.start
      const isShared = Effect.map(
        Effect.forEach(limiters, ({ status }) => status),
        (all) => all.every(({ concurrency, degraded }) => degraded === false && concurrency?.inFlight === 0)
      )
      yield* eventually(isShared)
      yield* burst
    }).pipe(Effect.provide(quiet))
  )
})
