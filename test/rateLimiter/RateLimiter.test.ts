import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"

describe("the bucket of requests", () => {
  it.effect("make rejects invalid limits and names every fault", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(RateLimiter.make({ capacity: 0, refillRate: Number.NaN, tokensPerMinute: -1 }))
      expect(error.faults.map((fault) => fault.split(":")[0])).toEqual(["capacity", "refillRate", "tokensPerMinute"])
    })
  )
})

describe("the message of a refused call", () => {
  it.effect("has its wait and the allowed wait in whole milliseconds", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({
        capacity: 1,
        refillRate: 1 / 50.777_919_922,
        maxWait: "9999.98999 millis"
      })
      yield* limiter.take()
      const { message } = yield* Effect.flip(limiter.take())
      expect(message).toContain(
        "The limit of 1 request and 0.0197 a second would make this call wait 50s 778ms, longer than the 10s allowed."
      )
    })
  )
})

describe("waits that become longer than calculated", () => {
  it.effect("take waits longer than the longest timer of JavaScript", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1 / (40 * 24 * 3600), maxWait: "50 days" })
      yield* limiter.take()
      const waiting = yield* Effect.fork(limiter.take())
      yield* TestClock.adjust("39 days")
      expect(yield* Fiber.poll(waiting)).toMatchObject({ _tag: "None" })
      yield* TestClock.adjust("2 days")
      yield* Fiber.join(waiting)
    })
  )
})
