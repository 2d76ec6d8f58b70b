import { afterAll, beforeAll, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Scope } from "effect"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { deliveryAllowance } from "../../src/redis/rateLimiter/scripts.js"
import { makeClock } from "../support/interleaving.js"
import { laws } from "../support/limiterLaws.js"
import { redisInTestTime } from "../support/redisInTestTime.js"
import type { RedisServer } from "../support/redisServer.js"
import { redisServer } from "../support/redisServer.js"

const scope = Effect.runSync(Scope.make())
const started = Effect.runSync(Deferred.make<RedisServer>())

beforeAll(() => Effect.runPromise(Effect.asVoid(Deferred.complete(started, Scope.extend(redisServer, scope)))))
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

describe("a limiter in Redis", () => {
  for (const [index, { check, title }] of laws.entries()) {
    it.scopedLive(title, () =>
      Effect.gen(function* () {
        const { idle, redis } = yield* redisInTestTime(yield* Deferred.await(started))
        const { clock, pass } = makeClock(100, idle)
        let count = 0
        yield* check({
          make: (options) =>
            Effect.provideService(
              RedisRateLimiter.make({ name: `law-${index}-${count++}`, leaseTime: "1 day", ...options }),
              Redis.Redis,
              redis
            ),
          adjust: (duration) => pass(Duration.toMillis(duration)),
          allowance: deliveryAllowance,
          rounding: 1,
          thoroughness: 0.2
        }).pipe(Effect.scoped, Effect.withClock(clock))
      })
    )
  }
})
