/** Those of this process who wait for a key, in the order in which they came. */
import type { Deferred } from "effect"
import { Option, Order, SortedMap } from "effect"
import type { Denied } from "../../keyPool/state.js"
import type { NoKeyError } from "../../keyPool/model.js"
import type { RedisError } from "../model.js"
import type { Grant, Unready, Wish } from "./scripts.js"

export interface Waiter extends Wish {
  readonly ticket: number
  /** In milliseconds of a clock of this process that never runs backwards. */
  readonly deadline: number
  /** Whether it waits for keys that rest, and not only for keys that are busy. */
  readonly patient: boolean
  readonly answer: Deferred.Deferred<Grant, NoKeyError | RedisError>
}

export interface Line {
  readonly waiters: SortedMap.SortedMap<number, Waiter>
  /** How many have ever come. */
  readonly tickets: number
  /** How many of these have been asked for at least once. */
  readonly asked: number
  /** Whether nobody serves it any more. */
  readonly isClosed: boolean
}

export const empty: Line = { waiters: SortedMap.empty(Order.number), tickets: 0, asked: 0, isClosed: false }

export const size = (line: Line): number => SortedMap.size(line.waiters)

export const join = (line: Line, waiter: (ticket: number) => Waiter): readonly [Waiter, Line] => {
  const joined = waiter(line.tickets)
  const waiters = SortedMap.set(line.waiters, joined.ticket, joined)
  return [joined, { ...line, waiters, tickets: line.tickets + 1 }]
}

/** Takes one out, and says whether it was there: whoever takes it out answers it. */
export const leave = (line: Line, waiter: Waiter): readonly [boolean, Line] =>
  Option.isSome(SortedMap.get(line.waiters, waiter.ticket))
    ? [true, { ...line, waiters: SortedMap.remove(line.waiters, waiter.ticket) }]
    : [false, line]

/** All have been asked for who are there. */
export const asked = (line: Line): Line => ({ ...line, asked: line.tickets })

export const closed = (line: Line): Line => ({ ...line, isClosed: true })

export const all = (line: Line): ReadonlyArray<Waiter> => Array.from(SortedMap.values(line.waiters))

/** Whether no key will be ready in time, as far as that can be known: as a pool in memory has it. */
export const isHopeless = (waiter: Waiter, seen: Unready, now: number): boolean => {
  if (waiter.deadline <= now || (!waiter.patient && seen.busy === 0)) return true
  return seen.awaited === 0 && now + (seen.readyIn ?? Infinity) > waiter.deadline
}

export const denied = (seen: Unready): Denied => ({
  _tag: "Denied",
  busy: seen.busy,
  limited: seen.limited,
  readyIn: seen.readyIn
})
