/** The first of two effects to end. */
import { Deferred, Effect, Fiber } from "effect"

/**
 * Ends with the result of the first effect to end, after the other has been interrupted.
 *
 * Unlike `Effect.raceFirst`, it ends when its fiber is interrupted between forking the two fibers and starting them.
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
