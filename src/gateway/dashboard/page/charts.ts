/** Charts of the figures over time. */
import uPlot from "uplot"
import type { Bucket } from "../snapshot.js"
import { setAttribute, keyedChildren, element, setText } from "./dom.js"
import type { Figures } from "./figures.js"
import { errorsIn } from "./figures.js"
import * as Format from "./format.js"

/** One series of a chart. */
interface DataSeries {
  readonly name: string
  /** The name of a custom property in the style sheet. */
  readonly colour: string
  readonly values: ReadonlyArray<number | null>
}

interface ChartData {
  /** In seconds, as uPlot expects. */
  readonly times: ReadonlyArray<number>
  readonly series: ReadonlyArray<DataSeries>
}

interface ChartSpec {
  readonly title: string
  readonly kind: "bars" | "lines"
  readonly format: (value: number) => string
  /** The maximum of the scale without data. */
  readonly emptyMax: number
  readonly draw: (figures: Figures, minutes: number, now: number, width: number) => ChartData
}

export interface Charts {
  readonly update: (figures: Figures, minutes: number, now: number, width: number) => void
  /** Redraws after a change of the theme. */
  readonly recolour: () => void
}

const seconds = (millis: number): number => millis / 1000

/** Bars: thirty to sixty, for every time window. */
const bars =
  (linesOf: (columns: ReadonlyArray<ReadonlyArray<Bucket>>) => ReadonlyArray<DataSeries>): ChartSpec["draw"] =>
  (figures, minutes, now, width) => {
    const step = minutes >= 60 ? 60_000 : minutes >= 15 ? 30_000 : width
    const steps = figures.steps(step, (minutes * 60_000) / step, now)
    return { times: steps.map(([start]) => seconds(start)), series: linesOf(steps.map(([, buckets]) => buckets)) }
  }

const total =
  (of: (bucket: Bucket) => number) =>
  (column: ReadonlyArray<Bucket>): number =>
    column.reduce((sum, bucket) => sum + of(bucket), 0)

/** Lines: percentiles cannot be added up, so each bucket has its own point. */
const percentileSeries =
  (which: "latency" | "firstEvent"): ChartSpec["draw"] =>
  (figures, minutes, now, width) => {
    const steps = figures.steps(width, (minutes * 60_000) / width, now)
    const line = (name: "p50" | "p95" | "p99", colour: string): DataSeries => ({
      name,
      colour,
      values: steps.map(([, [bucket]]) => bucket?.[which]?.[name] ?? null)
    })
    return {
      times: steps.map(([start]) => seconds(start)),
      series: [line("p50", "--chart-1"), line("p95", "--chart-2"), line("p99", "--chart-3")]
    }
  }

const errorColours = ["--chart-4", "--chart-3", "--chart-5", "--chart-6", "--chart-2"]

/** The four most frequent classes have their own colours. */
const errorSeries = (columns: ReadonlyArray<ReadonlyArray<Bucket>>): ReadonlyArray<DataSeries> => {
  const all = new Map<string, number>()
  for (const column of columns) {
    for (const bucket of column) for (const [name, n] of errorsIn(bucket)) all.set(name, (all.get(name) ?? 0) + n)
  }
  const names = [...all].sort(([a, n], [b, m]) => m - n || a.localeCompare(b)).map(([name]) => name)
  const shownNames = names.slice(0, 4)
  const countOf = (matches: (name: string) => boolean) =>
    columns.map(total((bucket) => errorsIn(bucket).reduce((sum, [name, n]) => sum + (matches(name) ? n : 0), 0)))
  return [
    ...shownNames.map((name, index) => ({
      name: Format.outcome(name),
      colour: errorColours[index] ?? "--chart-6",
      values: countOf((other) => other === name)
    })),
    ...(names.length > 4
      ? [{ name: "others", colour: "--chart-2", values: countOf((name) => !shownNames.includes(name)) }]
      : [])
  ]
}

const specs: ReadonlyArray<ChartSpec> = [
  {
    title: "Requests",
    kind: "bars",
    format: Format.count,
    emptyMax: 4,
    draw: bars((columns) => [
      { name: "answered", colour: "--chart-1", values: columns.map(total(({ outcomes }) => outcomes["ok"] ?? 0)) },
      {
        name: "interrupted",
        colour: "--chart-6",
        values: columns.map(total(({ outcomes }) => outcomes["interrupted"] ?? 0))
      },
      {
        name: "failed",
        colour: "--chart-4",
        values: columns.map(total((bucket) => errorsIn(bucket).reduce((sum, [, n]) => sum + n, 0)))
      }
    ])
  },
  { title: "Latency", kind: "lines", format: Format.duration, emptyMax: 1000, draw: percentileSeries("latency") },
  {
    title: "Time to first token",
    kind: "lines",
    format: Format.duration,
    emptyMax: 1000,
    draw: percentileSeries("firstEvent")
  },
  {
    title: "Tokens",
    kind: "bars",
    format: Format.count,
    emptyMax: 100,
    draw: bars((columns) => [
      { name: "input", colour: "--chart-1", values: columns.map(total((bucket) => bucket.inputTokens)) },
      { name: "output", colour: "--chart-2", values: columns.map(total((bucket) => bucket.outputTokens)) }
    ])
  },
  {
    title: "Cost",
    kind: "bars",
    format: Format.dollars,
    emptyMax: 0.01,
    draw: bars((columns) => [
      { name: "dollars", colour: "--chart-5", values: columns.map(total((bucket) => bucket.cost)) }
    ])
  },
  { title: "Errors by class", kind: "bars", format: Format.count, emptyMax: 4, draw: bars(errorSeries) }
]

/** Reads the current value of a custom property, because a canvas cannot use custom properties. */
const colourReader = (): ((name: string) => string) => {
  const probe = element("span", { class: "hidden" })
  document.body.append(probe)
  return (name) => {
    probe.style.color = `var(${name})`
    return getComputedStyle(probe).color
  }
}

const height = 150

/** The steps of a scale of counts. */
const integerSteps = Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat()

/** Adds each series to the previous ones, and returns the highest first, which is drawn behind the others. */
const stackSeries = (series: ReadonlyArray<DataSeries>): ReadonlyArray<DataSeries> => {
  const sums: Array<number> = []
  return series
    .map((line) => ({
      ...line,
      values: line.values.map((value, index) => (sums[index] = (sums[index] ?? 0) + (value ?? 0)))
    }))
    .reverse()
}

const translucent = (colour: string): string => colour.replace(/^rgb\((.*)\)$/, "rgba($1, 0.12)")

/** The values without neighbours, which a line cannot show. */
const isolatedPoints: uPlot.Series.Points.Filter = (plot, series) => {
  const values = plot.data[series] ?? []
  const isThere = (index: number): boolean => values[index] !== null && values[index] !== undefined
  return Array.from(values, (_, index) => index).filter(
    (index) => isThere(index) && !isThere(index - 1) && !isThere(index + 1)
  )
}

const make = (spec: ChartSpec, colour: (name: string) => string) => {
  const legend = element("ul", { class: "legend" })
  const box = element("div", { class: "plot", role: "img" })
  const empty = element("p", { class: "nothing" }, "Nothing yet")
  const node = element(
    "figure",
    { class: "card chart" },
    element("figcaption", {}, element("h3", {}, spec.title), legend),
    box,
    empty
  )
  let chartData: ChartData = { times: [], series: [] }
  let plot: uPlot | undefined
  let drawnNames = ""

  const summaryValue = (values: DataSeries["values"]): number | null | undefined =>
    spec.kind === "bars"
      ? values.reduce<number>((sum, value) => sum + (value ?? 0), 0)
      : values.findLast((value) => value !== null)

  const entries = keyedChildren<readonly [DataSeries, string]>(
    legend,
    ([{ name }]) => name,
    ([{ name, colour }]) => {
      const value = element("b")
      const swatch = element("i", { "aria-hidden": "true", class: colour.replace("--", "") })
      return {
        node: element("li", {}, swatch, element("span", {}, name), value),
        update: ([, text]) => setText(value, text)
      }
    }
  )

  /** Shows the values under the pointer, else the sum of the bars or the last value of the lines. */
  const updateLegend = (): void => {
    const at = plot?.cursor.idx
    const valueOf = ({ values }: DataSeries): string => {
      const value = at === null || at === undefined ? summaryValue(values) : values[at]
      return value === null || value === undefined ? "–" : spec.format(value)
    }
    entries(chartData.series.map((line) => [line, valueOf(line)]))
  }

  const plotSeries = (line: DataSeries): uPlot.Series => {
    const stroke = colour(line.colour)
    const paths = uPlot.paths.bars?.({ size: [0.7, 22], radius: 0.15 })
    return spec.kind === "bars"
      ? {
          label: line.name,
          stroke,
          fill: stroke,
          width: 0,
          points: { show: false },
          ...(paths === undefined ? {} : { paths })
        }
      : {
          label: line.name,
          stroke,
          width: 2,
          points: { show: false, size: 5, fill: stroke, width: 0, filter: isolatedPoints },
          ...(line.name === "p50" ? { fill: translucent(stroke) } : {})
        }
  }

  /** Half of the width of a bar's slot. */
  const margin = (): number => ((chartData.times[1] ?? 0) - (chartData.times[0] ?? 0)) / 2

  const axis = (): uPlot.Axis => ({
    stroke: colour("--muted"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("--grid"), width: 1 },
    ticks: { show: false }
  })

  const createPlot = (series: ReadonlyArray<DataSeries>, data: uPlot.AlignedData): uPlot =>
    new uPlot(
      {
        width: Math.max(120, box.clientWidth),
        height,
        padding: [8, 18, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          drag: { x: false, y: false },
          sync: { key: "time" },
          points: { show: spec.kind === "lines" }
        },
        scales: {
          x: {
            time: true,
            range: (_, from, to) => (spec.kind === "bars" ? [from - margin(), to + margin()] : [from, to])
          },
          y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : spec.emptyMax] }
        },
        axes: [
          {
            ...axis(),
            grid: { show: false },
            size: 26,
            space: 46,
            values: (_, all) => all.map((at) => Format.clock(at * 1000))
          },
          {
            ...axis(),
            size: 54,
            space: 34,
            values: (_, all) => all.map((value) => spec.format(value)),
            ...(spec.format === Format.count ? { incrs: integerSteps } : {})
          }
        ],
        series: [{}, ...series.map(plotSeries)],
        hooks: { setCursor: [updateLegend] }
      },
      data,
      box
    )

  const redraw = (): void => {
    const series = spec.kind === "bars" ? stackSeries(chartData.series) : chartData.series
    const data: uPlot.AlignedData = [[...chartData.times], ...series.map(({ values }) => [...values])]
    const names = series.map(({ name }) => name).join()
    if (plot === undefined || drawnNames !== names) {
      plot?.destroy()
      plot = createPlot(series, data)
      drawnNames = names
    } else plot.setData(data)
    const isEmpty = chartData.series.every(({ values }) => values.every((value) => value === null || value === 0))
    empty.hidden = !isEmpty
    setText(empty, spec.title.startsWith("Errors") ? "No errors" : "Nothing yet")
    updateLegend()
  }

  new ResizeObserver(() => plot?.setSize({ width: Math.max(120, box.clientWidth), height })).observe(box)

  return {
    node,
    update: (next: ChartData): void => {
      chartData = next
      redraw()
      const summaries = chartData.series.map(({ name, values }) => {
        const value = summaryValue(values)
        return `${name} ${value === undefined || value === null ? "none" : spec.format(value)}`
      })
      setAttribute(box, "aria-label", `${spec.title} over time: ${summaries.join(", ") || "nothing"}.`)
    },
    recolour: (): void => {
      drawnNames = "\n"
      if (plot !== undefined) redraw()
    }
  }
}

export const mount = (parent: Element): Charts => {
  const colour = colourReader()
  const charts = specs.map((spec) => ({ spec, chart: make(spec, colour) }))
  parent.append(...charts.map(({ chart }) => chart.node))
  return {
    update: (figures, minutes, now, width) => {
      for (const { chart, spec } of charts) chart.update(spec.draw(figures, minutes, now, width))
    },
    recolour: () => charts.forEach(({ chart }) => chart.recolour())
  }
}
