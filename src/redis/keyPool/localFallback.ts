/** The pool of this process while Redis is away: the same keys with a share of their limits. */
import { Effect, Ref } from "effect"
import type { ApiKey } from "../../vocabulary/ApiKey.js"
import * as MonotonicClock from "../../internal/clock.js"
import type { InvalidPoolError, Options, Service } from "../../keyPool/model.js"
import * as KeyPool from "../../keyPool/KeyPool.js"
import type { UnavailableKey } from "./scripts.js"

export interface LocalFallback {
  readonly pool: Service
  /** Disables the keys, or starts their cooldowns, that are unavailable in the last reply of Redis. */
  readonly applyUnavailable: (unavailableKeys: ReadonlyArray<UnavailableKey>) => Effect.Effect<void>
  /** These keys with their remaining cooldowns. */
  readonly unavailableKeys: Effect.Effect<ReadonlyArray<UnavailableKey>>
  readonly add: (key: ApiKey) => Effect.Effect<void, InvalidPoolError>
}

/** The unavailable keys in the last reply of Redis, and its time. */
interface Snapshot {
  readonly at: number
  readonly unavailableKeys: ReadonlyArray<UnavailableKey>
}

/** A key has at least one permit; a rate has no minimum. */
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
    const snapshot = yield* Ref.make<Snapshot>({ at: 0, unavailableKeys: [] })
    return {
      pool,
      add: (key) => Effect.asVoid(pool.add(scaled(key, share))),
      applyUnavailable: (unavailableKeys) =>
        Effect.gen(function* () {
          const present = new Set(unavailableKeys.map(({ key }) => key))
          const previous = yield* Ref.getAndSet(snapshot, { at: MonotonicClock.now(clock), unavailableKeys })
          for (const { key } of previous.unavailableKeys) if (!present.has(key)) yield* pool.enable(key)
          for (const { disabled, key, rest } of unavailableKeys) {
            if (disabled) yield* pool.disable(key)
            if (rest > 0) yield* pool.rest(key, rest)
          }
        }),
      unavailableKeys: Effect.map(Ref.get(snapshot), ({ at, unavailableKeys }) => {
        const elapsed = MonotonicClock.now(clock) - at
        return unavailableKeys.map(({ rest, ...key }) => ({ ...key, rest: Math.max(0, rest - elapsed) }))
      })
    }
  })
