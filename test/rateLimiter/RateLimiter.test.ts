import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, FastCheck, Fiber, Ref, TestClock } from "effect"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { makeClock } from "../support/interleaving.js"
import { refusal } from "../support/refusal.js"

const waitOf = (limiter: RateLimiter.Service, n = 1) =>
  Effect.map(refusal(limiter.take(n, { maxWait: 0 })), (error) => error.retryAfter)

describe("the bucket of requests", () => {
  it.effect("a bucket of requests starts full and refills at its rate up to the capacity", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 3, refillRate: 2 })
      for (let n = 0; n < 3; n++) yield* limiter.take()
      expect(yield* waitOf(limiter)).toEqual(Duration.millis(500))
      yield* TestClock.adjust("500 millis")
      yield* limiter.take()
      yield* TestClock.adjust("1 hour")
      expect(yield* limiter.status).toEqual({ available: 3, capacity: 3, refillRate: 2, waiting: 0 })
    })
  )

  it.effect("take serves waiting callers in order of arrival", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1 })
      yield* limiter.take()
      const served = yield* Ref.make<ReadonlyArray<number>>([])
      const fibers = yield* Effect.forEach([1, 2, 3, 4], (n) =>
        Effect.fork(
          Effect.zipRight(
            limiter.take(),
            Ref.update(served, (before) => [...before, n])
          )
        )
      )
      yield* TestClock.adjust("2 seconds")
      expect(yield* Ref.get(served)).toEqual([1, 2])
      expect((yield* limiter.status).waiting).toBe(2)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.joinAll(fibers)
      expect(yield* Ref.get(served)).toEqual([1, 2, 3, 4])
    })
  )

  it.effect("take fails at once with the exact wait in retryAfter when it exceeds maxWait", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 0.1, maxWait: "15 seconds" })
      yield* limiter.take()
      const first = yield* Effect.fork(limiter.take())
      yield* Effect.yieldNow()
      const error = yield* refusal(limiter.take())
      expect([error.source, error.retryAfter]).toEqual(["limiter", Duration.seconds(20)])
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(first)
    })
  )

  it.effect("an interrupted take leaves the queue and the next caller moves up", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 4, refillRate: 1 })
      yield* limiter.take(4)
      const large = yield* Effect.fork(limiter.take(4))
      const small = yield* Effect.fork(limiter.take(1))
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.poll(small)).toMatchObject({ _tag: "None" })
      yield* Fiber.interrupt(large)
      yield* TestClock.adjust(1)
      yield* Fiber.join(small)
      expect((yield* limiter.status).waiting).toBe(0)
    })
  )

  it.effect("tryTake takes permits only when they are available and no caller waits", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 2, refillRate: 1 })
      expect(yield* limiter.tryTake(2)).toBe(true)
      expect(yield* limiter.tryTake()).toBe(false)
      const waiting = yield* Effect.fork(limiter.take(2))
      yield* TestClock.adjust("1 second")
      expect(yield* limiter.tryTake()).toBe(false)
      yield* Fiber.interrupt(waiting)
      expect(yield* limiter.tryTake()).toBe(true)
    })
  )

  it.effect("take rejects more permits than the capacity and invalid numbers as an invalid request", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 2 })
      for (const n of [3, 0, -1, Number.NaN, Infinity]) {
        expect(yield* Effect.flip(limiter.take(n))).toMatchObject({
          _tag: "InvalidRequestError",
          code: "limit_too_small"
        })
        expect(yield* limiter.tryTake(n)).toBe(false)
      }
      expect((yield* limiter.status).available).toBe(2)
    })
  )

  it.effect("reset fills the bucket and serves waiting callers", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 2, refillRate: 0.1 })
      yield* limiter.take(2)
      const waiting = yield* Effect.fork(limiter.take())
      yield* Effect.yieldNow()
      yield* limiter.reset
      yield* Fiber.join(waiting)
      expect((yield* limiter.status).available).toBe(1)
    })
  )

  it.effect("lower reduces what is available and never raises it", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 10, tokensPerMinute: 100 })
      yield* limiter.lower({ requests: 4, tokens: 30 })
      yield* limiter.lower({ requests: 400, tokens: 3000 })
      const { available, tokens } = yield* limiter.status
      expect([available, tokens?.available]).toEqual([4, 30])
    })
  )

  it.effect("make rejects invalid limits and names every fault", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(RateLimiter.make({ capacity: 0, refillRate: Number.NaN, tokensPerMinute: -1 }))
      expect(error.faults.map((fault) => fault.split(":")[0])).toEqual(["capacity", "refillRate", "tokensPerMinute"])
    })
  )
})

describe("the bucket of tokens", () => {
  const make = RateLimiter.make({ capacity: 100, refillRate: 100, tokensPerMinute: 600 })

  it.effect("settle gives unused tokens of a reservation back, once", () =>
    Effect.gen(function* () {
      const limiter = yield* make
      const reservation = yield* limiter.reserve(500)
      expect((yield* limiter.status).tokens).toMatchObject({ available: 100, reserved: 500 })
      yield* reservation.settle(200)
      yield* reservation.settle(0)
      expect((yield* limiter.status).tokens).toMatchObject({ available: 400, reserved: 0 })
    })
  )

  it.effect("tokens used beyond the reservation lengthen the wait of later callers", () =>
    Effect.gen(function* () {
      const limiter = yield* make
      const reservation = yield* limiter.reserve(600)
      yield* reservation.settle(700)
      const error = yield* refusal(limiter.reserve(10, { maxWait: 0 }))
      // A debt of 100 and a request for 10, at 10 a second.
      expect(error.retryAfter).toEqual(Duration.seconds(11))
    })
  )

  it.effect("reserve takes the request and the tokens together or neither", () =>
    Effect.gen(function* () {
      const limiter = yield* make
      yield* limiter.reserve(600)
      yield* refusal(limiter.reserve(1, { maxWait: 0 }))
      expect((yield* limiter.status).available).toBe(99)
    })
  )

  it.effect("reserve rejects more tokens than tokensPerMinute at once", () =>
    Effect.gen(function* () {
      const limiter = yield* make
      expect((yield* Effect.flip(limiter.reserve(601)))._tag).toBe("InvalidRequestError")
    })
  )
})

describe("waits that become longer than calculated", () => {
  const make = RateLimiter.make({ capacity: 100, refillRate: 100, tokensPerMinute: 600, maxWait: "20 seconds" })

  it.effect("waiting callers fail as soon as tokens used beyond a reservation make their wait exceed maxWait", () =>
    Effect.gen(function* () {
      const limiter = yield* make
      const reservation = yield* limiter.reserve(600)
      const first = yield* Effect.fork(Effect.either(limiter.reserve(100)))
      const second = yield* Effect.fork(Effect.either(limiter.reserve(100)))
      const brief = yield* Effect.fork(limiter.take(1))
      yield* TestClock.adjust("1 second")
      // 150 more were used: the first now waits 25 seconds from its start, the second would wait 35.
      yield* reservation.settle(750)
      for (const fiber of [first, second]) {
        expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "Left", left: { source: "limiter" } })
      }
      yield* Fiber.join(brief)
      expect(yield* limiter.status).toMatchObject({ waiting: 0, tokens: { available: -140, reserved: 0 } })
    })
  )

  it.effect("a waiting caller stays when the failure of those before it makes its wait short enough again", () =>
    Effect.gen(function* () {
      const limiter = yield* make
      const reservation = yield* limiter.reserve(600)
      const large = yield* Effect.fork(Effect.either(limiter.reserve(150)))
      const small = yield* Effect.fork(limiter.reserve(20))
      yield* TestClock.adjust("1 second")
      // The calculated waits were 15 and 17 seconds. With a debt of 60 more the large one would wait 21; without it, the small
      // one 8.
      yield* reservation.settle(660)
      expect(yield* Fiber.join(large)).toMatchObject({ _tag: "Left" })
      yield* TestClock.adjust("6 seconds")
      expect(yield* Fiber.poll(small)).toMatchObject({ _tag: "None" })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(small)
    })
  )

  it.effect("the calculated wait leaves out a refill that a full bucket of requests cannot gain", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1, tokensPerMinute: 60 })
      yield* limiter.reserve(60)
      const head = yield* Effect.fork(limiter.reserve(10))
      const second = yield* Effect.fork(limiter.reserve(1))
      yield* TestClock.adjust(0)
      // The head is served after 10 seconds and empties the bucket of requests, the second one second later.
      const third = yield* refusal(limiter.take(1, { maxWait: 0 }))
      expect(third.retryAfter).toEqual(Duration.seconds(12))
      yield* TestClock.adjust("11 seconds")
      yield* Fiber.join(Fiber.zip(head, second))
    })
  )

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

describe("invalid numbers", () => {
  it.effect("settle and lower ignore invalid numbers of tokens and requests", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 10, tokensPerMinute: 600 })
      for (const actual of [Number.NaN, Infinity, -5]) yield* (yield* limiter.reserve(100)).settle(actual)
      yield* limiter.lower({ requests: Number.NaN, tokens: Number.NaN })
      expect(yield* limiter.status).toMatchObject({ available: 7, tokens: { available: 300, reserved: 0 } })
    })
  )
})

describe("RateLimiter under random arrivals and interruptions", () => {
  const arrivals = FastCheck.array(
    FastCheck.record({
      at: FastCheck.integer({ min: 0, max: 5000 }),
      n: FastCheck.integer({ min: 1, max: 3 }),
      givesUpAfter: FastCheck.option(FastCheck.integer({ min: 0, max: 3000 }), { nil: undefined })
    }),
    { minLength: 1, maxLength: 30 }
  )

  it.effect.prop(
    "no more than capacity + rate × time is granted over any time, and no permit is lost",
    {
      arrivals,
      capacity: FastCheck.integer({ min: 3, max: 6 }),
      refillRate: FastCheck.constantFrom(0.5, 1, 3, 7, 1000)
    },
    ({ arrivals, capacity, refillRate }) => {
      const { clock, pass } = makeClock()
      return Effect.gen(function* () {
        const limiter = yield* RateLimiter.make({ capacity, refillRate, maxWait: "10 seconds" })
        const grants = yield* Ref.make<ReadonlyArray<{ readonly at: number; readonly n: number }>>([])
        const fibers = yield* Effect.forEach(arrivals, ({ at, givesUpAfter, n }) =>
          Effect.gen(function* () {
            const taker = yield* Effect.fork(
              Effect.delay(
                Effect.flatMap(limiter.take(n), () =>
                  Effect.clockWith((clock) =>
                    Ref.update(grants, (before) => [...before, { at: clock.unsafeCurrentTimeMillis(), n }])
                  )
                ),
                at
              )
            )
            if (givesUpAfter !== undefined) {
              yield* Effect.fork(Effect.delay(Fiber.interrupt(taker), at + givesUpAfter))
            }
            return taker
          })
        )
        yield* pass(60_000)
        yield* Effect.forEach(fibers, Fiber.await)
        const granted = yield* Ref.get(grants)
        for (const [index, first] of granted.entries()) {
          let sum = 0
          for (const grant of granted.slice(index)) {
            sum += grant.n
            expect(sum).toBeLessThanOrEqual(capacity + (refillRate * (grant.at - first.at)) / 1000 + 1e-6)
          }
        }
        yield* pass(60_000)
        expect(yield* limiter.status).toEqual({ available: capacity, capacity, refillRate, waiting: 0 })
      }).pipe(Effect.withClock(clock))
    },
    { fastCheck: { numRuns: 60 } }
  )
})

describe("bounds of the bucket of tokens", () => {
  it.effect("a bucket of tokens holds no more than its capacity when tokens are given back", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ tokensPerMinute: 600 })
      const reservation = yield* limiter.reserve(600)
      yield* TestClock.adjust("1 minute")
      yield* reservation.settle(0)
      expect((yield* limiter.status).tokens?.available).toBe(600)
    })
  )

  it.effect("lower with negative numbers empties the buckets and makes no debt", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 10, refillRate: 1, tokensPerMinute: 600 })
      yield* limiter.lower({ requests: -5, tokens: -5 })
      expect(yield* limiter.status).toMatchObject({ available: 0, tokens: { available: 0 } })
    })
  )

  it.effect("lower keeps the debt of a bucket of tokens", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ tokensPerMinute: 600 })
      const reservation = yield* limiter.reserve(600)
      yield* reservation.settle(700)
      for (const tokens of [5, 0, -5, -1000]) {
        yield* limiter.lower({ tokens })
        expect((yield* limiter.status).tokens?.available).toBe(-100)
      }
    })
  )
})
