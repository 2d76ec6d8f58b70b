/** The pool of this process alone, for as long as Redis is away: the same keys with a share of their limits. */
import { Effect, Ref } from "effect"
import type { ApiKey } from "../../ApiKey.js"
import type { InvalidPoolError, Options, Service } from "../../KeyPool.js"
import * as KeyPool from "../../KeyPool.js"
import type { Resting } from "./steps.js"

export interface Spare {
  readonly pool: Service
  /** Lets the keys rest that do not speak according to Redis, as it was last heard of. */
  readonly learn: (resting: ReadonlyArray<Resting>) => Effect.Effect<void>
  readonly add: (key: ApiKey) => Effect.Effect<void, InvalidPoolError>
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
): Effect.Effect<Spare, InvalidPoolError> =>
  Effect.gen(function* () {
    const pool = yield* KeyPool.make({ ...options, keys: keys.map((key) => scaled(key, share)) })
    const told = yield* Ref.make<ReadonlySet<string>>(new Set())
    return {
      pool,
      add: (key) => Effect.asVoid(pool.add(scaled(key, share))),
      learn: (resting) =>
        Effect.gen(function* () {
          const now = new Set(resting.map(({ key }) => key))
          const before = yield* Ref.getAndSet(told, now)
          for (const id of before) if (!now.has(id)) yield* pool.enable(id)
          for (const { disabled, key, rest } of resting) {
            if (disabled) yield* pool.disable(key)
            if (rest > 0) yield* pool.rest(key, rest)
          }
        })
    }
  })
