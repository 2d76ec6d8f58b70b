/** Interrupts a fiber at one of its steps: it yields, and is interrupted before it goes on. */
import type { Duration, Fiber } from "effect"

/** For `shouldYield` of a scheduler, whose answer it is. */
export const interruptNow = (fiber: Fiber.Fiber<unknown, unknown>): number | false => {
  queueMicrotask(() => fiber.interruptUnsafe())
  return 0
}

/** Everything that was interrupted ends, also on a busy machine. */
export const patienceOf = (_: Duration.Input): Duration.Input => "1 minute"
