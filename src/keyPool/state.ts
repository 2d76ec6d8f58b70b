/**
 * The keys of a pool and the calls that wait for them, as one immutable value. Every function here is one step of it: who is
 * given a key, who is refused one, and whose wakeup must be rung because of it. All times are in milliseconds since the pool
 * was made.
 *
 * Once a step is done, no key is ready that any waiting call could use. So a newcomer who finds a key overtakes nobody.
 */
import { Data, HashMap, Option, Order, SortedMap } from "effect"
import type { Verdict } from "./model.js"
import type { KeySet, Summary } from "./keySet.js"
import * as KeySets from "./keySet.js"
import type { KeyReservation } from "./key.js"
import type { Wakeup, Step as StepOf, NotQueued, Waiting } from "../internal/waitQueue.js"
import { noWakeup, notQueued } from "../internal/waitQueue.js"

/** What a call asks for. */
export interface AcquireRequest {
  /** Ids of keys that it does not want. */
  readonly exclude: ReadonlySet<string>
  readonly deadline: number
  /** Whether it waits for keys that rest, and not only for keys that are busy. */
  readonly waitsForCooldown: boolean
}

export interface Granted {
  readonly _tag: "Granted"
  readonly reservation: KeyReservation
}

/** Why a call gets no key. */
export interface Denied {
  readonly _tag: "Denied"
  /** KeySets that are in good order and have merely too much to do. */
  readonly busy: number
  /** KeySets that rest because of a rate limit. */
  readonly limited: number
  /** How long until time alone makes a key ready; undefined where it will not. */
  readonly readyIn: number | undefined
}

interface Waiter extends AcquireRequest {
  readonly ticket: number
  readonly deadlineKey: DeadlineKey
  readonly wakeup: Wakeup
}

/** When a call gives up. */
type DeadlineKey = readonly [deadline: number, ticket: number]

export interface PoolState {
  readonly keySet: KeySet
  /** Those who wait, by the order in which they came. */
  readonly queue: SortedMap.SortedMap<number, Waiter>
  /** Those of them who would not take just any key, and may therefore wait in vain while others do not. */
  readonly restricted: SortedMap.SortedMap<number, Waiter>
  /** Those of them who will not wait for ever, the first to give up first. */
  readonly deadlines: SortedMap.SortedMap<DeadlineKey, Waiter>
  /** What those who waited got and have not fetched yet. */
  readonly answers: HashMap.HashMap<number, Granted | Denied>
  /** How many calls have ever waited. */
  readonly tickets: number
  /** The one in the line who looks again for all of them when time alone changes something, and when that is. */
  readonly timer: { readonly ticket: number; readonly at: number } | undefined
}

export type Step<A> = StepOf<A, PoolState>

export const make = (keySet: KeySet): PoolState => ({
  keySet,
  queue: SortedMap.empty(Order.number),
  restricted: SortedMap.empty(Order.number),
  deadlines: SortedMap.empty(Order.tuple(Order.number, Order.number)),
  answers: HashMap.empty(),
  tickets: 0,
  timer: undefined
})

/** Asks for a key. */
export const tryAcquire = (
  before: PoolState,
  now: number,
  request: AcquireRequest
): Step<Granted | Denied | NotQueued> => {
  const [wakeups, state] = serveWaiters(before, KeySets.advance(before.keySet, now))
  const summary = KeySets.summarize(state.keySet, request.exclude)
  if (summary.winner !== undefined) {
    const [reservation, keySet] = KeySets.reserve(state.keySet, summary.winner)
    return [{ value: { _tag: "Granted", reservation }, wakeups }, withKeySet(state, keySet)]
  }
  return cannotSucceed(summary, request, state.keySet.now)
    ? [{ value: denied(summary, state.keySet.now), wakeups }, state]
    : [{ value: notQueued, wakeups }, state]
}

/** Asks for a key, and waits in line where none is ready. */
export const enqueue = (
  before: PoolState,
  now: number,
  request: AcquireRequest,
  wakeup: Wakeup
): Step<Granted | Denied | Waiting> => {
  const [{ wakeups, value }, state] = tryAcquire(before, now, request)
  if (value._tag !== "NotQueued") return [{ value, wakeups }, state]
  const ticket = state.tickets
  return wait(
    { ...state, tickets: ticket + 1 },
    { ...request, ticket, deadlineKey: Data.tuple(request.deadline, ticket), wakeup },
    wakeups
  )
}

/** A waiting call looks again, with a new wakeup for the next time. */
export const look = (
  before: PoolState,
  now: number,
  ticket: number,
  wakeup: Wakeup
): Step<Granted | Denied | Waiting> => {
  const [wakeups, state] = serveWaiters(before, KeySets.advance(before.keySet, now))
  const answer = Option.getOrUndefined(HashMap.get(state.answers, ticket))
  if (answer !== undefined) {
    return [
      { value: answer, wakeups },
      { ...state, answers: HashMap.remove(state.answers, ticket) }
    ]
  }
  return wait(state, { ...Option.getOrThrow(SortedMap.get(state.queue, ticket)), wakeup }, wakeups)
}

const wait = (state: PoolState, waiter: Waiter, wakeups: ReadonlyArray<Wakeup>): Step<Waiting> => {
  const [woken, scheduled] = scheduleTimer(addWaiter(state, waiter), waiter.ticket)
  const until = scheduled.timer?.ticket === waiter.ticket ? scheduled.timer.at : Infinity
  return [{ value: { _tag: "Waiting", ticket: waiter.ticket, until }, wakeups: [...wakeups, ...woken] }, scheduled]
}

/** A waiting call gives up. If it has got a key already, that goes to the next. */
export const giveUp = (before: PoolState, now: number, ticket: number): Step<void> => {
  const answer = Option.getOrUndefined(HashMap.get(before.answers, ticket))
  const advanced = KeySets.advance(before.keySet, now)
  if (answer === undefined) {
    return withoutValue(
      serveWaiters(removeWaiter(before, Option.getOrThrow(SortedMap.get(before.queue, ticket))), advanced)
    )
  }
  const state = { ...before, answers: HashMap.remove(before.answers, ticket) }
  return withoutValue(
    serveWaiters(state, answer._tag === "Granted" ? KeySets.withdraw(advanced, answer.reservation) : advanced)
  )
}

/** A call gives its key back. */
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

/** Changes the keys from outside. */
export const change = <A>(before: PoolState, now: number, f: (keySet: KeySet) => readonly [A, KeySet]): Step<A> => {
  const [value, keySet] = f(KeySets.advance(before.keySet, now))
  const [wakeups, state] = serveWaiters(before, keySet)
  return [{ value, wakeups }, state]
}

/** How many calls wait. */
export const waiting = (state: PoolState): number => SortedMap.size(state.queue)

type StateUpdate = readonly [wakeups: ReadonlyArray<Wakeup>, state: PoolState]

const withoutValue = ([wakeups, state]: StateUpdate): Step<void> => [{ value: undefined, wakeups }, state]

/** With the keys as they are now, gives those who wait what they can get. */
const serveWaiters = (before: PoolState, keySet: KeySet): StateUpdate => {
  const state = withKeySet(before, keySet)
  if (SortedMap.size(state.queue) === 0) return [noWakeup, state]
  const isChanged = keySet.heap !== before.keySet.heap
  const [granted, served] = isChanged ? grant(state) : [noWakeup, state]
  const [expired, timely] = expire(served)
  const [refused, left] = isChanged
    ? refuse(timely, KeySets.summarize(before.keySet, noExclusions))
    : [noWakeup, timely]
  const [woken, scheduled] = scheduleTimer(left)
  return [[...granted, ...expired, ...refused, ...woken], scheduled]
}

const withKeySet = (state: PoolState, keySet: KeySet): PoolState => ({
  keySet,
  queue: state.queue,
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
  for (const waiter of SortedMap.values(before.queue)) {
    if (KeySets.summarize(state.keySet, noExclusions).winner === undefined) break
    const { winner } = KeySets.summarize(state.keySet, waiter.exclude)
    if (winner !== undefined) {
      const [reservation, keySet] = KeySets.reserve(state.keySet, winner)
      state = resolve(withKeySet(state, keySet), waiter, { _tag: "Granted", reservation })
      wakeups.push(waiter.wakeup)
    }
  }
  return [wakeups, state]
}

/** Nobody waits longer than he may. */
const expire = (before: PoolState): StateUpdate => {
  const wakeups: Array<Wakeup> = []
  let state = before
  for (const waiter of SortedMap.values(before.deadlines)) {
    if (waiter.deadline > state.keySet.now) break
    state = resolve(state, waiter, denied(KeySets.summarize(state.keySet, waiter.exclude), state.keySet.now))
    wakeups.push(waiter.wakeup)
  }
  return [wakeups, state]
}

/** Nor in vain. */
const refuse = (before: PoolState, earlier: Summary): StateUpdate => {
  const wakeups: Array<Wakeup> = []
  let state = before
  const { awaited, soonest } = KeySets.summarize(before.keySet, noExclusions)
  const isWorse = earlier.awaited > 0 || (earlier.soonest?.wakeAt ?? Infinity) < (soonest?.wakeAt ?? Infinity)
  for (const waiter of SortedMap.values(awaited === 0 && isWorse ? before.queue : before.restricted)) {
    const summary = KeySets.summarize(state.keySet, waiter.exclude)
    if (cannotSucceed(summary, waiter, state.keySet.now)) {
      state = resolve(state, waiter, denied(summary, state.keySet.now))
      wakeups.push(waiter.wakeup)
    }
  }
  return [wakeups, state]
}

const resolve = (state: PoolState, waiter: Waiter, value: Granted | Denied): PoolState => ({
  ...removeWaiter(state, waiter),
  answers: HashMap.set(state.answers, waiter.ticket, value)
})

const addWaiter = (state: PoolState, waiter: Waiter): PoolState => {
  const isRestricted = waiter.exclude.size > 0 || !waiter.waitsForCooldown
  return {
    ...state,
    queue: SortedMap.set(state.queue, waiter.ticket, waiter),
    restricted: isRestricted ? SortedMap.set(state.restricted, waiter.ticket, waiter) : state.restricted,
    deadlines: waiter.deadline < Infinity ? SortedMap.set(state.deadlines, waiter.deadlineKey, waiter) : state.deadlines
  }
}

const removeWaiter = (state: PoolState, waiter: Waiter): PoolState => ({
  ...state,
  queue: SortedMap.remove(state.queue, waiter.ticket),
  restricted: SortedMap.remove(state.restricted, waiter.ticket),
  deadlines: SortedMap.remove(state.deadlines, waiter.deadlineKey)
})

/**
 * One of the line watches the clock for all of them, so that a pool has one timer at most, however many wait, and a key that
 * becomes ready by time alone wakes one of them and not a thousand. When a new one is needed it is the last in line, who is
 * likely to be there longest. `looking` is the ticket of the one who is awake anyway.
 */
const scheduleTimer = (state: PoolState, awake?: number): StateUpdate => {
  const firstDeadline = Option.match(SortedMap.headOption(state.deadlines), {
    onNone: () => Infinity,
    onSome: ([[deadline]]) => deadline
  })
  const at = Math.min(KeySets.summarize(state.keySet, noExclusions).soonest?.wakeAt ?? Infinity, firstDeadline)
  const last = Option.getOrUndefined(SortedMap.lastOption(state.queue))
  if (last === undefined || at === Infinity) {
    return [noWakeup, state.timer === undefined ? state : { ...state, timer: undefined }]
  }
  const { timer } = state
  const owner = timer === undefined ? undefined : Option.getOrUndefined(SortedMap.get(state.queue, timer.ticket))
  const { wakeup, ticket } = owner ?? last[1]
  const isAwake = ticket === awake
  // One who will look up too early will look again; one who would look up too late must be told.
  if (timer !== undefined && owner !== undefined && timer.at <= at && !isAwake) return [noWakeup, state]
  return [isAwake ? noWakeup : [wakeup], { ...state, timer: { ticket, at } }]
}

/** Whether no key will be ready in time, as far as that can be known. */
const cannotSucceed = (summary: Summary, request: AcquireRequest, now: number): boolean => {
  if (request.deadline <= now || (!request.waitsForCooldown && summary.busy === 0)) return true
  return summary.awaited === 0 && (summary.soonest?.wakeAt ?? Infinity) > request.deadline
}

const denied = (summary: Summary, now: number): Denied => ({
  _tag: "Denied",
  busy: summary.busy,
  limited: summary.limited,
  readyIn: summary.soonest === undefined ? undefined : Math.max(0, summary.soonest.wakeAt - now)
})
