/** Tests of the metrics of several processes. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Metric, MetricBoundaries, Schema } from "effect"
import * as Series from "../../../src/gateway/workers/series.js"
import * as Exposition from "../../../src/telemetry/exposition.js"
import * as Prometheus from "../../../src/telemetry/Prometheus.js"
import * as Snapshot from "../../../src/telemetry/series.js"

const counter = Metric.counter("calls_total", { description: "Calls", incremental: true })
const gauge = Metric.gauge("in_flight")
const histogram = Metric.histogram("seconds", MetricBoundaries.fromIterable([1, 2]))
const frequency = Metric.frequency("words")
const summary = Metric.summary({ name: "millis", maxAge: "1 minute", maxSize: 10, error: 0, quantiles: [0.5] })

const own = new Set(["calls_total", "in_flight", "seconds", "words", "millis"])

/** The series of the metrics of this file, as another process reads them. */
const snapshot = Effect.flatMap(Snapshot.snapshot, (all) =>
  Schema.decodeUnknown(Schema.Array(Series.Series))(structuredClone(all.filter(({ name }) => own.has(name))))
)

const count = (value: number, labels: Series.Series["labels"] = []): Series.Series => ({
  name: "calls_total",
  labels,
  state: { _tag: "Counter", count: value, incremental: true }
})

describe("the series of a process", () => {
  it.effect("render like its metrics, with every kind of metric and its labels", () =>
    Effect.gen(function* () {
      yield* Metric.incrementBy(Metric.tagged(counter, "model", 'a"b'), 3)
      yield* Metric.set(gauge, 2)
      yield* Effect.forEach([0.5, 1.5, 9], (value) => Metric.update(histogram, value))
      yield* Metric.update(frequency, "word")
      yield* Metric.update(summary, 7)
      const pairs = (yield* Metric.snapshot).filter((metric) =>
        Snapshot.seriesOf(metric).some(({ name }) => own.has(name))
      )
      expect(Exposition.render(yield* snapshot)).toBe(Prometheus.render(pairs))
    })
  )
})

describe("Series.mergeAll", () => {
  it("adds counters with the same labels, in any order of labels, and keeps others apart", () => {
    const merged = Series.mergeAll([
      [
        count(1, [
          ["a", "1"],
          ["b", "2"]
        ]),
        count(5)
      ],
      [
        count(2, [
          ["b", "2"],
          ["a", "1"]
        ]),
        count(7, [["a", "2"]])
      ]
    ])
    expect(Exposition.render(merged)).toBe(
      '# TYPE calls_total counter\ncalls_total{a="1",b="2"} 3\ncalls_total 5\ncalls_total{a="2"} 7\n'
    )
  })

  it("adds the buckets, the sums and the counts of histograms", () => {
    const of = (counts: readonly [number, number, number], sum: number): Series.Series => ({
      name: "seconds",
      labels: [],
      state: {
        _tag: "Histogram",
        buckets: [
          [1, counts[0]],
          [2, counts[1]],
          [Infinity, counts[2]]
        ],
        count: counts[2],
        sum,
        min: 0,
        max: 9
      }
    })
    expect(Exposition.render(Series.mergeAll([[of([1, 2, 3], 10)], [of([0, 4, 4], 6.5)]]))).toBe(
      '# TYPE seconds histogram\nseconds_bucket{le="1"} 1\nseconds_bucket{le="2"} 6\nseconds_bucket{le="+Inf"} 7\n' +
        "seconds_sum 16.5\nseconds_count 7\n"
    )
  })

  it("adds gauges, and takes the mean of the gauges that are named as loads", () => {
    const of = (name: string, value: number): Series.Series => ({ name, labels: [], state: { _tag: "Gauge", value } })
    const all = [[of("flights", 1), of("load", 0.5)], [of("flights", 2), of("load", 0.25)], [of("flights", 0)]]
    expect(Series.mergeAll(all, new Set(["load"])).map(({ state }) => state)).toEqual([
      { _tag: "Gauge", value: 3 },
      { _tag: "Gauge", value: 0.375 }
    ])
  })

  it("adds occurrences, and takes the largest quantiles of summaries, because quantiles cannot be added", () => {
    const summaryOf = (quantile: number, n: number): Series.Series => ({
      name: "millis",
      labels: [],
      state: { _tag: "Summary", quantiles: [[0.5, quantile]], count: n, sum: n * 10, min: 1, max: 20 }
    })
    const words = (...occurrences: ReadonlyArray<readonly [string, number]>): Series.Series => ({
      name: "words",
      labels: [],
      state: { _tag: "Frequency", occurrences }
    })
    expect(
      Exposition.render(
        Series.mergeAll([
          [summaryOf(Number.NaN, 0), words(["a", 1])],
          [summaryOf(12, 3), words(["b", 2], ["a", 4])],
          [summaryOf(8, 1)]
        ])
      )
    ).toBe(
      '# TYPE millis summary\nmillis{quantile="0.5"} 12\nmillis_sum 40\nmillis_count 4\n' +
        '# TYPE words counter\nwords{key="a"} 5\nwords{key="b"} 2\n'
    )
  })

  it("never lowers a counter when a process ends, while its gauges end with it", () => {
    const before = [count(4), { ...count(2), name: "other_total" }]
    const flying: Series.Series = { name: "in_flight", labels: [], state: { _tag: "Gauge", value: 3 } }
    const after = Series.mergeAll([Series.totalsOf([...before, flying]), [count(1)]])
    expect(Exposition.render(after)).toBe(
      "# TYPE calls_total counter\ncalls_total 5\n# TYPE other_total counter\nother_total 2\n"
    )
  })
})
