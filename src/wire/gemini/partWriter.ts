/**
 * Parts of what a model says, from its thoughts, its text and its calls: the thoughts' marks say what goes where. A client
 * writes history with it, a server an answer at once or as it comes.
 */
import type { AssistantPart, ReasoningPart, ToolCall } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, parseJson } from "../json.js"
import type { Mark } from "./marks.js"
import { markOf } from "./marks.js"

export interface PartWriter {
  readonly thought: (part: ReasoningPart) => ReadonlyArray<Json>
  readonly text: (piece: string) => ReadonlyArray<Json>
  readonly call: (call: ToolCall) => ReadonlyArray<Json>
  /** What was held back because more might have come. */
  readonly end: () => ReadonlyArray<Json>
}

/** The arguments as the object that they must be here. What is none (free text, arguments cut off) goes under a name. */
const argsOf = ({ arguments: text, type }: ToolCall): Json => {
  const args = type === "custom" ? undefined : parseJson(text === "" ? "{}" : text)
  return isRecord(args) ? args : { input: text }
}

const signed = (part: Json, signature: string | undefined): Json =>
  signature === undefined ? part : { ...part, thoughtSignature: signature }

/** A mark, or a thought, which has its place among the marks and none in the text. */
type Waiting = Mark | { readonly _tag: "Thought"; readonly part: Json }

export const partWriter = (options: { readonly callIds: boolean }): PartWriter => {
  const marks: Array<Waiting> = []
  let held = ""
  let written = 0

  const take = (length: number): string => {
    const taken = held.slice(0, Math.max(0, length))
    held = held.slice(taken.length)
    written += taken.length
    return taken
  }

  const speak = (length: number, out: Array<Json>): void => {
    const text = take(length)
    if (text !== "") out.push({ text })
  }

  /** Writes what a mark says. False: the text that it speaks of is not all there. */
  const settle = (mark: Exclude<Waiting, { readonly _tag: "Call" }>, out: Array<Json>): boolean => {
    if (mark._tag === "Thought") {
      out.push(mark.part)
      return true
    }
    speak(mark.start - written, out)
    if (mark._tag === "Part") {
      if (written < mark.start) return false
      out.push(mark.part)
      return true
    }
    if (written + held.length < mark.end) return false
    // The text may have gone before its signature came; then the signature follows it, as in streams of the API.
    out.push({ text: take(mark.end - written), thoughtSignature: mark.signature })
    return true
  }

  /** Writes the text that no mark speaks of, up to the next that one does. */
  const speakUnmarked = (out: Array<Json>): void => {
    const next = marks.find((mark) => mark._tag === "Text" || mark._tag === "Part")
    speak(next === undefined ? held.length : next.start - written, out)
  }

  /** Writes all that need not wait. A call is waited for, as is all that stands behind it. */
  const flow = (out: Array<Json>): void => {
    for (let mark = marks[0]; mark !== undefined && mark._tag !== "Call"; mark = marks[0]) {
      if (!settle(mark, out)) return
      marks.shift()
    }
    speakUnmarked(out)
  }

  /** Writes what can be written of the first marks, for nothing more comes of what they speak of. Calls may yet come. */
  const force = (count: number, out: Array<Json>): void => {
    const calls: Array<Waiting> = []
    for (const mark of marks.splice(0, count)) {
      if (mark._tag === "Call") calls.push(mark)
      else if (!settle(mark, out) && mark._tag === "Part") out.push(mark.part)
    }
    marks.unshift(...calls)
  }

  return {
    thought: (part) => {
      const out: Array<Json> = []
      const mark = markOf(part)
      if (mark !== undefined) marks.push(mark)
      else if (part.text !== "" || part.signature !== undefined) {
        marks.push({ _tag: "Thought", part: signed({ text: part.text, thought: true }, part.signature) })
      }
      flow(out)
      return out
    },
    text: (piece) => {
      const out: Array<Json> = []
      held += piece
      flow(out)
      return out
    },
    call: (call) => {
      const out: Array<Json> = []
      const at = marks.findIndex((mark) => mark._tag === "Call" && mark.id === call.id)
      const [mark] = at === -1 ? [] : marks.splice(at, 1)
      const next = mark === undefined ? marks.findIndex((other) => other._tag === "Call") : at
      force(next === -1 ? marks.length : next, out)
      speakUnmarked(out)
      const functionCall = { ...(options.callIds ? { id: call.id } : {}), name: call.name, args: argsOf(call) }
      out.push(signed({ functionCall }, mark?._tag === "Call" ? mark.signature : undefined))
      flow(out)
      return out
    },
    end: () => {
      const out: Array<Json> = []
      force(marks.length, out)
      speak(held.length, out)
      return out
    }
  }
}

/** All parts of what was said. */
export const partsOf = (
  content: ReadonlyArray<AssistantPart>,
  calls: ReadonlyArray<ToolCall>,
  options: { readonly callIds: boolean }
): ReadonlyArray<Json> => {
  const writer = partWriter(options)
  return [
    ...content.flatMap((part) => {
      if (part.type === "text") return writer.text(part.text)
      return part.type === "reasoning" ? writer.thought(part) : []
    }),
    ...calls.flatMap(writer.call),
    ...writer.end()
  ]
}
