/** The metrics of this process as plain data: a series is a metric with its labels and its state. */
import { Effect, Metric } from "effect"

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
export type Snapshot = Metric.Metric.Snapshot

/** Prometheus has floating-point numbers only. */
const stateOf = (snapshot: Snapshot): State => {
  switch (snapshot.type) {
    case "Counter":
      return {
        _tag: "Counter",
        count: Number(snapshot.state.count),
        incremental: snapshot.state.incremental
      }
    case "Gauge":
      return { _tag: "Gauge", value: Number(snapshot.state.value) }
    case "Frequency":
      return { _tag: "Frequency", occurrences: [...snapshot.state.occurrences] }
    case "Histogram": {
      const { buckets, count, max, min, sum } = snapshot.state
      return { _tag: "Histogram", buckets, count, max, min, sum }
    }
    case "Summary": {
      const { count, max, min, quantiles, sum } = snapshot.state
      return {
        _tag: "Summary",
        quantiles: quantiles.map(([share, value]) => [share, value ?? Number.NaN] as const),
        count,
        max,
        min,
        sum
      }
    }
  }
}

/** The series of a metric. */
export const seriesOf = (snapshot: Snapshot): ReadonlyArray<Series> => [
  {
    name: snapshot.id,
    ...(snapshot.description === undefined ? {} : { description: snapshot.description }),
    labels: Object.entries(snapshot.attributes ?? {}),
    state: stateOf(snapshot)
  }
]

/** The current series of this process. */
export const snapshot: Effect.Effect<ReadonlyArray<Series>> = Effect.map(Metric.snapshot, (snapshots) =>
  snapshots.flatMap(seriesOf)
)
