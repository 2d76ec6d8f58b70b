import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger, LogLevel, Option, Schedule } from "effect"
import type { Options } from "../../src/rateLimiter/RateLimiter.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { laws } from "../support/permitLaws.js"
import { until } from "../support/eventually.js"
import { redisServer } from "../support/redisServer.js"

/** Makes a limiter of a new name at each use. */
const maker = Effect.gen(function* () {
  const { url } = yield* redisServer
  const redis = yield* Redis.make({ url, timeout: "1 minute" })
  let count = 0
  return (options: Options) =>
    Effect.provideService(RedisRateLimiter.make({ name: `limits-${count++}`, ...options }), Redis.Redis, redis)
})

describe.concurrent("permits of a limiter in Redis", () => {
  for (const { check, title } of laws) it.scopedLive(title, () => Effect.flatMap(maker, (make) => check(make)))

  it.scopedLive("fails with InvalidLimitError when it is given a refill schedule", () =>
    Effect.gen(function* () {
      const make = yield* maker
      expect(yield* Effect.flip(make({ capacity: 5, refill: Schedule.fixed("1 minute") }))).toMatchObject({
        _tag: "InvalidLimitError",
        faults: ["refill: a limiter in Redis cannot follow a schedule"]
      })
    })
  )
})

describe("permits while Redis is away", () => {
  it.scopedLive("withPermits and withPermitsIfAvailable use this process's share of the limits", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const redis = yield* Redis.make({ url: server.url, timeout: "1 second", probeInterval: "50 millis" })
      const options = { name: "test", capacity: 100, refillRate: 100, maxConcurrency: 4 }
      const limiter = yield* Effect.provideService(
        RedisRateLimiter.make({ ...options, whenAway: { share: 0.5 } }),
        Redis.Redis,
        redis
      )
      yield* server.kill
      expect(yield* limiter.withPermits(2)(Effect.succeed("run"))).toBe("run")
      // The share starts empty.
      yield* until(limiter.available, (available) => available > 0)
      expect(yield* limiter.withPermitsIfAvailable(1)(Effect.succeed("run"))).toEqual(Option.some("run"))
      expect(yield* limiter.withPermitsIfAvailable(51)(Effect.die("must not run"))).toEqual(Option.none())
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None))
  )

  it.scopedLive("available is 0 and withPermitsIfAvailable returns none when calls fail without Redis", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const redis = yield* Redis.make({ url: server.url, timeout: "1 second", probeInterval: "50 millis" })
      const limiter = yield* Effect.provideService(
        RedisRateLimiter.make({ name: "test", whenAway: "fail" }),
        Redis.Redis,
        redis
      )
      yield* server.kill
      expect(yield* limiter.available).toBe(0)
      expect(yield* limiter.withPermitsIfAvailable(1)(Effect.die("must not run"))).toEqual(Option.none())
      expect((yield* Effect.flip(limiter.withPermits(1)(Effect.die("must not run"))))._tag).toBe("SharedStateError")
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None))
  )
})
