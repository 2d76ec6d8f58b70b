/** Figures over time. */
import uPlot from "uplot"
import type { Bucket } from "../snapshot.js"
import { attribute, each, element, write } from "./dom.js"
import type { Figures } from "./figures.js"
import { errorsIn } from "./figures.js"
import * as Format from "./format.js"

/** One colour of a chart. */
interface Line {
  readonly name: string
  /** The name of a custom property in the style sheet. */
  readonly colour: string
  readonly values: ReadonlyArray<number | null>
}

interface Drawing {
  /** In seconds, as the library wants them. */
  readonly times: ReadonlyArray<number>
  readonly lines: ReadonlyArray<Line>
}

interface Plan {
  readonly title: string
  readonly kind: "bars" | "lines"
  readonly format: (value: number) => string
  /** The top of the scale where there is nothing. */
  readonly least: number
  readonly draw: (figures: Figures, minutes: number, now: number, width: number) => Drawing
}

export interface Charts {
  readonly update: (figures: Figures, minutes: number, now: number, width: number) => void
  /** The colours may be others now. */
  readonly recolour: () => void
}

const seconds = (millis: number): number => millis / 1000

/** Bars: thirty to sixty of them, whatever the time shown. */
const bars =
  (linesOf: (columns: ReadonlyArray<ReadonlyArray<Bucket>>) => ReadonlyArray<Line>): Plan["draw"] =>
  (figures, minutes, now, width) => {
    const step = minutes >= 60 ? 60_000 : minutes >= 15 ? 30_000 : width
    const steps = figures.steps(step, (minutes * 60_000) / step, now)
    return { times: steps.map(([start]) => seconds(start)), lines: linesOf(steps.map(([, buckets]) => buckets)) }
  }

const total =
  (of: (bucket: Bucket) => number) =>
  (column: ReadonlyArray<Bucket>): number =>
    column.reduce((sum, bucket) => sum + of(bucket), 0)

/** Lines: percentiles cannot be added up, so they are drawn as finely as they were measured. */
const percentilesOf =
  (which: "latency" | "firstEvent"): Plan["draw"] =>
  (figures, minutes, now, width) => {
    const steps = figures.steps(width, (minutes * 60_000) / width, now)
    const line = (name: "p50" | "p95" | "p99", colour: string): Line => ({
      name,
      colour,
      values: steps.map(([, [bucket]]) => bucket?.[which]?.[name] ?? null)
    })
    return {
      times: steps.map(([start]) => seconds(start)),
      lines: [line("p50", "--chart-1"), line("p95", "--chart-2"), line("p99", "--chart-3")]
    }
  }

const errorColours = ["--chart-4", "--chart-3", "--chart-5", "--chart-6", "--chart-2"]

/** The commonest four classes have colours of their own. */
const errorLines = (columns: ReadonlyArray<ReadonlyArray<Bucket>>): ReadonlyArray<Line> => {
  const all = new Map<string, number>()
  for (const column of columns) {
    for (const bucket of column) for (const [name, n] of errorsIn(bucket)) all.set(name, (all.get(name) ?? 0) + n)
  }
  const names = [...all].sort(([a, n], [b, m]) => m - n || a.localeCompare(b)).map(([name]) => name)
  const own = names.slice(0, 4)
  const countOf = (isIt: (name: string) => boolean) =>
    columns.map(total((bucket) => errorsIn(bucket).reduce((sum, [name, n]) => sum + (isIt(name) ? n : 0), 0)))
  return [
    ...own.map((name, index) => ({
      name: Format.outcome(name),
      colour: errorColours[index] ?? "--chart-6",
      values: countOf((other) => other === name)
    })),
    ...(names.length > 4
      ? [{ name: "others", colour: "--chart-2", values: countOf((name) => !own.includes(name)) }]
      : [])
  ]
}

const plans: ReadonlyArray<Plan> = [
  {
    title: "Requests",
    kind: "bars",
    format: Format.count,
    least: 4,
    draw: bars((columns) => [
      { name: "answered", colour: "--chart-1", values: columns.map(total(({ outcomes }) => outcomes["ok"] ?? 0)) },
      {
        name: "given up",
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
  { title: "Latency", kind: "lines", format: Format.duration, least: 1000, draw: percentilesOf("latency") },
  {
    title: "Time to first token",
    kind: "lines",
    format: Format.duration,
    least: 1000,
    draw: percentilesOf("firstEvent")
  },
  {
    title: "Tokens",
    kind: "bars",
    format: Format.count,
    least: 100,
    draw: bars((columns) => [
      { name: "input", colour: "--chart-1", values: columns.map(total((bucket) => bucket.inputTokens)) },
      { name: "output", colour: "--chart-2", values: columns.map(total((bucket) => bucket.outputTokens)) }
    ])
  },
  {
    title: "Cost",
    kind: "bars",
    format: Format.dollars,
    least: 0.01,
    draw: bars((columns) => [
      { name: "dollars", colour: "--chart-5", values: columns.map(total((bucket) => bucket.cost)) }
    ])
  },
  { title: "Errors by class", kind: "bars", format: Format.count, least: 4, draw: bars(errorLines) }
]

/** A canvas knows no custom properties: this asks the style sheet what they are now. */
const colours = (): ((name: string) => string) => {
  const probe = element("span", { class: "hidden" })
  document.body.append(probe)
  return (name) => {
    probe.style.color = `var(${name})`
    return getComputedStyle(probe).color
  }
}

const height = 150

/** Between the lines of a scale that counts. */
const wholes = Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat()

/** Each line upon those before it, so that what is highest is drawn first. */
const stacked = (lines: ReadonlyArray<Line>): ReadonlyArray<Line> => {
  const sums: Array<number> = []
  return lines
    .map((line) => ({
      ...line,
      values: line.values.map((value, index) => (sums[index] = (sums[index] ?? 0) + (value ?? 0)))
    }))
    .reverse()
}

const translucent = (colour: string): string => colour.replace(/^rgb\((.*)\)$/, "rgba($1, 0.12)")

/** Where there is one value and none beside it, a line has nothing to go to: it is a point. */
const alone: uPlot.Series.Points.Filter = (plot, series) => {
  const values = plot.data[series] ?? []
  const isThere = (index: number): boolean => values[index] !== null && values[index] !== undefined
  return Array.from(values, (_, index) => index).filter(
    (index) => isThere(index) && !isThere(index - 1) && !isThere(index + 1)
  )
}

const make = (plan: Plan, colour: (name: string) => string) => {
  const legend = element("ul", { class: "legend" })
  const box = element("div", { class: "plot", role: "img" })
  const empty = element("p", { class: "nothing" }, "Nothing yet")
  const node = element(
    "figure",
    { class: "card chart" },
    element("figcaption", {}, element("h3", {}, plan.title), legend),
    box,
    empty
  )
  let drawing: Drawing = { times: [], lines: [] }
  let plot: uPlot | undefined
  let drawn = ""

  const whole = (values: Line["values"]): number | null | undefined =>
    plan.kind === "bars"
      ? values.reduce<number>((sum, value) => sum + (value ?? 0), 0)
      : values.findLast((value) => value !== null)

  const entries = each<readonly [Line, string]>(
    legend,
    ([{ name }]) => name,
    ([{ name, colour }]) => {
      const value = element("b")
      const swatch = element("i", { "aria-hidden": "true", class: colour.replace("--", "") })
      return {
        node: element("li", {}, swatch, element("span", {}, name), value),
        update: ([, text]) => write(value, text)
      }
    }
  )

  /** The values under the pointer; or else what bars amount to, and where lines are. */
  const tell = (): void => {
    const at = plot?.cursor.idx
    const valueOf = ({ values }: Line): string => {
      const value = at === null || at === undefined ? whole(values) : values[at]
      return value === null || value === undefined ? "–" : plan.format(value)
    }
    entries(drawing.lines.map((line) => [line, valueOf(line)]))
  }

  const series = (line: Line): uPlot.Series => {
    const stroke = colour(line.colour)
    const paths = uPlot.paths.bars?.({ size: [0.7, 22], radius: 0.15 })
    return plan.kind === "bars"
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
          points: { show: false, size: 5, fill: stroke, width: 0, filter: alone },
          ...(line.name === "p50" ? { fill: translucent(stroke) } : {})
        }
  }

  /** Half of the room of a bar. */
  const margin = (): number => ((drawing.times[1] ?? 0) - (drawing.times[0] ?? 0)) / 2

  const axis = (): uPlot.Axis => ({
    stroke: colour("--muted"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("--grid"), width: 1 },
    ticks: { show: false }
  })

  const open = (lines: ReadonlyArray<Line>, data: uPlot.AlignedData): uPlot =>
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
          points: { show: plan.kind === "lines" }
        },
        scales: {
          x: {
            time: true,
            range: (_, from, to) => (plan.kind === "bars" ? [from - margin(), to + margin()] : [from, to])
          },
          y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : plan.least] }
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
            values: (_, all) => all.map((value) => plan.format(value)),
            ...(plan.format === Format.count ? { incrs: wholes } : {})
          }
        ],
        series: [{}, ...lines.map(series)],
        hooks: { setCursor: [tell] }
      },
      data,
      box
    )

  const paint = (): void => {
    const lines = plan.kind === "bars" ? stacked(drawing.lines) : drawing.lines
    const data: uPlot.AlignedData = [[...drawing.times], ...lines.map(({ values }) => [...values])]
    const names = lines.map(({ name }) => name).join()
    if (plot === undefined || drawn !== names) {
      plot?.destroy()
      plot = open(lines, data)
      drawn = names
    } else plot.setData(data)
    const isEmpty = drawing.lines.every(({ values }) => values.every((value) => value === null || value === 0))
    empty.hidden = !isEmpty
    write(empty, plan.title.startsWith("Errors") ? "No errors" : "Nothing yet")
    tell()
  }

  new ResizeObserver(() => plot?.setSize({ width: Math.max(120, box.clientWidth), height })).observe(box)

  return {
    node,
    update: (next: Drawing): void => {
      drawing = next
      paint()
      const told = drawing.lines.map(({ name, values }) => {
        const value = whole(values)
        return `${name} ${value === undefined || value === null ? "none" : plan.format(value)}`
      })
      attribute(box, "aria-label", `${plan.title} over time: ${told.join(", ") || "nothing"}.`)
    },
    recolour: (): void => {
      drawn = "\n"
      if (plot !== undefined) paint()
    }
  }
}

export const mount = (parent: Element): Charts => {
  const colour = colours()
  const charts = plans.map((plan) => ({ plan, chart: make(plan, colour) }))
  parent.append(...charts.map(({ chart }) => chart.node))
  return {
    update: (figures, minutes, now, width) => {
      for (const { chart, plan } of charts) chart.update(plan.draw(figures, minutes, now, width))
    },
    recolour: () => charts.forEach(({ chart }) => chart.recolour())
  }
}
