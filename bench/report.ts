/** Tables of the figures for people, and all figures as JSON. */
import { cpus } from "node:os"
import { reference } from "./calibration.js"
import type { Comparison } from "./measure.js"

/** In the order of the columns. `CPU µs`, `wall µs` and `load µs` are microseconds per unit of work. */
export const allUnits = [
  "CPU µs",
  "wall µs",
  "steps",
  "CPU ms",
  "ms",
  "kB",
  "requests/s",
  "p50 ms",
  "p99 ms",
  "first byte ms",
  "gap p99 ms",
  "RSS MiB",
  "heap MiB",
  "RSS kB/request",
  "heap kB/request",
  // The CPU of the load generator and the provider.
  "load µs"
] as const

export type Unit = (typeof allUnits)[number]

export interface Row {
  readonly name: string
  readonly values: Readonly<Partial<Record<Unit, number>>>
  /** Why there are no values. */
  readonly error?: string
}

/** A limit that a figure of a group should not exceed, or that it should reach. */
export interface Aim {
  readonly row: string
  readonly unit: Unit
  readonly limit: number
  /** `"at most"` by default. */
  readonly bound?: "at most" | "at least"
  /** The row that the figure is compared with: divided by it, or less it. Without one, the figure itself, and of `CPU µs` the scaled one. */
  readonly beside?: { readonly dividedBy: string } | { readonly less: string }
}

export interface Group {
  readonly title: string
  readonly rows: ReadonlyArray<Row>
  /** The rows by which each row is divided, in the first unit. */
  readonly baselines?: ReadonlyArray<string>
  /** The units in which rows are divided by the baselines, instead of the first. */
  readonly divided?: ReadonlyArray<Unit>
  /** The row that is subtracted from each row. The table shows the difference in the first unit. */
  readonly plain?: string
  /** Microseconds of CPU of the calibration, measured in the same rounds. */
  readonly calibration?: number
  readonly aims?: ReadonlyArray<Aim>
}

export interface Figure {
  readonly group: string
  readonly name: string
  readonly unit?: Unit
  readonly value?: number
  /** A value in `CPU µs` as it would be where the calibration takes its reference time. */
  readonly scaled?: number
  /** The value divided by that of other rows of the group. */
  readonly ratios?: ReadonlyArray<{ readonly to: string; readonly value: number }>
  /** The value less that of another row of the group. */
  readonly added?: { readonly to: string; readonly value: number }
  readonly error?: string
}

export interface Verdict {
  readonly group: string
  readonly aim: string
  readonly limit: number
  /** Absent when a row of the aim was not measured. */
  readonly value?: number
  readonly met: boolean
}

/** The rows of a comparison, with further values of some of them. */
export const rowsOf = (
  { results }: Comparison,
  more: Readonly<Record<string, Readonly<Partial<Record<Unit, number>>>>> = {}
): ReadonlyArray<Row> =>
  results.map((result) =>
    "error" in result
      ? { name: result.name, values: {}, error: result.error }
      : { name: result.name, values: { "CPU µs": result.cpu, "wall µs": result.wall, ...more[result.name] } }
  )

/** The rows and the calibration of a comparison. */
export const compared = (
  comparison: Comparison,
  more?: Readonly<Record<string, Readonly<Partial<Record<Unit, number>>>>>
): Pick<Group, "rows" | "calibration"> => ({
  rows: rowsOf(comparison, more),
  ...("error" in comparison.calibration ? {} : { calibration: comparison.calibration.cpu })
})

const unitsOf = ({ rows }: Group): ReadonlyArray<Unit> =>
  allUnits.filter((unit) => rows.some(({ values }) => values[unit] !== undefined))

const dividedUnitsOf = (group: Group): ReadonlyArray<Unit> => group.divided ?? unitsOf(group).slice(0, 1)

const valueOf = ({ rows }: Group, name: string, unit: Unit): number | undefined =>
  rows.find((row) => row.name === name)?.values[unit]

const scale = ({ calibration }: Group, unit: Unit, value: number): number | undefined =>
  unit === "CPU µs" && calibration !== undefined ? (value * reference) / calibration : undefined

export const figuresOf = (group: Group): ReadonlyArray<Figure> => {
  const divided = dividedUnitsOf(group)
  return group.rows.flatMap(({ error, name, values }): ReadonlyArray<Figure> => {
    if (error !== undefined) return [{ group: group.title, name, error }]
    return unitsOf(group).flatMap((unit) => {
      const value = values[unit]
      if (value === undefined) return []
      const scaled = scale(group, unit, value)
      const ratios = (divided.includes(unit) ? (group.baselines ?? []) : []).flatMap((to) => {
        const baseline = valueOf(group, to, unit)
        return baseline === undefined ? [] : [{ to, value: value / baseline }]
      })
      const plain = group.plain === undefined ? undefined : valueOf(group, group.plain, unit)
      return [
        {
          group: group.title,
          name,
          unit,
          value,
          ...(scaled === undefined ? {} : { scaled }),
          ...(ratios.length === 0 ? {} : { ratios }),
          ...(plain === undefined || group.plain === undefined || name === group.plain
            ? {}
            : { added: { to: group.plain, value: value - plain } })
        }
      ]
    })
  })
}

const measured = (group: Group, { beside, row, unit }: Aim): number | undefined => {
  const value = valueOf(group, row, unit)
  if (value === undefined) return undefined
  if (beside === undefined) return scale(group, unit, value) ?? value
  const other = valueOf(group, "less" in beside ? beside.less : beside.dividedBy, unit)
  if (other === undefined) return undefined
  return "less" in beside ? (scale(group, unit, value - other) ?? value - other) : value / other
}

const textOf = (group: Group, { beside, bound = "at most", limit, row, unit }: Aim): string => {
  const shown = unit === "CPU µs" && group.calibration !== undefined ? "CPU µs, scaled" : unit
  if (beside === undefined) return `${row}: ${bound} ${limit} ${shown}`
  return "less" in beside
    ? `${row} less ${beside.less}: ${bound} ${limit} ${shown}`
    : `${row} ÷ ${beside.dividedBy}: ${bound} ${limit} in ${unit}`
}

export const verdictsOf = (group: Group): ReadonlyArray<Verdict> =>
  (group.aims ?? []).map((aim) => {
    const value = measured(group, aim)
    return {
      group: group.title,
      aim: textOf(group, aim),
      limit: aim.limit,
      ...(value === undefined ? {} : { value }),
      met: value !== undefined && (aim.bound === "at least" ? value >= aim.limit : value <= aim.limit)
    }
  })

// -------------------------------------------------------------------------------------
// printing
// -------------------------------------------------------------------------------------

const digits = (value: number): string =>
  Math.abs(value) >= 1000 ? value.toFixed(0) : Number.isInteger(value) ? String(value) : value.toFixed(2)

const line = (cells: ReadonlyArray<string>): string =>
  cells
    .map((cell, column) => (column === 0 ? cell.padEnd(52) : cell.padStart(Math.max(14, cell.length + 2))))
    .join("")
    .trimEnd()

export const describeVerdict = ({ aim, met, value }: Verdict): string =>
  `${value === undefined ? "not measured" : met ? "met" : "MISSED"}  ${aim}${value === undefined ? "" : ` (${digits(value)})`}`

/** The table of a group, and its aims. */
export const tableOf = (group: Group): string => {
  const units = unitsOf(group)
  const [first] = units
  const isScaled = group.calibration !== undefined && units.includes("CPU µs")
  const baselines = group.baselines ?? []
  const divided = dividedUnitsOf(group)
  const titles = [
    "",
    ...units,
    ...(isScaled ? ["scaled"] : []),
    ...(group.plain === undefined ? [] : [`${first ?? ""} added`]),
    ...divided.flatMap((unit) => baselines.map((name) => (unit === first ? `÷ ${name}` : `${unit} ÷ ${name}`)))
  ]
  const width = (column: number) => Math.max(14, (titles[column] ?? "").length + 2)
  const figures = figuresOf(group)
  const rows = group.rows.map(({ error, name, values }) => {
    if (error !== undefined) return `${name.padEnd(52)}  failed: ${error}`
    const own = figures.filter((figure) => figure.name === name)
    const main = own.find(({ unit }) => unit === first)
    const cells = [
      ...units.map((unit) => (values[unit] === undefined ? "" : digits(values[unit]))),
      ...(isScaled ? [main?.scaled === undefined ? "" : digits(main.scaled)] : []),
      ...(group.plain === undefined ? [] : [main?.added === undefined ? "" : digits(main.added.value)]),
      ...divided.flatMap((unit) =>
        baselines.map((to) => {
          const ratio = own.find((figure) => figure.unit === unit)?.ratios?.find((ratio) => ratio.to === to)
          return ratio === undefined ? "–" : ratio.value.toFixed(2)
        })
      )
    ]
    return name.padEnd(52) + cells.map((cell, index) => cell.padStart(width(index + 1))).join("")
  })
  const verdicts = verdictsOf(group).map((verdict) => `  ${describeVerdict(verdict)}`)
  return ["", group.title, line(titles), ...rows, ...verdicts].join("\n")
}

/** All figures of a run. */
export const reportOf = (groups: ReadonlyArray<Group>) => ({
  node: process.version,
  machine: {
    platform: process.platform,
    architecture: process.arch,
    processor: cpus()[0]?.model ?? "unknown",
    processors: cpus().length,
    /** Microseconds of CPU that scaled values are given for. */
    calibrationReference: reference
  },
  figures: groups.flatMap(figuresOf),
  aims: groups.flatMap(verdictsOf)
})
