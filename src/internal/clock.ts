/** Time that never runs backwards, whatever is done to the wall clock, and how far ahead one can be woken. */
import type { Clock } from "effect"

/** Milliseconds since a fixed moment. */
export const now = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6

/** JavaScript's timers run no longer, in milliseconds: one that is set to more goes off at once. */
export const longestTimer = 2 ** 31 - 1
