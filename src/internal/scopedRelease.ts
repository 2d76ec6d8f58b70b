/** Resources of a scope, for the path of every call. */
import { Effect, Scope } from "effect"

/**
 * `Effect.acquireRelease` at a fraction of its cost: the release does not inherit the `FiberRef`s of the acquiring fiber, so that
 * they are neither compared nor copied. Only for releases that read none.
 */
export const acquireRelease = <A, E, R>(
  acquire: Effect.Effect<A, E, R>,
  release: (acquired: A) => Effect.Effect<void>
): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.uninterruptible(
    Effect.flatMap(Effect.scope, (scope) =>
      Effect.tap(acquire, (acquired) => Scope.addFinalizer(scope, release(acquired)))
    )
  )
