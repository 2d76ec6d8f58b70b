/**
 * Writes the events of a stream as parts in the order of their indexes: the protocol has no index, and the order of its parts is
 * the order of the chunks.
 *
 * - A call is written whole when it is complete. What follows it waits for it.
 * - Pieces of text are written at once. A piece with a signature or other fields waits for the end of its part, since only the last
 *   value counts; pieces before it are parts of their own, as in streams of the API.
 */
import type { AssistantPart } from "../../../vocabulary/Chat.js"
import type { ChatEvent } from "../../../vocabulary/ChatEvent.js"
import type { Json } from "../../json.js"
import { native } from "../native.js"
import { encodePart } from "../partWriter.js"

export interface StreamParts {
  /** The parts that are complete after an event. */
  readonly push: (event: ChatEvent) => ReadonlyArray<Json>
  /** All parts that are left. */
  readonly end: () => ReadonlyArray<Json>
  /** The number of complete tool calls. */
  readonly calls: () => number
}

type Piece = Exclude<AssistantPart, { readonly type: "tool-call" | "provider" }>

interface Indexed<A> {
  readonly index: number
  readonly part: A
}

const isSigned = (part: Piece): boolean =>
  native.fieldsOf(part) !== undefined || (part.type === "reasoning" && part.signature !== undefined)

const options = { callIds: true }

export const streamParts = (): StreamParts => {
  const openCalls = new Set<number>()
  /** Parts behind an open call, in the order of their indexes. */
  const waiting: Array<Indexed<Json>> = []
  /** The piece with a signature, whose part can continue. */
  let signed: Indexed<Piece> | undefined
  let calls = 0

  const isBehindCall = (index: number): boolean => {
    for (const call of openCalls) if (call < index) return true
    return false
  }

  const write = (index: number, part: AssistantPart, out: Array<Json>): void => {
    const encoded = encodePart(part, options)
    if (encoded === undefined) return
    if (isBehindCall(index)) {
      waiting.splice(waiting.findLastIndex((each) => each.index <= index) + 1, 0, { index, part: encoded })
    } else out.push(encoded)
  }

  const writeSigned = (out: Array<Json>): void => {
    if (signed === undefined) return
    const { index, part } = signed
    signed = undefined
    write(index, part, out)
  }

  const writePiece = (index: number, part: Piece, out: Array<Json>): void => {
    if (signed !== undefined) {
      signed = { index, part: { ...signed.part, ...part, text: signed.part.text + part.text } }
    } else if (isSigned(part)) signed = { index, part }
    else write(index, part, out)
  }

  const writeWaiting = (out: Array<Json>): void => {
    for (let first = waiting[0]; first !== undefined && !isBehindCall(first.index); first = waiting[0]) {
      out.push(first.part)
      waiting.shift()
    }
  }

  const read = (event: ChatEvent, out: Array<Json>): void => {
    switch (event._tag) {
      case "TextDelta": {
        const { _tag, index, ...piece } = event
        return writePiece(index, { type: "text", ...piece }, out)
      }
      case "RefusalDelta": {
        const { _tag, index, ...piece } = event
        return writePiece(index, { type: "refusal", ...piece }, out)
      }
      case "ReasoningDelta": {
        const { _tag, index, ...piece } = event
        return writePiece(index, { type: "reasoning", ...piece }, out)
      }
      case "ToolCallDelta":
        openCalls.add(event.index)
        return
      case "ToolCallEnd":
        calls += 1
        openCalls.delete(event.index)
        write(event.index, event.call, out)
        return writeWaiting(out)
      case "ProviderPart":
        return write(event.index, event.part, out)
      case "Continued":
        // The calls of the stream that failed do not end.
        openCalls.clear()
        return writeWaiting(out)
    }
  }

  return {
    push: (event) => {
      const out: Array<Json> = []
      if (signed !== undefined && "index" in event && event.index !== signed.index) writeSigned(out)
      read(event, out)
      return out
    },
    end: () => {
      const out: Array<Json> = []
      openCalls.clear()
      writeSigned(out)
      writeWaiting(out)
      return out
    },
    calls: () => calls
  }
}
