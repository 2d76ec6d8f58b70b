/** Observes, awaits, joins and interrupts fibers: one module, since Effect 4 does it in another way. */
import type { Exit } from "effect"
import { Fiber, FiberId } from "effect"

/** Observes the exit of a fiber. The result stops it. */
export const observe = <A, E>(
  fiber: Fiber.RuntimeFiber<A, E>,
  listener: (exit: Exit.Exit<A, E>) => void
): (() => void) => {
  fiber.addObserver(listener)
  return () => fiber.removeObserver(listener)
}

/** Waits for the exit. */
export const awaitExit = Fiber.await

/** Waits for the value, and fails as the fiber does. */
export const join = Fiber.join

/** Interrupts, and waits for the exit. */
export const interrupt = Fiber.interrupt

/** Interrupts all, and waits for their exits. */
export const interruptAll = Fiber.interruptAll

/** Interrupts without waiting. */
export const interruptFork = Fiber.interruptFork

/** Interrupts from plain code, without waiting. */
export const unsafeInterrupt = <A, E>(fiber: Fiber.RuntimeFiber<A, E>): void =>
  fiber.unsafeInterruptAsFork(FiberId.none)

/** The fiber that runs this code, if one does. */
export const current = Fiber.getCurrentFiber
