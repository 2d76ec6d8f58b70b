/** What calls meet while Redis is away, and after it. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Logger, LogLevel, Option } from "effect"
import type { Service } from "../../src/rateLimiter/RateLimiter.js"
import * as LLMError from "../../src/vocabulary/LLMError.js"
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

/** A call that was asked for; it is granted at `Infinity` until it is. */
interface Call {
  readonly askedAt: number
  grantedAt: number
  hasFailed: boolean
}

/** Calls at a steady rate. */
const load = (limiter: Service, perSecond: number, calls: Array<Call>) =>
  Effect.gen(function* () {
    const startedAt = performance.now()
    for (let index = 0; ; index++) {
      yield* Effect.sleep(Math.max(0, startedAt + (index * 1000) / perSecond - performance.now()))
      const call: Call = { askedAt: performance.now(), grantedAt: Infinity, hasFailed: false }
      calls.push(call)
      yield* Effect.fork(
        Effect.match(limiter.take(1, { maxWait: "5 seconds" }), {
          onSuccess: () => void (call.grantedAt = performance.now()),
          onFailure: () => void (call.hasFailed = true)
        })
      )
    }
  })

const isUp = (limiter: Service) => Effect.map(limiter.status, ({ degraded }) => degraded === false)

describe.concurrent("a limiter in Redis that stops replying", () => {
  it.scopedLive("fails no call, delays none after one timeout, and none after its return", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const limiter = yield* peer(server.url, { capacity: 5, refillRate: 50 })
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
      const endedAt = performance.now()
      expect(calls.filter(({ hasFailed }) => hasFailed)).toEqual([])
      const late = 50 + (yield* delay)
      const waits = (from: number, to: number) =>
        calls
          .filter(({ askedAt }) => askedAt >= from && askedAt < to)
          .map(({ askedAt, grantedAt }) => grantedAt - askedAt)
      // Calls that waited for the timeout leave a small queue, which the rate that is left serves.
      const during = waits(frozenAt + timeout + 1000, backAt)
      const after = waits(backAt, endedAt - late)
      expect(during.length).toBeGreaterThan(60)
      expect(Math.max(...during)).toBeLessThan(late)
      expect(after.length).toBeGreaterThan(60)
      expect(Math.max(...after)).toBeLessThan(late)
    }).pipe(Effect.provide(quiet))
  )

  it.scopedLive("counts the calls of an outage in a minute from the time when they were granted", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const limiter = yield* peer(server.url, { requestsPerMinute: 4, whenAway: { share: 1 } })
      yield* server.freeze
      yield* Effect.repeatN(limiter.take(), 2)
      const grantedAt = performance.now()
      yield* Effect.sleep("3 seconds")
      yield* server.thaw
      // The first command is counted once more: Redis has run it after its timeout.
      yield* eventually(isUp(limiter))
      yield* eventually(Effect.map(limiter.status, ({ minute }) => (minute?.available ?? 4) <= 1))
      yield* limiter.tryTake()
      const error = yield* Effect.flip(limiter.take(1, { maxWait: 0 }))
      const wait = Option.getOrElse(Option.map(LLMError.retryAfter(error), Duration.toMillis), () => 0)
      expect(wait).toBeGreaterThan(50_000)
      expect(wait).toBeLessThanOrEqual(60_500 - (performance.now() - grantedAt) + 500)
    }).pipe(Effect.provide(quiet))
  )

  it.scopedLive("counts calls that waited for the time of their grant no shorter after Redis has lost its data", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const limiter = yield* peer(server.url, { capacity: 1, refillRate: 2, requestsPerMinute: 100 })
      yield* Effect.replicateEffect(limiter.take(), 5, { concurrency: "unbounded" })
      const expiries = Effect.map(
        Effect.promise(() => server.client.zrange("effect-llm:{limit:test}:v2:minute", 0, -1)),
        (members) => members.map((member) => Number(member.split(":")[0]))
      )
      const before = yield* expiries
      yield* Effect.promise(() => server.client.flushall())
      yield* limiter.status
      const after = yield* expiries
      expect(after).toHaveLength(5)
      for (const [index, expiry] of after.entries()) expect(expiry).toBeGreaterThan((before[index] ?? 0) - 15)
    }).pipe(Effect.provide(quiet))
  )
})
