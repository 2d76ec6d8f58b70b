/**
 * The deployments of a balance and the choice among them. A call that excludes none and sticks to none takes the first one of the
 * heap; every other choice scans the list.
 */
import type { Order } from "effect"
import type { DeploymentState, Verdict } from "./model.js"
import type { BreakerConfig } from "./breaker.js"
import type { Deployment } from "./deployment.js"
import * as Deployments from "./deployment.js"
import type { KeyReservation, SettleContext, VirtualTime, CooldownSettings } from "../../keyPool/key.js"
import * as PooledKeys from "../../keyPool/key.js"
import * as Tournament from "../../keyPool/tournament.js"
import * as RandomDraw from "../../internal/random.js"
import * as Rendezvous from "../../internal/rendezvous.js"

/** `now` is the latest time seen: it never runs backwards. */
export interface DeploymentSet extends SettleContext {
  readonly policy: Policy
  /** The deployments by position, and the first of those that are ready. */
  readonly heap: Heap
  /** How many are ready. */
  readonly ready: number
  /** How many can become ready at the end of a call in flight. */
  readonly awaited: number
  readonly virtualTime: VirtualTime
  readonly seed: number
  /** When time alone first changes the availability of a deployment. */
  readonly wakeAt: number
  /** Counts the changes of availability and of the time when it changes next. */
  readonly changes: number
}

type Heap = Tournament.Tournament<Deployment>

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
  const { order } = policy
  let drawn = seed
  let heap: Heap = Tournament.empty({
    plays: isReady,
    winner: (left, right) => (order(right.state, left.state) < 0 ? right : left)
  })
  for (const [position, config] of configs.entries()) {
    drawn = RandomDraw.next(drawn)
    heap = Tournament.set(heap, position, Deployments.make(config, position, window, RandomDraw.exponential(drawn)))
  }
  const virtualTime = { served: 0, ticket: 0 }
  return {
    policy,
    cooldown,
    now: 0,
    sequence: 0,
    heap,
    ready: configs.length,
    awaited: 0,
    virtualTime,
    seed: drawn,
    wakeAt: Infinity,
    changes: 0
  }
}

/** The deployments by position. */
export const all = ({ heap }: DeploymentSet): ReadonlyArray<Deployment> => Tournament.entries(heap)

const isReady = ({ load }: Deployment): boolean => load.availability === "ready"

const isAwaited = ({ load }: Deployment): boolean => load.availability === "capped" || load.availability === "probing"

/** Runs at every call: a literal, because V8 takes forty times as long over a spread. */
const update = (deploymentSet: DeploymentSet, change: Partial<DeploymentSet>): DeploymentSet => ({
  policy: deploymentSet.policy,
  cooldown: deploymentSet.cooldown,
  now: change.now ?? deploymentSet.now,
  sequence: change.sequence ?? deploymentSet.sequence,
  heap: change.heap ?? deploymentSet.heap,
  ready: change.ready ?? deploymentSet.ready,
  awaited: change.awaited ?? deploymentSet.awaited,
  virtualTime: change.virtualTime ?? deploymentSet.virtualTime,
  seed: change.seed ?? deploymentSet.seed,
  wakeAt: change.wakeAt ?? deploymentSet.wakeAt,
  changes: change.changes ?? deploymentSet.changes
})

export const summarize = (deploymentSet: DeploymentSet, criteria: Criteria): Summary => {
  if (criteria.exclude.size > 0) return summarizeList(deploymentSet, criteria)
  const { awaited, heap, ready, wakeAt } = deploymentSet
  const first = Tournament.winner(heap)
  return { winner: chosen(deploymentSet, criteria, first, ready), ready, awaited, wakeAt }
}

const summarizeList = (deploymentSet: DeploymentSet, criteria: Criteria): Summary => {
  const { order } = deploymentSet.policy
  let first: Deployment | undefined
  let ready = 0
  let awaited = 0
  let wakeAt = Infinity
  for (const deployment of all(deploymentSet)) {
    const { load, state } = deployment
    if (criteria.exclude.has(load.position)) continue
    if (isReady(deployment)) {
      ready++
      if (first === undefined || order(state, first.state) < 0) first = deployment
    } else {
      if (isAwaited(deployment)) awaited++
      wakeAt = Math.min(wakeAt, wakeAtOf(deployment))
    }
  }
  return { winner: chosen(deploymentSet, criteria, first, ready), ready, awaited, wakeAt }
}

/** When time alone makes a deployment ready; infinite where it does not. */
const wakeAtOf = ({ load }: Deployment): number => load.wakeAt ?? Infinity

/** The deployment that the affinity picks, or else the first of those that are ready. */
const chosen = (
  deploymentSet: DeploymentSet,
  criteria: Criteria,
  first: Deployment | undefined,
  ready: number
): Deployment | undefined => (ready > 1 ? (stickyChoice(deploymentSet, criteria, first) ?? first) : first)

const nodeOf = ({ hash, load }: Deployment): Rendezvous.Node => ({ hash, weight: load.weight, load: load.inFlight })

/** The deployment that the affinity picks among the ready ones in the same group as the first. */
const stickyChoice = (
  deploymentSet: DeploymentSet,
  criteria: Criteria,
  first: Deployment | undefined
): Deployment | undefined => {
  if (criteria.affinity === undefined || first === undefined) return undefined
  const candidates = all(deploymentSet).filter(
    (deployment) =>
      isReady(deployment) &&
      deployment.state.order === first.state.order &&
      !criteria.exclude.has(deployment.load.position)
  )
  return Rendezvous.choose(criteria.affinity, candidates, nodeOf, deploymentSet.policy.bound)
}

/** Advances the time, and ends the cooldowns that are over. */
export const advance = (before: DeploymentSet, now: number): DeploymentSet => {
  const deploymentSet = now > before.now ? update(before, { now }) : before
  if (deploymentSet.wakeAt > deploymentSet.now) return deploymentSet
  return all(deploymentSet).reduce(
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
  const [was, is] = [Tournament.get(before.heap, position), Tournament.get(after.heap, position)]
  return was === undefined || is === undefined || was === is ? undefined : Deployments.healthChange(was, is)
}

/** Whether a call is the probe of its deployment. */
export const isProbe = (deploymentSet: DeploymentSet, reservation: KeyReservation): boolean => {
  const deployment = Tournament.get(deploymentSet.heap, reservation.position)
  return deployment !== undefined && PooledKeys.isAdmitted(deployment.load.health, reservation)
}

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
  const deployment = Tournament.get(deploymentSet.heap, position)
  return deployment === undefined ? deploymentSet : put(deploymentSet, f(deployment))
}

/** Replaces a deployment, with its availability at the current time. */
const put = (deploymentSet: DeploymentSet, deployment: Deployment): DeploymentSet => {
  const { awaited, changes, now, ready, virtualTime } = deploymentSet
  const { position } = deployment.load
  const before = Tournament.get(deploymentSet.heap, position)
  const seed = RandomDraw.next(deploymentSet.seed)
  const after = Deployments.refresh(deployment, now, virtualTime, RandomDraw.exponential(seed))
  const heap = Tournament.set(deploymentSet.heap, position, after)
  if (
    before === undefined ||
    (before.load.availability === after.load.availability && before.load.wakeAt === after.load.wakeAt)
  ) {
    return update(deploymentSet, { seed, heap })
  }
  return update(deploymentSet, {
    seed,
    heap,
    ready: ready + Number(isReady(after)) - Number(isReady(before)),
    awaited: awaited + Number(isAwaited(after)) - Number(isAwaited(before)),
    wakeAt: earliest(Tournament.entries(heap)),
    changes: changes + 1
  })
}

const earliest = (deployments: ReadonlyArray<Deployment>): number => {
  let wakeAt = Infinity
  for (const deployment of deployments) wakeAt = Math.min(wakeAt, wakeAtOf(deployment))
  return wakeAt
}
