/** Monotonic time, which does not change with the wall clock, and the longest delay of a timer. */
import type { Fiber } from "effect"
import { Clock, Context, DefaultServices, Effect } from "effect"

/** The clock of the machine, as opposed to that of a test. */
export const liveClock = Context.get(DefaultServices.liveServices, Clock.Clock)

/** The clock of a fiber. */
export const clockOf = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Clock.Clock =>
  Context.get(fiber.currentDefaultServices, Clock.Clock)

/** Runs a synchronous change with the clock of the fiber: one step, which is run whole or not at all. */
export const synchronously = (change: (clock: Clock.Clock) => void): Effect.Effect<void> =>
  Effect.withFiberRuntime((fiber) => {
    change(clockOf(fiber))
    return Effect.void
  })

/** Nanoseconds since a fixed moment. */
export const nanos = (clock: Clock.Clock): bigint => clock.unsafeCurrentTimeNanos()

/** Milliseconds since the same moment. */
export const now = (clock: Clock.Clock): number => Number(nanos(clock)) / 1e6

/** Whole milliseconds since the same moment: differences of deadlines are exact, and timers take no fractions. */
export const wholeNow = (clock: Clock.Clock): number => Number(nanos(clock) / 1_000_000n)

/** The longest delay of a JavaScript timer, in milliseconds: a longer one fires at once. */
export const longestTimer = 2 ** 31 - 1

/** The delay of a timer for a wait. Timers have whole milliseconds: one that fires early would only start again. */
export const timerDelay = (millis: number): number => Math.min(Math.ceil(millis), longestTimer)
