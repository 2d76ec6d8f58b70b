/**
 * The metrics of a program, those of this library among them, as the text that Prometheus scrapes.
 *
 * It is written straight from Effect's metrics, because on the way through those of OpenTelemetry a summary becomes three
 * counters, and the Prometheus exporter there needs Node 22.15.
 *
 * It shows whatever Effect's metrics hold, under the names and labels they have. What cannot stand in the text is changed as
 * little as it takes: signs that a name must not have become `_`, label values and help texts are escaped.
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
 * Of an HTTP response with the text. Source: Prometheus, "Exposition formats", text format 0.0.4.
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
  /** The lines of each series, by its labels. */
  readonly series: Map<string, ReadonlyArray<string>>
}

type Labels = ReadonlyMap<string, string>

const nameOf = (name: string): string => (/^[a-zA-Z_:]/.test(name) ? name : `_${name}`).replace(/[^a-zA-Z0-9_:]/g, "_")

/** Names that begin with two of these are Prometheus' own. */
const labelOf = (label: string): string =>
  (/^[a-zA-Z_]/.test(label) ? label : `_${label}`).replace(/[^a-zA-Z0-9_]/g, "_").replace(/^__+/, "_")

/** The labels that a kind of metric sets itself. A label of that name from elsewhere is renamed, as Prometheus does it. */
const ownLabel = (pair: MetricPair.MetricPair.Untyped): string | undefined => {
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

const escaped = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")

const written = (labels: Labels): string =>
  labels.size === 0
    ? ""
    : `{${Array.from(labels, ([label, value]) => `${label}="${escaped(value).replace(/"/g, '\\"')}"`).join(",")}}`

const number = (value: number | bigint): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

/** A counter that may fall is none to Prometheus. */
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
    `${name}${suffix}${written(new Map([...labels, ...own]))} ${number(value)}`

  if (MetricState.isCounterState(metricState)) return [line(metricState.count)]
  if (MetricState.isGaugeState(metricState)) return [line(metricState.value)]
  if (MetricState.isFrequencyState(metricState)) {
    return Array.from(metricState.occurrences, ([word, count]) => line(count, "", [["key", word]]))
  }
  if (MetricState.isHistogramState(metricState)) {
    return [
      ...metricState.buckets
        .filter(([bound]) => bound !== Infinity)
        .map(([bound, count]) => line(count, "_bucket", [["le", number(bound)]])),
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
          [["quantile", number(share)]]
        )
      ),
      line(metricState.sum, "_sum"),
      line(metricState.count, "_count")
    ]
  }
  return []
}

/**
 * The text of metrics. Series of one name stand together below their help and type; where two kinds of metrics have one name,
 * the kind is added to that of the later one; of two series with the same labels the later one counts.
 *
 * @since 0.1.0
 * @category rendering
 */
export const render = (pairs: Iterable<MetricPair.MetricPair.Untyped>): string => {
  const families = new Map<string, Family>()
  const familyOf = (name: string, type: Type, help: string): Family => {
    const known = families.get(name)
    if (known !== undefined) return known.type === type ? known : familyOf(`${name}_${type}`, type, help)
    const created: Family = { name, type, help, series: new Map() }
    families.set(name, created)
    return created
  }
  for (const pair of pairs) {
    const { description, name, tags } = pair.metricKey
    const family = familyOf(
      nameOf(name),
      typeOf(pair),
      Option.getOrElse(description, () => "")
    )
    const labels = labelsOf(tags, ownLabel(pair))
    family.series.set(written(labels), linesOf(family.name, labels, pair))
  }
  return Array.from(families.values(), ({ help, name, series, type }) =>
    [
      ...(help === "" ? [] : [`# HELP ${name} ${escaped(help)}`]),
      `# TYPE ${name} ${type}`,
      ...[...series.values()].flat(),
      ""
    ].join("\n")
  ).join("")
}

/**
 * The text of all metrics that there are now.
 *
 * @since 0.1.0
 * @category rendering
 */
export const text: Effect.Effect<string> = Effect.map(Metric.snapshot, render)
