/** The departure of one worker alone, in which it still serves the connections that are open. */
import { Duration, Effect, Ref } from "effect"
import * as MonotonicClock from "../../../internal/clock.js"

export interface Departure {
  /** Open when the server accepts no more connections. */
  readonly leaving: Effect.Latch
  /** Open when no connection is open any more. */
  readonly left: Effect.Latch
  /** Begins the grace period, and opens `leaving`. */
  readonly begin: Effect.Effect<void>
  /** What remains of this grace period: all of it until it begins. */
  readonly graceLeft: (grace: Duration.Duration) => Effect.Effect<Duration.Duration>
}

export const make: Effect.Effect<Departure> = Effect.gen(function* () {
  const leaving = yield* Effect.makeLatch()
  const left = yield* Effect.makeLatch()
  /** In milliseconds of the monotonic clock. */
  const monotonicStart = yield* Ref.make<number | undefined>(undefined)
  const now = Effect.map(Effect.clock, MonotonicClock.now)
  return {
    leaving,
    left,
    begin: Effect.flatMap(now, (start) => Effect.zipRight(Ref.set(monotonicStart, start), leaving.open)),
    graceLeft: (grace) =>
      Effect.zipWith(Ref.get(monotonicStart), now, (start, now) =>
        start === undefined ? grace : Duration.subtract(grace, Duration.millis(now - start))
      )
  }
})
