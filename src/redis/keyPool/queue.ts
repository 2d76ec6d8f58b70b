/** The calls of this process that wait for a key, in order of arrival. */
import type { Deferred } from "effect"
import { Option, Order, SortedMap } from "effect"
import type { Denied } from "../../keyPool/state.js"
import type { NoKeyError } from "../../keyPool/model.js"
import type { RedisError } from "../model.js"
import type { AcquireRequest, Grant, NotReady } from "./scripts.js"

export interface Waiter extends AcquireRequest {
  readonly ticket: number
  /** In milliseconds of the monotonic clock. */
  readonly deadline: number
  /** Whether it also waits for keys in a cooldown, and not only for busy keys. */
  readonly waitsForCooldown: boolean
  readonly result: Deferred.Deferred<Grant, NoKeyError | RedisError>
}

export interface Queue {
  readonly waiters: SortedMap.SortedMap<number, Waiter>
  /** The number of all waiters so far. */
  readonly tickets: number
  /** The number of waiters for which a key has been requested at least once. */
  readonly requested: number
  /** Whether the pool is closed. */
  readonly isClosed: boolean
}

export const empty: Queue = { waiters: SortedMap.empty(Order.number), tickets: 0, requested: 0, isClosed: false }

export const size = (queue: Queue): number => SortedMap.size(queue.waiters)

export const join = (queue: Queue, waiter: (ticket: number) => Waiter): readonly [Waiter, Queue] => {
  const joined = waiter(queue.tickets)
  const waiters = SortedMap.set(queue.waiters, joined.ticket, joined)
  return [joined, { ...queue, waiters, tickets: queue.tickets + 1 }]
}

/** Removes a waiter, and returns whether it was queued: only the code that removes it completes it. */
export const leave = (queue: Queue, waiter: Waiter): readonly [boolean, Queue] =>
  Option.isSome(SortedMap.get(queue.waiters, waiter.ticket))
    ? [true, { ...queue, waiters: SortedMap.remove(queue.waiters, waiter.ticket) }]
    : [false, queue]

/** Records that a key has been requested for every waiter. */
export const markRequested = (queue: Queue): Queue => ({ ...queue, requested: queue.tickets })

export const close = (queue: Queue): Queue => ({ ...queue, isClosed: true })

export const all = (queue: Queue): ReadonlyArray<Waiter> => Array.from(SortedMap.values(queue.waiters))

/** Whether no key can become ready before the deadline; the same rule as in the pool in memory. */
export const mustRefuse = (waiter: Waiter, notReady: NotReady, now: number): boolean => {
  if (waiter.deadline <= now || (!waiter.waitsForCooldown && notReady.busy === 0)) return true
  return notReady.awaited === 0 && now + (notReady.readyIn ?? Infinity) > waiter.deadline
}

export const toDenied = (notReady: NotReady): Denied => ({
  _tag: "Denied",
  busy: notReady.busy,
  limited: notReady.limited,
  readyIn: notReady.readyIn
})
