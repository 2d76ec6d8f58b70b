/** Exits a process whose shutdown hangs. */
import type { Scope } from "effect"
import { Duration, Effect, FiberSet } from "effect"

/** The time of a shutdown after the grace period: clients get an error, shared leases are released, and spans are sent. */
const extraTime = Duration.millis(1750)

/**
 * Returns the effect that starts the timer of a shutdown: `exit` runs 1.75 seconds after the end of `grace`, unless the
 * scope is closed before. Open that scope before everything that the shutdown closes.
 */
export const make = (
  grace: Duration.Duration,
  exit: Effect.Effect<void>
): Effect.Effect<Effect.Effect<void>, never, Scope.Scope> =>
  Effect.map(FiberSet.make<void>(), (fibers) =>
    Effect.asVoid(
      FiberSet.run(
        fibers,
        Effect.delay(
          Effect.zipRight(
            Effect.logWarning(
              "The shutdown did not finish in time, so the process exits without closing everything. Its leases in Redis expire on their own. Please report this."
            ),
            exit
          ),
          Duration.sum(grace, extraTime)
        )
      )
    )
  )
