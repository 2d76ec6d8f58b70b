/** Exponential backoff: its options, and the delay after a number of failures. */
import type { Duration } from "effect"
import type { Checks, DurationRange } from "../internal/optionChecks.js"

/**
 * An exponential backoff: the delay before the next attempt, or the length of a cooldown, after consecutive failures. The defaults
 * are those of the option that has this type.
 *
 * @since 0.2.0
 * @category model
 */
export interface Backoff {
  /** The delay after the first failure. */
  readonly base?: Duration.DurationInput
  /** The growth of the delay after each further failure, at least 1. */
  readonly factor?: number
  /** The maximum delay. */
  readonly max?: Duration.DurationInput
  /** The random share of each delay, from 0 (none) to 1 (full jitter). */
  readonly jitter?: number
}

/** The growth of a backoff; durations in milliseconds. */
export interface Growth {
  readonly base: number
  readonly factor: number
  readonly max: number
}

/** Reads the growth of a backoff. The default factor is 2. */
export const growthOf = (
  { millis, number }: Checks,
  path: string,
  backoff: Backoff,
  defaults: Required<Pick<Backoff, "base" | "max">>,
  range: DurationRange
): Growth => {
  const { base = defaults.base, factor = 2, max = defaults.max } = backoff
  return {
    base: millis(`${path}.base`, base, range),
    factor: number(`${path}.factor`, factor, factor >= 1 && factor < Infinity, "a number of at least 1"),
    max: millis(`${path}.max`, max, range)
  }
}

/** The delay after a number of failures (1 for the first), without jitter. */
export const delayAfter = ({ base, factor, max }: Growth, failures: number): number =>
  Math.min(max, base * factor ** (failures - 1))
