/** Laws of every limiter, in memory or shared: what it grants, when, and in which order. Time is that of a test. */
import { expect } from "@effect/vitest"
import type { Scope } from "effect"
import { Deferred, Duration, Effect, Exit, Fiber, Ref } from "effect"
import * as FastCheck from "fast-check"
import type { RateLimitError } from "../../src/vocabulary/LLMError.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { refusal } from "./refusal.js"

/** A store of limiters and its time. */
export interface World {
  readonly make: (
    options?: RateLimiter.Options
  ) => Effect.Effect<RateLimiter.Service, RateLimiter.InvalidLimitError, Scope.Scope>
  readonly adjust: (duration: Duration.DurationInput) => Effect.Effect<void>
  /** How much longer than its length a window counts a request, in milliseconds. */
  readonly allowance: number
  /** How much later than it was granted a call can start, in milliseconds: timers have whole ones. */
  readonly rounding: number
  /** The part of the random samples that is tried. */
  readonly thoroughness: number
}

interface Law {
  readonly title: string
  readonly check: (world: World) => Effect.Effect<void, unknown, Scope.Scope>
}

const law = (title: string, check: Law["check"]): Law => ({ title, check })

const randomLaw = <A extends object>(
  title: string,
  arbitraries: { readonly [K in keyof A]: FastCheck.Arbitrary<A[K]> },
  property: (sample: A, world: World) => Effect.Effect<void, unknown, Scope.Scope>,
  runs: number
): Law => ({
  title,
  check: (world) =>
    Effect.forEach(
      FastCheck.sample(FastCheck.record<A>(arbitraries), Math.ceil(runs * world.thoroughness)),
      (sample) => Effect.annotateLogs(Effect.scoped(property(sample, world)), "sample", JSON.stringify(sample)),
      { discard: true }
    )
})

const near = (value: number): unknown => expect.closeTo(value, 1)

const millisOf = ({ retryAfter = Duration.infinity }: RateLimitError): number => Duration.toMillis(retryAfter)

const waitOf = (limiter: RateLimiter.Service, n = 1) => Effect.map(refusal(limiter.take(n, { maxWait: 0 })), millisOf)

const tokenLimits = { capacity: 100, refillRate: 100, tokensPerMinute: 600 }

const batch = RateLimiter.withPriority("batch")

interface Grant {
  readonly at: number
  readonly n: number
}

/** No more than the capacity and what is refilled is granted over any time. */
const expectWithin = (grants: ReadonlyArray<Grant>, capacity: number, refillRate: number, rounding: number): void => {
  for (const [index, first] of grants.entries()) {
    let sum = 0
    for (const grant of grants.slice(index)) {
      sum += grant.n
      const elapsed = grant.at - first.at + rounding
      expect(sum).toBeLessThanOrEqual(capacity + (refillRate * elapsed) / 1000 + 1e-6)
    }
  }
}

const randomArrivals = FastCheck.array(
  FastCheck.record({
    at: FastCheck.integer({ min: 0, max: 5000 }),
    n: FastCheck.integer({ min: 1, max: 3 }),
    givesUpAfter: FastCheck.option(FastCheck.integer({ min: 0, max: 3000 }), { nil: undefined })
  }),
  { minLength: 1, maxLength: 30 }
)

export const laws: ReadonlyArray<Law> = [
  law("a bucket of requests starts full and refills at its rate up to the capacity", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 3, refillRate: 2 })
      for (let n = 0; n < 3; n++) yield* limiter.take()
      expect(yield* waitOf(limiter)).toBeCloseTo(Duration.toMillis(Duration.millis(500)), 0)
      yield* adjust("500 millis")
      yield* limiter.take()
      yield* adjust("1 hour")
      expect(yield* limiter.status).toMatchObject({ available: near(3), capacity: 3, refillRate: 2, waiting: 0 })
    })
  ),
  law("take serves waiting callers in order of arrival", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 1, refillRate: 1 })
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
      yield* adjust("2 seconds")
      expect(yield* Ref.get(served)).toEqual([1, 2])
      expect((yield* limiter.status).waiting).toBe(2)
      yield* adjust("2 seconds")
      yield* Fiber.joinAll(fibers)
      expect(yield* Ref.get(served)).toEqual([1, 2, 3, 4])
    })
  ),
  law("take fails at once with the exact wait in retryAfter when it exceeds maxWait", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 1, refillRate: 0.1, maxWait: "15 seconds" })
      yield* limiter.take()
      const first = yield* Effect.fork(limiter.take())
      yield* Effect.yieldNow()
      const error = yield* refusal(limiter.take())
      expect(error.source).toBe("limiter")
      expect(millisOf(error)).toBeCloseTo(20_000, 0)
      yield* adjust("10 seconds")
      yield* Fiber.join(first)
    })
  ),
  law("an interrupted take leaves the queue and the next caller moves up", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 4, refillRate: 1 })
      yield* limiter.take(4)
      const large = yield* Effect.fork(limiter.take(4))
      const small = yield* Effect.fork(limiter.take(1))
      yield* adjust("1 second")
      expect(yield* Fiber.poll(small)).toMatchObject({ _tag: "None" })
      yield* Fiber.interrupt(large)
      yield* adjust(1)
      yield* Fiber.join(small)
      expect((yield* limiter.status).waiting).toBe(0)
    })
  ),
  law("tryTake takes permits only when they are available and no caller waits", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 2, refillRate: 1 })
      expect(yield* limiter.tryTake(2)).toBe(true)
      expect(yield* limiter.tryTake()).toBe(false)
      const waiting = yield* Effect.fork(limiter.take(2))
      yield* adjust("1 second")
      expect(yield* limiter.tryTake()).toBe(false)
      yield* Fiber.interrupt(waiting)
      expect(yield* limiter.tryTake()).toBe(true)
    })
  ),
  law("take rejects more permits than the capacity and invalid numbers as an invalid request", ({ make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 2 })
      for (const n of [3, 0, -1, Number.NaN, Infinity]) {
        expect(yield* Effect.flip(limiter.take(n))).toMatchObject({
          _tag: "InvalidRequestError",
          code: "limit_too_small"
        })
        expect(yield* limiter.tryTake(n)).toBe(false)
      }
      expect((yield* limiter.status).available).toBeCloseTo(2)
    })
  ),
  law("reset fills the bucket and serves waiting callers", ({ make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 2, refillRate: 0.1 })
      yield* limiter.take(2)
      const waiting = yield* Effect.fork(limiter.take())
      yield* Effect.yieldNow()
      yield* limiter.reset
      yield* Fiber.join(waiting)
      expect((yield* limiter.status).available).toBeCloseTo(1)
    })
  ),
  law("lower reduces what is available and never raises it", ({ make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 10, tokensPerMinute: 100 })
      yield* limiter.lower({ requests: 4, tokens: 30 })
      yield* limiter.lower({ requests: 400, tokens: 3000 })
      const { available, tokens } = yield* limiter.status
      expect([available, tokens?.available]).toEqual([near(4), near(30)])
    })
  ),
  law("settle gives unused tokens of a reservation back, once", ({ make }) =>
    Effect.gen(function* () {
      const limiter = yield* make(tokenLimits)
      const reservation = yield* limiter.reserve(500)
      expect((yield* limiter.status).tokens).toMatchObject({ available: near(100), reserved: 500 })
      yield* reservation.settle(200)
      yield* reservation.settle(0)
      expect((yield* limiter.status).tokens).toMatchObject({ available: near(400), reserved: 0 })
    })
  ),
  law("tokens used beyond the reservation lengthen the wait of later callers", ({ make }) =>
    Effect.gen(function* () {
      const limiter = yield* make(tokenLimits)
      const reservation = yield* limiter.reserve(600)
      yield* reservation.settle(700)
      const error = yield* refusal(limiter.reserve(10, { maxWait: 0 }))
      // A debt of 100 and a request for 10, at 10 a second.
      expect(millisOf(error)).toBeCloseTo(Duration.toMillis(Duration.seconds(11)), 0)
    })
  ),
  law("reserve takes the request and the tokens together or neither", ({ make }) =>
    Effect.gen(function* () {
      const limiter = yield* make(tokenLimits)
      yield* limiter.reserve(600)
      yield* refusal(limiter.reserve(1, { maxWait: 0 }))
      expect((yield* limiter.status).available).toBeCloseTo(99)
    })
  ),
  law("reserve rejects more tokens than tokensPerMinute at once", ({ make }) =>
    Effect.gen(function* () {
      const limiter = yield* make(tokenLimits)
      expect((yield* Effect.flip(limiter.reserve(601)))._tag).toBe("InvalidRequestError")
    })
  ),
  law(
    "waiting callers fail as soon as tokens used beyond a reservation make their wait exceed maxWait",
    ({ adjust, make }) =>
      Effect.gen(function* () {
        const limiter = yield* make({ ...tokenLimits, maxWait: "20 seconds" })
        const reservation = yield* limiter.reserve(600)
        const first = yield* Effect.fork(Effect.either(limiter.reserve(100)))
        const second = yield* Effect.fork(Effect.either(limiter.reserve(100)))
        const brief = yield* Effect.fork(limiter.take(1))
        yield* adjust("1 second")
        // 150 more were used: the first now waits 25 seconds from its start, the second would wait 35.
        yield* reservation.settle(750)
        for (const fiber of [first, second]) {
          expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "Left", left: { source: "limiter" } })
        }
        yield* Fiber.join(brief)
        expect(yield* limiter.status).toMatchObject({ waiting: 0, tokens: { available: near(-140), reserved: 0 } })
      })
  ),
  law(
    "a waiting caller stays when the failure of those before it makes its wait short enough again",
    ({ adjust, make }) =>
      Effect.gen(function* () {
        const limiter = yield* make({ ...tokenLimits, maxWait: "20 seconds" })
        const reservation = yield* limiter.reserve(600)
        const large = yield* Effect.fork(Effect.either(limiter.reserve(150)))
        const small = yield* Effect.fork(limiter.reserve(20))
        yield* adjust("1 second")
        // The calculated waits were 15 and 17 seconds. With a debt of 60 more the large one would wait 21; without it, the small
        // one 8.
        yield* reservation.settle(660)
        expect(yield* Fiber.join(large)).toMatchObject({ _tag: "Left" })
        yield* adjust("6 seconds")
        expect(yield* Fiber.poll(small)).toMatchObject({ _tag: "None" })
        yield* adjust("1 second")
        yield* Fiber.join(small)
      })
  ),
  law("the calculated wait leaves out a refill that a full bucket of requests cannot gain", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 1, refillRate: 1, tokensPerMinute: 60 })
      yield* limiter.reserve(60)
      const head = yield* Effect.fork(limiter.reserve(10))
      const second = yield* Effect.fork(limiter.reserve(1))
      yield* adjust(0)
      // The head is served after 10 seconds and empties the bucket of requests, the second one second later.
      const third = yield* refusal(limiter.take(1, { maxWait: 0 }))
      expect(millisOf(third)).toBeCloseTo(Duration.toMillis(Duration.seconds(12)), 0)
      yield* adjust("11 seconds")
      yield* Fiber.join(Fiber.zip(head, second))
    })
  ),
  law("settle and lower ignore invalid numbers of tokens and requests", ({ make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 10, tokensPerMinute: 600 })
      for (const actual of [Number.NaN, Infinity, -5]) yield* (yield* limiter.reserve(100)).settle(actual)
      yield* limiter.lower({ requests: Number.NaN, tokens: Number.NaN })
      expect(yield* limiter.status).toMatchObject({ available: near(7), tokens: { available: near(300), reserved: 0 } })
    })
  ),
  randomLaw(
    "no more than capacity + rate × time is granted over any time, and no permit is lost",
    {
      arrivals: randomArrivals,
      capacity: FastCheck.integer({ min: 3, max: 6 }),
      refillRate: FastCheck.constantFrom(0.5, 1, 3, 7, 1000)
    },
    ({ arrivals, capacity, refillRate }, { adjust, make, rounding }) => {
      return Effect.gen(function* () {
        const limiter = yield* make({ capacity, refillRate, maxWait: "10 seconds" })
        const grants = yield* Ref.make<ReadonlyArray<Grant>>([])
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
        yield* adjust(60_000)
        yield* Effect.forEach(fibers, Fiber.await)
        expectWithin(yield* Ref.get(grants), capacity, refillRate, rounding)
        yield* adjust(60_000)
        expect(yield* limiter.status).toMatchObject({ available: near(capacity), capacity, refillRate, waiting: 0 })
      })
    },
    60
  ),
  randomLaw(
    "no more than capacity + rate × time is used over any time when other permits are given back at once, and none is lost",
    {
      arrivals: FastCheck.array(
        FastCheck.record({
          at: FastCheck.integer({ min: 0, max: 3000 }),
          isUsed: FastCheck.boolean()
        }),
        { minLength: 10, maxLength: 30 }
      ),
      capacity: FastCheck.integer({ min: 1, max: 4 }),
      refillRate: FastCheck.constantFrom(1, 2, 5)
    },
    ({ arrivals, capacity, refillRate }, { adjust, make, rounding }) =>
      Effect.gen(function* () {
        const limiter = yield* make({ capacity, refillRate, maxWait: "1 minute" })
        const used = yield* Ref.make<ReadonlyArray<Grant>>([])
        const fibers = yield* Effect.forEach(arrivals, ({ at, isUsed }) =>
          Effect.fork(
            Effect.delay(
              Effect.flatMap(limiter.reserve(0), ({ giveBack }) =>
                isUsed
                  ? Effect.clockWith((clock) =>
                      Ref.update(used, (before) => [...before, { at: clock.unsafeCurrentTimeMillis(), n: 1 }])
                    )
                  : (giveBack ?? Effect.void)
              ),
              at
            )
          )
        )
        yield* adjust(120_000)
        yield* Effect.forEach(fibers, Fiber.join)
        expectWithin(yield* Ref.get(used), capacity, refillRate, rounding)
        expect(yield* limiter.status).toMatchObject({ available: near(capacity), waiting: 0 })
      }),
    60
  ),
  law("a bucket of tokens holds no more than its capacity when tokens are given back", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ tokensPerMinute: 600 })
      const reservation = yield* limiter.reserve(600)
      yield* adjust("1 minute")
      yield* reservation.settle(0)
      expect((yield* limiter.status).tokens?.available).toBeCloseTo(600)
    })
  ),
  law("lower with negative numbers empties the buckets and makes no debt", ({ make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 10, refillRate: 1, tokensPerMinute: 600 })
      yield* limiter.lower({ requests: -5, tokens: -5 })
      expect(yield* limiter.status).toMatchObject({ available: near(0), tokens: { available: near(0) } })
    })
  ),
  law("lower keeps the debt of a bucket of tokens", ({ make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ tokensPerMinute: 600 })
      const reservation = yield* limiter.reserve(600)
      yield* reservation.settle(700)
      for (const tokens of [5, 0, -5, -1000]) {
        yield* limiter.lower({ tokens })
        expect((yield* limiter.status).tokens?.available).toBeCloseTo(-100)
      }
    })
  ),
  law(
    "requestsPerMinute holds over every minute, wherever it begins, with the exact wait",
    ({ adjust, allowance, make }) =>
      Effect.gen(function* () {
        const limiter = yield* make({ requestsPerMinute: 3 })
        yield* limiter.take()
        yield* adjust("50 seconds")
        yield* limiter.take(2)
        expect(yield* waitOf(limiter)).toBeCloseTo(10_000 + allowance, 0)
        yield* adjust(10_000 + allowance)
        yield* limiter.take()
        expect(yield* waitOf(limiter)).toBeCloseTo(Duration.toMillis(Duration.seconds(50)), 0)
        expect((yield* limiter.status).minute).toEqual({ available: near(0), limit: 3 })
      })
  ),
  law("reserve takes from all limits together or from none", ({ adjust, allowance, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({
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
        available: near(50),
        minute: { available: near(0) },
        day: { available: near(10) },
        tokens: { available: near(100) }
      })
      yield* adjust(60_000 + allowance)
      yield* limiter.take(10)
      expect(yield* waitOf(limiter)).toBeCloseTo(Duration.toMillis(Duration.minutes(24 * 60 - 1)), 0)
      yield* limiter.reset
      yield* limiter.take(50)
    })
  ),
  law("take rejects more permits than requestsPerMinute as an invalid request", ({ make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 10, requestsPerMinute: 5 })
      expect((yield* Effect.flip(limiter.take(6)))._tag).toBe("InvalidRequestError")
    })
  ),
  randomLaw(
    "no more than requestsPerMinute is granted in any minute, however large it is, and the wait is exact",
    {
      limit: FastCheck.constantFrom(2, 7, 1500),
      gaps: FastCheck.array(FastCheck.integer({ min: 0, max: 20_000 }), { minLength: 5, maxLength: 40 })
    },
    ({ gaps, limit }, { adjust, make }) => {
      return Effect.gen(function* () {
        const size = limit === 1500 ? 500 : 1
        const limiter = yield* make({ capacity: 1e6, refillRate: 1e6, requestsPerMinute: limit })
        const grants: Array<number> = []
        let now = 0
        for (const gap of gaps) {
          now += gap
          yield* adjust(gap)
          if (yield* limiter.tryTake(size)) {
            grants.push(now)
          } else {
            const { retryAfter = Duration.infinity } = yield* refusal(limiter.take(size, { maxWait: 0 }))
            const wait = Duration.toMillis(retryAfter)
            yield* adjust(Math.ceil(wait))
            now += Math.ceil(wait)
            expect(yield* limiter.tryTake(size)).toBe(true)
            grants.push(now)
          }
        }
        for (const first of grants) {
          const within = grants.filter((at) => at >= first && at < first + 60_000).length
          expect(within * size).toBeLessThanOrEqual(limit)
        }
      })
    },
    30
  ),
  law("no more than maxConcurrency calls are in flight, and the next starts when one ends", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ maxConcurrency: 2 })
      const gate = yield* Deferred.make<void>()
      const first = yield* Effect.fork(limiter.withPermits(1)(Deferred.await(gate)))
      const second = yield* limiter.reserve(0)
      const third = yield* Effect.fork(limiter.reserve(0))
      yield* adjust("1 second")
      expect(yield* limiter.status).toMatchObject({ waiting: 1, concurrency: { inFlight: 2, limit: 2 } })
      yield* second.settle(0)
      yield* second.settle(0)
      yield* (yield* Fiber.join(third)).settle(0)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(first)
      expect((yield* limiter.status).concurrency).toEqual({ inFlight: 0, limit: 2 })
    })
  ),
  law("callers that wait for calls in flight fail after their maxWait", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ maxConcurrency: 1, maxWait: "5 seconds" })
      const first = yield* limiter.reserve(0)
      const waiting = yield* Effect.fork(refusal(limiter.reserve(0)))
      const behind = yield* Effect.fork(refusal(limiter.take()))
      const impatient = yield* Effect.fork(refusal(limiter.reserve(0, { maxWait: 0 })))
      yield* adjust(0)
      expect((yield* Fiber.join(impatient)).source).toBe("limiter")
      yield* adjust("4999 millis")
      expect(yield* Fiber.poll(waiting)).toMatchObject({ _tag: "None" })
      yield* adjust(1)
      expect((yield* Fiber.join(waiting))._tag).toBe("RateLimitError")
      // A limiter in Redis asks for a slot at intervals.
      yield* adjust("100 millis")
      yield* Fiber.await(behind)
      yield* first.settle(0)
      expect(yield* limiter.status).toMatchObject({ waiting: 0, concurrency: { inFlight: 0 } })
    })
  ),
  randomLaw(
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
    ({ calls, maxConcurrency }, { adjust, make }) => {
      return Effect.gen(function* () {
        const limiter = yield* make({ maxConcurrency, tokensPerMinute: 1e6, capacity: 8, refillRate: 20 })
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
        yield* adjust(10_000)
        yield* Effect.forEach(fibers, Fiber.await)
        expect(most).toBeLessThanOrEqual(maxConcurrency)
        expect(yield* limiter.status).toMatchObject({
          waiting: 0,
          available: near(8),
          concurrency: { inFlight: 0 },
          tokens: { available: near(1e6), reserved: 0 }
        })
      })
    },
    25
  ),
  law("interactive calls pass batch calls, and each priority keeps its order of arrival", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 1, refillRate: 1 })
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
      yield* adjust("4 seconds")
      yield* Fiber.joinAll(fibers)
      expect(yield* Ref.get(served)).toEqual(["i1", "i2", "b1", "b2"])
    })
  ),
  law("the calculated wait of an interactive call does not count queued batch calls", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 1, refillRate: 1 })
      yield* limiter.take()
      const fibers = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.fork(batch(limiter.take())))
      yield* adjust(0)
      expect(yield* waitOf(limiter)).toBeCloseTo(Duration.toMillis(Duration.seconds(1)), 0)
      const batched = yield* refusal(batch(limiter.take(1, { maxWait: 0 })))
      expect(millisOf(batched)).toBeCloseTo(Duration.toMillis(Duration.seconds(21)), 0)
      yield* Fiber.interruptAll(fibers)
    })
  ),
  law("a waiting batch call fails as soon as interactive calls make its wait exceed maxWait", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 1, refillRate: 1 })
      yield* limiter.take()
      const passed = yield* Effect.fork(refusal(batch(limiter.take(1, { maxWait: "2 seconds" }))))
      const callers = yield* Effect.forEach([1, 2], () => Effect.fork(limiter.take()))
      yield* adjust(0)
      expect(millisOf(yield* Fiber.join(passed))).toBeCloseTo(Duration.toMillis(Duration.seconds(3)), 0)
      yield* Fiber.interruptAll(callers)
      expect((yield* limiter.status).waiting).toBe(0)
    })
  ),
  law("a batch call is served after its aging under a load that never ends", ({ adjust, make }) =>
    Effect.gen(function* () {
      const limiter = yield* make({ capacity: 1, refillRate: 1, maxWait: "10 seconds" })
      // Twice the load that the limiter can serve, without end.
      const load = yield* Effect.fork(
        Effect.forever(Effect.zipRight(Effect.fork(Effect.either(limiter.take())), Effect.sleep("500 millis")))
      )
      yield* adjust("1 minute")
      const batched = yield* Effect.fork(batch(limiter.take()))
      yield* adjust("29 seconds")
      expect(yield* Fiber.poll(batched)).toMatchObject({ _tag: "None" })
      // At most `maxWait` of the load is queued before it when its aging ends.
      yield* adjust("12 seconds")
      expect(yield* Fiber.poll(batched)).toMatchObject({ _tag: "Some", value: Exit.void })
      yield* Fiber.interrupt(load)
    })
  ),
  randomLaw(
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
    ({ calls }, { adjust, make }) => {
      return Effect.gen(function* () {
        const limiter = yield* make({
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
        yield* adjust(40_000)
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
          available: near(2),
          waiting: 0,
          minute: { available: near(40 - grants.length) }
        })
      })
    },
    25
  )
]
