/** Whether Redis is there: told by the commands that fail, and by a probe once they have. */
import type { Scope, Stream } from "effect"
import { Duration, Effect, Schedule, SubscriptionRef } from "effect"
import type { Availability, RedisError } from "./Redis.js"

interface Terms {
  /** Does something that only a Redis does which is of use. */
  readonly probe: Effect.Effect<unknown, RedisError>
  /** Ends when the connection breaks. */
  readonly lost: Effect.Effect<string>
  readonly probeInterval: Duration.Duration
}

export interface Availabilities {
  readonly status: Effect.Effect<Availability>
  readonly changes: Stream.Stream<Availability>
  /** A command found that Redis is away. */
  readonly failed: (error: RedisError) => Effect.Effect<void>
}

/** Probes before it returns, and then for as long as the scope is open whenever Redis is away. */
export const make = (terms: Terms): Effect.Effect<Availabilities, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ref = yield* SubscriptionRef.make<Availability>("up")
    const away = yield* Effect.makeLatch(false)

    const leave = (why: string): Effect.Effect<void> =>
      Effect.flatMap(SubscriptionRef.get(ref), (before) =>
        before === "away"
          ? Effect.void
          : Effect.zipRight(
              SubscriptionRef.set(ref, "away"),
              Effect.zipRight(away.open, Effect.logWarning(`Redis is away: ${why}`))
            )
      )

    const back = Effect.zipRight(
      away.close,
      Effect.zipRight(SubscriptionRef.set(ref, "up"), Effect.logInfo("Redis is back"))
    )

    const longest = terms.probeInterval
    const pauses = Schedule.exponential(Duration.times(longest, 0.1)).pipe(
      Schedule.union(Schedule.spaced(longest)),
      Schedule.jittered
    )

    yield* Effect.catchAll(terms.probe, (error) => leave(error.detail))
    yield* Effect.forkScoped(
      Effect.forever(
        Effect.zipRight(away.await, Effect.zipRight(Effect.retry(terms.probe, pauses), Effect.uninterruptible(back)))
      )
    )
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(terms.lost, leave)))

    return {
      status: SubscriptionRef.get(ref),
      changes: ref.changes,
      failed: (error) => Effect.uninterruptible(leave(error.detail))
    }
  })
