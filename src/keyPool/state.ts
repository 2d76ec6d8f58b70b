/**
 * The keys of a pool and the calls that wait for them, as one immutable value. Every function here is one step of it: who is
 * given a key, who is refused one, and whose wakeup must be rung because of it. All times are in milliseconds since the pool
 * was made.
 *
 * Once a step is done, no key is ready that any waiting call could use. So a newcomer who finds a key overtakes nobody.
 */
import { Data, HashMap, Option, Order, SortedMap } from "effect"
import type { Verdict } from "./model.js"
import type { KeySet, Outlook } from "./keySet.js"
import * as Keys from "./keySet.js"
import type { Hold } from "./key.js"
import type { Wakeup, Step as StepOf, NotQueued, Waiting } from "../internal/waitQueue.js"
import { noWakeup, notQueued } from "../internal/waitQueue.js"

/** What a call asks for. */
export interface Wish {
  /** Ids of keys that it does not want. */
  readonly exclude: ReadonlySet<string>
  readonly deadline: number
  /** Whether it waits for keys that rest, and not only for keys that are busy. */
  readonly patient: boolean
}

export interface Granted {
  readonly _tag: "Granted"
  readonly hold: Hold
}

/** Why a call gets no key. */
export interface Denied {
  readonly _tag: "Denied"
  /** Keys that are in good order and have merely too much to do. */
  readonly busy: number
  /** Keys that rest because of a rate limit. */
  readonly limited: number
  /** How long until time alone makes a key ready; undefined where it will not. */
  readonly readyIn: number | undefined
}

interface Waiter extends Wish {
  readonly ticket: number
  readonly due: Due
  readonly wakeup: Wakeup
}

/** When a call gives up. */
type Due = readonly [deadline: number, ticket: number]

export interface PoolState {
  readonly keySet: KeySet
  /** Those who wait, by the order in which they came. */
  readonly line: SortedMap.SortedMap<number, Waiter>
  /** Those of them who would not take just any key, and may therefore wait in vain while others do not. */
  readonly choosy: SortedMap.SortedMap<number, Waiter>
  /** Those of them who will not wait for ever, the first to give up first. */
  readonly deadlines: SortedMap.SortedMap<Due, Waiter>
  /** What those who waited got and have not fetched yet. */
  readonly answers: HashMap.HashMap<number, Granted | Denied>
  /** How many calls have ever waited. */
  readonly tickets: number
  /** The one in the line who looks again for all of them when time alone changes something, and when that is. */
  readonly watch: { readonly ticket: number; readonly at: number } | undefined
}

export type Step<A> = StepOf<A, PoolState>

export const make = (keySet: KeySet): PoolState => ({
  keySet,
  line: SortedMap.empty(Order.number),
  choosy: SortedMap.empty(Order.number),
  deadlines: SortedMap.empty(Order.tuple(Order.number, Order.number)),
  answers: HashMap.empty(),
  tickets: 0,
  watch: undefined
})

/** Asks for a key. */
export const ask = (before: PoolState, now: number, wish: Wish): Step<Granted | Denied | NotQueued> => {
  const [wakeups, state] = settleDown(before, Keys.advance(before.keySet, now))
  const outlook = Keys.outlook(state.keySet, wish.exclude)
  if (outlook.winner !== undefined) {
    const [hold, keySet] = Keys.reserve(state.keySet, outlook.winner)
    return [{ value: { _tag: "Granted", hold }, wakeups }, withRing(state, keySet)]
  }
  return isHopeless(outlook, wish, state.keySet.now)
    ? [{ value: denied(outlook, state.keySet.now), wakeups }, state]
    : [{ value: notQueued, wakeups }, state]
}

/** Asks for a key, and waits in line where none is ready. */
export const queue = (before: PoolState, now: number, wish: Wish, wakeup: Wakeup): Step<Granted | Denied | Waiting> => {
  const [{ wakeups, value }, state] = ask(before, now, wish)
  if (value._tag !== "NotQueued") return [{ value, wakeups }, state]
  const ticket = state.tickets
  return wait(
    { ...state, tickets: ticket + 1 },
    { ...wish, ticket, due: Data.tuple(wish.deadline, ticket), wakeup },
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
  const [wakeups, state] = settleDown(before, Keys.advance(before.keySet, now))
  const answer = Option.getOrUndefined(HashMap.get(state.answers, ticket))
  if (answer !== undefined) {
    return [
      { value: answer, wakeups },
      { ...state, answers: HashMap.remove(state.answers, ticket) }
    ]
  }
  return wait(state, { ...Option.getOrThrow(SortedMap.get(state.line, ticket)), wakeup }, wakeups)
}

const wait = (state: PoolState, waiter: Waiter, wakeups: ReadonlyArray<Wakeup>): Step<Waiting> => {
  const [woken, watched] = keepWatch(line(state, waiter), waiter.ticket)
  const until = watched.watch?.ticket === waiter.ticket ? watched.watch.at : Infinity
  return [{ value: { _tag: "Waiting", ticket: waiter.ticket, until }, wakeups: [...wakeups, ...woken] }, watched]
}

/** A waiting call gives up. If it has got a key already, that goes to the next. */
export const giveUp = (before: PoolState, now: number, ticket: number): Step<void> => {
  const answer = Option.getOrUndefined(HashMap.get(before.answers, ticket))
  const advanced = Keys.advance(before.keySet, now)
  if (answer === undefined) {
    return quietly(settleDown(leave(before, Option.getOrThrow(SortedMap.get(before.line, ticket))), advanced))
  }
  const state = { ...before, answers: HashMap.remove(before.answers, ticket) }
  return quietly(settleDown(state, answer._tag === "Granted" ? Keys.withdraw(advanced, answer.hold) : advanced))
}

/** A call gives its key back. */
export const giveBack = (
  before: PoolState,
  now: number,
  hold: Hold,
  judge: (elapsed: number) => Verdict
): Step<void> => {
  const advanced = Keys.advance(before.keySet, now)
  return quietly(settleDown(before, Keys.giveBack(advanced, hold, judge(advanced.now - hold.startedAt))))
}

/** Changes the keys from outside. */
export const change = <A>(before: PoolState, now: number, f: (keySet: KeySet) => readonly [A, KeySet]): Step<A> => {
  const [value, keySet] = f(Keys.advance(before.keySet, now))
  const [wakeups, state] = settleDown(before, keySet)
  return [{ value, wakeups }, state]
}

/** How many calls wait. */
export const waiting = (state: PoolState): number => SortedMap.size(state.line)

type Ringing = readonly [wakeups: ReadonlyArray<Wakeup>, state: PoolState]

const quietly = ([wakeups, state]: Ringing): Step<void> => [{ value: undefined, wakeups }, state]

/** With the keys as they are now, gives those who wait what they can get. */
const settleDown = (before: PoolState, keySet: KeySet): Ringing => {
  const state = withRing(before, keySet)
  if (SortedMap.size(state.line) === 0) return [noWakeup, state]
  const isChanged = keySet.heap !== before.keySet.heap
  const [granted, served] = isChanged ? grant(state) : [noWakeup, state]
  const [expired, timely] = expire(served)
  const [refused, left] = isChanged ? refuse(timely, Keys.outlook(before.keySet, noKey)) : [noWakeup, timely]
  const [woken, watched] = keepWatch(left)
  return [[...granted, ...expired, ...refused, ...woken], watched]
}

const withRing = (state: PoolState, keySet: KeySet): PoolState => ({
  keySet,
  line: state.line,
  choosy: state.choosy,
  deadlines: state.deadlines,
  answers: state.answers,
  tickets: state.tickets,
  watch: state.watch
})

const noKey: ReadonlySet<string> = new Set()

const grant = (before: PoolState): Ringing => {
  const wakeups: Array<Wakeup> = []
  let state = before
  for (const waiter of SortedMap.values(before.line)) {
    if (Keys.outlook(state.keySet, noKey).winner === undefined) break
    const { winner } = Keys.outlook(state.keySet, waiter.exclude)
    if (winner !== undefined) {
      const [hold, keySet] = Keys.reserve(state.keySet, winner)
      state = answer(withRing(state, keySet), waiter, { _tag: "Granted", hold })
      wakeups.push(waiter.wakeup)
    }
  }
  return [wakeups, state]
}

/** Nobody waits longer than he may. */
const expire = (before: PoolState): Ringing => {
  const wakeups: Array<Wakeup> = []
  let state = before
  for (const waiter of SortedMap.values(before.deadlines)) {
    if (waiter.deadline > state.keySet.now) break
    state = answer(state, waiter, denied(Keys.outlook(state.keySet, waiter.exclude), state.keySet.now))
    wakeups.push(waiter.wakeup)
  }
  return [wakeups, state]
}

/** Nor in vain. */
const refuse = (before: PoolState, earlier: Outlook): Ringing => {
  const wakeups: Array<Wakeup> = []
  let state = before
  const { awaited, soonest } = Keys.outlook(before.keySet, noKey)
  const isWorse = earlier.awaited > 0 || (earlier.soonest?.wakeAt ?? Infinity) < (soonest?.wakeAt ?? Infinity)
  for (const waiter of SortedMap.values(awaited === 0 && isWorse ? before.line : before.choosy)) {
    const outlook = Keys.outlook(state.keySet, waiter.exclude)
    if (isHopeless(outlook, waiter, state.keySet.now)) {
      state = answer(state, waiter, denied(outlook, state.keySet.now))
      wakeups.push(waiter.wakeup)
    }
  }
  return [wakeups, state]
}

const answer = (state: PoolState, waiter: Waiter, value: Granted | Denied): PoolState => ({
  ...leave(state, waiter),
  answers: HashMap.set(state.answers, waiter.ticket, value)
})

const line = (state: PoolState, waiter: Waiter): PoolState => {
  const isChoosy = waiter.exclude.size > 0 || !waiter.patient
  return {
    ...state,
    line: SortedMap.set(state.line, waiter.ticket, waiter),
    choosy: isChoosy ? SortedMap.set(state.choosy, waiter.ticket, waiter) : state.choosy,
    deadlines: waiter.deadline < Infinity ? SortedMap.set(state.deadlines, waiter.due, waiter) : state.deadlines
  }
}

const leave = (state: PoolState, waiter: Waiter): PoolState => ({
  ...state,
  line: SortedMap.remove(state.line, waiter.ticket),
  choosy: SortedMap.remove(state.choosy, waiter.ticket),
  deadlines: SortedMap.remove(state.deadlines, waiter.due)
})

/**
 * One of the line watches the clock for all of them, so that a pool has one timer at most, however many wait, and a key that
 * becomes ready by time alone wakes one of them and not a thousand. When a new one is needed it is the last in line, who is
 * likely to be there longest. `looking` is the ticket of the one who is awake anyway.
 */
const keepWatch = (state: PoolState, looking?: number): Ringing => {
  const firstDeadline = Option.match(SortedMap.headOption(state.deadlines), {
    onNone: () => Infinity,
    onSome: ([[deadline]]) => deadline
  })
  const at = Math.min(Keys.outlook(state.keySet, noKey).soonest?.wakeAt ?? Infinity, firstDeadline)
  const last = Option.getOrUndefined(SortedMap.lastOption(state.line))
  if (last === undefined || at === Infinity) {
    return [noWakeup, state.watch === undefined ? state : { ...state, watch: undefined }]
  }
  const { watch } = state
  const watching = watch === undefined ? undefined : Option.getOrUndefined(SortedMap.get(state.line, watch.ticket))
  const { wakeup, ticket } = watching ?? last[1]
  const isAwake = ticket === looking
  // One who will look up too early will look again; one who would look up too late must be told.
  if (watch !== undefined && watching !== undefined && watch.at <= at && !isAwake) return [noWakeup, state]
  return [isAwake ? noWakeup : [wakeup], { ...state, watch: { ticket, at } }]
}

/** Whether no key will be ready in time, as far as that can be known. */
const isHopeless = (outlook: Outlook, wish: Wish, now: number): boolean => {
  if (wish.deadline <= now || (!wish.patient && outlook.busy === 0)) return true
  return outlook.awaited === 0 && (outlook.soonest?.wakeAt ?? Infinity) > wish.deadline
}

const denied = (outlook: Outlook, now: number): Denied => ({
  _tag: "Denied",
  busy: outlook.busy,
  limited: outlook.limited,
  readyIn: outlook.soonest === undefined ? undefined : Math.max(0, outlook.soonest.wakeAt - now)
})
