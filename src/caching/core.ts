/** What both caches share: the store behind its circuit breaker, statistics, and writes that `clear` and `invalidate` revoke. */
import { Duration, Effect, Option } from "effect"
import type { CacheStoreError, Store } from "./model.js"
import type { CacheOptions, CacheStats } from "./options.js"
import * as Checks from "../internal/optionChecks.js"
import * as GuardedStore from "./guardedStore.js"
import * as UnsafeGet from "./unsafeGet.js"

export interface Counts {
  readonly hits: number
  readonly shared: number
  readonly misses: number
  readonly bypassed: number
}

/** The future write of a call in flight. `clear`, and `invalidate` of one of its keys, revoke it. */
export interface PendingWrite {
  readonly has: (key: string) => boolean
  revoked: boolean
}

export interface Core {
  /** In milliseconds. */
  readonly ttl: number
  /** Whether the store answers at once. */
  readonly isImmediate: boolean
  readonly count: (counter: keyof Counts, times?: number) => Effect.Effect<void>
  /** Does what `count` does, outside of Effect. */
  readonly unsafeCount: (counter: keyof Counts) => void
  /** Reads the value of a key outside of Effect, from a store in memory that works; none as well with any other store. */
  readonly unsafeRead: (key: string, now: number) => Option.Option<string>
  /** The value of each key; none when it is missing or the store cannot be used. */
  readonly read: (keys: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Option.Option<string>>>
  /** Writes the entries unless the write was revoked. `ttl` in milliseconds. */
  readonly write: (
    pending: PendingWrite,
    entries: ReadonlyArray<readonly [key: string, value: string]>,
    ttl: number
  ) => Effect.Effect<void>
  /** Removes an entry that has expired or cannot be decoded. */
  readonly removeUnusable: (key: string) => Effect.Effect<void>
  readonly beginWrite: (keys: ReadonlyArray<string>) => PendingWrite
  readonly endWrite: (pending: PendingWrite) => void
  readonly stats: Effect.Effect<Counts & CacheStats>
  readonly clear: Effect.Effect<void, CacheStoreError>
  readonly invalidate: (key: string) => Effect.Effect<void, CacheStoreError>
}

const zero = (): Record<keyof Counts, number> => ({ hits: 0, shared: 0, misses: 0, bypassed: 0 })

/** Concurrent store operations of one call. */
const concurrency = 32

/** Throws a `TypeError` when an option is invalid. */
export const check = (name: string, options: CacheOptions): void =>
  Checks.valid(name, ({ millis }) => {
    for (const field of ["ttl", "storeTimeout", "storeCooldown"] as const) {
      const value = options[field]
      if (value !== undefined) millis(field, value, Checks.anyLength)
    }
  })

export const make = (userStore: Store, name: string, options: CacheOptions): Effect.Effect<Core> =>
  Effect.gen(function* () {
    const store = GuardedStore.checked(userStore)
    const breaker = yield* GuardedStore.make(store, {
      name,
      timeout: Duration.toMillis(options.storeTimeout ?? "500 millis"),
      cooldown: Duration.toMillis(options.storeCooldown ?? "10 seconds")
    })
    const unsafeGet = UnsafeGet.of(userStore)
    let counts = zero()
    const pendingWrites = new Set<PendingWrite>()
    const revoke = (predicate: (pending: PendingWrite) => boolean) =>
      Effect.sync(() => {
        for (const pending of pendingWrites) if (predicate(pending)) pending.revoked = true
      })

    return {
      ttl: Duration.toMillis(options.ttl ?? "1 hour"),
      isImmediate: store.immediate === true,
      count: (counter, times = 1) =>
        Effect.sync(() => {
          counts[counter] += times
        }),
      unsafeCount: (counter) => {
        counts[counter]++
      },
      unsafeRead: (key, now) => (unsafeGet === undefined || !breaker.isClosed() ? Option.none() : unsafeGet(key, now)),
      read: (keys) => {
        const [key] = keys
        const misses: ReadonlyArray<Option.Option<string>> = keys.map(() => Option.none())
        return key !== undefined && keys.length === 1
          ? breaker.run(
              "get",
              Effect.map(store.get(key), (value) => [value]),
              misses
            )
          : breaker.run("get", Effect.forEach(keys, store.get, { concurrency }), misses)
      },
      write: (pending, entries, ttl) =>
        Effect.suspend(() => {
          if (pending.revoked || ttl <= 0 || entries.length === 0) return Effect.void
          const expiry = Number.isFinite(ttl) ? Option.some(Duration.millis(ttl)) : Option.none()
          return breaker.run(
            "set",
            Effect.forEach(
              entries,
              ([key, value]) => Effect.suspend(() => (pending.revoked ? Effect.void : store.set(key, value, expiry))),
              { concurrency, discard: true }
            ),
            undefined
          )
        }),
      removeUnusable: (key) => breaker.run("remove", store.remove(key), undefined),
      beginWrite: (keys) => {
        const pending: PendingWrite = { has: (key) => keys.includes(key), revoked: false }
        pendingWrites.add(pending)
        return pending
      },
      endWrite: (pending) => {
        pendingWrites.delete(pending)
      },
      stats: Effect.gen(function* () {
        const { bypassed, hits, misses, shared } = counts
        const lookups = hits + shared + misses
        const size =
          store.size === undefined
            ? Option.none()
            : yield* breaker.run("size", Effect.asSome(store.size), Option.none())
        return {
          hits,
          shared,
          misses,
          bypassed,
          hitRate: lookups === 0 ? 0 : (hits + shared) / lookups,
          storeFailures: yield* breaker.failures,
          ...Option.getOrElse(size, () => ({}))
        }
      }),
      clear: Effect.zipRight(
        revoke(() => true),
        Effect.map(store.clear, () => {
          counts = zero()
        })
      ),
      invalidate: (key) =>
        Effect.zipRight(
          revoke((pending) => pending.has(key)),
          store.remove(key)
        )
    }
  })
