/** Observes the exit of a fiber. The result stops it. */
import type { Exit, Fiber } from "effect"

export const observe = <A, E>(fiber: Fiber.Fiber<A, E>, listener: (exit: Exit.Exit<A, E>) => void): (() => void) =>
  fiber.addObserver(listener)
