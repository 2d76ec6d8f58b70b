/** When calls were started on a key that may start only so many a second: a sliding window over its latest starts. */
import { List } from "effect"

/**
 * Holds the latest starts, `limit` at most, as a queue in two lists: `older` with the oldest at its head, `newer` with the
 * newest at its head.
 */
export interface StartWindow {
  readonly limit: number
  /** In milliseconds. */
  readonly duration: number
  readonly size: number
  readonly older: List.List<number>
  readonly newer: List.List<number>
}

/** A rate below one a second makes the window longer; a fraction above it, such as 2.5, makes it shorter. */
export const make = (requestsPerSecond: number): StartWindow => {
  const limit = Math.max(1, Math.floor(requestsPerSecond))
  return { limit, duration: (limit / requestsPerSecond) * 1000, size: 0, older: List.nil(), newer: List.nil() }
}

/** From when on one more call may start, in the unit and from the origin of the recorded times. */
export const opensAt = (window: StartWindow): number =>
  window.size === window.limit && List.isCons(window.older) ? window.older.head + window.duration : -Infinity

/** How many of the starts still count, `now` being in the unit and from the origin of the recorded times. */
export const count = (window: StartWindow, now: number): number => {
  const isRecent = (start: number): boolean => start + window.duration > now
  return List.size(List.filter(window.older, isRecent)) + List.size(List.filter(window.newer, isRecent))
}

/** Records a start. */
export const record = (window: StartWindow, now: number): StartWindow => {
  const full = window.size === window.limit
  const newer = List.prepend(window.newer, now)
  const older = full && List.isCons(window.older) ? window.older.tail : window.older
  const size = full ? window.size : window.size + 1
  // The oldest start must stay at hand: when there is none left in front, what is behind is turned around.
  return List.isNil(older)
    ? { ...window, size, older: List.reverse(newer), newer: List.nil() }
    : { ...window, size, older, newer }
}
