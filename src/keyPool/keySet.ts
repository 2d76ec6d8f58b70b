/**
 * The keys of a pool and which of them is next. The queue of waiting calls is in `state.ts`.
 *
 * Models that share the pool share the limits of a key, what it has in flight, and what is known of it with every model. What is known
 * of a key with one model has a ranking of its own, which exists while there is such knowledge.
 */
import { Array, HashMap, Option, Order } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { Reason, Strategy, Verdict } from "./model.js"
import type { CooldownSettings, KeyReservation, PooledKey, SettleContext, View } from "./key.js"
import * as PooledKeys from "./key.js"
import type { Affinity, Ranking, Summary } from "./ranking.js"
import * as Rankings from "./ranking.js"
import type { ChangeSeen, Models } from "./modelRanking.js"
import * as ModelRankings from "./modelRanking.js"
import * as RandomDraw from "../internal/random.js"

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
  /** All keys, with what is known of each with every model. */
  readonly all: Ranking
  /** By model: those with a list of keys of their own, and those of which a key is not as it is with the others. */
  readonly models: Models
  readonly directory: Directory
}

/** A literal instead of a spread: every call takes this path, and a spread is forty times as slow in V8. */
const update = (keySet: KeySet, modify: { readonly [Field in keyof KeySet]?: KeySet[Field] | undefined }): KeySet => ({
  cooldown: keySet.cooldown,
  now: modify.now ?? keySet.now,
  sequence: modify.sequence ?? keySet.sequence,
  virtualTime: modify.virtualTime ?? keySet.virtualTime,
  seed: modify.seed ?? keySet.seed,
  all: modify.all ?? keySet.all,
  models: modify.models ?? keySet.models,
  directory: modify.directory ?? keySet.directory
})

export const make = (keys: Iterable<ApiKey>, strategy: Strategy, cooldown: CooldownSettings, seed: number): KeySet => {
  let keySet: KeySet = {
    cooldown,
    now: 0,
    sequence: 0,
    virtualTime: { served: 0, ticket: 0 },
    seed,
    all: Rankings.make(strategy),
    models: new Map(),
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
  ids.size === 0 ? noSlots : Array.filterMap(ids, (id) => HashMap.get(keySet.directory.slots, id))

const noSlots: ReadonlyArray<number> = []

// -------------------------------------------------------------------------------------
// models
// -------------------------------------------------------------------------------------

const rankingOf = ({ all, models }: KeySet, view: View | undefined): Ranking =>
  view === undefined || models.size === 0 ? all : (models.get(view.model)?.ranking ?? all)

/** The keys with a ranking for this view, which keeps what is known of them with the model. */
const withRanking = (keySet: KeySet, view: View): KeySet => {
  const { all, models, now, sequence } = keySet
  const before = models.get(view.model)
  return before !== undefined && before.view.keys === view.keys
    ? keySet
    : update(keySet, {
        models: new Map(models).set(view.model, ModelRankings.make(view, all, before, now, sequence))
      })
}

/** The keys, with a ranking for the calls of this view where the model has a list of keys of its own. */
export const prepare = (keySet: KeySet, view: View | undefined): KeySet =>
  view === undefined || (view.keys === undefined && keySet.models.get(view.model)?.view.keys === undefined)
    ? keySet
    : withRanking(keySet, view)

/** The keys with a ranking for the model of this view. */
const ensureRanking = (keySet: KeySet, view: View): KeySet =>
  keySet.models.has(view.model) ? keySet : withRanking(keySet, view)

// -------------------------------------------------------------------------------------
// the choice of a key
// -------------------------------------------------------------------------------------

/** Whether a key is ready for the calls of this view. */
export const hasReady = (keySet: KeySet, view?: View): boolean => Rankings.hasReady(rankingOf(keySet, view))

/** The first of the ready keys, by the affinity of the call or else by the strategy. See `Rankings.winner`. */
export const winner = (
  keySet: KeySet,
  exclude: ReadonlySet<string>,
  isFailover = false,
  view?: View,
  affinity?: Affinity
): PooledKey | undefined => {
  const ranking = rankingOf(keySet, view)
  const excluded = slotsIn(keySet, exclude)
  return (
    (affinity === undefined ? undefined : Rankings.preferred(ranking, excluded, isFailover, affinity)) ??
    Rankings.winner(ranking, excluded, isFailover)
  )
}

/** What all keys except the excluded ones have to offer. */
export const summarize = (keySet: KeySet, exclude: ReadonlySet<string>, view?: View): Summary =>
  Rankings.summarize(rankingOf(keySet, view), slotsIn(keySet, exclude))

/** When time alone first changes what the calls of this view may do with a key. */
export const wakeAt = (keySet: KeySet, view: View | undefined): number => Rankings.wakeAt(rankingOf(keySet, view))

/** Advances the time, and the availability of keys with it. */
export const advance = (before: KeySet, now: number): KeySet => {
  let keySet = now > before.now ? update(before, { now }) : before
  for (let due = firstDue(keySet); due !== undefined; due = firstDue(keySet))
    keySet = put(keySet, due, ModelRankings.unchanged)
  return keySet
}

const firstDue = ({ all, models, now }: KeySet): PooledKey | undefined => {
  const due = Rankings.firstDue(all, now)
  if (due !== undefined || models.size === 0) return due
  for (const { ranking } of models.values()) {
    const seen = Rankings.firstDue(ranking, now)
    if (seen !== undefined) return Rankings.get(all, seen.slot)
  }
  return undefined
}

/** Reserves a key for a call: the one that `winner` has returned. */
export const reserve = (
  before: KeySet,
  winner: PooledKey,
  isFailover = false,
  view?: View
): readonly [KeyReservation, KeySet] => {
  const { cooldown, now } = before
  const key = view === undefined ? winner : (Rankings.get(before.all, winner.slot) ?? winner)
  const sequence = before.sequence + 1
  const seed = RandomDraw.next(before.seed)
  const interval = RandomDraw.exponential(seed)
  // Of the calls that fail together only one tries each key that has not succeeded since the failures began.
  const isUnproven = isFailover && winner.provenAt <= rankingOf(before, view).failedSince
  const started = (key: PooledKey): PooledKey => PooledKeys.reserve(key, sequence, now, interval, cooldown)
  const tried = (key: PooledKey): PooledKey =>
    isUnproven ? PooledKeys.demote(started(key), sequence, now, cooldown) : started(key)
  const next =
    view === undefined
      ? put(before, tried(key), ModelRankings.unchanged)
      : put(isUnproven ? ensureRanking(before, view) : before, started(key), ModelRankings.changeOf(view, tried))
  return [
    { key: key.key, slot: key.slot, position: key.position, sequence, startedAt: now, view },
    update(next, { sequence, seed, virtualTime: { served: key.served / key.weight, ticket: key.ticket } })
  ]
}

/** Ends a reservation with a verdict. Does nothing if the key has been removed. */
export const settle = (before: KeySet, reservation: KeyReservation, verdict: Verdict): KeySet => {
  const key = reservedKey(before, reservation)
  if (key === undefined) return before
  const { view } = reservation
  const isOfModel = view !== undefined && PooledKeys.concernsModel(verdict)
  const keySet = isOfModel ? ensureRanking(before, view) : before
  const settled =
    (ranking: Ranking) =>
    (key: PooledKey): PooledKey =>
      PooledKeys.settle(key, reservation, verdict, keySet, isCoolable(ranking, key, verdict))
  const ended = isOfModel ? PooledKeys.count(key, reservation, verdict) : settled(keySet.all)(key)
  const affectsModel = isOfModel || verdict._tag === "Served"
  const next =
    view === undefined
      ? put(keySet, ended, ModelRankings.unchanged)
      : put(
          keySet,
          ended,
          ModelRankings.changeOf(
            view,
            affectsModel ? settled(rankingOf(keySet, view)) : (seen) => PooledKeys.release(seen, reservation)
          )
        )
  if (key.key.quotaGroup === undefined) return next
  const ofAll = isOfModel ? next : settleGroup(next, key, reservation, verdict, undefined)
  const seen = affectsModel ? seenBy(keySet, view, key) : undefined
  return seen === undefined ? ofAll : settleGroup(ofAll, seen, reservation, verdict, view)
}

const isCoolable = (ranking: Ranking, key: PooledKey, verdict: Verdict): boolean =>
  verdict._tag === "Failed" && !PooledKeys.isUnavailable(key) && Rankings.mayCool(ranking)

/** The key as the calls of a view see it; undefined where nothing is known of it with the model. */
const seenBy = ({ models }: KeySet, view: View | undefined, { slot }: PooledKey): PooledKey | undefined => {
  const model = view === undefined ? undefined : models.get(view.model)
  return model && Rankings.get(model.ranking, slot)
}

/** Ends the reservation of a call that was never made. */
export const withdraw = (keySet: KeySet, reservation: KeyReservation): KeySet => {
  const key = reservedKey(keySet, reservation)
  const withdrawn = (key: PooledKey): PooledKey => PooledKeys.withdraw(key, reservation)
  return key === undefined ? keySet : put(keySet, withdrawn(key), ModelRankings.changeOf(reservation.view, withdrawn))
}

/** Whether it changes anything that the provider has accepted the call. */
export const isTested = (keySet: KeySet, reservation: KeyReservation): boolean => {
  const key = reservedKey(keySet, reservation)
  if (key === undefined) return false
  const seen = seenBy(keySet, reservation.view, key)
  return PooledKeys.isUnhealthy(key) || (seen !== undefined && PooledKeys.isUnhealthy(seen))
}

/** Records that the provider has accepted the call, which goes on. */
export const accept = (keySet: KeySet, reservation: KeyReservation): KeySet => {
  const key = reservedKey(keySet, reservation)
  if (key === undefined) return keySet
  const { view } = reservation
  const accepted = (key: PooledKey): PooledKey => PooledKeys.accept(key, reservation, keySet)
  const next = put(keySet, accepted(key), ModelRankings.changeOf(view, accepted))
  if (key.key.quotaGroup === undefined) return next
  const ofAll = settleGroup(next, key, reservation, served, undefined)
  const seen = seenBy(keySet, view, key)
  return seen === undefined ? ofAll : settleGroup(ofAll, seen, reservation, served, view)
}

const served: Verdict = { _tag: "Served" }

const reservedKey = ({ all }: KeySet, reservation: KeyReservation): PooledKey | undefined => {
  const key = Rankings.get(all, reservation.slot)
  return key?.position === reservation.position ? key : undefined
}

/** Applies a verdict to the other keys of the quota group: to what is known of them with the model of a view, or with every model. */
const settleGroup = (
  before: KeySet,
  key: PooledKey,
  reservation: KeyReservation,
  verdict: Verdict,
  view: View | undefined
): KeySet => {
  const group = key.key.quotaGroup
  if (group === undefined || !PooledKeys.concernsQuotaGroup(key, verdict)) return before
  let keySet = before
  for (const slot of slotsOf(keySet, group)) {
    const member = Rankings.get(keySet.all, slot)
    if (member === undefined || slot === key.slot) continue
    const settled = (key: PooledKey): PooledKey => PooledKeys.settleQuotaGroup(key, reservation, verdict, before)
    keySet =
      view === undefined
        ? put(keySet, settled(member), ModelRankings.unchanged)
        : put(keySet, member, ModelRankings.changeOf(view, settled))
  }
  return keySet
}

/**
 * Stores a changed key, which still has the availability that it had before the change, with that of now, also as the models see it. One
 * that was unavailable catches up with the virtual time.
 */
const put = (keySet: KeySet, key: PooledKey, changeSeen: ChangeSeen): KeySet => {
  const refreshed = PooledKeys.refresh(key, keySet.now)
  const seen = keySet.models.size === 0 ? [] : ModelRankings.seenAfter(keySet.models, refreshed, changeSeen, keySet.now)
  if (!returns(key, refreshed) && !seen.some(({ after, before }) => returns(before, after))) {
    return update(keySet, {
      all: Rankings.put(keySet.all, refreshed, keySet.sequence),
      models: ModelRankings.putSeen(keySet.models, seen, keySet.sequence)
    })
  }
  const seed = RandomDraw.next(keySet.seed)
  const interval = RandomDraw.exponential(seed)
  const current = (key: PooledKey): PooledKey => PooledKeys.catchUp(key, keySet.virtualTime, interval)
  return update(keySet, {
    seed,
    all: Rankings.put(keySet.all, current(refreshed), keySet.sequence),
    models: ModelRankings.putSeen(
      keySet.models,
      seen.map(({ after, before, model }) => ({ model, before, after: current(after) })),
      keySet.sequence
    )
  })
}

const returns = (before: PooledKey, after: PooledKey): boolean =>
  PooledKeys.isPassedBy(before) && !PooledKeys.isPassedBy(after)

// -------------------------------------------------------------------------------------
// keys
// -------------------------------------------------------------------------------------

const slotOf = (keySet: KeySet, id: string): number | undefined =>
  Option.getOrUndefined(HashMap.get(keySet.directory.slots, id))

const slotsOf = (keySet: KeySet, group: string): ReadonlyArray<number> =>
  Option.getOrElse(HashMap.get(keySet.directory.groups, group), () => [])

export const get = (keySet: KeySet, id: string): PooledKey | undefined => {
  const slot = slotOf(keySet, id)
  return slot === undefined ? undefined : Rankings.get(keySet.all, slot)
}

/** The number of accounts: quota groups, and keys without one. */
export const accounts = (keySet: KeySet, view: View | undefined): number =>
  view?.keys === undefined
    ? HashMap.size(keySet.directory.groups) + keySet.directory.ungrouped
    : new Set(keys(keySet, view).map(({ id, key }) => key.quotaGroup ?? `key ${id}`)).size

/** The keys of a view in the order in which they were added. */
export const keys = ({ all }: KeySet, view?: View): ReadonlyArray<PooledKey> => {
  const sorted = Array.sort(Rankings.entries(all), byPosition)
  return view?.keys === undefined ? sorted : sorted.filter((key) => ModelRankings.isIn(view, key))
}

/** The key as the calls of a view see it. */
export const asSeen = (keySet: KeySet, key: PooledKey, view: View | undefined): PooledKey =>
  seenBy(keySet, view, key) ?? key

const byPosition = Order.mapInput(Order.number, (key: PooledKey) => key.position)

/** The key of an id and the others of its quota group. */
export const groupOf = (keySet: KeySet, id: string): ReadonlyArray<PooledKey> => {
  const key = get(keySet, id)
  if (key?.key.quotaGroup === undefined) return key === undefined ? [] : [key]
  return Array.filterMap(slotsOf(keySet, key.key.quotaGroup), (slot) =>
    Option.fromNullable(Rankings.get(keySet.all, slot))
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
    all: Rankings.put(keySet.all, added, keySet.sequence),
    models: ModelRankings.add(keySet.models, added, keySet.sequence),
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
    all: Rankings.remove(keySet.all, key.slot),
    models: ModelRankings.remove(keySet.models, key.slot),
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

export const modify = (
  keySet: KeySet,
  id: string,
  f: (key: PooledKey) => PooledKey,
  changeSeen: ChangeSeen = ModelRankings.unchanged
): KeySet => {
  const key = get(keySet, id)
  return key === undefined ? keySet : put(keySet, f(key), changeSeen)
}

/** Makes a key ready for every model. */
export const enable = (keySet: KeySet, id: string): KeySet => modify(keySet, id, PooledKeys.enable, PooledKeys.enable)

export const disable = (keySet: KeySet, id: string): KeySet => modify(keySet, id, PooledKeys.disable)

/** Starts a cooldown of a key, for the model of a view alone. */
export const rest = (keySet: KeySet, id: string, duration: number, reason: Reason, view?: View): KeySet => {
  const until = keySet.now + PooledKeys.boundedBy(keySet.cooldown, duration)
  const rested = (key: PooledKey): PooledKey => PooledKeys.rest(key, until, reason)
  return view === undefined
    ? modify(keySet, id, rested)
    : modify(ensureRanking(keySet, view), id, (key) => key, ModelRankings.changeOf(view, rested))
}

export const reweight = (keySet: KeySet, id: string, weight: number): KeySet => {
  const seed = RandomDraw.next(keySet.seed)
  return modify(update(keySet, { seed }), id, (key) =>
    PooledKeys.reweight(key, weight, keySet.virtualTime, RandomDraw.exponential(seed))
  )
}
