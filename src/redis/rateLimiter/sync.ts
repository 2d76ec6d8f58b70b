/** Keeps a process in sync with Redis: renews its leases, restores a lost state, and sends pending messages. */
import type { Scope } from "effect"
import { Duration, Effect, HashMap, List, Ref, Stream } from "effect"
import { inBackground } from "../../internal/background.js"
import * as MonotonicClock from "../../internal/clock.js"
import * as Window from "../../internal/slidingWindow.js"
import * as Outbox from "../shared/outbox.js"
import type * as Redis from "../model.js"
import type { Amount, Epoch, LeaseRef, Limits, Scripts, WindowEntries } from "./scripts.js"

interface SyncState {
  readonly epoch: Epoch
  readonly pace: number
  /** The number of processes; undefined before the first reply. */
  readonly processes: number | undefined
  /** The epoch of the state that includes all grants of this process. */
  readonly reportedEpoch: Epoch
  /** Whether the last renewal succeeded. */
  readonly isRenewed: boolean
}

export interface Sync {
  readonly state: Effect.Effect<SyncState>
  /** Updates the state from a reply. */
  readonly update: (reply: { readonly epoch: Epoch; readonly pace: number }) => Effect.Effect<void>
  /** Records requests that were granted after a wait. */
  readonly recordGrant: (requests: number, wait: number) => Effect.Effect<void>
  readonly addLease: (lease: LeaseRef) => Effect.Effect<void>
  readonly removeLease: (id: string) => Effect.Effect<void>
  /** The number of leases of this process. */
  readonly leaseCount: Effect.Effect<number>
  /** Sends a message, or enqueues it while Redis is away. */
  readonly send: (message: Message) => Effect.Effect<void>
  /** Enqueues a message, for a command whose reply was lost. */
  readonly enqueue: (message: Message) => Effect.Effect<void>
  /** Records a call that was granted without Redis. */
  readonly recordMissed: (amount: Amount) => Effect.Effect<void>
  /** Removes such a record of a call that was not sent, unless Redis has counted it already. */
  readonly removeMissed: (amount: Amount) => Effect.Effect<void>
}

export type Message = (epoch: Epoch) => Effect.Effect<unknown, Redis.RedisError>

const zero: Amount = { requests: 0, tokens: 0 }

const plus = (self: Amount, that: Amount): Amount => ({
  requests: self.requests + that.requests,
  tokens: self.tokens + that.tokens
})

/** The grants of this process in the last minute and day, when these are limited. */
interface RecentWindows {
  readonly minute: Window.SlidingWindow | undefined
  readonly day: Window.SlidingWindow | undefined
}

const windowOf = (window: Limits["minute"]): Window.SlidingWindow | undefined =>
  window === undefined ? undefined : Window.make(window.limit, window.duration, 0)

const recordTaken = (
  window: Window.SlidingWindow | undefined,
  now: number,
  wait: number,
  amount: number
): Window.SlidingWindow | undefined =>
  window === undefined
    ? undefined
    : { ...Window.take({ ...Window.expire(window, now), updatedAt: now + wait }, amount), updatedAt: now }

const entriesOf = (window: Window.SlidingWindow | undefined, now: number): WindowEntries =>
  window === undefined
    ? []
    : [...window.older, ...List.reverse(window.newer)].map(
        ({ amount, expiresAt }) => [expiresAt - now, amount] as const
      )

export const make = (
  redis: Redis.Service,
  scripts: Scripts,
  limits: Limits,
  leaseTime: number
): Effect.Effect<Sync, never, Scope.Scope> =>
  Effect.gen(function* () {
    const state = yield* Ref.make<SyncState>({
      epoch: "",
      pace: 1,
      processes: undefined,
      reportedEpoch: "",
      isRenewed: false
    })
    const leases = yield* Ref.make(HashMap.empty<string, LeaseRef>())
    const outbox = yield* Outbox.make("A rate limiter")
    const missed = yield* Ref.make(zero)
    const windows = yield* Ref.make<RecentWindows>({ minute: windowOf(limits.minute), day: windowOf(limits.day) })
    const wakeup = yield* Effect.makeLatch(true)

    const update: Sync["update"] = ({ epoch, pace }) =>
      Effect.flatMap(
        Ref.modify(state, (previous) => {
          const isStateLost = previous.epoch !== "" && previous.epoch !== epoch
          const isUnchanged = previous.epoch === epoch && previous.pace === pace
          return [isStateLost, isUnchanged ? previous : { ...previous, epoch, pace }]
        }),
        // A lost state does not include the leases of this process: renew them now.
        (isStateLost) => (isStateLost ? wakeup.open : Effect.void)
      )

    const withEpoch = (message: Message) => Effect.flatMap(Ref.get(state), ({ epoch }) => message(epoch))

    const recordGrant: Sync["recordGrant"] = (requests, wait) =>
      limits.minute === undefined && limits.day === undefined
        ? Effect.void
        : Effect.flatMap(Effect.clock, (clock) => {
            const now = MonotonicClock.now(clock)
            return Ref.update(windows, ({ day, minute }) => ({
              minute: recordTaken(minute, now, wait, requests),
              day: recordTaken(day, now, wait, requests)
            }))
          })

    /** The grants that still count. */
    const recentUsage = Effect.flatMap(Effect.clock, (clock) =>
      Effect.map(Ref.get(windows), ({ day, minute }) => {
        const now = MonotonicClock.now(clock)
        return { minute: entriesOf(minute, now), day: entriesOf(day, now) }
      })
    )

    const renew = Effect.gen(function* () {
      const { epoch, isRenewed, reportedEpoch } = yield* Ref.get(state)
      const leaseRefs = Array.from(HashMap.values(yield* Ref.get(leases)))
      const amount = yield* Ref.getAndSet(missed, zero)
      const usage = isRenewed && epoch === reportedEpoch ? undefined : yield* recentUsage
      const reply = yield* Effect.tapError(scripts.renew(epoch, leaseRefs, amount, usage, reportedEpoch), () =>
        // Calls that may not have been counted are sent again: they are counted twice rather than not at all.
        Effect.zipRight(
          Ref.update(state, (previous) => ({ ...previous, isRenewed: false })),
          Ref.update(missed, (more) => plus(amount, more))
        )
      )
      yield* Ref.update(state, (previous) => ({
        ...previous,
        isRenewed: true,
        processes: reply.processes,
        reportedEpoch: usage === undefined ? previous.reportedEpoch : reply.epoch
      }))
      yield* update(reply)
    })

    const heartbeat = Effect.uninterruptible(
      Effect.zipRight(wakeup.close, Effect.ignore(Effect.zipRight(renew, outbox.flush)))
    )

    yield* heartbeat
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(Effect.all([Ref.get(state), Ref.get(leases)]), ([{ epoch }, leaseRefs]) =>
        Effect.ignore(Effect.zipRight(outbox.flush, scripts.leave(epoch, Array.from(HashMap.values(leaseRefs)))))
      )
    )
    yield* inBackground(
      Effect.forever(Effect.zipRight(Effect.timeoutOption(wakeup.await, Duration.millis(leaseTime / 3)), heartbeat))
    )
    // Renews as soon as Redis is back.
    yield* inBackground(
      Stream.runForEach(Stream.changes(redis.changes), (availability) =>
        availability === "up" ? wakeup.open : Effect.void
      )
    )

    return {
      state: Ref.get(state),
      update,
      recordGrant,
      addLease: (lease) => Ref.update(leases, HashMap.set(lease.id, lease)),
      removeLease: (id) => Ref.update(leases, HashMap.remove(id)),
      leaseCount: Effect.map(Ref.get(leases), HashMap.size),
      send: (message) => outbox.send(withEpoch(message)),
      enqueue: (message) => outbox.enqueue(withEpoch(message)),
      recordMissed: (amount) =>
        Effect.zipRight(
          recordGrant(amount.requests, 0),
          Ref.update(missed, (previous) => plus(previous, amount))
        ),
      removeMissed: (amount) =>
        Ref.update(missed, (previous) => ({
          requests: Math.max(0, previous.requests - amount.requests),
          tokens: Math.max(0, previous.tokens - amount.tokens)
        }))
    }
  })
