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
      const isNumber = typeof input !== "number" || input >= 0
      if (!isNumber || !Option.exists(decoded, kind.includes)) faults.push(`${path}: must be a ${kind.name} duration`)
      return Option.getOrElse(decoded, () => 0)
    },
    number,
    factor: (path, value = 2) => number(path, value, value >= 1 && value < Infinity, "a number of at least 1")
  }
}
