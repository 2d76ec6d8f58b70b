/** What calls meet while Redis is away, and after it. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Logger, LogLevel } from "effect"
import type { Service } from "../../src/rateLimiter/RateLimiter.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { measureDelay } from "../support/delay.js"
import { eventually } from "../support/eventually.js"
import { redisServer } from "../support/redisServer.js"

const quiet = Logger.minimumLogLevel(LogLevel.None)

const timeout = 500

const peer = (url: string, options: Partial<RedisRateLimiter.Options>) =>
  Effect.flatMap(Redis.make({ url, timeout, probeInterval: "100 millis" }), (redis) =>
    Effect.provideService(RedisRateLimiter.make({ name: "test", ...options }), Redis.Redis, redis)
  )

interface Call {
  readonly askedAt: number
  readonly grantedAt: number | undefined
}

/** Calls at a steady rate. */
const load = (limiter: Service, perSecond: number, calls: Array<Call>) =>
  Effect.gen(function* () {
    const startedAt = performance.now()
    for (let index = 0; ; index++) {
      yield* Effect.sleep(Math.max(0, startedAt + (index * 1000) / perSecond - performance.now()))
      const askedAt = performance.now()
      yield* Effect.fork(
        Effect.match(limiter.take(1, { maxWait: "5 seconds" }), {
          onSuccess: () => void calls.push({ askedAt, grantedAt: performance.now() }),
          onFailure: () => void calls.push({ askedAt, grantedAt: undefined })
        })
      )
    }
  })

const isUp = (limiter: Service) => Effect.map(limiter.status, ({ degraded }) => degraded === false)

describe("a limiter in Redis that stops replying", () => {
  const limits = [
    ["a bucket", { capacity: 5, refillRate: 50 }],
    ["a minute", { requestsPerMinute: 3000, capacity: 3000, refillRate: 3000 }]
  ] as const
  for (const [title, options] of limits) {
    it.scopedLive(`fails no call of ${title}, delays none after one timeout, and none after its return`, () =>
      Effect.gen(function* () {
        const server = yield* redisServer
        const limiter = yield* peer(server.url, options)
        const delay = yield* measureDelay
        const calls: Array<Call> = []
        const fiber = yield* Effect.fork(load(limiter, 30, calls))
        yield* Effect.sleep("1 second")
        yield* server.freeze
        const frozenAt = performance.now()
        yield* Effect.sleep("5 seconds")
        yield* server.thaw
        yield* eventually(isUp(limiter))
        const backAt = performance.now()
        yield* Effect.sleep("3 seconds")
        yield* Fiber.interrupt(fiber)
        expect(calls.filter(({ grantedAt }) => grantedAt === undefined)).toEqual([])
        const late = 50 + (yield* delay)
        const waits = (from: number, to: number) =>
          calls
            .filter(({ askedAt }) => askedAt >= from && askedAt < to)
            .map(({ askedAt, grantedAt = Infinity }) => grantedAt - askedAt)
        const during = waits(frozenAt + timeout + 300, backAt)
        const after = waits(backAt, Infinity)
        expect(during.length).toBeGreaterThan(60)
        expect(Math.max(...during)).toBeLessThan(late)
        expect(after.length).toBeGreaterThan(60)
        expect(Math.max(...after)).toBeLessThan(late)
      }).pipe(Effect.provide(quiet))
    )
  }
})
