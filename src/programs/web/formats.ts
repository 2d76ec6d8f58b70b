/** The forms of a body: each turns the events of one stream into text. */
import { Predicate } from "effect"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type { Encoder, Event, Format } from "./model.js"
import * as UIMessageStream from "./uiMessageStream.js"

const textOf = (event: Event): string => {
  if (event._tag === "Answer") return textOf(event.event)
  return event._tag === "TextDelta" ? event.text : ""
}

const text: Encoder = { write: textOf, fail: () => undefined, end: "" }

/** Without what concerns the server alone: keys, attempts, and fields that a provider wants back. */
const publicEvent = (event: ChatEvent): object => {
  switch (event._tag) {
    case "Start":
    case "Continued":
      return { id: event.id, model: event.model }
    case "ToolCallEnd": {
      const { arguments: args, id, name } = event.call
      return { index: event.index, id, name, arguments: args }
    }
    case "ProviderPart":
      return { index: event.index }
    case "Finish":
      return { reason: event.reason, usage: event.usage }
    case "ToolCallDelta":
      return { index: event.index, id: event.id, name: event.name, argumentsDelta: event.argumentsDelta }
    default:
      return { index: event.index, text: event.text }
  }
}

const frame = (name: string, data: object): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

const writeEvent = (event: Event): string => {
  switch (event._tag) {
    case "Answer":
      return frame(event.event._tag, { round: event.round, ...publicEvent(event.event) })
    case "ToolStart": {
      const { id, name } = event.call
      return frame(event._tag, { round: event.round, id, name })
    }
    case "ToolEnd": {
      const { call, result } = event.execution
      const { content, isError = false } = result
      return frame(event._tag, { round: event.round, id: call.id, name: call.name, result: content, isError })
    }
    case "RoundEnd":
      return frame(event._tag, { round: event.round })
    default:
      return "result" in event
        ? frame("LoopFinish", { reason: event.result.response.finishReason, usage: event.result.usage })
        : frame(event._tag, publicEvent(event))
  }
}

const events: Encoder = {
  write: writeEvent,
  fail: ({ message, retryAfter, type }) =>
    frame("Error", { type, message, ...(Predicate.isNotUndefined(retryAfter) ? { retryAfter } : {}) }),
  end: ""
}

interface Body {
  readonly contentType: string
  readonly headers: Readonly<Record<string, string>>
  readonly makeEncoder: () => Encoder
}

/** Keeps proxies from buffering (nginx: `X-Accel-Buffering`) and compressing the stream. */
const unbuffered = { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no" }

export const bodies: Readonly<Record<Format, Body>> = {
  text: { contentType: "text/plain; charset=utf-8", headers: unbuffered, makeEncoder: () => text },
  events: { contentType: "text/event-stream; charset=utf-8", headers: unbuffered, makeEncoder: () => events },
  "ui-messages": {
    contentType: "text/event-stream; charset=utf-8",
    headers: { ...unbuffered, "x-vercel-ai-ui-message-stream": "v1" },
    makeEncoder: UIMessageStream.makeEncoder
  }
}
