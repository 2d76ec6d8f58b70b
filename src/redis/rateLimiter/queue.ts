/** The calls of this process that wait for a permit, or yield to interactive calls. Times are in milliseconds. */
import type { Deferred } from "effect"
import { Option, SortedMap } from "effect"
import type { Position } from "../../rateLimiter/fairQueue.js"
import { before } from "../../rateLimiter/fairQueue.js"
import type { RateLimitError } from "../../vocabulary/LLMError.js"
import type { RedisError } from "../model.js"
import type { AcquireRequest, AcquireResult } from "./scripts.js"

export interface Waiter {
  readonly request: AcquireRequest
  readonly position: Position
  readonly arrivedAt: number
  readonly maxWait: number
  /** Completed by the code that removes the waiter from the queue. */
  readonly result: Deferred.Deferred<AcquireResult, RateLimitError | RedisError>
}

export interface Queue {
  readonly waiters: SortedMap.SortedMap<Position, Waiter>
  readonly arrivals: number
  /** A lower bound of all deadlines. */
  readonly earliest: number
}

export const empty: Queue = {
  waiters: SortedMap.empty((self, that) => (self === that ? 0 : before(self, that) ? -1 : 1)),
  arrivals: 0,
  earliest: Infinity
}

export const size = (queue: Queue): number => SortedMap.size(queue.waiters)

export const deadline = (waiter: Waiter): number => waiter.arrivedAt + waiter.maxWait

/** Whether a call can be booked: a batch call yields until its position in the queue is due. */
export const mayBook = (waiter: Waiter, now: number): boolean => waiter.position.at <= now

/** Whether a waiter is ahead of a call with this position. */
export const hasWaiterBefore = (queue: Queue, at: number): boolean =>
  Option.exists(SortedMap.headOption(queue.waiters), ([position]) => position.at <= at)

/** The next arrival number, which orders calls that arrive at the same time. */
export const nextArrival = (queue: Queue): readonly [number, Queue] => [
  queue.arrivals,
  { ...queue, arrivals: queue.arrivals + 1 }
]

export const add = (queue: Queue, waiter: Waiter): Queue => ({
  ...queue,
  waiters: SortedMap.set(queue.waiters, waiter.position, waiter),
  earliest: Math.min(queue.earliest, deadline(waiter))
})

/** Removes a waiter, and returns whether it was queued: only the code that removes it completes it. */
export const remove = (queue: Queue, { position }: Waiter): readonly [boolean, Queue] =>
  SortedMap.has(queue.waiters, position)
    ? [true, { ...queue, waiters: SortedMap.remove(queue.waiters, position) }]
    : [false, queue]

/** The waiters past their deadlines, and the queue without them. */
export const takeExpired = (queue: Queue, now: number): readonly [ReadonlyArray<Waiter>, Queue] => {
  if (now < queue.earliest) return [[], queue]
  const leaving: Array<Waiter> = []
  let { waiters } = queue
  let earliest = Infinity
  for (const waiter of SortedMap.values(queue.waiters)) {
    if (deadline(waiter) > now) {
      earliest = Math.min(earliest, deadline(waiter))
    } else {
      leaving.push(waiter)
      waiters = SortedMap.remove(waiters, waiter.position)
    }
  }
  return [leaving, { ...queue, waiters, earliest }]
}

/** The first `count` waiters, and whether these are all. */
export const first = (queue: Queue, count: number): readonly [ReadonlyArray<Waiter>, boolean] => {
  const waiters: Array<Waiter> = []
  for (const waiter of SortedMap.values(queue.waiters)) {
    if (waiters.length === count) return [waiters, false]
    waiters.push(waiter)
  }
  return [waiters, true]
}
