/** Encodes responses, whole and as streams. docs.ollama.com/api/chat and docs.ollama.com/api/streaming */
import type { ChatResponse, FinishReason, ToolCall } from "../../../vocabulary/Chat.js"
import { reasoningOf, toolCallsOf } from "../../../vocabulary/Chat.js"
import type { ChatEvent, Finish } from "../../../vocabulary/ChatEvent.js"
import type { Usage } from "../../../vocabulary/Usage.js"
import type { Json } from "../../json.js"
import { isRecord, parseJson } from "../../json.js"
import { textField } from "../../textField.js"
import type { Frame, StreamEncoder, Wire } from "../../Wire.js"
import { decodeReason, concatenatedLists } from "../answer.js"

/** A constant, since a wire has no clock. */
const created_at = "1970-01-01T00:00:00Z"

/** The metadata of the line, without the fields of the protocol. */
const lineMetadata = (metadata: Json): Json => {
  const excluded = new Set<string>([
    concatenatedLists.message,
    "model",
    "message",
    "response",
    "thinking",
    "error",
    "done",
    "done_reason"
  ])
  return Object.fromEntries(Object.entries(metadata).filter(([field]) => !excluded.has(field)))
}

const messageMetadata = (metadata: Json): Json =>
  concatenatedLists.message in metadata ? { [concatenatedLists.message]: metadata[concatenatedLists.message] } : {}

const doneReasons: Readonly<Record<FinishReason, string>> = {
  stop: "stop",
  "tool-calls": "stop",
  length: "length",
  "content-filter": "content_filter",
  // The protocol has no word for an interrupted answer. Like one that reached its limit, it is not complete.
  pause: "length",
  other: ""
}

/** `done_reason`: the raw value when it decodes to the same reason. An answer with tool calls has `stop`. */
const doneReason = (reason: FinishReason, raw: string, hasCalls: boolean): Json => {
  const value = decodeReason(raw, true, hasCalls) === reason ? raw : doneReasons[reason] || raw || "other"
  return value === "" ? {} : { done_reason: value }
}

const encodeUsage = (usage: Usage): Json =>
  usage.estimated ? {} : { prompt_eval_count: usage.inputTokens, eval_count: usage.outputTokens }

/** Arguments that are not a JSON object stay a string, so that they are not lost. */
const encodeCall = (call: ToolCall, index: number): Json => {
  const value = parseJson(call.arguments)
  return {
    id: call.id,
    function: { index, name: call.name, arguments: isRecord(value) ? value : call.arguments }
  }
}

export const encodeResponse = (response: ChatResponse): Record<string, unknown> => {
  const { content, providerMetadata: metadata } = response
  const reasoning = reasoningOf(content)
  const toolCalls = toolCallsOf(content)
  return {
    ...lineMetadata(metadata),
    model: response.model,
    created_at,
    message: {
      role: "assistant",
      content: textField(content),
      ...(reasoning === "" ? {} : { thinking: reasoning }),
      ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(encodeCall) }),
      ...messageMetadata(metadata)
    },
    done: true,
    ...doneReason(response.finishReason, response.rawFinishReason, toolCalls.length > 0),
    ...encodeUsage(response.usage)
  }
}

/** Encodes a stream. Tool calls are sent when they are complete, in the order in which they begin. */
export const encodeStream = (): StreamEncoder => {
  let model = ""
  let sentCalls = 0
  /** The calls that were not sent, by the index of the part; undefined until they are complete. */
  const calls = new Map<number, ToolCall | undefined>()

  const line = (message: Json, body: Json = { done: false }): Frame => ({
    data: JSON.stringify({ model, created_at, message: { role: "assistant", content: "", ...message }, ...body })
  })

  /** Reasoning without text, only encrypted, has no line. */
  const textLine = (field: "content" | "thinking", text: string): ReadonlyArray<Frame> =>
    text === "" ? [] : [line({ [field]: text })]

  const completedCalls = (): ReadonlyArray<Frame> => {
    const frames: Array<Frame> = []
    for (const [index, call] of calls) {
      if (call === undefined) break
      calls.delete(index)
      frames.push(line({ tool_calls: [encodeCall(call, sentCalls++)] }))
    }
    return frames
  }

  const finish = (event: Finish): Frame =>
    line(messageMetadata(event.providerMetadata), {
      ...lineMetadata(event.providerMetadata),
      done: true,
      ...doneReason(event.reason, event.rawReason, sentCalls > 0),
      ...encodeUsage(event.usage)
    })

  return {
    push: (event: ChatEvent): ReadonlyArray<Frame> => {
      switch (event._tag) {
        case "Start":
          model = event.model
          return []
        case "TextDelta":
        case "RefusalDelta":
          return textLine("content", event.text)
        case "ReasoningDelta":
          return textLine("thinking", event.text)
        case "ToolCallDelta":
          if (!calls.has(event.index)) calls.set(event.index, undefined)
          return []
        case "ToolCallEnd":
          calls.set(event.index, event.call)
          return completedCalls()
        case "ProviderPart":
        case "Continued":
          return []
        case "Finish":
          return [finish(event)]
      }
    },
    fail: (error) => [{ data: JSON.stringify(encodeError(error)) }]
  }
}

export const encodeError: Wire["encodeError"] = (error) => ({ error: error.message })
