/** Renders Markdown tables (GitHub Flavored Markdown Spec, "Tables") whose lines begin with a bar, in aligned columns. */
import stringWidth from "string-width"
import type { Attribute, Style } from "./style.js"
import { uncoloured } from "./style.js"

/** Lines that are a table, or can become one with the next line. */
export interface Table {
  readonly lines: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
  /** The minimum width of each column. */
  readonly widths: ReadonlyArray<number>
}

export const none: Table = { lines: [], rows: [], widths: [] }

export type RenderCell = (text: string, style: Style, ...attributes: ReadonlyArray<Attribute>) => string

const row = /^ {0,3}\|/

/** Whether a complete or incomplete line begins like a table row. */
export const isRow = (line: string): boolean => row.test(line)

const cellsOf = (line: string): ReadonlyArray<string> =>
  line
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.replaceAll("\\|", "|").replaceAll("\t", " ").trim())

const delimiter = /^:?-+:?$/

const isDelimiters = (cells: ReadonlyArray<string>): boolean => cells.every((cell) => delimiter.test(cell))

const separator = " │ "

const fits = ({ widths }: Table, columns: number): boolean =>
  widths.reduce((sum, width) => sum + width, separator.length * (widths.length - 1)) <= columns

/** Appends the next line to the table; `undefined` if the lines are not a table or too wide. */
export const appendLine = (table: Table, line: string, columns: number, renderCell: RenderCell): Table | undefined => {
  const cells = cellsOf(line)
  const isSecond = table.rows.length === 1
  if (isSecond && (cells.length !== table.rows[0]?.length || !isDelimiters(cells))) return undefined
  const cellWidths = isSecond ? [] : cells.map((cell) => stringWidth(renderCell(cell, uncoloured)))
  const next: Table = {
    lines: [...table.lines, line],
    rows: [...table.rows, cells],
    widths: Array.from({ length: Math.max(table.widths.length, cells.length) }, (_, index) =>
      Math.max(table.widths[index] ?? 0, cellWidths[index] ?? 0)
    )
  }
  return fits(next, columns) ? next : undefined
}

/** Whether the table has its delimiter row. */
export const isTable = ({ rows }: Table): boolean => rows.length > 1

type Alignment = "left" | "right" | "centre"

const alignmentOf = (delimiter: string | undefined): Alignment => {
  if (delimiter === undefined || !delimiter.endsWith(":")) return "left"
  return delimiter.startsWith(":") ? "centre" : "right"
}

/** The numbers of spaces before and after a text that is narrower than its column. */
const padding = (room: number, alignment: Alignment): readonly [before: number, after: number] => {
  if (alignment === "left") return [0, room]
  if (alignment === "right") return [room, 0]
  return [Math.floor(room / 2), Math.ceil(room / 2)]
}

/** Renders the table, without a line break at the end. */
export const render = ({ rows, widths }: Table, style: Style, renderCell: RenderCell): string => {
  const [names = [], delimiters = [], ...body] = rows
  const line = (cells: ReadonlyArray<string>, ...attributes: ReadonlyArray<Attribute>): string =>
    widths
      .map((width, index) => {
        const cell = cells[index] ?? ""
        const [before, after] = padding(
          width - stringWidth(renderCell(cell, uncoloured)),
          alignmentOf(delimiters[index])
        )
        const isLast = index === widths.length - 1
        return `${" ".repeat(before)}${renderCell(cell, style, ...attributes)}${isLast ? "" : " ".repeat(after)}`
      })
      .join(style(separator, "dim"))
  const rule = style(widths.map((width) => "─".repeat(width)).join("─┼─"), "dim")
  return [line(names, "bold"), rule, ...body.map((cells) => line(cells))].join("\n")
}
