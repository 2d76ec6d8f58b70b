/** Monotonic time, which does not change with the wall clock, and the longest delay of a timer. */
import type { Fiber } from "effect"
import { Clock, Context, Effect } from "effect"

/** The clock of the machine, as opposed to that of a test: the one that fibers have, since `Clock.defaultValue` makes another. */
export const liveClock: Clock.Clock = Context.get(Context.empty(), Clock.Clock)

/** The clock of a fiber. */
export const clockOf = (fiber: Fiber.Fiber<unknown, unknown>): Clock.Clock => fiber.getRef(Clock.Clock)

/** Runs a synchronous change with the clock of the fiber: one step, which is run whole or not at all. */
export const synchronously = (change: (clock: Clock.Clock) => void): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    change(clockOf(fiber))
    return Effect.void
  })

/**
 * The wall clock at the origin of the monotonic time of the machine, in whole milliseconds: processes compare the times that they share.
 * The nanoseconds of `Clock` are those of the wall clock, which can go back.
 */
const origin = (BigInt(Date.now()) - liveClock.monotonicTimeNanosUnsafe() / 1_000_000n) * 1_000_000n

/** Nanoseconds since a fixed moment. */
export const nanos = (clock: Clock.Clock): bigint =>
  clock === liveClock ? origin + clock.monotonicTimeNanosUnsafe() : clock.monotonicTimeNanosUnsafe()

/** Milliseconds since the same moment: whole ones are exact. */
export const now = (clock: Clock.Clock): number => Number(nanos(clock) / 1000n) / 1e3

/** Whole milliseconds since the same moment: differences of deadlines are exact, and timers take no fractions. */
export const wholeNow = (clock: Clock.Clock): number => Number(nanos(clock) / 1_000_000n)

/** The longest delay of a JavaScript timer, in milliseconds: a longer one fires at once. */
export const longestTimer = 2 ** 31 - 1

/** The delay of a timer for a wait. Timers have whole milliseconds: one that fires early would only start again. */
export const timerDelay = (millis: number): number => Math.min(Math.ceil(millis), longestTimer)
