/** The tokens of a call are estimated before it is sent. The provider counts what it is sent; the limiter only knows estimates. */
import { describe, expect, it } from "@effect/vitest"
import type { Clock } from "effect"
import { Effect, Fiber, Metric, TestClock } from "effect"
import * as FastCheck from "fast-check"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import { now } from "../../src/internal/clock.js"
import * as RandomDraw from "../../src/internal/random.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as TokenEstimates from "../../src/rateLimiter/tokenEstimates.js"
import * as Telemetry from "../../src/telemetry/Telemetry.js"
import { countingProvider, llmOf } from "../support/countingProvider.js"

const statusWith = (tokensPerMinute: number) =>
  Effect.flatMap(RateLimiter.make({ tokensPerMinute }), ({ status }) => status)

const estimates = (tokensPerMinute = 1_000_000) =>
  Effect.map(statusWith(tokensPerMinute), (status) => {
    const made = TokenEstimates.make(status)
    if (made === undefined) throw new Error("The limiter counts tokens.")
    return made
  })

/** A reservation in flight, and the tokens that it was settled with. */
interface Reserved {
  readonly from: number
  readonly until: number
  readonly reserved: number
  readonly actual: number
}

/** Calls of one model with these outputs, each begun at its time, through a limiter of `tokensPerMinute`. */
const run = (calls: ReadonlyArray<{ readonly at: number; readonly tokens: number; readonly millis: number }>) =>
  Effect.gen(function* () {
    const tokensPerMinute = 10_000
    const inner = yield* RateLimiter.make({ capacity: 1e6, refillRate: 1e6, tokensPerMinute, maxWait: "1 day" })
    const reservations: Array<Reserved> = []
    const recorded = <A extends RateLimiter.Reservation>(clock: Clock.Clock, reserved: number, reservation: A): A => {
      const entry = { from: now(clock), until: Infinity, reserved, actual: reserved }
      reservations.push(entry)
      const settle = (actual: number) =>
        Effect.suspend(() => {
          entry.actual = actual
          entry.until = now(clock)
          return reservation.settle(actual)
        })
      return { ...reservation, settle }
    }
    const limiter: RateLimiter.Service = {
      ...inner,
      reserve: (tokens, options) =>
        Effect.zipWith(inner.reserve(tokens, options), Effect.clock, (reservation, clock) =>
          recorded(clock, tokens, reservation)
        ),
      unsafeTryReserve: (clock, tokens, options) => {
        const reservation = inner.unsafeTryReserve?.(clock, tokens, options)
        return reservation && recorded(clock, tokens, reservation)
      }
    }
    const { client, sent } = countingProvider((index) => calls[index] ?? { millis: 10 })
    const pool = yield* KeyPool.make({ provider: "test", keys: ["one"] })
    const llm = yield* llmOf(client, pool, limiter)
    const fibers = yield* Effect.forEach(calls, ({ at }) => Effect.fork(Effect.delay(llm.chat("?"), at)))
    yield* TestClock.adjust("1 day")
    yield* Fiber.joinAll(fibers)
    return { sent, reservations, tokensPerMinute }
  })

/**
 * By how much the tokens sent in any window exceed the limit, less the errors of the calls that are in flight at its begin, which can
 * return what they reserved too much, or at its end, which can use more than they reserved.
 */
const excess = (
  calls: ReadonlyArray<{ readonly tokens: number }>,
  { reservations, sent, tokensPerMinute }: Effect.Effect.Success<ReturnType<typeof run>>
): number => {
  const errorAt = (time: number, sign: 1 | -1) =>
    reservations
      .filter(({ from, until }) => from <= time && time <= until)
      .reduce((sum, { actual, reserved }) => sum + Math.max(0, sign * (actual - reserved)), 0)
  let most = -Infinity
  for (const [first, { at: start }] of sent.entries()) {
    let tokens = 0
    for (const [offset, { at: end }] of sent.slice(first).entries()) {
      tokens += calls[first + offset]?.tokens ?? 0
      const allowed = tokensPerMinute * (1 + (end - start) / 60_000)
      most = Math.max(most, tokens - allowed - errorAt(start, -1) - errorAt(end, 1))
    }
  }
  return most
}

describe("the estimate of a call's tokens", () => {
  it.effect("lets no more calls of 4,010 tokens through at once than 10,000 tokens a minute hold", () =>
    Effect.gen(function* () {
      const calls = Array.from({ length: 20 }, () => ({ at: 0, tokens: 4010, millis: 1000 }))
      const { sent } = yield* run(calls)
      expect(sent.filter(({ at }) => at < 1000).length).toBe(2)
      expect(sent.filter(({ at }) => at < 60_000).length).toBeLessThanOrEqual(20_000 / 4010)
      expect(sent.length).toBe(20)
    })
  )

  it.effect("never lets a window exceed the limit by more than the errors of the calls in flight", () => {
    const call = FastCheck.record({
      at: FastCheck.nat(120_000),
      tokens: FastCheck.oneof(FastCheck.integer({ min: 10, max: 600 }), FastCheck.integer({ min: 10, max: 9000 })),
      millis: FastCheck.integer({ min: 1, max: 20_000 })
    })
    const runs = FastCheck.sample(FastCheck.array(call, { minLength: 5, maxLength: 60 }), { numRuns: 15, seed: 3 })
    return Effect.forEach(
      runs,
      (calls) =>
        Effect.map(run(calls), (result) => {
          expect(excess(calls, result)).toBeLessThanOrEqual(1e-6)
        }),
      { discard: true }
    )
  })

  it.effect("is learned for each model from the outputs that were seen, and forgets old ones", () =>
    Effect.gen(function* () {
      const { of, record } = yield* estimates()
      expect(of("model", 10, undefined)).toBe(10 + 4096)
      for (let call = 0; call < 20; call++) record("model", 100)
      expect(of("model", 10, undefined)).toBe(110)
      expect(of("other", 10, undefined)).toBe(10 + 4096)
      for (let call = 0; call < 100; call++) record("model", call * 10)
      expect(of("model", 0, undefined)).toBeGreaterThan(850)
      expect(of("model", 0, undefined)).toBeLessThan(1000)
      for (let call = 0; call < 500; call++) record("model", 50)
      expect(of("model", 0, undefined)).toBe(50)
    })
  )

  it.effect("stays careful while a model has few answers", () =>
    Effect.gen(function* () {
      const { of, record } = yield* estimates()
      record("model", 1)
      expect(of("model", 0, undefined)).toBeGreaterThan(3800)
      for (let call = 0; call < 9; call++) record("model", 1)
      expect(of("model", 0, undefined)).toBe(2048)
    })
  )

  it.effect("is bounded by the request's maxTokens, and by a limit that holds the input", () =>
    Effect.gen(function* () {
      const { of, record } = yield* estimates(1000)
      expect(of("model", 10, 50)).toBe(60)
      expect(of("model", 10, undefined)).toBe(1000)
      expect(of("model", 2000, 50)).toBe(2000)
      for (let call = 0; call < 30; call++) record("model", 300)
      expect([of("model", 10, 50), of("model", 10, 400)]).toEqual([60, 310])
    })
  )

  it.effect("does not grow with the number of models that requests name", () =>
    Effect.gen(function* () {
      const { of, record } = yield* estimates()
      for (let call = 0; call < 20; call++) record("first", 7)
      for (let model = 0; model < 1000; model++) record(`model-${model}`, 7)
      expect(of("first", 0, undefined)).toBe(4096)
      expect(of("model-999", 0, undefined)).toBeLessThan(4096)
    })
  )

  it.effect("reports the distribution of its error as a metric", () =>
    Effect.gen(function* () {
      const labelled = Telemetry.metrics.estimateError.pipe(
        Metric.tagged("provider", "test"),
        Metric.tagged("model", "model")
      )
      const errors = Effect.map(Metric.value(labelled), ({ buckets }) => new Map(buckets))
      const before = yield* errors
      let draw = RandomDraw.next(7)
      // Most outputs are short and few are long.
      const calls = Array.from({ length: 400 }, (_, index) => {
        draw = RandomDraw.next(draw)
        const tokens = Math.round(100 / Math.sqrt(1 - RandomDraw.uniform(draw)))
        return { at: index * 60_000, tokens: Math.min(tokens, 5000), millis: 100 }
      })
      yield* run(calls)
      const after = yield* errors
      const within = (bound: number) => (after.get(bound) ?? 0) - (before.get(bound) ?? 0)
      expect(within(Infinity)).toBe(400)
      // About 95 of 100 answers use no more than was reserved, and few of the others much more.
      expect(within(0) / 400).toBeGreaterThan(0.9)
      expect(within(0) / 400).toBeLessThan(1)
      expect(within(1000) / 400).toBeGreaterThan(0.98)
    })
  )
})
