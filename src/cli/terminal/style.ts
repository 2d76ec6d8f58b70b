/** Colours and weights of text, or none of them. */
import { Ansi } from "@effect/printer-ansi"
import type { Service } from "./screen.js"

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

export type Look = keyof typeof ansi

/** Ends every style (ECMA-48, SGR 0). */
const plain = "\u001b[0m"

/** Text in a style. */
export type Style = (text: string, ...looks: ReadonlyArray<Look>) => string

export const coloured: Style = (text, ...looks) =>
  text === "" || looks.length === 0
    ? text
    : `${Ansi.stringify(looks.map((look) => ansi[look]).reduce(Ansi.combine))}${text}${plain}`

export const uncoloured: Style = (text) => text

/** The style of the standard output. */
export const ofOutput = (screen: Service): Style =>
  screen.outputIsTerminal && screen.wantsColour ? coloured : uncoloured

/** The style of the standard error. */
export const ofError = (screen: Service): Style =>
  screen.errorIsTerminal && screen.wantsColour ? coloured : uncoloured

// Control characters, but for the tab and the end of a line; the eight-bit ones are as good as escapes.
// oxlint-disable-next-line no-control-regex
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** A text without what a terminal would obey: what models and providers say must not move cursors or rewrite titles. */
export const harmless = (text: string): string => text.replace(controls, "")

// oxlint-disable-next-line no-control-regex
const sgr = /\u001b\[[0-9;]*m/g

/** A text of our own without its styles. */
export const withoutStyle = (text: string): string => text.replace(sgr, "")
