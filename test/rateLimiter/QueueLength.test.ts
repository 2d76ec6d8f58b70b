import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, TestClock } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { countingProvider, llmOf } from "../support/countingProvider.js"

const failures = (exits: ReadonlyArray<Exit.Exit<unknown, unknown>>) => exits.filter(Exit.isFailure).length

describe("the length of a queue", () => {
  it.effect("a limiter refuses the call after 10,000 waiting ones at once, and says that the queue is full", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1, maxWait: "1 day" })
      yield* limiter.take()
      const waiting = yield* Effect.replicateEffect(Effect.fork(limiter.take()), 10_000)
      yield* TestClock.adjust(0)
      expect((yield* limiter.status).waiting).toBe(10_000)
      const error = yield* Effect.flip(limiter.reserve(0))
      expect(error).toMatchObject({ _tag: "RateLimitError", source: "limiter" })
      expect(error.message).toContain("is full: 10000 calls wait already")
      yield* Fiber.interruptAll(waiting)
      expect((yield* limiter.status).waiting).toBe(0)
    })
  )

  it.effect(
    "a limiter lets the next call wait again when one has left its queue, and keeps the place of one that waits again",
    () =>
      Effect.gen(function* () {
        const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1, maxQueueLength: 2 })
        yield* limiter.take()
        const first = yield* Effect.fork(limiter.take())
        const second = yield* Effect.fork(limiter.take())
        yield* TestClock.adjust(0)
        expect(yield* Effect.flip(limiter.take())).toMatchObject({ source: "limiter" })
        const again = yield* Effect.fork(limiter.take(1, { arrivedAgo: 1 }))
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.join(again)
        yield* Fiber.interrupt(first)
        const third = yield* Effect.fork(limiter.take())
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.joinAll([second, third])
      })
  )

  it.effect("a pool refuses the call after its maxQueueLength waiting ones, and serves those in their order", () =>
    Effect.gen(function* () {
      const pool = yield* KeyPool.make({
        provider: "test",
        keys: [{ key: "one", maxConcurrency: 1 }],
        maxQueueLength: 3
      })
      const { client, sent } = countingProvider(() => ({ millis: 100 }))
      const limiter = yield* RateLimiter.make({ capacity: 100, refillRate: 100 })
      const llm = yield* llmOf(client, pool, limiter)
      const calls = yield* Effect.replicateEffect(Effect.fork(llm.chat("?")), 6)
      yield* TestClock.adjust("1 seconds")
      const exits = yield* Effect.forEach(calls, Fiber.await)
      expect([failures(exits), failures(exits.slice(0, 4)), sent.length]).toEqual([2, 0, 4])
      const error = yield* Effect.flip(Effect.flatten(Fiber.await(calls[5] ?? Fiber.never)))
      expect(error).toMatchObject({ _tag: "RateLimitError", source: "pool" })
      expect((yield* limiter.status).available).toBe(100)
    })
  )

  it.effect("make rejects a length that is not a whole number of at least 1", () =>
    Effect.gen(function* () {
      const limit = yield* Effect.flip(RateLimiter.make({ maxQueueLength: 0 }))
      const pool = yield* Effect.flip(KeyPool.make({ provider: "test", keys: ["one"], maxQueueLength: 1.5 }))
      for (const { faults } of [limit, pool]) expect(faults).toEqual([expect.stringMatching(/^maxQueueLength: /)])
    })
  )
})
