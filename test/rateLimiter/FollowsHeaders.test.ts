/** By default a limiter follows the headers of a provider's answers, below its own limits, and no header can do harm. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, TestClock } from "effect"
import * as FastCheck from "fast-check"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { rateLimits } from "../../src/wire/headers/rateLimits.js"
import { ProviderClient } from "../../src/wire/providerClient.js"
import { excess } from "../support/countingProvider.js"
import { answer } from "../support/scripted.js"

const { Signal } = RateLimiter

const following = (options: RateLimiter.Options = {}) =>
  Effect.map(RateLimiter.make({ capacity: 10, refillRate: 10, ...options }), (limiter) => ({
    ...limiter,
    observe: (limits: RateLimiter.RateLimits, model = "model", share = 1) =>
      limiter.observe?.(Signal.Headers({ limits, share }), model) ?? Effect.void
  }))

const slow = { remainingRequests: 2, resetRequests: Duration.seconds(10) }

describe("a limiter that follows headers by default", () => {
  it.effect("spreads what the provider reports as remaining, and has its own limits again at the reset", () =>
    Effect.gen(function* () {
      const limiter = yield* following()
      yield* limiter.observe(slow)
      expect(yield* limiter.status).toMatchObject({ available: 2, refillRate: 0.5 })
      expect(yield* limiter.status).not.toHaveProperty("pace")
      yield* TestClock.adjust("10 seconds")
      expect(yield* limiter.status).toMatchObject({ available: 10, refillRate: 10 })
    })
  )

  it.effect("has its own limits again after a reset of the limiter", () =>
    Effect.gen(function* () {
      const limiter = yield* following()
      yield* limiter.observe(slow)
      yield* limiter.reset
      expect(yield* limiter.status).toMatchObject({ available: 10, refillRate: 10 })
    })
  )

  it.effect("keeps its limits with adaptive: false", () =>
    Effect.gen(function* () {
      const limiter = yield* following({ adaptive: false })
      yield* limiter.observe(slow)
      expect(yield* limiter.status).toMatchObject({ available: 10, refillRate: 10 })
    })
  )

  it.effect("does not slow down after a refusal, which its pool handles", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 10, refillRate: 10 })
      yield* limiter.observe?.(Signal.Refused({ elapsed: Duration.zero, share: 1 })) ?? Effect.void
      expect(yield* limiter.status).toMatchObject({ available: 10, refillRate: 10 })
    })
  )

  it.effect("ignores the headers of one account of several, and of one model of several", () =>
    Effect.gen(function* () {
      const limiter = yield* following()
      yield* limiter.observe(slow, "model", 0.5)
      expect((yield* limiter.status).available).toBe(10)
      yield* limiter.observe({ remainingRequests: 100 }, "model")
      yield* limiter.observe(slow, "other")
      yield* limiter.observe(slow, "model")
      expect((yield* limiter.status).available).toBe(10)
    })
  )

  it.effect("returns what was withheld when the provider reports more", () =>
    Effect.gen(function* () {
      const limiter = yield* following()
      yield* limiter.observe(slow)
      yield* limiter.take(1)
      yield* limiter.observe({ remainingRequests: 5, resetRequests: Duration.seconds(10) })
      expect((yield* limiter.status).available).toBe(5)
      yield* limiter.observe({ remainingRequests: 500, resetRequests: Duration.seconds(10) })
      expect(yield* limiter.status).toMatchObject({ available: 9, refillRate: 10 })
    })
  )

  it.effect("sends no request that the provider would refuse, where fixed limits alone would", () =>
    Effect.gen(function* () {
      const refusals = (adaptive: boolean) =>
        Effect.gen(function* () {
          let refused = 0
          let window = { start: -Infinity, used: 0 }
          // A provider that allows 20 requests in windows of ten seconds.
          const receive = Effect.clockWith((clock) =>
            Effect.sync(() => {
              const now = clock.unsafeCurrentTimeMillis()
              if (now >= window.start + 10_000) window = { start: now, used: 0 }
              window = { ...window, used: window.used + 1 }
              if (window.used > 20) refused++
              return {
                limitRequests: 20,
                remainingRequests: Math.max(0, 20 - window.used),
                resetRequests: Duration.millis(window.start + 10_000 - now)
              }
            })
          )
          const limits = {
            capacity: 10,
            refillRate: 10,
            maxWait: "10 minutes",
            ...(adaptive ? {} : { adaptive })
          } as const
          const llm = yield* LLM.make({ model: "model", retry: false, timeouts: false }).pipe(
            Effect.provide(
              Layer.mergeAll(
                Layer.succeed(ProviderClient, {
                  provider: "test",
                  wire: "test",
                  chat: (_, call) =>
                    Effect.flatMap(receive, (limits) =>
                      // Not a multiple of the limiter's 100 ms, so that no answer arrives as the next call begins.
                      Effect.as(Effect.delay(call.onRateLimits?.(limits) ?? Effect.void, 150), answer("yes"))
                    ),
                  chatStream: () => {
                    throw new Error("The calls are not streamed.")
                  }
                }),
                KeyPool.layer({ provider: "test", keys: ["one"], maxWait: "10 minutes" }),
                RateLimiter.layer(limits)
              )
            )
          )
          const calls = yield* Effect.replicateEffect(Effect.fork(Effect.exit(llm.chat("?"))), 100)
          yield* TestClock.adjust("10 minutes")
          yield* Fiber.joinAll(calls)
          return refused
        })
      expect(yield* refusals(true)).toBe(0)
      expect(yield* refusals(false)).toBeGreaterThan(0)
    })
  )

  it.effect("absurd headers never stop calls for longer than a minute, and never raise the limit", () => {
    const value = FastCheck.oneof(
      FastCheck.constantFrom(
        "-5",
        "0",
        "99999999999999",
        "1e309",
        "NaN",
        "",
        "1970-01-01T00:00:00Z",
        "2099-01-01T00:00:00Z"
      ),
      FastCheck.integer().map(String),
      FastCheck.nat(100).map((seconds) => `${seconds}s`)
    )
    const headers = FastCheck.record(
      {
        "x-ratelimit-limit-requests": value,
        "x-ratelimit-remaining-requests": value,
        "x-ratelimit-reset-requests": value,
        "x-ratelimit-remaining-tokens": value,
        "x-ratelimit-reset-tokens": value
      },
      { requiredKeys: [] }
    )
    return Effect.forEach(
      FastCheck.sample(FastCheck.array(headers, { minLength: 1, maxLength: 8 }), { numRuns: 60, seed: 5 }),
      (series) =>
        Effect.gen(function* () {
          const limiter = yield* following({ capacity: 3, refillRate: 0.2, tokensPerMinute: 6000, maxWait: "1 hour" })
          const grants: Array<number> = []
          const now = Effect.clockWith((clock) => Effect.sync(() => clock.unsafeCurrentTimeMillis()))
          const call = Effect.flatMap(limiter.reserve(10), ({ settle }) =>
            Effect.zipRight(
              Effect.map(now, (at) => void grants.push(at)),
              settle(10)
            )
          )
          const calls = yield* Effect.fork(Effect.forever(call))
          let last = yield* now
          for (const each of series) {
            const limits = rateLimits(each, yield* now)
            if (limits !== undefined) yield* limiter.observe(limits)
            last = yield* now
            yield* TestClock.adjust("3 seconds")
          }
          const before = grants.length
          // The last header has no effect after a minute; the next permit comes at the limiter's own rate.
          yield* TestClock.adjust("66 seconds")
          expect(grants.length).toBeGreaterThan(before)
          expect(grants.some((at) => at >= last && at <= last + 66_000)).toBe(true)
          const sent = grants.map((at) => ({ at, keyId: "", model: "", inFlight: 1, isServed: true }))
          expect(excess(sent, 3, 0.2)).toBeLessThanOrEqual(1e-6)
          expect((yield* limiter.status).refillRate).toBe(0.2)
          yield* Fiber.interrupt(calls)
        }),
      { discard: true }
    )
  })
})
