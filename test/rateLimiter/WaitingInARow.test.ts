/** Calls that wait in a row, of which each ends the wait of the next one as soon as it begins. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"

const count = 3_000

/** The order in which calls are served, and how many are served at a time. */
const served = <E>(call: (use: Effect.Effect<void>) => Effect.Effect<void, E>) =>
  Effect.gen(function* () {
    const order: Array<number> = []
    let running = 0
    let most = 0
    yield* Effect.forEach(
      Array.from({ length: count }, (_, index) => index),
      (index) =>
        call(
          Effect.acquireUseRelease(
            Effect.sync(() => {
              order.push(index)
              most = Math.max(most, ++running)
            }),
            // The first one goes on when all others wait.
            () => (index === 0 ? Effect.sleep("50 millis") : Effect.void),
            () => Effect.sync(() => void running--)
          )
        ),
      { concurrency: "unbounded", discard: true }
    )
    return { order, most }
  })

const inOrder = { order: Array.from({ length: count }, (_, index) => index), most: 1 }

describe("thousands of waiting calls that end as soon as they begin", () => {
  it.live("are served by a rate limiter in order and one at a time", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({
        capacity: 1e6,
        refillRate: 1e6,
        maxConcurrency: 1,
        maxQueueLength: count
      })
      expect(yield* served((use) => limiter.withPermits(1)(use))).toEqual(inOrder)
      const status = yield* limiter.status
      expect([status.waiting, status.concurrency?.inFlight]).toEqual([0, 0])
    })
  )

  it.live("are served by a key pool in order and one at a time", () =>
    Effect.gen(function* () {
      const pool = yield* KeyPool.make({
        provider: "acme",
        keys: [{ key: "sk-0", id: "k0", maxConcurrency: 1 }],
        maxQueueLength: count
      })
      expect(yield* served((use) => pool.withKey(() => use))).toEqual(inOrder)
      const status = yield* pool.status
      expect([status.waiting, status.keys[0]?.inFlight]).toEqual([0, 0])
    })
  )
})
