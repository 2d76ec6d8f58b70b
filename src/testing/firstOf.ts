/** Which of two effects ends first. */
import { Deferred, Effect, Fiber } from "effect"

/**
 * Ends as the first of the two does, when the other is interrupted and over.
 *
 * It is what `Effect.raceFirst` does, but for one thing: a fiber never ends that is interrupted after it has made that race's two
 * fibers and before it has started them.
 */
export const firstOf = <A, E, R, E2, R2>(
  self: Effect.Effect<A, E, R>,
  that: Effect.Effect<A, E2, R2>
): Effect.Effect<A, E | E2, R | R2> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const first = yield* Deferred.make<A, E | E2>()
      const fibers = [
        yield* Effect.fork(Effect.intoDeferred(restore(self), first)),
        yield* Effect.fork(Effect.intoDeferred(restore(that), first))
      ]
      return yield* Effect.ensuring(restore(Deferred.await(first)), Fiber.interruptAll(fibers))
    })
  )
