/** Whether Redis is there: told by the commands that fail, and by a probe once they have. */
import type { Scope, Stream } from "effect"
import { Duration, Effect, Ref, Schedule, SubscriptionRef } from "effect"
import { inBackground } from "../../internal/background.js"
import type { Availability, RedisError } from "../model.js"

interface Terms {
  /** Does something that only a Redis does which is of use. */
  readonly probe: Effect.Effect<unknown, RedisError>
  /** Ends when the connection breaks. */
  readonly lost: Effect.Effect<string>
  /** Why Redis refuses the login, for as long as it does. */
  readonly refusal: () => string | undefined
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

    // A refused login is often known only after the connection is lost, and each attempt to connect finds it again.
    const named = yield* Ref.make<string | undefined>(undefined)

    const leave = (why: string): Effect.Effect<void> =>
      Effect.gen(function* () {
        const refusal = terms.refusal()
        const isNews = (yield* Ref.getAndSet(named, refusal)) !== refusal && refusal !== undefined
        const before = yield* SubscriptionRef.get(ref)
        if (before === "up") {
          yield* SubscriptionRef.set(ref, "away")
          yield* away.open
        }
        if (before === "up" || isNews) yield* Effect.logWarning(`Redis is away: ${refusal ?? why}`)
      })

    const back = Effect.gen(function* () {
      yield* away.close
      yield* Ref.set(named, undefined)
      yield* SubscriptionRef.set(ref, "up")
      yield* Effect.logInfo("Redis is back")
    })

    const longest = terms.probeInterval
    const pauses = Schedule.exponential(Duration.times(longest, 0.1)).pipe(
      Schedule.union(Schedule.spaced(longest)),
      Schedule.jittered
    )

    const probe = Effect.tapError(terms.probe, (error) => leave(error.detail))
    yield* Effect.ignore(probe)
    yield* inBackground(
      Effect.forever(
        Effect.zipRight(away.await, Effect.zipRight(Effect.retry(probe, pauses), Effect.uninterruptible(back)))
      )
    )
    yield* inBackground(Effect.forever(Effect.flatMap(terms.lost, leave)))

    return {
      status: SubscriptionRef.get(ref),
      changes: ref.changes,
      failed: (error) => Effect.uninterruptible(leave(error.detail))
    }
  })
