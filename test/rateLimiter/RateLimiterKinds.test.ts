import { describe, expect, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, FastCheck, Fiber, Ref, TestClock } from "effect"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { makeClock } from "../support/interleaving.js"
import { refusal } from "../support/refusal.js"

const retryAfterOf = (limiter: RateLimiter.Service) =>
  Effect.map(refusal(limiter.take(1, { maxWait: 0 })), (error) => error.retryAfter)

describe("requestsPerMinute and requestsPerDay", () => {
  it.effect("requestsPerMinute holds over every minute, wherever it begins, with the exact wait", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ requestsPerMinute: 3 })
      yield* limiter.take()
      yield* TestClock.adjust("50 seconds")
      yield* limiter.take(2)
      expect(yield* retryAfterOf(limiter)).toEqual(Duration.seconds(10))
      yield* TestClock.adjust("10 seconds")
      yield* limiter.take()
      expect(yield* retryAfterOf(limiter)).toEqual(Duration.seconds(50))
      expect((yield* limiter.status).minute).toEqual({ available: 0, limit: 3 })
    })
  )

  it.effect("reserve takes from all limits together or from none", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({
        capacity: 100,
        refillRate: 100,
        requestsPerMinute: 50,
        requestsPerDay: 60,
        tokensPerMinute: 600,
        maxWait: 0
      })
      yield* limiter.take(49)
      yield* limiter.reserve(500)
      yield* refusal(limiter.reserve(10))
      expect(yield* limiter.status).toMatchObject({
        available: 50,
        minute: { available: 0 },
        day: { available: 10 },
        tokens: { available: 100 }
      })
      yield* TestClock.adjust("1 minute")
      yield* limiter.take(10)
      expect(yield* retryAfterOf(limiter)).toEqual(Duration.minutes(24 * 60 - 1))
      yield* limiter.reset
      yield* limiter.take(50)
    })
  )

  it.effect("take rejects more permits than requestsPerMinute as an invalid request", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 10, requestsPerMinute: 5 })
      expect((yield* Effect.flip(limiter.take(6)))._tag).toBe("InvalidRequestError")
    })
  )

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
      expect(yield* sizesOf({ maxConcurrency: 3, refillRate: 2 })).toEqual([10, 2])
      expect(yield* sizesOf({ tokensPerMinute: 100 })).toEqual([10, 1])
    })
  )

  it.effect.prop(
    "no more than requestsPerMinute is granted in any minute, however large it is, and the wait is exact",
    {
      limit: FastCheck.constantFrom(2, 7, 1500),
      gaps: FastCheck.array(FastCheck.integer({ min: 0, max: 20_000 }), { minLength: 5, maxLength: 40 })
    },
    ({ gaps, limit }) => {
      const { clock, pass } = makeClock()
      return Effect.gen(function* () {
        const size = limit === 1500 ? 500 : 1
        const limiter = yield* RateLimiter.make({ capacity: 1e6, refillRate: 1e6, requestsPerMinute: limit })
        const grants: Array<number> = []
        let now = 0
        for (const gap of gaps) {
          now += gap
          yield* pass(gap)
          if (yield* limiter.tryTake(size)) {
            grants.push(now)
          } else {
            const { retryAfter = Duration.infinity } = yield* refusal(limiter.take(size, { maxWait: 0 }))
            const wait = Duration.toMillis(retryAfter)
            yield* pass(Math.ceil(wait))
            now += Math.ceil(wait)
            expect(yield* limiter.tryTake(size)).toBe(true)
            grants.push(now)
          }
        }
        for (const first of grants) {
          const within = grants.filter((at) => at >= first && at < first + 60_000).length
          expect(within * size).toBeLessThanOrEqual(limit)
        }
      }).pipe(Effect.withClock(clock))
    },
    { fastCheck: { numRuns: 30 } }
  )
})

describe("maxConcurrency", () => {
  it.effect("no more than maxConcurrency calls are in flight, and the next starts when one ends", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ maxConcurrency: 2 })
      const gate = yield* Deferred.make<void>()
      const first = yield* Effect.fork(limiter.withPermits(1)(Deferred.await(gate)))
      const second = yield* limiter.reserve(0)
      const third = yield* Effect.fork(limiter.reserve(0))
      yield* TestClock.adjust("1 second")
      expect(yield* limiter.status).toMatchObject({ waiting: 1, concurrency: { inFlight: 2, limit: 2 } })
      yield* second.settle(0)
      yield* second.settle(0)
      yield* (yield* Fiber.join(third)).settle(0)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(first)
      expect((yield* limiter.status).concurrency).toEqual({ inFlight: 0, limit: 2 })
    })
  )

  it.effect("callers that wait for calls in flight fail after their maxWait", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ maxConcurrency: 1, maxWait: "5 seconds" })
      const first = yield* limiter.reserve(0)
      const waiting = yield* Effect.fork(refusal(limiter.reserve(0)))
      const behind = yield* Effect.fork(refusal(limiter.take()))
      const impatient = yield* Effect.fork(refusal(limiter.reserve(0, { maxWait: 0 })))
      yield* TestClock.adjust(0)
      expect((yield* Fiber.join(impatient)).source).toBe("limiter")
      yield* TestClock.adjust("4999 millis")
      expect(yield* Fiber.poll(waiting)).toMatchObject({ _tag: "None" })
      yield* TestClock.adjust(1)
      expect((yield* Fiber.join(waiting))._tag).toBe("RateLimitError")
      yield* Fiber.await(behind)
      yield* first.settle(0)
      expect(yield* limiter.status).toMatchObject({ waiting: 0, concurrency: { inFlight: 0 } })
    })
  )

  it.effect.prop(
    "calls in flight never exceed maxConcurrency, and interruption at any point loses no permit",
    {
      calls: FastCheck.array(
        FastCheck.record({
          at: FastCheck.integer({ min: 0, max: 400 }),
          takes: FastCheck.integer({ min: 0, max: 200 }),
          givesUpAfter: FastCheck.option(FastCheck.integer({ min: 0, max: 300 }), { nil: undefined })
        }),
        { minLength: 1, maxLength: 24 }
      ),
      maxConcurrency: FastCheck.integer({ min: 1, max: 3 })
    },
    ({ calls, maxConcurrency }) => {
      const { clock, pass } = makeClock()
      return Effect.gen(function* () {
        const limiter = yield* RateLimiter.make({ maxConcurrency, tokensPerMinute: 1e6, capacity: 8, refillRate: 20 })
        let inFlight = 0
        let most = 0
        const fibers = yield* Effect.forEach(calls, ({ at, givesUpAfter, takes }) =>
          Effect.gen(function* () {
            const runCall = Effect.acquireUseRelease(
              Effect.map(limiter.reserve(100), (reservation) => {
                most = Math.max(most, ++inFlight)
                return reservation
              }),
              () => Effect.sleep(takes),
              (reservation) => {
                inFlight--
                return reservation.settle(50)
              }
            )
            const fiber = yield* Effect.fork(Effect.delay(Effect.exit(runCall), at))
            if (givesUpAfter !== undefined) {
              yield* Effect.fork(Effect.delay(Fiber.interrupt(fiber), at + givesUpAfter))
            }
            return fiber
          })
        )
        yield* pass(10_000)
        yield* Effect.forEach(fibers, Fiber.await)
        expect(most).toBeLessThanOrEqual(maxConcurrency)
        expect(yield* limiter.status).toMatchObject({
          waiting: 0,
          available: 8,
          concurrency: { inFlight: 0 },
          tokens: { available: 1e6, reserved: 0 }
        })
      }).pipe(Effect.withClock(clock))
    },
    { fastCheck: { numRuns: 25 } }
  )
})

describe("priorities", () => {
  const batch = RateLimiter.withPriority("batch")

  it.effect("interactive calls pass batch calls, and each priority keeps its order of arrival", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1 })
      yield* limiter.take()
      const served = yield* Ref.make<ReadonlyArray<string>>([])
      const call = (name: string) =>
        Effect.zipRight(
          limiter.take(),
          Ref.update(served, (before) => [...before, name])
        )
      const fibers = [
        yield* Effect.fork(batch(call("b1"))),
        yield* Effect.fork(batch(call("b2"))),
        yield* Effect.fork(call("i1")),
        yield* Effect.fork(call("i2"))
      ]
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.joinAll(fibers)
      expect(yield* Ref.get(served)).toEqual(["i1", "i2", "b1", "b2"])
    })
  )

  it.effect("the calculated wait of an interactive call does not count queued batch calls", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1 })
      yield* limiter.take()
      const fibers = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.fork(batch(limiter.take())))
      yield* TestClock.adjust(0)
      expect(yield* retryAfterOf(limiter)).toEqual(Duration.seconds(1))
      const batched = yield* refusal(batch(limiter.take(1, { maxWait: 0 })))
      expect(batched.retryAfter).toEqual(Duration.seconds(21))
      yield* Fiber.interruptAll(fibers)
    })
  )

  it.effect("a waiting batch call fails as soon as interactive calls make its wait exceed maxWait", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1 })
      yield* limiter.take()
      const passed = yield* Effect.fork(refusal(batch(limiter.take(1, { maxWait: "2 seconds" }))))
      const callers = yield* Effect.forEach([1, 2], () => Effect.fork(limiter.take()))
      yield* TestClock.adjust(0)
      expect((yield* Fiber.join(passed)).retryAfter).toEqual(Duration.seconds(3))
      yield* Fiber.interruptAll(callers)
      expect((yield* limiter.status).waiting).toBe(0)
    })
  )

  it.effect("a batch call is served after its aging under a load that never ends", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1, maxWait: "10 seconds" })
      // Twice the load that the limiter can serve, without end.
      const load = yield* Effect.fork(
        Effect.forever(Effect.zipRight(Effect.fork(Effect.either(limiter.take())), Effect.sleep("500 millis")))
      )
      yield* TestClock.adjust("1 minute")
      const batched = yield* Effect.fork(batch(limiter.take()))
      yield* TestClock.adjust("29 seconds")
      expect(yield* Fiber.poll(batched)).toMatchObject({ _tag: "None" })
      // At most `maxWait` of the load is queued before it when its aging ends.
      yield* TestClock.adjust("12 seconds")
      expect(yield* Fiber.poll(batched)).toMatchObject({ _tag: "Some", value: Exit.void })
      yield* Fiber.interrupt(load)
    })
  )

  it.effect.prop(
    "mixed priorities keep the rate, lose no permit, and are served in order of arrival within each",
    {
      calls: FastCheck.uniqueArray(
        FastCheck.record({
          at: FastCheck.integer({ min: 0, max: 8000 }),
          priority: FastCheck.constantFrom<RateLimiter.Priority>("interactive", "batch"),
          givesUpAfter: FastCheck.option(FastCheck.integer({ min: 0, max: 5000 }), { nil: undefined })
        }),
        { minLength: 1, maxLength: 24, selector: ({ at }) => at }
      )
    },
    ({ calls }) => {
      const { clock, pass } = makeClock()
      return Effect.gen(function* () {
        const limiter = yield* RateLimiter.make({
          capacity: 2,
          refillRate: 1,
          requestsPerMinute: 40,
          maxWait: "1 hour"
        })
        const grants: Array<{ readonly at: number; readonly index: number; readonly priority: RateLimiter.Priority }> =
          []
        const arrivals = calls.toSorted((self, that) => self.at - that.at)
        const fibers = yield* Effect.forEach(arrivals, ({ at, givesUpAfter, priority }, index) =>
          Effect.gen(function* () {
            const granted = Effect.clockWith((clock) =>
              Effect.sync(() => grants.push({ at: clock.unsafeCurrentTimeMillis(), index, priority }))
            )
            const fiber = yield* Effect.fork(
              Effect.delay(RateLimiter.withPriority(Effect.zipRight(limiter.take(), granted), priority), at)
            )
            if (givesUpAfter !== undefined) {
              yield* Effect.fork(Effect.delay(Fiber.interrupt(fiber), at + givesUpAfter))
            }
            return fiber
          })
        )
        yield* pass(40_000)
        const exits = yield* Effect.forEach(fibers, Fiber.await)
        expect(exits.filter(Exit.isSuccess)).toHaveLength(grants.length)
        for (const [from, first] of grants.entries()) {
          for (const [to, last] of grants.entries()) {
            if (to >= from) expect(to - from + 1).toBeLessThanOrEqual(2 + (last.at - first.at) / 1000 + 1e-6)
          }
        }
        for (const priority of ["interactive", "batch"]) {
          const order = grants.filter((grant) => grant.priority === priority).map(({ index }) => index)
          expect(order).toEqual(order.toSorted((self, that) => self - that))
        }
        expect(yield* limiter.status).toMatchObject({
          available: 2,
          waiting: 0,
          minute: { available: 40 - grants.length }
        })
      }).pipe(Effect.withClock(clock))
    },
    { fastCheck: { numRuns: 25 } }
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
      const tags = yield* Effect.forEach(["large", "large", "small", "small", "small", "a", "b"], (model) =>
        Effect.map(reserve(model), ({ _tag }) => _tag)
      )
      expect(tags).toEqual(["Right", "Left", "Right", "Right", "Left", "Right", "Left"])
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
