/** Fibers that run for as long as a scope is open. */
import type { Fiber, Scope } from "effect"
import { Effect } from "effect"

/**
 * Runs an effect in the background until the scope closes. A fiber that is forked where its parent is uninterruptible inherits
 * that, and the closing of its scope would wait for it for ever: here it can be interrupted wherever it is forked, such as in a
 * reload.
 */
export const inBackground = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R | Scope.Scope> => Effect.forkScoped(Effect.interruptible(effect))
