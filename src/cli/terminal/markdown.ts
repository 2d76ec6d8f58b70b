/**
 * Markdown for a terminal, as it is written: what is certain is shown at once, and held back is only what the rest of a line
 * may still turn into something else, such as a star that may open an emphasis. However a text is cut into pieces, it looks
 * the same. A table is held back as a whole: how wide its columns are is known at its end.
 */
import * as Table from "./markdownTable.js"
import type { Attribute, Style } from "./style.js"

/** What is known of the text until now. */
export interface State {
  /** The fence that a block of code ends with; empty outside of one. */
  readonly fence: string
  /** The looks of the line that is being written. */
  readonly attributes: ReadonlyArray<Attribute>
  /** Whether the line has been begun, and so its kind is known. */
  readonly started: boolean
  /** The last character that was shown of the line; empty at its beginning. */
  readonly lastCharacter: string
  /** What is held back of the line. */
  readonly pending: string
  /** The lines before it that are a table, or may become one. */
  readonly table: Table.Table
}

export const initial: State = {
  fence: "",
  attributes: [],
  started: false,
  lastCharacter: "",
  pending: "",
  table: Table.none
}

/** What a line may begin with while its kind is not known yet: it may become a heading, a list, a quotation, a rule, a fence. */
const ambiguousStart = /^ *(?:#{1,6}|[-*+]|\d{1,9}[.)]?|>|`{1,2}|~{1,2}|[-*_ ]+)? *$/

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
  readonly output: string
}

const emphasis: ReadonlyArray<{ readonly mark: string; readonly attributes: ReadonlyArray<Attribute> }> = [
  { mark: "***", attributes: ["bold", "italic"] },
  { mark: "**", attributes: ["bold"] },
  { mark: "__", attributes: ["bold"] },
  { mark: "~~", attributes: ["struck"] },
  { mark: "*", attributes: ["italic"] },
  { mark: "_", attributes: ["italic"] }
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

const styledToken = (
  text: string,
  lastCharacter: string,
  isComplete: boolean,
  style: Style,
  attributes: ReadonlyArray<Attribute>
) => {
  if (!isComplete && /^(?:\*+|_+|~+)$/.test(text)) return undefined
  for (const { attributes: added, mark } of emphasis) {
    if (!text.startsWith(mark)) continue
    const next = text[mark.length] ?? ""
    const opens = next !== "" && !/\s/.test(next) && next !== mark[0] && !(mark[0] === "_" && isWordLike(lastCharacter))
    if (!opens) continue
    const end = closingOf(text, mark, mark.length + 1)
    // What follows an underscore decides whether it closes.
    const isCertain = end !== -1 && (isComplete || end + mark.length < text.length)
    if (isCertain) {
      const inner = inline(text.slice(mark.length, end), "", true, style, [...attributes, ...added])
      return { length: end + mark.length, output: inner.output }
    }
    if (!isComplete) return undefined
  }
  const [run = ""] = /^(?:\*+|_+|~+)/.exec(text) ?? []
  return { length: run.length, output: style(run, ...attributes) }
}

const codeToken = (
  text: string,
  isComplete: boolean,
  style: Style,
  attributes: ReadonlyArray<Attribute>
): Token | undefined => {
  const [ticks = ""] = /^`+/.exec(text) ?? []
  const end = new RegExp(`(?<!\`)${ticks}(?!\`)`).exec(text.slice(ticks.length))?.index
  if (end === undefined || (!isComplete && ticks.length + end + ticks.length === text.length)) {
    return isComplete ? { length: ticks.length, output: style(ticks, ...attributes) } : undefined
  }
  const code = text.slice(ticks.length, ticks.length + end).replace(/^ (.*\S.*) $/, "$1")
  return { length: ticks.length + end + ticks.length, output: style(code, ...attributes, "cyan") }
}

const linkToken = (
  text: string,
  isComplete: boolean,
  style: Style,
  attributes: ReadonlyArray<Attribute>
): Token | undefined => {
  const link = /^!?\[([^[\]\n]*)\]\(<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)?)>?(?: "[^"]*")?\)/.exec(text)
  if (link !== null) {
    const [whole, label = "", url = ""] = link
    const output = `${style(label, ...attributes, "underlined")}${label === url ? "" : style(` (${url})`, ...attributes, "dim")}`
    return { length: whole.length, output }
  }
  const mayBecome = /^!?(?:\[[^[\]]*(?:\](?:\([^)]*(?:\([^)]*\)?[^)]*)?)?)?)?$/.test(text)
  return mayBecome && !isComplete ? undefined : { length: 1, output: style(text.slice(0, 1), ...attributes) }
}

const escapeToken = (
  text: string,
  isComplete: boolean,
  style: Style,
  attributes: ReadonlyArray<Attribute>
): Token | undefined => {
  const next = text[1] ?? ""
  if (next === "" && !isComplete) return undefined
  return escapable.test(next)
    ? { length: 2, output: style(next, ...attributes) }
    : { length: 1, output: style("\\", ...attributes) }
}

const tokenOf = (
  text: string,
  lastCharacter: string,
  isComplete: boolean,
  style: Style,
  attributes: ReadonlyArray<Attribute>
) => {
  switch (text[0]) {
    case "`":
      return codeToken(text, isComplete, style, attributes)
    case "\\":
      return escapeToken(text, isComplete, style, attributes)
    case "[":
    case "!":
      return linkToken(text, isComplete, style, attributes)
    default:
      return styledToken(text, lastCharacter, isComplete, style, attributes)
  }
}

interface Inline {
  readonly output: string
  readonly pending: string
  readonly lastCharacter: string
}

/** The certain part of a line, and what is held back of it; nothing is where the line `isWhole`. */
const inline = (
  text: string,
  lastCharacter: string,
  isComplete: boolean,
  style: Style,
  attributes: ReadonlyArray<Attribute>
): Inline => {
  let output = ""
  let rest = text
  let last = lastCharacter
  while (rest !== "") {
    const special = rest.search(/[*_~`[\\!]/)
    const plain = special === -1 ? rest : rest.slice(0, special)
    if (plain !== "") {
      output += style(plain, ...attributes)
      last = plain.slice(-1)
      rest = rest.slice(plain.length)
      continue
    }
    const token = tokenOf(rest, last, isComplete, style, attributes)
    if (token === undefined) return { output, pending: rest, lastCharacter: last }
    output += token.output
    last = rest[token.length - 1] ?? last
    rest = rest.slice(token.length)
  }
  return { output, pending: "", lastCharacter: last }
}

interface Opening {
  /** How much of the line it takes. */
  readonly length: number
  readonly output: string
  readonly attributes: ReadonlyArray<Attribute>
}

/** What a line begins with. */
const prefixOf = (line: string, style: Style): Opening => {
  const title = heading.exec(line)
  if (title !== null) return { length: title[0].length, output: "", attributes: ["bold", "cyan"] }
  const item = bullet.exec(line)
  if (item !== null) return { length: item[0].length, output: `${item[1] ?? ""}${style("•", "cyan")} `, attributes: [] }
  const step = numbered.exec(line)
  if (step !== null) {
    return { length: step[0].length, output: `${step[1] ?? ""}${style(step[2] ?? "", "cyan")} `, attributes: [] }
  }
  const quoted = quotation.exec(line)
  if (quoted !== null) return { length: quoted[0].length, output: style("│ ", "dim"), attributes: ["italic"] }
  return { length: 0, output: "", attributes: [] }
}

const horizontalRule = "─".repeat(24)

/** A line, as far as it is there, or to its end. */
const renderLine = (state: State, line: string, isComplete: boolean, style: Style): readonly [State, string] => {
  if (state.fence !== "") {
    const isEnd = new RegExp(`^ {0,3}${state.fence[0]}{${state.fence.length},}\\s*$`).test(line)
    if (isEnd && isComplete) return [{ ...initial }, ""]
    // A block's end may still become a line of code.
    return !isComplete && /^ {0,3}[`~]*\s*$/.test(line)
      ? [{ ...state, pending: line }, ""]
      : [{ ...state, pending: "", started: true }, style(line, "cyan")]
  }
  if (!state.started) {
    const mayBeFence = /^ {0,3}(?:`{3,}|~{3,})[^`]*$/.test(line)
    if (!isComplete && (ambiguousStart.test(line) || mayBeFence || rule.test(line)))
      return [{ ...state, pending: line }, ""]
    const fence = fenceLine.exec(line)
    if (fence !== null && mayBeFence) return [{ ...initial, fence: fence[1] ?? "" }, ""]
    if (rule.test(line)) return [initial, style(horizontalRule, "dim")]
  }
  const prefix = state.started ? { length: 0, output: "", attributes: state.attributes } : prefixOf(line, style)
  const { lastCharacter, pending, output } = inline(
    line.slice(prefix.length),
    state.lastCharacter,
    isComplete,
    style,
    prefix.attributes
  )
  return [
    { ...state, started: true, attributes: prefix.attributes, lastCharacter, pending },
    `${prefix.output}${output}`
  ]
}

// -------------------------------------------------------------------------------------
// tables
// -------------------------------------------------------------------------------------

const renderCell: Table.RenderCell = (text, style, ...attributes) => inline(text, "", true, style, attributes).output

const renderLines = (lines: ReadonlyArray<string>, style: Style): string =>
  lines.map((line) => `${renderLine(initial, line, true, style)[1]}\n`).join("")

/** A table that is over; what has not become one, as any other lines. */
const closeTable = (table: Table.Table, style: Style): string =>
  Table.isTable(table) ? `${Table.render(table, style, renderCell)}\n` : renderLines(table.lines, style)

/** A whole line that begins with a bar. What is no table, or one that does not fit, is shown as it was written. */
const appendTableLine = (
  table: Table.Table,
  line: string,
  style: Style,
  columns: number
): readonly [Table.Table, string] => {
  const more = Table.appendLine(table, line, columns, renderCell)
  if (more !== undefined) return [more, ""]
  if (table.lines.length !== 1) return [Table.none, renderLines([...table.lines, line], style)]
  // It may be the first of another one.
  const [rest, output] = appendTableLine(Table.none, line, style, columns)
  return [rest, `${renderLines(table.lines, style)}${output}`]
}

const mayBeRow = ({ started, fence }: State, line: string): boolean => !started && fence === "" && Table.isRow(line)

// -------------------------------------------------------------------------------------
// pieces
// -------------------------------------------------------------------------------------

/**
 * Takes the next piece of a text: what is known then, and what of it can be shown. `columns`: how wide a table may be.
 */
export const push = (state: State, piece: string, style: Style, columns = Infinity): readonly [State, string] => {
  const lines = `${state.pending}${piece}`.split("\n")
  let current: State = { ...state, pending: "" }
  let output = ""
  for (const [index, line] of lines.entries()) {
    const isComplete = index < lines.length - 1
    if (mayBeRow(current, line)) {
      const [table, text] = isComplete ? appendTableLine(current.table, line, style, columns) : [current.table, ""]
      output += text
      current = { ...current, pending: isComplete ? "" : line, table }
      continue
    }
    if (current.table !== Table.none) {
      // It may still be a row.
      if (!isComplete && /^ {0,3}$/.test(line)) {
        current = { ...current, pending: line }
        continue
      }
      output += closeTable(current.table, style)
      current = { ...current, table: Table.none }
    }
    const wasFence = current.fence
    const continuesCode = current.started && current.fence !== ""
    const [next, text] =
      continuesCode && index === 0
        ? ([{ ...current, pending: "" }, style(line, "cyan")] as const)
        : renderLine(current, line, isComplete, style)
    output += text
    current = next
    if (isComplete) {
      // The lines of the fences themselves are not shown.
      if (wasFence === next.fence) output += "\n"
      current = { ...initial, fence: next.fence }
    }
  }
  return [current, output]
}

/** What was held back, now that no more comes. */
export const end = (state: State, style: Style, columns = Infinity): string => {
  const { pending, table } = state
  if (mayBeRow(state, pending)) {
    const [last, output] = appendTableLine(table, pending, style, columns)
    return `${output}${closeTable(last, style)}`.slice(0, -1)
  }
  const [, rest] = pending === "" ? [state, ""] : renderLine({ ...state, pending: "" }, pending, true, style)
  return `${closeTable(table, style)}${rest}`
}
