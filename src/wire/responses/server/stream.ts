/** A server writes a stream: items one after the other, each opened, told in pieces, and repeated whole at its end. */
import type { ReasoningPart, ToolCall } from "../../../vocabulary/Chat.js"
import type { ChatEvent, Finish, ReasoningDelta, Start } from "../../../vocabulary/ChatEvent.js"
import type { Json } from "../../json.js"
import { isRecord, string } from "../../json.js"
import type { Frame, StreamEncoder } from "../../Wire.js"
import {
  encodeUsage,
  ending,
  furtherFields,
  furtherItems,
  messageItem,
  refusalPart,
  responseObject,
  stem,
  textPart,
  thoughtItem,
  toolCallItem
} from "./response.js"

type Voice = "text" | "refusal"

interface Message {
  readonly kind: "message"
  readonly id: string
  /** In the order in which they began. */
  readonly parts: Array<{ readonly voice: Voice; text: string }>
  /** Whether the last of the parts may go on. */
  open: boolean
}

interface Thought {
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

/** An item and its place among the items. */
interface Placed<A> {
  readonly item: A
  readonly position: number
}

const partOf = (voice: Voice, text: string): Json => (voice === "text" ? textPart(text) : refusalPart(text))

/** Tools that the client declared to take free text. */
const customTools = (request: Json): ReadonlySet<string> =>
  new Set(
    (Array.isArray(request["tools"]) ? request["tools"] : [])
      .filter(isRecord)
      .filter((tool) => tool["type"] === "custom")
      .map((tool) => string(tool, "name") ?? "")
  )

export const encodeStream = (request: Record<string, unknown>, createdAt = 0): StreamEncoder => {
  const custom = customTools(request)
  const items: Array<Message | Thought | Call> = []
  const calls = new Map<number, Placed<Call>>()
  const thoughts = new Map<number, Placed<Thought> & { readonly piece: number }>()
  /** The one item that is told at a time, calls apart, which may be told side by side. */
  let current: Placed<Message | Thought> | undefined
  let answer = { id: "", model: "" }
  let frames: Array<Frame> = []
  let sequence = 0

  const send = (type: string, fields: Json): void => {
    frames.push({ event: type, data: JSON.stringify({ type, sequence_number: sequence++, ...fields }) })
  }

  const response = (fields: Json): Json => responseObject(request, createdAt, { ...answer, ...fields })

  const place = <A extends Message | Thought | Call>(item: A, added: Json): Placed<A> => {
    const position = items.push(item) - 1
    send("response.output_item.added", { output_index: position, item: added })
    return { item, position }
  }

  const whole = (item: Message | Thought | Call): Json => {
    switch (item.kind) {
      case "message":
        return messageItem(item.id, item.parts, {})
      case "reasoning":
        return thoughtItem(item.id, item.parts)
      case "call":
        return toolCallItem(item.id, item.call)
    }
  }

  const done = ({ item, position }: Placed<Message | Thought | Call>): void =>
    send("response.output_item.done", { output_index: position, item: whole(item) })

  const at = ({ item, position }: Placed<{ readonly id: string }>): Json => ({
    item_id: item.id,
    output_index: position
  })

  // ---------------------------------------------------------------------------------
  // text and refusal
  // ---------------------------------------------------------------------------------

  const endPart = (placed: Placed<Message>): void => {
    const { open, parts } = placed.item
    const last = parts.at(-1)
    if (!open || last === undefined) return
    const where = { ...at(placed), content_index: parts.length - 1 }
    if (last.voice === "text") send("response.output_text.done", { ...where, text: last.text, logprobs: [] })
    else send("response.refusal.done", { ...where, refusal: last.text })
    send("response.content_part.done", { ...where, part: partOf(last.voice, last.text) })
    placed.item.open = false
  }

  const openMessage = (): Placed<Message> => {
    if (current?.item.kind === "message") return { item: current.item, position: current.position }
    close()
    const id = `msg_${stem(answer.id)}_${items.length}`
    const item: Message = { kind: "message", id, parts: [], open: false }
    const placed = place(item, messageItem(id, item.parts, {}, "in_progress"))
    current = placed
    return placed
  }

  const say = (voice: Voice, text: string): void => {
    if (text === "") return
    const placed = openMessage()
    const { item } = placed
    const before = item.parts.at(-1)
    const goesOn = item.open && before?.voice === voice
    if (!goesOn) endPart(placed)
    const part = goesOn ? before : { voice, text: "" }
    if (!goesOn) {
      item.open = true
      const content_index = item.parts.push(part) - 1
      send("response.content_part.added", { ...at(placed), content_index, part: partOf(voice, "") })
    }
    part.text += text
    const where = { ...at(placed), content_index: item.parts.length - 1, delta: text }
    if (voice === "text") send("response.output_text.delta", { ...where, logprobs: [] })
    else send("response.refusal.delta", where)
  }

  // ---------------------------------------------------------------------------------
  // thoughts
  // ---------------------------------------------------------------------------------

  /** A piece of the thought that is being told, where it has its id, or of a new one. */
  const openThought = ({
    _tag,
    index,
    text: _text,
    ...fields
  }: ReasoningDelta): Placed<Thought> & { readonly piece: number } => {
    const told = current?.item.kind === "reasoning" ? { item: current.item, position: current.position } : undefined
    const last = told?.item.parts.at(-1)
    const goesOn = last !== undefined && last.id === fields.id && last.signature === undefined
    if (!goesOn) close()
    const id = `rs_${stem(answer.id)}_${items.length}`
    const placed =
      goesOn && told !== undefined
        ? told
        : place<Thought>(
            { kind: "reasoning", id: fields.id ?? id, parts: [] },
            { id: fields.id ?? id, type: "reasoning", summary: [] }
          )
    current = placed
    const opened = { ...placed, piece: placed.item.parts.push({ type: "reasoning", text: "", ...fields }) - 1 }
    thoughts.set(index, opened)
    return opened
  }

  const isContent = (part: ReasoningPart): boolean => part.format === "reasoning.text"

  /** The pieces shown count apart, as the item has them in two lists. */
  const where = (placed: Placed<Thought> & { readonly piece: number }, part: ReasoningPart): Json => {
    const before = placed.item.parts
      .slice(0, placed.piece)
      .filter((other) => other.text !== "" && isContent(other) === isContent(part))
    return { ...at(placed), [isContent(part) ? "content_index" : "summary_index"]: before.length }
  }

  const think = (event: ReasoningDelta): void => {
    const placed = thoughts.get(event.index) ?? openThought(event)
    const { _tag, index: _index, text, ...fields } = event
    const before = placed.item.parts[placed.piece]
    if (before === undefined) return
    const part: ReasoningPart = { ...before, ...fields, text: before.text + text }
    placed.item.parts[placed.piece] = part
    if (text === "") return
    if (isContent(part)) {
      send("response.reasoning_text.delta", { ...where(placed, part), delta: text })
      return
    }
    if (before.text === "") {
      send("response.reasoning_summary_part.added", {
        ...where(placed, part),
        part: { type: "summary_text", text: "" }
      })
    }
    send("response.reasoning_summary_text.delta", { ...where(placed, part), delta: text })
  }

  const endThought = (placed: Placed<Thought>): void => {
    for (const [piece, part] of placed.item.parts.entries()) {
      if (part.text === "") continue
      const told = where({ ...placed, piece }, part)
      if (isContent(part)) {
        send("response.reasoning_text.done", { ...told, text: part.text })
      } else {
        send("response.reasoning_summary_text.done", { ...told, text: part.text })
        send("response.reasoning_summary_part.done", { ...told, part: { type: "summary_text", text: part.text } })
      }
    }
  }

  const close = (): void => {
    if (current === undefined) return
    const { item, position } = current
    if (item.kind === "message") endPart({ item, position })
    else endThought({ item, position })
    done(current)
    current = undefined
  }

  // ---------------------------------------------------------------------------------
  // calls
  // ---------------------------------------------------------------------------------

  const openCall = (index: number, call: ToolCall): Placed<Call> => {
    const before = calls.get(index)
    if (before !== undefined) return before
    close()
    const type = call.type === "custom" || custom.has(call.name) ? ({ type: "custom" } as const) : {}
    const empty: ToolCall = { id: call.id, name: call.name, arguments: "", ...type }
    const id = `fc_${stem(answer.id)}_${items.length}`
    const added = toolCallItem(id, empty, "in_progress")
    const placed = place<Call>(
      { kind: "call", id, call: empty, ended: false },
      empty.type === "custom" ? added : { ...added, arguments: "" }
    )
    calls.set(index, placed)
    return placed
  }

  const argue = (placed: Placed<Call>, delta: string): void => {
    if (delta === "") return
    const { item } = placed
    item.call = { ...item.call, arguments: item.call.arguments + delta }
    const type = item.call.type === "custom" ? "custom_tool_call_input" : "function_call_arguments"
    send(`response.${type}.delta`, { ...at(placed), delta })
  }

  const endCall = (placed: Placed<Call>, call: ToolCall): void => {
    const { item } = placed
    if (item.ended) return
    if (call.arguments.startsWith(item.call.arguments)) argue(placed, call.arguments.slice(item.call.arguments.length))
    if (item.call.type === "custom") {
      send("response.custom_tool_call_input.done", { ...at(placed), input: call.arguments })
    } else {
      send("response.function_call_arguments.done", { ...at(placed), arguments: call.arguments })
    }
    item.call = call
    item.ended = true
    done(placed)
  }

  // ---------------------------------------------------------------------------------
  // the answer
  // ---------------------------------------------------------------------------------

  const start = ({ id, model }: Start): void => {
    answer = { id, model }
    send("response.created", { response: response({ status: "in_progress" }) })
    send("response.in_progress", { response: response({ status: "in_progress" }) })
  }

  const finish = ({ providerMetadata: metadata, rawReason, reason, usage }: Finish): void => {
    close()
    for (const placed of calls.values()) endCall(placed, placed.item.call)
    const how = ending(reason, rawReason)
    const told = items.map((item) =>
      item.kind === "message" ? messageItem(item.id, item.parts, metadata) : whole(item)
    )
    send(how.status === "incomplete" ? "response.incomplete" : "response.completed", {
      response: {
        ...furtherFields(metadata),
        ...response({
          ...how,
          output: [...told, ...furtherItems(metadata)],
          usage: encodeUsage(usage, metadata)
        })
      }
    })
  }

  const read = (event: ChatEvent): void => {
    switch (event._tag) {
      case "Start":
        return start(event)
      case "TextDelta":
        return say("text", event.text)
      case "RefusalDelta":
        return say("refusal", event.text)
      case "ReasoningDelta":
        return think(event)
      case "ToolCallDelta":
        return argue(openCall(event.index, { id: event.id, name: event.name, arguments: "" }), event.argumentsDelta)
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
      read(event)
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
