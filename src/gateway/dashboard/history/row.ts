/**
 * A row of the history: the calls and the usage of one model within one time slot. Rows of the same model and slot add up, so a row can
 * come in parts: of several workers, or before and after a restart.
 *
 * Distributions are those of `QuantileSketch` with five of its buckets in one, which has a relative error of at most 5 % and takes a
 * line of some dozen bytes.
 */
import * as Costs from "../../../vocabulary/cost.js"
import * as Sketch from "../../../vocabulary/quantileSketch.js"
import * as Json from "../../../wire/json.js"

/** The index of the first bucket, and the counts of it and of those that follow. Empty without values. */
export type Histogram = ReadonlyArray<number>

export interface Figures {
  /** Calls by how they ended. */
  readonly outcomes: Readonly<Record<string, number>>
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cost: number
  readonly unpricedTokens: number
  /** In milliseconds. */
  readonly latency: Histogram
  readonly firstEvent: Histogram
}

export interface Row extends Figures {
  /** The start of the slot. */
  readonly at: number
  /** The length of the slot, in minutes. */
  readonly minutes: number
  readonly model: string
}

// -------------------------------------------------------------------------------------
// distributions
// -------------------------------------------------------------------------------------

/** How many buckets of a `QuantileSketch` are one of a histogram. */
const grouped = 5

/** The indexes of buckets that can occur: those of the smallest and the largest value of a sketch. */
const indexes = { first: -210, count: 490 }

export const histogramOf = ({ buckets }: Sketch.QuantileSketch): Histogram => {
  const [first] = buckets
  if (first === undefined) return []
  const start = Math.ceil(first[0] / grouped)
  const counts: Array<number> = []
  for (const [bucket, count] of buckets) {
    const index = Math.ceil(bucket / grouped) - start
    while (counts.length <= index) counts.push(0)
    counts[index] = (counts[index] ?? 0) + count
  }
  return [start, ...counts]
}

export const addHistograms = (self: Histogram, that: Histogram): Histogram => {
  const [selfStart, ...selfCounts] = self
  const [thatStart, ...thatCounts] = that
  if (selfStart === undefined) return that
  if (thatStart === undefined) return self
  const start = Math.min(selfStart, thatStart)
  const end = Math.max(selfStart + selfCounts.length, thatStart + thatCounts.length)
  return [
    start,
    ...Array.from(
      { length: end - start },
      (_, index) => (selfCounts[start + index - selfStart] ?? 0) + (thatCounts[start + index - thatStart] ?? 0)
    )
  ]
}

interface Percentiles {
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

/** The percentiles of counts from the bucket `start` on; undefined without values. */
const percentilesOf = (start: number, counts: ReadonlyArray<number>): Percentiles | undefined => {
  const middle = Math.floor(grouped / 2)
  const count = counts.reduce((sum, count) => sum + count, 0)
  if (count === 0) return undefined
  const { p50, p95, p99 } = Sketch.summary({
    count,
    sum: 0,
    min: 0,
    max: Infinity,
    buckets: counts.map((count, index) => [(start + index) * grouped - middle, count])
  })
  return { p50, p95, p99 }
}

// -------------------------------------------------------------------------------------
// sums
// -------------------------------------------------------------------------------------

const addOutcomes = (self: Figures["outcomes"], that: Figures["outcomes"]): Figures["outcomes"] => {
  const outcomes = { ...self }
  for (const [outcome, count] of Object.entries(that)) outcomes[outcome] = (outcomes[outcome] ?? 0) + count
  return outcomes
}

export const add = (self: Figures, that: Figures): Figures => ({
  outcomes: addOutcomes(self.outcomes, that.outcomes),
  inputTokens: self.inputTokens + that.inputTokens,
  outputTokens: self.outputTokens + that.outputTokens,
  cost: Costs.addDollars(self.cost, that.cost),
  unpricedTokens: self.unpricedTokens + that.unpricedTokens,
  latency: addHistograms(self.latency, that.latency),
  firstEvent: addHistograms(self.firstEvent, that.firstEvent)
})

/** A mutable sum of many figures. */
export interface Sum {
  readonly unsafeAdd: (figures: Figures) => void
  readonly unsafeResult: () => Omit<Figures, "latency" | "firstEvent"> & {
    readonly times: { readonly latency?: Percentiles; readonly firstEvent?: Percentiles }
  }
}

const addTo = (counts: Array<number>, [start, ...added]: Histogram): void => {
  if (start === undefined) return
  for (const [index, count] of added.entries()) {
    const at = start - indexes.first + index
    counts[at] = (counts[at] ?? 0) + count
  }
}

export const unsafeMakeSum = (): Sum => {
  const outcomes = new Map<string, number>()
  const latencies = Array.from({ length: indexes.count }, () => 0)
  const firstEvents = [...latencies]
  let [inputTokens, outputTokens, cost, unpricedTokens] = [0, 0, 0, 0]
  return {
    unsafeAdd: (figures) => {
      for (const outcome in figures.outcomes) {
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + (figures.outcomes[outcome] ?? 0))
      }
      inputTokens += figures.inputTokens
      outputTokens += figures.outputTokens
      cost = Costs.addDollars(cost, figures.cost)
      unpricedTokens += figures.unpricedTokens
      addTo(latencies, figures.latency)
      addTo(firstEvents, figures.firstEvent)
    },
    unsafeResult: () => {
      const latency = percentilesOf(indexes.first, latencies)
      const firstEvent = percentilesOf(indexes.first, firstEvents)
      return {
        outcomes: Object.fromEntries(outcomes),
        inputTokens,
        outputTokens,
        cost,
        unpricedTokens,
        times: { ...(latency === undefined ? {} : { latency }), ...(firstEvent === undefined ? {} : { firstEvent }) }
      }
    }
  }
}

// -------------------------------------------------------------------------------------
// lines
// -------------------------------------------------------------------------------------

/** A line of compact JSON, without the fields that are zero. */
export const encode = ({ at, minutes, model, ...figures }: Row): string =>
  JSON.stringify({
    at,
    ...(minutes === 1 ? {} : { minutes }),
    model,
    outcomes: figures.outcomes,
    ...(figures.inputTokens === 0 ? {} : { in: figures.inputTokens }),
    ...(figures.outputTokens === 0 ? {} : { out: figures.outputTokens }),
    ...(figures.cost === 0 ? {} : { cost: figures.cost }),
    ...(figures.unpricedTokens === 0 ? {} : { unpriced: figures.unpricedTokens }),
    ...(figures.latency.length === 0 ? {} : { latency: figures.latency }),
    ...(figures.firstEvent.length === 0 ? {} : { first: figures.firstEvent })
  })

const isAmount = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value) && value >= 0

const histogramIn = (value: unknown): Histogram | undefined => {
  if (value === undefined) return []
  if (!Array.isArray(value)) return undefined
  const [start, ...counts]: ReadonlyArray<unknown> = value
  return typeof start === "number" &&
    Number.isInteger(start) &&
    start >= indexes.first &&
    start + counts.length <= indexes.first + indexes.count &&
    counts.every(isAmount)
    ? [start, ...counts]
    : undefined
}

/** The row of a line; undefined for a line that is torn or not a row. */
export const decode = (line: string): Row | undefined => {
  const json = Json.parseJson(line)
  if (!Json.isRecord(json)) return undefined
  const { at, cost = 0, in: inputTokens = 0, minutes = 1, model, out: outputTokens = 0, unpriced = 0 } = json
  const entries = Object.entries(Json.record(json, "outcomes") ?? {})
  const outcomes: Record<string, number> = {}
  for (const [outcome, count] of entries) {
    if (!isAmount(count)) return undefined
    outcomes[outcome] = count
  }
  const latency = histogramIn(json["latency"])
  const firstEvent = histogramIn(json["first"])
  return isAmount(at) &&
    isAmount(minutes) &&
    typeof model === "string" &&
    isAmount(inputTokens) &&
    isAmount(outputTokens) &&
    isAmount(cost) &&
    isAmount(unpriced) &&
    latency !== undefined &&
    firstEvent !== undefined
    ? { at, minutes, model, outcomes, inputTokens, outputTokens, cost, unpricedTokens: unpriced, latency, firstEvent }
    : undefined
}
