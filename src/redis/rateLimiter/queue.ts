/** The calls of this process that wait for a place, or let others pass. Times are in milliseconds. */
import type { Deferred } from "effect"
import { Option, SortedMap } from "effect"
import type { Position } from "../../rateLimiter/queue.js"
import { before } from "../../rateLimiter/queue.js"
import type { RateLimitError } from "../../vocabulary/LLMError.js"
import type { RedisError } from "../model.js"
import type { Answer, Wish } from "./scripts.js"

export interface Waiter {
  readonly wish: Wish
  readonly position: Position
  readonly arrivedAt: number
  readonly allowed: number
  /** What it is told, by whoever takes it out of the line. */
  readonly answer: Deferred.Deferred<Answer, RateLimitError | RedisError>
}

export interface Line {
  readonly waiters: SortedMap.SortedMap<Position, Waiter>
  readonly arrivals: number
  /** No waiter has waited as long as it may before this. */
  readonly earliest: number
}

export const empty: Line = {
  waiters: SortedMap.empty((self, that) => (self === that ? 0 : before(self, that) ? -1 : 1)),
  arrivals: 0,
  earliest: Infinity
}

export const size = (line: Line): number => SortedMap.size(line.waiters)

export const deadline = (waiter: Waiter): number => waiter.arrivedAt + waiter.allowed

/** Who lets others pass does so until then. */
export const books = (waiter: Waiter, now: number): boolean => waiter.position.at <= now

/** Whether somebody waits whom one that comes now must not pass. */
export const isAhead = (line: Line, at: number): boolean =>
  Option.exists(SortedMap.headOption(line.waiters), ([position]) => position.at <= at)

/** The next number of arrival, by which those who came in one moment are told apart. */
export const arrive = (line: Line): readonly [number, Line] => [line.arrivals, { ...line, arrivals: line.arrivals + 1 }]

export const join = (line: Line, waiter: Waiter): Line => ({
  ...line,
  waiters: SortedMap.set(line.waiters, waiter.position, waiter),
  earliest: Math.min(line.earliest, deadline(waiter))
})

/** Takes one out, and says whether it was there: whoever takes it out answers it. */
export const leave = (line: Line, { position }: Waiter): readonly [boolean, Line] =>
  SortedMap.has(line.waiters, position)
    ? [true, { ...line, waiters: SortedMap.remove(line.waiters, position) }]
    : [false, line]

/** Those who have waited as long as they may, and the line without them. */
export const expired = (line: Line, now: number): readonly [ReadonlyArray<Waiter>, Line] => {
  if (now < line.earliest) return [[], line]
  const leaving: Array<Waiter> = []
  let { waiters } = line
  let earliest = Infinity
  for (const waiter of SortedMap.values(line.waiters)) {
    if (deadline(waiter) > now) {
      earliest = Math.min(earliest, deadline(waiter))
    } else {
      leaving.push(waiter)
      waiters = SortedMap.remove(waiters, waiter.position)
    }
  }
  return [leaving, { ...line, waiters, earliest }]
}

/** The first ones, at most so many, and whether these are all. */
export const first = (line: Line, count: number): readonly [ReadonlyArray<Waiter>, boolean] => {
  const waiters: Array<Waiter> = []
  for (const waiter of SortedMap.values(line.waiters)) {
    if (waiters.length === count) return [waiters, false]
    waiters.push(waiter)
  }
  return [waiters, true]
}
