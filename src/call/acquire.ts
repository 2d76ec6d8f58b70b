/**
 * Acquires a permit of the limiter and a key of the pool in one step at the moment of sending. A permit that is held while the call
 * waits for a key would be spent later than the limiter counts it, and more requests would be sent in a window than it allows.
 */
import type { Clock } from "effect"
import { Effect } from "effect"
import * as MonotonicClock from "../internal/clock.js"
import * as Finalizer from "../internal/finalizer.js"
import type * as KeyPool from "../keyPool/model.js"
import { Verdict } from "../keyPool/verdict.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Reservation, Service as Limiter, UnsafeReservation } from "../rateLimiter/model.js"
import { CurrentClient, CurrentPriority } from "../rateLimiter/model.js"
import { longestSleep } from "./limits.js"
import type { Wait } from "./waits.js"
import { CurrentWaitObserver } from "./waits.js"

/** The sources of permits and keys. */
export interface Sources {
  readonly limiter: Limiter
  readonly pool: KeyPool.Service
}

/** The requirements of a call. */
export interface Need {
  readonly model: string
  /** The estimated tokens of request and answer; 0 where tokens are not limited. */
  readonly tokens: number
  /** Ids of keys that the call does not take: those that it has tried, and those that its owner excludes. */
  readonly exclude: ReadonlySet<string>
  /** Sets of ids that it excludes as well where another key is ready then, the most wanted choice first. */
  readonly avoid: ReadonlyArray<ReadonlySet<string>>
  /** Whether it waits for the end of cooldowns. */
  readonly waitsForCooldown: boolean
  /** Whether another key is tried after a failure of the provider. See `LeaseOptions.failover` of the pool. */
  readonly failover: boolean
  /** Whether the call was sent before: it waits before those that were not, as it did then. */
  readonly isRepeated: boolean
  /** See `LeaseOptions.affinity` of the pool. */
  readonly affinity: string | undefined
}

/** A permit and a key. The holder settles each exactly once. */
export interface Acquired {
  readonly reservation: Reservation
  readonly lease: KeyPool.Lease
  /** How long the call waited for each, in whole milliseconds. */
  readonly waitedForPermit: number
  readonly waitedForKey: number
}

/** A permit and a key that were there at once, and are settled without an effect. */
export interface UnsafeAcquired extends Acquired {
  readonly reservation: UnsafeReservation
  readonly lease: KeyPool.UnsafeLease
}

/**
 * Takes permit and key at once if both are ready and no call waits before; otherwise takes nothing and returns undefined, also
 * where the limiter or the pool has no synchronous members. `acquire` decides whether to wait or to fail.
 */
export const unsafeTryAcquire = (
  clock: Clock.Clock,
  { limiter, pool }: Sources,
  { affinity, avoid, exclude, failover, model, tokens }: Need
): UnsafeAcquired | undefined => {
  if (pool.unsafeTryReserve === undefined) return undefined
  const reservation = limiter.unsafeTryReserve?.(clock, tokens, { model })
  if (reservation === undefined) return undefined
  let lease: KeyPool.UnsafeLease | undefined
  try {
    lease = unsafeReadyKey(clock, pool.unsafeTryReserve, exclude, avoid, failover, affinity)
  } catch (defect) {
    // A strategy of the program can throw: the permit is given back.
    reservation.unsafeGiveBack(clock)
    throw defect
  }
  if (lease !== undefined) return { reservation, lease, waitedForPermit: 0, waitedForKey: 0 }
  reservation.unsafeGiveBack(clock)
  return undefined
}

export const union = (first: ReadonlySet<string>, second: ReadonlySet<string>): ReadonlySet<string> =>
  new Set([...first, ...second])

const unsafeReadyKey = (
  clock: Clock.Clock,
  tryReserve: NonNullable<KeyPool.Service["unsafeTryReserve"]>,
  exclude: ReadonlySet<string>,
  avoid: ReadonlyArray<ReadonlySet<string>>,
  failover: boolean,
  affinity: string | undefined
): KeyPool.UnsafeLease | undefined => {
  for (const ids of avoid) {
    const lease = preferredKey(clock, tryReserve, union(exclude, ids), failover, affinity)
    if (lease !== undefined) return lease
  }
  return tryReserve(clock, exclude, failover, affinity)
}

/** A key of those that are left. It prefers one that it does not have to test. */
const preferredKey = (
  clock: Clock.Clock,
  tryReserve: NonNullable<KeyPool.Service["unsafeTryReserve"]>,
  exclude: ReadonlySet<string>,
  failover: boolean,
  affinity: string | undefined
): KeyPool.UnsafeLease | undefined =>
  tryReserve(clock, exclude, true, affinity) ?? (failover ? undefined : tryReserve(clock, exclude, false, affinity))

const giveBackPermit = (clock: Clock.Clock, reservation: Reservation): Effect.Effect<void> =>
  reservation.unsafeGiveBack === undefined
    ? (reservation.giveBack ?? reservation.settle(0))
    : Effect.sync(() => reservation.unsafeGiveBack?.(clock))

/** Undefined where a key cannot be given back unused. */
const giveBackKey = (clock: Clock.Clock, lease: KeyPool.Lease): Effect.Effect<void> | undefined =>
  lease.unsafeGiveBack === undefined ? lease.giveBack : Effect.sync(() => lease.unsafeGiveBack?.(clock))

/** Gives both back unused, because nothing was sent. */
export const giveBack = (clock: Clock.Clock, { lease, reservation }: Acquired): Effect.Effect<void> =>
  Effect.ensuring(giveBackKey(clock, lease) ?? lease.settle(Verdict.Neutral()), giveBackPermit(clock, reservation))

/**
 * The longest time for which a call with a key waits for its permit before the key goes back, in milliseconds. Without it every
 * waiting call would be offered the key in turn and move from one queue to the other, while the permit that one of them needs comes
 * soon.
 */
const longestHold = 100

/**
 * Acquires permit and key, waiting where necessary:
 *
 * 1. The call waits in the limiter's queue without taking.
 * 2. At its head it takes the permit and tries to take a key.
 * 3. Without a key the permit goes back unspent and the call waits in the pool's queue. With the key that it gets there it takes a
 *    permit, which it awaits for `longestHold` at most; without one the key goes back unused, and the call starts again at 1, with
 *    the place of its first arrival.
 *
 * Each round begins with a wait that another call or the time ends, so no round repeats by itself. The waits in the limiter's queue
 * together are bounded by its `maxWait`, those in the pool's queue by that of the pool, and all by the limits of the call.
 *
 * Must run in an uninterruptible region: only its waits are interruptible. Services without synchronous members are asked with a
 * `maxWait` of zero instead. A permit that cannot be given back stays spent; a key that cannot be given back is held while the call
 * waits for a permit, since calls that give up both unused could otherwise repeat that without end.
 */
export const acquire = (
  { limiter, pool }: Sources,
  { affinity, avoid, exclude, failover, isRepeated, model, tokens, waitsForCooldown }: Need
): Effect.Effect<Acquired, LLMError> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const longest = yield* longestSleep
    const priority = yield* CurrentPriority
    const client = yield* CurrentClient
    const observe = yield* CurrentWaitObserver
    const startedAt = MonotonicClock.now(clock)
    const arrivedAt = isRepeated ? 0 : startedAt
    let forPermit = 0
    let forKey = 0
    let isNew = !isRepeated

    const waitOptions = (waited: number) => {
      const now = MonotonicClock.now(clock)
      return {
        ...(Number.isFinite(longest) ? { maxWait: Math.max(0, longest - (now - startedAt)) } : {}),
        ...(isNew ? {} : { arrivedAgo: now - arrivedAt, waited })
      }
    }
    const keyOptions: KeyPool.LeaseOptions = {
      exclude,
      onCooldown: waitsForCooldown ? "wait" : "fail",
      ...(failover ? { failover } : {}),
      ...(affinity === undefined ? {} : { affinity })
    }

    const observed = <A, E>(source: Wait["source"], wait: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      observe === undefined ? wait : observe({ source, limiter, pool, model, tokens }, wait)

    /** Waits in the limiter's queue. */
    const waitForPermit = (longest: number) =>
      Effect.suspend(() => {
        const { maxWait = Infinity, ...options } = waitOptions(forPermit)
        const allowed = Math.min(maxWait, longest)
        const reserved = limiter.reserve(tokens, {
          model,
          ...options,
          ...(allowed < Infinity ? { maxWait: allowed } : {})
        })
        return observed("limiter", reserved)
      })

    /** A key that is ready now; without one the permit goes back. */
    const keyFor = (reservation: Reservation): Effect.Effect<KeyPool.Lease | undefined> => {
      const giveBack = giveBackPermit(clock, reservation)
      const { unsafeTryReserve } = pool
      if (unsafeTryReserve !== undefined) {
        const ready = Effect.sync(() => unsafeReadyKey(clock, unsafeTryReserve, exclude, avoid, failover, affinity))
        return Effect.flatMap(
          Effect.onError(ready, () => giveBack),
          (lease) => (lease === undefined ? Effect.as(giveBack, undefined) : Effect.succeed(lease))
        )
      }
      const ready = pool.reserve({ ...keyOptions, maxWait: 0 })
      const best = avoid.reduceRight(
        (otherwise, ids) =>
          Effect.orElse(
            pool.reserve({ exclude: union(exclude, ids), onCooldown: "fail", maxWait: 0 }),
            () => otherwise
          ),
        ready
      )
      return Effect.catchAll(
        Effect.tapErrorCause(best, () => giveBack),
        () => Effect.succeed(undefined)
      )
    }

    /** A permit that is available now or very soon; without one the key goes back. */
    const permitFor = (lease: KeyPool.Lease): Effect.Effect<Reservation | undefined, LLMError> => {
      const giveBack = giveBackKey(clock, lease)
      if (giveBack === undefined) {
        return Finalizer.onError(waitForPermit(Infinity), () => lease.settle(Verdict.Neutral()))
      }
      const arrivedAgo = MonotonicClock.now(clock) - arrivedAt
      const reservation = limiter.unsafeTryReserve?.(clock, tokens, { model, priority, client, arrivedAgo })
      return reservation === undefined
        ? Effect.catchAll(
            Finalizer.onError(waitForPermit(longestHold), () => giveBack),
            () => Effect.succeed(undefined)
          )
        : Effect.succeed(reservation)
    }

    const acquired = (reservation: Reservation, lease: KeyPool.Lease): Acquired => ({
      reservation,
      lease,
      waitedForPermit: Math.floor(forPermit),
      waitedForKey: Math.floor(forKey)
    })

    for (;;) {
      const queuedAt = MonotonicClock.now(clock)
      const reservation = yield* waitForPermit(Infinity)
      forPermit += MonotonicClock.now(clock) - queuedAt
      isNew = false
      const ready = yield* keyFor(reservation)
      if (ready !== undefined) return acquired(reservation, ready)
      const requestedAt = MonotonicClock.now(clock)
      const lease = yield* observed("pool", pool.reserve({ ...keyOptions, ...waitOptions(forKey) }))
      const leasedAt = MonotonicClock.now(clock)
      forKey += leasedAt - requestedAt
      const permit = yield* permitFor(lease)
      forPermit += MonotonicClock.now(clock) - leasedAt
      if (permit !== undefined) return acquired(permit, lease)
    }
  })
