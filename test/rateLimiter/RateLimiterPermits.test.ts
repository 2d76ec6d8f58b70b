import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import * as FastCheck from "fast-check"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { makeClock, restless } from "../support/interleaving.js"
import { laws } from "../support/permitLaws.js"

describe("permits of a limiter in memory", () => {
  for (const { check, title } of laws) it.live(title, () => check(RateLimiter.make))
})

describe("permits of other limiters", () => {
  it.effect("layerUnlimited runs every effect at once and has infinite permits", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.RateLimiter
      expect(yield* limiter.withPermits(1e9)(Effect.succeed(1))).toBe(1)
      expect(yield* limiter.withPermitsIfAvailable(1e9)(Effect.succeed(1))).toEqual(Option.some(1))
      expect(yield* limiter.available).toBe(Infinity)
    }).pipe(Effect.provide(RateLimiter.layerUnlimited))
  )

  it.effect("makePerModel takes permits from the limiter of the given model, and otherwise from the shared one", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.makePerModel({
        models: { large: { capacity: 2 } },
        others: { capacity: 5 }
      })
      yield* limiter.withPermits(2, { model: "large" })(Effect.void)
      yield* limiter.withPermits(1)(Effect.void)
      yield* limiter.withPermitsIfAvailable(1)(Effect.void)
      expect(yield* limiter.available).toBe(3)
      expect((yield* limiter.status).models?.["large"]?.available).toBe(0)
    })
  )
})

describe("permits under random interruption", () => {
  it.effect.prop(
    "interruption at any point loses no permit, returns every call in flight and exceeds no limit",
    {
      calls: FastCheck.array(
        FastCheck.record({
          at: FastCheck.nat(400),
          permits: FastCheck.integer({ min: 1, max: 3 }),
          duration: FastCheck.nat(200),
          waits: FastCheck.boolean(),
          givesUpAfter: FastCheck.option(FastCheck.nat(300), { nil: undefined })
        }),
        { minLength: 1, maxLength: 24 }
      ),
      maxConcurrency: FastCheck.integer({ min: 1, max: 3 }),
      seed: FastCheck.nat()
    },
    ({ calls, maxConcurrency, seed }) => {
      const { clock, pass } = makeClock()
      return Effect.gen(function* () {
        const capacity = 1000
        const limiter = yield* RateLimiter.make({ maxConcurrency, capacity, refillRate: 1e-9 })
        let inFlight = 0
        let most = 0
        let spent = 0
        let mayBeSpent = 0
        const fibers = yield* Effect.forEach(calls, ({ at, duration, givesUpAfter, permits, waits }) =>
          Effect.gen(function* () {
            if (givesUpAfter !== undefined) mayBeSpent += permits
            const body = Effect.acquireUseRelease(
              Effect.sync(() => {
                if (givesUpAfter !== undefined) mayBeSpent -= permits
                spent += permits
                most = Math.max(most, ++inFlight)
              }),
              () => Effect.sleep(duration),
              () => Effect.sync(() => void inFlight--)
            )
            const call = waits ? limiter.withPermits(permits)(body) : limiter.withPermitsIfAvailable(permits)(body)
            const fiber = yield* Effect.fork(Effect.delay(Effect.exit(call), at))
            if (givesUpAfter !== undefined) {
              yield* Effect.fork(Effect.delay(Fiber.interrupt(fiber), at + givesUpAfter))
            }
            return fiber
          })
        )
        yield* pass(10_000)
        yield* Effect.forEach(fibers, Fiber.await)
        expect(most).toBeLessThanOrEqual(maxConcurrency)
        expect((yield* limiter.status).concurrency).toEqual({ inFlight: 0, limit: maxConcurrency })
        // Only a call that is interrupted between its grant and its start spends its permits without running.
        const left = yield* limiter.available
        expect(left).toBeLessThanOrEqual(capacity - spent)
        expect(left).toBeGreaterThanOrEqual(capacity - spent - mayBeSpent)
        expect(yield* limiter.tryTake(left)).toBe(true)
      }).pipe(Effect.withScheduler(restless(seed)), Effect.withClock(clock))
    },
    { fastCheck: { numRuns: 40 } }
  )
})
