/**
 * Measures the parts of a call besides the network: key leases and permits. Calls use the synchronous members of a pool and of a
 * limiter where they can, and Effects where they wait.
 */
import { Clock, Effect } from "effect"
import * as KeyPool from "../src/keyPool/KeyPool.js"
import * as RateLimiter from "../src/rateLimiter/RateLimiter.js"
import type { Contestant } from "./measure.js"
import { compare } from "./measure.js"
import type { Aim, Group } from "./report.js"
import { compared } from "./report.js"

/** A loop that takes a tenth of a microsecond a round; `Effect.repeatN` takes half of one. */
const asEffect = (name: string, piece: Effect.Effect<unknown, unknown>): Contestant => ({
  name: `${name}, as Effects`,
  run: async (times) => {
    let done = 0
    await Effect.runPromise(Effect.whileLoop({ while: () => done < times, body: () => piece, step: () => void done++ }))
    return times
  }
})

const clock = Clock.make()

const atOnce = (name: string, piece: () => unknown): Contestant => ({
  name,
  run: async (times) => {
    for (let time = 0; time < times; time++) {
      if (piece() === undefined) throw new Error("nothing was granted")
    }
    return times
  }
})

/** Microseconds of CPU, scaled. */
const aimsOf = (contestants: ReadonlyArray<Contestant>, limit: number): ReadonlyArray<Aim> =>
  contestants.map(({ name }) => ({ row: name, unit: "CPU µs", limit }))

/** So many that the optimised code and the garbage of a long run are measured, not those of its first milliseconds. */
const sampling = { rounds: 5, times: 200_000 }

const verdict = KeyPool.Verdict.Served({ latency: 1 })

const leases = (keys: number): { readonly atOnce: Contestant; readonly asEffect: Contestant } => {
  const pool = Effect.runSync(
    KeyPool.make({
      provider: "bench",
      keys: Array.from({ length: keys }, (_, index) => ({ key: `key-${index}`, id: `${index}` }))
    })
  )
  const name = `${keys.toLocaleString("en")} keys`
  return {
    atOnce: atOnce(name, () => {
      const lease = pool.unsafeTryReserve?.(clock)
      lease?.unsafeSettle(clock, verdict)
      return lease
    }),
    asEffect: asEffect(
      name,
      Effect.flatMap(pool.reserve(), ({ settle }) => settle(verdict))
    )
  }
}

export const poolLeases = async (): Promise<Group> => {
  const [few, some, many] = [leases(3), leases(100), leases(10_000)]
  return {
    title: "Lease and release of a key",
    ...compared(
      await compare([few.atOnce, some.atOnce, many.atOnce, few.asEffect, some.asEffect, many.asEffect], sampling)
    ),
    baselines: [few.atOnce.name],
    aims: aimsOf([few.atOnce, many.atOnce, few.asEffect, many.asEffect], 3)
  }
}

export const permits = async (): Promise<Group> => {
  const limiter = Effect.runSync(RateLimiter.make({ capacity: 1e9, refillRate: 1e9 }))
  const counting = Effect.runSync(RateLimiter.make({ capacity: 1e9, refillRate: 1e9, tokensPerMinute: 1e12 }))
  const permit = atOnce("a permit", () => limiter.unsafeTryReserve?.(clock, 0))
  const take = asEffect("a permit", limiter.take())
  return {
    title: "A permit",
    ...compared(
      await compare(
        [
          permit,
          atOnce("a permit with tokens, settled", () => {
            const reservation = counting.unsafeTryReserve?.(clock, 100)
            reservation?.unsafeSettle(clock, 90)
            return reservation
          }),
          take,
          asEffect(
            "a permit with tokens, settled",
            Effect.flatMap(counting.reserve(100), ({ settle }) => settle(90))
          )
        ],
        sampling
      )
    ),
    aims: aimsOf([permit, take], 1.5)
  }
}
