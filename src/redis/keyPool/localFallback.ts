/** The pool of this process alone, for as long as Redis is away: the same keys with a share of their limits. */
import { Effect, Ref } from "effect"
import type { ApiKey } from "../../vocabulary/ApiKey.js"
import * as MonotonicClock from "../../internal/clock.js"
import type { InvalidPoolError, Options, Service } from "../../keyPool/model.js"
import * as KeyPool from "../../keyPool/KeyPool.js"
import type { Resting } from "./scripts.js"

export interface LocalFallback {
  readonly pool: Service
  /** Lets the keys rest that do not speak according to Redis, as it was last heard of. */
  readonly learn: (resting: ReadonlyArray<Resting>) => Effect.Effect<void>
  /** Which these are, and for how long yet. */
  readonly resting: Effect.Effect<ReadonlyArray<Resting>>
  readonly add: (key: ApiKey) => Effect.Effect<void, InvalidPoolError>
}

/** What Redis told, and when. */
interface Told {
  readonly at: number
  readonly resting: ReadonlyArray<Resting>
}

/** A call at a time is the least that a key can do; of a rate there is no least. */
const scaled = (key: ApiKey, share: number): ApiKey => ({
  ...key,
  ...(key.maxConcurrency === undefined ? {} : { maxConcurrency: Math.max(1, Math.floor(key.maxConcurrency * share)) }),
  ...(key.requestsPerSecond === undefined ? {} : { requestsPerSecond: key.requestsPerSecond * share })
})

export const make = (
  options: Options,
  keys: ReadonlyArray<ApiKey>,
  share: number
): Effect.Effect<LocalFallback, InvalidPoolError> =>
  Effect.gen(function* () {
    const pool = yield* KeyPool.make({ ...options, keys: keys.map((key) => scaled(key, share)) })
    const clock = yield* Effect.clock
    const told = yield* Ref.make<Told>({ at: 0, resting: [] })
    return {
      pool,
      add: (key) => Effect.asVoid(pool.add(scaled(key, share))),
      learn: (resting) =>
        Effect.gen(function* () {
          const now = new Set(resting.map(({ key }) => key))
          const before = yield* Ref.getAndSet(told, { at: MonotonicClock.now(clock), resting })
          for (const { key } of before.resting) if (!now.has(key)) yield* pool.enable(key)
          for (const { disabled, key, rest } of resting) {
            if (disabled) yield* pool.disable(key)
            if (rest > 0) yield* pool.rest(key, rest)
          }
        }),
      resting: Effect.map(Ref.get(told), ({ at, resting }) => {
        const passed = MonotonicClock.now(clock) - at
        return resting.map(({ rest, ...key }) => ({ ...key, rest: Math.max(0, rest - passed) }))
      })
    }
  })
