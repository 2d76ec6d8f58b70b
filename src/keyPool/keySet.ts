/** The keys of a pool and which of them comes next. It knows nothing of those who wait. */
import { Array, HashMap, Option, Order } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { Reason, Strategy, Verdict } from "./model.js"
import type { Hold, Moment, PooledKey, Remedies } from "./key.js"
import * as PooledKeys from "./key.js"
import * as RandomDraw from "../internal/random.js"
import * as TournamentHeap from "./tournament.js"

/** What a set of keys has to offer. */
export interface Outlook {
  /** The first of the ready keys, by the strategy. */
  readonly winner: PooledKey | undefined
  /** The first key that time alone makes ready. */
  readonly soonest: PooledKey | undefined
  /** How many the end of a call in flight may make ready. */
  readonly awaited: number
  /** How many are in good order and have merely too much to do. */
  readonly busy: number
  /** How many rest because of a rate limit. */
  readonly limited: number
}

/** `now` is the latest time seen: it never runs backwards. */
export interface KeyRing extends Moment {
  readonly pace: PooledKeys.Pace
  readonly seed: number
  readonly heap: TournamentHeap.TournamentHeap<PooledKey, Outlook>
  readonly slots: HashMap.HashMap<string, number>
  /** The slots of each account. */
  readonly groups: HashMap.HashMap<string, ReadonlyArray<number>>
  /** Slots of keys that were removed. */
  readonly vacant: ReadonlyArray<number>
  /** How many keys there have ever been. */
  readonly positions: number
}

const nothing: Outlook = { winner: undefined, soonest: undefined, awaited: 0, busy: 0, limited: 0 }

const enter = (key: PooledKey): Outlook => ({
  winner: key.standing === "ready" ? key : undefined,
  soonest: key.wakeAt < Infinity ? key : undefined,
  awaited: key.standing === "capped" || key.standing === "probing" ? 1 : 0,
  busy: key.standing === "capped" || key.standing === "paced" ? 1 : 0,
  limited: key.standing === "limited" ? 1 : 0
})

const better = (strategy: Strategy, left: PooledKey, right: PooledKey): PooledKey => {
  const order = strategy(left, right)
  return order < 0 || (order === 0 && left.position < right.position) ? left : right
}

const earlier = (left: PooledKey | undefined, right: PooledKey | undefined): PooledKey | undefined =>
  left === undefined || (right !== undefined && right.wakeAt < left.wakeAt) ? right : left

/** Whether an outlook has a winner at most. */
const isPlain = (outlook: Outlook): boolean =>
  outlook.soonest === undefined && outlook.awaited === 0 && outlook.busy === 0 && outlook.limited === 0

const play =
  (strategy: Strategy) =>
  (left: Outlook, right: Outlook): Outlook => {
    const winner =
      left.winner === undefined
        ? right.winner
        : right.winner === undefined
          ? left.winner
          : better(strategy, left.winner, right.winner)
    if (winner === left.winner && isPlain(right)) return left
    if (winner === right.winner && isPlain(left)) return right
    return {
      winner,
      soonest: earlier(left.soonest, right.soonest),
      awaited: left.awaited + right.awaited,
      busy: left.busy + right.busy,
      limited: left.limited + right.limited
    }
  }

/** Every call passes through this, and V8 takes forty times as long over a spread as over a literal. */
const revised = (ring: KeyRing, change: Partial<KeyRing>): KeyRing => ({
  remedies: ring.remedies,
  now: change.now ?? ring.now,
  sequence: change.sequence ?? ring.sequence,
  pace: change.pace ?? ring.pace,
  seed: change.seed ?? ring.seed,
  heap: change.heap ?? ring.heap,
  slots: change.slots ?? ring.slots,
  groups: change.groups ?? ring.groups,
  vacant: change.vacant ?? ring.vacant,
  positions: change.positions ?? ring.positions
})

export const make = (keys: Iterable<ApiKey>, strategy: Strategy, remedies: Remedies, seed: number): KeyRing => {
  let ring: KeyRing = {
    remedies,
    now: 0,
    sequence: 0,
    pace: { served: 0, ticket: 0 },
    seed,
    heap: TournamentHeap.empty({ enter, play: play(strategy) }),
    slots: HashMap.empty(),
    groups: HashMap.empty(),
    vacant: [],
    positions: 0
  }
  for (const key of keys) ring = add(ring, key)
  return ring
}

/** What all keys but the excluded ones have to offer. */
export const outlook = (ring: KeyRing, exclude: ReadonlySet<string>): Outlook => {
  if (exclude.size === 0) return TournamentHeap.outcome(ring.heap) ?? nothing
  let heap = ring.heap
  for (const id of exclude) {
    const slot = slotOf(ring, id)
    if (slot !== undefined) heap = TournamentHeap.remove(heap, slot)
  }
  return TournamentHeap.outcome(heap) ?? nothing
}

/** Lets time pass, and with it whatever keeps keys from speaking. */
export const advance = (before: KeyRing, now: number): KeyRing => {
  let ring = now > before.now ? revised(before, { now }) : before
  for (;;) {
    const due = TournamentHeap.outcome(ring.heap)?.soonest
    if (due === undefined || due.wakeAt > ring.now) return ring
    ring = put(ring, due)
  }
}

/** Gives a key to a call. */
export const reserve = (ring: KeyRing, key: PooledKey): readonly [Hold, KeyRing] => {
  const { served, ticket, weight } = key
  const sequence = ring.sequence + 1
  const seed = RandomDraw.next(ring.seed)
  const reserved = PooledKeys.reserve(key, sequence, ring.now, RandomDraw.exponential(seed))
  return [
    { key: key.key, slot: key.slot, position: key.position, sequence, startedAt: ring.now },
    revised(ring, {
      sequence,
      seed,
      pace: { served: served / weight, ticket },
      heap: TournamentHeap.set(ring.heap, key.slot, PooledKeys.stand(reserved, ring.now))
    })
  ]
}

/** Takes a key back with what the call says about it. Nothing happens where the key has been removed meanwhile. */
export const giveBack = (ring: KeyRing, hold: Hold, verdict: Verdict): KeyRing => {
  const key = held(ring, hold)
  if (key === undefined) return ring
  const next = put(ring, PooledKeys.settle(key, hold, verdict, ring))
  const group = key.key.quotaGroup
  return group === undefined || !PooledKeys.concernsKin(key, verdict) ? next : tellKin(next, key, group, hold, verdict)
}

/** Takes a key back from a call that was never made. */
export const withdraw = (ring: KeyRing, hold: Hold): KeyRing => {
  const key = held(ring, hold)
  return key === undefined ? ring : put(ring, PooledKeys.withdraw(key, hold))
}

const held = (ring: KeyRing, hold: Hold): PooledKey | undefined => {
  const key = TournamentHeap.get(ring.heap, hold.slot)
  return key?.position === hold.position ? key : undefined
}

const tellKin = (before: KeyRing, key: PooledKey, group: string, hold: Hold, verdict: Verdict): KeyRing => {
  let ring = before
  for (const slot of slotsOf(ring, group)) {
    const kin = TournamentHeap.get(ring.heap, slot)
    if (kin !== undefined && slot !== key.slot) ring = put(ring, PooledKeys.settleKin(kin, hold, verdict, ring))
  }
  return ring
}

/** Puts a key into its slot as it stands now, level with the others where it was away and is back. */
const put = (ring: KeyRing, key: PooledKey): KeyRing => {
  const standing = PooledKeys.stand(key, ring.now)
  if (!PooledKeys.isAway(key) || PooledKeys.isAway(standing)) {
    return revised(ring, { heap: TournamentHeap.set(ring.heap, key.slot, standing) })
  }
  const seed = RandomDraw.next(ring.seed)
  const levelled = PooledKeys.level(standing, ring.pace, RandomDraw.exponential(seed))
  return revised(ring, { seed, heap: TournamentHeap.set(ring.heap, key.slot, levelled) })
}

const slotOf = (ring: KeyRing, id: string): number | undefined => Option.getOrUndefined(HashMap.get(ring.slots, id))

const slotsOf = (ring: KeyRing, group: string): ReadonlyArray<number> =>
  Option.getOrElse(HashMap.get(ring.groups, group), () => [])

export const get = (ring: KeyRing, id: string): PooledKey | undefined => {
  const slot = slotOf(ring, id)
  return slot === undefined ? undefined : TournamentHeap.get(ring.heap, slot)
}

/** The keys in the order in which they came. */
export const keys = (ring: KeyRing): ReadonlyArray<PooledKey> =>
  Array.sort(TournamentHeap.entries(ring.heap), byPosition)

const byPosition = Order.mapInput(Order.number, (key: PooledKey) => key.position)

/** Adds a key whose id the ring does not have. */
export const add = (ring: KeyRing, key: ApiKey): KeyRing => {
  const position = ring.positions
  const slot = ring.vacant[0] ?? HashMap.size(ring.slots)
  const seed = RandomDraw.next(ring.seed)
  const added = PooledKeys.make(key, slot, position, ring.pace, RandomDraw.exponential(seed))
  return revised(ring, {
    seed,
    heap: TournamentHeap.set(ring.heap, slot, PooledKeys.stand(added, ring.now)),
    slots: HashMap.set(ring.slots, key.id, slot),
    groups: regrouped(ring, key.quotaGroup, (slots) => [...slots, slot]),
    vacant: ring.vacant.slice(1),
    positions: position + 1
  })
}

export const remove = (ring: KeyRing, id: string): KeyRing => {
  const key = get(ring, id)
  if (key === undefined) return ring
  return revised(ring, {
    heap: TournamentHeap.remove(ring.heap, key.slot),
    slots: HashMap.remove(ring.slots, id),
    groups: regrouped(ring, key.key.quotaGroup, (slots) => slots.filter((slot) => slot !== key.slot)),
    vacant: [key.slot, ...ring.vacant]
  })
}

const regrouped = (
  ring: KeyRing,
  group: string | undefined,
  f: (slots: ReadonlyArray<number>) => ReadonlyArray<number>
): KeyRing["groups"] => {
  if (group === undefined) return ring.groups
  const slots = f(slotsOf(ring, group))
  return slots.length === 0 ? HashMap.remove(ring.groups, group) : HashMap.set(ring.groups, group, slots)
}

const change = (ring: KeyRing, id: string, f: (key: PooledKey) => PooledKey): KeyRing => {
  const key = get(ring, id)
  return key === undefined ? ring : put(ring, f(key))
}

export const enable = (ring: KeyRing, id: string): KeyRing => change(ring, id, PooledKeys.enable)

export const disable = (ring: KeyRing, id: string): KeyRing => change(ring, id, PooledKeys.disable)

export const rest = (ring: KeyRing, id: string, duration: number, reason: Reason): KeyRing =>
  change(ring, id, (key) => PooledKeys.rest(key, ring.now + duration, reason))

export const reweight = (ring: KeyRing, id: string, weight: number): KeyRing => {
  const seed = RandomDraw.next(ring.seed)
  return change(revised(ring, { seed }), id, (key) =>
    PooledKeys.reweight(key, weight, ring.pace, RandomDraw.exponential(seed))
  )
}
