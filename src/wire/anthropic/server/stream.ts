/** Encodes streams: one block after the other, each with a start, its deltas and a stop. */
import type { ToolCall } from "../../../vocabulary/Chat.js"
import type { ChatEvent, Finish, ReasoningDelta, Start } from "../../../vocabulary/ChatEvent.js"
import type { Json } from "../../json.js"
import { array, isRecord } from "../../json.js"
import type { Frame, StreamEncoder } from "../../Wire.js"
import { callId } from "../toolCalls.js"
import { encodeError, otherBlocks, otherFields, otherUsage } from "./response.js"
import { encodeStopReason } from "../stopReason.js"
import { redacted, reasoningBlock } from "../reasoning.js"
import { encodeUsage } from "../usage.js"

interface Block {
  readonly kind: "text" | "reasoning" | "call" | "other"
  /** The index of the reasoning part or tool call. */
  readonly index: number
  readonly start: Json
  /** Deltas that were not sent yet. */
  deltas: Array<Json>
  opened: boolean
  closed: boolean
}

interface Call {
  readonly block: Block
  /** The arguments so far. */
  arguments: string
}

export const encodeStream = (): StreamEncoder => {
  /** Blocks in the order of their starts. Only the first is sent; others wait, because tool calls can be interleaved. */
  let queue: Array<Block> = []
  const calls = new Map<number, Call>()
  /** The signature of the current reasoning block, which is sent at its end. */
  let signature = ""
  let position = 0
  let frames: Array<Frame> = []

  const send = (type: string, fields: Json): void => {
    frames.push({ event: type, data: JSON.stringify({ type, ...fields }) })
  }

  const flush = (): void => {
    for (let head = queue[0]; head !== undefined; head = queue[0]) {
      if (!head.opened) send("content_block_start", { index: position, content_block: head.start })
      head.opened = true
      for (const delta of head.deltas) send("content_block_delta", { index: position, delta })
      head.deltas = []
      if (!head.closed) return
      send("content_block_stop", { index: position })
      position += 1
      queue = queue.slice(1)
    }
  }

  /** Text and reasoning end when another block starts. A tool call ends with its `ToolCallEnd`. */
  const closeLast = (): void => {
    const last = queue.at(-1)
    if (last === undefined || last.closed || last.kind === "call") return
    if (last.kind === "reasoning" && signature !== "") last.deltas.push({ type: "signature_delta", signature })
    signature = ""
    last.closed = true
  }

  const open = (kind: Block["kind"], index: number, start: Json): Block => {
    closeLast()
    const block: Block = { kind, index, start, deltas: [], opened: false, closed: kind === "other" }
    queue.push(block)
    return block
  }

  /** The last block if it is this one and still open. */
  const current = (kind: Block["kind"], index: number): Block | undefined => {
    const last = queue.at(-1)
    return last !== undefined && !last.closed && last.kind === kind && last.index === index ? last : undefined
  }

  const addText = (text: string): void => {
    if (text === "") return
    const block = current("text", 0) ?? open("text", 0, { type: "text", text: "" })
    block.deltas.push({ type: "text_delta", text })
  }

  const addReasoning = (event: ReasoningDelta): void => {
    if (event.format === redacted) {
      open("other", event.index, reasoningBlock(event))
      return
    }
    if (event.text === "" && event.signature === undefined) return
    const block = current("reasoning", event.index) ?? open("reasoning", event.index, reasoningBlock({ text: "" }))
    if (event.text !== "") block.deltas.push({ type: "thinking_delta", thinking: event.text })
    signature = event.signature ?? signature
  }

  const openCall = (index: number, { id, name }: Pick<ToolCall, "id" | "name">): Call => {
    const existing = calls.get(index)
    if (existing !== undefined) return existing
    const block = open("call", index, { type: "tool_use", id: callId(id), name, input: {} })
    const call: Call = { block, arguments: "" }
    calls.set(index, call)
    return call
  }

  const addArguments = (call: Call, delta: string): void => {
    if (delta === "" || call.block.closed) return
    call.arguments += delta
    call.block.deltas.push({ type: "input_json_delta", partial_json: delta })
  }

  const endCall = (call: Call, whole: string): void => {
    if (whole.startsWith(call.arguments)) addArguments(call, whole.slice(call.arguments.length))
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
      last?.deltas.push({ type: "citations_delta", citation })
    }
    closeLast()
    for (const { block } of calls.values()) block.closed = true
    for (const block of otherBlocks(metadata).filter(isRecord)) open("other", 0, block)
    flush()
    send("message_delta", {
      delta: {
        stop_sequence: null,
        ...otherFields(metadata),
        stop_reason: encodeStopReason(reason, rawReason, calls.size > 0)
      },
      usage: encodeUsage(usage, otherUsage(metadata))
    })
    send("message_stop", {})
  }

  const encode = (event: ChatEvent): void => {
    switch (event._tag) {
      case "Start":
        return start(event)
      case "TextDelta":
      case "RefusalDelta":
        return addText(event.text)
      case "ReasoningDelta":
        return addReasoning(event)
      case "ToolCallDelta":
        return addArguments(openCall(event.index, event), event.argumentsDelta)
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
      encode(event)
      flush()
      return frames
    },
    fail: (error) => [{ event: "error", data: JSON.stringify(encodeError(error)) }]
  }
}
