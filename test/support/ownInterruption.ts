/** Interrupts a fiber at one of its steps: one module, since a fiber of Effect 4 must not run while it is interrupted from outside. */
import type { Fiber } from "effect"
import { FiberId } from "effect"

/** For `shouldYield` of a scheduler, whose answer it is. */
export const interruptNow = (fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false => {
  fiber.unsafeInterruptAsFork(FiberId.none)
  return false
}
