/** Prints results as JSON and as tables. */
import { Effect } from "effect"
import type { Attribute } from "./terminal/style.js"
import { errorStyle, sanitize, outputStyle } from "./terminal/style.js"
import { Terminal } from "./terminal/terminal.js"

/** Prints indented JSON. */
export const printJson = (json: unknown): Effect.Effect<void, never, Terminal> =>
  Effect.flatMap(Terminal, (terminal) => terminal.write(`${JSON.stringify(json, undefined, 2)}\n`))

/** Writes a note to standard error if it is a terminal. */
export const writeNote = (text: string | undefined): Effect.Effect<void, never, Terminal> =>
  Effect.flatMap(Terminal, (terminal) =>
    text !== undefined && terminal.errorIsTerminal
      ? terminal.writeError(`${errorStyle(terminal)(sanitize(text), "dim")}\n`)
      : Effect.void
  )

export interface Cell {
  readonly text: string
  readonly attributes?: ReadonlyArray<Attribute>
  /** Whether the cell is right-aligned. @default false */
  readonly right?: boolean
}

const pad = ({ right = false, text }: Cell, width: number): string =>
  right ? text.padStart(width) : text.padEnd(width)

/** Prints rows in aligned columns below a header. */
export const printTable = (
  header: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<Cell>>
): Effect.Effect<void, never, Terminal> =>
  Effect.flatMap(Terminal, (terminal) => {
    const style = outputStyle(terminal)
    const cells = rows.map((row) => row.map((cell) => ({ ...cell, text: sanitize(cell.text) })))
    const headerRow = header.map((text, column): Cell => ({
      text,
      attributes: ["dim"],
      right: cells[0]?.[column]?.right ?? false
    }))
    const all = [headerRow, ...cells]
    const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.text.length ?? 0)))
    const lineOf = (row: ReadonlyArray<Cell>): string =>
      row
        .map((cell, column) => {
          const isLast = column === row.length - 1 && cell.right !== true
          return style(isLast ? cell.text : pad(cell, widths[column] ?? 0), ...(cell.attributes ?? []))
        })
        .join("  ")
        .trimEnd()
    return terminal.write(all.map((row) => `${lineOf(row)}\n`).join(""))
  })
