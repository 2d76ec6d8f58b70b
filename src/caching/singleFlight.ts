/**
 * Single flight: concurrent requests with one key share one run. The first runs in its own fiber and under its own limits; the
 * others wait for its result. When it is interrupted, the next waiting request runs instead.
 */
import { Cause, Deferred, Effect, Exit, FiberId, Option } from "effect"

interface Flight<A, E> {
  /** Deadline of the request that runs, in milliseconds since the epoch. */
  readonly deadline: number
  /** Made by the first request that waits. */
  exit: Deferred.Deferred<Exit.Exit<A, E>> | undefined
  /** The value that was published before the run has ended. */
  published: A | undefined
}

export type SingleFlight<A, E> = Map<string, Flight<A, E>>

export interface Options<E> {
  readonly key: string
  /** Deadline of this request, in milliseconds since the epoch. */
  readonly deadline: number
  /** Whether a request with a later deadline can succeed where one failed with this error. */
  readonly dependsOnDeadline: (error: E) => boolean
  /** The error for the requests that waited. */
  readonly toSharedError: (error: E) => E
}

export interface Outcome<A> {
  readonly value: A
  /** Whether the value comes from the run of another request. */
  readonly shared: boolean
}

/**
 * Runs, or waits for the run in flight. A run can publish its value before it ends: waiting requests then do not wait for the
 * rest of the run, such as the write to a store.
 *
 * Errors are shared as well, except those that depend on the deadline: a request with a later deadline runs itself.
 */
export const share = <A, E, R>(
  flights: SingleFlight<A, E>,
  { deadline, dependsOnDeadline, key, toSharedError }: Options<E>,
  run: (publish: (value: A) => void) => Effect.Effect<A, E, R>
): Effect.Effect<Outcome<A>, E, R> => {
  const complete = (flight: Flight<A, E>, exit: Exit.Exit<A, E>): void => {
    if (flight.exit !== undefined) Deferred.unsafeDone(flight.exit, Effect.succeed(exit))
  }

  const runFlight = Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const flight: Flight<A, E> = { deadline, exit: undefined, published: undefined }
      flights.set(key, flight)
      const publish = (value: A): void => {
        flight.published = value
        complete(flight, Exit.succeed(value))
      }
      return Effect.map(
        Effect.onExit(restore(run(publish)), (exit) =>
          Effect.sync(() => {
            if (flights.get(key) === flight) flights.delete(key)
            complete(flight, exit)
          })
        ),
        (value): Outcome<A> => ({ value, shared: false })
      )
    })
  )

  const awaitFlight = (flight: Flight<A, E>): Effect.Effect<Outcome<A>, E, R> => {
    if (flight.published !== undefined) return Effect.succeed({ value: flight.published, shared: true })
    flight.exit ??= Deferred.unsafeMake(FiberId.none)
    return Effect.flatMap(
      Deferred.await(flight.exit),
      Exit.match({
        onSuccess: (value): Effect.Effect<Outcome<A>, E, R> => Effect.succeed({ value, shared: true }),
        onFailure: (cause) =>
          Cause.isInterrupted(cause) ||
          (deadline > flight.deadline && Option.exists(Cause.failureOption(cause), dependsOnDeadline))
            ? join
            : Effect.failCause(Cause.map(cause, toSharedError))
      })
    )
  }

  const join: Effect.Effect<Outcome<A>, E, R> = Effect.suspend(() => {
    const flight = flights.get(key)
    return flight === undefined ? runFlight : awaitFlight(flight)
  })
  return join
}
