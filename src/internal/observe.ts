/** Observes the exit of a fiber: one module, since Effect 4 does it in another way. The result stops it. */
import type { Exit, Fiber } from "effect"

export const observe = <A, E>(
  fiber: Fiber.RuntimeFiber<A, E>,
  listener: (exit: Exit.Exit<A, E>) => void
): (() => void) => {
  fiber.addObserver(listener)
  return () => fiber.removeObserver(listener)
}
