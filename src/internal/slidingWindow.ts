/** A sliding window: at most `limit` in any period of `duration`. A pure module; times are in milliseconds. */
import type { LinkedList } from "./linkedList.js"
import * as List from "./linkedList.js"

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
  readonly older: LinkedList<Entry>
  readonly newer: LinkedList<Entry>
}

/** Entries expire together in groups, never too early, if `limit` is above `maxEntries`. */
export const make = (limit: number, duration: number, now: number, maxEntries = 1000): SlidingWindow => ({
  limit,
  duration,
  grain: limit <= maxEntries ? 0 : duration / maxEntries,
  used: 0,
  updatedAt: now,
  older: undefined,
  newer: undefined
})

/** A literal instead of a spread: every call takes this path, and a spread is many times as slow in V8. */
const withEntries = (
  window: SlidingWindow,
  used: number,
  updatedAt: number,
  older: LinkedList<Entry>,
  newer: LinkedList<Entry>
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
  while (older !== undefined && older.head.expiresAt <= now) {
    used -= older.head.amount
    older = older.tail
    if (older === undefined) {
      older = List.reverse(newer)
      newer = undefined
    }
  }
  return withEntries(window, older === undefined ? 0 : used, now, older, newer)
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
  if (older === undefined)
    return withEntries(window, used, updatedAt, { head: { amount, expiresAt }, tail: undefined }, newer)
  const isSameEntry = newer !== undefined && newer.head.expiresAt === expiresAt
  const entries = isSameEntry
    ? { head: { amount: newer.head.amount + amount, expiresAt }, tail: newer.tail }
    : { head: { amount, expiresAt }, tail: newer }
  return withEntries(window, used, updatedAt, older, entries)
}

/** Takes back what was taken at `takenAt`, unless it has expired. */
export const giveBack = (window: SlidingWindow, takenAt: number, amount: number): SlidingWindow => {
  const expiresAt = expiryOf(window, takenAt)
  const { newer, older } = window
  if (newer !== undefined && newer.head.expiresAt === expiresAt && newer.head.amount >= amount) {
    const rest = newer.head.amount - amount
    const entries = rest === 0 ? newer.tail : { head: { amount: rest, expiresAt }, tail: newer.tail }
    return withEntries(window, window.used - amount, window.updatedAt, older, entries)
  }
  let left = amount
  const entries = [...List.items(older), ...List.items(List.reverse(newer))].flatMap((entry) => {
    if (entry.expiresAt !== expiresAt || left === 0) return [entry]
    const returned = Math.min(entry.amount, left)
    left -= returned
    return entry.amount > returned ? [{ ...entry, amount: entry.amount - returned }] : []
  })
  return left === amount
    ? window
    : { ...window, used: window.used - (amount - left), older: List.fromArray(entries), newer: undefined }
}

/** When there is room for `amount`: in the past or `-Infinity` if there is now, infinite if there never is. */
export const opensAt = (window: SlidingWindow, amount: number): number => {
  let missing = window.used + amount - window.limit
  // Sums of fractions are inexact.
  if (missing <= 1e-9) return -Infinity
  let { newer, older } = window
  let opensAt = -Infinity
  while (older !== undefined) {
    missing -= older.head.amount
    opensAt = Math.max(opensAt, older.head.expiresAt)
    if (missing <= 1e-9) return opensAt
    older = older.tail
    if (older === undefined) {
      older = List.reverse(newer)
      newer = undefined
    }
  }
  return Infinity
}

export const clear = (window: SlidingWindow): SlidingWindow => ({
  ...window,
  used: 0,
  older: undefined,
  newer: undefined
})
