/** Measures the parts of a call besides the network: key leases and permits. */
import { Effect } from "effect"
import * as KeyPool from "../src/keyPool/KeyPool.js"
import * as RateLimiter from "../src/rateLimiter/RateLimiter.js"
import type { Contestant } from "./measure.js"
import { compare } from "./measure.js"
import type { Group } from "./report.js"
import { compared } from "./report.js"

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

export const poolLeases = async (): Promise<Group> => {
  const few = lease(3)
  const many = lease(10_000)
  return {
    title: "Lease and release of a key",
    ...compared(await compare([few, lease(100), many], { rounds: 5, times: 20_000 })),
    baselines: [few.name],
    aims: [few, many].map(({ name }) => ({ row: name, unit: "CPU µs", limit: 3 }))
  }
}

export const permits = async (): Promise<Group> => {
  const limiter = Effect.runSync(RateLimiter.make({ capacity: 1e9, refillRate: 1e9 }))
  const counting = Effect.runSync(RateLimiter.make({ capacity: 1e9, refillRate: 1e9, tokensPerMinute: 1e12 }))
  const contestants = [
    repeat("take", limiter.take()),
    repeat(
      "reserve and settle tokens",
      Effect.flatMap(counting.reserve(100), ({ settle }) => settle(90))
    )
  ]
  return {
    title: "A permit",
    ...compared(await compare(contestants, { rounds: 5, times: 20_000 })),
    aims: [{ row: "take", unit: "CPU µs", limit: 1.5 }]
  }
}
