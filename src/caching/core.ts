/** What every cache has: a guarded store, counts, and writes that a `clear` in between makes void. */
import { Duration, Effect, Option, Ref } from "effect"
import type { CacheOptions, CacheStats, CacheStoreError, Store } from "./model.js"
import * as Checks from "../internal/optionChecks.js"
import * as GuardedStore from "./guardedStore.js"

export interface Counts {
  readonly hits: number
  readonly shared: number
  readonly misses: number
  readonly bypassed: number
}

/** The right to write what a call brings: void once the cache is cleared, or the key invalidated, before it has. */
export interface Ticket {
  readonly has: (key: string) => boolean
  void: boolean
}

export interface Core {
  /** In milliseconds. */
  readonly ttl: number
  readonly count: (what: keyof Counts, times?: number) => Effect.Effect<void>
  /** The texts under the keys, where they are. */
  readonly read: (keys: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<Option.Option<string>>>
  /** Writes, unless the ticket is void. `ttl` in milliseconds. */
  readonly write: (
    ticket: Ticket,
    entries: ReadonlyArray<readonly [key: string, value: string]>,
    ttl: number
  ) => Effect.Effect<void>
  /** Drops what has been found to be of no use. */
  readonly drop: (key: string) => Effect.Effect<void>
  readonly issue: (keys: ReadonlyArray<string>) => Ticket
  readonly giveBack: (ticket: Ticket) => void
  readonly stats: Effect.Effect<Counts & CacheStats>
  readonly clear: Effect.Effect<void, CacheStoreError>
  readonly invalidate: (key: string) => Effect.Effect<void, CacheStoreError>
}

const none: Counts = { hits: 0, shared: 0, misses: 0, bypassed: 0 }

/** How many operations of one call the store is asked for at once. */
const concurrency = 32

/** Throws where the options of a cache make no sense. */
export const check = (name: string, options: CacheOptions): void =>
  Checks.valid(name, ({ millis }) => {
    for (const field of ["ttl", "storeTimeout", "storeRest"] as const) {
      const given = options[field]
      if (given !== undefined) millis(field, given, Checks.anyLength)
    }
  })

export const make = (given: Store, name: string, options: CacheOptions): Effect.Effect<Core> =>
  Effect.gen(function* () {
    const store = GuardedStore.checked(given)
    const guard = yield* GuardedStore.make(store, {
      name,
      timeout: Duration.toMillis(options.storeTimeout ?? "500 millis"),
      rest: Duration.toMillis(options.storeRest ?? "10 seconds")
    })
    const counts = yield* Ref.make(none)
    const tickets = new Set<Ticket>()
    const revoke = (concerned: (ticket: Ticket) => boolean) =>
      Effect.sync(() => {
        for (const ticket of tickets) if (concerned(ticket)) ticket.void = true
      })

    return {
      ttl: Duration.toMillis(options.ttl ?? "1 hour"),
      count: (what, times = 1) => Ref.update(counts, (before) => ({ ...before, [what]: before[what] + times })),
      read: (keys) => {
        const [key] = keys
        const nothing: ReadonlyArray<Option.Option<string>> = keys.map(() => Option.none())
        return key !== undefined && keys.length === 1
          ? guard.attempt(
              "get",
              Effect.map(store.get(key), (value) => [value]),
              nothing
            )
          : guard.attempt("get", Effect.forEach(keys, store.get, { concurrency }), nothing)
      },
      write: (ticket, entries, ttl) =>
        Effect.suspend(() => {
          if (ticket.void || ttl <= 0 || entries.length === 0) return Effect.void
          const expiry = Number.isFinite(ttl) ? Option.some(Duration.millis(ttl)) : Option.none()
          return guard.attempt(
            "set",
            Effect.forEach(
              entries,
              ([key, value]) => Effect.suspend(() => (ticket.void ? Effect.void : store.set(key, value, expiry))),
              { concurrency, discard: true }
            ),
            undefined
          )
        }),
      drop: (key) => guard.attempt("remove", store.remove(key), undefined),
      issue: (keys) => {
        const ticket: Ticket = { has: (key) => keys.includes(key), void: false }
        tickets.add(ticket)
        return ticket
      },
      giveBack: (ticket) => {
        tickets.delete(ticket)
      },
      stats: Effect.gen(function* () {
        const { bypassed, hits, misses, shared } = yield* Ref.get(counts)
        const asked = hits + shared + misses
        const size =
          store.size === undefined
            ? Option.none()
            : yield* guard.attempt("size", Effect.asSome(store.size), Option.none())
        return {
          hits,
          shared,
          misses,
          bypassed,
          hitRate: asked === 0 ? 0 : (hits + shared) / asked,
          storeFailures: yield* guard.failures,
          ...Option.getOrElse(size, () => ({}))
        }
      }),
      clear: Effect.zipRight(
        revoke(() => true),
        Effect.zipRight(store.clear, Ref.set(counts, none))
      ),
      invalidate: (key) =>
        Effect.zipRight(
          revoke((ticket) => ticket.has(key)),
          store.remove(key)
        )
    }
  })
