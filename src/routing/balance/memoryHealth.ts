/** The health that balances share within a process: how notices are merged, and which balance has a probe. */
import type { Clock } from "effect"
import { Duration } from "effect"
import type { Notice, Permission } from "./health.js"
import * as MonotonicClock from "../../internal/clock.js"

export interface SharedHealth {
  /** By id of the deployment. */
  readonly notices: ReadonlyMap<string, Notice>
  /** The balance that probes each deployment, by id of the deployment. */
  readonly probes: ReadonlyMap<string, string>
}

export const empty: SharedHealth = { notices: new Map(), probes: new Map() }

/** When to request a probe again that another balance has, in milliseconds. */
const retryInterval = 1000

/** Only a `Closed` notice ends a cooldown early or closes an open circuit. */
const merge = (before: Notice | undefined, notice: Notice): Notice => {
  if (before === undefined || before.state === "Closed" || notice.state === "Closed") return notice
  const state = before.state === "Open" ? before.state : notice.state
  const until = Math.max(before.until, notice.until)
  const openings = Math.max(before.openings, notice.openings)
  const isSame = (other: Notice) => state === other.state && until === other.until && openings === other.openings
  if (isSame(before)) return before
  // Both balances must apply the merged notice, so it has no author.
  return isSame(notice) ? notice : { state, until, openings, author: "" }
}

export const publish = (health: SharedHealth, id: string, notice: Notice): SharedHealth => {
  const before = health.notices.get(id)
  const after = merge(before, notice)
  return after === before ? health : { ...health, notices: new Map(health.notices).set(id, after) }
}

export const acquireProbe = (
  health: SharedHealth,
  id: string,
  author: string,
  clock: Clock.Clock
): readonly [Permission, SharedHealth] => {
  const notice = health.notices.get(id)
  const holder = health.probes.get(id)
  const remaining = notice === undefined || notice.state === "Closed" ? 0 : notice.until - MonotonicClock.now(clock)
  // Less than a millisecond is a rounding error.
  if (remaining >= 1) return [{ _tag: "Refused", again: Duration.millis(Math.ceil(remaining)) }, health]
  if (holder !== undefined && holder !== author)
    return [{ _tag: "Refused", again: Duration.millis(retryInterval) }, health]
  return [{ _tag: "Granted" }, { ...health, probes: new Map(health.probes).set(id, author) }]
}

export const releaseProbe = (
  health: SharedHealth,
  id: string,
  author: string,
  notice: Notice | undefined
): SharedHealth => {
  const after = notice === undefined ? health : publish(health, id, notice)
  if (after.probes.get(id) !== author) return after
  const probes = new Map(after.probes)
  probes.delete(id)
  return { ...after, probes }
}
