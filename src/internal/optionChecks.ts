/** What options are checked for, by pools and balances alike: every fault is told with its place. */
import { Duration, Option } from "effect"

/** What a length of time may be. */
export interface Kind {
  readonly name: string
  readonly includes: (millis: number) => boolean
}

export const anyLength: Kind = { name: "possible", includes: (millis) => millis >= 0 }

export const positive: Kind = { name: "positive", includes: (millis) => millis > 0 }

export const finite: Kind = { name: "positive and finite", includes: (millis) => millis > 0 && millis < Infinity }

export interface Checks {
  readonly faults: Array<string>
  /** A length of time, in milliseconds. */
  readonly millis: (path: string, input: Duration.DurationInput, kind: Kind) => number
  readonly number: (path: string, value: number, isRight: boolean, kind: string) => number
  /** How much longer each rest is than the one before. */
  readonly factor: (path: string, value: number | undefined) => number
}

/** A whole number of at least this much, or no end. */
export const isWhole = (value: number, least: number): boolean =>
  (Number.isInteger(value) || value === Infinity) && value >= least

/** A number from 0 to 1. */
export const isShare = (value: number): boolean => value >= 0 && value <= 1

/**
 * Reads the options of a constructor that has no error to fail with, and throws where they make no sense.
 *
 * @throws TypeError which tells every fault with its place
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
    millis: (path, input, kind) => {
      const decoded = Option.map(Duration.decodeUnknown(input), Duration.toMillis)
      // Effect reads a negative number, and one that is none, as no time at all.
      const isNumber = (typeof input !== "number" && typeof input !== "bigint") || input >= 0
      const isNegative = typeof input === "string" && input.trim().startsWith("-")
      if (!isNumber || isNegative || !Option.exists(decoded, kind.includes))
        faults.push(`${path}: must be a ${kind.name} duration`)
      return Option.getOrElse(decoded, () => 0)
    },
    number,
    factor: (path, value = 2) => number(path, value, value >= 1 && value < Infinity, "a number of at least 1")
  }
}
