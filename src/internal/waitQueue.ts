/**
 * A state that many calls change, and a queue in which a call waits for a change that concerns it. The queue itself is part of
 * the state: this module reads the clock, applies one transition at a time, and completes the wakeups that it returns.
 */
import type { Clock } from "effect"
import { Deferred, Effect, MutableRef } from "effect"
import { clockOf, nanos, timerDelay } from "./clock.js"
import * as Fibers from "./fibers.js"

/** Makes one waiting call look at the state again. Completing it twice has no further effect. */
export type Wakeup = Deferred.Deferred<void>

/** The result of a transition, and the waiting calls that must look again because of it. */
export interface Transition<A> {
  readonly value: A
  readonly wakeups: ReadonlyArray<Wakeup>
}

export type Step<A, S> = readonly [Transition<A>, S]

/** The answer to a call that was put in the queue. */
export interface Waiting<Ticket = number> {
  readonly _tag: "Waiting"
  readonly ticket: Ticket
  /** When to look again if no wakeup comes before. */
  readonly until: number
}

/** The answer to a call that would have to wait and passed no wakeup: it was not put in the queue. */
export interface NotQueued {
  readonly _tag: "NotQueued"
}

export const notQueued: NotQueued = { _tag: "NotQueued" }

export const noWakeup: ReadonlyArray<Wakeup> = []

interface Answer {
  readonly _tag: string
}

/** The transitions of a queue. Times are in milliseconds. */
export interface Queue<A extends Answer, S, Ticket> {
  readonly join: (state: S, now: number, wakeup: Wakeup) => Step<A | Waiting<Ticket>, S>
  /** Looks again, with a new wakeup for the next time. */
  readonly look: (state: S, now: number, ticket: Ticket, wakeup: Wakeup) => Step<A | Waiting<Ticket>, S>
  readonly giveUp: (state: S, now: number, ticket: Ticket) => Step<void, S>
}

export type Interruptibly = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** A state that effects and synchronous code change, with the clock and the wakeups around it. */
export interface SharedState<S> {
  /** Milliseconds since the state was made; never runs backwards. */
  readonly timeOf: (clock: Clock.Clock) => number
  /** When the state was made, in milliseconds of the clock. */
  readonly origin: number
  readonly unsafeGet: () => S
  /** Applies a transition and completes its wakeups. It does not apply the changes of other processes (`incoming`). */
  readonly unsafeStep: <A>(clock: Clock.Clock, take: (state: S, now: number) => Step<A, S>) => A
  /** Applies a transition and continues with its result. */
  readonly step: <A, B, E, R>(
    take: (state: S, now: number) => Step<A, S>,
    next: (value: A) => Effect.Effect<B, E, R>
  ) => Effect.Effect<B, E, R>
  /**
   * Joins the queue, waits until there is an answer, and continues with it. Must be uninterruptible except where it waits
   * (`interruptibly`): an interrupted wait gives up its place and whatever it was granted.
   */
  readonly waitInQueue: <A extends Answer, B, E, R, Ticket = number>(
    queue: Queue<A, S, Ticket>,
    interruptibly: Interruptibly,
    next: (answer: A) => Effect.Effect<B, E, R>
  ) => Effect.Effect<B, E, R>
}

const isWaiting = <A extends Answer, Ticket>(answer: A | Waiting<Ticket>): answer is Waiting<Ticket> =>
  answer._tag === "Waiting"

/** A transition that is applied before every other one: the changes that came from other processes since the last. */
export type Incoming<S> = Effect.Effect<(state: S, now: number) => Step<void, S>>

export const make = <S>(first: S, incoming?: (origin: number) => Incoming<S>): Effect.Effect<SharedState<S>> =>
  Effect.clockWith((clock) =>
    Effect.sync(() => {
      const start = nanos(clock)
      const origin = Number(start) / 1e6
      return { ...around(MutableRef.make(first), start, incoming?.(origin)), origin }
    })
  )

const around = <S>(
  cell: MutableRef.MutableRef<S>,
  origin: bigint,
  incoming: Incoming<S> | undefined
): Omit<SharedState<S>, "origin"> => {
  const timeOf = (clock: Clock.Clock): number => Number(nanos(clock) - origin) / 1e6

  const unsafeStep: SharedState<S>["unsafeStep"] = (clock, take) => {
    const [{ value, wakeups }, after] = take(cell.current, timeOf(clock))
    cell.current = after
    for (const wakeup of wakeups) Deferred.unsafeDone(wakeup, Effect.void)
    return value
  }

  const step: SharedState<S>["step"] =
    incoming === undefined
      ? (take, next) => Effect.withFiberRuntime((fiber) => next(unsafeStep(clockOf(fiber), take)))
      : (take, next) =>
          Effect.flatMap(incoming, (prepare) =>
            Effect.clockWith((clock) => {
              unsafeStep(clock, prepare)
              return next(unsafeStep(clock, take))
            })
          )

  /**
   * Waits for the wakeup, which a timer completes at `until`. A race would need two fibers for one, and a fiber that is
   * interrupted between forking them and starting them never ends.
   */
  const awaitWakeup = (wakeup: Wakeup, until: number, interruptibly: Interruptibly): Effect.Effect<void> =>
    until === Infinity
      ? interruptibly(Deferred.await(wakeup))
      : Effect.clockWith((clock) => {
          const delay = timerDelay(until - timeOf(clock))
          const timeout = Effect.zipRight(Effect.sleep(delay), Deferred.succeed(wakeup, undefined))
          return Effect.flatMap(Effect.fork(Effect.interruptible(timeout)), (timer) =>
            Effect.ensuring(interruptibly(Deferred.await(wakeup)), Fibers.interrupt(timer))
          )
        })

  const waitInQueue: SharedState<S>["waitInQueue"] = <A extends Answer, B, E, R, Ticket = number>(
    { giveUp, join, look }: Queue<A, S, Ticket>,
    interruptibly: Interruptibly,
    next: (answer: A) => Effect.Effect<B, E, R>
  ) => {
    const ask = (question: (state: S, now: number, wakeup: Wakeup) => Step<A | Waiting<Ticket>, S>) =>
      Effect.flatMap(Deferred.make<void>(), (wakeup): Effect.Effect<B, E, R> =>
        step(
          (state, now) => question(state, now, wakeup),
          (answer) => (isWaiting(answer) ? wait(answer, wakeup) : next(answer))
        )
      )
    const wait = ({ ticket, until }: Waiting<Ticket>, wakeup: Wakeup): Effect.Effect<B, E, R> =>
      Effect.zipRight(
        Effect.onError(awaitWakeup(wakeup, until, interruptibly), () =>
          step((state, now) => giveUp(state, now, ticket), Effect.succeed)
        ),
        ask((state, now, next) => look(state, now, ticket, next))
      )
    return ask(join)
  }

  return { timeOf, unsafeGet: () => cell.current, unsafeStep, step, waitInQueue }
}
