/**
 * Steps of a state that many calls share, and how a call waits for its turn: whoever takes a step rings the bells of those whom
 * it concerns, and they look again.
 */
import type { Clock } from "effect"
import { Deferred, Effect, Fiber, Ref } from "effect"
import { longestTimer } from "./clock.js"

/** Tells a waiting call to look again: rung as often as anybody likes, heard once. */
export type Wakeup = Deferred.Deferred<void>

/** What a step leads to, and the bells to be rung for it. */
export interface Turn<A> {
  readonly value: A
  readonly bells: ReadonlyArray<Wakeup>
}

export type Step<A, S> = readonly [Turn<A>, S]

/** The answer to a call that stands in line. */
export interface Waiting {
  readonly _tag: "Waiting"
  readonly ticket: number
  /** When to look again even if no bell rings. */
  readonly until: number
}

/** A call that must wait has not been put in the line: it brought no bell. */
export interface Unready {
  readonly _tag: "Unready"
}

export const unready: Unready = { _tag: "Unready" }

export const noWakeup: ReadonlyArray<Wakeup> = []

interface Answer {
  readonly _tag: string
}

/** How a call stands in line. Times are in milliseconds. */
export interface Line<A extends Answer, S> {
  readonly join: (state: S, now: number, bell: Wakeup) => Step<A | Waiting, S>
  /** Looks again, with a new bell for the next time. */
  readonly look: (state: S, now: number, ticket: number, bell: Wakeup) => Step<A | Waiting, S>
  readonly giveUp: (state: S, now: number, ticket: number) => Step<void, S>
}

export type Interruptibly = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** The rim around a state: it reads the clock, takes one step at a time in a `Ref`, and rings bells. */
export interface Rim<S> {
  /** In milliseconds since the rim was made; it never runs backwards. */
  readonly timeOf: (clock: Clock.Clock) => number
  /** When the rim was made, in milliseconds of the clock. */
  readonly origin: number
  /**
   * Takes a step, and goes on with what it leads to. Must not be interrupted: a bell that is not rung is a call that waits in
   * vain.
   */
  readonly step: <A, B, E, R>(
    take: (state: S, now: number) => Step<A, S>,
    next: (value: A) => Effect.Effect<B, E, R>
  ) => Effect.Effect<B, E, R>
  /**
   * Stands in line until there is an answer, and goes on with that. Must not be interrupted but where it waits, `interruptibly`:
   * then it gives up what it may have got.
   */
  readonly attend: <A extends Answer, B, E, R>(
    line: Line<A, S>,
    interruptibly: Interruptibly,
    next: (answer: A) => Effect.Effect<B, E, R>
  ) => Effect.Effect<B, E, R>
  readonly ref: Ref.Ref<S>
}

const isWaiting = (answer: Answer): answer is Waiting => answer._tag === "Waiting"

/** A step that goes before every other: what has come from outside since the last one. */
export type Outside<S> = Effect.Effect<(state: S, now: number) => Step<void, S>>

export const make = <S>(first: S, outside?: (origin: number) => Outside<S>): Effect.Effect<Rim<S>> =>
  Effect.zipWith(Ref.make(first), Effect.clock, (ref, clock) => {
    const start = clock.unsafeCurrentTimeNanos()
    const origin = Number(start) / 1e6
    return { ...around(ref, start, outside?.(origin)), origin }
  })

const around = <S>(ref: Ref.Ref<S>, origin: bigint, outside: Outside<S> | undefined): Omit<Rim<S>, "origin"> => {
  const timeOf = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos() - origin) / 1e6

  const plain: Rim<S>["step"] = (take, next) =>
    Effect.clockWith((clock) =>
      Effect.flatMap(
        Ref.modify(ref, (state) => take(state, timeOf(clock))),
        ({ bells, value }) => (bells.length === 0 ? next(value) : Effect.zipRight(sound(bells), next(value)))
      )
    )

  const step: Rim<S>["step"] =
    outside === undefined
      ? plain
      : (take, next) =>
          Effect.flatMap(outside, (prepare) =>
            plain((state, now) => {
              const [{ bells: early }, prepared] = prepare(state, now)
              const [{ bells, value }, after] = take(prepared, now)
              return [{ value, bells: early.length === 0 ? bells : [...early, ...bells] }, after]
            }, next)
          )

  /**
   * Waits for the bell, which rings by itself when it is time. A race would do the same with two fibers for one, and a fiber
   * never ends that is interrupted after it has made those two and before it has started them.
   */
  const heard = (bell: Wakeup, until: number, interruptibly: Interruptibly): Effect.Effect<void> =>
    until === Infinity
      ? interruptibly(Deferred.await(bell))
      : Effect.clockWith((clock) => {
          const millis = Math.min(Math.ceil(until - timeOf(clock)), longestTimer)
          const alarm = Effect.zipRight(Effect.sleep(millis), Deferred.succeed(bell, undefined))
          return Effect.flatMap(Effect.fork(Effect.interruptible(alarm)), (timer) =>
            Effect.ensuring(interruptibly(Deferred.await(bell)), Fiber.interrupt(timer))
          )
        })

  const attend: Rim<S>["attend"] = <A extends Answer, B, E, R>(
    { giveUp, join, look }: Line<A, S>,
    interruptibly: Interruptibly,
    next: (answer: A) => Effect.Effect<B, E, R>
  ) => {
    const ask = (question: (state: S, now: number, bell: Wakeup) => Step<A | Waiting, S>) =>
      Effect.flatMap(Deferred.make<void>(), (bell): Effect.Effect<B, E, R> =>
        step(
          (state, now) => question(state, now, bell),
          (answer) => (isWaiting(answer) ? wait(answer, bell) : next(answer))
        )
      )
    const wait = ({ ticket, until }: Waiting, bell: Wakeup): Effect.Effect<B, E, R> =>
      Effect.zipRight(
        Effect.onError(heard(bell, until, interruptibly), () =>
          step((state, now) => giveUp(state, now, ticket), Effect.succeed)
        ),
        ask((state, now, bell) => look(state, now, ticket, bell))
      )
    return ask(join)
  }

  return { timeOf, step, attend, ref }
}

const sound = (bells: ReadonlyArray<Wakeup>): Effect.Effect<void> =>
  Effect.forEach(bells, (bell) => Deferred.succeed(bell, undefined), { discard: true })
