/**
 * The deployments of a balance and which of them comes next. Each call may want others of them, so they are looked through one
 * by one: there are never so many that a heap would be quicker.
 */
import type { Order } from "effect"
import type { DeploymentState, Verdict } from "./model.js"
import type { Breaker, Deployment } from "./deployment.js"
import * as Deployments from "./deployment.js"
import type {
  CooldownSettings as Remedies,
  KeyReservation as Hold,
  SettleContext as Moment,
  VirtualTime as Pace
} from "../../keyPool/key.js"
import * as RandomDraw from "../../internal/random.js"
import * as Rendezvous from "./rendezvous.js"

/** `now` is the latest time seen: it never runs backwards. */
export interface DeploymentSet extends Moment {
  readonly rules: Rules
  /** By position. */
  readonly deployments: ReadonlyArray<Deployment>
  readonly pace: Pace
  readonly seed: number
  /** The first time at which time alone changes something. */
  readonly wakeAt: number
  /** How often one of them has become ready, or has ceased to be, or has changed when it will. */
  readonly changes: number
}

export interface Rules {
  /** Which comes first, groups included. */
  readonly order: Order.Order<DeploymentState>
  /** How much more than its share a deployment may have to do and still keep the calls that stick to it. */
  readonly bound: number
  readonly breaker: Breaker | undefined
}

/** What a call asks for. */
export interface Wish {
  /** The positions of deployments that it does not want. */
  readonly exclude: ReadonlySet<number>
  /** The hash of what it sticks to. */
  readonly affinity: number | undefined
}

/** What the deployments that a call wants have to offer. */
export interface Outlook {
  readonly winner: Deployment | undefined
  /** How many are ready. */
  readonly ready: number
  /** How many the end of a call in flight may make ready. */
  readonly awaited: number
  /** When time alone makes one ready; infinite where it will not. */
  readonly wakeAt: number
}

export const make = (
  settings: ReadonlyArray<Deployments.Settings>,
  rules: Rules,
  remedies: Remedies,
  window: number,
  seed: number
): DeploymentSet => {
  let drawn = seed
  const deployments = settings.map((one, position) => {
    drawn = RandomDraw.next(drawn)
    return Deployments.make(one, position, window, RandomDraw.exponential(drawn))
  })
  const pace = { served: 0, ticket: 0 }
  return {
    rules,
    cooldown: remedies,
    now: 0,
    sequence: 0,
    deployments,
    pace,
    seed: drawn,
    wakeAt: Infinity,
    changes: 0
  }
}

/** Every call passes through this, and V8 takes forty times as long over a spread as over a literal. */
const revised = (deploymentSet: DeploymentSet, change: Partial<DeploymentSet>): DeploymentSet => ({
  rules: deploymentSet.rules,
  cooldown: deploymentSet.cooldown,
  now: change.now ?? deploymentSet.now,
  sequence: change.sequence ?? deploymentSet.sequence,
  deployments: change.deployments ?? deploymentSet.deployments,
  pace: change.pace ?? deploymentSet.pace,
  seed: change.seed ?? deploymentSet.seed,
  wakeAt: change.wakeAt ?? deploymentSet.wakeAt,
  changes: change.changes ?? deploymentSet.changes
})

export const outlook = (deploymentSet: DeploymentSet, wish: Wish): Outlook => {
  const { order } = deploymentSet.rules
  let winner: Deployment | undefined
  let ready = 0
  let awaited = 0
  let wakeAt = Infinity
  for (const deployment of deploymentSet.deployments) {
    const { load, state } = deployment
    if (wish.exclude.has(load.position)) continue
    if (load.availability === "ready") {
      ready++
      if (winner === undefined || order(state, winner.state) < 0) winner = deployment
    } else {
      if (load.availability === "capped" || load.availability === "probing") awaited++
      if (load.wakeAt < wakeAt) wakeAt = load.wakeAt
    }
  }
  return { winner: ready > 1 ? (home(deploymentSet, wish, winner) ?? winner) : winner, ready, awaited, wakeAt }
}

const seen = ({ hash, load }: Deployment): Rendezvous.Place => ({ hash, weight: load.weight, load: load.inFlight })

/** The deployment that the call sticks to, of those in the same group as the first. */
const home = (deploymentSet: DeploymentSet, wish: Wish, first: Deployment | undefined): Deployment | undefined => {
  if (wish.affinity === undefined || first === undefined) return undefined
  const places = deploymentSet.deployments.filter(
    ({ load, state }) =>
      load.availability === "ready" && state.order === first.state.order && !wish.exclude.has(load.position)
  )
  return Rendezvous.choose(wish.affinity, places, seen, deploymentSet.rules.bound)
}

/** Lets time pass, and with it whatever keeps deployments from being asked. */
export const advance = (before: DeploymentSet, now: number): DeploymentSet => {
  const deploymentSet = now > before.now ? revised(before, { now }) : before
  if (deploymentSet.wakeAt > deploymentSet.now) return deploymentSet
  return deploymentSet.deployments.reduce(
    (later, deployment) => (deployment.load.wakeAt <= later.now ? put(later, deployment) : later),
    deploymentSet
  )
}

/** Gives a deployment to a call. */
export const reserve = (deploymentSet: DeploymentSet, deployment: Deployment): readonly [Hold, DeploymentSet] => {
  const { key, position, served, slot, ticket, weight } = deployment.load
  const sequence = deploymentSet.sequence + 1
  const seed = RandomDraw.next(deploymentSet.seed)
  const reserved = Deployments.reserve(deployment, sequence, deploymentSet.now, RandomDraw.exponential(seed))
  return [
    { key, slot, position, sequence, startedAt: deploymentSet.now },
    put(revised(deploymentSet, { sequence, seed, pace: { served: served / weight, ticket } }), reserved)
  ]
}

/** Takes a deployment back with what the call says about it. */
export const settle = (deploymentSet: DeploymentSet, hold: Hold, verdict: Verdict): DeploymentSet =>
  change(deploymentSet, hold.position, (deployment) =>
    Deployments.settle(deployment, hold, verdict, deploymentSet, deploymentSet.rules.breaker)
  )

/** Hears of a call that it has been answered so far. */
export const answered = (deploymentSet: DeploymentSet, hold: Hold, latency: number | undefined): DeploymentSet =>
  change(deploymentSet, hold.position, (deployment) => Deployments.answered(deployment, hold, latency, deploymentSet))

/** Takes a deployment back from a call that was never made. */
export const withdraw = (deploymentSet: DeploymentSet, hold: Hold): DeploymentSet =>
  change(deploymentSet, hold.position, (deployment) => Deployments.withdraw(deployment, hold))

/** Takes a deployment back from a call that was not made, since another one finds out whether it is good again. */
export const postpone = (deploymentSet: DeploymentSet, hold: Hold, until: number): DeploymentSet =>
  change(deploymentSet, hold.position, (deployment) => Deployments.postponed(deployment, hold, until))

/** Hears from others how a deployment does. Without a breaker no circuit opens. */
export const hear = (deploymentSet: DeploymentSet, position: number, news: Deployments.News): DeploymentSet =>
  news.state === "Open" && deploymentSet.rules.breaker === undefined
    ? deploymentSet
    : change(deploymentSet, position, (deployment) => Deployments.heard(deployment, news, deploymentSet.sequence))

/** What others should know of a deployment after a change. */
export const news = (before: DeploymentSet, after: DeploymentSet, position: number): Deployments.News | undefined => {
  const [was, is] = [before.deployments[position], after.deployments[position]]
  return was === undefined || is === undefined || was === is ? undefined : Deployments.news(was, is)
}

/** Whether a call is the one that finds out whether its deployment is good again. */
export const isProbe = (deploymentSet: DeploymentSet, { position, sequence }: Hold): boolean =>
  deploymentSet.deployments[position]?.load.health.probe === sequence

export const enable = (deploymentSet: DeploymentSet, position: number): DeploymentSet =>
  change(deploymentSet, position, (deployment) => Deployments.enable(deployment, deploymentSet.sequence))

export const disable = (deploymentSet: DeploymentSet, position: number): DeploymentSet =>
  change(deploymentSet, position, Deployments.disable)

export const reweight = (before: DeploymentSet, position: number, weight: number): DeploymentSet => {
  const deploymentSet = revised(before, { seed: RandomDraw.next(before.seed) })
  return change(deploymentSet, position, (deployment) =>
    Deployments.reweight(deployment, weight, deploymentSet.pace, RandomDraw.exponential(deploymentSet.seed))
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

/** Puts a deployment into its place as it stands now. */
const put = (deploymentSet: DeploymentSet, deployment: Deployment): DeploymentSet => {
  const { position } = deployment.load
  const before = deploymentSet.deployments[position]?.load
  const seed = RandomDraw.next(deploymentSet.seed)
  const standing = Deployments.stand(deployment, deploymentSet.now, deploymentSet.pace, RandomDraw.exponential(seed))
  const deployments = deploymentSet.deployments.with(position, standing)
  const { load } = standing
  return before?.availability === load.availability && before.wakeAt === load.wakeAt
    ? revised(deploymentSet, { seed, deployments })
    : revised(deploymentSet, { seed, deployments, wakeAt: earliest(deployments), changes: deploymentSet.changes + 1 })
}

const earliest = (deployments: ReadonlyArray<Deployment>): number => {
  let wakeAt = Infinity
  for (const { load } of deployments) if (load.wakeAt < wakeAt) wakeAt = load.wakeAt
  return wakeAt
}
