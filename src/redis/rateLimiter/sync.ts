/** What a process knows of the state that it shares, and what it still has to tell Redis. */
import type { Scope } from "effect"
import { Duration, Effect, HashMap, List, Ref, Stream } from "effect"
import { inBackground } from "../../internal/background.js"
import * as MonotonicClock from "../../internal/clock.js"
import * as Window from "../../internal/slidingWindow.js"
import * as Outbox from "../shared/outbox.js"
import type * as Redis from "../model.js"
import type { Amount, Ends, Epoch, Held, Limits, Steps } from "./scripts.js"

interface Known {
  readonly epoch: Epoch
  readonly pace: number
  /** Of how many processes it is one; absent where that was never heard. */
  readonly processes: number | undefined
  /** The state that knows all that this process was granted. */
  readonly told: Epoch
  /** Whether Redis was heard of when it was last told that this process goes on. */
  readonly isSteady: boolean
}

export interface Sync {
  readonly known: Effect.Effect<Known>
  /** Takes note of what a reply says. */
  readonly learn: (reply: { readonly epoch: Epoch; readonly pace: number }) => Effect.Effect<void>
  /** So many requests were let through, after a wait. */
  readonly granted: (requests: number, wait: number) => Effect.Effect<void>
  readonly hold: (held: Held) => Effect.Effect<void>
  readonly release: (id: string) => Effect.Effect<void>
  /** The calls in flight of this process. */
  readonly inFlight: Effect.Effect<number>
  /** Tells something, and where Redis is away, tells it later. */
  readonly tell: (message: Message) => Effect.Effect<void>
  /** Something may have been done whose reply is lost. */
  readonly later: (message: Message) => Effect.Effect<void>
  /** A call was let through that Redis does not know of. */
  readonly missed: (amount: Amount) => Effect.Effect<void>
}

export type Message = (epoch: Epoch) => Effect.Effect<unknown, Redis.RedisError>

const nothing: Amount = { requests: 0, tokens: 0 }

const plus = (self: Amount, that: Amount): Amount => ({
  requests: self.requests + that.requests,
  tokens: self.tokens + that.tokens
})

/** What this process was granted in the last minute and day, as far as these are limited. */
interface Recent {
  readonly minute: Window.SlidingWindow | undefined
  readonly day: Window.SlidingWindow | undefined
}

const windowOf = (window: Limits["minute"]): Window.SlidingWindow | undefined =>
  window === undefined ? undefined : Window.make(window.limit, window.duration, 0)

const takenAt = (
  window: Window.SlidingWindow | undefined,
  now: number,
  wait: number,
  amount: number
): Window.SlidingWindow | undefined =>
  window === undefined
    ? undefined
    : { ...Window.take({ ...Window.expire(window, now), updatedAt: now + wait }, amount), updatedAt: now }

const endsOf = (window: Window.SlidingWindow | undefined, now: number): Ends =>
  window === undefined
    ? []
    : [...window.older, ...List.reverse(window.newer)].map(
        ({ amount, expiresAt }) => [expiresAt - now, amount] as const
      )

export const make = (
  redis: Redis.Service,
  steps: Steps,
  limits: Limits,
  leaseTime: number
): Effect.Effect<Sync, never, Scope.Scope> =>
  Effect.gen(function* () {
    const known = yield* Ref.make<Known>({ epoch: "", pace: 1, processes: undefined, told: "", isSteady: false })
    const held = yield* Ref.make(HashMap.empty<string, Held>())
    const outbox = yield* Outbox.make("A rate limiter")
    const missed = yield* Ref.make(nothing)
    const recent = yield* Ref.make<Recent>({ minute: windowOf(limits.minute), day: windowOf(limits.day) })
    const bell = yield* Effect.makeLatch(true)

    const learn: Sync["learn"] = ({ epoch, pace }) =>
      Effect.flatMap(
        Ref.modify(known, (before) => {
          const isLost = before.epoch !== "" && before.epoch !== epoch
          const isSame = before.epoch === epoch && before.pace === pace
          return [isLost, isSame ? before : { ...before, epoch, pace }]
        }),
        // It has forgotten which calls are in flight.
        (isNew) => (isNew ? bell.open : Effect.void)
      )

    const sent = (message: Message) => Effect.flatMap(Ref.get(known), ({ epoch }) => message(epoch))

    const granted: Sync["granted"] = (requests, wait) =>
      limits.minute === undefined && limits.day === undefined
        ? Effect.void
        : Effect.flatMap(Effect.clock, (clock) => {
            const now = MonotonicClock.now(clock)
            return Ref.update(recent, ({ day, minute }) => ({
              minute: takenAt(minute, now, wait, requests),
              day: takenAt(day, now, wait, requests)
            }))
          })

    /** All that still counts. */
    const recalled = Effect.flatMap(Effect.clock, (clock) =>
      Effect.map(Ref.get(recent), ({ day, minute }) => {
        const now = MonotonicClock.now(clock)
        return { minute: endsOf(minute, now), day: endsOf(day, now) }
      })
    )

    const renew = Effect.gen(function* () {
      const { epoch, isSteady, told } = yield* Ref.get(known)
      const leases = Array.from(HashMap.values(yield* Ref.get(held)))
      const amount = yield* Ref.getAndSet(missed, nothing)
      const past = isSteady && epoch === told ? undefined : yield* recalled
      const reply = yield* Effect.tapError(steps.renew(epoch, leases, amount, past, told), () =>
        // What is not known to be counted is counted twice rather than not at all.
        Effect.zipRight(
          Ref.update(known, (before) => ({ ...before, isSteady: false })),
          Ref.update(missed, (more) => plus(amount, more))
        )
      )
      yield* Ref.update(known, (before) => ({
        ...before,
        isSteady: true,
        processes: reply.processes,
        told: past === undefined ? before.told : reply.epoch
      }))
      yield* learn(reply)
    })

    const beat = Effect.uninterruptible(
      Effect.zipRight(bell.close, Effect.ignore(Effect.zipRight(renew, outbox.flush)))
    )

    yield* beat
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(Effect.all([Ref.get(known), Ref.get(held)]), ([{ epoch }, leases]) =>
        Effect.ignore(Effect.zipRight(outbox.flush, steps.leave(epoch, Array.from(HashMap.values(leases)))))
      )
    )
    yield* inBackground(
      Effect.forever(Effect.zipRight(Effect.timeoutOption(bell.await, Duration.millis(leaseTime / 3)), beat))
    )
    // As soon as Redis is back.
    yield* inBackground(
      Stream.runForEach(Stream.changes(redis.changes), (availability) =>
        availability === "up" ? bell.open : Effect.void
      )
    )

    return {
      known: Ref.get(known),
      learn,
      granted,
      hold: (lease) => Ref.update(held, HashMap.set(lease.id, lease)),
      release: (id) => Ref.update(held, HashMap.remove(id)),
      inFlight: Effect.map(Ref.get(held), HashMap.size),
      tell: (message) => outbox.tell(sent(message)),
      later: (message) => outbox.later(sent(message)),
      missed: (amount) =>
        Effect.zipRight(
          granted(amount.requests, 0),
          Ref.update(missed, (before) => plus(before, amount))
        )
    }
  })
