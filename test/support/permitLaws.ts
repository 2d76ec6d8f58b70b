/** Laws of `withPermits`, `withPermitsIfAvailable` and `available` for every limiter, whose refill must be negligible. */
import { expect } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option } from "effect"
import type { LimitError, Options, Service } from "../../src/rateLimiter/RateLimiter.js"
import { eventually } from "./eventually.js"

type Make<E, R> = (options: Options) => Effect.Effect<Service, E, R>

interface Law {
  readonly title: string
  readonly check: <E, R>(make: Make<E, R>) => Effect.Effect<void, E | LimitError, R>
}

const inFlight = (limiter: Service) => Effect.map(limiter.status, ({ concurrency }) => concurrency?.inFlight)

const ends = (limiter: Service, calls: number) =>
  eventually(Effect.map(inFlight(limiter), (current) => current === calls))

const waits = (limiter: Service, calls: number) =>
  eventually(Effect.map(limiter.status, ({ waiting }) => waiting === calls))

const slow = { capacity: 5, refillRate: 1e-6, maxConcurrency: 2 }

/** Starts an effect that holds `n` permits, and returns it once it runs. */
const holding = (limiter: Service, n: number) =>
  Effect.gen(function* () {
    const isRunning = yield* Deferred.make<void>()
    const gate = yield* Deferred.make<void>()
    const run = limiter.withPermits(n)(Effect.zipRight(Deferred.succeed(isRunning, undefined), Deferred.await(gate)))
    const fiber = yield* Effect.fork(run)
    yield* Deferred.await(isRunning)
    return { fiber, gate }
  })

export const laws: ReadonlyArray<Law> = [
  {
    title: "withPermits spends its permits at the start and counts one call in flight until the effect ends",
    check: (make) =>
      Effect.gen(function* () {
        const limiter = yield* make(slow)
        const { fiber, gate } = yield* holding(limiter, 3)
        expect([yield* limiter.available, yield* inFlight(limiter)]).toEqual([2, 1])
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(fiber)
        yield* ends(limiter, 0)
        expect(yield* limiter.available).toBe(2)
      })
  },
  {
    title: "withPermits ends its call in flight when the effect fails or is interrupted, and passes the result on",
    check: (make) =>
      Effect.gen(function* () {
        const limiter = yield* make(slow)
        expect(yield* limiter.withPermits(1)(Effect.succeed("value"))).toBe("value")
        expect(yield* Effect.exit(limiter.withPermits(1)(Effect.fail("no")))).toEqual(Exit.fail("no"))
        const { fiber } = yield* holding(limiter, 1)
        yield* Fiber.interrupt(fiber)
        yield* ends(limiter, 0)
        expect(yield* limiter.available).toBe(2)
      })
  },
  {
    title:
      "withPermits refuses a wait longer than maxWait and more permits than the capacity, without running the effect",
    check: (make) =>
      Effect.gen(function* () {
        const limiter = yield* make(slow)
        const refused = (n: number) => Effect.flip(limiter.withPermits(n)(Effect.die("must not run")))
        yield* limiter.take(4)
        expect((yield* refused(2))._tag).toBe("RateLimitError")
        expect(yield* refused(6)).toMatchObject({ _tag: "InvalidRequestError", code: "limit_too_small" })
        expect([yield* limiter.available, yield* inFlight(limiter)]).toEqual([1, 0])
      })
  },
  {
    title: "withPermits that is interrupted while it waits takes no permit and no call in flight",
    check: (make) =>
      Effect.gen(function* () {
        const limiter = yield* make({ ...slow, maxConcurrency: 1 })
        const { fiber, gate } = yield* holding(limiter, 1)
        const waiting = yield* Effect.fork(limiter.withPermits(2)(Effect.die("must not run")))
        yield* waits(limiter, 1)
        yield* Fiber.interrupt(waiting)
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(fiber)
        yield* ends(limiter, 0)
        expect(yield* limiter.available).toBe(4)
      })
  },
  {
    title: "withPermitsIfAvailable runs the effect if its permits are available, and returns none otherwise",
    check: (make) =>
      Effect.gen(function* () {
        const limiter = yield* make(slow)
        const attempt = (n: number) => limiter.withPermitsIfAvailable(n)(inFlight(limiter))
        expect(yield* attempt(3)).toEqual(Option.some(1))
        yield* ends(limiter, 0)
        for (const n of [3, 6, 0, -1, Number.NaN]) expect(yield* attempt(n)).toEqual(Option.none())
        expect(yield* limiter.available).toBe(2)
        expect(yield* Effect.exit(limiter.withPermitsIfAvailable(1)(Effect.fail("no")))).toEqual(Exit.fail("no"))
        yield* ends(limiter, 0)
        expect(yield* limiter.available).toBe(1)
      })
  },
  {
    title: "withPermitsIfAvailable returns none while the calls in flight are at maxConcurrency, and takes no permit",
    check: (make) =>
      Effect.gen(function* () {
        const limiter = yield* make({ ...slow, maxConcurrency: 1 })
        const { fiber } = yield* holding(limiter, 1)
        expect(yield* limiter.withPermitsIfAvailable(1)(Effect.die("must not run"))).toEqual(Option.none())
        expect(yield* limiter.available).toBe(4)
        yield* Fiber.interrupt(fiber)
        yield* ends(limiter, 0)
        expect(yield* limiter.withPermitsIfAvailable(1)(Effect.succeed("run"))).toEqual(Option.some("run"))
      })
  },
  {
    title: "withPermitsIfAvailable returns none and available is 0 while a call waits",
    check: (make) =>
      Effect.gen(function* () {
        const limiter = yield* make({ ...slow, maxConcurrency: 1 })
        const { fiber } = yield* holding(limiter, 1)
        const waiting = yield* Effect.fork(limiter.withPermits(1)(Effect.void))
        yield* waits(limiter, 1)
        expect(yield* limiter.withPermitsIfAvailable(1)(Effect.die("must not run"))).toEqual(Option.none())
        expect([yield* limiter.available, yield* limiter.tryTake()]).toEqual([0, false])
        yield* Fiber.interrupt(fiber)
        yield* Fiber.join(waiting)
        yield* ends(limiter, 0)
        expect(yield* limiter.available).toBe(3)
      })
  },
  {
    title: "available is the number of permits that tryTake takes now, also with limits per minute and day",
    check: (make) =>
      Effect.gen(function* () {
        for (const [options, permits] of [
          [{ capacity: 4, refillRate: 1e-6 }, 4],
          [{ capacity: 4, refillRate: 1e-6, requestsPerMinute: 3 }, 3],
          [{ capacity: 4, refillRate: 1e-6, requestsPerDay: 2 }, 2]
        ] as const) {
          const limiter = yield* make(options)
          expect(yield* limiter.available).toBe(permits)
          expect(yield* limiter.tryTake(permits)).toBe(true)
          expect([yield* limiter.available, yield* limiter.tryTake()]).toEqual([0, false])
        }
        expect(yield* Effect.flatMap(make({ maxConcurrency: 1 }), ({ available }) => available)).toBe(Infinity)
      })
  }
]
