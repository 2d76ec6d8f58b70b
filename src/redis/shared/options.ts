/** What all that processes share is told in one way: its name, its leases, and what is done while Redis is away. */
import { Duration, Option } from "effect"

interface Given {
  readonly name: string
  readonly leaseTime?: Duration.DurationInput
  readonly whenAway?: "fail" | { readonly share: number }
}

export interface Terms {
  /** In milliseconds. */
  readonly leaseTime: number
  /** Which share this process may use while Redis is away, or one by the number of processes, or none. */
  readonly share: number | "even" | undefined
  readonly faults: ReadonlyArray<string>
}

export const read = ({ leaseTime: lease = "30 seconds", name, whenAway }: Given): Terms => {
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
