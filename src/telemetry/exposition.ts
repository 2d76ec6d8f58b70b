/** The text format of Prometheus. */
import type { Series } from "./series.js"

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
const unitOf = ({ labels, name }: Series): string | undefined =>
  name.includes(".") ? labels.find(([label]) => label === "unit")?.[1] : undefined

const nameOf = (name: string): string => (/^[a-zA-Z_:]/.test(name) ? name : `_${name}`).replace(/[^a-zA-Z0-9_:]/g, "_")

/** Prometheus reserves label names with the prefix `__`. */
const labelOf = (label: string): string =>
  (/^[a-zA-Z_]/.test(label) ? label : `_${label}`).replace(/[^a-zA-Z0-9_]/g, "_").replace(/^__+/, "_")

/** The labels that a type of metric sets itself. Another label with that name gets the prefix `exported_`, as in Prometheus. */
const reservedLabels = { Histogram: "le", Summary: "quantile", Frequency: "key", Counter: undefined, Gauge: undefined }

/** The labels without the unit, which is in the name. */
const labelsOf = (series: Series): Labels => {
  const reserved = reservedLabels[series.state._tag]
  const isUnit = unitOf(series) === undefined ? () => false : (label: string) => label === "unit"
  return new Map(
    series.labels
      .filter(([name]) => !isUnit(name))
      .map(([name, value]) => {
        const label = labelOf(name)
        return [label === reserved ? `exported_${label}` : label, value]
      })
  )
}

const escape = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")

const renderLabels = (labels: Labels): string =>
  labels.size === 0
    ? ""
    : `{${Array.from(labels, ([label, value]) => `${label}="${escape(value).replace(/"/g, '\\"')}"`).join(",")}}`

const formatNumber = (value: number): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

/** A counter that can decrease is a gauge in Prometheus. */
const typeOf = ({ state }: Series): Type => {
  switch (state._tag) {
    case "Histogram":
      return "histogram"
    case "Summary":
      return "summary"
    case "Frequency":
      return "counter"
    case "Gauge":
      return "gauge"
    case "Counter":
      return state.incremental ? "counter" : "gauge"
  }
}

const linesOf = (name: string, labels: Labels, { state }: Series): ReadonlyArray<string> => {
  const line = (value: number, suffix = "", own: ReadonlyArray<readonly [string, string]> = []): string =>
    `${name}${suffix}${renderLabels(new Map([...labels, ...own]))} ${formatNumber(value)}`

  switch (state._tag) {
    case "Counter":
      return [line(state.count)]
    case "Gauge":
      return [line(state.value)]
    case "Frequency":
      return state.occurrences.map(([occurrence, count]) => line(count, "", [["key", occurrence]]))
    case "Histogram":
      return [
        ...state.buckets
          .filter(([bound]) => bound !== Infinity)
          .map(([bound, count]) => line(count, "_bucket", [["le", formatNumber(bound)]])),
        line(state.count, "_bucket", [["le", "+Inf"]]),
        line(state.sum, "_sum"),
        line(state.count, "_count")
      ]
    case "Summary":
      return [
        ...state.quantiles.map(([share, value]) => line(value, "", [["quantile", formatNumber(share)]])),
        line(state.sum, "_sum"),
        line(state.count, "_count")
      ]
  }
}

/**
 * Renders series as text. Series with one name follow its help and type. When metrics of two types have one name, the type is added to
 * the name of the later one; of two series with the same labels, the later one is rendered.
 */
export const render = (all: Iterable<Series>): string => {
  const families = new Map<string, Family>()
  const familyOf = (name: string, type: Type, help: string): Family => {
    const existing = families.get(name)
    if (existing !== undefined) return existing.type === type ? existing : familyOf(`${name}_${type}`, type, help)
    const created: Family = { name, type, help, series: new Map() }
    families.set(name, created)
    return created
  }
  for (const series of all) {
    const family = familyOf(
      nameOf(`${series.name}${unitSuffixes[unitOf(series) ?? ""] ?? ""}`),
      typeOf(series),
      series.description ?? ""
    )
    const labels = labelsOf(series)
    family.series.set(renderLabels(labels), linesOf(family.name, labels, series))
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
