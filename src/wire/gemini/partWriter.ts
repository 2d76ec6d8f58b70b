/**
 * Encodes reasoning, text and tool calls of a model as parts. Signatures determine the positions of the parts. Clients use it for
 * assistant messages, servers for whole answers and streams.
 */
import type { AssistantPart, ReasoningPart, ToolCall } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, parseJson } from "../json.js"
import type { Signature } from "./signatures.js"
import { signatureOf } from "./signatures.js"

/** Each method returns the parts that are complete after it. */
export interface PartWriter {
  readonly reasoning: (part: ReasoningPart) => ReadonlyArray<Json>
  readonly text: (delta: string) => ReadonlyArray<Json>
  readonly call: (call: ToolCall) => ReadonlyArray<Json>
  readonly end: () => ReadonlyArray<Json>
}

/** The arguments as an object. Free text, and JSON that is truncated or not an object, becomes the field `input`. */
const argsOf = ({ arguments: text, type }: ToolCall): Json => {
  const args = type === "custom" ? undefined : parseJson(text === "" ? "{}" : text)
  return isRecord(args) ? args : { input: text }
}

const withSignature = (part: Json, signature: string | undefined): Json =>
  signature === undefined ? part : { ...part, thoughtSignature: signature }

/** A signature, or reasoning, which has a position among the signatures but none in the text. */
type Pending = Signature | { readonly _tag: "Reasoning"; readonly part: Json }

export const partWriter = (options: { readonly callIds: boolean }): PartWriter => {
  const pending: Array<Pending> = []
  let buffer = ""
  /** The length of the text written so far. */
  let written = 0

  const takeText = (length: number): string => {
    const taken = buffer.slice(0, Math.max(0, length))
    buffer = buffer.slice(taken.length)
    written += taken.length
    return taken
  }

  const writeText = (length: number, out: Array<Json>): void => {
    const text = takeText(length)
    if (text !== "") out.push({ text })
  }

  /** Writes a signed range, a stored part or reasoning, and the text before it. False when its text has not arrived yet. */
  const write = (entry: Exclude<Pending, { readonly _tag: "Call" }>, out: Array<Json>): boolean => {
    if (entry._tag === "Reasoning") {
      out.push(entry.part)
      return true
    }
    writeText(entry.start - written, out)
    if (entry._tag === "Part") {
      if (written < entry.start) return false
      out.push(entry.part)
      return true
    }
    if (written + buffer.length < entry.end) return false
    // When the text was written before its signature arrived, the signature follows it, as in streams of the API.
    out.push({ text: takeText(entry.end - written), thoughtSignature: entry.signature })
    return true
  }

  /** Writes the text up to the next signed range or stored part. */
  const writeUnsignedText = (out: Array<Json>): void => {
    const next = pending.find((entry) => entry._tag === "Text" || entry._tag === "Part")
    writeText(next === undefined ? buffer.length : next.start - written, out)
  }

  /** Writes all entries that are complete. The signature of a call, and all that follows it, waits for the call. */
  const flush = (out: Array<Json>): void => {
    for (let entry = pending[0]; entry !== undefined && entry._tag !== "Call"; entry = pending[0]) {
      if (!write(entry, out)) return
      pending.shift()
    }
    writeUnsignedText(out)
  }

  /** Writes the first entries even when their text is incomplete, since no more of it follows. Signatures of calls stay. */
  const forceFlush = (count: number, out: Array<Json>): void => {
    const calls: Array<Pending> = []
    for (const entry of pending.splice(0, count)) {
      if (entry._tag === "Call") calls.push(entry)
      else if (!write(entry, out) && entry._tag === "Part") out.push(entry.part)
    }
    pending.unshift(...calls)
  }

  return {
    reasoning: (part) => {
      const out: Array<Json> = []
      const signature = signatureOf(part)
      if (signature !== undefined) pending.push(signature)
      else if (part.text !== "" || part.signature !== undefined) {
        pending.push({ _tag: "Reasoning", part: withSignature({ text: part.text, thought: true }, part.signature) })
      }
      flush(out)
      return out
    },
    text: (delta) => {
      const out: Array<Json> = []
      buffer += delta
      flush(out)
      return out
    },
    call: (call) => {
      const out: Array<Json> = []
      const at = pending.findIndex((entry) => entry._tag === "Call" && entry.id === call.id)
      const [entry] = at === -1 ? [] : pending.splice(at, 1)
      const next = entry === undefined ? pending.findIndex((other) => other._tag === "Call") : at
      forceFlush(next === -1 ? pending.length : next, out)
      writeUnsignedText(out)
      const functionCall = { ...(options.callIds ? { id: call.id } : {}), name: call.name, args: argsOf(call) }
      out.push(withSignature({ functionCall }, entry?._tag === "Call" ? entry.signature : undefined))
      flush(out)
      return out
    },
    end: () => {
      const out: Array<Json> = []
      forceFlush(pending.length, out)
      writeText(buffer.length, out)
      return out
    }
  }
}

/** Encodes a whole message. */
export const partsOf = (
  content: ReadonlyArray<AssistantPart>,
  calls: ReadonlyArray<ToolCall>,
  options: { readonly callIds: boolean }
): ReadonlyArray<Json> => {
  const writer = partWriter(options)
  return [
    ...content.flatMap((part) => {
      if (part.type === "text") return writer.text(part.text)
      return part.type === "reasoning" ? writer.reasoning(part) : []
    }),
    ...calls.flatMap(writer.call),
    ...writer.end()
  ]
}
