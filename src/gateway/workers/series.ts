/**
 * Metrics of several processes as one.
 *
 * | metric | of several processes |
 * | --- | --- |
 * | counter, frequency, histogram | the sum |
 * | gauge | the sum: the gauges of the gateway count what is in flight, or divide it by a limit that the processes share |
 * | gauge of `means` | the mean: what is in flight divided by a limit that each process has for itself |
 * | summary | the sum of counts; the largest of each quantile, because quantiles cannot be added |
 */
import { Schema } from "effect"

const Pair = Schema.Tuple(Schema.Number, Schema.Number)

const sums = { count: Schema.Number, sum: Schema.Number, min: Schema.Number, max: Schema.Number }

const State = Schema.Union(
  Schema.TaggedStruct("Counter", { count: Schema.Number, incremental: Schema.Boolean }),
  Schema.TaggedStruct("Gauge", { value: Schema.Number }),
  Schema.TaggedStruct("Frequency", { occurrences: Schema.Array(Schema.Tuple(Schema.String, Schema.Number)) }),
  Schema.TaggedStruct("Histogram", { buckets: Schema.Array(Pair), ...sums }),
  Schema.TaggedStruct("Summary", { quantiles: Schema.Array(Pair), ...sums })
)

type State = typeof State.Type

export const Series = Schema.Struct({
  name: Schema.String,
  description: Schema.optionalWith(Schema.String, { exact: true }),
  labels: Schema.Array(Schema.Tuple(Schema.String, Schema.String)),
  state: State
})

export interface Series extends Schema.Schema.Type<typeof Series> {}

// -------------------------------------------------------------------------------------
// merging
// -------------------------------------------------------------------------------------

/** Adds the values of both lists with the same first element. */
const mergeBy = <K>(
  self: ReadonlyArray<readonly [K, number]>,
  that: ReadonlyArray<readonly [K, number]>,
  merge: (a: number, b: number) => number
): ReadonlyArray<readonly [K, number]> => {
  const merged = new Map(self)
  for (const [key, value] of that) {
    const before = merged.get(key)
    merged.set(key, before === undefined ? value : merge(before, value))
  }
  return [...merged]
}

const add = (a: number, b: number): number => a + b

const largest = (a: number, b: number): number => (Number.isNaN(a) || b > a ? b : a)

type Sums = Pick<Extract<State, { readonly _tag: "Histogram" }>, "count" | "sum" | "min" | "max">

const addSums = (self: Sums, that: Sums): Sums => ({
  count: self.count + that.count,
  sum: self.sum + that.sum,
  min: self.count === 0 ? that.min : that.count === 0 ? self.min : Math.min(self.min, that.min),
  max: Math.max(self.max, that.max)
})

/** Merges two states of one metric; of two kinds, which only two versions of a program have, the first remains. */
const mergeStates = (self: State, that: State): State => {
  if (self._tag === "Counter" && that._tag === "Counter") return { ...self, count: self.count + that.count }
  if (self._tag === "Gauge" && that._tag === "Gauge") return { ...self, value: self.value + that.value }
  if (self._tag === "Frequency" && that._tag === "Frequency") {
    return { ...self, occurrences: mergeBy(self.occurrences, that.occurrences, add) }
  }
  if (self._tag === "Histogram" && that._tag === "Histogram") {
    // Buckets are cumulative counts up to the same bounds.
    return { ...self, buckets: mergeBy(self.buckets, that.buckets, add), ...addSums(self, that) }
  }
  if (self._tag === "Summary" && that._tag === "Summary") {
    return { ...self, quantiles: mergeBy(self.quantiles, that.quantiles, largest), ...addSums(self, that) }
  }
  return self
}

const keyOf = ({ labels, name, state }: Series): string =>
  JSON.stringify([name, state._tag, [...labels].sort(([a], [b]) => (a < b ? -1 : 1))])

/** Merges the series of several processes, in the order in which they first occur. `means`: gauges of which the mean is taken. */
export const mergeAll = (
  all: ReadonlyArray<ReadonlyArray<Series>>,
  means: ReadonlySet<string> = new Set()
): ReadonlyArray<Series> => {
  const merged = new Map<string, Series>()
  const counts = new Map<string, number>()
  for (const series of all.flat()) {
    const key = keyOf(series)
    const before = merged.get(key)
    counts.set(key, (counts.get(key) ?? 0) + 1)
    merged.set(key, before === undefined ? series : { ...before, state: mergeStates(before.state, series.state) })
  }
  return Array.from(merged, ([key, series]) =>
    means.has(series.name) && series.state._tag === "Gauge"
      ? { ...series, state: { ...series.state, value: series.state.value / (counts.get(key) ?? 1) } }
      : series
  )
}

/**
 * What remains of a process that has ended: what it counted, so that no counter decreases. Its gauges end with it, and so do the
 * quantiles of its summaries.
 */
export const totalsOf = (series: ReadonlyArray<Series>): ReadonlyArray<Series> =>
  series.flatMap((each): ReadonlyArray<Series> => {
    switch (each.state._tag) {
      case "Gauge":
        return []
      case "Counter":
        return each.state.incremental ? [each] : []
      case "Summary":
        return [{ ...each, state: { ...each.state, quantiles: [] } }]
      case "Frequency":
      case "Histogram":
        return [each]
    }
  })
