import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Schedule, TestClock } from "effect"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { refusal } from "../support/refusal.js"

const { Signal } = RateLimiter

const refused = (elapsed: Duration.DurationInput = "1 second", share = 1) =>
  Signal.Refused({ elapsed: Duration.decode(elapsed), share })

const make = (options: RateLimiter.Options = {}) =>
  Effect.map(RateLimiter.make({ capacity: 10, refillRate: 10, adaptive: true, ...options }), (limiter) => ({
    ...limiter,
    observe: (signal: RateLimiter.Signal) => limiter.observe?.(signal) ?? Effect.dieMessage("does not adapt")
  }))

describe("an adaptive limiter", () => {
  it.effect("an adaptive limiter slows down at the first refusal and recovers step by step with served calls", () =>
    Effect.gen(function* () {
      const limiter = yield* make({ adaptive: { increase: 0.25 }, tokensPerMinute: 600, maxConcurrency: 8 })
      yield* TestClock.adjust("1 minute")
      yield* limiter.observe(refused())
      expect(yield* limiter.status).toMatchObject({
        pace: 0.5,
        refillRate: 5,
        available: 5,
        tokens: { refillRate: 5, available: 300 },
        concurrency: { limit: 4 }
      })
      yield* limiter.observe(Signal.Served())
      expect((yield* limiter.status).pace).toBe(0.5)
      const paces: Array<number | undefined> = []
      for (let n = 0; n < 3; n++) {
        yield* TestClock.adjust("1 second")
        yield* limiter.observe(Signal.Served())
        yield* limiter.observe(Signal.Served())
        paces.push((yield* limiter.status).pace)
      }
      expect(paces).toEqual([0.75, 1, 1])
      expect(yield* limiter.status).toMatchObject({ refillRate: 10, concurrency: { limit: 8 } })
    })
  )

  it.effect("an adaptive limiter counts refusals of concurrent calls as one", () =>
    Effect.gen(function* () {
      const limiter = yield* make()
      yield* TestClock.adjust("1 minute")
      for (let n = 0; n < 5; n++) yield* limiter.observe(refused("2 seconds"))
      expect((yield* limiter.status).pace).toBe(0.5)
      yield* TestClock.adjust("3 seconds")
      yield* limiter.observe(refused("2 seconds"))
      expect((yield* limiter.status).pace).toBe(0.25)
    })
  )

  it.effect("an adaptive limiter never slows below its minimum and one call in flight", () =>
    Effect.gen(function* () {
      const limiter = yield* make({ maxConcurrency: 2 })
      for (let n = 0; n < 50; n++) {
        yield* TestClock.adjust("5 seconds")
        yield* limiter.observe(refused())
      }
      expect(yield* limiter.status).toMatchObject({ pace: 0.05, concurrency: { limit: 1 } })
      yield* TestClock.adjust("1 minute")
      yield* limiter.take()
    })
  )

  it.effect("an adaptive limiter slows down less when one of several accounts is refused", () =>
    Effect.gen(function* () {
      const limiter = yield* make()
      yield* TestClock.adjust("1 minute")
      yield* limiter.observe(refused("1 second", 0.1))
      expect((yield* limiter.status).pace).toBeCloseTo(0.95)
    })
  )

  it.effect("a waiting caller fails when a refusal makes its wait exceed maxWait", () =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 1, refillRate: 1, maxWait: "1500 millis" })
      yield* limiter.take()
      const waiting = yield* Effect.fork(refusal(limiter.take()))
      yield* TestClock.adjust(1)
      yield* limiter.observe(refused("0 millis"))
      expect((yield* waiting.await)._tag).toBe("Success")
      expect((yield* limiter.status).waiting).toBe(0)
    })
  )

  it.effect("an adaptive limiter spreads the remaining requests and tokens of the headers until their reset", () =>
    Effect.gen(function* () {
      const limiter = yield* make({ tokensPerMinute: 60_000 })
      const limits = {
        remainingRequests: 4,
        resetRequests: Duration.seconds(8),
        remainingTokens: 1000,
        resetTokens: Duration.seconds(10)
      }
      yield* limiter.observe(Signal.Headers({ limits, share: 0.5 }))
      expect((yield* limiter.status).available).toBe(10)
      yield* limiter.observe(Signal.Headers({ limits, share: 1 }))
      expect(yield* limiter.status).toMatchObject({
        available: 4,
        refillRate: 0.5,
        tokens: { available: 1000, refillRate: 100 }
      })
      yield* limiter.take(4)
      const error = yield* refusal(limiter.take(5, { maxWait: 0 }))
      // Four in eight seconds; then all that was withheld is there again.
      expect(error.retryAfter).toEqual(Duration.millis(8000))
      yield* TestClock.adjust("8 seconds")
      expect((yield* limiter.status).refillRate).toBe(10)
      yield* limiter.take(5)
    })
  )

  it.effect(
    "a limiter has no observe with adaptive: false or a schedule, and make rejects invalid adaptive options",
    () =>
      Effect.gen(function* () {
        const scheduled = yield* RateLimiter.make({ capacity: 10, refill: Schedule.fixed("1 second") })
        const limiter = yield* RateLimiter.make({ capacity: 10, adaptive: false })
        expect([limiter.observe, limiter.unsafeObserve, scheduled.observe]).toEqual([undefined, undefined, undefined])
        expect(yield* limiter.status).not.toHaveProperty("pace")
        const error = yield* Effect.flip(
          RateLimiter.make({ adaptive: { decrease: 1, increase: 0, minimum: Number.NaN } })
        )
        expect(error.faults.map((fault) => fault.split(":")[0])).toEqual([
          "adaptive.decrease",
          "adaptive.increase",
          "adaptive.minimum"
        ])
      })
  )
})

describe("an adaptive limiter slowed by headers and by refusals", () => {
  /** 80 requests remain for ten seconds: 8 a second, of 10 configured. */
  const headers = Signal.Headers({
    limits: { remainingRequests: 80, resetRequests: Duration.seconds(10) },
    share: 1
  })

  it.effect(
    "an adaptive limiter refills at the rate of the headers until their reset and at its own rate after it",
    () =>
      Effect.gen(function* () {
        const limiter = yield* make({ capacity: 100 })
        yield* limiter.observe(headers)
        yield* limiter.take(80)
        yield* TestClock.adjust("5 seconds")
        expect(yield* limiter.status).toMatchObject({ available: 40, refillRate: 8 })
        yield* TestClock.adjust("6 seconds")
        expect(yield* limiter.status).toMatchObject({ available: 100, refillRate: 10 })
      })
  )

  it.effect("an adaptive limiter refills at the slower of both rates and calculates waits by it", () =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 100 })
      yield* TestClock.adjust("1 minute")
      yield* limiter.observe(headers)
      yield* limiter.observe(refused())
      expect(yield* limiter.status).toMatchObject({ pace: 0.5, refillRate: 5, available: 40 })
      yield* TestClock.adjust("2 seconds")
      expect((yield* limiter.status).available).toBe(50)
      yield* limiter.take(50)
      expect((yield* refusal(limiter.take(10, { maxWait: 0 }))).retryAfter).toEqual(Duration.seconds(2))
    })
  )
})
