/** Clients that wait for the same limit. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Schedule, TestClock } from "effect"
import * as FastCheck from "fast-check"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { makeClock } from "../support/interleaving.js"
import { refusal } from "../support/refusal.js"

/** 5 calls of 500 tokens a second. */
const limits = { capacity: 100, refillRate: 100, tokensPerMinute: 150_000, maxWait: "20 seconds" } as const

interface Load {
  readonly client: RateLimiter.Client
  readonly perSecond: number
  readonly tokens: number
}

/** The waits of the served calls of each load during a minute in milliseconds, and its refusals. The limiter is empty at first. */
const serve = (loads: ReadonlyArray<Load>) => {
  const { clock, pass } = makeClock()
  return Effect.gen(function* () {
    const limiter = yield* RateLimiter.make(limits)
    yield* limiter.reserve(limits.tokensPerMinute)
    const results = yield* Effect.forEach(loads, ({ client, perSecond, tokens }) =>
      Effect.gen(function* () {
        const waits: Array<number> = []
        let refused = 0
        const call = Effect.gen(function* () {
          const start = clock.unsafeCurrentTimeMillis()
          const result = yield* Effect.either(limiter.reserve(tokens))
          if (result._tag === "Left") refused++
          else waits.push(clock.unsafeCurrentTimeMillis() - start)
        }).pipe(RateLimiter.withClient(client))
        yield* Effect.fork(
          Effect.forever(Effect.zipRight(Effect.fork(call), Effect.sleep(Duration.millis(1000 / perSecond))))
        )
        return { waits, refusals: () => refused }
      })
    )
    yield* pass(60_000)
    return results.map(({ refusals, waits }) => ({ waits, served: waits.length, refused: refusals() }))
  }).pipe(Effect.withClock(clock))
}

const p99 = (waits: ReadonlyArray<number>): number =>
  waits.toSorted((self, that) => self - that)[Math.ceil(waits.length * 0.99) - 1] ?? Number.NaN

const small = { perSecond: 0.2, tokens: 500 }
const bursting = { perSecond: 20, tokens: 500 }

describe("clients that wait for the same limit", () => {
  it.effect("a client waits for its own calls alone, while another sends 100 times as many", () =>
    Effect.gen(function* () {
      const [together] = yield* serve([
        { ...small, client: { id: "" } },
        { ...bursting, client: { id: "" } }
      ])
      const [own, others] = yield* serve([
        { ...small, client: { id: "small" } },
        { ...bursting, client: { id: "bursting" } }
      ])
      expect(p99(together?.waits ?? [])).toBeGreaterThan(15_000)
      expect(p99(own?.waits ?? [])).toBeLessThan(500)
      expect(own?.refused).toBe(0)
      // What the small client leaves is there for the other one.
      expect((own?.served ?? 0) + (others?.served ?? 0)).toBeGreaterThanOrEqual(60 * 5 - 1)
    })
  )

  it.effect("clients that wait all the time are served tokens in proportion to their weights", () =>
    Effect.gen(function* () {
      const [one, three] = yield* serve([
        { perSecond: 10, tokens: 1000, client: { id: "one" } },
        { perSecond: 20, tokens: 500, client: { id: "three", weight: 3 } }
      ])
      const share = ((three?.served ?? 0) * 500) / ((one?.served ?? 0) * 1000)
      expect(share).toBeGreaterThan(2.8)
      expect(share).toBeLessThan(3.2)
    })
  )

  it.effect("interactive calls of every client go before batch calls", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1 })
      yield* limiter.take()
      const served: Array<string> = []
      const call = (client: string, priority: RateLimiter.Priority) =>
        Effect.fork(
          Effect.zipRight(
            limiter.take(),
            Effect.sync(() => served.push(`${client} ${priority}`))
          ).pipe(RateLimiter.withClient({ id: client }), RateLimiter.withPriority(priority))
        )
      yield* call("a", "batch")
      yield* call("b", "batch")
      yield* call("a", "batch")
      yield* call("a", "interactive")
      yield* call("a", "interactive")
      yield* call("b", "interactive")
      yield* TestClock.adjust("6 seconds")
      expect(served).toEqual(["a interactive", "b interactive", "a interactive", "a batch", "b batch", "a batch"])
    })
  )

  it.effect(
    "the wait of a refusal is that of the client's place, and calls that others push beyond their maxWait fail at once",
    () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1, maxWait: "10 seconds" })
        yield* limiter.take()
        const as = (id: string) => RateLimiter.withClient({ id })
        const waiting = yield* Effect.replicateEffect(Effect.fork(as("a")(Effect.exit(limiter.take()))), 10)
        yield* TestClock.adjust(0)
        expect((yield* as("a")(refusal(limiter.take()))).retryAfter).toEqual(Duration.seconds(11))
        expect((yield* as("b")(refusal(limiter.take(1, { maxWait: 0 })))).retryAfter).toEqual(Duration.seconds(2))
        const other = yield* Effect.fork(as("b")(limiter.take()))
        yield* TestClock.adjust(0)
        expect((yield* limiter.status).waiting).toBe(10)
        const polled = yield* Effect.forEach(waiting, Fiber.poll)
        expect(polled.map(({ _tag }) => _tag)).toEqual([...Array.from({ length: 9 }, () => "None"), "Some"])
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(other)
        yield* TestClock.adjust("8 seconds")
        expect((yield* limiter.status).waiting).toBe(0)
      })
  )

  it.effect("a place among calls that wait for a recurrence that is not known yet moves back without a failure", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refill: Schedule.fixed("1 minute"), maxWait: "1 hour" })
      yield* limiter.take()
      const as = (id: string) => RateLimiter.withClient({ id })
      const first = yield* Effect.fork(as("a")(limiter.take()))
      const second = yield* Effect.fork(as("a")(limiter.take()))
      yield* TestClock.adjust(0)
      const passing = yield* Effect.fork(as("b")(limiter.take()))
      yield* TestClock.adjust("3 minutes")
      yield* Fiber.joinAll([first, second, passing])
    })
  )

  it.effect.prop(
    "under random arrivals and departures the rate holds, each client keeps its order, and no wait exceeds its maxWait",
    {
      calls: FastCheck.uniqueArray(
        FastCheck.record({
          at: FastCheck.integer({ min: 0, max: 8000 }),
          client: FastCheck.constantFrom("a", "b", "c"),
          priority: FastCheck.constantFrom<RateLimiter.Priority>("interactive", "interactive", "batch"),
          permits: FastCheck.integer({ min: 1, max: 4 }),
          maxWait: FastCheck.integer({ min: 0, max: 30_000 }),
          givesUpAfter: FastCheck.option(FastCheck.integer({ min: 0, max: 5000 }), { nil: undefined })
        }),
        { minLength: 1, maxLength: 24, selector: ({ at }) => at }
      )
    },
    ({ calls }) => {
      const { clock, pass } = makeClock()
      return Effect.gen(function* () {
        const limiter = yield* RateLimiter.make({
          capacity: 4,
          refillRate: 2,
          requestsPerMinute: 80,
          maxWait: "1 hour"
        })
        const grants: Array<{ readonly at: number; readonly index: number; readonly permits: number }> = []
        const waits: Array<{ readonly waited: number; readonly maxWait: number }> = []
        const arrivals = calls.toSorted((self, that) => self.at - that.at)
        const fibers = yield* Effect.forEach(
          arrivals,
          ({ at, client, givesUpAfter, maxWait, permits, priority }, index) =>
            Effect.gen(function* () {
              const call = Effect.gen(function* () {
                const start = clock.unsafeCurrentTimeMillis()
                const exit = yield* Effect.exit(limiter.take(permits, { maxWait }))
                const now = clock.unsafeCurrentTimeMillis()
                waits.push({ waited: now - start, maxWait })
                if (Exit.isSuccess(exit)) grants.push({ at: now, index, permits })
              }).pipe(RateLimiter.withPriority(priority), RateLimiter.withClient({ id: client }))
              const fiber = yield* Effect.fork(Effect.delay(call, at))
              if (givesUpAfter !== undefined) {
                yield* Effect.fork(Effect.delay(Fiber.interrupt(fiber), at + givesUpAfter))
              }
              return fiber
            })
        )
        yield* pass(60_000)
        yield* Effect.forEach(fibers, Fiber.await)
        for (const { maxWait, waited } of waits) expect(waited).toBeLessThanOrEqual(maxWait + 2)
        for (const [from, first] of grants.entries()) {
          let granted = 0
          for (const { at, permits } of grants.slice(from)) {
            granted += permits
            expect(granted).toBeLessThanOrEqual(4 + (at - first.at) / 500 + 1e-6)
          }
        }
        for (const client of ["a", "b", "c"]) {
          for (const priority of ["interactive", "batch"]) {
            const order = grants
              .map(({ index }) => index)
              .filter((index) => arrivals[index]?.client === client && arrivals[index]?.priority === priority)
            expect(order).toEqual(order.toSorted((self, that) => self - that))
          }
        }
        expect(yield* limiter.status).toMatchObject({ available: 4, waiting: 0 })
      }).pipe(Effect.withClock(clock))
    },
    { fastCheck: { numRuns: 50 } }
  )
})
