/**
 * What Redis has of the keys, as far as this process knows: which changes of the pool it has not received, and how the changes of
 * other processes apply to the pool.
 *
 * A subject is a key, with what is known of it with every model, or a key with one model.
 */
import type { Clock } from "effect"
import type { SharedState } from "../../internal/waitQueue.js"
import type { Health, KeyReservation, PooledKey, View } from "../../keyPool/key.js"
import * as PooledKeys from "../../keyPool/key.js"
import type { KeySet } from "../../keyPool/keySet.js"
import * as KeySets from "../../keyPool/keySet.js"
import type { PoolState } from "../../keyPool/state.js"
import * as Pool from "../../keyPool/state.js"
import type * as Exchange from "./exchange.js"
import type { Weight } from "./record.js"
import * as Records from "./record.js"

/** A call in flight. */
export interface Held {
  readonly id: string
  readonly lease: string
  /** When it started, as Redis wrote it. */
  start: string | undefined
  /** The subjects that it tests, with the epoch of the record for which it does. */
  tests: ReadonlyArray<{ readonly subject: string; readonly epoch: number }>
  /** Whether Redis may know it. */
  isSent: boolean
  /** Whether the call has the key, so that its lease is renewed. */
  isConfirmed: boolean
  isAccepted: boolean
  isEnded: boolean
  isUsed: boolean
}

/** What Redis knows of a subject. */
interface Known {
  readonly version: number
  readonly epoch: number
  readonly health: Health
  readonly weight: number
  readonly byHand: Weight | undefined
  readonly configuredWeight: number
}

/** A record that is sent, in place of the one of a version. */
export interface Sent {
  readonly subject: string
  readonly replaces: number
  readonly text: string
  readonly isNewEpoch: boolean
  /** What Redis knows when it has the record. */
  readonly known: Omit<Known, "version">
}

const separator = "\u0000"

export const subjectOf = (id: string, view: View | undefined): string =>
  view === undefined ? id : `${id}${separator}${view.model}`

export type Replica = ReturnType<typeof make>

/** `onUnsent` is called when there is something to send, `onBlocked` when calls of other processes keep a key from being used. */
export const make = (
  state: SharedState<PoolState>,
  { onBlocked, onUnsent }: { readonly onBlocked: () => void; readonly onUnsent: () => void }
) => {
  let token: string | undefined
  /** The number of tokens that this process has known. */
  let tokens = 0
  let since = 0
  /** The time of Redis minus that of the pool; undefined before the first reply. */
  let offset: number | undefined
  /** Whether Redis has lost the leases of this process. */
  let isLost = false
  const known = new Map<string, Known>()
  const views = new Map<string, View>()
  /** The leases that Redis has, by key. */
  const registered = new Map<string, Set<Held>>()
  /** Subjects whose health or weight Redis does not know yet. */
  const dirty = new Set<string>()
  /** Subjects that calls of other processes keep from being used. */
  const watched = new Set<string>()

  const keySetOf = (): KeySet => state.unsafeGet().keySet

  const ids = (): ReadonlyArray<string> => KeySets.keys(keySetOf()).map(({ id }) => id)

  const changeKeys = (clock: Clock.Clock, f: (keySet: KeySet) => KeySet): void =>
    state.unsafeStep(clock, (state, now) => Pool.change(state, now, (keySet) => [undefined, f(keySet)]))

  const knownOf = (subject: string, weight = 1): Known => {
    const found = known.get(subject)
    if (found !== undefined) return found
    const added: Known = {
      version: 0,
      epoch: 0,
      health: PooledKeys.healthy,
      weight,
      byHand: undefined,
      configuredWeight: weight
    }
    known.set(subject, added)
    return added
  }

  /** The key and the view of a subject; undefined where this process does not have them. */
  const partsOf = (keySet: KeySet, subject: string): { key: PooledKey; view: View | undefined } | undefined => {
    const [id = subject, model] = subject.split(separator)
    const view = model === undefined ? undefined : views.get(model)
    const key = model !== undefined && view === undefined ? undefined : KeySets.get(keySet, id)
    return key && { key, view }
  }

  /** The pool forgets what no longer affects the calls of a model. */
  const current = (health: Health, { now }: KeySet, view: View | undefined): Health =>
    view === undefined ? health : PooledKeys.currentHealth(health, now)

  const healthOf = (keySet: KeySet, key: PooledKey, view: View | undefined): Health =>
    current(KeySets.healthOf(keySet, key, view), keySet, view)

  const isChanged = (keySet: KeySet, key: PooledKey, view: View | undefined): boolean => {
    const before = knownOf(subjectOf(key.id, view), key.weight)
    return (
      (view === undefined && key.weight !== before.weight) ||
      !Records.isSame(healthOf(keySet, key, view), current(before.health, keySet, view))
    )
  }

  /** Notes what a change of a key has changed: of it and its quota group, with every model and with those of the views. */
  const markChanged = (id: string, concerned: Iterable<View>): void => {
    const keySet = keySetOf()
    for (const key of KeySets.groupOf(keySet, id)) {
      if (isChanged(keySet, key, undefined)) dirty.add(key.id)
      for (const view of concerned) if (isChanged(keySet, key, view)) dirty.add(subjectOf(key.id, view))
    }
    if (dirty.size > 0) onUnsent()
  }

  const recordOf = (subject: string): Sent | undefined => {
    const keySet = keySetOf()
    const parts = partsOf(keySet, subject)
    if (parts === undefined) return undefined
    const { key, view } = parts
    const before = knownOf(subject, key.weight)
    const health = healthOf(keySet, key, view)
    const isNewEpoch = Records.startsEpoch(health, current(before.health, keySet, view))
    const epoch = isNewEpoch ? before.epoch + 1 : before.epoch
    const { configuredWeight } = before
    const weight = view === undefined ? key.weight : before.weight
    const byHand = weight === before.weight ? before.byHand : { value: weight, configured: configuredWeight }
    return {
      subject,
      replaces: before.version,
      text: Records.encode(health, epoch, byHand, offset ?? 0),
      isNewEpoch,
      known: { epoch, health, weight, byHand, configuredWeight }
    }
  }

  /** Redis has lost its data: everything that this process knows is new to it. */
  const forgetRedis = (): void => {
    const weights = Array.from(known, ([subject, { configuredWeight }]) => [subject, configuredWeight] as const)
    known.clear()
    for (const [subject, weight] of weights) knownOf(subject, weight)
    registered.clear()
    for (const id of ids()) markChanged(id, views.values())
    isLost = true
    onUnsent()
  }

  /** Applies a record that another process has written. */
  const heard = (keySet: KeySet, subject: string, version: number, text: string | null): KeySet => {
    const parts = partsOf(keySet, subject)
    if (parts === undefined) return keySet
    const { key, view } = parts
    const before = knownOf(subject, key.weight)
    if (before.version === version) return keySet
    const record = Records.decode(text)
    if (record === undefined) {
      known.set(subject, { ...before, version, health: PooledKeys.healthy })
      return keySet
    }
    const own = healthOf(keySet, key, view)
    const isNewEpoch = record.epoch > before.epoch
    const theirs = Records.healthOf(record, own, isNewEpoch, keySet.sequence, offset ?? 0)
    const { configuredWeight } = before
    const byHand = record.weight
    const weight = byHand?.configured === configuredWeight ? byHand.value : configuredWeight
    known.set(subject, { ...before, version, epoch: record.epoch, health: theirs, weight, byHand })
    const health = Records.merge(own, current(before.health, keySet, view), theirs, isNewEpoch)
    const next = KeySets.modifySeen(keySet, key.id, view, (key) =>
      PooledKeys.withOthers(
        PooledKeys.withHealth(key, health),
        isNewEpoch ? { ...key.others, tests: 0 } : key.others,
        keySet.now
      )
    )
    return view !== undefined || key.weight !== before.weight || key.weight === weight
      ? next
      : KeySets.reweight(next, key.id, weight)
  }

  /** Applies the calls of all processes with a subject. */
  const counted = (keySet: KeySet, subject: string, [all, testing]: readonly [number, number]): KeySet => {
    const parts = partsOf(keySet, subject)
    if (parts === undefined) {
      watched.delete(subject)
      return keySet
    }
    const { key, view } = parts
    const own = registered.get(key.id)
    let tests = testing
    if (testing > 0 && own !== undefined) {
      const { epoch } = knownOf(subject)
      for (const lease of own) {
        if (!lease.isAccepted && lease.tests.some((test) => test.subject === subject && test.epoch === epoch)) tests--
      }
    }
    const before = KeySets.asSeen(keySet, key, view)
    const others = {
      inFlight: view === undefined ? Math.max(0, all - (own?.size ?? 0)) : before.others.inFlight,
      tests: Math.max(0, tests),
      pacedUntil: before.others.pacedUntil
    }
    const isKnown = view === undefined || KeySets.healthOf(keySet, key, view) !== PooledKeys.healthy
    const next =
      !isKnown || (others.inFlight === before.others.inFlight && others.tests === before.others.tests)
        ? keySet
        : KeySets.modifySeen(keySet, key.id, view, (key) => PooledKeys.withOthers(key, others, keySet.now))
    const { availability } = KeySets.asSeen(next, KeySets.get(next, key.id) ?? key, view)
    const isBlocked =
      (others.inFlight > 0 && availability === "capped") ||
      (others.tests > 0 && (availability === "probing" || availability === "admitting"))
    if (isBlocked) {
      watched.add(subject)
      onBlocked()
    } else watched.delete(subject)
    return next
  }

  for (const { id, weight } of KeySets.keys(keySetOf())) knownOf(id, weight)

  return {
    keySetOf,
    ids,
    changeKeys,
    watched: watched as ReadonlySet<string>,
    stopWatching: (): void => watched.clear(),
    hasUnsent: (): boolean => dirty.size > 0,
    version: (subject: string): number => knownOf(subject).version,
    epoch: (subject: string): number => knownOf(subject).epoch,
    /** What a request says of this replica. */
    position: () => ({ token: token ?? "", tokens, since }),
    /** Notes that a call with a reservation has changed its key. */
    changedBy: ({ key, view }: KeyReservation): void => markChanged(key.id, view === undefined ? [] : [view]),
    /** Notes that a key was added or changed by hand. */
    changed: (id: string): void => {
      if (!known.has(id)) {
        knownOf(id, KeySets.get(keySetOf(), id)?.weight)
        since = 0
      }
      markChanged(id, views.values())
    },
    /** Follows what other processes know of the keys with the model of a view. */
    addView: (view: View): void => {
      if (!views.has(view.model)) since = 0
      views.set(view.model, view)
    },
    /** Takes the records that Redis does not know yet; none before the first reply, which tells the time of Redis. */
    takeRecords: (): ReadonlyArray<Sent> => {
      if (offset === undefined) return []
      const records = [...dirty].flatMap((subject) => recordOf(subject) ?? [])
      dirty.clear()
      return records
    },
    /** Puts back records that could not be sent. */
    returnRecords: (records: ReadonlyArray<Sent>): void => {
      for (const { subject } of records) dirty.add(subject)
    },
    /** Notes that Redis has a lease. */
    register: (lease: Held): void => {
      const present = registered.get(lease.id)
      if (present === undefined) registered.set(lease.id, new Set([lease]))
      else present.add(lease)
    },
    unregister: (lease: Held): void => {
      registered.get(lease.id)?.delete(lease)
    },
    /** Whether Redis has lost the leases of this process. */
    isLost: (): boolean => isLost,
    /** Notes that the leases are sent again. */
    restored: (): void => {
      isLost = false
    },
    /** Applies a reply to a request with these subjects and records. */
    learn: (
      clock: Clock.Clock,
      [now, , nextToken, version, , replaced, news, counts]: Exchange.Reply,
      subjects: ReadonlyArray<string>,
      records: ReadonlyArray<Sent>
    ): void => {
      offset = now - state.timeOf(clock)
      if (token !== nextToken) {
        if (token !== undefined) forgetRedis()
        token = nextToken
        tokens++
      }
      since = version
      for (const [index, version] of replaced) {
        const record = records.find(({ subject }) => subject === subjects[index - 1])
        if (record !== undefined) known.set(record.subject, { ...record.known, version })
      }
      changeKeys(clock, (before) => {
        let keySet = before
        for (const [subject, version, text] of news) keySet = heard(keySet, subject, version, text)
        for (const [index, subject] of subjects.entries()) keySet = counted(keySet, subject, counts[index] ?? [0, 0])
        return keySet
      })
      for (const subject of [...news.map(([subject]) => subject), ...records.map(({ subject }) => subject)]) {
        const parts = partsOf(keySetOf(), subject)
        if (parts !== undefined) markChanged(parts.key.id, parts.view === undefined ? [] : [parts.view])
      }
    }
  }
}
