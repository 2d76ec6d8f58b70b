/**
 * The deployments of a balance and its wait queue, as one immutable value. Every function is one transition. All times are in
 * milliseconds since the balance was made.
 *
 * After each transition no deployment is ready that any queued call could use, so a new call never passes a queued one.
 */
import { HashMap, Option, Order } from "effect"
import * as OrderedMap from "../../internal/orderedMap.js"
import type { Notice } from "./health.js"
import type { HealthChange } from "./deployment.js"
import type { Criteria, DeploymentSet, Summary } from "./deploymentSet.js"
import * as DeploymentSets from "./deploymentSet.js"
import type { KeyReservation } from "../../keyPool/key.js"
import type { Wakeup, Step as StepOf, Transition, NotQueued, Waiting } from "../../internal/waitQueue.js"
import { noWakeup, notQueued } from "../../internal/waitQueue.js"

export interface AcquireRequest extends Criteria {
  readonly deadline: number
}

export interface Granted {
  readonly _tag: "Granted"
  readonly reservation: KeyReservation
  /** Whether another deployment that the call could use is ready too. */
  readonly hasAlternative: boolean
  /** Whether the call is the probe of a half-open circuit. */
  readonly isProbe: boolean
}

export interface Denied {
  readonly _tag: "Denied"
}

interface Waiter extends AcquireRequest {
  readonly ticket: number
  readonly wakeup: Wakeup
  readonly until: number
}

export interface BalanceState {
  readonly deploymentSet: DeploymentSet
  /** Queued calls by ticket, the oldest first. */
  readonly queue: OrderedMap.OrderedMap<number, Waiter>
  /** Answers to calls that have left the queue and have not read them yet. */
  readonly answers: HashMap.HashMap<number, Granted | Denied>
  /** How many calls have ever been queued. */
  readonly tickets: number
  /** The notices of all balances that have been applied. */
  readonly notices: Notices
}

export type Notices = ReadonlyMap<string, Notice>

export type Step<A> = StepOf<A, BalanceState>

export const make = (deploymentSet: DeploymentSet): BalanceState => ({
  deploymentSet,
  queue: OrderedMap.empty(Order.number),
  answers: HashMap.empty(),
  tickets: 0,
  notices: new Map()
})

const withDeploymentSet = (state: BalanceState, deploymentSet: DeploymentSet): BalanceState => ({
  deploymentSet,
  queue: state.queue,
  answers: state.answers,
  tickets: state.tickets,
  notices: state.notices
})

const denied: Denied = { _tag: "Denied" }

/** Reserves a deployment if one is ready. */
export const tryAcquire = (
  before: BalanceState,
  now: number,
  request: AcquireRequest
): Step<Granted | Denied | NotQueued> => {
  const [wakeups, state] = serveWaiters(before, DeploymentSets.advance(before.deploymentSet, now))
  const summary = DeploymentSets.summarize(state.deploymentSet, request)
  const [granted, deploymentSet] = grant(state.deploymentSet, summary)
  if (granted !== undefined) return [{ value: granted, wakeups }, withDeploymentSet(state, deploymentSet)]
  return [{ value: cannotSucceed(summary, request, deploymentSet.now) ? denied : notQueued, wakeups }, state]
}

/** Reserves a deployment, or joins the queue if none is ready. */
export const enqueue = (
  before: BalanceState,
  now: number,
  request: AcquireRequest,
  wakeup: Wakeup
): Step<Granted | Denied | Waiting> => {
  const [{ wakeups, value }, state] = tryAcquire(before, now, request)
  if (value._tag !== "NotQueued") return [{ value, wakeups }, state]
  const ticket = state.tickets
  return wait({ ...state, tickets: ticket + 1 }, request, ticket, wakeup, wakeups)
}

/** Returns the answer to a queued call, or stores its wakeup for the next look. */
export const look = (
  before: BalanceState,
  now: number,
  ticket: number,
  wakeup: Wakeup
): Step<Granted | Denied | Waiting> => {
  const [wakeups, state] = serveWaiters(before, DeploymentSets.advance(before.deploymentSet, now))
  const answer = Option.getOrUndefined(HashMap.get(state.answers, ticket))
  if (answer !== undefined) {
    return [
      { value: answer, wakeups },
      { ...state, answers: HashMap.remove(state.answers, ticket) }
    ]
  }
  const waiter = Option.getOrThrow(OrderedMap.get(state.queue, ticket))
  return cannotSucceed(DeploymentSets.summarize(state.deploymentSet, waiter), waiter, state.deploymentSet.now)
    ? [
        { value: denied, wakeups },
        { ...state, queue: OrderedMap.remove(state.queue, ticket) }
      ]
    : wait(state, waiter, ticket, wakeup, wakeups)
}

const wait = (
  state: BalanceState,
  { affinity, deadline, exclude }: AcquireRequest,
  ticket: number,
  wakeup: Wakeup,
  wakeups: ReadonlyArray<Wakeup>
): Step<Waiting> => {
  const until = Math.min(deadline, DeploymentSets.summarize(state.deploymentSet, { exclude, affinity }).wakeAt)
  const waiter: Waiter = { exclude, affinity, deadline, ticket, wakeup, until }
  return [
    { value: { _tag: "Waiting", ticket, until }, wakeups },
    { ...state, queue: OrderedMap.set(state.queue, ticket, waiter) }
  ]
}

/** Removes a call from the queue. A deployment that it was already granted goes to the next call. */
export const giveUp = (before: BalanceState, now: number, ticket: number): Step<void> => {
  const answer = Option.getOrUndefined(HashMap.get(before.answers, ticket))
  const left = {
    ...before,
    queue: OrderedMap.remove(before.queue, ticket),
    answers: HashMap.remove(before.answers, ticket)
  }
  return change(left, now, (deploymentSet) =>
    answer?._tag === "Granted" ? DeploymentSets.withdraw(deploymentSet, answer.reservation) : deploymentSet
  )
}

/** Changes the deployments. */
export const change = (
  before: BalanceState,
  now: number,
  f: (deploymentSet: DeploymentSet) => DeploymentSet
): Step<void> => {
  const [wakeups, state] = serveWaiters(before, f(DeploymentSets.advance(before.deploymentSet, now)))
  return [{ value: undefined, wakeups }, state]
}

/** Changes one deployment, and returns the change of its health that other balances must apply too. */
export const changeDeployment = (
  before: BalanceState,
  now: number,
  position: number,
  f: (deploymentSet: DeploymentSet) => DeploymentSet
): Step<HealthChange | undefined> => {
  const [{ wakeups: early }, current] = change(before, now, (deploymentSet) => deploymentSet)
  const deploymentSet = f(current.deploymentSet)
  const [wakeups, state] = serveWaiters(current, deploymentSet)
  return [
    {
      value: DeploymentSets.healthChange(current.deploymentSet, deploymentSet, position),
      wakeups: [...early, ...wakeups]
    },
    state
  ]
}

/** Applies the new notices of other balances. `origin` is the time of the notices at which the time of this balance was 0. */
export const applyNotices = (
  before: BalanceState,
  now: number,
  notices: Notices,
  instanceId: string,
  origin: number
): Step<void> => {
  if (notices === before.notices) return [unchanged, before]
  const [transition, state] = change(before, now, (deploymentSet) =>
    DeploymentSets.all(deploymentSet).reduce((later, { load: { id, position } }) => {
      const notice = notices.get(id)
      if (notice === undefined || notice === before.notices.get(id) || notice.author === instanceId) return later
      return DeploymentSets.applyHealthChange(later, position, { ...notice, until: notice.until - origin })
    }, deploymentSet)
  )
  return [transition, { ...state, notices }]
}

const unchanged: Transition<void> = { value: undefined, wakeups: noWakeup }

/** The length of the queue. */
export const waiting = (state: BalanceState): number => OrderedMap.size(state.queue)

/** Stores the deployments and answers the queued calls that they suffice for or that cannot succeed any more. */
const serveWaiters = (
  before: BalanceState,
  deploymentSet: DeploymentSet
): readonly [wakeups: ReadonlyArray<Wakeup>, state: BalanceState] => {
  if (deploymentSet === before.deploymentSet) return [noWakeup, before]
  let state = withDeploymentSet(before, deploymentSet)
  if (deploymentSet.changes === before.deploymentSet.changes || OrderedMap.size(before.queue) === 0)
    return [noWakeup, state]
  const wakeups: Array<Wakeup> = []
  for (const waiter of OrderedMap.values(before.queue)) {
    const summary = DeploymentSets.summarize(state.deploymentSet, waiter)
    const [granted, next] = grant(state.deploymentSet, summary)
    const answer = granted ?? (cannotSucceed(summary, waiter, next.now) ? denied : undefined)
    if (answer !== undefined) {
      state = {
        deploymentSet: next,
        queue: OrderedMap.remove(state.queue, waiter.ticket),
        answers: HashMap.set(state.answers, waiter.ticket, answer),
        tickets: state.tickets,
        notices: state.notices
      }
    }
    // A call whose next look would be too late must look again now.
    if (answer !== undefined || summary.wakeAt < waiter.until) wakeups.push(waiter.wakeup)
  }
  return [wakeups, state]
}

const grant = (
  deploymentSet: DeploymentSet,
  { ready, winner }: Summary
): readonly [Granted | undefined, DeploymentSet] => {
  if (winner === undefined) return [undefined, deploymentSet]
  const [reservation, reserved] = DeploymentSets.reserve(deploymentSet, winner)
  const isProbe = DeploymentSets.isProbe(reserved, reservation)
  return [{ _tag: "Granted", reservation, hasAlternative: ready > 1, isProbe }, reserved]
}

/** Whether the deadline has passed, or neither time nor the end of a call in flight makes a deployment ready before it. */
const cannotSucceed = (summary: Summary, { deadline }: AcquireRequest, now: number): boolean =>
  deadline <= now || (summary.awaited === 0 && summary.wakeAt > deadline)
