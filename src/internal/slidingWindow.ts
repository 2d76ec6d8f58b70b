/** A sliding window: at most `limit` in any period of `duration`. A pure module; times are in milliseconds. */
import { List } from "effect"

interface Entry {
  readonly amount: number
  readonly expiresAt: number
}

/**
 * Holds what was taken as a queue in two lists: `older` with the oldest at its head, empty only if both are; `newer` with the
 * newest at its head.
 */
export interface SlidingWindow {
  readonly limit: number
  readonly duration: number
  /** What is taken within one grain expires together, at its end, which bounds the number of entries. Exact if zero. */
  readonly grain: number
  readonly used: number
  readonly updatedAt: number
  readonly older: List.List<Entry>
  readonly newer: List.List<Entry>
}

/** Entries expire together in groups, never too early, if `limit` is above `maxEntries`. */
export const make = (limit: number, duration: number, now: number, maxEntries = 1000): SlidingWindow => ({
  limit,
  duration,
  grain: limit <= maxEntries ? 0 : duration / maxEntries,
  used: 0,
  updatedAt: now,
  older: List.nil(),
  newer: List.nil()
})

/** A literal instead of a spread: every call takes this path, and a spread is many times as slow in V8. */
const withEntries = (
  window: SlidingWindow,
  used: number,
  updatedAt: number,
  older: List.List<Entry>,
  newer: List.List<Entry>
): SlidingWindow => ({
  limit: window.limit,
  duration: window.duration,
  grain: window.grain,
  used,
  updatedAt,
  older,
  newer
})

/** The window at `now`, without expired entries. */
export const expire = (window: SlidingWindow, now: number): SlidingWindow => {
  if (now <= window.updatedAt) return window
  let { newer, older, used } = window
  while (List.isCons(older) && older.head.expiresAt <= now) {
    used -= older.head.amount
    older = older.tail
    if (List.isNil(older)) {
      older = List.reverse(newer)
      newer = List.nil()
    }
  }
  return withEntries(window, List.isNil(older) ? 0 : used, now, older, newer)
}

/** When an amount expires that is taken at `at`. */
const expiryOf = ({ duration, grain }: SlidingWindow, at: number): number =>
  grain === 0 ? at + duration : Math.ceil((at + duration) / grain) * grain

/**
 * Takes an amount at a time, which can lie ahead. What is taken later at an earlier time then expires with it, since entries are in the
 * order in which they were taken.
 */
export const take = (window: SlidingWindow, amount: number, at: number = window.updatedAt): SlidingWindow => {
  const expiresAt = expiryOf(window, at)
  const used = window.used + amount
  const { newer, older, updatedAt } = window
  if (List.isNil(older)) return withEntries(window, used, updatedAt, List.of({ amount, expiresAt }), newer)
  const isSameEntry = List.isCons(newer) && newer.head.expiresAt === expiresAt
  const entries = isSameEntry
    ? List.prepend(newer.tail, { amount: newer.head.amount + amount, expiresAt })
    : List.prepend(newer, { amount, expiresAt })
  return withEntries(window, used, updatedAt, older, entries)
}

/** Takes back what was taken at `takenAt`, unless it has expired. */
export const giveBack = (window: SlidingWindow, takenAt: number, amount: number): SlidingWindow => {
  const expiresAt = expiryOf(window, takenAt)
  const { newer, older } = window
  if (List.isCons(newer) && newer.head.expiresAt === expiresAt && newer.head.amount >= amount) {
    const rest = newer.head.amount - amount
    const entries = rest === 0 ? newer.tail : List.prepend(newer.tail, { amount: rest, expiresAt })
    return withEntries(window, window.used - amount, window.updatedAt, older, entries)
  }
  let left = amount
  const entries = [...older, ...List.reverse(newer)].flatMap((entry) => {
    if (entry.expiresAt !== expiresAt || left === 0) return [entry]
    const returned = Math.min(entry.amount, left)
    left -= returned
    return entry.amount > returned ? [{ ...entry, amount: entry.amount - returned }] : []
  })
  return left === amount
    ? window
    : { ...window, used: window.used - (amount - left), older: List.fromIterable(entries), newer: List.nil() }
}

/** When there is room for `amount`: in the past or `-Infinity` if there is now, infinite if there never is. */
export const opensAt = (window: SlidingWindow, amount: number): number => {
  let missing = window.used + amount - window.limit
  // Sums of fractions are inexact.
  if (missing <= 1e-9) return -Infinity
  let { newer, older } = window
  let opensAt = -Infinity
  while (List.isCons(older)) {
    missing -= older.head.amount
    opensAt = Math.max(opensAt, older.head.expiresAt)
    if (missing <= 1e-9) return opensAt
    older = older.tail
    if (List.isNil(older)) {
      older = List.reverse(newer)
      newer = List.nil()
    }
  }
  return Infinity
}

export const clear = (window: SlidingWindow): SlidingWindow => ({
  ...window,
  used: 0,
  older: List.nil(),
  newer: List.nil()
})
