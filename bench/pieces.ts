/** Measures the parts of a call besides the network: key leases and permits. */
import { Effect } from "effect"
import * as KeyPool from "../src/keyPool/KeyPool.js"
import * as RateLimiter from "../src/rateLimiter/RateLimiter.js"
import type { Contestant } from "./measure.js"

const repeat = (name: string, piece: Effect.Effect<unknown, unknown>): Contestant => ({
  name,
  run: async (times) => {
    await Effect.runPromise(Effect.repeatN(piece, times - 1))
    return times
  }
})

const lease = (keys: number): Contestant => {
  const pool = Effect.runSync(
    KeyPool.make({
      provider: "bench",
      keys: Array.from({ length: keys }, (_, index) => ({ key: `key-${index}`, id: `${index}` }))
    })
  )
  return repeat(
    `${keys.toLocaleString("en")} keys`,
    Effect.flatMap(pool.reserve(), ({ settle }) => settle(KeyPool.Verdict.Served({ latency: 1 })))
  )
}

export const poolLeases: ReadonlyArray<Contestant> = [lease(3), lease(100), lease(10_000)]

const limiter = Effect.runSync(RateLimiter.make({ capacity: 1e9, refillRate: 1e9 }))
const counting = Effect.runSync(RateLimiter.make({ capacity: 1e9, refillRate: 1e9, tokensPerMinute: 1e12 }))

export const limiterTakes: ReadonlyArray<Contestant> = [
  repeat("take", limiter.take()),
  repeat(
    "reserve and settle tokens",
    Effect.flatMap(counting.reserve(100), ({ settle }) => settle(90))
  )
]
