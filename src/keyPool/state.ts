/**
 * The keys of a pool and the queue of waiting calls, as one immutable value. Each transition grants or refuses keys and returns
 * the wakeups of the waiting calls that must look again. All times are in milliseconds since the pool was made.
 *
 * After a transition no key is ready that a waiting call could use, so a new call never passes a queued one.
 */
import { Data, HashMap, Option, Order } from "effect"
import * as OrderedMap from "../internal/orderedMap.js"
import type { Verdict } from "./model.js"
import type { KeySet } from "./keySet.js"
import * as KeySets from "./keySet.js"
import type { KeyReservation, PooledKey, View } from "./key.js"
import type { Affinity, Summary } from "./ranking.js"
import { wakeAtOf } from "./ranking.js"
import type { Wakeup, Step as StepOf, NotQueued, Waiting } from "../internal/waitQueue.js"
import { noWakeup, notQueued } from "../internal/waitQueue.js"

/** The requirements of a call. */
export interface AcquireRequest {
  /** Ids of keys that the call does not use. */
  readonly exclude: ReadonlySet<string>
  readonly deadline: number
  /** Whether the call waits for the end of cooldowns, and not only for busy keys. */
  readonly waitsForCooldown: boolean
  /** Whether the call tries another key after a failure of the provider: it takes no failing key. */
  readonly isFailover?: boolean
  /** Absent for a call that is not made for a model. */
  readonly view?: View | undefined
  readonly affinity?: Affinity | undefined
}

export interface Granted {
  readonly _tag: "Granted"
  readonly reservation: KeyReservation
}

/** Why a call gets no key. */
export interface Denied {
  readonly _tag: "Denied"
  /** Keys at their `maxConcurrency` or `requestsPerSecond`. */
  readonly busy: number
  /** Keys in a cooldown after a rate limit or failures, or at the limit of calls after one. */
  readonly limited: number
  /** How long until a key becomes ready by time alone; undefined if none will. */
  readonly readyIn: number | undefined
}

/** What the strategy threw when a key was picked for a waiting call. The call that made the key ready goes on. */
export interface Broken {
  readonly _tag: "Broken"
  readonly defect: unknown
}

/** What a call gets that asks for a key. */
export type Answer = Granted | Denied | Broken

/** The place of a waiting call in the queue: by the time of its arrival, then by its ticket, of which each is given out once. */
export interface Place {
  readonly arrivedAt: number
  readonly ticket: number
}

const byArrival: Order.Order<Place> = Order.combine(
  Order.mapInput(Order.number, (place: Place) => place.arrivedAt),
  Order.mapInput(Order.number, (place: Place) => place.ticket)
)

interface Waiter extends AcquireRequest {
  readonly place: Place
  readonly deadlineKey: DeadlineKey
  readonly wakeup: Wakeup
}

/** The calls of one model that wait. */
interface WaitingView {
  readonly view: View | undefined
  readonly waiting: number
}

/** When a waiting call is refused. */
type DeadlineKey = readonly [deadline: number, ticket: number]

export interface PoolState {
  readonly keySet: KeySet
  /** Waiting calls in order of arrival. */
  readonly queue: OrderedMap.OrderedMap<Place, Waiter>
  /** How many of them see the keys in the same way, by model. */
  readonly views: ReadonlyMap<string | undefined, WaitingView>
  /** Waiting calls that do not take every key, so that they can be refused while others still wait. */
  readonly restricted: OrderedMap.OrderedMap<Place, Waiter>
  /** Waiting calls with a finite deadline, the earliest first. */
  readonly deadlines: OrderedMap.OrderedMap<DeadlineKey, Waiter>
  /** Results of waiting calls that have not been fetched yet, by ticket. */
  readonly answers: HashMap.HashMap<number, Answer>
  /** Calls that have ever waited. */
  readonly tickets: number
  /** The waiting call that looks again for the whole queue when time alone changes something, and when. */
  readonly timer: { readonly place: Place; readonly at: number } | undefined
}

export type Step<A> = StepOf<A, PoolState>

export const make = (keySet: KeySet): PoolState => ({
  keySet,
  queue: OrderedMap.empty(byArrival),
  views: new Map(),
  restricted: OrderedMap.empty(byArrival),
  deadlines: OrderedMap.empty(Order.tuple(Order.number, Order.number)),
  answers: HashMap.empty(),
  tickets: 0,
  timer: undefined
})

/** Reserves a key or refuses. A request that would have to wait is not queued. */
export const tryAcquire = (
  before: PoolState,
  now: number,
  request: AcquireRequest
): Step<Granted | Denied | NotQueued> => {
  const { affinity, exclude, isFailover, view } = request
  const [wakeups, state] = serveWaiters(before, KeySets.prepare(KeySets.advance(before.keySet, now), view))
  const winner = KeySets.winner(state.keySet, exclude, isFailover, view, affinity)
  if (winner !== undefined) {
    const [reservation, keySet] = KeySets.reserve(state.keySet, winner, isFailover, view)
    return [{ value: { _tag: "Granted", reservation }, wakeups }, withKeySet(state, keySet)]
  }
  const summary = KeySets.summarize(state.keySet, exclude, view)
  return cannotSucceed(summary, request, state.keySet.now)
    ? [{ value: denied(summary, state.keySet.now), wakeups }, state]
    : [{ value: notQueued, wakeups }, state]
}

/** Reserves a key, or joins the queue where none is ready: behind the calls that arrived earlier or at the same time. */
export const enqueue = (
  before: PoolState,
  now: number,
  request: AcquireRequest,
  wakeup: Wakeup,
  arrivedAt = now
): Step<Answer | Waiting<Place>> => {
  const [{ wakeups, value }, state] = tryAcquire(before, now, request)
  if (value._tag !== "NotQueued") return [{ value, wakeups }, state]
  const ticket = state.tickets
  return wait(
    { ...state, tickets: ticket + 1 },
    { ...request, place: { arrivedAt, ticket }, deadlineKey: Data.tuple(request.deadline, ticket), wakeup },
    wakeups
  )
}

/** Looks for the result of a waiting call, or waits again with a new wakeup. */
export const look = (before: PoolState, now: number, place: Place, wakeup: Wakeup): Step<Answer | Waiting<Place>> => {
  const [wakeups, state] = serveWaiters(before, KeySets.advance(before.keySet, now))
  const answer = Option.getOrUndefined(HashMap.get(state.answers, place.ticket))
  if (answer !== undefined) {
    return [
      { value: answer, wakeups },
      { ...state, answers: HashMap.remove(state.answers, place.ticket) }
    ]
  }
  return wait(state, { ...Option.getOrThrow(OrderedMap.get(state.queue, place)), wakeup }, wakeups)
}

const wait = (state: PoolState, waiter: Waiter, wakeups: ReadonlyArray<Wakeup>): Step<Waiting<Place>> => {
  const { place } = waiter
  const [woken, scheduled] = scheduleTimer(addWaiter(state, waiter), place)
  const until = scheduled.timer?.place === place ? scheduled.timer.at : Infinity
  return [{ value: { _tag: "Waiting", ticket: place, until }, wakeups: [...wakeups, ...woken] }, scheduled]
}

/** Removes a waiting call. A key that it has been granted already goes to the next in the queue. */
export const giveUp = (before: PoolState, now: number, place: Place): Step<void> => {
  const answer = Option.getOrUndefined(HashMap.get(before.answers, place.ticket))
  const advanced = KeySets.advance(before.keySet, now)
  if (answer === undefined) {
    return withoutValue(
      serveWaiters(removeWaiter(before, Option.getOrThrow(OrderedMap.get(before.queue, place))), advanced)
    )
  }
  const state = { ...before, answers: HashMap.remove(before.answers, place.ticket) }
  return withoutValue(
    serveWaiters(state, answer._tag === "Granted" ? KeySets.withdraw(advanced, answer.reservation) : advanced)
  )
}

/** Ends a reservation. */
export const settle = (
  before: PoolState,
  now: number,
  reservation: KeyReservation,
  verdictAfter: (elapsed: number) => Verdict
): Step<void> => {
  const advanced = KeySets.advance(before.keySet, now)
  return withoutValue(
    serveWaiters(before, KeySets.settle(advanced, reservation, verdictAfter(advanced.now - reservation.startedAt)))
  )
}

/** Ends the reservation of a call that was not made, as if it had never been reserved. */
export const withdraw = (before: PoolState, now: number, reservation: KeyReservation): Step<void> =>
  withoutValue(serveWaiters(before, KeySets.withdraw(KeySets.advance(before.keySet, now), reservation)))

/** Records that the provider has accepted a call, which goes on. */
export const accept = (before: PoolState, now: number, reservation: KeyReservation): Step<void> =>
  withoutValue(serveWaiters(before, KeySets.accept(KeySets.advance(before.keySet, now), reservation)))

/** Changes the keys from outside. */
export const change = <A>(before: PoolState, now: number, f: (keySet: KeySet) => readonly [A, KeySet]): Step<A> => {
  const [value, keySet] = f(KeySets.advance(before.keySet, now))
  const [wakeups, state] = serveWaiters(before, keySet)
  return [{ value, wakeups }, state]
}

/** Refuses all waiting calls. */
export const refuseAll = (before: PoolState, now: number): Step<void> => {
  let state = withKeySet(before, KeySets.advance(before.keySet, now))
  const wakeups: Array<Wakeup> = []
  for (const waiter of OrderedMap.values(before.queue)) {
    const summary = KeySets.summarize(state.keySet, waiter.exclude, waiter.view)
    state = resolve(state, waiter, denied(summary, state.keySet.now))
    wakeups.push(waiter.wakeup)
  }
  return [{ value: undefined, wakeups }, state]
}

/** The number of calls of a view that wait. */
export const waiting = ({ views }: PoolState, view?: View): number => views.get(view?.model)?.waiting ?? 0

type StateUpdate = readonly [wakeups: ReadonlyArray<Wakeup>, state: PoolState]

const withoutValue = ([wakeups, state]: StateUpdate): Step<void> => [{ value: undefined, wakeups }, state]

/** Replaces the keys, and grants or refuses keys to the waiting calls. */
const serveWaiters = (before: PoolState, keySet: KeySet): StateUpdate => {
  const state = withKeySet(before, keySet)
  if (OrderedMap.size(state.queue) === 0) return [noWakeup, state]
  const isChanged = keySet.all !== before.keySet.all
  const [granted, served] = isChanged ? grant(state) : [noWakeup, state]
  const [expired, timely] = expire(served)
  const [refused, left] = isChanged ? refuse(timely, before.keySet) : [noWakeup, timely]
  const [woken, scheduled] = scheduleTimer(left)
  return [[...granted, ...expired, ...refused, ...woken], scheduled]
}

const withKeySet = (state: PoolState, keySet: KeySet): PoolState => ({
  keySet,
  queue: state.queue,
  views: state.views,
  restricted: state.restricted,
  deadlines: state.deadlines,
  answers: state.answers,
  tickets: state.tickets,
  timer: state.timer
})

const noExclusions: ReadonlySet<string> = new Set()

const grant = (before: PoolState): StateUpdate => {
  const wakeups: Array<Wakeup> = []
  let state = before
  for (const waiter of OrderedMap.values(before.queue)) {
    if (!canGrant(state)) break
    const answered = grantTo(state, waiter)
    if (answered === undefined) continue
    state = answered
    wakeups.push(waiter.wakeup)
  }
  return [wakeups, state]
}

/** Whether a key is ready that a waiting call could use. */
const canGrant = ({ keySet, views }: PoolState): boolean => {
  for (const { view } of views.values()) if (KeySets.hasReady(keySet, view)) return true
  return false
}

/** Grants a key to a waiting call; undefined where none is ready that it uses. */
const grantTo = (state: PoolState, waiter: Waiter): PoolState | undefined => {
  let winner: PooledKey | undefined
  try {
    winner = KeySets.winner(state.keySet, waiter.exclude, false, waiter.view, waiter.affinity)
  } catch (defect) {
    return resolve(state, waiter, { _tag: "Broken", defect })
  }
  if (winner === undefined) return undefined
  const [reservation, keySet] = KeySets.reserve(state.keySet, winner, false, waiter.view)
  return resolve(withKeySet(state, keySet), waiter, { _tag: "Granted", reservation })
}

/** Refuses the waiting calls whose deadline has passed. */
const expire = (before: PoolState): StateUpdate => {
  const wakeups: Array<Wakeup> = []
  let state = before
  for (const waiter of OrderedMap.values(before.deadlines)) {
    if (waiter.deadline > state.keySet.now) break
    state = resolve(state, waiter, denied(summaryFor(state.keySet, waiter), state.keySet.now))
    wakeups.push(waiter.wakeup)
  }
  return [wakeups, state]
}

/** Refuses the waiting calls that can no longer get a key in time. */
const refuse = (before: PoolState, earlier: KeySet): StateUpdate => {
  const wakeups: Array<Wakeup> = []
  let state = before
  const isWorse = isWorseForAny(before, earlier)
  for (const waiter of OrderedMap.values(isWorse ? before.queue : before.restricted)) {
    const summary = summaryFor(state.keySet, waiter)
    if (cannotSucceed(summary, waiter, state.keySet.now)) {
      state = resolve(state, waiter, denied(summary, state.keySet.now))
      wakeups.push(waiter.wakeup)
    }
  }
  return [wakeups, state]
}

/** Whether the calls of a view have less to wait for than before. */
const isWorseForAny = ({ keySet, views }: PoolState, earlier: KeySet): boolean => {
  for (const { view } of views.values()) {
    const { awaited, soonest } = KeySets.summarize(keySet, noExclusions, view)
    if (awaited > 0) continue
    const before = KeySets.summarize(earlier, noExclusions, view)
    if (before.awaited > 0 || wakeAtOf(before.soonest) < wakeAtOf(soonest)) return true
  }
  return false
}

const summaryFor = (keySet: KeySet, { exclude, view }: AcquireRequest): Summary =>
  KeySets.summarize(keySet, exclude, view)

const resolve = (state: PoolState, waiter: Waiter, value: Answer): PoolState => ({
  ...removeWaiter(state, waiter),
  answers: HashMap.set(state.answers, waiter.place.ticket, value)
})

const addWaiter = (state: PoolState, waiter: Waiter): PoolState => {
  const isRestricted = waiter.exclude.size > 0 || !waiter.waitsForCooldown
  return {
    ...state,
    queue: OrderedMap.set(state.queue, waiter.place, waiter),
    views: OrderedMap.has(state.queue, waiter.place) ? state.views : viewsWith(state, waiter, 1),
    restricted: isRestricted ? OrderedMap.set(state.restricted, waiter.place, waiter) : state.restricted,
    deadlines:
      waiter.deadline < Infinity ? OrderedMap.set(state.deadlines, waiter.deadlineKey, waiter) : state.deadlines
  }
}

const removeWaiter = (state: PoolState, waiter: Waiter): PoolState => ({
  ...state,
  queue: OrderedMap.remove(state.queue, waiter.place),
  views: viewsWith(state, waiter, -1),
  restricted: OrderedMap.remove(state.restricted, waiter.place),
  deadlines: OrderedMap.remove(state.deadlines, waiter.deadlineKey)
})

const viewsWith = ({ views }: PoolState, { view }: Waiter, change: number): PoolState["views"] => {
  const after = new Map(views)
  const waiting = (views.get(view?.model)?.waiting ?? 0) + change
  if (waiting === 0) after.delete(view?.model)
  else after.set(view?.model, { view, waiting })
  return after
}

/** When time alone first changes a key for a waiting call. */
const wakeAt = ({ keySet, views }: PoolState): number => {
  let at = Infinity
  for (const { view } of views.values()) at = Math.min(at, KeySets.wakeAt(keySet, view))
  return at
}

/**
 * Gives the timer to one waiting call, so that a pool has at most one timer and a key that becomes ready by time alone wakes one
 * call, not the whole queue. A new timer goes to the last call of the queue, which is likely to wait longest. `awake` is the
 * place of the call that is looking now and needs no wakeup.
 */
const scheduleTimer = (state: PoolState, awake?: Place): StateUpdate => {
  const firstDeadline = Option.match(OrderedMap.first(state.deadlines), {
    onNone: () => Infinity,
    onSome: ({ deadline }) => deadline
  })
  const at = Math.min(wakeAt(state), firstDeadline)
  const last = Option.getOrUndefined(OrderedMap.last(state.queue))
  if (last === undefined || at === Infinity) {
    return [noWakeup, state.timer === undefined ? state : { ...state, timer: undefined }]
  }
  const { timer } = state
  const owner = timer === undefined ? undefined : Option.getOrUndefined(OrderedMap.get(state.queue, timer.place))
  const { place, wakeup } = owner ?? last
  const isAwake = place === awake
  // A timer that is too early looks again by itself; one that is too late must be replaced.
  if (timer !== undefined && owner !== undefined && timer.at <= at && !isAwake) return [noWakeup, state]
  return [isAwake ? noWakeup : [wakeup], { ...state, timer: { place, at } }]
}

/** Whether it is certain that no key will be ready in time. */
const cannotSucceed = (summary: Summary, request: AcquireRequest, now: number): boolean => {
  if (request.deadline <= now || (!request.waitsForCooldown && summary.busy === 0)) return true
  return summary.awaited === 0 && wakeAtOf(summary.soonest) > request.deadline
}

const denied = (summary: Summary, now: number): Denied => ({
  _tag: "Denied",
  busy: summary.busy,
  limited: summary.limited,
  readyIn: summary.soonest === undefined ? undefined : Math.max(0, wakeAtOf(summary.soonest) - now)
})
