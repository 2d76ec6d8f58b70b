/**
 * One deployment of a balance. Its load, its rests and its probes are those of a key in a pool; what it has of its own is the
 * circuit breaker, which decides when so many calls have failed that the deployment counts as out of order.
 */
import { Duration, Redacted } from "effect"
import * as ApiKey from "../../vocabulary/ApiKey.js"
import type { DeploymentState, Verdict } from "./model.js"
import type { Notice } from "./health.js"
import * as FailureWindow from "./failureWindow.js"
import type {
  KeyReservation as Hold,
  SettleContext as Moment,
  VirtualTime as Pace,
  PooledKey
} from "../../keyPool/key.js"
import * as PooledKeys from "../../keyPool/key.js"
import * as Rendezvous from "./rendezvous.js"

export interface Deployment {
  /** What strategies see. */
  readonly state: DeploymentState
  readonly load: PooledKey
  readonly window: FailureWindow.FailureWindow
  /** How often the circuit has been opened without a success between. */
  readonly openings: number
  /** The number of the last call that had been started when the circuit was last opened. */
  readonly openedAt: number
  readonly tally: Tally
  readonly hash: number
}

/** How its calls ended, as far as they told anything of it. */
export interface Tally {
  readonly answered: number
  readonly failed: number
  readonly limited: number
}

/** When a circuit opens and for how long. Durations are in milliseconds. */
export interface Breaker {
  readonly failures: number
  readonly ratio: number
  readonly window: number
  readonly base: number
  readonly factor: number
  readonly max: number
}

export interface Settings {
  readonly id: string
  readonly weight: number
  readonly order: number
  readonly cost: number | undefined
  readonly maxConcurrency: number | undefined
}

/** A deployment keeps its keys itself. */
const noSecret = Redacted.make("")

export const make = (settings: Settings, position: number, window: number, interval: number): Deployment => {
  const { id, maxConcurrency, weight } = settings
  const key = ApiKey.make(noSecret, { id, weight, ...(maxConcurrency === undefined ? {} : { maxConcurrency }) })
  const load = PooledKeys.make(key, position, position, { served: 0, ticket: 0 }, interval)
  return {
    state: stateOf(load, settings.order, settings.cost, 0),
    load,
    window: FailureWindow.make(window),
    openings: 0,
    openedAt: -1,
    tally: { answered: 0, failed: 0, limited: 0 },
    hash: Rendezvous.hash(id)
  }
}

const stateOf = (load: PooledKey, order: number, cost: number | undefined, failures: number): DeploymentState => ({
  id: load.id,
  position: load.position,
  weight: load.weight,
  inFlight: load.inFlight,
  served: load.served,
  maxConcurrency: load.maxConcurrency,
  latency: load.latency,
  measuredAt: load.measuredAt,
  lastServed: load.lastServed,
  ticket: load.ticket,
  order,
  cost,
  failures
})

type Change = Partial<Pick<Deployment, "window" | "openings" | "openedAt" | "tally">> & { readonly failures?: number }

/** Every call passes through this, and V8 takes forty times as long over a spread as over a literal. */
const revised = (deployment: Deployment, load: PooledKey, change: Change): Deployment => ({
  state: stateOf(load, deployment.state.order, deployment.state.cost, change.failures ?? deployment.state.failures),
  load,
  window: change.window ?? deployment.window,
  openings: change.openings ?? deployment.openings,
  openedAt: change.openedAt ?? deployment.openedAt,
  tally: change.tally ?? deployment.tally,
  hash: deployment.hash
})

const nothing: Change = {}

/** The deployment with its standing as it is now, level with the others where it was away and is back. */
export const stand = (deployment: Deployment, now: number, pace: Pace, interval: number): Deployment => {
  const standing = PooledKeys.refresh(deployment.load, now)
  const isBack = PooledKeys.isUnavailable(deployment.load) && !PooledKeys.isUnavailable(standing)
  const load = isBack ? PooledKeys.catchUp(standing, pace, interval) : standing
  return load === deployment.load ? deployment : revised(deployment, load, nothing)
}

/** Whether its circuit is not closed: it rests, or one call at a time finds out whether it is good again. */
export const isOpen = ({ load }: Deployment): boolean => load.health.halfOpen !== undefined

export const reserve = (deployment: Deployment, sequence: number, now: number, interval: number): Deployment =>
  revised(deployment, PooledKeys.reserve(deployment.load, sequence, now, interval), nothing)

/** Takes the deployment back from a call that was never made. */
export const withdraw = (deployment: Deployment, hold: Hold): Deployment =>
  revised(deployment, PooledKeys.withdraw(deployment.load, hold), nothing)

/** Takes the deployment back from a call with what the call says about it. */
export const settle = (
  deployment: Deployment,
  hold: Hold,
  verdict: Verdict,
  moment: Moment,
  breaker: Breaker | undefined
): Deployment => {
  const { tally } = deployment
  switch (verdict._tag) {
    case "Served":
      return served(deployment, hold, verdict.latency, moment)
    case "Limited":
      return revised(deployment, cooled(deployment, hold, verdict.retryAfter, moment), {
        tally: { ...tally, limited: tally.limited + 1 }
      })
    case "Overloaded":
    case "Failed":
      return failed(deployment, hold, verdict, moment, breaker)
    case "Down": {
      const told = revised(deployment, deployment.load, { tally: { ...tally, failed: tally.failed + 1 } })
      const wait = Math.min(millis(verdict.retryAfter), breaker?.max ?? 0)
      return breaker !== undefined && startedAfterCooldown(deployment, hold)
        ? opened(told, hold, moment, wait > 0 ? wait : nextRest(deployment, breaker))
        : revised(told, PooledKeys.release(told.load, hold), nothing)
    }
    case "Neutral":
      return revised(deployment, PooledKeys.release(deployment.load, hold), nothing)
  }
}

/** A call that has been answered so far, and keeps the deployment. */
export const answered = (
  deployment: Deployment,
  hold: Hold,
  latency: number | undefined,
  moment: Moment
): Deployment => {
  const after = served(deployment, hold, latency, moment)
  return revised(after, { ...after.load, inFlight: after.load.inFlight + 1 }, nothing)
}

const startedAfterCooldown = (deployment: Deployment, hold: Hold): boolean => hold.sequence > deployment.openedAt

const cooled = (
  { load }: Deployment,
  hold: Hold,
  retryAfter: Duration.Duration | undefined,
  moment: Moment
): PooledKey =>
  PooledKeys.settle(
    load,
    hold,
    retryAfter === undefined ? { _tag: "RateLimited" } : { _tag: "RateLimited", retryAfter },
    moment
  )

const served = (deployment: Deployment, hold: Hold, latency: number | undefined, moment: Moment): Deployment => {
  const verdict = latency === undefined ? ({ _tag: "Served" } as const) : ({ _tag: "Served", latency } as const)
  const load = PooledKeys.settle(deployment.load, hold, verdict, moment)
  const tally = { ...deployment.tally, answered: deployment.tally.answered + 1 }
  if (!startedAfterCooldown(deployment, hold)) return revised(deployment, load, { tally })
  if (isOpen(deployment)) {
    const closes = load.health.halfOpen === undefined
    return revised(deployment, load, closes ? { tally, openings: 0, ...forgotten(deployment) } : { tally })
  }
  const window = FailureWindow.record(deployment.window, moment.now, false)
  return revised(deployment, load, { tally, window, failures: FailureWindow.counts(window, moment.now).failures })
}

const failed = (
  deployment: Deployment,
  hold: Hold,
  verdict: Extract<Verdict, { readonly _tag: "Failed" | "Overloaded" }>,
  moment: Moment,
  breaker: Breaker | undefined
): Deployment => {
  const retryAfter = verdict._tag === "Overloaded" ? verdict.retryAfter : undefined
  const tally = { ...deployment.tally, failed: deployment.tally.failed + 1 }
  const window = startedAfterCooldown(deployment, hold)
    ? FailureWindow.record(deployment.window, moment.now, true)
    : deployment.window
  const { calls, failures } = FailureWindow.counts(window, moment.now)
  const told = revised(deployment, deployment.load, { tally, window, failures })
  if (breaker !== undefined && startedAfterCooldown(deployment, hold)) {
    const isTooMuch = failures >= breaker.failures && failures >= breaker.ratio * calls
    if (isOpen(deployment) || isTooMuch) {
      return opened(told, hold, moment, Math.max(nextRest(deployment, breaker), millis(retryAfter)))
    }
  }
  return verdict._tag === "Overloaded"
    ? revised(told, cooled(deployment, hold, retryAfter, moment), nothing)
    : revised(told, PooledKeys.release(told.load, hold), nothing)
}

const millis = (duration: Duration.Duration | undefined): number =>
  duration === undefined ? 0 : Duration.toMillis(duration)

const nextRest = ({ openings }: Deployment, { base, factor, max }: Breaker): number =>
  Math.min(max, base * factor ** openings)

/** Opens the circuit. A key that is out of quota rests in the same way, and then has to prove itself too. */
const opened = (deployment: Deployment, hold: Hold, moment: Moment, rest: number): Deployment => {
  const verdict = { _tag: "OutOfQuota", retryAfter: Duration.millis(rest) } as const
  return revised(deployment, PooledKeys.settle(deployment.load, hold, verdict, moment), {
    openings: deployment.openings + 1,
    openedAt: moment.sequence,
    ...forgotten(deployment)
  })
}

const forgotten = ({ window }: Deployment): Change => ({ window: { width: window.width, slices: [] }, failures: 0 })

/** Forgets all that was held against the deployment. */
export const enable = (deployment: Deployment, sequence: number): Deployment =>
  revised(deployment, PooledKeys.enable(deployment.load), {
    openings: 0,
    openedAt: sequence,
    ...forgotten(deployment)
  })

/** What a call, or a hand, has changed of it that others should know. `until` is in the set's time. */
export type News = Pick<Notice, "state" | "until" | "openings">

export const news = (before: Deployment, after: Deployment): News | undefined => {
  const { openings } = after
  const until = after.load.health.restUntil
  const rests = until > before.load.health.restUntil
  if (isOpen(after)) return rests || openings > before.openings ? { state: "Open", until, openings } : undefined
  if (isOpen(before)) return { state: "Closed", until: 0, openings: 0 }
  return rests ? { state: "Cooling", until, openings } : undefined
}

/** Hears from others how it does. Calls that are under way tell nothing new then. */
export const heard = (deployment: Deployment, { openings, state, until }: News, sequence: number): Deployment => {
  const { load } = deployment
  switch (state) {
    case "Closed":
      return isOpen(deployment)
        ? revised(deployment, PooledKeys.clearCooldown(load), { openings: 0, ...forgotten(deployment) })
        : deployment
    case "Cooling":
      return revised(deployment, PooledKeys.applySharedCooldown(load, until, "rate-limited", sequence), nothing)
    case "Open":
      return revised(deployment, PooledKeys.applySharedCooldown(load, until, "out-of-quota", sequence), {
        openings: Math.max(openings, deployment.openings),
        openedAt: sequence,
        ...forgotten(deployment)
      })
  }
}

/** Takes it back from a call that was not made, since another one finds out whether it is good again. */
export const postponed = (deployment: Deployment, hold: Hold, until: number): Deployment => {
  const { load } = withdraw(deployment, hold)
  return revised(deployment, PooledKeys.rest(load, until, load.health.reason), nothing)
}

export const disable = (deployment: Deployment): Deployment =>
  revised(deployment, PooledKeys.disable(deployment.load), nothing)

export const reweight = (deployment: Deployment, weight: number, pace: Pace, interval: number): Deployment =>
  revised(deployment, PooledKeys.reweight(deployment.load, weight, pace, interval), nothing)
