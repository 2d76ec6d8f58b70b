/** So many in any window of time, such as a minute: data in, data out. Times are in milliseconds. */
import { List } from "effect"

interface Entry {
  readonly amount: number
  /** When it is as if it had not been. */
  readonly expiresAt: number
}

/**
 * Holds what was take as a queue in two lists: `older` with the oldest at its head, `newer` with the newest at its head.
 */
export interface SlidingWindow {
  readonly limit: number
  readonly duration: number
  /** What is take within it expires together, at its end: so no more than so many entries are held, and never too few. */
  readonly grain: number
  readonly used: number
  readonly updatedAt: number
  readonly older: List.List<Entry>
  readonly newer: List.List<Entry>
}

/** The most entries that are held. Up to this limit each is held by itself, and every wait is exact. */
const entries = 1000

export const make = (limit: number, duration: number, now: number): SlidingWindow => ({
  limit,
  duration,
  grain: limit <= entries ? 0 : duration / entries,
  used: 0,
  updatedAt: now,
  older: List.nil(),
  newer: List.nil()
})

/** The window as it is at `now`. */
export const refill = (window: SlidingWindow, now: number): SlidingWindow => {
  if (now <= window.updatedAt) return window
  let { newer, older, used } = window
  for (;;) {
    if (List.isNil(older)) {
      if (List.isNil(newer)) break
      older = List.reverse(newer)
      newer = List.nil()
    }
    if (List.isNil(older) || older.head.expiresAt > now) break
    used -= older.head.amount
    older = older.tail
  }
  const empty = List.isNil(older) && List.isNil(newer)
  return { ...window, used: empty ? 0 : used, updatedAt: now, older, newer }
}

export const take = (window: SlidingWindow, amount: number): SlidingWindow => {
  const end = window.updatedAt + window.duration
  const expiresAt = window.grain === 0 ? end : Math.ceil(end / window.grain) * window.grain
  const { newer } = window
  const together = List.isCons(newer) && newer.head.expiresAt === expiresAt
  return {
    ...window,
    used: window.used + amount,
    newer: together
      ? List.prepend(newer.tail, { amount: newer.head.amount + amount, expiresAt })
      : List.prepend(newer, { amount, expiresAt })
  }
}

/** How long until `amount` may be take, from the window's own time on. Infinite for more than it ever gives. */
export const waitFor = (window: SlidingWindow, amount: number): number => {
  let missing = window.used + amount - window.limit
  // Sums of fractions are inexact.
  if (missing <= 1e-9) return 0
  for (const queue of [window.older, List.reverse(window.newer)]) {
    for (const entry of queue) {
      missing -= entry.amount
      if (missing <= 1e-9) return Math.max(0, entry.expiresAt - window.updatedAt)
    }
  }
  return Infinity
}

export const clear = (window: SlidingWindow): SlidingWindow => make(window.limit, window.duration, window.updatedAt)
