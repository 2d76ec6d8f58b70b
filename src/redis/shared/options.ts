/** Checks the options that all shared services have: name, lease time, and behavior while Redis is away. */
import { Duration, Option } from "effect"

interface SharedOptions {
  readonly name: string
  readonly leaseTime?: Duration.DurationInput
  readonly whenAway?: "fail" | { readonly share: number }
}

export interface CheckedOptions {
  /** In milliseconds. */
  readonly leaseTime: number
  /** The share of this process while Redis is away; `"even"` divides by the number of processes, undefined fails. */
  readonly share: number | "even" | undefined
  readonly faults: ReadonlyArray<string>
}

export const read = ({ leaseTime: lease = "30 seconds", name, whenAway }: SharedOptions): CheckedOptions => {
  const faults: Array<string> = []
  const leaseTime = Option.getOrElse(Option.map(Duration.decodeUnknown(lease), Duration.toMillis), () => 0)
  if (!(leaseTime > 0 && leaseTime < Infinity)) faults.push("leaseTime: expected a positive and finite duration")
  if (name === "") faults.push("name: must not be empty")
  const share = whenAway === undefined ? "even" : whenAway === "fail" ? undefined : whenAway.share
  if (typeof share === "number" && !(share > 0 && share <= 1)) {
    faults.push(`whenAway.share: expected a number above 0 and at most 1, actual ${share}`)
  }
  return { leaseTime, share, faults }
}
