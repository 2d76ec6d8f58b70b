/** Waits for a condition instead of a duration. */
import { Effect } from "effect"

/** Sleeps 10 ms of real time, also under a test clock. */
const pause = Effect.async<void>((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 10)
  return Effect.sync(() => clearTimeout(timer))
})

/** The first value that satisfies the predicate, polled every 10 ms. There is no limit: the timeout of the test ends it. */
export const until = <A, E, R>(
  value: Effect.Effect<A, E, R>,
  predicate: (value: A) => boolean
): Effect.Effect<A, E, R> =>
  Effect.flatMap(value, (read) =>
    predicate(read)
      ? Effect.succeed(read)
      : Effect.zipRight(
          pause,
          Effect.suspend(() => until(value, predicate))
        )
  )

/** Waits until the condition holds, polled every 10 ms. There is no limit: the timeout of the test ends it. */
export const eventually = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.asVoid(until(condition, (holds) => holds))
