/** Partial values of an answer that streams. */
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import * as ToolArguments from "../tools/arguments.js"
import type { OutputFormat } from "./modes.js"

/** The share by which the text grows between two partial values, so that reading them takes linear time. */
const growth = 1 / 64

/** The value in a text that is cut off; undefined before its first bracket. */
const partialIn = (text: string, { wrapped }: OutputFormat): unknown => {
  const start = text.indexOf("{")
  const json = start < 0 ? undefined : ToolArguments.preview(text.slice(start))
  return wrapped ? json?.["value"] : json
}

/**
 * Reads the events of one answer and returns the partial values after each, at most one. The value is in the arguments of the
 * tool with the name of the format, or else in the text. An unchanged value is not returned again. The last one is the whole value.
 */
export const makeReader = (format: OutputFormat): ((event: ChatEvent) => ReadonlyArray<unknown>) => {
  let text = ""
  let toolArguments = ""
  let toolIndex: number | undefined
  let readAt = 0
  let last = ""
  const append = (event: ChatEvent): boolean => {
    if (event._tag === "TextDelta") text += event.text
    else if (event._tag === "ToolCallDelta" && event.name === format.name) {
      if (toolIndex === undefined) readAt = 0
      toolIndex ??= event.index
      if (event.index === toolIndex) toolArguments += event.argumentsDelta
    } else return event._tag === "Finish"
    return true
  }
  return (event) => {
    if (!append(event)) return []
    const source = toolArguments === "" ? text : toolArguments
    if (event._tag !== "Finish" && source.length < readAt * (1 + growth)) return []
    readAt = source.length
    const value = partialIn(source, format)
    const encoded = JSON.stringify(value)
    if (value === undefined || encoded === last) return []
    last = encoded
    return [value]
  }
}
