/** Interrupts a fiber at one of its steps: it yields, and is interrupted before it goes on. */
import type { Duration, Fiber } from "effect"
import { expect, onTestFinished } from "vitest"

/** A law about interruption at each step proves nothing when a call has hardly any steps at which a test can interrupt it. */
const leastInterruptions = 10

let interruptions = 0

/** For `shouldYield` of a scheduler, whose answer it is. */
export const interruptNow = (fiber: Fiber.Fiber<unknown, unknown>): number | false => {
  if (interruptions === 0) {
    onTestFinished(() => {
      const made = interruptions
      interruptions = 0
      expect(made, "interruptions at a step in this test").toBeGreaterThanOrEqual(leastInterruptions)
    })
  }
  interruptions++
  queueMicrotask(() => fiber.interruptUnsafe())
  return 0
}

/** Everything that was interrupted ends, also on a busy machine. */
export const patienceOf = (_: Duration.Input): Duration.Input => "1 minute"
