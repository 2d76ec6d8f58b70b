/** Encodes a stream: each item is opened, sent in deltas, and repeated whole at its end. */
import type { ReasoningPart, ToolCall } from "../../../vocabulary/Chat.js"
import type {
  ChatEvent,
  Finish,
  ProviderPart,
  ReasoningDelta,
  RefusalDelta,
  Start,
  TextDelta
} from "../../../vocabulary/ChatEvent.js"
import type { Json } from "../../json.js"
import { isRecord, records, string } from "../../json.js"
import type { Frame, StreamEncoder } from "../../Wire.js"
import type { ContentPart } from "../items.js"
import { continuesReasoning } from "../items.js"
import { isSameMessage, messageFieldsOf, native, nativeItem } from "../native.js"
import {
  callItem,
  completion,
  contentPart,
  encodeUsage,
  endStatus,
  errorFields,
  failure,
  finished,
  idSuffix,
  messageItem,
  messageStatus,
  reasoningItem,
  responseObject
} from "./response.js"
import { lastTextWith } from "./textMetadata.js"

interface Message {
  readonly kind: "message"
  readonly id: string
  parts: Array<ContentPart>
  /** Whether the last part accepts further deltas. */
  open: boolean
  status: string
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

/** An item of a provider part. */
interface Other {
  readonly kind: "other"
  readonly item: Json
}

type Item = Message | ReasoningItem | Call | Other

/** An item and its output index. */
interface Positioned<A> {
  readonly item: A
  readonly position: number
}

/** A part of an item, and its index among the parts of the item. */
interface Place<A> extends Positioned<A> {
  readonly partIndex: number
}

/** The names of tools with free text as input. */
const customTools = (request: Json): ReadonlySet<string> =>
  new Set(
    (Array.isArray(request["tools"]) ? request["tools"] : [])
      .filter(isRecord)
      .filter((tool) => tool["type"] === "custom")
      .map((tool) => string(tool, "name") ?? "")
  )

/** Open Responses, "Streaming HTTP Responses". */
const done: Frame = { data: "[DONE]" }

export const encodeStream = (
  request: Record<string, unknown>,
  createdAt = 0,
  now: () => number = () => createdAt
): StreamEncoder => {
  const custom = customTools(request)
  const items: Array<Item> = []
  const calls = new Map<number, Positioned<Call>>()
  const texts = new Map<number, Place<Message>>()
  const reasoning = new Map<number, Place<ReasoningItem>>()
  /** The open message or reasoning item: one at a time. Tool calls can be open in parallel. */
  let current: Positioned<Message | ReasoningItem> | undefined
  let answer = { id: "", model: "" }
  let frames: Array<Frame> = []
  let sequence = 0

  const send = (type: string, fields: Json): void => {
    frames.push({ event: type, data: JSON.stringify({ type, sequence_number: sequence++, ...fields }) })
  }

  const response = (fields: Json): Json => responseObject(request, createdAt, { ...answer, ...fields })

  const addItem = <A extends Item>(item: A, added: Json): Positioned<A> => {
    const position = items.push(item) - 1
    send("response.output_item.added", { output_index: position, item: added })
    return { item, position }
  }

  const encodeItem = (item: Item): Json => {
    switch (item.kind) {
      case "message":
        return { ...messageItem(item.id, item.parts, item.status), id: item.id }
      case "reasoning":
        return reasoningItem(item.id, item.parts)
      case "call":
        return callItem(item.id, item.call)
      case "other":
        return item.item
    }
  }

  const endItem = ({ item, position }: Positioned<Item>): void =>
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
    const part = contentPart(last)
    if (last.type === "text") {
      for (const [index, annotation] of records(part, "annotations").entries()) {
        send("response.output_text.annotation.added", { ...partRef, annotation_index: index, annotation })
      }
      send("response.output_text.done", { ...partRef, text: last.text, logprobs: part["logprobs"] })
    } else if (last.type === "refusal") {
      send("response.refusal.done", { ...partRef, refusal: last.text })
    }
    send("response.content_part.done", { ...partRef, part })
    entry.item.open = false
  }

  /** The open message if the part is of the same item, else a new one. */
  const messageOf = (part: ContentPart): Positioned<Message> => {
    const fields = messageFieldsOf(native.fieldsOf(part))
    const last = current?.item.kind === "message" ? current.item.parts.at(-1) : undefined
    if (
      current?.item.kind === "message" &&
      last !== undefined &&
      isSameMessage(messageFieldsOf(native.fieldsOf(last)), fields)
    ) {
      return { item: current.item, position: current.position }
    }
    close()
    const id = string(fields ?? {}, "id") || `msg_${idSuffix(answer.id)}_${items.length}`
    const added = { ...messageItem(id, [part]), status: "in_progress", content: [] }
    const entry = addItem<Message>({ kind: "message", id, parts: [], open: false, status: "completed" }, added)
    current = entry
    return entry
  }

  const openPart = (index: number, part: ContentPart): Place<Message> => {
    const entry = messageOf(part)
    endPart(entry)
    entry.item.open = true
    const place = { ...entry, partIndex: entry.item.parts.push(part) - 1 }
    send("response.content_part.added", {
      ...itemRef(entry),
      content_index: place.partIndex,
      part: contentPart(part.type === "provider" ? part : { type: part.type, text: "" })
    })
    texts.set(index, place)
    return place
  }

  const emitText = (type: "text" | "refusal", { _tag, index, text, ...fields }: TextDelta | RefusalDelta): void => {
    if (text === "" && !texts.has(index) && native.fieldsOf(fields) === undefined) return
    const known = texts.get(index)
    // A text that goes on after the end of its item is a new item. Fields alone are added to the item in the completed response.
    const isEnded = known !== undefined && (!known.item.open || known.partIndex !== known.item.parts.length - 1)
    const place =
      known === undefined || (isEnded && text !== "") ? openPart(index, { type, text: "", ...fields }) : known
    const before = place.item.parts[place.partIndex]
    if (before === undefined || before.type === "provider") return
    place.item.parts[place.partIndex] = { ...before, ...fields, text: before.text + text }
    if (text === "") return
    const partRef = { ...itemRef(place), content_index: place.partIndex, delta: text }
    if (type === "text") send("response.output_text.delta", { ...partRef, logprobs: [] })
    else send("response.refusal.delta", partRef)
  }

  const emitProviderPart = ({ index, part }: ProviderPart): void => {
    const item = nativeItem(part)
    if (item !== undefined) {
      close()
      endItem(addItem<Other>({ kind: "other", item }, item))
    } else if (native.fieldsOf(part) !== undefined) {
      openPart(index, part)
    }
  }

  // ---------------------------------------------------------------------------------
  // reasoning
  // ---------------------------------------------------------------------------------

  /** Adds a part to the open reasoning item if it has the same id, else to a new item. */
  const openReasoning = ({ _tag, index, text: _text, ...fields }: ReasoningDelta): Place<ReasoningItem> => {
    const open = current?.item.kind === "reasoning" ? { item: current.item, position: current.position } : undefined
    const last = open?.item.parts.at(-1)
    const continues = last !== undefined && continuesReasoning(last, fields)
    if (!continues) close()
    const id = fields.id ?? `rs_${idSuffix(answer.id)}_${items.length}`
    const entry =
      continues && open !== undefined
        ? open
        : addItem<ReasoningItem>({ kind: "reasoning", id, parts: [] }, { id, type: "reasoning", summary: [] })
    current = entry
    const opened = { ...entry, partIndex: entry.item.parts.push({ type: "reasoning", text: "", ...fields }) - 1 }
    reasoning.set(index, opened)
    return opened
  }

  const isContent = (part: ReasoningPart): boolean => part.format === "reasoning.text"

  /** The item and the index of a part. Content and summary are two lists with separate indexes. */
  const partRef = (entry: Place<ReasoningItem>, part: ReasoningPart): Json => {
    const before = entry.item.parts
      .slice(0, entry.partIndex)
      .filter((other) => other.text !== "" && isContent(other) === isContent(part))
    return { ...itemRef(entry), [isContent(part) ? "content_index" : "summary_index"]: before.length }
  }

  const emitReasoning = (event: ReasoningDelta): void => {
    const known = reasoning.get(event.index)
    const isEnded = known !== undefined && current?.item !== known.item
    const entry = known === undefined || (isEnded && event.text !== "") ? openReasoning(event) : known
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
    const isCustom = call.custom === true || custom.has(call.name)
    const empty: ToolCall = {
      type: "tool-call",
      id: call.id,
      name: call.name,
      arguments: "",
      ...(isCustom ? { custom: true } : {})
    }
    const id = string(native.fieldsOf(call) ?? {}, "id") || `fc_${idSuffix(answer.id)}_${items.length}`
    const added = { ...callItem(id, empty), status: "in_progress" }
    const entry = addItem<Call>(
      { kind: "call", id, call: empty, ended: false },
      isCustom ? added : { ...added, arguments: "" }
    )
    calls.set(index, entry)
    return entry
  }

  const emitArguments = (entry: Positioned<Call>, delta: string): void => {
    if (delta === "") return
    const { item } = entry
    item.call = { ...item.call, arguments: item.call.arguments + delta }
    const type = item.call.custom === true ? "custom_tool_call_input" : "function_call_arguments"
    send(`response.${type}.delta`, { ...itemRef(entry), delta })
  }

  const endCall = (entry: Positioned<Call>, call: ToolCall): void => {
    const { item } = entry
    if (item.ended) return
    if (call.arguments.startsWith(item.call.arguments))
      emitArguments(entry, call.arguments.slice(item.call.arguments.length))
    if (item.call.custom === true) {
      send("response.custom_tool_call_input.done", { ...itemRef(entry), input: call.arguments })
    } else {
      send("response.function_call_arguments.done", { ...itemRef(entry), name: call.name, arguments: call.arguments })
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

  const addTextMetadata = (metadata: Json): void => {
    const item = items.findLast((each) => each.kind === "message")
    if (item !== undefined) item.parts = lastTextWith(item.parts, metadata)
  }

  const finish = ({ providerMetadata: metadata, rawReason, reason, usage }: Finish): void => {
    addTextMetadata(metadata)
    const end = endStatus(reason, rawReason)
    if (current?.item.kind === "message") current.item.status = messageStatus(end)
    close()
    for (const entry of calls.values()) endCall(entry, entry.item.call)
    send(end.status === "incomplete" ? "response.incomplete" : "response.completed", {
      response: finished(request, createdAt, metadata, {
        ...answer,
        ...end,
        ...completion(end, now()),
        output: items.map(encodeItem),
        usage: encodeUsage(usage, metadata)
      })
    })
    frames.push(done)
  }

  const encodeEvent = (event: ChatEvent): void => {
    switch (event._tag) {
      case "Start":
        return start(event)
      case "TextDelta":
        return emitText("text", event)
      case "RefusalDelta":
        return emitText("refusal", event)
      case "ReasoningDelta":
        return emitReasoning(event)
      case "ToolCallDelta":
        return emitArguments(
          openCall(event.index, { type: "tool-call", id: event.id, name: event.name, arguments: "" }),
          event.argumentsDelta
        )
      case "ToolCallEnd":
        return endCall(openCall(event.index, event.call), event.call)
      case "ProviderPart":
        return emitProviderPart(event)
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
    // OpenAI, API reference: responses-streaming/error, which has the fields in the event; Open Responses has them in an object.
    fail: (error) => {
      frames = []
      const fields = errorFields(error)
      const { type: _, ...own } = fields
      send("error", { ...own, error: fields })
      const model = answer.model || (string(request, "model") ?? "")
      send("response.failed", { response: response({ model, ...failure(error) }) })
      frames.push(done)
      return frames
    }
  }
}
