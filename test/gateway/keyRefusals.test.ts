/** The refusals of the limits of a client's key. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, TestClock } from "effect"
import * as HttpErrors from "../../src/gateway/http/error.js"
import * as KeyRefusals from "../../src/gateway/auth/keyRefusals.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { Options } from "../../src/rateLimiter/model.js"
import { makeClock, withWallShift } from "../support/interleaving.js"

const limiterOf = (limit: Options) =>
  Effect.map(RateLimiter.make({ ...limit, maxWait: 0 }), (limiter) => KeyRefusals.named(limiter, limit))

const refusalOf = (limiter: RateLimiter.Service) => Effect.map(Effect.flip(limiter.reserve(0)), HttpErrors.fromLLMError)

describe("a limit of a client's key", () => {
  it.effect("is named with the time until it has room again", () =>
    Effect.gen(function* () {
      const limiter = yield* limiterOf({ requestsPerMinute: 1, tokensPerMinute: 10_000 })
      yield* limiter.reserve(0)
      yield* TestClock.adjust("20 seconds")
      const error = yield* refusalOf(limiter)
      expect(error).toMatchObject({ status: 429, retryAfter: Duration.seconds(40) })
      expect(error.message).toBe(
        "The limit of your key is reached: 1 request per minute and 10,000 tokens per minute. Try again in 40 seconds."
      )
    })
  )

  it.effect("on concurrency is retried after a second while no call has ended", () =>
    Effect.gen(function* () {
      const limiter = yield* limiterOf({ maxConcurrency: 2 })
      yield* limiter.reserve(0)
      yield* limiter.reserve(0)
      const error = yield* refusalOf(limiter)
      expect(error).toMatchObject({ status: 429, retryAfter: Duration.seconds(1) })
      expect(error.message).toBe("The limit of your key is reached: 2 requests at once. Try again in 1 second.")
    })
  )

  it.effect("on concurrency is retried after the time in which a call ends on average", () =>
    Effect.gen(function* () {
      const limiter = yield* limiterOf({ maxConcurrency: 2 })
      const first = yield* limiter.reserve(0)
      yield* TestClock.adjust("12 seconds")
      yield* first.settle(0)
      yield* limiter.reserve(0)
      yield* limiter.reserve(0)
      expect((yield* refusalOf(limiter)).retryAfter).toEqual(Duration.seconds(6))
    })
  )

  it.effect("on concurrency is retried after at most a minute", () =>
    Effect.gen(function* () {
      const limiter = yield* limiterOf({ maxConcurrency: 1 })
      const first = yield* limiter.reserve(0)
      yield* TestClock.adjust("1 hour")
      yield* first.settle(0)
      yield* limiter.reserve(0)
      expect((yield* refusalOf(limiter)).retryAfter).toEqual(Duration.minutes(1))
    })
  )

  it.effect.each([
    ["an hour forward", 3_600_000],
    ["an hour back", -3_600_000]
  ] as const)("on concurrency is retried after the same time when the wall clock has jumped %s", ([, jump]) => {
    const { clock, pass } = makeClock()
    let shift = 0
    const program = Effect.gen(function* () {
      const limiter = yield* limiterOf({ maxConcurrency: 2 })
      for (const reserve of [limiter.reserve(0), limiter.reserve(0)]) {
        const call = yield* reserve
        yield* pass(12_000)
        shift += jump
        yield* call.settle(0)
      }
      const reservation = limiter.unsafeTryReserve?.(yield* Effect.clock, 0)
      yield* pass(12_000)
      shift += jump
      reservation?.unsafeSettle(yield* Effect.clock, 0)
      yield* limiter.reserve(0)
      yield* limiter.reserve(0)
      expect((yield* refusalOf(limiter)).retryAfter).toEqual(Duration.seconds(6))
    })
    const shifted = withWallShift(clock, () => shift)
    return Effect.withClock(program, shifted)
  })
})
