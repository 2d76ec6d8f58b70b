/** Monotonic time, which does not change with the wall clock, and the longest delay of a timer. */
import type { Clock } from "effect"

/** Milliseconds since a fixed moment. */
export const now = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6

/** The longest delay of a JavaScript timer, in milliseconds: a longer one fires at once. */
export const longestTimer = 2 ** 31 - 1
