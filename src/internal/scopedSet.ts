/** What a scope holds for as long as it is open. */
import { Effect, Scope } from "effect"

/**
 * What `Effect.acquireRelease` does, for a fraction of its cost: the fiber that closes the scope is not given the `FiberRef`s of the
 * one that acquired, which is a comparison and a copy of all of them. For releases on the way of every call that need none.
 */
export const held = <A, E, R>(
  acquire: Effect.Effect<A, E, R>,
  release: (acquired: A) => Effect.Effect<void>
): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.uninterruptible(
    Effect.flatMap(Effect.scope, (scope) =>
      Effect.tap(acquire, (acquired) => Scope.addFinalizer(scope, release(acquired)))
    )
  )
