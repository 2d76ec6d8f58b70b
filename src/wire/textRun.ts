/**
 * Reads the text of frames that differ from an earlier frame in nothing else, which most frames of a stream are. To parse the JSON of each
 * of them takes most of the time of decoding a stream.
 */
import { parseJson } from "./json.js"
import type { Frame } from "./Wire.js"

/** What can be in a JSON string: characters, and escapes. RFC 8259, section 7. */
const charactersAt = /[ !#-[\]-\uffff]*/y
const escapeAt = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

const backslash = 0x5c

const digitsAt = /(?:0|[1-9]\d*)(?![\d.eE])/y

/** The names of the fields whose values differ between the frames of a run. */
export interface RunFields {
  /** The field with the text. */
  readonly text: string
  /** Fields without a meaning, such as padding and numbers of events. */
  readonly ignored: ReadonlyArray<string>
}

/** A piece of a frame that is equal in each frame of the run, and the kind of value behind it. */
interface Piece {
  readonly literal: string
  readonly value: "text" | "string" | "digits"
}

/** A run of frames. Returns the text of a frame that belongs to it; undefined for another frame, and for one without text. */
export type TextRun = (frame: Frame) => string | undefined

/** Begins a run with a frame and the text that was read from it; undefined where the frame cannot begin one. */
export type BeginRun = (frame: Frame, text: string) => TextRun | undefined

/** Finds the end of what can be in a string. A single expression for both would need memory for each escape of a text. */
const endOfString = (data: string, start: number): number => {
  let end = start
  for (;;) {
    charactersAt.lastIndex = end
    charactersAt.test(data)
    end = charactersAt.lastIndex
    if (data.charCodeAt(end) !== backslash) return end
    escapeAt.lastIndex = end
    if (!escapeAt.test(data)) return end
    end = escapeAt.lastIndex
  }
}

/** Finds the end of a value; -1 where there is none. */
const endOf = (value: Piece["value"], data: string, start: number): number => {
  if (value !== "digits") return endOfString(data, start)
  digitsAt.lastIndex = start
  return digitsAt.test(data) ? digitsAt.lastIndex : -1
}

const textBetween = (data: string, start: number, end: number): string | undefined => {
  const inside = data.slice(start, end)
  if (!inside.includes("\\")) return inside
  const parsed = parseJson(`"${inside}"`)
  return typeof parsed === "string" ? parsed : undefined
}

const withoutBlanks = (json: string): string => json.replaceAll(" ", "")

/**
 * Begins the runs of a wire, with frames that have one text field. The end of a frame can have spaces, with which Anthropic pads its
 * frames.
 */
export const make = ({ ignored, text: textField }: RunFields): BeginRun => {
  const fieldAt = new RegExp(`"(${[textField, ...ignored].join("|")})"\\s*:\\s*("?)`, "g")

  return (frame, text) => {
    const { data, event } = frame
    const pieces: Array<Piece> = []
    let texts = 0
    let from = 0
    fieldAt.lastIndex = 0
    for (let found = fieldAt.exec(data); found !== null; found = fieldAt.exec(data)) {
      const [, field, quote] = found
      const start = fieldAt.lastIndex
      const isText = field === textField
      const value = isText ? "text" : quote === "" ? "digits" : "string"
      const end = isText && quote === "" ? -1 : endOf(value, data, start)
      // A value of another kind has to be equal in each frame.
      if (end === -1) continue
      if (isText && (++texts > 1 || textBetween(data, start, end) !== text)) return undefined
      pieces.push({ literal: data.slice(from, start), value })
      from = end
      fieldAt.lastIndex = end
    }
    if (texts !== 1) return undefined
    const tail = data.slice(from)
    const bareTail = tail.startsWith('"') && !tail.includes('"', 1) ? withoutBlanks(tail) : undefined

    return ({ data, event: name }) => {
      if (name !== event) return undefined
      let text: string | undefined
      let at = 0
      for (const { literal, value } of pieces) {
        const start = at + literal.length
        if (data.slice(at, start) !== literal) return undefined
        at = endOf(value, data, start)
        if (at === -1) return undefined
        if (value === "text") text = textBetween(data, start, at)
      }
      const rest = data.slice(at)
      return text !== "" && (rest === tail || (bareTail !== undefined && withoutBlanks(rest) === bareTail))
        ? text
        : undefined
    }
  }
}
