/**
 * One run for those who ask the same at the same time. The first runs it, in its own fiber and under its own limits; the others
 * wait for what it brings. When it is interrupted, the next of those who wait runs it.
 */
import { Cause, Deferred, Effect, Exit, FiberId } from "effect"

interface Flight<A, E> {
  /** When whoever runs it gives up, in milliseconds since the epoch. */
  readonly deadline: number
  /** Made by the first who waits. */
  landed: Deferred.Deferred<Exit.Exit<A, E>> | undefined
  /** What it has brought, while it is still being kept. */
  brought: A | undefined
}

export type SingleFlight<A, E> = Map<string, Flight<A, E>>

export interface Options<E> {
  readonly key: string
  /** When the one who asks gives up, in milliseconds since the epoch. */
  readonly deadline: number
  /** Whether one with more time may fare better. */
  readonly wantsTime: (error: E) => boolean
  /** The failure as those see it who waited. */
  readonly toFollower: (error: E) => E
}

export interface Outcome<A> {
  readonly value: A
  /** Whether another call brought it. */
  readonly followed: boolean
}

/**
 * Runs, or waits for who runs already. By the function that it is given a run may bring its value before it has ended: those
 * who wait do not wait for what it does afterwards.
 *
 * They share its failure too, unless it lacked time and they have more of it.
 */
export const share = <A, E, R>(
  flights: SingleFlight<A, E>,
  { deadline, key, toFollower, wantsTime }: Options<E>,
  run: (bring: (value: A) => void) => Effect.Effect<A, E, R>
): Effect.Effect<Outcome<A>, E, R> => {
  const end = (flight: Flight<A, E>, exit: Exit.Exit<A, E>): void => {
    if (flight.landed !== undefined) Deferred.unsafeDone(flight.landed, Effect.succeed(exit))
  }

  const lead = Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const flight: Flight<A, E> = { deadline, landed: undefined, brought: undefined }
      flights.set(key, flight)
      const bring = (value: A): void => {
        flight.brought = value
        end(flight, Exit.succeed(value))
      }
      return Effect.map(
        Effect.onExit(restore(run(bring)), (exit) =>
          Effect.sync(() => {
            if (flights.get(key) === flight) flights.delete(key)
            end(flight, exit)
          })
        ),
        (value): Outcome<A> => ({ value, followed: false })
      )
    })
  )

  const follow = (flight: Flight<A, E>): Effect.Effect<Outcome<A>, E, R> => {
    if (flight.brought !== undefined) return Effect.succeed({ value: flight.brought, followed: true })
    flight.landed ??= Deferred.unsafeMake(FiberId.none)
    return Effect.flatMap(
      Deferred.await(flight.landed),
      Exit.match({
        onSuccess: (value): Effect.Effect<Outcome<A>, E, R> => Effect.succeed({ value, followed: true }),
        onFailure: (cause) =>
          Cause.isInterrupted(cause) || (cause._tag === "Fail" && deadline > flight.deadline && wantsTime(cause.error))
            ? enter
            : Effect.failCause(Cause.map(cause, toFollower))
      })
    )
  }

  const enter: Effect.Effect<Outcome<A>, E, R> = Effect.suspend(() => {
    const flight = flights.get(key)
    return flight === undefined ? lead : follow(flight)
  })
  return enter
}
