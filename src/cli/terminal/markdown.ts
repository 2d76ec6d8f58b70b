/**
 * Markdown for a terminal, as it is written: what is certain is shown at once, and held back is only what the rest of a line
 * may still turn into something else, such as a star that may open an emphasis. However a text is cut into pieces, it looks
 * the same. A table is held back as a whole: how wide its columns are is known at its end.
 */
import * as Table from "./markdownTable.js"
import type { Look, Style } from "./style.js"

/** What is known of the text until now. */
export interface State {
  /** The fence that a block of code ends with; empty outside of one. */
  readonly fence: string
  /** The looks of the line that is being written. */
  readonly looks: ReadonlyArray<Look>
  /** Whether the line has been begun, and so its kind is known. */
  readonly begun: boolean
  /** The last character that was shown of the line; empty at its beginning. */
  readonly before: string
  /** What is held back of the line. */
  readonly held: string
  /** The lines before it that are a table, or may become one. */
  readonly table: Table.Table
}

export const initial: State = { fence: "", looks: [], begun: false, before: "", held: "", table: Table.none }

/** What a line may begin with while its kind is not known yet: it may become a heading, a list, a quotation, a rule, a fence. */
const undecided = /^ *(?:#{1,6}|[-*+]|\d{1,9}[.)]?|>|`{1,2}|~{1,2}|[-*_ ]+)? *$/

const fenceLine = /^ {0,3}(`{3,}|~{3,})/
const heading = /^ {0,3}#{1,6} +/
const rule = /^ {0,3}(?:(?:\* *){3,}|(?:- *){3,}|(?:_ *){3,})$/
const bullet = /^( *)[-*+] +/
const numbered = /^( *)(\d{1,9}[.)]) +/
const quotation = /^ {0,3}> ?/

const isWordLike = (character: string): boolean => /[\p{L}\p{N}]/u.test(character)

const escapable = /[!-/:-@[-`{-~]/

/** What a piece of a line is found to be, from its beginning: so much of it, shown so. `undefined`: not certain yet. */
interface Token {
  readonly length: number
  readonly shown: string
}

const emphasis: ReadonlyArray<{ readonly mark: string; readonly looks: ReadonlyArray<Look> }> = [
  { mark: "***", looks: ["bold", "italic"] },
  { mark: "**", looks: ["bold"] },
  { mark: "__", looks: ["bold"] },
  { mark: "~~", looks: ["struck"] },
  { mark: "*", looks: ["italic"] },
  { mark: "_", looks: ["italic"] }
]

/** Where a mark closes, from `start`; -1 where it does not. */
const closingOf = (text: string, mark: string, start: number): number => {
  for (let at = text.indexOf(mark, start); at !== -1; at = text.indexOf(mark, at + 1)) {
    const previous = text[at - 1] ?? ""
    const next = text[at + mark.length] ?? ""
    if (previous === "\\" || /\s/.test(previous)) continue
    if (mark.length === 1 && (next === mark || previous === mark)) continue
    if (mark.startsWith("_") && isWordLike(next)) continue
    return at
  }
  return -1
}

const styledToken = (text: string, before: string, isWhole: boolean, style: Style, looks: ReadonlyArray<Look>) => {
  if (!isWhole && /^(?:\*+|_+|~+)$/.test(text)) return undefined
  for (const { looks: added, mark } of emphasis) {
    if (!text.startsWith(mark)) continue
    const next = text[mark.length] ?? ""
    const opens = next !== "" && !/\s/.test(next) && next !== mark[0] && !(mark[0] === "_" && isWordLike(before))
    if (!opens) continue
    const end = closingOf(text, mark, mark.length + 1)
    // What follows an underscore decides whether it closes.
    const isCertain = end !== -1 && (isWhole || end + mark.length < text.length)
    if (isCertain) {
      const inner = inline(text.slice(mark.length, end), "", true, style, [...looks, ...added])
      return { length: end + mark.length, shown: inner.shown }
    }
    if (!isWhole) return undefined
  }
  const [run = ""] = /^(?:\*+|_+|~+)/.exec(text) ?? []
  return { length: run.length, shown: style(run, ...looks) }
}

const codeToken = (text: string, isWhole: boolean, style: Style, looks: ReadonlyArray<Look>): Token | undefined => {
  const [ticks = ""] = /^`+/.exec(text) ?? []
  const end = new RegExp(`(?<!\`)${ticks}(?!\`)`).exec(text.slice(ticks.length))?.index
  if (end === undefined || (!isWhole && ticks.length + end + ticks.length === text.length)) {
    return isWhole ? { length: ticks.length, shown: style(ticks, ...looks) } : undefined
  }
  const code = text.slice(ticks.length, ticks.length + end).replace(/^ (.*\S.*) $/, "$1")
  return { length: ticks.length + end + ticks.length, shown: style(code, ...looks, "cyan") }
}

const linkToken = (text: string, isWhole: boolean, style: Style, looks: ReadonlyArray<Look>): Token | undefined => {
  const link = /^!?\[([^[\]\n]*)\]\(<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)?)>?(?: "[^"]*")?\)/.exec(text)
  if (link !== null) {
    const [whole, label = "", url = ""] = link
    const shown = `${style(label, ...looks, "underlined")}${label === url ? "" : style(` (${url})`, ...looks, "dim")}`
    return { length: whole.length, shown }
  }
  const mayBecome = /^!?(?:\[[^[\]]*(?:\](?:\([^)]*(?:\([^)]*\)?[^)]*)?)?)?)?$/.test(text)
  return mayBecome && !isWhole ? undefined : { length: 1, shown: style(text.slice(0, 1), ...looks) }
}

const escapeToken = (text: string, isWhole: boolean, style: Style, looks: ReadonlyArray<Look>): Token | undefined => {
  const next = text[1] ?? ""
  if (next === "" && !isWhole) return undefined
  return escapable.test(next)
    ? { length: 2, shown: style(next, ...looks) }
    : { length: 1, shown: style("\\", ...looks) }
}

const tokenOf = (text: string, before: string, isWhole: boolean, style: Style, looks: ReadonlyArray<Look>) => {
  switch (text[0]) {
    case "`":
      return codeToken(text, isWhole, style, looks)
    case "\\":
      return escapeToken(text, isWhole, style, looks)
    case "[":
    case "!":
      return linkToken(text, isWhole, style, looks)
    default:
      return styledToken(text, before, isWhole, style, looks)
  }
}

interface Inline {
  readonly shown: string
  readonly held: string
  readonly before: string
}

/** The certain part of a line, and what is held back of it; nothing is where the line `isWhole`. */
const inline = (text: string, before: string, isWhole: boolean, style: Style, looks: ReadonlyArray<Look>): Inline => {
  let shown = ""
  let rest = text
  let last = before
  while (rest !== "") {
    const special = rest.search(/[*_~`[\\!]/)
    const plain = special === -1 ? rest : rest.slice(0, special)
    if (plain !== "") {
      shown += style(plain, ...looks)
      last = plain.slice(-1)
      rest = rest.slice(plain.length)
      continue
    }
    const token = tokenOf(rest, last, isWhole, style, looks)
    if (token === undefined) return { shown, held: rest, before: last }
    shown += token.shown
    last = rest[token.length - 1] ?? last
    rest = rest.slice(token.length)
  }
  return { shown, held: "", before: last }
}

interface Opening {
  /** How much of the line it takes. */
  readonly length: number
  readonly shown: string
  readonly looks: ReadonlyArray<Look>
}

/** What a line begins with. */
const openingOf = (line: string, style: Style): Opening => {
  const title = heading.exec(line)
  if (title !== null) return { length: title[0].length, shown: "", looks: ["bold", "cyan"] }
  const item = bullet.exec(line)
  if (item !== null) return { length: item[0].length, shown: `${item[1] ?? ""}${style("•", "cyan")} `, looks: [] }
  const step = numbered.exec(line)
  if (step !== null) {
    return { length: step[0].length, shown: `${step[1] ?? ""}${style(step[2] ?? "", "cyan")} `, looks: [] }
  }
  const quoted = quotation.exec(line)
  if (quoted !== null) return { length: quoted[0].length, shown: style("│ ", "dim"), looks: ["italic"] }
  return { length: 0, shown: "", looks: [] }
}

const wholeRule = "─".repeat(24)

/** A line, as far as it is there, or to its end. */
const advance = (state: State, line: string, isWhole: boolean, style: Style): readonly [State, string] => {
  if (state.fence !== "") {
    const isEnd = new RegExp(`^ {0,3}${state.fence[0]}{${state.fence.length},}\\s*$`).test(line)
    if (isEnd && isWhole) return [{ ...initial }, ""]
    // A block's end may still become a line of code.
    return !isWhole && /^ {0,3}[`~]*\s*$/.test(line)
      ? [{ ...state, held: line }, ""]
      : [{ ...state, held: "", begun: true }, style(line, "cyan")]
  }
  if (!state.begun) {
    const mayBeFence = /^ {0,3}(?:`{3,}|~{3,})[^`]*$/.test(line)
    if (!isWhole && (undecided.test(line) || mayBeFence || rule.test(line))) return [{ ...state, held: line }, ""]
    const fence = fenceLine.exec(line)
    if (fence !== null && mayBeFence) return [{ ...initial, fence: fence[1] ?? "" }, ""]
    if (rule.test(line)) return [initial, style(wholeRule, "dim")]
  }
  const opening = state.begun ? { length: 0, shown: "", looks: state.looks } : openingOf(line, style)
  const { before, held, shown } = inline(line.slice(opening.length), state.before, isWhole, style, opening.looks)
  return [{ ...state, begun: true, looks: opening.looks, before, held }, `${opening.shown}${shown}`]
}

// -------------------------------------------------------------------------------------
// tables
// -------------------------------------------------------------------------------------

const cell: Table.Show = (text, style, ...looks) => inline(text, "", true, style, looks).shown

const asWritten = (lines: ReadonlyArray<string>, style: Style): string =>
  lines.map((line) => `${advance(initial, line, true, style)[1]}\n`).join("")

/** A table that is over; what has not become one, as any other lines. */
const settled = (table: Table.Table, style: Style): string =>
  Table.isTable(table) ? `${Table.render(table, style, cell)}\n` : asWritten(table.lines, style)

/** A whole line that begins with a bar. What is no table, or one that does not fit, is shown as it was written. */
const grown = (table: Table.Table, line: string, style: Style, columns: number): readonly [Table.Table, string] => {
  const more = Table.grown(table, line, columns, cell)
  if (more !== undefined) return [more, ""]
  if (table.lines.length !== 1) return [Table.none, asWritten([...table.lines, line], style)]
  // It may be the first of another one.
  const [rest, shown] = grown(Table.none, line, style, columns)
  return [rest, `${asWritten(table.lines, style)}${shown}`]
}

const mayBeRow = ({ begun, fence }: State, line: string): boolean => !begun && fence === "" && Table.isRow(line)

// -------------------------------------------------------------------------------------
// pieces
// -------------------------------------------------------------------------------------

/**
 * Takes the next piece of a text: what is known then, and what of it can be shown. `columns`: how wide a table may be.
 */
export const push = (state: State, piece: string, style: Style, columns = Infinity): readonly [State, string] => {
  const lines = `${state.held}${piece}`.split("\n")
  let current: State = { ...state, held: "" }
  let shown = ""
  for (const [index, line] of lines.entries()) {
    const isWhole = index < lines.length - 1
    if (mayBeRow(current, line)) {
      const [table, text] = isWhole ? grown(current.table, line, style, columns) : [current.table, ""]
      shown += text
      current = { ...current, held: isWhole ? "" : line, table }
      continue
    }
    if (current.table !== Table.none) {
      // It may still be a row.
      if (!isWhole && /^ {0,3}$/.test(line)) {
        current = { ...current, held: line }
        continue
      }
      shown += settled(current.table, style)
      current = { ...current, table: Table.none }
    }
    const wasFence = current.fence
    const isRest = current.begun && current.fence !== ""
    const [next, text] =
      isRest && index === 0
        ? ([{ ...current, held: "" }, style(line, "cyan")] as const)
        : advance(current, line, isWhole, style)
    shown += text
    current = next
    if (isWhole) {
      // The lines of the fences themselves are not shown.
      if (wasFence === next.fence) shown += "\n"
      current = { ...initial, fence: next.fence }
    }
  }
  return [current, shown]
}

/** What was held back, now that no more comes. */
export const end = (state: State, style: Style, columns = Infinity): string => {
  const { held, table } = state
  if (mayBeRow(state, held)) {
    const [last, shown] = grown(table, held, style, columns)
    return `${shown}${settled(last, style)}`.slice(0, -1)
  }
  const [, rest] = held === "" ? [state, ""] : advance({ ...state, held: "" }, held, true, style)
  return `${settled(table, style)}${rest}`
}
