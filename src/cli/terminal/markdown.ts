/**
 * Renders streamed Markdown for a terminal. Output whose meaning is certain is returned at once; text that the rest of the line
 * can still change, such as a star that can open an emphasis, stays pending. The result does not depend on how the text is
 * split into chunks. A table stays pending until its end, because only then the widths of its columns are known.
 */
import * as Table from "./markdownTable.js"
import type { Attribute, Style } from "./style.js"

/** The state between two chunks. */
export interface State {
  /** The fence that ends the current code block; empty outside of one. */
  readonly fence: string
  /** The attributes of the current line. */
  readonly attributes: ReadonlyArray<Attribute>
  /** Whether a part of the current line has been rendered, so that its kind is known. */
  readonly started: boolean
  /** The last rendered character of the line; empty at its start. */
  readonly lastCharacter: string
  /** The part of the line that is not rendered yet. */
  readonly pending: string
  /** The preceding lines that are a table or can become one. */
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

/** The start of a line that can still become a heading, a list, a quotation, a rule or a fence. */
const ambiguousStart = /^ *(?:#{1,6}|[-*+]|\d{1,9}[.)]?|>|`{1,2}|~{1,2}|[-*_ ]+)? *$/

const fenceLine = /^ {0,3}(`{3,}|~{3,})/
const heading = /^ {0,3}#{1,6} +/
const rule = /^ {0,3}(?:(?:\* *){3,}|(?:- *){3,}|(?:_ *){3,})$/
const bullet = /^( *)[-*+] +/
const numbered = /^( *)(\d{1,9}[.)]) +/
const quotation = /^ {0,3}> ?/

const isWordLike = (character: string): boolean => /[\p{L}\p{N}]/u.test(character)

const escapable = /[!-/:-@[-`{-~]/

/** The rendered start of a text. Functions that return it return `undefined` while the meaning of the text is uncertain. */
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

/** The index where a mark closes, from `start`; -1 if it does not. */
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
    // The character after an underscore decides whether it closes.
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

/** Renders the certain part of a line; nothing stays pending if the line `isComplete`. */
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
  /** The length of the prefix in the line. */
  readonly length: number
  readonly output: string
  readonly attributes: ReadonlyArray<Attribute>
}

/** The block marker at the start of a line. */
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

/** Renders a complete line, or the certain part of an incomplete one. */
const renderLine = (state: State, line: string, isComplete: boolean, style: Style): readonly [State, string] => {
  if (state.fence !== "") {
    const isEnd = new RegExp(`^ {0,3}${state.fence[0]}{${state.fence.length},}\\s*$`).test(line)
    if (isEnd && isComplete) return [{ ...initial }, ""]
    // The end of a fence can still become a line of code.
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

/** Renders a table at its end, or its lines if it has not become a table. */
const closeTable = (table: Table.Table, style: Style): string =>
  Table.isTable(table) ? `${Table.render(table, style, renderCell)}\n` : renderLines(table.lines, style)

/** Adds a complete line that begins with a bar. Renders the lines unchanged if they are not a table or too wide. */
const appendTableLine = (
  table: Table.Table,
  line: string,
  style: Style,
  columns: number
): readonly [Table.Table, string] => {
  const more = Table.appendLine(table, line, columns, renderCell)
  if (more !== undefined) return [more, ""]
  if (table.lines.length !== 1) return [Table.none, renderLines([...table.lines, line], style)]
  // The line can be the first of another table.
  const [rest, output] = appendTableLine(Table.none, line, style, columns)
  return [rest, `${renderLines(table.lines, style)}${output}`]
}

const mayBeRow = ({ started, fence }: State, line: string): boolean => !started && fence === "" && Table.isRow(line)

// -------------------------------------------------------------------------------------
// chunks
// -------------------------------------------------------------------------------------

/** Renders the next piece of a text. Returns the new state and the output. `columns`: the maximum width of a table. */
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
      // The line can still become a row.
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
      // The lines of the fences are omitted.
      if (wasFence === next.fence) output += "\n"
      current = { ...initial, fence: next.fence }
    }
  }
  return [current, output]
}

/** Renders what is pending at the end of the text. */
export const end = (state: State, style: Style, columns = Infinity): string => {
  const { pending, table } = state
  if (mayBeRow(state, pending)) {
    const [last, output] = appendTableLine(table, pending, style, columns)
    return `${output}${closeTable(last, style)}`.slice(0, -1)
  }
  const [, rest] = pending === "" ? [state, ""] : renderLine({ ...state, pending: "" }, pending, true, style)
  return `${closeTable(table, style)}${rest}`
}
