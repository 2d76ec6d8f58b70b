/**
 * The keys of metrics: one module, since Effect 4 has none. A metric is labelled
 * once and kept, because labelling costs ten times as much as counting, and `Metric.tagged` labels at every update.
 */
import { Duration, Metric, MetricBoundaries, MetricKey, MetricLabel } from "effect"

export type Counter = MetricKey.MetricKey.Counter<number>

export type Gauge = MetricKey.MetricKey.Gauge<number>

/** A counter that only goes up. */
export const counter = (name: string, description: string): Counter =>
  MetricKey.counter(name, { description, incremental: true })

export const gauge = (name: string, description: string): Gauge => MetricKey.gauge(name, { description })

export type Boundaries = ReturnType<typeof MetricBoundaries.fromIterable>

/** Counts values up to each boundary. */
export const histogram = (name: string, boundaries: Boundaries, description: string) =>
  MetricKey.histogram(name, boundaries, description)

/** The quantiles of at most a thousand values of the last ten minutes. */
export const summary = (name: string, description: string) =>
  MetricKey.summary({
    name,
    description,
    maxAge: Duration.minutes(10),
    maxSize: 1000,
    error: 0,
    quantiles: [0.5, 0.95, 0.99]
  })

export const boundaries = MetricBoundaries.fromIterable

/** `start`, `start × factor` and so on. */
export const exponentialBoundaries = MetricBoundaries.exponential

export type Labels = Readonly<Record<string, string>>

/** Puts labels on a metric's key. */
export const withLabels = (labels: Labels) =>
  MetricKey.taggedWithLabels(Object.entries(labels).map(([label, value]) => MetricLabel.make(label, value)))

/** The metric of a key. */
export const metricOf = Metric.fromMetricKey
