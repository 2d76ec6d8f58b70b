/** Encodes a stream: each item is opened, sent in deltas, and repeated whole at its end. */
import type { ReasoningPart, ToolCall } from "../../../vocabulary/Chat.js"
import type { ChatEvent, Finish, ReasoningDelta, Start } from "../../../vocabulary/ChatEvent.js"
import type { Json } from "../../json.js"
import { isRecord, string } from "../../json.js"
import type { Frame, StreamEncoder } from "../../Wire.js"
import {
  encodeUsage,
  endStatus,
  metadataFields,
  metadataItems,
  messageItem,
  refusalPart,
  responseObject,
  idSuffix,
  textPart,
  reasoningOutput,
  toolCallItem
} from "./response.js"

type Channel = "text" | "refusal"

interface Message {
  readonly kind: "message"
  readonly id: string
  readonly parts: Array<{ readonly channel: Channel; text: string }>
  /** Whether the last part accepts further deltas. */
  open: boolean
}

interface ReasoningItem {
  readonly kind: "reasoning"
  readonly id: string
  readonly parts: Array<ReasoningPart>
}

interface Call {
  readonly kind: "call"
  readonly id: string
  call: ToolCall
  ended: boolean
}

/** An item and its output index. */
interface Positioned<A> {
  readonly item: A
  readonly position: number
}

const partOf = (channel: Channel, text: string): Json => (channel === "text" ? textPart(text) : refusalPart(text))

/** The names of tools with free text as input. */
const customTools = (request: Json): ReadonlySet<string> =>
  new Set(
    (Array.isArray(request["tools"]) ? request["tools"] : [])
      .filter(isRecord)
      .filter((tool) => tool["type"] === "custom")
      .map((tool) => string(tool, "name") ?? "")
  )

export const encodeStream = (request: Record<string, unknown>, createdAt = 0): StreamEncoder => {
  const custom = customTools(request)
  const items: Array<Message | ReasoningItem | Call> = []
  const calls = new Map<number, Positioned<Call>>()
  const reasoning = new Map<number, Positioned<ReasoningItem> & { readonly partIndex: number }>()
  /** The open message or reasoning item: one at a time. Tool calls can be open in parallel. */
  let current: Positioned<Message | ReasoningItem> | undefined
  let answer = { id: "", model: "" }
  let frames: Array<Frame> = []
  let sequence = 0

  const send = (type: string, fields: Json): void => {
    frames.push({ event: type, data: JSON.stringify({ type, sequence_number: sequence++, ...fields }) })
  }

  const response = (fields: Json): Json => responseObject(request, createdAt, { ...answer, ...fields })

  const addItem = <A extends Message | ReasoningItem | Call>(item: A, added: Json): Positioned<A> => {
    const position = items.push(item) - 1
    send("response.output_item.added", { output_index: position, item: added })
    return { item, position }
  }

  const encodeItem = (item: Message | ReasoningItem | Call): Json => {
    switch (item.kind) {
      case "message":
        return messageItem(item.id, item.parts, {})
      case "reasoning":
        return reasoningOutput(item.id, item.parts)
      case "call":
        return toolCallItem(item.id, item.call)
    }
  }

  const endItem = ({ item, position }: Positioned<Message | ReasoningItem | Call>): void =>
    send("response.output_item.done", { output_index: position, item: encodeItem(item) })

  const itemRef = ({ item, position }: Positioned<{ readonly id: string }>): Json => ({
    item_id: item.id,
    output_index: position
  })

  // ---------------------------------------------------------------------------------
  // text and refusal
  // ---------------------------------------------------------------------------------

  const endPart = (entry: Positioned<Message>): void => {
    const { open, parts } = entry.item
    const last = parts.at(-1)
    if (!open || last === undefined) return
    const partRef = { ...itemRef(entry), content_index: parts.length - 1 }
    if (last.channel === "text") send("response.output_text.done", { ...partRef, text: last.text, logprobs: [] })
    else send("response.refusal.done", { ...partRef, refusal: last.text })
    send("response.content_part.done", { ...partRef, part: partOf(last.channel, last.text) })
    entry.item.open = false
  }

  const openMessage = (): Positioned<Message> => {
    if (current?.item.kind === "message") return { item: current.item, position: current.position }
    close()
    const id = `msg_${idSuffix(answer.id)}_${items.length}`
    const item: Message = { kind: "message", id, parts: [], open: false }
    const entry = addItem(item, messageItem(id, item.parts, {}, "in_progress"))
    current = entry
    return entry
  }

  const emitText = (channel: Channel, text: string): void => {
    if (text === "") return
    const entry = openMessage()
    const { item } = entry
    const before = item.parts.at(-1)
    const continues = item.open && before?.channel === channel
    if (!continues) endPart(entry)
    const part = continues ? before : { channel, text: "" }
    if (!continues) {
      item.open = true
      const content_index = item.parts.push(part) - 1
      send("response.content_part.added", { ...itemRef(entry), content_index, part: partOf(channel, "") })
    }
    part.text += text
    const partRef = { ...itemRef(entry), content_index: item.parts.length - 1, delta: text }
    if (channel === "text") send("response.output_text.delta", { ...partRef, logprobs: [] })
    else send("response.refusal.delta", partRef)
  }

  // ---------------------------------------------------------------------------------
  // reasoning
  // ---------------------------------------------------------------------------------

  /** Adds a part to the open reasoning item if it has the same id, else to a new item. */
  const openReasoning = ({
    _tag,
    index,
    text: _text,
    ...fields
  }: ReasoningDelta): Positioned<ReasoningItem> & { readonly partIndex: number } => {
    const open = current?.item.kind === "reasoning" ? { item: current.item, position: current.position } : undefined
    const last = open?.item.parts.at(-1)
    const continues = last !== undefined && last.id === fields.id && last.signature === undefined
    if (!continues) close()
    const id = `rs_${idSuffix(answer.id)}_${items.length}`
    const entry =
      continues && open !== undefined
        ? open
        : addItem<ReasoningItem>(
            { kind: "reasoning", id: fields.id ?? id, parts: [] },
            { id: fields.id ?? id, type: "reasoning", summary: [] }
          )
    current = entry
    const opened = { ...entry, partIndex: entry.item.parts.push({ type: "reasoning", text: "", ...fields }) - 1 }
    reasoning.set(index, opened)
    return opened
  }

  const isContent = (part: ReasoningPart): boolean => part.format === "reasoning.text"

  /** The item and the index of a part. Content and summary are two lists with separate indexes. */
  const partRef = (entry: Positioned<ReasoningItem> & { readonly partIndex: number }, part: ReasoningPart): Json => {
    const before = entry.item.parts
      .slice(0, entry.partIndex)
      .filter((other) => other.text !== "" && isContent(other) === isContent(part))
    return { ...itemRef(entry), [isContent(part) ? "content_index" : "summary_index"]: before.length }
  }

  const emitReasoning = (event: ReasoningDelta): void => {
    const entry = reasoning.get(event.index) ?? openReasoning(event)
    const { _tag, index: _index, text, ...fields } = event
    const before = entry.item.parts[entry.partIndex]
    if (before === undefined) return
    const part: ReasoningPart = { ...before, ...fields, text: before.text + text }
    entry.item.parts[entry.partIndex] = part
    if (text === "") return
    if (isContent(part)) {
      send("response.reasoning_text.delta", { ...partRef(entry, part), delta: text })
      return
    }
    if (before.text === "") {
      send("response.reasoning_summary_part.added", {
        ...partRef(entry, part),
        part: { type: "summary_text", text: "" }
      })
    }
    send("response.reasoning_summary_text.delta", { ...partRef(entry, part), delta: text })
  }

  const endReasoning = (entry: Positioned<ReasoningItem>): void => {
    for (const [partIndex, part] of entry.item.parts.entries()) {
      if (part.text === "") continue
      const ref = partRef({ ...entry, partIndex }, part)
      if (isContent(part)) {
        send("response.reasoning_text.done", { ...ref, text: part.text })
      } else {
        send("response.reasoning_summary_text.done", { ...ref, text: part.text })
        send("response.reasoning_summary_part.done", { ...ref, part: { type: "summary_text", text: part.text } })
      }
    }
  }

  const close = (): void => {
    if (current === undefined) return
    const { item, position } = current
    if (item.kind === "message") endPart({ item, position })
    else endReasoning({ item, position })
    endItem(current)
    current = undefined
  }

  // ---------------------------------------------------------------------------------
  // calls
  // ---------------------------------------------------------------------------------

  const openCall = (index: number, call: ToolCall): Positioned<Call> => {
    const before = calls.get(index)
    if (before !== undefined) return before
    close()
    const type = call.type === "custom" || custom.has(call.name) ? ({ type: "custom" } as const) : {}
    const empty: ToolCall = { id: call.id, name: call.name, arguments: "", ...type }
    const id = `fc_${idSuffix(answer.id)}_${items.length}`
    const added = toolCallItem(id, empty, "in_progress")
    const entry = addItem<Call>(
      { kind: "call", id, call: empty, ended: false },
      empty.type === "custom" ? added : { ...added, arguments: "" }
    )
    calls.set(index, entry)
    return entry
  }

  const emitArguments = (entry: Positioned<Call>, delta: string): void => {
    if (delta === "") return
    const { item } = entry
    item.call = { ...item.call, arguments: item.call.arguments + delta }
    const type = item.call.type === "custom" ? "custom_tool_call_input" : "function_call_arguments"
    send(`response.${type}.delta`, { ...itemRef(entry), delta })
  }

  const endCall = (entry: Positioned<Call>, call: ToolCall): void => {
    const { item } = entry
    if (item.ended) return
    if (call.arguments.startsWith(item.call.arguments))
      emitArguments(entry, call.arguments.slice(item.call.arguments.length))
    if (item.call.type === "custom") {
      send("response.custom_tool_call_input.done", { ...itemRef(entry), input: call.arguments })
    } else {
      send("response.function_call_arguments.done", { ...itemRef(entry), arguments: call.arguments })
    }
    item.call = call
    item.ended = true
    endItem(entry)
  }

  // ---------------------------------------------------------------------------------
  // start and end
  // ---------------------------------------------------------------------------------

  const start = ({ id, model }: Start): void => {
    answer = { id, model }
    send("response.created", { response: response({ status: "in_progress" }) })
    send("response.in_progress", { response: response({ status: "in_progress" }) })
  }

  const finish = ({ providerMetadata: metadata, rawReason, reason, usage }: Finish): void => {
    close()
    for (const entry of calls.values()) endCall(entry, entry.item.call)
    const end = endStatus(reason, rawReason)
    const output = items.map((item) =>
      item.kind === "message" ? messageItem(item.id, item.parts, metadata) : encodeItem(item)
    )
    send(end.status === "incomplete" ? "response.incomplete" : "response.completed", {
      response: {
        ...metadataFields(metadata),
        ...response({
          ...end,
          output: [...output, ...metadataItems(metadata)],
          usage: encodeUsage(usage, metadata)
        })
      }
    })
  }

  const encodeEvent = (event: ChatEvent): void => {
    switch (event._tag) {
      case "Start":
        return start(event)
      case "TextDelta":
        return emitText("text", event.text)
      case "RefusalDelta":
        return emitText("refusal", event.text)
      case "ReasoningDelta":
        return emitReasoning(event)
      case "ToolCallDelta":
        return emitArguments(
          openCall(event.index, { id: event.id, name: event.name, arguments: "" }),
          event.argumentsDelta
        )
      case "ToolCallEnd":
        return endCall(openCall(event.index, event.call), event.call)
      case "Continued":
        return
      case "Finish":
        return finish(event)
    }
  }

  return {
    push: (event) => {
      frames = []
      encodeEvent(event)
      return frames
    },
    // OpenAI, API reference: responses-streaming/error.
    fail: ({ code, message, param }) => {
      frames = []
      send("error", { code: code ?? null, message, param: param ?? null })
      return frames
    }
  }
}
