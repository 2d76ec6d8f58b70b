/** Durations in messages to people. */
import { Duration } from "effect"

const minute = 60_000

/** `Duration.format` cannot format a longer time in milliseconds. */
const longest = Number.MAX_SAFE_INTEGER

const roundUp = (millis: number): number => {
  const whole = Math.ceil(millis)
  return whole < minute ? whole : Math.ceil(millis / 1000) * 1000
}

/**
 * Formats a duration, or milliseconds, for people: `250ms`, `1s 500ms`, `2m 5s`. Rounds up to whole milliseconds, and from a minute on to
 * whole seconds, so that a wait is never stated as shorter than it is.
 */
export const durationText = (duration: Duration.DurationInput): string => {
  const millis = Duration.toMillis(duration)
  if (millis > longest) return "forever"
  return millis === 0 ? "0ms" : Duration.format(Duration.millis(roundUp(millis)))
}
