/** A limiter that goes on with the limits of one of which nothing is known. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, TestClock } from "effect"
import { now } from "../../src/internal/clock.js"
import { makeEmptySince } from "../../src/rateLimiter/factory.js"
import type { Options } from "../../src/rateLimiter/model.js"

/** A limiter that was empty two seconds ago. */
const emptied = (options: Options) =>
  Effect.gen(function* () {
    const since = yield* Effect.clockWith((clock) => Effect.sync(() => now(clock)))
    yield* TestClock.adjust("2 seconds")
    const limiter = yield* makeEmptySince({ maxWait: 0, ...options }, since)
    const isGranted = (tokens = 0) =>
      Effect.map(Effect.either(Effect.scoped(limiter.reserve(tokens))), (result) => Either.isRight(result))
    return isGranted
  })

describe("a limiter that was empty at a time", () => {
  it.effect("has the requests that were refilled since then, and no more than its capacity later", () =>
    Effect.gen(function* () {
      const isGranted = yield* emptied({ capacity: 3, refillRate: 0.5 })
      expect([yield* isGranted(), yield* isGranted()]).toEqual([true, false])
      yield* TestClock.adjust("1 hour")
      expect(yield* Effect.all([isGranted(), isGranted(), isGranted(), isGranted()])).toEqual([true, true, true, false])
    })
  )

  it.effect("has the tokens that were refilled since then", () =>
    Effect.gen(function* () {
      const isGranted = yield* emptied({ capacity: 1000, refillRate: 1000, tokensPerMinute: 600 })
      expect([yield* isGranted(21), yield* isGranted(20)]).toEqual([false, true])
    })
  )

  it.effect("grants the requests of a minute when that minute is over", () =>
    Effect.gen(function* () {
      const isGranted = yield* emptied({ capacity: 1000, refillRate: 1000, requestsPerMinute: 2 })
      expect(yield* isGranted()).toBe(false)
      yield* TestClock.adjust("58 seconds")
      expect(yield* Effect.all([isGranted(), isGranted(), isGranted()])).toEqual([true, true, false])
    })
  )

  it.effect("has the requests of a day, and no limit where it has none", () =>
    Effect.gen(function* () {
      const isGranted = yield* emptied({ capacity: 1000, refillRate: 1000, requestsPerDay: 2 })
      expect(yield* Effect.all([isGranted(), isGranted(), isGranted()])).toEqual([true, true, false])
      const isFree = yield* emptied({ maxConcurrency: 2 })
      expect(yield* isFree()).toBe(true)
    })
  )
})
