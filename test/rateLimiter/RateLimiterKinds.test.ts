import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"

describe("requestsPerMinute and requestsPerDay", () => {
  it.effect("requests per minute or day set the default capacity and refillRate, and given ones stay", () =>
    Effect.gen(function* () {
      const sizesOf = (options: RateLimiter.Options) =>
        Effect.map(
          Effect.flatMap(RateLimiter.make(options), (limiter) => limiter.status),
          ({ capacity, refillRate }) => [capacity, refillRate]
        )
      expect(yield* sizesOf({ requestsPerMinute: 600 })).toEqual([600, 10])
      expect(yield* sizesOf({ requestsPerDay: 8640 })).toEqual([8640, 0.1])
      expect(yield* sizesOf({ requestsPerMinute: 600, refillRate: 2 })).toEqual([10, 2])
      expect(yield* sizesOf({ requestsPerMinute: 600, capacity: 5 })).toEqual([5, 10])
      expect(yield* sizesOf({ maxConcurrency: 3 })).toEqual([Infinity, Infinity])
      expect(yield* sizesOf({ capacity: Infinity, refillRate: Infinity })).toEqual([Infinity, Infinity])
      expect(yield* sizesOf({ maxConcurrency: 3, refillRate: 2 })).toEqual([10, 2])
      expect(yield* sizesOf({ tokensPerMinute: 100 })).toEqual([10, 1])
    })
  )
})

describe("RateLimiter.makePerModel", () => {
  it.effect("makePerModel limits each listed model separately and all others together", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.makePerModel({
        models: { large: { capacity: 1, tokensPerMinute: 600 }, small: { capacity: 2 } },
        others: { capacity: 1, refillRate: 1 }
      })
      const reserve = (model: string) => Effect.either(limiter.reserve(100, { model, maxWait: 0 }))
      const granted = yield* Effect.forEach(["large", "large", "small", "small", "small", "a", "b"], (model) =>
        Effect.map(reserve(model), Either.isRight)
      )
      expect(granted).toEqual([true, false, true, true, false, true, false])
      const { available, models } = yield* limiter.status
      expect(available).toBe(0)
      expect(models).toMatchObject({ large: { available: 0, tokens: { reserved: 100 } }, small: { available: 0 } })
      yield* limiter.reset
      expect((yield* limiter.status).models).toMatchObject({ small: { available: 2 } })
    })
  )

  it.effect("makePerModel names the model of an invalid limit", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        RateLimiter.makePerModel({ models: { large: { maxConcurrency: 0.5 } }, others: { requestsPerDay: -1 } })
      )
      expect(error.faults).toEqual([
        'models["large"].maxConcurrency: expected a whole number, actual 0.5',
        "others.requestsPerDay: expected a positive number, actual -1"
      ])
    })
  )
})
