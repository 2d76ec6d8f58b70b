/** One deployment of a balance: the load, cooldowns and probes of a key in a pool, with a circuit breaker. */
import { Duration, Redacted } from "effect"
import * as ApiKey from "../../vocabulary/ApiKey.js"
import type { DeploymentState, Verdict } from "./model.js"
import type { Notice } from "./health.js"
import type { Breaker, BreakerConfig } from "./breaker.js"
import * as Breakers from "./breaker.js"
import type { KeyReservation, SettleContext, VirtualTime, PooledKey } from "../../keyPool/key.js"
import * as PooledKeys from "../../keyPool/key.js"
import * as Rendezvous from "../../internal/rendezvous.js"

export interface Deployment {
  /** What strategies see. */
  readonly state: DeploymentState
  readonly load: PooledKey
  readonly breaker: Breaker
  readonly tally: Tally
  readonly hash: number
}

/** Calls by their result; neutral results are in none of them. */
export interface Tally {
  readonly answered: number
  readonly failed: number
  readonly limited: number
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
    breaker: Breakers.make(window),
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

type Change = Partial<Pick<Deployment, "breaker" | "tally">>

/** Runs at every call: a literal, because V8 takes forty times as long over a spread. */
const update = (deployment: Deployment, load: PooledKey, change: Change = {}): Deployment => {
  const { hash, state } = deployment
  const { breaker = deployment.breaker, tally = deployment.tally } = change
  return { state: stateOf(load, state.order, state.cost, breaker.failures), load, breaker, tally, hash }
}

/** Updates the availability to the current time. A deployment that was out does not get the calls that it missed. */
export const refresh = (
  deployment: Deployment,
  now: number,
  virtualTime: VirtualTime,
  interval: number
): Deployment => {
  const refreshed = PooledKeys.refresh(deployment.load, now)
  const isBack = PooledKeys.isUnavailable(deployment.load) && !PooledKeys.isUnavailable(refreshed)
  const load = isBack ? PooledKeys.catchUp(refreshed, virtualTime, interval) : refreshed
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
  config: BreakerConfig | undefined
): Deployment => {
  const { breaker, tally } = deployment
  switch (verdict._tag) {
    case "Served":
      return settleServed(deployment, reservation, verdict, context)
    case "Limited":
      return update(deployment, settleLimited(deployment, reservation, verdict, context), {
        tally: { ...tally, limited: tally.limited + 1 }
      })
    case "Overloaded":
    case "Failed":
      return settleFailed(deployment, reservation, verdict, context, config)
    case "Down": {
      const counted = update(deployment, deployment.load, { tally: { ...tally, failed: tally.failed + 1 } })
      const wait = Math.min(millisOf(verdict.retryAfter), config?.cooldown.max ?? 0)
      return config !== undefined && Breakers.startedAfterOpening(breaker, reservation.sequence)
        ? open(counted, reservation, context, wait > 0 ? wait : Breakers.cooldown(breaker, config))
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
  latency: number,
  context: SettleContext
): Deployment => {
  const settled = settleServed(deployment, reservation, { _tag: "Served", latency }, context)
  return update(settled, { ...settled.load, inFlight: settled.load.inFlight + 1 })
}

const settleLimited = (
  { load }: Deployment,
  reservation: KeyReservation,
  verdict: Extract<Verdict, { readonly _tag: "Limited" | "Overloaded" }>,
  context: SettleContext
): PooledKey => PooledKeys.settle(load, reservation, { ...verdict, _tag: "RateLimited" }, context)

const settleServed = (
  deployment: Deployment,
  reservation: KeyReservation,
  verdict: Extract<Verdict, { readonly _tag: "Served" }>,
  context: SettleContext
): Deployment => {
  const load = PooledKeys.settle(deployment.load, reservation, verdict, context)
  const { breaker } = deployment
  const { sequence } = reservation
  const { answered, failed, limited } = deployment.tally
  const tally = { answered: answered + 1, failed, limited }
  if (!Breakers.startedAfterOpening(breaker, sequence)) return update(deployment, load, { tally })
  if (!isOpen(deployment)) {
    return update(deployment, load, { tally, breaker: Breakers.record(breaker, sequence, context.now, false) })
  }
  const isClosed = load.health.halfOpen === undefined
  return update(deployment, load, isClosed ? { tally, breaker: Breakers.close(breaker) } : { tally })
}

const settleFailed = (
  deployment: Deployment,
  reservation: KeyReservation,
  verdict: Extract<Verdict, { readonly _tag: "Failed" | "Overloaded" }>,
  context: SettleContext,
  config: BreakerConfig | undefined
): Deployment => {
  const retryAfter = verdict._tag === "Overloaded" ? verdict.retryAfter : undefined
  const tally = { ...deployment.tally, failed: deployment.tally.failed + 1 }
  const breaker = Breakers.record(deployment.breaker, reservation.sequence, context.now, true)
  const counted = update(deployment, deployment.load, { tally, breaker })
  const isCounted = Breakers.startedAfterOpening(breaker, reservation.sequence)
  if (config !== undefined && isCounted && (isOpen(deployment) || Breakers.isTripped(breaker, config, context.now))) {
    return open(counted, reservation, context, Math.max(Breakers.cooldown(breaker, config), millisOf(retryAfter)))
  }
  return verdict._tag === "Overloaded"
    ? update(counted, settleLimited(deployment, reservation, verdict, context))
    : update(counted, PooledKeys.release(counted.load, reservation))
}

const millisOf = (duration: Duration.Duration | undefined): number =>
  duration === undefined ? 0 : Duration.toMillis(duration)

/** Opens the circuit, as a key that is out of quota: it is in a cooldown, and then half-open until a probe succeeds. */
const open = (
  deployment: Deployment,
  reservation: KeyReservation,
  context: SettleContext,
  cooldown: number
): Deployment => {
  const verdict = { _tag: "OutOfQuota", retryAfter: Duration.millis(cooldown) } as const
  return update(deployment, PooledKeys.settle(deployment.load, reservation, verdict, context), {
    breaker: Breakers.open(deployment.breaker, context.sequence)
  })
}

/** Resets its health, however it was taken out. */
export const enable = (deployment: Deployment, sequence: number): Deployment =>
  update(deployment, PooledKeys.enable(deployment.load), { breaker: Breakers.reset(deployment.breaker, sequence) })

/** A change that other balances must apply too. `until` is in the set's time. */
export type HealthChange = Pick<Notice, "state" | "until" | "openings">

export const healthChange = (before: Deployment, after: Deployment): HealthChange | undefined => {
  const { openings } = after.breaker
  const until = after.load.health.restUntil
  const isLonger = until > before.load.health.restUntil
  if (isOpen(after))
    return isLonger || openings > before.breaker.openings ? { state: "Open", until, openings } : undefined
  if (isOpen(before)) return { state: "Closed", until: 0, openings: 0 }
  return isLonger ? { state: "Cooling", until, openings } : undefined
}

/** Applies a change of another balance. Results of calls that are already in flight then no longer change the health. */
export const applyHealthChange = (
  deployment: Deployment,
  { openings, state, until }: HealthChange,
  sequence: number
): Deployment => {
  const { breaker, load } = deployment
  switch (state) {
    case "Closed":
      return isOpen(deployment)
        ? update(deployment, PooledKeys.clearCooldown(load), { breaker: Breakers.close(breaker) })
        : deployment
    case "Cooling":
      return update(deployment, PooledKeys.applySharedCooldown(load, until, "rate-limited", sequence))
    case "Open":
      return update(deployment, PooledKeys.applySharedCooldown(load, until, "out-of-quota", sequence), {
        breaker: Breakers.open(breaker, sequence, Math.max(openings, breaker.openings))
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
