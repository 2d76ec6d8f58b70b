/**
 * The deployments of a balance and the choice among them. Requests differ in the deployments that they exclude, so each choice
 * scans the list: there are never enough of them for a heap to be faster.
 */
import type { Order } from "effect"
import type { DeploymentState, Verdict } from "./model.js"
import type { BreakerConfig } from "./breaker.js"
import type { Deployment } from "./deployment.js"
import * as Deployments from "./deployment.js"
import type { KeyReservation, SettleContext, VirtualTime, CooldownSettings } from "../../keyPool/key.js"
import * as RandomDraw from "../../internal/random.js"
import * as Rendezvous from "./rendezvous.js"

/** `now` is the latest time seen: it never runs backwards. */
export interface DeploymentSet extends SettleContext {
  readonly policy: Policy
  /** By position. */
  readonly deployments: ReadonlyArray<Deployment>
  readonly virtualTime: VirtualTime
  readonly seed: number
  /** When time alone first changes the availability of a deployment. */
  readonly wakeAt: number
  /** Counts the changes of availability and of the time when it changes next. */
  readonly changes: number
}

export interface Policy {
  /** Which deployment is first, priority groups included. */
  readonly order: Order.Order<DeploymentState>
  /** How many times its share of all calls a deployment can have in flight and still get the calls that stick to it. */
  readonly bound: number
  readonly breaker: BreakerConfig | undefined
}

export interface Criteria {
  /** Positions of deployments. */
  readonly exclude: ReadonlySet<number>
  /** The hash of the key of a sticky strategy. */
  readonly affinity: number | undefined
}

/** The availability of the deployments that are not excluded. */
export interface Summary {
  readonly winner: Deployment | undefined
  /** How many are ready. */
  readonly ready: number
  /** How many can become ready at the end of a call in flight. */
  readonly awaited: number
  /** When time alone makes one ready; infinite where it makes none ready. */
  readonly wakeAt: number
}

export const make = (
  configs: ReadonlyArray<Deployments.DeploymentConfig>,
  policy: Policy,
  cooldown: CooldownSettings,
  window: number,
  seed: number
): DeploymentSet => {
  let drawn = seed
  const deployments = configs.map((config, position) => {
    drawn = RandomDraw.next(drawn)
    return Deployments.make(config, position, window, RandomDraw.exponential(drawn))
  })
  const virtualTime = { served: 0, ticket: 0 }
  return { policy, cooldown, now: 0, sequence: 0, deployments, virtualTime, seed: drawn, wakeAt: Infinity, changes: 0 }
}

/** Runs at every call: a literal, because V8 takes forty times as long over a spread. */
const update = (deploymentSet: DeploymentSet, change: Partial<DeploymentSet>): DeploymentSet => ({
  policy: deploymentSet.policy,
  cooldown: deploymentSet.cooldown,
  now: change.now ?? deploymentSet.now,
  sequence: change.sequence ?? deploymentSet.sequence,
  deployments: change.deployments ?? deploymentSet.deployments,
  virtualTime: change.virtualTime ?? deploymentSet.virtualTime,
  seed: change.seed ?? deploymentSet.seed,
  wakeAt: change.wakeAt ?? deploymentSet.wakeAt,
  changes: change.changes ?? deploymentSet.changes
})

export const summarize = (deploymentSet: DeploymentSet, criteria: Criteria): Summary => {
  const { order } = deploymentSet.policy
  let winner: Deployment | undefined
  let ready = 0
  let awaited = 0
  let wakeAt = Infinity
  for (const deployment of deploymentSet.deployments) {
    const { load, state } = deployment
    if (criteria.exclude.has(load.position)) continue
    if (load.availability === "ready") {
      ready++
      if (winner === undefined || order(state, winner.state) < 0) winner = deployment
    } else {
      if (load.availability === "capped" || load.availability === "probing") awaited++
      wakeAt = Math.min(wakeAt, wakeAtOf(deployment))
    }
  }
  return {
    winner: ready > 1 ? (stickyChoice(deploymentSet, criteria, winner) ?? winner) : winner,
    ready,
    awaited,
    wakeAt
  }
}

/** When time alone makes a deployment ready; infinite where it does not. */
const wakeAtOf = ({ load }: Deployment): number => load.wakeAt ?? Infinity

const nodeOf = ({ hash, load }: Deployment): Rendezvous.Node => ({ hash, weight: load.weight, load: load.inFlight })

/** The deployment that the affinity picks among the ready ones in the same group as the first. */
const stickyChoice = (
  deploymentSet: DeploymentSet,
  criteria: Criteria,
  first: Deployment | undefined
): Deployment | undefined => {
  if (criteria.affinity === undefined || first === undefined) return undefined
  const candidates = deploymentSet.deployments.filter(
    ({ load, state }) =>
      load.availability === "ready" && state.order === first.state.order && !criteria.exclude.has(load.position)
  )
  return Rendezvous.choose(criteria.affinity, candidates, nodeOf, deploymentSet.policy.bound)
}

/** Advances the time, and ends the cooldowns that are over. */
export const advance = (before: DeploymentSet, now: number): DeploymentSet => {
  const deploymentSet = now > before.now ? update(before, { now }) : before
  if (deploymentSet.wakeAt > deploymentSet.now) return deploymentSet
  return deploymentSet.deployments.reduce(
    (later, deployment) => (wakeAtOf(deployment) <= later.now ? put(later, deployment) : later),
    deploymentSet
  )
}

/** Reserves a deployment for a call. */
export const reserve = (
  deploymentSet: DeploymentSet,
  deployment: Deployment
): readonly [KeyReservation, DeploymentSet] => {
  const { key, position, served, slot, ticket, weight } = deployment.load
  const sequence = deploymentSet.sequence + 1
  const seed = RandomDraw.next(deploymentSet.seed)
  const reserved = Deployments.reserve(deployment, sequence, deploymentSet.now, RandomDraw.exponential(seed))
  return [
    { key, slot, position, sequence, startedAt: deploymentSet.now },
    put(update(deploymentSet, { sequence, seed, virtualTime: { served: served / weight, ticket } }), reserved)
  ]
}

/** Releases a deployment and applies the verdict of the call. */
export const settle = (deploymentSet: DeploymentSet, reservation: KeyReservation, verdict: Verdict): DeploymentSet =>
  change(deploymentSet, reservation.position, (deployment) =>
    Deployments.settle(deployment, reservation, verdict, deploymentSet, deploymentSet.policy.breaker)
  )

/** Applies a success while the call is still in flight. */
export const markAnswered = (
  deploymentSet: DeploymentSet,
  reservation: KeyReservation,
  latency: number
): DeploymentSet =>
  change(deploymentSet, reservation.position, (deployment) =>
    Deployments.markAnswered(deployment, reservation, latency, deploymentSet)
  )

/** Releases a deployment for a call that was never made. */
export const withdraw = (deploymentSet: DeploymentSet, reservation: KeyReservation): DeploymentSet =>
  change(deploymentSet, reservation.position, (deployment) => Deployments.withdraw(deployment, reservation))

/** Releases a deployment for a call that was not made because another balance probes it, and starts a cooldown. */
export const postpone = (deploymentSet: DeploymentSet, reservation: KeyReservation, until: number): DeploymentSet =>
  change(deploymentSet, reservation.position, (deployment) => Deployments.postpone(deployment, reservation, until))

/** Applies a change of another balance. Without a breaker no circuit opens. */
export const applyHealthChange = (
  deploymentSet: DeploymentSet,
  position: number,
  healthChange: Deployments.HealthChange
): DeploymentSet =>
  healthChange.state === "Open" && deploymentSet.policy.breaker === undefined
    ? deploymentSet
    : change(deploymentSet, position, (deployment) =>
        Deployments.applyHealthChange(deployment, healthChange, deploymentSet.sequence)
      )

/** The change of a deployment that other balances must apply too. */
export const healthChange = (
  before: DeploymentSet,
  after: DeploymentSet,
  position: number
): Deployments.HealthChange | undefined => {
  const [was, is] = [before.deployments[position], after.deployments[position]]
  return was === undefined || is === undefined || was === is ? undefined : Deployments.healthChange(was, is)
}

/** Whether a call is the probe of its deployment. */
export const isProbe = (deploymentSet: DeploymentSet, { position, sequence }: KeyReservation): boolean =>
  deploymentSet.deployments[position]?.load.health.probe === sequence

export const enable = (deploymentSet: DeploymentSet, position: number): DeploymentSet =>
  change(deploymentSet, position, (deployment) => Deployments.enable(deployment, deploymentSet.sequence))

export const disable = (deploymentSet: DeploymentSet, position: number): DeploymentSet =>
  change(deploymentSet, position, Deployments.disable)

export const reweight = (before: DeploymentSet, position: number, weight: number): DeploymentSet => {
  const deploymentSet = update(before, { seed: RandomDraw.next(before.seed) })
  return change(deploymentSet, position, (deployment) =>
    Deployments.reweight(deployment, weight, deploymentSet.virtualTime, RandomDraw.exponential(deploymentSet.seed))
  )
}

const change = (
  deploymentSet: DeploymentSet,
  position: number,
  f: (deployment: Deployment) => Deployment
): DeploymentSet => {
  const deployment = deploymentSet.deployments[position]
  return deployment === undefined ? deploymentSet : put(deploymentSet, f(deployment))
}

/** Replaces a deployment, with its availability at the current time. */
const put = (deploymentSet: DeploymentSet, deployment: Deployment): DeploymentSet => {
  const { now, virtualTime } = deploymentSet
  const { position } = deployment.load
  const before = deploymentSet.deployments[position]?.load
  const seed = RandomDraw.next(deploymentSet.seed)
  const refreshed = Deployments.refresh(deployment, now, virtualTime, RandomDraw.exponential(seed))
  const deployments = deploymentSet.deployments.with(position, refreshed)
  const { load } = refreshed
  return before?.availability === load.availability && before.wakeAt === load.wakeAt
    ? update(deploymentSet, { seed, deployments })
    : update(deploymentSet, { seed, deployments, wakeAt: earliest(deployments), changes: deploymentSet.changes + 1 })
}

const earliest = (deployments: ReadonlyArray<Deployment>): number => {
  let wakeAt = Infinity
  for (const deployment of deployments) wakeAt = Math.min(wakeAt, wakeAtOf(deployment))
  return wakeAt
}
