/** The load of models and keys in the format of the simple API: one kind of limit for each model, and its keys by their ids. */
import type { KeyStatus } from "../../keyPool/model.js"
import type { Status } from "../../call/model.js"

/** Concurrent calls, or calls per second. */
export type Unit = "concurrency" | "qps"

/** `key` is the id of the key; its secret is never shown. */
export interface KeyShare {
  readonly key: string
  readonly weight: number
}

export interface KeyLoad extends KeyShare {
  readonly current: number
}

/** `max` is null for a model without limits. */
export interface ModelLoad {
  readonly type: Unit
  readonly current: number
  readonly max: number | null
  readonly weight: number
  readonly keys: ReadonlyArray<KeyLoad>
}

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, each) => total + each, 0)

/** The sum of a limit over all keys; undefined unless every key has it. */
const total = (keys: ReadonlyArray<KeyStatus>, limitOf: (key: KeyStatus) => number | undefined): number | undefined => {
  const limits = keys.map(limitOf).filter((limit) => limit !== undefined)
  return keys.length > 0 && limits.length === keys.length ? sum(limits) : undefined
}

interface Measure {
  readonly type: Unit
  readonly current: number
  readonly max: number | null
  /** The current load of a key, and its own limit. */
  readonly ofKey: (key: KeyStatus) => number
  readonly maxOfKey: (key: KeyStatus) => number | null
}

const inFlight = (key: KeyStatus): number => key.inFlight

const recentStarts = (key: KeyStatus): number => key.recentStarts ?? 0

/**
 * Measures a model by the first of these limits that applies: the concurrency of its keys, if every key has such a limit; the
 * calls per second of its keys, likewise; the concurrency of the model; its token bucket. The `max` of a bucket is its capacity, and
 * `current` is the capacity in use.
 */
const measureOf = ({ keys: { keys }, limiter }: Status): Measure => {
  const inFlightCalls = sum(keys.map(inFlight))
  const { available, capacity, concurrency } = limiter
  const concurrent = total(keys, ({ maxConcurrency }) => maxConcurrency)
  if (concurrent !== undefined) {
    return {
      type: "concurrency",
      current: inFlightCalls,
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
  const withoutKeyLimits = { ofKey: inFlight, maxOfKey: () => null }
  if (concurrency !== undefined) {
    return { type: "concurrency", current: concurrency.inFlight, max: concurrency.limit, ...withoutKeyLimits }
  }
  return Number.isFinite(capacity)
    ? {
        type: "qps",
        current: Math.min(capacity, Math.max(0, Math.ceil(capacity - available))),
        max: capacity,
        ...withoutKeyLimits
      }
    : { type: "concurrency", current: inFlightCalls, max: null, ...withoutKeyLimits }
}

export const ofModel = (status: Status, weight: number): ModelLoad => {
  const { current, max, ofKey, type } = measureOf(status)
  const keys = status.keys.keys.map((key) => ({ key: key.id, weight: key.weight, current: ofKey(key) }))
  return { type, current, max, weight, keys }
}

/** The load of one key, with the limit of the model where the key has none. */
export const ofKey = (status: Status, id: string): (KeyLoad & { readonly max: number | null }) | undefined => {
  const key = status.keys.keys.find((key) => key.id === id)
  if (key === undefined) return undefined
  const measure = measureOf(status)
  return { key: id, weight: key.weight, current: measure.ofKey(key), max: measure.maxOfKey(key) ?? measure.max }
}

/** The number, the load and the limit of all models that are measured by this unit. */
const totalsOf = (loads: ReadonlyArray<ModelLoad>, unit: Unit) => {
  const limited = loads.flatMap(({ current, max, type }) => (type === unit && max !== null ? [{ current, max }] : []))
  return {
    count: limited.length,
    current: sum(limited.map(({ current }) => current)),
    max: sum(limited.map(({ max }) => max))
  }
}

export const totalMax = (loads: ReadonlyArray<ModelLoad>): Readonly<Record<Unit, number>> => ({
  concurrency: totalsOf(loads, "concurrency").max,
  qps: totalsOf(loads, "qps").max
})

/**
 * The load of all models in per cent, rounded to two decimals. Concurrency and calls per second cannot be added, so the result is
 * the mean of both loads, weighted by their numbers of models.
 */
export const percent = (loads: ReadonlyArray<ModelLoad>): number => {
  const shares = [totalsOf(loads, "concurrency"), totalsOf(loads, "qps")].filter(({ max }) => max > 0)
  const models = sum(shares.map(({ count }) => count))
  if (models === 0) return 0
  const share = sum(shares.map(({ count, current, max }) => (current / max) * (count / models)))
  return Math.round(share * 10_000) / 100
}
