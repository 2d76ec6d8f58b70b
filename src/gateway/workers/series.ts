/**
 * Metrics of several processes as one. A series is a metric with its labels and its state, as plain data that another process can
 * read.
 *
 * | metric | of several processes |
 * | --- | --- |
 * | counter, frequency, histogram | the sum |
 * | gauge | the sum: the gauges of the gateway count what is in flight, or divide it by a limit that the processes share |
 * | gauge of `means` | the mean: what is in flight divided by a limit that each process has for itself |
 * | summary | the sum of counts; the largest of each quantile, because quantiles cannot be added |
 */
import type { MetricPair } from "effect"
import {
  Effect,
  Metric,
  MetricBoundaries,
  MetricKey,
  MetricKeyType,
  MetricLabel,
  MetricPair as Pairs,
  MetricState,
  Option,
  Schema
} from "effect"

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
// conversion
// -------------------------------------------------------------------------------------

/** Prometheus has floating-point numbers only. */
const stateOf = ({ metricKey, metricState }: MetricPair.MetricPair.Untyped): State | undefined => {
  if (MetricState.isCounterState(metricState)) {
    const incremental = MetricKeyType.isCounterKey(metricKey.keyType) && metricKey.keyType.incremental
    return { _tag: "Counter", count: Number(metricState.count), incremental }
  }
  if (MetricState.isGaugeState(metricState)) return { _tag: "Gauge", value: Number(metricState.value) }
  if (MetricState.isFrequencyState(metricState)) {
    return { _tag: "Frequency", occurrences: [...metricState.occurrences] }
  }
  if (MetricState.isHistogramState(metricState)) {
    const { buckets, count, max, min, sum } = metricState
    return { _tag: "Histogram", buckets, count, max, min, sum }
  }
  if (MetricState.isSummaryState(metricState)) {
    const { count, max, min, quantiles, sum } = metricState
    return {
      _tag: "Summary",
      quantiles: quantiles.map(([share, value]) => [share, Option.getOrElse(value, () => Number.NaN)]),
      count,
      max,
      min,
      sum
    }
  }
  return undefined
}

const seriesOf = (pair: MetricPair.MetricPair.Untyped): ReadonlyArray<Series> => {
  const state = stateOf(pair)
  if (state === undefined) return []
  const { description, name, tags } = pair.metricKey
  return [
    {
      name,
      ...(Option.isSome(description) ? { description: description.value } : {}),
      labels: tags.map(({ key, value }) => [key, value] as const),
      state
    }
  ]
}

/** The current series of this process. */
export const snapshot: Effect.Effect<ReadonlyArray<Series>> = Effect.map(Metric.snapshot, (pairs) =>
  pairs.flatMap(seriesOf)
)

/** The metric of a series, for `Prometheus.render`. */
export const toPair = ({ description, labels, name, state }: Series): MetricPair.MetricPair.Untyped => {
  const options = description === undefined ? {} : { description }
  const labelled = MetricKey.taggedWithLabels(labels.map(([label, value]) => MetricLabel.make(label, value)))
  switch (state._tag) {
    case "Counter":
      return Pairs.unsafeMake(
        labelled(MetricKey.counter(name, { ...options, incremental: state.incremental })),
        MetricState.counter(state.count)
      )
    case "Gauge":
      return Pairs.unsafeMake(labelled(MetricKey.gauge(name, options)), MetricState.gauge(state.value))
    case "Frequency":
      return Pairs.unsafeMake(
        labelled(MetricKey.frequency(name, options)),
        MetricState.frequency(new Map(state.occurrences))
      )
    case "Histogram":
      return Pairs.unsafeMake(
        labelled(
          MetricKey.histogram(name, MetricBoundaries.fromIterable(state.buckets.map(([bound]) => bound)), description)
        ),
        MetricState.histogram(state)
      )
    case "Summary":
      return Pairs.unsafeMake(
        labelled(
          MetricKey.summary({
            name,
            ...options,
            maxAge: 0,
            maxSize: 0,
            error: 0,
            quantiles: state.quantiles.map(([share]) => share)
          })
        ),
        MetricState.summary({
          ...state,
          error: 0,
          quantiles: state.quantiles.map(([share, value]) => [
            share,
            Number.isNaN(value) ? Option.none() : Option.some(value)
          ])
        })
      )
  }
}

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

interface Sums {
  readonly count: number
  readonly sum: number
  readonly min: number
  readonly max: number
}

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
