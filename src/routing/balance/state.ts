/**
 * The deployments of a balance and the calls that wait for them, as one immutable value. Every function here is one step of
 * it. All times are in milliseconds since the balance was made.
 *
 * Once a step is done, no deployment is ready that any waiting call could use. So a newcomer who finds one overtakes nobody.
 */
import { HashMap, Option, Order, SortedMap } from "effect"
import type { Notice } from "./health.js"
import type { News } from "./deployment.js"
import type { DeploymentSet, Outlook, Wish as FleetWish } from "./deploymentSet.js"
import * as DeploymentSets from "./deploymentSet.js"
import type { KeyReservation as Hold } from "../../keyPool/key.js"
import type { Wakeup, Step as StepOf, Transition, NotQueued, Waiting } from "../../internal/waitQueue.js"
import { noWakeup, notQueued } from "../../internal/waitQueue.js"

export interface Wish extends FleetWish {
  readonly deadline: number
}

export interface Granted {
  readonly _tag: "Granted"
  readonly hold: Hold
  /** Whether another deployment that the call could use is ready too. */
  readonly behind: boolean
  /** Whether the call finds out if the deployment is good again. */
  readonly probes: boolean
}

export interface Denied {
  readonly _tag: "Denied"
}

interface Waiter extends Wish {
  readonly ticket: number
  readonly wakeup: Wakeup
  readonly until: number
}

export interface BalanceState {
  readonly deploymentSet: DeploymentSet
  /** Those who wait, by the order in which they came. */
  readonly line: SortedMap.SortedMap<number, Waiter>
  /** What those who waited got and have not fetched yet. */
  readonly answers: HashMap.HashMap<number, Granted | Denied>
  /** How many calls have ever waited. */
  readonly tickets: number
  /** What others have said of the deployments, as far as it has been heard. */
  readonly heard: Notices
}

export type Notices = ReadonlyMap<string, Notice>

export type Step<A> = StepOf<A, BalanceState>

export const make = (deploymentSet: DeploymentSet): BalanceState => ({
  deploymentSet,
  line: SortedMap.empty(Order.number),
  answers: HashMap.empty(),
  tickets: 0,
  heard: new Map()
})

const withFleet = (state: BalanceState, deploymentSet: DeploymentSet): BalanceState => ({
  deploymentSet,
  line: state.line,
  answers: state.answers,
  tickets: state.tickets,
  heard: state.heard
})

const denied: Denied = { _tag: "Denied" }

/** Asks for a deployment. */
export const ask = (before: BalanceState, now: number, wish: Wish): Step<Granted | Denied | NotQueued> => {
  const [wakeups, state] = settleDown(before, DeploymentSets.advance(before.deploymentSet, now))
  const outlook = DeploymentSets.outlook(state.deploymentSet, wish)
  const [granted, deploymentSet] = take(state.deploymentSet, outlook)
  if (granted !== undefined) return [{ value: granted, wakeups }, withFleet(state, deploymentSet)]
  return [{ value: isHopeless(outlook, wish, deploymentSet.now) ? denied : notQueued, wakeups }, state]
}

/** Asks for a deployment, and waits in line where none is ready. */
export const queue = (
  before: BalanceState,
  now: number,
  wish: Wish,
  wakeup: Wakeup
): Step<Granted | Denied | Waiting> => {
  const [{ wakeups, value }, state] = ask(before, now, wish)
  if (value._tag !== "NotQueued") return [{ value, wakeups }, state]
  const ticket = state.tickets
  return wait({ ...state, tickets: ticket + 1 }, wish, ticket, wakeup, wakeups)
}

/** A waiting call looks again, with a new wakeup for the next time. */
export const look = (
  before: BalanceState,
  now: number,
  ticket: number,
  wakeup: Wakeup
): Step<Granted | Denied | Waiting> => {
  const [wakeups, state] = settleDown(before, DeploymentSets.advance(before.deploymentSet, now))
  const answer = Option.getOrUndefined(HashMap.get(state.answers, ticket))
  if (answer !== undefined) {
    return [
      { value: answer, wakeups },
      { ...state, answers: HashMap.remove(state.answers, ticket) }
    ]
  }
  const waiter = Option.getOrThrow(SortedMap.get(state.line, ticket))
  return isHopeless(DeploymentSets.outlook(state.deploymentSet, waiter), waiter, state.deploymentSet.now)
    ? [
        { value: denied, wakeups },
        { ...state, line: SortedMap.remove(state.line, ticket) }
      ]
    : wait(state, waiter, ticket, wakeup, wakeups)
}

const wait = (
  state: BalanceState,
  { affinity, deadline, exclude }: Wish,
  ticket: number,
  wakeup: Wakeup,
  wakeups: ReadonlyArray<Wakeup>
): Step<Waiting> => {
  const until = Math.min(deadline, DeploymentSets.outlook(state.deploymentSet, { exclude, affinity }).wakeAt)
  const waiter: Waiter = { exclude, affinity, deadline, ticket, wakeup, until }
  return [
    { value: { _tag: "Waiting", ticket, until }, wakeups },
    { ...state, line: SortedMap.set(state.line, ticket, waiter) }
  ]
}

/** A waiting call gives up. If it has got a deployment already, that goes to the next. */
export const giveUp = (before: BalanceState, now: number, ticket: number): Step<void> => {
  const answer = Option.getOrUndefined(HashMap.get(before.answers, ticket))
  const left = {
    ...before,
    line: SortedMap.remove(before.line, ticket),
    answers: HashMap.remove(before.answers, ticket)
  }
  return change(left, now, (deploymentSet) =>
    answer?._tag === "Granted" ? DeploymentSets.withdraw(deploymentSet, answer.hold) : deploymentSet
  )
}

/** Changes the deployments. */
export const change = (
  before: BalanceState,
  now: number,
  f: (deploymentSet: DeploymentSet) => DeploymentSet
): Step<void> => {
  const [wakeups, state] = settleDown(before, f(DeploymentSets.advance(before.deploymentSet, now)))
  return [{ value: undefined, wakeups }, state]
}

/** Changes one deployment, and says what others should know of it. */
export const changeOne = (
  before: BalanceState,
  now: number,
  position: number,
  f: (deploymentSet: DeploymentSet) => DeploymentSet
): Step<News | undefined> => {
  const [{ wakeups: early }, current] = change(before, now, (deploymentSet) => deploymentSet)
  const deploymentSet = f(current.deploymentSet)
  const [wakeups, state] = settleDown(current, deploymentSet)
  return [
    { value: DeploymentSets.news(current.deploymentSet, deploymentSet, position), wakeups: [...early, ...wakeups] },
    state
  ]
}

/** Hears what others say of the deployments, but for `author` itself. Their time was 0 at `origin` of the notices' time. */
export const hear = (
  before: BalanceState,
  now: number,
  notices: Notices,
  author: string,
  origin: number
): Step<void> => {
  if (notices === before.heard) return [unheard, before]
  const [turn, state] = change(before, now, (deploymentSet) =>
    deploymentSet.deployments.reduce((later, { load: { id, position } }) => {
      const notice = notices.get(id)
      if (notice === undefined || notice === before.heard.get(id) || notice.author === author) return later
      return DeploymentSets.hear(later, position, { ...notice, until: notice.until - origin })
    }, deploymentSet)
  )
  return [turn, { ...state, heard: notices }]
}

const unheard: Transition<void> = { value: undefined, wakeups: noWakeup }

/** How many calls wait. */
export const waiting = (state: BalanceState): number => SortedMap.size(state.line)

/** With the deployments as they are now, gives those who wait what they can get. */
const settleDown = (
  before: BalanceState,
  deploymentSet: DeploymentSet
): readonly [wakeups: ReadonlyArray<Wakeup>, state: BalanceState] => {
  if (deploymentSet === before.deploymentSet) return [noWakeup, before]
  let state = withFleet(before, deploymentSet)
  if (deploymentSet.changes === before.deploymentSet.changes || SortedMap.size(before.line) === 0)
    return [noWakeup, state]
  const wakeups: Array<Wakeup> = []
  for (const waiter of SortedMap.values(before.line)) {
    const outlook = DeploymentSets.outlook(state.deploymentSet, waiter)
    const [granted, next] = take(state.deploymentSet, outlook)
    const answer = granted ?? (isHopeless(outlook, waiter, next.now) ? denied : undefined)
    if (answer !== undefined) {
      state = {
        deploymentSet: next,
        line: SortedMap.remove(state.line, waiter.ticket),
        answers: HashMap.set(state.answers, waiter.ticket, answer),
        tickets: state.tickets,
        heard: state.heard
      }
    }
    // One who would look up too late must be told.
    if (answer !== undefined || outlook.wakeAt < waiter.until) wakeups.push(waiter.wakeup)
  }
  return [wakeups, state]
}

const take = (
  deploymentSet: DeploymentSet,
  { ready, winner }: Outlook
): readonly [Granted | undefined, DeploymentSet] => {
  if (winner === undefined) return [undefined, deploymentSet]
  const [hold, reserved] = DeploymentSets.reserve(deploymentSet, winner)
  return [{ _tag: "Granted", hold, behind: ready > 1, probes: DeploymentSets.isProbe(reserved, hold) }, reserved]
}

/** Whether no deployment will be ready in time, as far as that can be known. */
const isHopeless = (outlook: Outlook, wish: Wish, now: number): boolean =>
  wish.deadline <= now || (outlook.awaited === 0 && outlook.wakeAt > wish.deadline)
