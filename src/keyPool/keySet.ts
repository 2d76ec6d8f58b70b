/** The keys of a pool and which of them is next. The queue of waiting calls is in `state.ts`. */
import { Array, HashMap, Option, Order } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { Reason, Strategy, Verdict } from "./model.js"
import type { KeyReservation, SettleContext, PooledKey, CooldownSettings } from "./key.js"
import * as PooledKeys from "./key.js"
import * as RandomDraw from "../internal/random.js"
import * as Tournament from "./tournament.js"

/** What a set of keys has to offer. */
export interface Summary {
  /** The first of the ready keys, by the strategy. */
  readonly winner: PooledKey | undefined
  /** The first key that becomes ready by time alone. */
  readonly soonest: PooledKey | undefined
  /** Keys that the end of a call in flight can make ready. */
  readonly awaited: number
  /** Keys at their `maxConcurrency` or `requestsPerSecond`. */
  readonly busy: number
  /** Keys in a cooldown after a rate limit. */
  readonly limited: number
}

/** `now` is the latest time seen, so it never runs backwards. */
export interface KeySet extends SettleContext {
  readonly virtualTime: PooledKeys.VirtualTime
  readonly seed: number
  readonly heap: Tournament.Tournament<PooledKey, Summary>
  readonly slots: HashMap.HashMap<string, number>
  /** The slots of each quota group. */
  readonly groups: HashMap.HashMap<string, ReadonlyArray<number>>
  /** The number of keys without a quota group. */
  readonly ungrouped: number
  /** Slots of keys that were removed. */
  readonly vacant: ReadonlyArray<number>
  /** Keys ever added. */
  readonly positions: number
}

const emptySummary: Summary = { winner: undefined, soonest: undefined, awaited: 0, busy: 0, limited: 0 }

const enter = (key: PooledKey): Summary => ({
  winner: key.availability === "ready" ? key : undefined,
  soonest: key.wakeAt < Infinity ? key : undefined,
  awaited: key.availability === "capped" || key.availability === "probing" ? 1 : 0,
  busy: key.availability === "capped" || key.availability === "paced" ? 1 : 0,
  limited: key.availability === "limited" ? 1 : 0
})

const preferred = (strategy: Strategy, left: PooledKey, right: PooledKey): PooledKey => {
  const order = strategy(left, right)
  return order < 0 || (order === 0 && left.position < right.position) ? left : right
}

const earlier = (left: PooledKey | undefined, right: PooledKey | undefined): PooledKey | undefined =>
  left === undefined || (right !== undefined && right.wakeAt < left.wakeAt) ? right : left

/** Whether a summary has at most a winner. */
const hasWinnerOnly = (summary: Summary): boolean =>
  summary.soonest === undefined && summary.awaited === 0 && summary.busy === 0 && summary.limited === 0

const play =
  (strategy: Strategy) =>
  (left: Summary, right: Summary): Summary => {
    const winner =
      left.winner === undefined
        ? right.winner
        : right.winner === undefined
          ? left.winner
          : preferred(strategy, left.winner, right.winner)
    if (winner === left.winner && hasWinnerOnly(right)) return left
    if (winner === right.winner && hasWinnerOnly(left)) return right
    return {
      winner,
      soonest: earlier(left.soonest, right.soonest),
      awaited: left.awaited + right.awaited,
      busy: left.busy + right.busy,
      limited: left.limited + right.limited
    }
  }

/** A literal instead of a spread: every call takes this path, and a spread is forty times as slow in V8. */
const update = (keySet: KeySet, modify: Partial<KeySet>): KeySet => ({
  cooldown: keySet.cooldown,
  now: modify.now ?? keySet.now,
  sequence: modify.sequence ?? keySet.sequence,
  virtualTime: modify.virtualTime ?? keySet.virtualTime,
  seed: modify.seed ?? keySet.seed,
  heap: modify.heap ?? keySet.heap,
  slots: modify.slots ?? keySet.slots,
  groups: modify.groups ?? keySet.groups,
  ungrouped: modify.ungrouped ?? keySet.ungrouped,
  vacant: modify.vacant ?? keySet.vacant,
  positions: modify.positions ?? keySet.positions
})

export const make = (keys: Iterable<ApiKey>, strategy: Strategy, cooldown: CooldownSettings, seed: number): KeySet => {
  let keySet: KeySet = {
    cooldown,
    now: 0,
    sequence: 0,
    virtualTime: { served: 0, ticket: 0 },
    seed,
    heap: Tournament.empty({ enter, play: play(strategy) }),
    slots: HashMap.empty(),
    groups: HashMap.empty(),
    ungrouped: 0,
    vacant: [],
    positions: 0
  }
  for (const key of keys) keySet = add(keySet, key)
  return keySet
}

/** What all keys except the excluded ones have to offer. */
export const summarize = (keySet: KeySet, exclude: ReadonlySet<string>): Summary => {
  if (exclude.size === 0) return Tournament.outcome(keySet.heap) ?? emptySummary
  let heap = keySet.heap
  for (const id of exclude) {
    const slot = slotOf(keySet, id)
    if (slot !== undefined) heap = Tournament.remove(heap, slot)
  }
  return Tournament.outcome(heap) ?? emptySummary
}

/** Advances the time, and the availability of keys with it. */
export const advance = (before: KeySet, now: number): KeySet => {
  let keySet = now > before.now ? update(before, { now }) : before
  for (;;) {
    const due = Tournament.outcome(keySet.heap)?.soonest
    if (due === undefined || due.wakeAt > keySet.now) return keySet
    keySet = put(keySet, due)
  }
}

/** Reserves a key for a call. */
export const reserve = (keySet: KeySet, key: PooledKey): readonly [KeyReservation, KeySet] => {
  const { served, ticket, weight } = key
  const sequence = keySet.sequence + 1
  const seed = RandomDraw.next(keySet.seed)
  const reserved = PooledKeys.reserve(key, sequence, keySet.now, RandomDraw.exponential(seed))
  return [
    { key: key.key, slot: key.slot, position: key.position, sequence, startedAt: keySet.now },
    update(keySet, {
      sequence,
      seed,
      virtualTime: { served: served / weight, ticket },
      heap: Tournament.set(keySet.heap, key.slot, PooledKeys.refresh(reserved, keySet.now))
    })
  ]
}

/** Ends a reservation with a verdict. Does nothing if the key has been removed. */
export const settle = (keySet: KeySet, reservation: KeyReservation, verdict: Verdict): KeySet => {
  const key = reservedKey(keySet, reservation)
  if (key === undefined) return keySet
  const next = put(keySet, PooledKeys.settle(key, reservation, verdict, keySet))
  const group = key.key.quotaGroup
  return group === undefined || !PooledKeys.concernsQuotaGroup(key, verdict)
    ? next
    : settleGroup(next, key, group, reservation, verdict)
}

/** Ends the reservation of a call that was never made. */
export const withdraw = (keySet: KeySet, reservation: KeyReservation): KeySet => {
  const key = reservedKey(keySet, reservation)
  return key === undefined ? keySet : put(keySet, PooledKeys.withdraw(key, reservation))
}

const reservedKey = (keySet: KeySet, reservation: KeyReservation): PooledKey | undefined => {
  const key = Tournament.get(keySet.heap, reservation.slot)
  return key?.position === reservation.position ? key : undefined
}

const settleGroup = (
  before: KeySet,
  key: PooledKey,
  group: string,
  reservation: KeyReservation,
  verdict: Verdict
): KeySet => {
  let keySet = before
  for (const slot of slotsOf(keySet, group)) {
    const member = Tournament.get(keySet.heap, slot)
    if (member !== undefined && slot !== key.slot)
      keySet = put(keySet, PooledKeys.settleQuotaGroup(member, reservation, verdict, keySet))
  }
  return keySet
}

/** Stores a key with its current availability; one that was unavailable catches up with the virtual time. */
const put = (keySet: KeySet, key: PooledKey): KeySet => {
  const refreshed = PooledKeys.refresh(key, keySet.now)
  if (!PooledKeys.isUnavailable(key) || PooledKeys.isUnavailable(refreshed)) {
    return update(keySet, { heap: Tournament.set(keySet.heap, key.slot, refreshed) })
  }
  const seed = RandomDraw.next(keySet.seed)
  const current = PooledKeys.catchUp(refreshed, keySet.virtualTime, RandomDraw.exponential(seed))
  return update(keySet, { seed, heap: Tournament.set(keySet.heap, key.slot, current) })
}

const slotOf = (keySet: KeySet, id: string): number | undefined => Option.getOrUndefined(HashMap.get(keySet.slots, id))

const slotsOf = (keySet: KeySet, group: string): ReadonlyArray<number> =>
  Option.getOrElse(HashMap.get(keySet.groups, group), () => [])

export const get = (keySet: KeySet, id: string): PooledKey | undefined => {
  const slot = slotOf(keySet, id)
  return slot === undefined ? undefined : Tournament.get(keySet.heap, slot)
}

/** The number of accounts: quota groups, and keys without one. */
export const accounts = (keySet: KeySet): number => HashMap.size(keySet.groups) + keySet.ungrouped

/** The keys in the order in which they were added. */
export const keys = (keySet: KeySet): ReadonlyArray<PooledKey> =>
  Array.sort(Tournament.entries(keySet.heap), byPosition)

const byPosition = Order.mapInput(Order.number, (key: PooledKey) => key.position)

/** Adds a key whose id is not in the set yet. */
export const add = (keySet: KeySet, key: ApiKey): KeySet => {
  const position = keySet.positions
  const slot = keySet.vacant[0] ?? HashMap.size(keySet.slots)
  const seed = RandomDraw.next(keySet.seed)
  const added = PooledKeys.make(key, slot, position, keySet.virtualTime, RandomDraw.exponential(seed))
  return update(keySet, {
    seed,
    heap: Tournament.set(keySet.heap, slot, PooledKeys.refresh(added, keySet.now)),
    slots: HashMap.set(keySet.slots, key.id, slot),
    groups: withGroupSlots(keySet, key.quotaGroup, (slots) => [...slots, slot]),
    ungrouped: keySet.ungrouped + (key.quotaGroup === undefined ? 1 : 0),
    vacant: keySet.vacant.slice(1),
    positions: position + 1
  })
}

export const remove = (keySet: KeySet, id: string): KeySet => {
  const key = get(keySet, id)
  if (key === undefined) return keySet
  return update(keySet, {
    heap: Tournament.remove(keySet.heap, key.slot),
    slots: HashMap.remove(keySet.slots, id),
    groups: withGroupSlots(keySet, key.key.quotaGroup, (slots) => slots.filter((slot) => slot !== key.slot)),
    ungrouped: keySet.ungrouped - (key.key.quotaGroup === undefined ? 1 : 0),
    vacant: [key.slot, ...keySet.vacant]
  })
}

const withGroupSlots = (
  keySet: KeySet,
  group: string | undefined,
  f: (slots: ReadonlyArray<number>) => ReadonlyArray<number>
): KeySet["groups"] => {
  if (group === undefined) return keySet.groups
  const slots = f(slotsOf(keySet, group))
  return slots.length === 0 ? HashMap.remove(keySet.groups, group) : HashMap.set(keySet.groups, group, slots)
}

const modify = (keySet: KeySet, id: string, f: (key: PooledKey) => PooledKey): KeySet => {
  const key = get(keySet, id)
  return key === undefined ? keySet : put(keySet, f(key))
}

export const enable = (keySet: KeySet, id: string): KeySet => modify(keySet, id, PooledKeys.enable)

export const disable = (keySet: KeySet, id: string): KeySet => modify(keySet, id, PooledKeys.disable)

export const rest = (keySet: KeySet, id: string, duration: number, reason: Reason): KeySet =>
  modify(keySet, id, (key) => PooledKeys.rest(key, keySet.now + duration, reason))

export const reweight = (keySet: KeySet, id: string, weight: number): KeySet => {
  const seed = RandomDraw.next(keySet.seed)
  return modify(update(keySet, { seed }), id, (key) =>
    PooledKeys.reweight(key, weight, keySet.virtualTime, RandomDraw.exponential(seed))
  )
}
