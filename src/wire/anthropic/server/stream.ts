/** A server writes a stream: blocks one after the other, each opened, told in pieces, and closed before the next. */
import type { ToolCall } from "../../../vocabulary/Chat.js"
import type { ChatEvent, Finish, ReasoningDelta, Start } from "../../../vocabulary/ChatEvent.js"
import type { Json } from "../../json.js"
import { array, isRecord } from "../../json.js"
import type { Frame, StreamEncoder } from "../../Wire.js"
import { callId } from "../toolCalls.js"
import { encodeError, furtherBlocks, furtherFields, furtherUsage } from "./response.js"
import { encodeStopReason } from "../stopReason.js"
import { sealed, thoughtBlock } from "../reasoning.js"
import { encodeUsage } from "../usage.js"

interface Block {
  readonly kind: "text" | "thought" | "call" | "other"
  /** Which thought or call it is. */
  readonly index: number
  readonly start: Json
  /** Deltas that are yet to be sent. */
  pieces: Array<Json>
  opened: boolean
  closed: boolean
}

/** A call that has a block, and as much of its arguments as was told. */
interface Call {
  readonly block: Block
  told: string
}

export const encodeStream = (): StreamEncoder => {
  /** In the order in which they began. Only the first is being told: others wait, since calls may come side by side. */
  let waiting: Array<Block> = []
  const calls = new Map<number, Call>()
  /** The signature comes last, whenever it was known. */
  let signature = ""
  let position = 0
  let frames: Array<Frame> = []

  const send = (type: string, fields: Json): void => {
    frames.push({ event: type, data: JSON.stringify({ type, ...fields }) })
  }

  const flush = (): void => {
    for (let head = waiting[0]; head !== undefined; head = waiting[0]) {
      if (!head.opened) send("content_block_start", { index: position, content_block: head.start })
      head.opened = true
      for (const delta of head.pieces) send("content_block_delta", { index: position, delta })
      head.pieces = []
      if (!head.closed) return
      send("content_block_stop", { index: position })
      position += 1
      waiting = waiting.slice(1)
    }
  }

  /** Text and thoughts end where something else begins. A call ends when it says so. */
  const closeLast = (): void => {
    const last = waiting.at(-1)
    if (last === undefined || last.closed || last.kind === "call") return
    if (last.kind === "thought" && signature !== "") last.pieces.push({ type: "signature_delta", signature })
    signature = ""
    last.closed = true
  }

  const open = (kind: Block["kind"], index: number, start: Json): Block => {
    closeLast()
    const block: Block = { kind, index, start, pieces: [], opened: false, closed: kind === "other" }
    waiting.push(block)
    return block
  }

  /** The last block, where it is the one that goes on. */
  const current = (kind: Block["kind"], index: number): Block | undefined => {
    const last = waiting.at(-1)
    return last !== undefined && !last.closed && last.kind === kind && last.index === index ? last : undefined
  }

  const say = (text: string): void => {
    if (text === "") return
    const block = current("text", 0) ?? open("text", 0, { type: "text", text: "" })
    block.pieces.push({ type: "text_delta", text })
  }

  const think = (event: ReasoningDelta): void => {
    if (event.format === sealed) {
      open("other", event.index, thoughtBlock(event))
      return
    }
    if (event.text === "" && event.signature === undefined) return
    const block = current("thought", event.index) ?? open("thought", event.index, thoughtBlock({ text: "" }))
    if (event.text !== "") block.pieces.push({ type: "thinking_delta", thinking: event.text })
    signature = event.signature ?? signature
  }

  const openCall = (index: number, { id, name }: Pick<ToolCall, "id" | "name">): Call => {
    const known = calls.get(index)
    if (known !== undefined) return known
    const block = open("call", index, { type: "tool_use", id: callId(id), name, input: {} })
    const call: Call = { block, told: "" }
    calls.set(index, call)
    return call
  }

  const argue = (call: Call, piece: string): void => {
    if (piece === "" || call.block.closed) return
    call.told += piece
    call.block.pieces.push({ type: "input_json_delta", partial_json: piece })
  }

  const endCall = (call: Call, whole: string): void => {
    if (whole.startsWith(call.told)) argue(call, whole.slice(call.told.length))
    call.block.closed = true
  }

  const start = ({ id, model }: Start): void => {
    send("message_start", {
      message: {
        id,
        type: "message",
        role: "assistant",
        model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: 0, output_tokens: 0 }
      }
    })
    send("ping", {})
  }

  const finish = ({ providerMetadata: metadata, rawReason, reason, usage }: Finish): void => {
    const last = current("text", 0)
    for (const citation of last === undefined ? [] : (array(metadata, "citations") ?? [])) {
      last?.pieces.push({ type: "citations_delta", citation })
    }
    closeLast()
    for (const { block } of calls.values()) block.closed = true
    for (const block of furtherBlocks(metadata).filter(isRecord)) open("other", 0, block)
    flush()
    send("message_delta", {
      delta: {
        stop_sequence: null,
        ...furtherFields(metadata),
        stop_reason: encodeStopReason(reason, rawReason, calls.size > 0)
      },
      usage: encodeUsage(usage, furtherUsage(metadata))
    })
    send("message_stop", {})
  }

  const read = (event: ChatEvent): void => {
    switch (event._tag) {
      case "Start":
        return start(event)
      case "TextDelta":
      case "RefusalDelta":
        return say(event.text)
      case "ReasoningDelta":
        return think(event)
      case "ToolCallDelta":
        return argue(openCall(event.index, event), event.argumentsDelta)
      case "ToolCallEnd":
        return endCall(openCall(event.index, event.call), event.call.arguments)
      case "Continued":
        return
      case "Finish":
        return finish(event)
    }
  }

  return {
    push: (event) => {
      frames = []
      read(event)
      flush()
      return frames
    },
    fail: (error) => [{ event: "error", data: JSON.stringify(encodeError(error)) }]
  }
}
