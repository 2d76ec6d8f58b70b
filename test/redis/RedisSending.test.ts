/** What calls send through a limiter or a pool in Redis stays within the limits, and what they do not use is given back. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { countingProvider, excess, llmOf } from "../support/countingProvider.js"
import { measureDelay } from "../support/delay.js"
import { eventually } from "../support/eventually.js"
import { pool as redisPool } from "../support/redisPool.js"
import { redisServer } from "../support/redisServer.js"

const redisLimiter = (url: string, options: RateLimiter.Options) =>
  Effect.flatMap(Redis.make({ url, timeout: "1 minute", probeInterval: "50 millis" }), (redis) =>
    Effect.provideService(RedisRateLimiter.make({ name: "shared", ...options }), Redis.Redis, redis)
  )

const limits = { capacity: 2, refillRate: 4, maxConcurrency: 8 }

describe.concurrent("with Redis, the requests sent stay within the limits", () => {
  for (const shared of ["limiter", "pool", "limiter and pool"] as const) {
    it.scopedLive(`while calls wait for the end of a key's cooldown, with the ${shared} in Redis`, () =>
      Effect.gen(function* () {
        const server = yield* redisServer
        const delay = yield* measureDelay
        const { client, sent } = countingProvider((index) =>
          index === 0 ? { millis: 10, retryAfter: "3 seconds" } : { millis: 10 }
        )
        const options = { ...limits, maxWait: "10 minutes" } as const
        const limiter = yield* shared === "pool" ? RateLimiter.make(options) : redisLimiter(server.url, options)
        const keys = ["sk-one"]
        const pool = yield* shared === "limiter"
          ? KeyPool.make({ provider: "test", keys, maxWait: "10 minutes" })
          : redisPool(server, keys, { maxWait: "10 minutes" })
        const llm = yield* llmOf(client, pool, limiter)
        yield* Effect.exit(llm.chat("?"))
        const calls = yield* Effect.replicateEffect(Effect.fork(llm.chat("?")), 20)
        yield* Fiber.joinAll(calls)
        expect(sent.length).toBe(21)
        const tolerance = (limits.refillRate * (2 * (yield* delay) + 20)) / 1000
        expect(excess(sent, limits.capacity, limits.refillRate)).toBeLessThanOrEqual(tolerance)
        yield* eventually(
          Effect.map(
            llm.status,
            ({ keys, limiter }) =>
              keys.keys[0]?.inFlight === 0 && limiter.concurrency?.inFlight === 0 && limiter.waiting === 0
          )
        )
      })
    )
  }
})

describe.concurrent("what is given back to Redis", () => {
  it.scopedLive("a permit that is given back has taken nothing from any limit, also after it was waited for", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const limiter = yield* redisLimiter(url, {
        capacity: 2,
        refillRate: 2,
        requestsPerMinute: 3,
        requestsPerDay: 4,
        tokensPerMinute: 1_000_000,
        maxConcurrency: 3
      })
      const used = Effect.map(limiter.status, ({ concurrency, day, minute, tokens }) => [
        3 - (minute?.available ?? 0),
        4 - (day?.available ?? 0),
        concurrency?.inFlight,
        tokens?.reserved
      ])
      const first = yield* limiter.reserve(100)
      const second = yield* limiter.reserve(100)
      const waited = yield* limiter.reserve(100)
      expect(yield* used).toEqual([3, 3, 3, 300])
      yield* waited.giveBack ?? Effect.void
      yield* waited.giveBack ?? Effect.void
      yield* waited.settle(50)
      expect(yield* used).toEqual([2, 2, 2, 200])
      yield* first.giveBack ?? Effect.void
      expect(yield* used).toEqual([1, 1, 1, 100])
      yield* second.settle(100)
      expect(yield* used).toEqual([1, 1, 0, 0])
      expect(yield* limiter.available).toBeGreaterThanOrEqual(1)
    })
  )

  it.scopedLive("a key that is given back has neither served nor started a call", () =>
    Effect.gen(function* () {
      const pool = yield* redisPool(yield* redisServer, [{ key: "sk-one", requestsPerSecond: 1 / 600 }])
      const first = yield* pool.reserve()
      yield* first.giveBack ?? Effect.void
      yield* first.settle(KeyPool.Verdict.Refused())
      expect((yield* pool.status).keys[0]).toMatchObject({ inFlight: 0, served: 0, recentStarts: 0, refused: 0 })
      const second = yield* pool.reserve()
      yield* second.settle(KeyPool.Verdict.Served({ latency: 1 }))
      expect((yield* pool.status).keys[0]).toMatchObject({ inFlight: 0, served: 1, recentStarts: 1 })
    })
  )
})
