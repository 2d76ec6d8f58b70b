/** Checks of options, which collect every fault with its path. */
import { Duration, Option } from "effect"

/** A range of durations. */
export interface DurationRange {
  readonly name: string
  readonly includes: (millis: number) => boolean
}

export const anyLength: DurationRange = { name: "possible", includes: (millis) => millis >= 0 }

export const positive: DurationRange = { name: "positive", includes: (millis) => millis > 0 }

export const finite: DurationRange = {
  name: "positive and finite",
  includes: (millis) => millis > 0 && millis < Infinity
}

export interface Checks {
  readonly faults: Array<string>
  /** A duration in milliseconds. */
  readonly millis: (path: string, input: Duration.DurationInput, range: DurationRange) => number
  readonly number: (path: string, value: number, isRight: boolean, kind: string) => number
}

/** Whether a number is an integer of at least `least`, or infinite. */
export const isWhole = (value: number, least: number): boolean =>
  (Number.isInteger(value) || value === Infinity) && value >= least

/** Whether a number is from 0 to 1. */
export const isShare = (value: number): boolean => value >= 0 && value <= 1

/** The most waiting calls of a queue. @default 10,000 */
export const queueLength = (number: Checks["number"], value = 10_000): number =>
  number("maxQueueLength", value, isWhole(value, 1), "a whole number of at least 1")

/**
 * Reads the options of a constructor without an error channel.
 *
 * @throws TypeError with every fault and its path
 */
export const valid = <A>(what: string, read: (checks: Checks) => A): A => {
  const checks = make()
  const options = read(checks)
  if (checks.faults.length > 0) throw new TypeError(`The options of ${what} are not valid. ${checks.faults.join("; ")}`)
  return options
}

export const make = (): Checks => {
  const faults: Array<string> = []
  const number: Checks["number"] = (path, value, isRight, kind) => {
    if (!isRight) faults.push(`${path}: must be ${kind}`)
    return value
  }
  return {
    faults,
    millis: (path, input, range) => {
      const decoded = Option.map(Duration.decodeUnknown(input), Duration.toMillis)
      // `Duration` reads a negative number and NaN as zero.
      const isNumber = (typeof input !== "number" && typeof input !== "bigint") || input >= 0
      const isNegative = typeof input === "string" && input.trim().startsWith("-")
      if (!isNumber || isNegative || !Option.exists(decoded, range.includes))
        faults.push(`${path}: must be a ${range.name} duration`)
      return Option.getOrElse(decoded, () => 0)
    },
    number
  }
}
