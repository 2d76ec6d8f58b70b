/** Interrupts a fiber at one of its steps: one module, since a fiber of Effect 4 must not run while it is interrupted from outside. */
import type { Duration, Fiber } from "effect"
import { FiberId } from "effect"

/** For `shouldYield` of a scheduler, whose answer it is. */
export const interruptNow = (fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false => {
  fiber.unsafeInterruptAsFork(FiberId.none)
  return false
}

/** How long to wait for the end of what was interrupted. A `Stream` of Effect 3.22 that is interrupted in its last steps never ends. */
export const patienceOf = (patience: Duration.DurationInput): Duration.DurationInput => patience
