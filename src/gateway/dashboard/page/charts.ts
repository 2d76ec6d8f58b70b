/** Charts of the figures over time. */
import uPlot from "uplot"
import type { Bucket } from "../snapshot.js"
import { setAttribute, keyedChildren, element, setText } from "./dom.js"
import type { Steps } from "./figures.js"
import { errorsIn } from "./figures.js"
import * as Format from "./format.js"
import type { Parts } from "./parts.js"
import type { View } from "./view.js"

/** One series of a chart. */
interface DataSeries {
  readonly name: string
  /** The name of a custom property in the style sheet. */
  readonly colour: string
  readonly values: ReadonlyArray<number | null>
  /** Of the whole range. */
  readonly summary: number | undefined
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
  /** The text of a value that is absent. @default "–" */
  readonly absent?: string
  /** What the bars count; the values of lines have their unit. */
  readonly unit?: string
  /** The maximum of the scale without data. */
  readonly emptyMax: number
  readonly draw: (view: View) => ChartData
}

export interface Charts {
  readonly update: (view: View) => Parts
  /** The next update redraws each chart, in the colours of the theme. */
  readonly recolour: () => void
}

const seconds = (millis: number): number => millis / 1000

const timesOf = (steps: Steps): ReadonlyArray<number> => steps.map(([start]) => seconds(start))

const bars =
  (linesOf: (columns: ReadonlyArray<ReadonlyArray<Bucket>>) => ReadonlyArray<Omit<DataSeries, "summary">>) =>
  ({ bars }: View): ChartData => ({
    times: timesOf(bars),
    series: linesOf(bars.map(([, buckets]) => buckets)).map((line) => {
      const sum = line.values.reduce<number>((sum, value) => sum + (value ?? 0), 0)
      return { ...line, summary: sum === 0 && line.values.includes(null) ? undefined : sum }
    })
  })

const total =
  (of: (bucket: Bucket) => number) =>
  (column: ReadonlyArray<Bucket>): number =>
    column.reduce((sum, bucket) => sum + of(bucket), 0)

/** The cost of a bar; absent if nothing but tokens without a known price was used. */
const knownCost = (column: ReadonlyArray<Bucket>): number | null => {
  const cost = total(({ cost }) => cost)(column)
  return cost === 0 && column.some(({ unpricedTokens }) => unpricedTokens > 0) ? null : cost
}

/** Lines: percentiles cannot be added up, so each bucket has its own point. */
const percentileSeries =
  (which: "latency" | "firstEvent") =>
  ({ lines, times }: View): ChartData => {
    const line = (name: "p50" | "p95" | "p99", colour: string): DataSeries => ({
      name,
      colour,
      values: lines.map(([, [bucket]]) => bucket?.[which]?.[name] ?? null),
      summary: times[which]?.[name]
    })
    return {
      times: timesOf(lines),
      series: [line("p50", "--chart-1"), line("p95", "--chart-2"), line("p99", "--chart-3")]
    }
  }

const errorColours = ["--chart-4", "--chart-3", "--chart-5", "--chart-6", "--chart-2"]

/** The four most frequent classes have their own colours. */
const errorSeries = (columns: ReadonlyArray<ReadonlyArray<Bucket>>): ReadonlyArray<Omit<DataSeries, "summary">> => {
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

const errorClasses = bars(errorSeries)

const specs: ReadonlyArray<ChartSpec> = [
  {
    title: "Requests",
    kind: "bars",
    format: Format.count,
    unit: "requests",
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
    unit: "tokens",
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
    unit: "dollars",
    absent: "unknown",
    emptyMax: 0.01,
    draw: bars((columns) => [{ name: "dollars", colour: "--chart-5", values: columns.map(knownCost) }])
  },
  {
    title: "Errors by class",
    kind: "bars",
    format: Format.count,
    unit: "errors",
    emptyMax: 4,
    draw: errorClasses
  }
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

/** The texts of the ticks: times of a day, and dates where a day begins or each tick is one. */
const tickTexts = (ticks: ReadonlyArray<number>, increment: number): ReadonlyArray<string> =>
  ticks.map((at) => {
    const text = Format.clock(at * 1000)
    return increment >= 86_400 || text === "00:00" ? Format.day(at * 1000) : text
  })

/** A length of time without fractions: `10 s`, `minute`, `20 min`, `2 h`. */
const stepName = (millis: number): string => {
  if (millis === 60_000) return "minute"
  if (millis === 3_600_000) return "hour"
  return millis < 60_000
    ? `${millis / 1000} s`
    : millis < 3_600_000
      ? `${millis / 60_000} min`
      : `${millis / 3_600_000} h`
}

const make = (spec: ChartSpec, colour: (name: string) => string) => {
  const legend = element("ul", { class: spec.draw === errorClasses ? "legend long" : "legend" })
  const box = element("div", { class: "plot", role: "img" })
  const empty = element("p", { class: "nothing" }, "Nothing yet")
  const time = element("span", { class: "chart-time" })
  // The legend is below the plot, so that a wrapped one does not move it.
  const node = element(
    "figure",
    { class: "card chart" },
    element("figcaption", {}, element("h3", {}, spec.title), time),
    box,
    empty,
    legend
  )
  let view: View | undefined
  let chartData: ChartData = { times: [], series: [] }
  let plot: uPlot | undefined
  let drawnNames = ""

  const entries = keyedChildren<readonly [DataSeries, string]>(
    legend,
    ([{ name }]) => name,
    ([{ name, colour }]) => {
      const value = element("b")
      const swatch = element("i", { "aria-hidden": "true", class: colour.replace("--", "") })
      return {
        node: element("li", { title: name }, swatch, element("span", {}, name), value),
        update: ([, text]) => setText(value, text)
      }
    }
  )

  /** Shows the values under the pointer and their time, else those of the whole range. */
  const updateLegend = (): void => {
    const at = plot?.cursor.idx
    const isPointed = at !== null && at !== undefined
    const valueOf = ({ summary, values }: DataSeries): string => {
      const value = isPointed ? values[at] : summary
      return value === null || value === undefined ? (spec.absent ?? "–") : spec.format(value)
    }
    const pointed = isPointed ? chartData.times[at] : undefined
    const isLong = (view?.step ?? 0) * chartData.times.length > 86_400_000
    setText(
      time,
      pointed === undefined ? (view?.name ?? "") : (isLong ? Format.dayAndClock : Format.clock)(pointed * 1000)
    )
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
    ticks: { stroke: colour("--line"), width: 1, size: 4 },
    gap: 3
  })

  const axisLabel = (): string => `${spec.unit ?? ""} per ${stepName(view?.step ?? 0)}`

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
            values: (_, all, __, ___, increment) => [...tickTexts(all, increment)]
          },
          {
            ...axis(),
            size: 54,
            space: 34,
            ...(spec.unit === undefined
              ? {}
              : { label: axisLabel(), labelSize: 16, labelGap: 0, labelFont: "11px system-ui, sans-serif" }),
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
    const names = [axisLabel(), ...series.map(({ name }) => name)].join()
    const existing = drawnNames === names ? plot : undefined
    if (existing === undefined) plot?.destroy()
    const current = existing ?? createPlot(series, data)
    // Outside of a batch, uPlot draws later in the same task, where the charts of one task add up.
    current.batch(() => {
      if (existing !== undefined) current.setData(data)
    })
    plot = current
    drawnNames = names
    const isEmpty = chartData.series.every(({ values }) => values.every((value) => value === null || value === 0))
    empty.hidden = !isEmpty
    setText(empty, spec.title.startsWith("Errors") ? "No errors" : "Nothing yet")
    updateLegend()
  }

  new ResizeObserver(() => plot?.setSize({ width: Math.max(120, box.clientWidth), height })).observe(box)

  return {
    node,
    update: (next: View): void => {
      if (next === view) return
      view = next
      chartData = spec.draw(next)
      redraw()
      const summaries = chartData.series.map(
        ({ name, summary }) => `${name} ${summary === undefined ? (spec.absent ?? "none") : spec.format(summary)}`
      )
      setAttribute(box, "aria-label", `${spec.title}, ${next.name}: ${summaries.join(", ") || "nothing"}.`)
    },
    recolour: (): void => {
      drawnNames = "\n"
      view = undefined
    }
  }
}

export const mount = (parent: Element): Charts => {
  const colour = colourReader()
  const charts = specs.map((spec) => make(spec, colour))
  parent.append(...charts.map(({ node }) => node))
  return {
    *update(view) {
      for (const chart of charts) {
        chart.update(view)
        yield
      }
    },
    recolour: () => charts.forEach((chart) => chart.recolour())
  }
}
