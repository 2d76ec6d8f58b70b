/** The end of a process whose shutdown hangs. */
import type { Scope } from "effect"
import { Duration, Effect, FiberSet } from "effect"

/** How long a shutdown may take beyond the grace: clients are told, what is shared is given back, and spans are sent. */
const extraTime = Duration.millis(1750)

/**
 * The effect with which a shutdown begins: from then on `exit` runs 1.75 seconds after the end of `grace`, unless the
 * scope has been closed before. Open that scope before everything that the shutdown closes.
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
              "The shutdown takes longer than it may, so the process ends without closing everything. What it held in Redis is free when its lease ends. Please report this."
            ),
            exit
          ),
          Duration.sum(grace, extraTime)
        )
      )
    )
  )
