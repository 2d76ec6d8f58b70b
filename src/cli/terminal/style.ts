/** Colours and other attributes of terminal text. */
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

/** Resets all attributes (ECMA-48, SGR 0). */
const reset = "\u001b[0m"

/** Applies attributes to a text. */
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

// Control characters except tab and line feed. The eight-bit ones work like escape sequences.
// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** Removes control characters, so that text of models and providers cannot control the terminal. */
export const sanitize = (text: string): string => text.replace(controls, "")

// oxlint-disable-next-line no-control-regex
const sgr = /\u001b\[[0-9;]*m/g

/** Removes the styles that `coloured` adds. */
export const stripStyle = (text: string): string => text.replace(sgr, "")
