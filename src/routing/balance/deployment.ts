/**
 * One deployment of a balance. Its load, cooldowns and probes are those of a key in a pool; the circuit breaker is its own: it
 * opens the circuit when too many calls have failed.
 */
import { Duration, Redacted } from "effect"
import * as ApiKey from "../../vocabulary/ApiKey.js"
import type { DeploymentState, Verdict } from "./model.js"
import type { Notice } from "./health.js"
import * as FailureWindow from "./failureWindow.js"
import type {
  Hold as KeyReservation,
  Moment as SettleContext,
  Pace as VirtualTime,
  PooledKey
} from "../../keyPool/key.js"
import * as PooledKeys from "../../keyPool/key.js"
import * as Rendezvous from "./rendezvous.js"

export interface Deployment {
  /** What strategies see. */
  readonly state: DeploymentState
  readonly load: PooledKey
  readonly window: FailureWindow.FailureWindow
  /** How often the circuit has opened since the last success. */
  readonly openings: number
  /** The number of the last call that had started when the circuit last opened. */
  readonly openedAt: number
  readonly tally: Tally
  readonly hash: number
}

/** Calls by their result; neutral results are in none of them. */
export interface Tally {
  readonly answered: number
  readonly failed: number
  readonly limited: number
}

/** When a circuit opens and for how long. Durations are in milliseconds. */
export interface BreakerConfig {
  readonly failures: number
  readonly ratio: number
  readonly window: number
  readonly base: number
  readonly factor: number
  readonly max: number
}

export interface DeploymentConfig {
  readonly id: string
  readonly weight: number
  readonly order: number
  readonly cost: number | undefined
  readonly maxConcurrency: number | undefined
}

/** The API keys of a deployment are in its `LLM`. */
const noSecret = Redacted.make("")

export const make = (config: DeploymentConfig, position: number, window: number, interval: number): Deployment => {
  const { id, maxConcurrency, weight } = config
  const key = ApiKey.make(noSecret, { id, weight, ...(maxConcurrency === undefined ? {} : { maxConcurrency }) })
  const load = PooledKeys.make(key, position, position, { served: 0, ticket: 0 }, interval)
  return {
    state: stateOf(load, config.order, config.cost, 0),
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

/** Runs at every call: a literal, because V8 takes forty times as long over a spread. */
const update = (deployment: Deployment, load: PooledKey, change: Change = noChange): Deployment => ({
  state: stateOf(load, deployment.state.order, deployment.state.cost, change.failures ?? deployment.state.failures),
  load,
  window: change.window ?? deployment.window,
  openings: change.openings ?? deployment.openings,
  openedAt: change.openedAt ?? deployment.openedAt,
  tally: change.tally ?? deployment.tally,
  hash: deployment.hash
})

const noChange: Change = {}

/** Updates the availability to the current time. A deployment that was out does not get the calls that it missed. */
export const refresh = (
  deployment: Deployment,
  now: number,
  virtualTime: VirtualTime,
  interval: number
): Deployment => {
  const refreshed = PooledKeys.stand(deployment.load, now)
  const isBack = PooledKeys.isAway(deployment.load) && !PooledKeys.isAway(refreshed)
  const load = isBack ? PooledKeys.level(refreshed, virtualTime, interval) : refreshed
  return load === deployment.load ? deployment : update(deployment, load)
}

/** Whether its circuit is open or half-open. */
export const isOpen = ({ load }: Deployment): boolean => load.health.halfOpen !== undefined

export const reserve = (deployment: Deployment, sequence: number, now: number, interval: number): Deployment =>
  update(deployment, PooledKeys.reserve(deployment.load, sequence, now, interval))

/** Releases the deployment for a call that was never made. */
export const withdraw = (deployment: Deployment, reservation: KeyReservation): Deployment =>
  update(deployment, PooledKeys.withdraw(deployment.load, reservation))

/** Releases the deployment and applies the verdict of the call. */
export const settle = (
  deployment: Deployment,
  reservation: KeyReservation,
  verdict: Verdict,
  context: SettleContext,
  breaker: BreakerConfig | undefined
): Deployment => {
  const { tally } = deployment
  switch (verdict._tag) {
    case "Served":
      return settleServed(deployment, reservation, verdict.latency, context)
    case "Limited":
      return update(deployment, settleLimited(deployment, reservation, verdict.retryAfter, context), {
        tally: { ...tally, limited: tally.limited + 1 }
      })
    case "Overloaded":
    case "Failed":
      return settleFailed(deployment, reservation, verdict, context, breaker)
    case "Down": {
      const counted = update(deployment, deployment.load, { tally: { ...tally, failed: tally.failed + 1 } })
      const wait = Math.min(millisOf(verdict.retryAfter), breaker?.max ?? 0)
      return breaker !== undefined && startedAfterOpening(deployment, reservation)
        ? open(counted, reservation, context, wait > 0 ? wait : nextCooldown(deployment, breaker))
        : update(counted, PooledKeys.release(counted.load, reservation))
    }
    case "Neutral":
      return update(deployment, PooledKeys.release(deployment.load, reservation))
  }
}

/** Applies a success while the call is still in flight: a stream has sent its first event. */
export const markAnswered = (
  deployment: Deployment,
  reservation: KeyReservation,
  latency: number | undefined,
  context: SettleContext
): Deployment => {
  const settled = settleServed(deployment, reservation, latency, context)
  return update(settled, { ...settled.load, inFlight: settled.load.inFlight + 1 })
}

const startedAfterOpening = (deployment: Deployment, reservation: KeyReservation): boolean =>
  reservation.sequence > deployment.openedAt

const settleLimited = (
  { load }: Deployment,
  reservation: KeyReservation,
  retryAfter: Duration.Duration | undefined,
  context: SettleContext
): PooledKey =>
  PooledKeys.settle(
    load,
    reservation,
    retryAfter === undefined ? { _tag: "RateLimited" } : { _tag: "RateLimited", retryAfter },
    context
  )

const settleServed = (
  deployment: Deployment,
  reservation: KeyReservation,
  latency: number | undefined,
  context: SettleContext
): Deployment => {
  const verdict = latency === undefined ? ({ _tag: "Served" } as const) : ({ _tag: "Served", latency } as const)
  const load = PooledKeys.settle(deployment.load, reservation, verdict, context)
  const tally = { ...deployment.tally, answered: deployment.tally.answered + 1 }
  if (!startedAfterOpening(deployment, reservation)) return update(deployment, load, { tally })
  if (isOpen(deployment)) {
    const closes = load.health.halfOpen === undefined
    return update(deployment, load, closes ? { tally, openings: 0, ...emptyWindow(deployment) } : { tally })
  }
  const window = FailureWindow.record(deployment.window, context.now, false)
  return update(deployment, load, { tally, window, failures: FailureWindow.counts(window, context.now).failures })
}

const settleFailed = (
  deployment: Deployment,
  reservation: KeyReservation,
  verdict: Extract<Verdict, { readonly _tag: "Failed" | "Overloaded" }>,
  context: SettleContext,
  breaker: BreakerConfig | undefined
): Deployment => {
  const retryAfter = verdict._tag === "Overloaded" ? verdict.retryAfter : undefined
  const tally = { ...deployment.tally, failed: deployment.tally.failed + 1 }
  const window = startedAfterOpening(deployment, reservation)
    ? FailureWindow.record(deployment.window, context.now, true)
    : deployment.window
  const { calls, failures } = FailureWindow.counts(window, context.now)
  const counted = update(deployment, deployment.load, { tally, window, failures })
  if (breaker !== undefined && startedAfterOpening(deployment, reservation)) {
    const isTooMany = failures >= breaker.failures && failures >= breaker.ratio * calls
    if (isOpen(deployment) || isTooMany) {
      return open(counted, reservation, context, Math.max(nextCooldown(deployment, breaker), millisOf(retryAfter)))
    }
  }
  return verdict._tag === "Overloaded"
    ? update(counted, settleLimited(deployment, reservation, retryAfter, context))
    : update(counted, PooledKeys.release(counted.load, reservation))
}

const millisOf = (duration: Duration.Duration | undefined): number =>
  duration === undefined ? 0 : Duration.toMillis(duration)

const nextCooldown = ({ openings }: Deployment, { base, factor, max }: BreakerConfig): number =>
  Math.min(max, base * factor ** openings)

/** Opens the circuit, as a key that is out of quota: it is in a cooldown, and then half-open until a probe succeeds. */
const open = (
  deployment: Deployment,
  reservation: KeyReservation,
  context: SettleContext,
  cooldown: number
): Deployment => {
  const verdict = { _tag: "OutOfQuota", retryAfter: Duration.millis(cooldown) } as const
  return update(deployment, PooledKeys.settle(deployment.load, reservation, verdict, context), {
    openings: deployment.openings + 1,
    openedAt: context.sequence,
    ...emptyWindow(deployment)
  })
}

const emptyWindow = ({ window }: Deployment): Change => ({ window: { width: window.width, slices: [] }, failures: 0 })

/** Resets its health, however it was taken out. */
export const enable = (deployment: Deployment, sequence: number): Deployment =>
  update(deployment, PooledKeys.enable(deployment.load), {
    openings: 0,
    openedAt: sequence,
    ...emptyWindow(deployment)
  })

/** A change that other balances must apply too. `until` is in the set's time. */
export type HealthChange = Pick<Notice, "state" | "until" | "openings">

export const healthChange = (before: Deployment, after: Deployment): HealthChange | undefined => {
  const { openings } = after
  const until = after.load.health.restUntil
  const isLonger = until > before.load.health.restUntil
  if (isOpen(after)) return isLonger || openings > before.openings ? { state: "Open", until, openings } : undefined
  if (isOpen(before)) return { state: "Closed", until: 0, openings: 0 }
  return isLonger ? { state: "Cooling", until, openings } : undefined
}

/** Applies a change of another balance. Results of calls that are already in flight then no longer change the health. */
export const applyHealthChange = (
  deployment: Deployment,
  { openings, state, until }: HealthChange,
  sequence: number
): Deployment => {
  const { load } = deployment
  switch (state) {
    case "Closed":
      return isOpen(deployment)
        ? update(deployment, PooledKeys.clearCooldown(load), { openings: 0, ...emptyWindow(deployment) })
        : deployment
    case "Cooling":
      return update(deployment, PooledKeys.restedBy(load, until, "rate-limited", sequence))
    case "Open":
      return update(deployment, PooledKeys.restedBy(load, until, "out-of-quota", sequence), {
        openings: Math.max(openings, deployment.openings),
        openedAt: sequence,
        ...emptyWindow(deployment)
      })
  }
}

/** Releases the deployment for a call that was not made because another balance probes it, and starts a cooldown. */
export const postpone = (deployment: Deployment, reservation: KeyReservation, until: number): Deployment => {
  const { load } = withdraw(deployment, reservation)
  return update(deployment, PooledKeys.rest(load, until, load.health.reason))
}

export const disable = (deployment: Deployment): Deployment => update(deployment, PooledKeys.disable(deployment.load))

export const reweight = (
  deployment: Deployment,
  weight: number,
  virtualTime: VirtualTime,
  interval: number
): Deployment => update(deployment, PooledKeys.reweight(deployment.load, weight, virtualTime, interval))
