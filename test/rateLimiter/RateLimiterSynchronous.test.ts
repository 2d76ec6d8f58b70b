import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Schedule, TestClock } from "effect"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"

const made = (limiter: RateLimiter.Service) =>
  Effect.map(Effect.clock, (clock) => ({
    limiter,
    tryReserve: (tokens = 0, options?: RateLimiter.TryReserveOptions) =>
      limiter.unsafeTryReserve?.(clock, tokens, options),
    settle: (reservation: RateLimiter.UnsafeReservation | undefined, tokens: number) =>
      reservation?.unsafeSettle(clock, tokens),
    giveBack: (reservation: RateLimiter.UnsafeReservation | undefined) => reservation?.unsafeGiveBack(clock),
    observe: (signal: RateLimiter.Signal) => limiter.unsafeObserve?.(clock, signal)
  }))

const make = (options: RateLimiter.Options) => Effect.flatMap(RateLimiter.make(options), made)

const everyLimit = {
  capacity: 3,
  refillRate: 1,
  requestsPerMinute: 10,
  requestsPerDay: 20,
  tokensPerMinute: 600,
  maxConcurrency: 2
}

const levels = (limiter: RateLimiter.Service) =>
  Effect.map(limiter.status, ({ available, concurrency, day, minute, tokens }) => ({
    available,
    minute: minute?.available,
    day: day?.available,
    tokens: tokens?.available,
    reserved: tokens?.reserved,
    inFlight: concurrency?.inFlight
  }))

describe("the synchronous members of a limiter", () => {
  it.effect("unsafeTryReserve takes a request, tokens and a slot, or nothing when one of them is missing", () =>
    Effect.gen(function* () {
      const { limiter, settle, tryReserve } = yield* make(everyLimit)
      const first = tryReserve(500)
      const after = { available: 2, minute: 9, day: 19, tokens: 100, reserved: 500, inFlight: 1 }
      expect(yield* levels(limiter)).toEqual(after)
      expect(tryReserve(101)).toBeUndefined()
      expect(yield* levels(limiter)).toEqual(after)
      const second = tryReserve(100)
      expect(tryReserve(0)).toBeUndefined()
      settle(first, 200)
      settle(second, Number.NaN)
      expect(yield* levels(limiter)).toMatchObject({ available: 1, tokens: 300, reserved: 0, inFlight: 0 })
      expect(tryReserve(601)).toBeUndefined()
    })
  )

  it.effect("a reservation that is given back has taken nothing from any limit", () =>
    Effect.gen(function* () {
      const { giveBack, limiter, settle, tryReserve } = yield* make(everyLimit)
      const full = yield* levels(limiter)
      const [first, second] = [tryReserve(100), tryReserve(100)]
      giveBack(first)
      giveBack(first)
      settle(first, 50)
      expect(yield* levels(limiter)).toMatchObject({ available: 2, minute: 9, day: 19, tokens: 500, inFlight: 1 })
      giveBack(second)
      expect(yield* levels(limiter)).toEqual(full)
      const late = yield* limiter.reserve(100)
      yield* TestClock.adjust("2 minutes")
      yield* late.giveBack ?? Effect.void
      yield* late.settle(100)
      expect(yield* levels(limiter)).toEqual(full)
    })
  )

  it.effect("what is given back or settled wakes the first caller that waits", () =>
    Effect.gen(function* () {
      const { giveBack, limiter, settle, tryReserve } = yield* make({
        capacity: 1,
        refillRate: 0.001,
        maxWait: "1 hour"
      })
      const taken = tryReserve()
      const first = yield* Effect.fork(limiter.reserve(0))
      yield* TestClock.adjust(0)
      giveBack(taken)
      yield* Fiber.join(first)
      const concurrent = yield* make({ maxConcurrency: 1 })
      const held = concurrent.tryReserve()
      const second = yield* Effect.fork(concurrent.limiter.reserve(0))
      yield* TestClock.adjust(0)
      settle(held, 0)
      yield* Fiber.join(second)
    })
  )

  it.effect("unsafeTryReserve passes no caller that is served before, and passes those that arrived later", () =>
    Effect.gen(function* () {
      const { limiter, tryReserve } = yield* make({ capacity: 3, refillRate: 1, maxWait: "1 hour" })
      yield* TestClock.adjust("10 seconds")
      yield* limiter.take(2)
      const waiting = yield* Effect.fork(limiter.take(3))
      yield* TestClock.adjust(0)
      expect(tryReserve()).toBeUndefined()
      expect(tryReserve(0, { arrivedAgo: 5000, priority: "batch" })).toBeUndefined()
      expect(tryReserve(0, { arrivedAgo: 5000 })).toBeDefined()
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(waiting)
    })
  )

  it.effect("a caller that arrived earlier ends the wait of a later one that becomes too long", () =>
    Effect.gen(function* () {
      const { limiter, tryReserve } = yield* make({ capacity: 2, refillRate: 1 })
      yield* TestClock.adjust("10 seconds")
      yield* limiter.take(1)
      const waiting = yield* Effect.fork(Effect.flip(limiter.take(2, { maxWait: "1 second" })))
      yield* TestClock.adjust(0)
      expect(tryReserve(0, { arrivedAgo: 1000 })).toBeDefined()
      expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "RateLimitError", source: "limiter" })
    })
  )

  it.effect("with a schedule it grants until the next recurrence, and leaves an unknown one to reserve", () =>
    Effect.gen(function* () {
      const { giveBack, limiter, tryReserve } = yield* make({ capacity: 1, refill: Schedule.fixed("1 second") })
      const taken = tryReserve()
      expect(tryReserve()).toBeUndefined()
      yield* TestClock.adjust("1 minute")
      giveBack(taken)
      expect(tryReserve()).toBeUndefined()
      yield* limiter.reserve(0)
      expect(yield* limiter.available).toBe(0)
    })
  )

  it.effect("unsafeObserve changes the pace as observe does, and is absent where the limiter does not adapt", () =>
    Effect.gen(function* () {
      const refused = RateLimiter.Signal.Refused({ elapsed: Duration.millis(5), share: 1 })
      const one = yield* make({ capacity: 4, refillRate: 2, adaptive: true })
      const other = yield* RateLimiter.make({ capacity: 4, refillRate: 2, adaptive: true })
      one.observe(refused)
      yield* other.observe?.(refused) ?? Effect.void
      expect(yield* one.limiter.status).toMatchObject({ pace: 0.5, refillRate: 1, available: 2 })
      expect(yield* one.limiter.status).toEqual(yield* other.status)
      expect((yield* make({ capacity: 1, adaptive: false })).limiter.unsafeObserve).toBeUndefined()
    })
  )

  it.effect("with limits per model it takes from the limiter of the model", () =>
    Effect.gen(function* () {
      const limits = { models: { big: { capacity: 1, refillRate: 0.001, adaptive: true } } }
      const { limiter, tryReserve } = yield* Effect.flatMap(RateLimiter.makePerModel(limits), made)
      expect(tryReserve(0, { model: "big" })).toBeDefined()
      expect(tryReserve(0, { model: "big" })).toBeUndefined()
      expect(tryReserve(0, { model: "small" })).toBeDefined()
      expect(limiter.unsafeObserve).toBeDefined()
    })
  )
})

describe("a caller that waits for a limiter again", () => {
  it.effect("is served before callers that arrived later, and waits no longer than maxWait over all its waits", () =>
    Effect.gen(function* () {
      const { limiter } = yield* make({ capacity: 1, refillRate: 0.5, maxWait: "10 seconds" })
      yield* TestClock.adjust("1 minute")
      yield* limiter.take()
      const order: Array<string> = []
      const call = (name: string, options: RateLimiter.WaitOptions) =>
        Effect.map(limiter.reserve(0, options), () => void order.push(name))
      const calls = [
        yield* Effect.fork(call("new", {})),
        yield* Effect.fork(call("older", { arrivedAgo: "5 seconds", waited: "4 seconds" }))
      ]
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.joinAll(calls)
      expect(order).toEqual(["older", "new"])
      const error = yield* Effect.flip(limiter.reserve(0, { waited: 9000 }))
      expect(error).toMatchObject({ _tag: "RateLimitError", source: "limiter", retryAfter: Duration.seconds(2) })
    })
  )
})
