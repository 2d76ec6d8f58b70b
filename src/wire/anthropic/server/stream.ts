/** Encodes streams: one block after the other, each with a start, its deltas and a stop. */
import type { ProviderPart } from "../../../vocabulary/Chat.js"
import type {
  ChatEvent,
  Finish,
  ReasoningDelta,
  RefusalDelta,
  Start,
  TextDelta,
  ToolCallDelta,
  ToolCallEnd
} from "../../../vocabulary/ChatEvent.js"
import type { Json } from "../../json.js"
import { array } from "../../json.js"
import { mergeFields } from "../../native.js"
import type { Frame, StreamEncoder } from "../../Wire.js"
import { containerOf } from "../container.js"
import { native } from "../native.js"
import { callId } from "../toolCalls.js"
import { encodeError, otherFields, otherUsage } from "./response.js"
import { encodeStopReason } from "../stopReason.js"
import { redacted, reasoningBlock } from "../reasoning.js"
import { encodeUsage } from "../usage.js"

interface Block {
  readonly kind: "text" | "reasoning" | "call" | "whole"
  /** The index of the part. */
  readonly index: number
  start: Json
  /** Deltas that were not sent yet. */
  deltas: Array<Json>
  /** The last deltas of the block: its signature or its citations. */
  last: ReadonlyArray<Json>
  /** The arguments of a tool call so far. */
  arguments: string
  opened: boolean
  complete: boolean
}

export const encodeStream = (): StreamEncoder => {
  /** Blocks in the order in which their parts begin. Only the first is sent; others wait, because parts can be interleaved. */
  const queue: Array<Block> = []
  let hasCalls = false
  let container: Json | undefined
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
      // Text and reasoning end when another part begins, a tool call with its `ToolCallEnd`.
      if (!head.complete && (head.kind === "call" || queue.length === 1)) return
      for (const delta of head.last) send("content_block_delta", { index: position, delta })
      send("content_block_stop", { index: position })
      position += 1
      queue.shift()
    }
  }

  const open = (kind: Block["kind"], index: number, start: Json, fields: Json | undefined): Block => {
    const complete = kind === "whole"
    const block: Block = { kind, index, start, deltas: [], last: [], arguments: "", opened: false, complete }
    addFields(block, fields)
    queue.push(block)
    return block
  }

  /** Fields of the protocol are in the start of a block, if they are known then. Citations have a delta. */
  const addFields = (block: Block, fields: Json | undefined): void => {
    if (fields === undefined) return
    if (block.kind !== "text") {
      if (!block.opened) block.start = mergeFields(block.start, fields)
      return
    }
    const { citations: _, ...others } = fields
    if (!block.opened) block.start = mergeFields(block.start, others)
    block.last = (array(fields, "citations") ?? []).map((citation) => ({ type: "citations_delta", citation }))
  }

  /** The block of a part, with these fields: the one in the queue, or a new one. */
  const blockOf = (kind: "text" | "reasoning" | "call", index: number, start: () => Json, fields?: Json): Block => {
    const existing = queue.find((block) => block.index === index && block.kind === kind)
    if (existing === undefined) return open(kind, index, start(), fields)
    addFields(existing, fields)
    return existing
  }

  const addText = (event: TextDelta | RefusalDelta): void => {
    const { index, text } = event
    const fields = native.fieldsOf(event)
    if (text === "" && fields === undefined) return
    const block = blockOf("text", index, () => ({ type: "text", text: "" }), fields)
    if (text !== "") block.deltas.push({ type: "text_delta", text })
  }

  const addReasoning = (event: ReasoningDelta): void => {
    const { format, index, signature, text } = event
    if (text === "" && signature === undefined) return
    const fields = native.fieldsOf(event)
    if (format === redacted) {
      open("whole", index, reasoningBlock(event), fields)
      return
    }
    const block = blockOf("reasoning", index, () => reasoningBlock({ text: "" }), fields)
    if (text !== "") block.deltas.push({ type: "thinking_delta", thinking: text })
    // Clients keep reasoning only if its signature came, and a whole answer has an empty one.
    if (signature !== undefined || block.last.length === 0) {
      block.last = [{ type: "signature_delta", signature: signature ?? "" }]
    }
  }

  const callBlock = (index: number, call: Pick<ToolCallDelta, "id" | "name" | "native">): Block => {
    hasCalls = true
    const start = (): Json => ({ type: "tool_use", id: callId(call.id), name: call.name, input: {} })
    return blockOf("call", index, start, native.fieldsOf(call))
  }

  const addArguments = (block: Block, delta: string): void => {
    if (delta === "" || block.complete) return
    block.arguments += delta
    block.deltas.push({ type: "input_json_delta", partial_json: delta })
  }

  const endCall = ({ call, index }: ToolCallEnd): void => {
    const block = callBlock(index, call)
    if (call.arguments.startsWith(block.arguments)) addArguments(block, call.arguments.slice(block.arguments.length))
    block.complete = true
  }

  const addProviderPart = (index: number, part: ProviderPart): void => {
    const fields = native.fieldsOf(part)
    if (fields === undefined) return
    const own = containerOf(fields)
    if (own === undefined) open("whole", index, fields, undefined)
    else container = own
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
    for (const block of queue) block.complete = true
    flush()
    send("message_delta", {
      delta: {
        stop_sequence: null,
        ...otherFields(metadata),
        ...(container === undefined ? {} : { container }),
        stop_reason: encodeStopReason(reason, rawReason, hasCalls)
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
        return addText(event)
      case "ReasoningDelta":
        return addReasoning(event)
      case "ToolCallDelta":
        return addArguments(callBlock(event.index, event), event.argumentsDelta)
      case "ToolCallEnd":
        return endCall(event)
      case "ProviderPart":
        return addProviderPart(event.index, event.part)
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
