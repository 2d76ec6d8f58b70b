/** Parts of a content as events: those of an answer, whole or in pieces, and those of what a model said before. */
import type { ReasoningPart, ToolCall } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, record, records, string } from "../json.js"
import type { WireEvent, WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"
import { callMark, partMark, textMark } from "./marks.js"
import { named } from "./names.js"
import type { ArgumentsWriter } from "./partialArgs.js"
import { argumentsWriter } from "./partialArgs.js"

/** Sent in the place of a signature that nobody has ("Thought signatures", FAQ). */
export const skipSignature = "skip_thought_signature_validator"

export interface PartReader {
  /** Reads parts in the order in which they come. `path` is where they stand. */
  readonly read: (parts: ReadonlyArray<unknown>, path: string, out: Array<WireEvent>) => WireFailure | undefined
  /** No more parts will come. */
  readonly end: (out: Array<WireEvent>) => void
  /** How many calls there are. */
  readonly calls: () => number
  /** Parts that are neither text nor thought nor call: code that was run, searches, media. */
  readonly others: () => ReadonlyArray<Json>
  /** All that was written, to be counted where nobody counts. */
  readonly written: () => string
}

/** A call whose arguments are still coming. */
interface OpenCall {
  readonly index: number
  readonly id: string
  readonly name: string
  readonly pieces: ArgumentsWriter
  /** Arguments that came at once. */
  whole: string | undefined
}

/** Media are large, and what a model shows need not be shown to it again. */
const isMedia = (kind: string): boolean => kind === "inlineData" || kind === "fileData"

/** The field that says what a part is. */
const kindOf = (part: Json): string | undefined =>
  Object.keys(part).find((field) => isRecord(part[field]) && field !== "partMetadata" && field !== "videoMetadata")

/** `idOf` makes up the id of a call that has none. */
export const partReader = (provider: string | undefined, idOf: (index: number) => string): PartReader => {
  const own = provider === undefined ? {} : { provider }
  const others: Array<Json> = []
  const written: Array<string> = []
  let thoughts = 0
  /** Whether the last thought goes on: nothing has come between, and it is not signed. */
  let thinking = false
  let said = 0
  let calls = 0
  let open: OpenCall | undefined

  const thought = (part: ReasoningPart, out: Array<WireEvent>): void => {
    const { type: _, ...delta } = part
    out.push({ _tag: "ReasoningDelta", index: thoughts - 1, ...delta, ...own })
  }

  const mark = (part: ReasoningPart, out: Array<WireEvent>): void => {
    thinking = false
    thoughts += 1
    thought(part, out)
  }

  const think = (text: string, signature: string | undefined, out: Array<WireEvent>): void => {
    if (!thinking) thoughts += 1
    thought({ type: "reasoning", text, ...(signature === undefined ? {} : { signature }) }, out)
    thinking = signature === undefined
    written.push(text)
  }

  const speak = (text: string, signature: string | undefined, out: Array<WireEvent>): void => {
    if (signature !== undefined) mark(textMark(said, said + text.length, signature), out)
    thinking = false
    if (text === "") return
    said += text.length
    written.push(text)
    out.push({ _tag: "TextDelta", text })
  }

  const argue = ({ id, index, name }: OpenCall, argumentsDelta: string, out: Array<WireEvent>): void => {
    if (argumentsDelta === "") return
    written.push(argumentsDelta)
    out.push({ _tag: "ToolCallDelta", index, id, name, argumentsDelta })
  }

  const close = (out: Array<WireEvent>): void => {
    if (open === undefined) return
    const pieces = open.pieces.end()
    if (open.whole === undefined) argue(open, pieces.rest, out)
    const call: ToolCall = { id: open.id, name: open.name, arguments: open.whole ?? pieces.whole }
    out.push({ _tag: "ToolCallEnd", index: open.index, call })
    open = undefined
  }

  const call = (
    from: Json,
    signature: string | undefined,
    path: string,
    out: Array<WireEvent>
  ): WireFailure | undefined => {
    thinking = false
    const fields = named(from)
    const name = string(fields, "name") ?? ""
    const args = record(fields, "args")
    const pieces = records(fields, "partialArgs")
    if (name !== "") {
      close(out)
      const index = calls
      calls += 1
      open = { index, id: string(fields, "id") || idOf(index), name, pieces: argumentsWriter(), whole: undefined }
    }
    if (open === undefined) {
      return args === undefined && pieces.length === 0 ? undefined : malformed(`${path}.name`, from)
    }
    if (signature !== undefined && signature !== skipSignature) mark(callMark(open.id, signature), out)
    if (args !== undefined) {
      open.whole = JSON.stringify(args)
      argue(open, open.whole, out)
    }
    for (const [index, piece] of pieces.entries()) {
      const text = open.pieces.push(named(piece))
      if (text === undefined) return malformed(`${path}.partialArgs[${index}].jsonPath`, piece)
      argue(open, text, out)
    }
    if (fields["willContinue"] !== true) close(out)
    return undefined
  }

  const other = (part: Json, out: Array<WireEvent>): void => {
    const kind = kindOf(part)
    if (kind === undefined) return
    others.push(part)
    if (!isMedia(kind)) mark(partMark(said, kind, part), out)
  }

  const read = (from: unknown, path: string, out: Array<WireEvent>): WireFailure | undefined => {
    if (!isRecord(from)) return malformed(path, from)
    const part = named(from)
    const signature = string(part, "thoughtSignature") || undefined
    const text = string(part, "text")
    const asked = record(part, "functionCall")
    if (asked !== undefined) return call(asked, signature, `${path}.functionCall`, out)
    if (text === undefined && kindOf(part) !== undefined) other(part, out)
    else if (text !== undefined || signature !== undefined) {
      if ((text ?? "") === "" && signature === undefined) return undefined
      if (part["thought"] === true) think(text ?? "", signature, out)
      else speak(text ?? "", signature, out)
    }
    return undefined
  }

  return {
    read: (parts, path, out) => {
      for (const [index, part] of parts.entries()) {
        const failure = read(part, `${path}[${index}]`, out)
        if (failure !== undefined) return failure
      }
      return undefined
    },
    end: close,
    calls: () => calls,
    others: () => others,
    written: () => written.join("")
  }
}
