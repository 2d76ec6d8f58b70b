/** Encodes responses, whole and as streams. alibabacloud.com/help/en/model-studio/qwen-api-via-dashscope */
import type { ChatResponse, ToolCall } from "../../../vocabulary/Chat.js"
import { reasoningOf, toolCall, toolCallsOf } from "../../../vocabulary/Chat.js"
import type { ChatEvent, Finish, ToolCallDelta, ToolCallEnd } from "../../../vocabulary/ChatEvent.js"
import type { Usage } from "../../../vocabulary/Usage.js"
import { encodePlainCall } from "../../../wire/chatCompletions/toolCalls.js"
import { encodeFinishReason } from "../../../wire/chatCompletions/finishReason.js"
import { presentFields } from "../../../wire/chatCompletions/metadata.js"
import type { Json } from "../../../wire/json.js"
import { record, records } from "../../../wire/json.js"
import { textField } from "../../../wire/textField.js"
import type { Frame, ServedError, StreamEncoder } from "../../../wire/Wire.js"
import { choiceFields, messageFields, outputFields } from "../../../wire/dashscope/answer.js"
import { encodeUsage } from "../../../wire/dashscope/usage.js"

/** A string, or parts when the metadata contains other parts. */
const encodeContent = (text: string, metadata: Json): unknown => {
  const others = records(metadata, "content")
  return others.length === 0 ? text : [...(text === "" ? [] : [{ text }]), ...others]
}

/** The protocol has no custom tools: their calls are sent as function calls. */
const encodeFunctionCall = ({ arguments: text, id, name }: ToolCall, index: number): Json => ({
  ...encodePlainCall(toolCall(id, name, text)),
  index
})

const encodeCounts = (usage: Usage, metadata: Json): Json =>
  usage.estimated ? {} : { usage: { ...record(metadata, "usage"), ...encodeUsage(usage) } }

export const encodeResponse = (response: ChatResponse): Record<string, unknown> => {
  const { content, providerMetadata: metadata } = response
  const reasoning = reasoningOf(content)
  const toolCalls = toolCallsOf(content)
  return {
    request_id: response.id,
    output: {
      choices: [
        {
          index: 0,
          finish_reason: encodeFinishReason(response.finishReason, response.rawFinishReason),
          message: {
            role: "assistant",
            content: encodeContent(textField(content), metadata),
            ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
            ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(encodeFunctionCall) }),
            ...presentFields(metadata, messageFields)
          },
          ...presentFields(metadata, choiceFields)
        },
        ...records(metadata, "choices")
      ],
      ...presentFields(metadata, outputFields)
    },
    ...encodeCounts(response.usage, metadata)
  }
}

interface OpenCall {
  readonly position: number
  readonly id: string
  readonly name: string
  sentArguments: string
}

/** Encodes a stream. Each event repeats the whole answer so far unless the client sent `incremental_output`. */
export const encodeStream = (request: Json): StreamEncoder => {
  const incremental = record(request, "parameters")?.["incremental_output"] === true
  let id = ""
  let fullReasoning = ""
  let fullText = ""
  /** By the index of the part, in the order in which they begin. */
  const calls = new Map<number, OpenCall>()

  const frame = (
    message: Json,
    choice: Json = { finish_reason: "null" },
    output: Json = {},
    body: Json = {}
  ): Frame => ({
    event: "result",
    data: JSON.stringify({
      output: {
        choices: [{ index: 0, message: { role: "assistant", content: "", ...message }, ...choice }],
        ...output
      },
      ...body,
      request_id: id
    })
  })

  const encodeCallDelta = ({ id: callId, name, position }: OpenCall, args: string, isFirst: boolean): Json => ({
    index: position,
    id: isFirst ? callId : "",
    type: "function",
    function: { ...(isFirst ? { name } : {}), arguments: args }
  })

  /** The message so far. */
  const fullMessage = (): Json => ({
    content: fullText,
    ...(fullReasoning === "" ? {} : { reasoning_content: fullReasoning }),
    ...(calls.size === 0
      ? {}
      : { tool_calls: [...calls.values()].map((call) => encodeCallDelta(call, call.sentArguments, true)) })
  })

  const messageFrame = (delta: Json): Frame => frame(incremental ? delta : fullMessage())

  /** Reasoning without text, only encrypted, has no event. */
  const textFrames = (field: "content" | "reasoning_content", text: string): ReadonlyArray<Frame> =>
    text === "" ? [] : [messageFrame({ [field]: text })]

  const callDelta = (event: Pick<ToolCallDelta, "index" | "id" | "name">, args: string): Frame => {
    const existing = calls.get(event.index)
    const call = existing ?? { position: calls.size, id: event.id, name: event.name, sentArguments: "" }
    calls.set(event.index, call)
    call.sentArguments += args
    return messageFrame({ tool_calls: [encodeCallDelta(call, args, existing === undefined)] })
  }

  /** The arguments that no delta contained. */
  const callEnd = ({ call, index }: ToolCallEnd): ReadonlyArray<Frame> => {
    const sent = calls.get(index)?.sentArguments
    const remaining = call.arguments.startsWith(sent ?? "") ? call.arguments.slice((sent ?? "").length) : ""
    return sent !== undefined && remaining === "" ? [] : [callDelta({ index, id: call.id, name: call.name }, remaining)]
  }

  const finish = ({ providerMetadata: metadata, rawReason, reason, usage }: Finish): Frame => {
    const base = incremental ? {} : fullMessage()
    const others = records(metadata, "content")
    return frame(
      {
        ...base,
        ...(others.length === 0 ? {} : { content: encodeContent(incremental ? "" : fullText, metadata) }),
        ...presentFields(metadata, messageFields)
      },
      {
        ...presentFields(metadata, choiceFields),
        finish_reason: encodeFinishReason(reason, rawReason)
      },
      presentFields(metadata, outputFields),
      encodeCounts(usage, metadata)
    )
  }

  return {
    push: (event: ChatEvent): ReadonlyArray<Frame> => {
      switch (event._tag) {
        case "Start":
          id = event.id
          return []
        case "TextDelta":
        case "RefusalDelta":
          fullText += event.text
          return textFrames("content", event.text)
        case "ReasoningDelta":
          fullReasoning += event.text
          return textFrames("reasoning_content", event.text)
        case "ToolCallDelta":
          return [callDelta(event, event.argumentsDelta)]
        case "ToolCallEnd":
          return callEnd(event)
        case "ProviderPart":
        case "Continued":
          return []
        case "Finish":
          return [finish(event)]
      }
    },
    fail: (error) => [{ event: "error", data: JSON.stringify(encodeError(error)) }]
  }
}

const codes: Readonly<Record<number, string>> = {
  401: "InvalidApiKey",
  403: "AccessDenied",
  404: "ModelNotFound",
  429: "Throttling"
}

export const encodeError = (error: ServedError): Record<string, unknown> => ({
  code: error.code ?? codes[error.status] ?? (error.status >= 500 ? "InternalError" : "InvalidParameter"),
  message: error.message,
  request_id: ""
})
