/** What balances say of deployments, put together: the rules by which one notice follows another, and of probes. */
import type { Clock } from "effect"
import { Duration } from "effect"
import type { Notice, Permission } from "./health.js"
import * as MonotonicClock from "../../internal/clock.js"

export interface Known {
  readonly notices: ReadonlyMap<string, Notice>
  /** Who finds out of which deployment whether it is good again. */
  readonly probes: ReadonlyMap<string, string>
}

export const nothing: Known = { notices: new Map(), probes: new Map() }

/** When to ask again while another call finds out, in milliseconds. */
const soon = 1000

/** A rest is never cut short but by a success, and a circuit that is open stays so until then. */
const merged = (before: Notice | undefined, notice: Notice): Notice => {
  if (before === undefined || before.state === "Closed" || notice.state === "Closed") return notice
  const state = before.state === "Open" ? before.state : notice.state
  const until = Math.max(before.until, notice.until)
  const openings = Math.max(before.openings, notice.openings)
  const isSame = (other: Notice) => state === other.state && until === other.until && openings === other.openings
  if (isSame(before)) return before
  // None of the two knows all of it.
  return isSame(notice) ? notice : { state, until, openings, author: "" }
}

export const told = (known: Known, id: string, notice: Notice): Known => {
  const before = known.notices.get(id)
  const after = merged(before, notice)
  return after === before ? known : { ...known, notices: new Map(known.notices).set(id, after) }
}

export const probed = (known: Known, id: string, author: string, clock: Clock.Clock): readonly [Permission, Known] => {
  const notice = known.notices.get(id)
  const holder = known.probes.get(id)
  const rest = notice === undefined || notice.state === "Closed" ? 0 : notice.until - MonotonicClock.now(clock)
  // Less than a millisecond is a matter of rounding.
  if (rest >= 1) return [{ _tag: "Refused", again: Duration.millis(Math.ceil(rest)) }, known]
  if (holder !== undefined && holder !== author) return [{ _tag: "Refused", again: Duration.millis(soon) }, known]
  return [{ _tag: "Granted" }, { ...known, probes: new Map(known.probes).set(id, author) }]
}

export const proved = (known: Known, id: string, author: string, notice: Notice | undefined): Known => {
  const after = notice === undefined ? known : told(known, id, notice)
  if (after.probes.get(id) !== author) return after
  const probes = new Map(after.probes)
  probes.delete(id)
  return { ...after, probes }
}
