/** Tracks whether Redis is available: a failed command sets `"away"`, a successful probe sets `"up"`. */
import type { Scope, Stream } from "effect"
import { Duration, Effect, Ref, Schedule, SubscriptionRef } from "effect"
import { inBackground } from "../../internal/background.js"
import type { Availability, RedisError } from "../model.js"

interface Dependencies {
  /** A command that succeeds only on a usable Redis. */
  readonly probe: Effect.Effect<unknown, RedisError>
  /** Ends when the connection breaks. */
  readonly lost: Effect.Effect<string>
  /** Why Redis refuses the login; undefined when it does not. */
  readonly refusal: () => string | undefined
  readonly probeInterval: Duration.Duration
}

export interface AvailabilityMonitor {
  readonly status: Effect.Effect<Availability>
  readonly changes: Stream.Stream<Availability>
  /** Sets `"away"` after a failed command. */
  readonly reportFailure: (error: RedisError) => Effect.Effect<void>
}

/** Probes once before it returns, and then until the scope closes whenever Redis is away. */
export const make = (dependencies: Dependencies): Effect.Effect<AvailabilityMonitor, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ref = yield* SubscriptionRef.make<Availability>("up")
    const away = yield* Effect.makeLatch(false)

    // A refused login often shows only after the connection is lost, and again at each attempt to connect: log it once.
    const loggedRefusal = yield* Ref.make<string | undefined>(undefined)

    const markAway = (detail: string): Effect.Effect<void> =>
      Effect.gen(function* () {
        const refusal = dependencies.refusal()
        const isNewRefusal = (yield* Ref.getAndSet(loggedRefusal, refusal)) !== refusal && refusal !== undefined
        const previous = yield* SubscriptionRef.get(ref)
        if (previous === "up") {
          yield* SubscriptionRef.set(ref, "away")
          yield* away.open
        }
        if (previous === "up" || isNewRefusal) yield* Effect.logWarning(`Redis is away: ${refusal ?? detail}`)
      })

    const markUp = Effect.gen(function* () {
      yield* away.close
      yield* Ref.set(loggedRefusal, undefined)
      yield* SubscriptionRef.set(ref, "up")
      yield* Effect.logInfo("Redis is back")
    })

    const maxPause = dependencies.probeInterval
    const probeSchedule = Schedule.exponential(Duration.times(maxPause, 0.1)).pipe(
      Schedule.union(Schedule.spaced(maxPause)),
      Schedule.jittered
    )

    const probe = Effect.tapError(dependencies.probe, (error) => markAway(error.detail))
    yield* Effect.ignore(probe)
    yield* inBackground(
      Effect.forever(
        Effect.zipRight(away.await, Effect.zipRight(Effect.retry(probe, probeSchedule), Effect.uninterruptible(markUp)))
      )
    )
    yield* inBackground(Effect.forever(Effect.flatMap(dependencies.lost, markAway)))

    return {
      status: SubscriptionRef.get(ref),
      changes: ref.changes,
      reportFailure: (error) => Effect.uninterruptible(markAway(error.detail))
    }
  })
