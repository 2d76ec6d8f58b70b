/** Keys in their order of use: those that are ready, and when the others return. */
import type { Strategy } from "./model.js"
import type { Availability, PooledKey } from "./key.js"
import * as PooledKeys from "./key.js"
import * as Rendezvous from "../internal/rendezvous.js"
import * as Tournament from "./tournament.js"

/** What keys have to offer to a call that finds none ready. */
export interface Summary {
  /** The first key that becomes ready by time alone. */
  readonly soonest: PooledKey | undefined
  /** Keys that the end of a call in flight can make ready. */
  readonly awaited: number
  /** Keys at their `maxConcurrency` or `requestsPerSecond`. */
  readonly busy: number
  /** Keys in a cooldown after a rate limit or failures, or at the limit of calls after one. */
  readonly limited: number
}

/** The number of keys by their availability, but for those that are ready. */
type Counts = Readonly<Record<Exclude<Availability, "ready">, number>>

export interface Ranking {
  readonly size: number
  /** All keys. The winner is the first of the ready ones, by the strategy. */
  readonly heap: Tournament.Tournament<PooledKey>
  /** The keys that become ready by time alone. The winner is the first of them. */
  readonly resting: Tournament.Tournament<PooledKey>
  readonly counts: Counts
  /** The number of keys that have not succeeded since they failed. */
  readonly failed: number
  /** `sequence` of the latest call when the first of them failed. */
  readonly failedSince: number
}

/** What a call has in common with others of its conversation. */
export interface Affinity {
  readonly hash: number
  /** The bound of the load of the key that they prefer. */
  readonly bound: number
}

/** Failing keys come last, whatever the strategy. */
const failingLast =
  (strategy: Strategy) =>
  (left: PooledKey, right: PooledKey): PooledKey => {
    if (left.isFailing !== right.isFailing) return left.isFailing ? right : left
    const order = strategy(left, right)
    return order < 0 || (order === 0 && left.position < right.position) ? left : right
  }

/** When time alone changes what calls may do with a key; infinite where there is none, or time changes nothing. */
export const wakeAtOf = (key: PooledKey | undefined): number => key?.wakeAt ?? Infinity

const byWakeup: Tournament.Rules<PooledKey> = {
  plays: () => true,
  winner: (left, right) => (wakeAtOf(right) < wakeAtOf(left) ? right : left)
}

const rulesOf = (strategy: Strategy): Tournament.Rules<PooledKey> => ({
  plays: ({ availability }) => availability === "ready",
  winner: failingLast(strategy)
})

const noCounts: Counts = { capped: 0, paced: 0, probing: 0, admitting: 0, limited: 0, broken: 0, disabled: 0 }

const empty = (rules: Tournament.Rules<PooledKey>): Ranking => ({
  size: 0,
  heap: Tournament.empty(rules),
  resting: Tournament.empty(byWakeup),
  counts: noCounts,
  failed: 0,
  failedSince: 0
})

export const make = (strategy: Strategy): Ranking => empty(rulesOf(strategy))

/** A ranking without keys, in the same order of use. */
export const emptied = ({ heap }: Ranking): Ranking => empty(heap.rules)

export const get = ({ heap }: Ranking, slot: number): PooledKey | undefined => Tournament.get(heap, slot)

export const entries = ({ heap }: Ranking): ReadonlyArray<PooledKey> => Tournament.entries(heap)

/** The counts after a key has been replaced, added or removed. */
const recount = (counts: Counts, before: PooledKey | undefined, after: PooledKey | undefined): Counts => {
  if (before?.availability === after?.availability) return counts
  const recounted = { ...counts }
  if (before !== undefined && before.availability !== "ready") recounted[before.availability]--
  if (after !== undefined && after.availability !== "ready") recounted[after.availability]++
  return recounted
}

/** The keys in cooldown after a key has been replaced or added. */
const restingWith = ({ resting }: Ranking, before: PooledKey | undefined, after: PooledKey): Ranking["resting"] => {
  if (wakeAtOf(after) < Infinity) return Tournament.set(resting, after.slot, after)
  return before === undefined || wakeAtOf(before) === Infinity ? resting : Tournament.remove(resting, before.slot)
}

const hasFailed = (key: PooledKey | undefined): number => Number(key?.health.trouble !== undefined)

/** Adds a key, or replaces the one in its slot. `sequence` is that of the latest call. */
export const put = (ranking: Ranking, key: PooledKey, sequence: number): Ranking => {
  const { counts, failed, failedSince, heap, size } = ranking
  const before = Tournament.get(heap, key.slot)
  const change = hasFailed(key) - hasFailed(before)
  return {
    size: before === undefined ? size + 1 : size,
    heap: Tournament.set(heap, key.slot, key),
    resting: restingWith(ranking, before, key),
    counts: recount(counts, before, key),
    failed: failed + change,
    failedSince: failed === 0 && change > 0 ? sequence : failedSince
  }
}

/** Removes the key from its slot. */
export const remove = (ranking: Ranking, slot: number): Ranking => {
  const { counts, failed, heap, resting, size } = ranking
  const before = Tournament.get(heap, slot)
  return before === undefined
    ? ranking
    : {
        ...ranking,
        size: size - 1,
        heap: Tournament.remove(heap, slot),
        resting: Tournament.remove(resting, slot),
        counts: recount(counts, before, undefined),
        failed: failed - hasFailed(before)
      }
}

const unready = (counts: Counts): number =>
  counts.capped + counts.paced + counts.probing + counts.admitting + counts.limited + counts.broken + counts.disabled

/** Whether any key is ready. */
export const hasReady = ({ counts, size }: Ranking): boolean => unready(counts) < size

/**
 * Whether a failing key can be cooled: at least half of the keys stay usable, and at least one. Where all fail alike the provider is at
 * fault, and its error says more than a wait for a key.
 */
export const mayCool = ({ counts, size }: Ranking): boolean => {
  const others = size - counts.limited - counts.broken - counts.disabled - 1
  return others >= 1 && 2 * others >= size
}

/**
 * The first of the ready keys, by the strategy, except those in the excluded slots. A failover tests no key: it takes one of which no
 * failure is known, or else one that is not failing. Only this can throw what a strategy throws.
 */
export const winner = (
  { heap }: Ranking,
  excluded: ReadonlyArray<number>,
  isFailover: boolean
): PooledKey | undefined => {
  const first = Tournament.winnerWithout(heap, excluded)
  return !isFailover || first === undefined || PooledKeys.isTrusted(first)
    ? first
    : (Tournament.firstWithout(heap, excluded, PooledKeys.isTrusted) ?? (first.isFailing ? undefined : first))
}

/**
 * The key that the affinity picks, of those that are ready, not failing, and not in the excluded slots; undefined if there is none. A
 * failover tests no key. The
 * hash of a key is that of its id, which is the same in every process.
 */
export const preferred = (
  ranking: Ranking,
  excluded: ReadonlyArray<number>,
  isFailover: boolean,
  { bound, hash }: Affinity
): PooledKey | undefined =>
  Rendezvous.choose(
    hash,
    entries(ranking).filter(
      (key) =>
        key.availability === "ready" &&
        !key.isFailing &&
        (!isFailover || PooledKeys.isTrusted(key)) &&
        !excluded.includes(key.slot)
    ),
    nodeOf,
    bound
  )

const nodeOf = ({ inFlight, key, weight }: PooledKey): Rendezvous.Node => ({
  hash: Rendezvous.hash(key.id),
  weight,
  load: inFlight
})

/** When time alone first changes what calls may do with a key. */
export const wakeAt = ({ resting }: Ranking): number => wakeAtOf(Tournament.winner(resting))

/** A key that time has changed. */
export const firstDue = ({ resting }: Ranking, now: number): PooledKey | undefined => {
  const due = Tournament.winner(resting)
  return wakeAtOf(due) > now ? undefined : due
}

/** What all keys except those in the excluded slots have to offer. */
export const summarize = ({ counts: all, heap, resting }: Ranking, excluded: ReadonlyArray<number>): Summary => {
  let counts = all
  for (const slot of excluded) counts = recount(counts, Tournament.get(heap, slot), undefined)
  return {
    soonest: Tournament.winnerWithout(resting, excluded),
    awaited: counts.capped + counts.probing + counts.admitting,
    busy: counts.capped + counts.paced,
    limited: counts.limited + counts.admitting
  }
}
