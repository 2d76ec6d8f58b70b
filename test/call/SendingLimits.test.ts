/**
 * The limits of a limiter hold for the requests that a provider receives. The provider counts what it was sent; what a limiter
 * reports as granted plays no part.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { Reply, Sent } from "../support/countingProvider.js"
import { countingProvider, excess, llmOf, mostWithin } from "../support/countingProvider.js"
import { makeClock } from "../support/interleaving.js"

/** Sums of fractions are inexact. */
const rounding = 1e-6

/** Sends one call, and 24 more 200 ms later, all with one key. Returns what the provider was sent. */
const crowd = (
  limits: RateLimiter.Options,
  key: Partial<{ readonly maxConcurrency: number }>,
  reply: (index: number) => Reply
): Effect.Effect<ReadonlyArray<Sent>, unknown> =>
  Effect.gen(function* () {
    const { client, sent } = countingProvider(reply)
    const limiter = yield* RateLimiter.make({ maxWait: "10 minutes", ...limits })
    const pool = yield* KeyPool.make({ provider: "test", keys: [{ key: "one", ...key }], maxWait: "10 minutes" })
    const llm = yield* llmOf(client, pool, limiter)
    const call = Effect.fork(Effect.exit(llm.chat("?")))
    const first = yield* call
    yield* TestClock.adjust("200 millis")
    const calls = [first, ...(yield* Effect.replicateEffect(call, 24))]
    yield* TestClock.adjust("10 minutes")
    yield* Fiber.joinAll(calls)
    const status = yield* llm.status
    expect(status.keys.keys.map(({ inFlight }) => inFlight)).toEqual([0])
    expect([status.keys.waiting, status.limiter.waiting]).toEqual([0, 0])
    expect(sent.length).toBe(25)
    return sent
  })

describe("the requests sent stay within the limits", () => {
  it.effect("while calls wait for the end of a key's cooldown", () =>
    Effect.gen(function* () {
      const sent = yield* crowd({ capacity: 2, refillRate: 2 }, {}, (index) =>
        index === 0 ? { millis: 100, retryAfter: "8 seconds" } : { millis: 100 }
      )
      expect(excess(sent, 2, 2)).toBeLessThanOrEqual(rounding)
    })
  )

  it.effect("while calls wait for a key at its maxConcurrency", () =>
    Effect.gen(function* () {
      const sent = yield* crowd({ capacity: 2, refillRate: 2 }, { maxConcurrency: 2 }, (index) => ({
        millis: index < 2 ? 4_200 : 10
      }))
      expect(excess(sent, 2, 2)).toBeLessThanOrEqual(rounding)
    })
  )

  it.effect("with a limit per minute, while calls wait for the end of a key's cooldown", () =>
    Effect.gen(function* () {
      const sent = yield* crowd({ requestsPerMinute: 10 }, {}, (index) =>
        index === 0 ? { millis: 100, retryAfter: "50 seconds" } : { millis: 100 }
      )
      expect(mostWithin(sent, 60_000)).toBeLessThanOrEqual(10)
    })
  )

  it.effect("with an adaptive limiter, while calls wait for the end of a key's cooldown", () =>
    Effect.gen(function* () {
      const sent = yield* crowd({ capacity: 2, refillRate: 2, adaptive: true }, {}, (index) =>
        index === 0 ? { millis: 100, retryAfter: "8 seconds" } : { millis: 100 }
      )
      expect(excess(sent, 2, 2)).toBeLessThanOrEqual(rounding)
    })
  )
})

describe("a crowd that waits for permits and keys which are about equally scarce", () => {
  it.effect("does not move between the queues with every request", () => {
    const { clock, pass } = makeClock()
    return Effect.withClock(
      Effect.gen(function* () {
        const { client, sent } = countingProvider((index) => ({ millis: (index * 7) % 13 }))
        const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 300, maxWait: "10 minutes" })
        let waits = 0
        const counted: RateLimiter.Service = {
          ...limiter,
          reserve: (tokens, options) => {
            waits++
            return limiter.reserve(tokens, options)
          }
        }
        const keys = [{ key: "one", maxConcurrency: 2 }]
        const pool = yield* KeyPool.make({ provider: "test", keys, maxWait: "10 minutes" })
        const llm = yield* llmOf(client, pool, counted)
        const calls = yield* Effect.replicateEffect(Effect.fork(llm.chat("?")), 200)
        yield* pass(60_000)
        yield* Fiber.joinAll(calls)
        expect(sent.length).toBe(200)
        expect(waits).toBeLessThan(3 * 200)
      }),
      clock
    )
  })
})
