/**
 * Renders all metrics of the program, including those of this library, in the text format that Prometheus scrapes.
 *
 * It reads Effect's metrics directly, because OpenTelemetry turns a summary into three counters, and its Prometheus exporter
 * needs Node 22.15.
 *
 * Metrics keep their names and labels. Characters that Prometheus does not allow in a name become `_`; label values and help
 * texts are escaped.
 *
 * @example
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { Prometheus } from "effect-llm"
 *
 * const router = HttpRouter.empty.pipe(
 *   HttpRouter.get(
 *     "/metrics",
 *     Effect.map(Prometheus.text, (text) => HttpServerResponse.text(text, { contentType: Prometheus.contentType }))
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { MetricLabel, MetricPair } from "effect"
import { Effect, Metric, MetricKeyType, MetricState, Option } from "effect"

/**
 * The content type of an HTTP response with the text. Source: Prometheus, "Exposition formats", text format 0.0.4.
 *
 * @since 0.1.0
 * @category model
 */
export const contentType = "text/plain; version=0.0.4; charset=utf-8"

type Type = "counter" | "gauge" | "histogram" | "summary"

interface Family {
  readonly name: string
  readonly type: Type
  readonly help: string
  /** Lines of each series, by its rendered labels. */
  readonly series: Map<string, ReadonlyArray<string>>
}

type Labels = ReadonlyMap<string, string>

/** The units of OpenTelemetry that are a part of a name in Prometheus. Source: OpenTelemetry, "Prometheus and OpenMetrics compatibility". */
const unitSuffixes: Readonly<Record<string, string>> = { s: "_seconds", ms: "_milliseconds", By: "_bytes" }

/** The unit of a metric that has a name of OpenTelemetry. */
const unitOf = ({ name, tags }: MetricPair.MetricPair.Untyped["metricKey"]): MetricLabel.MetricLabel | undefined =>
  name.includes(".") ? tags.find(({ key }) => key === "unit") : undefined

const nameOf = (name: string): string => (/^[a-zA-Z_:]/.test(name) ? name : `_${name}`).replace(/[^a-zA-Z0-9_:]/g, "_")

/** Prometheus reserves label names with the prefix `__`. */
const labelOf = (label: string): string =>
  (/^[a-zA-Z_]/.test(label) ? label : `_${label}`).replace(/[^a-zA-Z0-9_]/g, "_").replace(/^__+/, "_")

/** The label that a type of metric sets itself. Another label with that name gets the prefix `exported_`, as in Prometheus. */
const reservedLabel = (pair: MetricPair.MetricPair.Untyped): string | undefined => {
  if (MetricState.isHistogramState(pair.metricState)) return "le"
  if (MetricState.isSummaryState(pair.metricState)) return "quantile"
  return MetricState.isFrequencyState(pair.metricState) ? "key" : undefined
}

const labelsOf = (tags: ReadonlyArray<MetricLabel.MetricLabel>, own: string | undefined): Labels =>
  new Map(
    tags.map(({ key, value }) => {
      const label = labelOf(key)
      return [label === own ? `exported_${label}` : label, value]
    })
  )

const escape = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")

const renderLabels = (labels: Labels): string =>
  labels.size === 0
    ? ""
    : `{${Array.from(labels, ([label, value]) => `${label}="${escape(value).replace(/"/g, '\\"')}"`).join(",")}}`

const formatNumber = (value: number | bigint): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

/** A counter that can decrease is a gauge in Prometheus. */
const typeOf = ({ metricKey, metricState }: MetricPair.MetricPair.Untyped): Type => {
  if (MetricState.isHistogramState(metricState)) return "histogram"
  if (MetricState.isSummaryState(metricState)) return "summary"
  if (MetricState.isFrequencyState(metricState)) return "counter"
  return MetricKeyType.isCounterKey(metricKey.keyType) && metricKey.keyType.incremental ? "counter" : "gauge"
}

const linesOf = (
  name: string,
  labels: Labels,
  { metricState }: MetricPair.MetricPair.Untyped
): ReadonlyArray<string> => {
  const line = (value: number | bigint, suffix = "", own: ReadonlyArray<readonly [string, string]> = []): string =>
    `${name}${suffix}${renderLabels(new Map([...labels, ...own]))} ${formatNumber(value)}`

  if (MetricState.isCounterState(metricState)) return [line(metricState.count)]
  if (MetricState.isGaugeState(metricState)) return [line(metricState.value)]
  if (MetricState.isFrequencyState(metricState)) {
    return Array.from(metricState.occurrences, ([occurrence, count]) => line(count, "", [["key", occurrence]]))
  }
  if (MetricState.isHistogramState(metricState)) {
    return [
      ...metricState.buckets
        .filter(([bound]) => bound !== Infinity)
        .map(([bound, count]) => line(count, "_bucket", [["le", formatNumber(bound)]])),
      line(metricState.count, "_bucket", [["le", "+Inf"]]),
      line(metricState.sum, "_sum"),
      line(metricState.count, "_count")
    ]
  }
  if (MetricState.isSummaryState(metricState)) {
    return [
      ...metricState.quantiles.map(([share, value]) =>
        line(
          Option.getOrElse(value, () => Number.NaN),
          "",
          [["quantile", formatNumber(share)]]
        )
      ),
      line(metricState.sum, "_sum"),
      line(metricState.count, "_count")
    ]
  }
  return []
}

/**
 * Renders metrics as text. Series with one name follow its help and type. When metrics of two types have one name, the type is
 * added to the name of the later one; of two series with the same labels, the later one is rendered.
 *
 * @since 0.1.0
 * @category rendering
 */
export const render = (pairs: Iterable<MetricPair.MetricPair.Untyped>): string => {
  const families = new Map<string, Family>()
  const familyOf = (name: string, type: Type, help: string): Family => {
    const existing = families.get(name)
    if (existing !== undefined) return existing.type === type ? existing : familyOf(`${name}_${type}`, type, help)
    const created: Family = { name, type, help, series: new Map() }
    families.set(name, created)
    return created
  }
  for (const pair of pairs) {
    const { description, name, tags } = pair.metricKey
    const unit = unitOf(pair.metricKey)
    const family = familyOf(
      nameOf(`${name}${unitSuffixes[unit?.value ?? ""] ?? ""}`),
      typeOf(pair),
      Option.getOrElse(description, () => "")
    )
    const labels = labelsOf(
      tags.filter((tag) => tag !== unit),
      reservedLabel(pair)
    )
    family.series.set(renderLabels(labels), linesOf(family.name, labels, pair))
  }
  return Array.from(families.values(), ({ help, name, series, type }) =>
    [
      ...(help === "" ? [] : [`# HELP ${name} ${escape(help)}`]),
      `# TYPE ${name} ${type}`,
      ...[...series.values()].flat(),
      ""
    ].join("\n")
  ).join("")
}

/**
 * Renders the current state of all metrics.
 *
 * @since 0.1.0
 * @category rendering
 */
export const text: Effect.Effect<string> = Effect.map(Metric.snapshot, render)
