/** The keys of a pool and which of them is next. The queue of waiting calls is in `state.ts`. */
import { Array, HashMap, Option, Order } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { Reason, Strategy, Verdict } from "./model.js"
import type { Availability, CooldownSettings, KeyReservation, PooledKey, SettleContext } from "./key.js"
import * as PooledKeys from "./key.js"
import * as RandomDraw from "../internal/random.js"
import * as Tournament from "./tournament.js"

/** What a set of keys has to offer to a call that finds none ready. */
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

/** Which keys there are, and where. Changes only when keys are added or removed. */
interface Directory {
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

/** `now` is the latest time seen, so it never runs backwards. */
export interface KeySet extends SettleContext {
  readonly virtualTime: PooledKeys.VirtualTime
  readonly seed: number
  /** All keys. The winner is the first of the ready ones, by the strategy. */
  readonly heap: Tournament.Tournament<PooledKey>
  /** The keys that become ready by time alone. The winner is the first of them. */
  readonly resting: Tournament.Tournament<PooledKey>
  readonly counts: Counts
  /** The number of failing keys. */
  readonly failing: number
  /** `sequence` of the latest call when the first of the failing keys failed. */
  readonly failingSince: number
  readonly directory: Directory
}

/** Failing keys come last, whatever the strategy. */
const preferred =
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

/** A literal instead of a spread: every call takes this path, and a spread is forty times as slow in V8. */
const update = (keySet: KeySet, modify: Partial<KeySet>): KeySet => ({
  cooldown: keySet.cooldown,
  now: modify.now ?? keySet.now,
  sequence: modify.sequence ?? keySet.sequence,
  virtualTime: modify.virtualTime ?? keySet.virtualTime,
  seed: modify.seed ?? keySet.seed,
  heap: modify.heap ?? keySet.heap,
  resting: modify.resting ?? keySet.resting,
  counts: modify.counts ?? keySet.counts,
  failing: modify.failing ?? keySet.failing,
  failingSince: modify.failingSince ?? keySet.failingSince,
  directory: modify.directory ?? keySet.directory
})

export const make = (keys: Iterable<ApiKey>, strategy: Strategy, cooldown: CooldownSettings, seed: number): KeySet => {
  let keySet: KeySet = {
    cooldown,
    now: 0,
    sequence: 0,
    virtualTime: { served: 0, ticket: 0 },
    seed,
    heap: Tournament.empty({ plays: ({ availability }) => availability === "ready", winner: preferred(strategy) }),
    resting: Tournament.empty(byWakeup),
    counts: { capped: 0, paced: 0, probing: 0, admitting: 0, limited: 0, broken: 0, disabled: 0 },
    failing: 0,
    failingSince: 0,
    directory: {
      slots: HashMap.empty(),
      groups: HashMap.empty(),
      ungrouped: 0,
      vacant: [],
      positions: 0
    }
  }
  for (const key of keys) keySet = add(keySet, key)
  return keySet
}

const slotsIn = (keySet: KeySet, ids: ReadonlySet<string>): ReadonlyArray<number> =>
  Array.filterMap(ids, (id) => HashMap.get(keySet.directory.slots, id))

/** Whether any key is ready. */
export const hasReady = ({ counts, directory }: KeySet): boolean =>
  counts.capped + counts.paced + counts.probing + counts.admitting + counts.limited + counts.broken + counts.disabled <
  HashMap.size(directory.slots)

/**
 * Whether a failing key can be cooled: at least half of the keys stay usable, and at least one. Where all fail alike the provider is at
 * fault, and its error says more than a wait for a key.
 */
const mayCool = ({ counts, directory }: KeySet): boolean => {
  const total = HashMap.size(directory.slots)
  const others = total - counts.limited - counts.broken - counts.disabled - 1
  return others >= 1 && 2 * others >= total
}

/**
 * The first of the ready keys, by the strategy, except the excluded ones, and for a failover except the failing ones. Only this can throw
 * what a strategy throws.
 */
export const winner = (keySet: KeySet, exclude: ReadonlySet<string>, isFailover = false): PooledKey | undefined => {
  const first =
    exclude.size === 0
      ? Tournament.winner(keySet.heap)
      : Tournament.winnerWithout(keySet.heap, slotsIn(keySet, exclude))
  return isFailover && first?.isFailing === true ? undefined : first
}

/** What all keys except the excluded ones have to offer. */
export const summarize = (keySet: KeySet, exclude: ReadonlySet<string>): Summary => {
  const slots = exclude.size === 0 ? [] : slotsIn(keySet, exclude)
  let { counts } = keySet
  for (const slot of slots) counts = recount(counts, Tournament.get(keySet.heap, slot), undefined)
  return {
    soonest: Tournament.winnerWithout(keySet.resting, slots),
    awaited: counts.capped + counts.probing + counts.admitting,
    busy: counts.capped + counts.paced,
    limited: counts.limited + counts.admitting
  }
}

/** The counts after a key has been replaced, added or removed. */
const recount = (counts: Counts, before: PooledKey | undefined, after: PooledKey | undefined): Counts => {
  if (before?.availability === after?.availability) return counts
  const recounted = { ...counts }
  if (before !== undefined && before.availability !== "ready") recounted[before.availability]--
  if (after !== undefined && after.availability !== "ready") recounted[after.availability]++
  return recounted
}

const noChange = {}

/** The number of failing keys after a key has been replaced, where it has changed. */
const failingAfter = (
  { failing, failingSince, sequence }: KeySet,
  before: PooledKey | undefined,
  after: PooledKey | undefined
): Partial<Pick<KeySet, "failing" | "failingSince">> => {
  const change = Number(after?.isFailing ?? false) - Number(before?.isFailing ?? false)
  return change === 0 ? noChange : { failing: failing + change, failingSince: failing === 0 ? sequence : failingSince }
}

/** The resting keys after a key has been replaced or added. */
const restingWith = ({ resting }: KeySet, before: PooledKey | undefined, after: PooledKey): KeySet["resting"] => {
  if (wakeAtOf(after) < Infinity) return Tournament.set(resting, after.slot, after)
  return before === undefined || wakeAtOf(before) === Infinity ? resting : Tournament.remove(resting, before.slot)
}

/** Advances the time, and the availability of keys with it. */
export const advance = (before: KeySet, now: number): KeySet => {
  let keySet = now > before.now ? update(before, { now }) : before
  for (;;) {
    const due = Tournament.winner(keySet.resting)
    if (due === undefined || wakeAtOf(due) > keySet.now) return keySet
    keySet = put(keySet, due)
  }
}

/** Reserves a key for a call. */
export const reserve = (keySet: KeySet, key: PooledKey, isFailover = false): readonly [KeyReservation, KeySet] => {
  const { served, ticket, weight } = key
  const { cooldown, now } = keySet
  const sequence = keySet.sequence + 1
  const seed = RandomDraw.next(keySet.seed)
  const started = PooledKeys.reserve(key, sequence, now, RandomDraw.exponential(seed), cooldown)
  // Of the calls that fail together only one tries each key that has not succeeded since the failures began.
  const isUnproven = isFailover && key.provenAt <= keySet.failingSince
  const reserved = PooledKeys.refresh(isUnproven ? PooledKeys.demote(started, sequence, now, cooldown) : started, now)
  return [
    { key: key.key, slot: key.slot, position: key.position, sequence, startedAt: keySet.now },
    update(keySet, {
      sequence,
      seed,
      virtualTime: { served: served / weight, ticket },
      heap: Tournament.set(keySet.heap, key.slot, reserved),
      resting: restingWith(keySet, key, reserved),
      counts: recount(keySet.counts, key, reserved),
      ...failingAfter(keySet, key, reserved)
    })
  ]
}

/** Ends a reservation with a verdict. Does nothing if the key has been removed. */
export const settle = (keySet: KeySet, reservation: KeyReservation, verdict: Verdict): KeySet => {
  const key = reservedKey(keySet, reservation)
  if (key === undefined) return keySet
  const isCoolable = verdict._tag === "Failed" && !PooledKeys.isUnavailable(key) && mayCool(keySet)
  const next = put(keySet, PooledKeys.settle(key, reservation, verdict, keySet, isCoolable))
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

/** Whether it changes anything that the provider has accepted the call. */
export const isTested = (keySet: KeySet, reservation: KeyReservation): boolean => {
  const key = reservedKey(keySet, reservation)
  return key !== undefined && PooledKeys.isUnhealthy(key)
}

/** Records that the provider has accepted the call, which goes on. */
export const accept = (keySet: KeySet, reservation: KeyReservation): KeySet => {
  const key = reservedKey(keySet, reservation)
  if (key === undefined) return keySet
  const next = put(keySet, PooledKeys.accept(key, reservation, keySet))
  const group = key.key.quotaGroup
  return group === undefined ? next : settleGroup(next, key, group, reservation, { _tag: "Served" })
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

/**
 * Stores a changed key, which still has the availability that it had before the change, with that of now. One that was unavailable
 * catches up with the virtual time.
 */
const put = (keySet: KeySet, key: PooledKey): KeySet => {
  const refreshed = PooledKeys.refresh(key, keySet.now)
  const returns = PooledKeys.isPassedBy(key) && !PooledKeys.isPassedBy(refreshed)
  const seed = returns ? RandomDraw.next(keySet.seed) : keySet.seed
  const current = returns ? PooledKeys.catchUp(refreshed, keySet.virtualTime, RandomDraw.exponential(seed)) : refreshed
  return update(keySet, {
    seed,
    heap: Tournament.set(keySet.heap, key.slot, current),
    resting: restingWith(keySet, key, current),
    counts: recount(keySet.counts, key, current),
    ...failingAfter(keySet, key, current)
  })
}

const slotOf = (keySet: KeySet, id: string): number | undefined =>
  Option.getOrUndefined(HashMap.get(keySet.directory.slots, id))

const slotsOf = (keySet: KeySet, group: string): ReadonlyArray<number> =>
  Option.getOrElse(HashMap.get(keySet.directory.groups, group), () => [])

export const get = (keySet: KeySet, id: string): PooledKey | undefined => {
  const slot = slotOf(keySet, id)
  return slot === undefined ? undefined : Tournament.get(keySet.heap, slot)
}

/** The number of accounts: quota groups, and keys without one. */
export const accounts = (keySet: KeySet): number => HashMap.size(keySet.directory.groups) + keySet.directory.ungrouped

/** The keys in the order in which they were added. */
export const keys = (keySet: KeySet): ReadonlyArray<PooledKey> =>
  Array.sort(Tournament.entries(keySet.heap), byPosition)

const byPosition = Order.mapInput(Order.number, (key: PooledKey) => key.position)

/** The key of an id and the others of its quota group. */
export const groupOf = (keySet: KeySet, id: string): ReadonlyArray<PooledKey> => {
  const key = get(keySet, id)
  if (key?.key.quotaGroup === undefined) return key === undefined ? [] : [key]
  return Array.filterMap(slotsOf(keySet, key.key.quotaGroup), (slot) =>
    Option.fromNullable(Tournament.get(keySet.heap, slot))
  )
}

/** Adds a key whose id is not in the set yet. */
export const add = (keySet: KeySet, key: ApiKey): KeySet => {
  const { groups, positions, slots, ungrouped, vacant } = keySet.directory
  const slot = vacant[0] ?? HashMap.size(slots)
  const seed = RandomDraw.next(keySet.seed)
  const made = PooledKeys.make(key, slot, positions, keySet.virtualTime, RandomDraw.exponential(seed))
  const added = PooledKeys.refresh(made, keySet.now)
  return update(keySet, {
    seed,
    heap: Tournament.set(keySet.heap, slot, added),
    resting: restingWith(keySet, undefined, added),
    counts: recount(keySet.counts, undefined, added),
    directory: {
      slots: HashMap.set(slots, key.id, slot),
      groups: withGroupSlots(groups, key.quotaGroup, (slots) => [...slots, slot]),
      ungrouped: ungrouped + (key.quotaGroup === undefined ? 1 : 0),
      vacant: vacant.slice(1),
      positions: positions + 1
    }
  })
}

export const remove = (keySet: KeySet, id: string): KeySet => {
  const key = get(keySet, id)
  if (key === undefined) return keySet
  const { groups, positions, slots, ungrouped, vacant } = keySet.directory
  return update(keySet, {
    heap: Tournament.remove(keySet.heap, key.slot),
    resting: Tournament.remove(keySet.resting, key.slot),
    counts: recount(keySet.counts, key, undefined),
    ...failingAfter(keySet, key, undefined),
    directory: {
      slots: HashMap.remove(slots, id),
      groups: withGroupSlots(groups, key.key.quotaGroup, (slots) => slots.filter((slot) => slot !== key.slot)),
      ungrouped: ungrouped - (key.key.quotaGroup === undefined ? 1 : 0),
      vacant: [key.slot, ...vacant],
      positions
    }
  })
}

const withGroupSlots = (
  groups: Directory["groups"],
  group: string | undefined,
  f: (slots: ReadonlyArray<number>) => ReadonlyArray<number>
): Directory["groups"] => {
  if (group === undefined) return groups
  const slots = f(Option.getOrElse(HashMap.get(groups, group), () => []))
  return slots.length === 0 ? HashMap.remove(groups, group) : HashMap.set(groups, group, slots)
}

export const modify = (keySet: KeySet, id: string, f: (key: PooledKey) => PooledKey): KeySet => {
  const key = get(keySet, id)
  return key === undefined ? keySet : put(keySet, f(key))
}

export const enable = (keySet: KeySet, id: string): KeySet => modify(keySet, id, PooledKeys.enable)

export const disable = (keySet: KeySet, id: string): KeySet => modify(keySet, id, PooledKeys.disable)

export const rest = (keySet: KeySet, id: string, duration: number, reason: Reason): KeySet =>
  modify(keySet, id, (key) =>
    PooledKeys.rest(key, keySet.now + PooledKeys.boundedBy(keySet.cooldown, duration), reason)
  )

export const reweight = (keySet: KeySet, id: string, weight: number): KeySet => {
  const seed = RandomDraw.next(keySet.seed)
  return modify(update(keySet, { seed }), id, (key) =>
    PooledKeys.reweight(key, weight, keySet.virtualTime, RandomDraw.exponential(seed))
  )
}
