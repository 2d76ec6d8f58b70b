/**
 * Calls and usage of the last hour in bounded memory: in buckets of ten seconds for all models, of minutes for each model.
 * Nothing runs in the background: expired buckets are removed when a new one is added, and omitted until then.
 */
import * as Costs from "../../vocabulary/cost.js"
import * as Sketch from "../../vocabulary/quantileSketch.js"
import { refusedModel } from "../http/model.js"
import { rules } from "./alertRules.js"
import type { Bucket, Percentiles, Recent, Times } from "./snapshot.js"

/** A finished call. Times are in milliseconds. */
export interface Call {
  readonly model: string
  readonly outcome: string
  readonly latency: number
  readonly timeToFirstEvent: number | undefined
}

/** The usage of an attempt. */
export interface Consumption {
  readonly model: string
  readonly inputTokens: number
  readonly outputTokens: number
  /** In dollars; absent if the price is not known. */
  readonly cost: number | undefined
}

/** What a model has counted. */
export interface Counts {
  readonly inFlight: number
  readonly requests: number
  readonly failed: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cost: number
  readonly unpricedTokens: number
  /** Requests in each of the last 60 minutes, the current one last. */
  readonly minutes: ReadonlyArray<number>
  readonly recent: Recent
}

/** The figures of a model. */
export interface Totals extends Counts, Times {}

/** A mutable record. `now` is in milliseconds since the epoch. */
export interface Series {
  readonly unsafeRecordStart: (model: string) => void
  readonly unsafeRecordEnd: (call: Call, now: number) => void
  readonly unsafeRecordUsage: (consumption: Consumption, now: number) => void
  readonly unsafeInFlight: () => number
  /** The buckets that may have changed since a time, the oldest first. */
  readonly unsafeBuckets: (since: number, now: number) => ReadonlyArray<Bucket>
  readonly unsafeCounts: (model: string, now: number) => Counts
  readonly unsafeTotals: (model: string, now: number) => Totals
  /** The percentiles of the last `minutes`. */
  readonly unsafeTimes: (minutes: number, now: number) => Times
  /** What the percentiles are made of, to merge them with those of other processes. */
  readonly unsafeDistributions: (since: number, windows: ReadonlyArray<number>, now: number) => Distributions
}

/** The distributions of a set of calls, in milliseconds. */
export interface Distribution {
  readonly latency: Sketch.QuantileSketch
  readonly firstEvent: Sketch.QuantileSketch
}

/** By the starts of buckets, the lengths of windows in minutes, and the ids of models. */
export interface Distributions {
  readonly buckets: ReadonlyArray<readonly [number, Distribution]>
  readonly windows: ReadonlyArray<readonly [number, Distribution]>
  readonly models: ReadonlyArray<readonly [string, Distribution]>
}

/** The length of a bucket, in milliseconds. */
export const width = 10_000

const minute = 60_000

const hour = 60 * minute

/** Whether calls with this outcome count as failed. */
export const isFailure = (outcome: string): boolean => outcome !== "ok" && outcome !== "interrupted"

/** Whether the times of a call count: the time until a client disconnected, or until a refusal, is not a latency of the model. */
export const isMeasured = ({ model, outcome }: Call): boolean => outcome !== "interrupted" && model !== refusedModel

interface Recorders {
  readonly latency: Sketch.Recorder
  readonly firstEvent: Sketch.Recorder
}

const recorders = (): Recorders => ({
  latency: Sketch.unsafeMake(),
  firstEvent: Sketch.unsafeMake()
})

const amounts = () => ({ inputTokens: 0, outputTokens: 0, cost: 0, unpricedTokens: 0 })

type Amounts = ReturnType<typeof amounts>

/** The last `length` time slots of `step` milliseconds, without empty ones. */
const ring = <A>(step: number, length: number, make: () => A) => {
  const slots = new Map<number, A>()
  const oldest = (now: number): number => Math.floor(now / step) - length + 1
  return {
    at: (now: number): A => {
      const number = Math.floor(now / step)
      const existing = slots.get(number)
      if (existing !== undefined) return existing
      const created = make()
      slots.set(number, created)
      for (const other of slots.keys()) if (other < oldest(now)) slots.delete(other)
      return created
    },
    /** The slots that end after `since`, with their start times. */
    since: (since: number, now: number): ReadonlyArray<readonly [start: number, value: A]> => {
      const first = Math.max(oldest(now), Math.floor(since / step))
      return [...slots]
        .filter(([number]) => number >= first)
        .sort(([a], [b]) => a - b)
        .map(([number, value]) => [number * step, value])
    }
  }
}

const percentiles = (sketch: Sketch.QuantileSketch): Percentiles | undefined => {
  if (sketch.count === 0) return undefined
  const { p50, p95, p99 } = Sketch.summary(sketch)
  return { p50, p95, p99 }
}

/** The percentiles of distributions together. */
export const timesOfDistributions = (all: ReadonlyArray<Distribution>): Times => {
  const latency = percentiles(Sketch.mergeAll(all.map((each) => each.latency)))
  const firstEvent = percentiles(Sketch.mergeAll(all.map((each) => each.firstEvent)))
  return { ...(latency === undefined ? {} : { latency }), ...(firstEvent === undefined ? {} : { firstEvent }) }
}

const distributionOf = (all: ReadonlyArray<Recorders>): Distribution => ({
  latency: Sketch.mergeAll(all.map((each) => each.latency.unsafeSnapshot())),
  firstEvent: Sketch.mergeAll(all.map((each) => each.firstEvent.unsafeSnapshot()))
})

const timesOf = (all: ReadonlyArray<Recorders>): Times => timesOfDistributions([distributionOf(all)])

const add = (to: Amounts, { cost, inputTokens, outputTokens }: Consumption): void => {
  to.inputTokens += inputTokens
  to.outputTokens += outputTokens
  if (cost === undefined) to.unpricedTokens += inputTokens + outputTokens
  else to.cost = Costs.addDollars(to.cost, cost)
}

const measure = (to: Recorders, { latency, timeToFirstEvent }: Call): void => {
  to.latency.unsafeRecord(latency)
  if (timeToFirstEvent !== undefined) to.firstEvent.unsafeRecord(timeToFirstEvent)
}

const ofModel = () => ({
  inFlight: 0,
  minutes: ring(minute, 60, () => ({ ...amounts(), requests: 0, failed: 0, interrupted: 0, measured: 0, slow: 0 })),
  // Percentiles take more memory than counts, so their slots are longer.
  times: ring(10 * minute, 6, recorders)
})

export const unsafeMake = (): Series => {
  const all = ring(width, hour / width, () => ({ ...amounts(), ...recorders(), outcomes: new Map<string, number>() }))
  const minutes = ring(minute, 60, recorders)
  const models = new Map<string, ReturnType<typeof ofModel>>()
  let inFlight = 0

  const modelOf = (id: string) => {
    const existing = models.get(id)
    if (existing !== undefined) return existing
    const created = ofModel()
    models.set(id, created)
    return created
  }

  /** The recorders of the last `length` minutes. */
  const within = (length: number, now: number): ReadonlyArray<Recorders> =>
    minutes.since(now - length * minute + 1, now).map(([, times]) => times)

  const recentOf = (model: ReturnType<typeof ofModel> | undefined, now: number): Recent => {
    const slots = (length: number) =>
      (model?.minutes.since(now - length * minute + 1, now) ?? []).map(([, counts]) => counts)
    const recent = { ended: 0, failed: 0, measured: 0, slow: 0 }
    for (const { failed, interrupted, requests } of slots(rules.LlmErrorShare.window)) {
      recent.ended += requests - interrupted
      recent.failed += failed
    }
    for (const { measured, slow } of slots(rules.LlmSlow.window)) {
      recent.measured += measured
      recent.slow += slow
    }
    return recent
  }

  const countsOf = (id: string, now: number): Counts => {
    const model = models.get(id)
    const slots = new Map(model?.minutes.since(0, now))
    const last = Math.floor(now / minute) * minute
    const totals = { requests: 0, failed: 0, inputTokens: 0, outputTokens: 0, cost: 0, unpricedTokens: 0 }
    for (const each of slots.values()) {
      totals.requests += each.requests
      totals.failed += each.failed
      totals.inputTokens += each.inputTokens
      totals.outputTokens += each.outputTokens
      totals.cost = Costs.addDollars(totals.cost, each.cost)
      totals.unpricedTokens += each.unpricedTokens
    }
    return {
      inFlight: model?.inFlight ?? 0,
      ...totals,
      minutes: Array.from({ length: 60 }, (_, index) => slots.get(last - (59 - index) * minute)?.requests ?? 0),
      recent: recentOf(model, now)
    }
  }

  return {
    unsafeRecordStart: (model) => {
      inFlight += 1
      modelOf(model).inFlight += 1
    },
    unsafeRecordEnd: (call, now) => {
      const model = modelOf(call.model)
      const { outcomes, ...times } = all.at(now)
      const { outcome } = call
      inFlight -= 1
      model.inFlight -= 1
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      const inMinute = model.minutes.at(now)
      inMinute.requests += 1
      if (isFailure(outcome)) inMinute.failed += 1
      if (outcome === "interrupted") inMinute.interrupted += 1
      if (!isMeasured(call)) return
      inMinute.measured += 1
      if (call.latency > rules.LlmSlow.threshold * 1000) inMinute.slow += 1
      measure(times, call)
      measure(minutes.at(now), call)
      measure(model.times.at(now), call)
    },
    unsafeRecordUsage: (consumption, now) => {
      add(all.at(now), consumption)
      add(modelOf(consumption.model).minutes.at(now), consumption)
    },
    unsafeInFlight: () => inFlight,
    unsafeBuckets: (since, now) =>
      all.since(since, now).map(([at, bucket]) => ({
        at,
        outcomes: Object.fromEntries(bucket.outcomes),
        inputTokens: bucket.inputTokens,
        outputTokens: bucket.outputTokens,
        cost: bucket.cost,
        unpricedTokens: bucket.unpricedTokens,
        ...timesOf([bucket])
      })),
    unsafeCounts: countsOf,
    unsafeTotals: (id, now) => ({
      ...countsOf(id, now),
      ...timesOf((models.get(id)?.times.since(0, now) ?? []).map(([, times]) => times))
    }),
    unsafeTimes: (length, now) => timesOf(within(length, now)),
    unsafeDistributions: (since, windows, now) => ({
      buckets: all.since(since, now).map(([at, bucket]) => [at, distributionOf([bucket])]),
      windows: windows.map((length) => [length, distributionOf(within(length, now))]),
      models: Array.from(models, ([id, { times }]) => [id, distributionOf(times.since(0, now).map(([, each]) => each))])
    })
  }
}
