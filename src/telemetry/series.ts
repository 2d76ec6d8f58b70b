/**
 * The metrics of this process as plain data: a series is a metric with its labels and its state. One module, since Effect 4 has other
 * snapshots.
 */
import type { MetricPair } from "effect"
import { Effect, Metric, MetricKeyType, MetricState, Option } from "effect"

/** Counts up to a bound, for each bound. */
type Counts<K> = ReadonlyArray<readonly [K, number]>

interface Sums {
  readonly count: number
  readonly sum: number
  readonly min: number
  readonly max: number
}

export type State =
  | { readonly _tag: "Counter"; readonly count: number; readonly incremental: boolean }
  | { readonly _tag: "Gauge"; readonly value: number }
  | { readonly _tag: "Frequency"; readonly occurrences: Counts<string> }
  | ({ readonly _tag: "Histogram"; readonly buckets: Counts<number> } & Sums)
  /** A quantile without values is `NaN`. */
  | ({ readonly _tag: "Summary"; readonly quantiles: Counts<number> } & Sums)

export interface Series {
  readonly name: string
  readonly description?: string
  readonly labels: ReadonlyArray<readonly [label: string, value: string]>
  readonly state: State
}

/** A metric and its state. */
export type Snapshot = MetricPair.MetricPair.Untyped

/** Prometheus has floating-point numbers only. */
const stateOf = ({ metricKey, metricState }: Snapshot): State | undefined => {
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

/** The series of a metric: one, or none for a kind that Prometheus does not have. */
export const seriesOf = (pair: Snapshot): ReadonlyArray<Series> => {
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
