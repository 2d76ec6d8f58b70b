/** Fibers that run for as long as a scope is open. */
import type { Fiber, Scope } from "effect"
import { Effect } from "effect"

/**
 * Runs an effect in the background until the scope closes. A fiber forked in an uninterruptible region inherits that, and closing
 * its scope would wait for it for ever: this one is interruptible wherever it is forked, such as in a reload.
 */
export const inBackground = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R | Scope.Scope> => Effect.forkScoped(Effect.interruptible(effect))
