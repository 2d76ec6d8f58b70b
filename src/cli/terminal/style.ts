/** Colours and weights of text, or none of them. */
import { Ansi } from "@effect/printer-ansi"
import type { Service } from "./terminal.js"

const ansi = {
  bold: Ansi.bold,
  italic: Ansi.italicized,
  underlined: Ansi.underlined,
  struck: Ansi.strikethrough,
  dim: Ansi.blackBright,
  red: Ansi.red,
  green: Ansi.green,
  yellow: Ansi.yellow,
  cyan: Ansi.cyan
}

export type Attribute = keyof typeof ansi

/** Ends every style (ECMA-48, SGR 0). */
const reset = "\u001b[0m"

/** Text in a style. */
export type Style = (text: string, ...attributes: ReadonlyArray<Attribute>) => string

export const coloured: Style = (text, ...attributes) =>
  text === "" || attributes.length === 0
    ? text
    : `${Ansi.stringify(attributes.map((attribute) => ansi[attribute]).reduce(Ansi.combine))}${text}${reset}`

export const uncoloured: Style = (text) => text

/** The style of the standard output. */
export const outputStyle = (terminal: Service): Style =>
  terminal.outputIsTerminal && terminal.wantsColour ? coloured : uncoloured

/** The style of the standard error. */
export const errorStyle = (terminal: Service): Style =>
  terminal.errorIsTerminal && terminal.wantsColour ? coloured : uncoloured

// Control characters, but for the tab and the end of a line; the eight-bit ones are as good as escapes.
// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** A text without what a terminal would obey: what models and providers say must not move cursors or rewrite titles. */
export const sanitize = (text: string): string => text.replace(controls, "")

// oxlint-disable-next-line no-control-regex
const sgr = /\u001b\[[0-9;]*m/g

/** A text of our own without its styles. */
export const stripStyle = (text: string): string => text.replace(sgr, "")
