/** Readers of answers: one reader a protocol serves whole responses and streams. */
import { reasoningOf, refusalOf, textOf, toolCallsOf } from "../vocabulary/Chat.js"
import { collectAll } from "../vocabulary/chatEvent/collected.js"
import * as Usage from "../vocabulary/Usage.js"
import type { Json } from "./json.js"
import type { BeginRun, TextRun } from "./textRun.js"
import type { Frame, StreamDecoder, WireEvent, WireFailure, WireResponse } from "./Wire.js"

/** The state of one answer while it is read. */
export interface AnswerReader {
  /** Empty until the provider sends it. */
  readonly id: () => string
  /** The requested model until the provider names another. */
  readonly model: () => string
  readonly usage: () => Usage.Usage
  /** Appends the events that are still due at the end, `Finish` included. */
  readonly finish: (out: Array<WireEvent>) => void
}

export const truncated: WireFailure = { _tag: "Truncated" }

/** A whole response from the events of its reader; `metadata` is what a stream does not contain. */
export const wholeAnswer = (answer: AnswerReader, events: Array<WireEvent>, metadata?: Json): WireResponse => {
  answer.finish(events)
  const { content, finish } = collectAll(events)
  const providerMetadata = finish?.providerMetadata ?? {}
  // Not by `Chat.withContent`: a spread takes as long as the rest of the decoding.
  return {
    id: answer.id(),
    model: answer.model(),
    finishReason: finish?.reason ?? "other",
    rawFinishReason: finish?.rawReason ?? "",
    usage: finish?.usage ?? Usage.empty,
    providerMetadata: metadata === undefined ? providerMetadata : { ...providerMetadata, ...metadata },
    content,
    text: textOf(content),
    reasoning: reasoningOf(content),
    refusal: refusalOf(content),
    toolCalls: toolCallsOf(content)
  }
}

/** Assigns the indexes of an answer's parts, in the order in which the parts begin. */
export interface PartIndexes {
  /** The index of a new part, which `continue` can continue if it has this kind. */
  readonly open: (kind?: "text" | "refusal" | "reasoning") => number
  /**
   * The index of the part that was opened last, if it has this kind, else of a new one: for protocols whose deltas do not say where
   * a part begins.
   */
  readonly continue: (kind: "text" | "refusal" | "reasoning") => number
  /** The index of the part that was opened last; -1 before the first. */
  readonly last: () => number
}

export const partIndexes = (): PartIndexes => {
  let count = 0
  let last: string | undefined
  return {
    open: (kind) => {
      last = kind
      return count++
    },
    continue: (kind) => {
      if (last !== kind) count++
      last = kind
      return count - 1
    },
    last: () => count - 1
  }
}

/** Adds a text to the part that the last frame has added to. */
export type AddText = (text: string, out: Array<WireEvent>) => void

/** How a wire reads frames that differ in their text alone. */
interface Runs {
  /** Recognises them: see `TextRuns.make`. */
  readonly begin: BeginRun
  /** Undefined when the last frame did more than to add a text. */
  readonly addText: () => AddText | undefined
}

/**
 * The decoder of one stream. `read` reads a frame and returns the state after it, or undefined when the state stays. A stream that
 * ends in the state `finishing` is complete.
 */
export const streamDecoder = (
  answer: AnswerReader,
  read: (
    frame: Frame,
    out: Array<WireEvent>,
    state: StreamDecoder["state"]
  ) => StreamDecoder["state"] | WireFailure | undefined,
  runs?: Runs
): StreamDecoder => {
  let state: StreamDecoder["state"] = "open"
  /** The run that the last frame belongs to. */
  let run: { readonly textOf: TextRun; readonly addText: AddText } | undefined

  /** The run that a frame begins, which was read as this event alone. */
  const runOf = (frame: Frame, event: WireEvent | undefined): typeof run => {
    if (runs === undefined || event?._tag !== "TextDelta") return undefined
    const addText = runs.addText()
    const textOf = addText && runs.begin(frame, event.text)
    return addText && textOf && { textOf, addText }
  }

  const finish = (out: Array<WireEvent>): undefined => {
    state = "done"
    answer.finish(out)
  }
  return {
    get id() {
      return answer.id()
    },
    get model() {
      return answer.model()
    },
    get state() {
      return state
    },
    get usage() {
      return answer.usage()
    },
    push: (frame, out) => {
      if (state === "done") return undefined
      const text = run?.textOf(frame)
      if (run !== undefined && text !== undefined) {
        run.addText(text, out)
        return undefined
      }
      const size = out.length
      const next = read(frame, out, state)
      const isOpen = state === "open" && (next ?? "open") === "open"
      run = isOpen && out.length === size + 1 ? runOf(frame, out[size]) : undefined
      if (next === undefined) return undefined
      if (typeof next === "object") return next
      if (next === "done") return finish(out)
      state = next
      return undefined
    },
    end: (out) => {
      if (state === "done") return undefined
      return state === "finishing" ? finish(out) : truncated
    }
  }
}
