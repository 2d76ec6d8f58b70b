/** How full a model is, in the words of the simple API: one kind of limit a model, and its keys by their ids. */
import type { KeyStatus } from "../../keyPool/model.js"
import type { Status } from "../../call/model.js"

/** Calls at once, or calls a second. */
export type Unit = "concurrency" | "qps"

/** The field is called `key`, and what stands in it is an id: secrets are nobody's business. */
export interface KeyShare {
  readonly key: string
  readonly weight: number
}

export interface KeyLoad extends KeyShare {
  readonly current: number
}

/** `max` is null where nothing is limited. */
export interface ModelLoad {
  readonly type: Unit
  readonly current: number
  readonly max: number | null
  readonly weight: number
  readonly keys: ReadonlyArray<KeyLoad>
}

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, each) => total + each, 0)

/** A limit that every key has, all of them together; undefined where one has none. */
const total = (keys: ReadonlyArray<KeyStatus>, limitOf: (key: KeyStatus) => number | undefined): number | undefined => {
  const limits = keys.map(limitOf).filter((limit) => limit !== undefined)
  return keys.length > 0 && limits.length === keys.length ? sum(limits) : undefined
}

interface Measure {
  readonly type: Unit
  readonly current: number
  readonly max: number | null
  /** What a key is at, and the most it may be at where it has a limit of its own. */
  readonly ofKey: (key: KeyStatus) => number
  readonly maxOfKey: (key: KeyStatus) => number | null
}

const inFlight = (key: KeyStatus): number => key.inFlight

const recentStarts = (key: KeyStatus): number => key.recentStarts ?? 0

/**
 * A model is measured by what limits it: the calls that its keys may have at once, where all of them have such a limit; else the
 * calls that they may start within a second, where all have that; else the model's own limit of calls at once, or its bucket,
 * whose `max` is what it holds and whose `current` is what is missing from it.
 */
const measureOf = ({ keys: { keys }, limiter }: Status): Measure => {
  const running = sum(keys.map(inFlight))
  const { available, capacity, concurrency } = limiter
  const concurrent = total(keys, ({ maxConcurrency }) => maxConcurrency)
  if (concurrent !== undefined) {
    return {
      type: "concurrency",
      current: running,
      max: Math.min(concurrent, concurrency?.limit ?? Infinity),
      ofKey: inFlight,
      maxOfKey: ({ maxConcurrency }) => maxConcurrency ?? null
    }
  }
  const perSecond = total(keys, ({ requestsPerSecond }) => requestsPerSecond)
  if (perSecond !== undefined) {
    return {
      type: "qps",
      current: sum(keys.map(recentStarts)),
      max: perSecond,
      ofKey: recentStarts,
      maxOfKey: ({ requestsPerSecond }) => requestsPerSecond ?? null
    }
  }
  const shared = { ofKey: inFlight, maxOfKey: () => null }
  if (concurrency !== undefined) {
    return { type: "concurrency", current: concurrency.inFlight, max: concurrency.limit, ...shared }
  }
  return Number.isFinite(capacity)
    ? {
        type: "qps",
        current: Math.min(capacity, Math.max(0, Math.ceil(capacity - available))),
        max: capacity,
        ...shared
      }
    : { type: "concurrency", current: running, max: null, ...shared }
}

export const ofModel = (status: Status, weight: number): ModelLoad => {
  const { current, max, ofKey, type } = measureOf(status)
  const keys = status.keys.keys.map((key) => ({ key: key.id, weight: key.weight, current: ofKey(key) }))
  return { type, current, max, weight, keys }
}

/** One key of a model. Where it has no limit of its own it may use all of the model's. */
export const ofKey = (status: Status, id: string): (KeyLoad & { readonly max: number | null }) | undefined => {
  const key = status.keys.keys.find((key) => key.id === id)
  if (key === undefined) return undefined
  const measure = measureOf(status)
  return { key: id, weight: key.weight, current: measure.ofKey(key), max: measure.maxOfKey(key) ?? measure.max }
}

/** What the models of a unit are at, and may be at. */
const within = (loads: ReadonlyArray<ModelLoad>, unit: Unit) => {
  const limited = loads.flatMap(({ current, max, type }) => (type === unit && max !== null ? [{ current, max }] : []))
  return {
    count: limited.length,
    current: sum(limited.map(({ current }) => current)),
    max: sum(limited.map(({ max }) => max))
  }
}

export const totalMax = (loads: ReadonlyArray<ModelLoad>): Readonly<Record<Unit, number>> => ({
  concurrency: within(loads, "concurrency").max,
  qps: within(loads, "qps").max
})

/**
 * How full all of it is, in per cent with two places. Calls at once and calls a second cannot be added: each is a share of its
 * own, and where there are both, the answer is their mean by the number of models.
 */
export const percent = (loads: ReadonlyArray<ModelLoad>): number => {
  const shares = [within(loads, "concurrency"), within(loads, "qps")].filter(({ max }) => max > 0)
  const models = sum(shares.map(({ count }) => count))
  if (models === 0) return 0
  const share = sum(shares.map(({ count, current, max }) => (current / max) * (count / models)))
  return Math.round(share * 10_000) / 100
}
