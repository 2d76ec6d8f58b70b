/**
 * The keys of a file's models. A key is the same key in each entry of an endpoint that lists it: models that have a key in common use
 * one pool, so that its limits hold for them together and a refusal is found once.
 */
import { Duration, Effect, Option } from "effect"
import { KeyPoolFactory } from "../keyPool/factory.js"
import * as KeyPool from "../keyPool/KeyPool.js"
import type { InvalidPoolError, KeyStatus } from "../keyPool/model.js"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import * as ApiKeys from "../vocabulary/ApiKey.js"
import { idOf } from "./catalogue.js"
import { sameValue } from "./equal.js"
import type { ModelEntry } from "./fileModel.js"

/** A model and the base URL to which its keys are sent. */
export interface Subject {
  readonly entry: ModelEntry
  readonly baseUrl: string
}

/** The pool of models that have keys in common, with the keys that the file lists. */
interface SharedPool {
  readonly baseUrl: string
  readonly keys: ReadonlyArray<ApiKey>
  readonly pool: KeyPool.Service
}

/** The keys of one model. */
export interface ModelKeys {
  readonly shared: SharedPool
  /** The ids of its keys; undefined when it uses all of the shared pool. */
  readonly ids: ReadonlySet<string> | undefined
  /** The pool as its calls see it. */
  readonly pool: KeyPool.Service
}

/** The keys of all models by their ids, and the effect that changes the pools that they take over. */
export interface Plan {
  readonly byModel: ReadonlyMap<string, ModelKeys>
  readonly commit: Effect.Effect<void>
}

// -------------------------------------------------------------------------------------
// models with common keys
// -------------------------------------------------------------------------------------

interface Group {
  readonly baseUrl: string
  readonly keys: ReadonlyArray<ApiKey>
  readonly entries: ReadonlyArray<ModelEntry>
}

const sameSecret =
  ({ value }: ApiKey) =>
  (other: ApiKey): boolean =>
    sameValue(value, other.value)

const lowest = (first: number | undefined, second: number | undefined): number | undefined =>
  first === undefined ? second : second === undefined ? first : Math.min(first, second)

/** A key that the file lists twice: with the first weight, and the lowest of each limit. An id that was given replaces one that was not. */
const merged = (first: ApiKey, second: ApiKey): ApiKey => {
  const maxConcurrency = lowest(first.maxConcurrency, second.maxConcurrency)
  const requestsPerSecond = lowest(first.requestsPerSecond, second.requestsPerSecond)
  const quotaGroup = first.quotaGroup ?? second.quotaGroup
  return {
    ...first,
    id: first.id === ApiKeys.fingerprint(first.value) ? second.id : first.id,
    ...(maxConcurrency === undefined ? {} : { maxConcurrency }),
    ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
    ...(quotaGroup === undefined ? {} : { quotaGroup })
  }
}

const withKey = (keys: ReadonlyArray<ApiKey>, key: ApiKey): ReadonlyArray<ApiKey> => {
  const isSame = sameSecret(key)
  return keys.some(isSame) ? keys.map((other) => (isSame(other) ? merged(other, key) : other)) : [...keys, key]
}

const withEntry = (groups: ReadonlyArray<Group>, { baseUrl, entry }: Subject): ReadonlyArray<Group> => {
  const isJoined = (group: Group): boolean =>
    group.baseUrl === baseUrl && group.keys.some((key) => entry.keys.some(sameSecret(key)))
  const joined = groups.filter(isJoined)
  return [
    ...groups.filter((group) => !isJoined(group)),
    {
      baseUrl,
      keys: [...joined.flatMap(({ keys }) => keys), ...entry.keys].reduce(withKey, []),
      entries: [...joined.flatMap(({ entries }) => entries), entry]
    }
  ]
}

/** Entries can give different keys the same id. */
const withOwnIds = (keys: ReadonlyArray<ApiKey>): ReadonlyArray<ApiKey> => {
  const taken = new Set<string>()
  return keys.map((key) => {
    let { id } = key
    for (let copy = 2; taken.has(id); copy++) id = `${key.id}-${copy}`
    taken.add(id)
    return { ...key, id }
  })
}

// -------------------------------------------------------------------------------------
// changes of a pool
// -------------------------------------------------------------------------------------

/** The remaining cooldown of a key; infinite when the key was disabled for good. */
const remainingCooldown = ({ state }: KeyStatus): Option.Option<Duration.Duration> =>
  state._tag === "Cooling" || state._tag === "Disabled" ? Option.some(state.remaining) : Option.none()

/** Copies cooldowns and disabled states from one pool to another. */
const carryCooldowns = (from: KeyPool.Service, to: KeyPool.Service, ids: ReadonlySet<string>): Effect.Effect<void> =>
  Effect.flatMap(from.status, ({ keys }) =>
    Effect.forEach(
      keys.filter(({ id }) => ids.has(id)),
      (key) =>
        Option.match(remainingCooldown(key), {
          onNone: () => Effect.void,
          onSome: (remaining) =>
            Duration.isFinite(remaining) ? to.rest(key.id, remaining) : Effect.asVoid(to.disable(key.id))
        }),
      { discard: true }
    )
  )

/**
 * Changes the keys of a pool. The keys have been checked, so a refusal is a defect. Keys to add are compared with the pool, not
 * with `before`, because keys can have been added or removed by hand.
 */
const updateKeys = (pool: KeyPool.Service, before: ReadonlyArray<ApiKey>, after: ReadonlyArray<ApiKey>) =>
  Effect.flatMap(pool.keys, (keys) => {
    const [previous, present, next] = [byId(before), byId(keys), byId(after)]
    const added = after.filter(({ id }) => !present.has(id))
    const reweighted = after.filter(({ id, weight }) => present.has(id) && previous.get(id)?.weight !== weight)
    const removed = before.filter(({ id }) => !next.has(id))
    // New keys first, because a pool without keys would refuse calls meanwhile.
    return Effect.forEach(added, pool.add, { discard: true }).pipe(
      Effect.zipRight(Effect.forEach(reweighted, ({ id, weight }) => pool.reweight(id, weight), { discard: true })),
      Effect.zipRight(Effect.forEach(removed, ({ id }) => pool.remove(id), { discard: true })),
      // The reader of the file has checked the keys, so a refusal is a defect.
      Effect.orDie
    )
  })

const byId = (keys: ReadonlyArray<ApiKey>): ReadonlyMap<string, ApiKey> => new Map(keys.map((key) => [key.id, key]))

/** The ids of the keys that have the same secret before and after. */
const keptIds = (before: ReadonlyArray<ApiKey>, after: ReadonlyArray<ApiKey>): ReadonlySet<string> => {
  const previous = byId(before)
  return new Set(after.filter(({ id, value }) => sameValue(previous.get(id)?.value, value)).map(({ id }) => id))
}

/** Whether a pool can get these keys: it can add, remove and reweight keys, but not change the secret or the limits of one. */
const canTakeOver = (before: ReadonlyArray<ApiKey>, after: ReadonlyArray<ApiKey>): boolean => {
  const previous = byId(before)
  return after.every((key) => {
    const kept = previous.get(key.id)
    return kept === undefined || sameValue({ ...kept, weight: key.weight }, key)
  })
}

// -------------------------------------------------------------------------------------
// plans
// -------------------------------------------------------------------------------------

/** The pool as the calls of a model see it; undefined for a pool that several models cannot share. */
const viewOf = (shared: SharedPool, entry: ModelEntry, previous: ModelKeys | undefined): ModelKeys | undefined => {
  const { keys, pool } = shared
  const own = keys.filter((key) => entry.keys.some(sameSecret(key)))
  const ids = own.length === keys.length ? undefined : new Set(own.map(({ id }) => id))
  const affinity = entry.affinity === true
  if (previous?.shared.pool === pool && sameIds(previous.ids, ids) && previous.pool.usesAffinity === affinity)
    return { ...previous, shared }
  const name = idOf(entry)
  const view = pool.forModel?.(name, { name, affinity, ...(ids === undefined ? {} : { keys: ids }) })
  return view && { shared, ids, pool: view }
}

const sameIds = (first: ReadonlySet<string> | undefined, second: ReadonlySet<string> | undefined): boolean =>
  sameValue(first && [...first].sort(), second && [...second].sort())

/** The keys of one model with a pool of its own. */
const alone = (baseUrl: string, entry: ModelEntry): Group => ({ baseUrl, keys: entry.keys, entries: [entry] })

/**
 * Plans the keys of all models, reusing the previous pools when possible. Nothing changes until the plan is committed. Fails when the
 * keys of an entry are not valid.
 */
export const plan = (
  subjects: ReadonlyArray<Subject>,
  previous: ReadonlyMap<string, ModelKeys>
): Effect.Effect<Plan, InvalidPoolError> =>
  Effect.gen(function* () {
    const make = yield* KeyPoolFactory
    // A pool in memory reports faults before anything is changed.
    for (const { entry } of subjects) yield* KeyPool.make({ provider: idOf(entry), keys: entry.keys })
    const byModel = new Map<string, ModelKeys>()
    const commits: Array<Effect.Effect<void>> = []
    const taken = new Set<KeyPool.Service>()

    /** A pool of a model of the group that can get the keys of the group, and that no other group has taken. */
    const reusable = ({ baseUrl, entries }: Group, keys: ReadonlyArray<ApiKey>): SharedPool | undefined => {
      for (const entry of entries) {
        const shared = previous.get(idOf(entry))?.shared
        if (shared?.baseUrl !== baseUrl || taken.has(shared.pool) || !canTakeOver(shared.keys, keys)) continue
        // A pool of several models has the affinity of each in its views.
        if (shared.pool.forModel !== undefined || shared.pool.usesAffinity === (entry.affinity === true)) return shared
      }
      return undefined
    }

    const planGroup = (group: Group): Effect.Effect<void, InvalidPoolError> =>
      Effect.gen(function* () {
        const { baseUrl, entries } = group
        const [first] = entries
        if (first === undefined) return
        const keys = withOwnIds(group.keys)
        const before = reusable(group, keys)
        // The name is unique, because shared state is stored under it.
        const pool = before?.pool ?? (yield* make({ provider: idOf(first), keys, affinity: first.affinity === true }))
        if (pool.forModel === undefined && entries.length > 1) {
          yield* Effect.forEach(entries, (entry) => planGroup(alone(baseUrl, entry)), { discard: true })
          return
        }
        taken.add(pool)
        const shared: SharedPool = { baseUrl, keys, pool }
        if (before !== undefined) commits.push(updateKeys(pool, before.keys, keys))
        for (const entry of entries) {
          const id = idOf(entry)
          const earlier = previous.get(id)
          const planned = viewOf(shared, entry, earlier) ?? { shared, ids: undefined, pool }
          byModel.set(id, planned)
          if (earlier !== undefined && earlier.shared.pool !== pool && earlier.shared.baseUrl === baseUrl) {
            commits.push(carryCooldowns(earlier.pool, planned.pool, keptIds(earlier.shared.keys, keys)))
          }
        }
      })

    yield* Effect.forEach(subjects.reduce(withEntry, []), planGroup, { discard: true })
    return { byModel, commit: Effect.all(commits, { discard: true }) }
  })
