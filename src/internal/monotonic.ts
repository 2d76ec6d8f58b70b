/** Time that never runs backwards, whatever is done to the wall clock. */
import type { Clock } from "effect"

/** Milliseconds since a fixed moment. */
export const now = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6
