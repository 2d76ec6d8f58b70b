/** Results for people and for programs. */
import { Effect } from "effect"
import type { Look } from "./terminal/style.js"
import { harmless, ofOutput } from "./terminal/style.js"
import { Screen } from "./terminal/screen.js"

/** JSON that people can read too. */
export const printJson = (json: unknown): Effect.Effect<void, never, Screen> =>
  Effect.flatMap(Screen, (screen) => screen.write(`${JSON.stringify(json, undefined, 2)}\n`))

export interface Cell {
  readonly text: string
  readonly looks?: ReadonlyArray<Look>
  /** Figures stand at the right. @default false */
  readonly right?: boolean
}

const padded = ({ right = false, text }: Cell, width: number): string =>
  right ? text.padStart(width) : text.padEnd(width)

/** Rows in columns under their names. */
export const printTable = (
  names: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<Cell>>
): Effect.Effect<void, never, Screen> =>
  Effect.flatMap(Screen, (screen) => {
    const style = ofOutput(screen)
    const cells = rows.map((row) => row.map((cell) => ({ ...cell, text: harmless(cell.text) })))
    const header = names.map((text, column): Cell => ({
      text,
      looks: ["dim"],
      right: cells[0]?.[column]?.right ?? false
    }))
    const all = [header, ...cells]
    const widths = names.map((_, column) => Math.max(...all.map((row) => row[column]?.text.length ?? 0)))
    const lineOf = (row: ReadonlyArray<Cell>): string =>
      row
        .map((cell, column) => {
          const isLast = column === row.length - 1 && cell.right !== true
          return style(isLast ? cell.text : padded(cell, widths[column] ?? 0), ...(cell.looks ?? []))
        })
        .join("  ")
        .trimEnd()
    return screen.write(all.map((row) => `${lineOf(row)}\n`).join(""))
  })
