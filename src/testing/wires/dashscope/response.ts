/** Encodes responses, whole and as streams. alibabacloud.com/help/en/model-studio/qwen-api-via-dashscope */
import type { ChatResponse, ToolCall } from "../../../vocabulary/Chat.js"
import type { ChatEvent, Finish, ToolCallDelta, ToolCallEnd } from "../../../vocabulary/ChatEvent.js"
import type { Usage } from "../../../vocabulary/Usage.js"
import { encodeCall } from "../../../wire/chatCompletions/toolCalls.js"
import { encodeFinishReason } from "../../../wire/chatCompletions/finishReason.js"
import { pick } from "../../../wire/chatCompletions/metadata.js"
import type { Json } from "../../../wire/json.js"
import { record, records } from "../../../wire/json.js"
import type { Frame, ServedError, StreamEncoder } from "../../../wire/Wire.js"
import { choiceFields, messageFields, outputFields } from "../../../wire/dashscope/answer.js"
import { encodeUsage } from "../../../wire/dashscope/usage.js"

/** A string, or parts when the metadata contains other parts. */
const content = (text: string, metadata: Json): unknown => {
  const others = records(metadata, "content")
  return others.length === 0 ? text : [...(text === "" ? [] : [{ text }]), ...others]
}

/** The protocol has no custom tools: their calls are sent as function calls. */
const callOf = ({ arguments: text, id, name }: ToolCall, index: number): Json => ({
  ...encodeCall({ id, name, arguments: text }),
  index
})

const counts = (usage: Usage, metadata: Json): Json =>
  usage.estimated ? {} : { usage: { ...record(metadata, "usage"), ...encodeUsage(usage) } }

export const encodeResponse = (response: ChatResponse): Record<string, unknown> => {
  const { providerMetadata: metadata, reasoning, refusal, text, toolCalls } = response
  return {
    request_id: response.id,
    output: {
      choices: [
        {
          index: 0,
          finish_reason: encodeFinishReason(response.finishReason, response.rawFinishReason, toolCalls.length > 0),
          message: {
            role: "assistant",
            // The protocol has no field for a refusal.
            content: content(text + refusal, metadata),
            ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
            ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(callOf) }),
            ...pick(metadata, messageFields)
          },
          ...pick(metadata, choiceFields)
        },
        ...records(metadata, "choices")
      ],
      ...pick(metadata, outputFields)
    },
    ...counts(response.usage, metadata)
  }
}

interface OpenCall {
  readonly id: string
  readonly name: string
  told: string
}

/** Encodes a stream. Each event repeats the whole answer so far unless the client sent `incremental_output`. */
export const encodeStream = (request: Json): StreamEncoder => {
  const incremental = record(request, "parameters")?.["incremental_output"] === true
  let id = ""
  let thought = ""
  let said = ""
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

  const callPiece = (index: number, { id: callId, name }: OpenCall, args: string, first: boolean): Json => ({
    index,
    id: first ? callId : "",
    type: "function",
    function: { ...(first ? { name } : {}), arguments: args }
  })

  /** The message so far. */
  const whole = (): Json => ({
    content: said,
    ...(thought === "" ? {} : { reasoning_content: thought }),
    ...(calls.size === 0
      ? {}
      : { tool_calls: [...calls].map(([index, call]) => callPiece(index, call, call.told, true)) })
  })

  const tell = (news: Json): Frame => frame(incremental ? news : whole())

  /** Reasoning without text, only encrypted, has no event. */
  const tellText = (field: "content" | "reasoning_content", text: string): ReadonlyArray<Frame> =>
    text === "" ? [] : [tell({ [field]: text })]

  const callDelta = (event: Pick<ToolCallDelta, "index" | "id" | "name">, args: string): Frame => {
    const known = calls.get(event.index)
    const call = known ?? { id: event.id, name: event.name, told: "" }
    calls.set(event.index, call)
    call.told += args
    return tell({ tool_calls: [callPiece(event.index, call, args, known === undefined)] })
  }

  /** The arguments that no delta contained. */
  const callEnd = ({ call, index }: ToolCallEnd): ReadonlyArray<Frame> => {
    const told = calls.get(index)?.told
    const rest = call.arguments.startsWith(told ?? "") ? call.arguments.slice((told ?? "").length) : ""
    return told !== undefined && rest === "" ? [] : [callDelta({ index, id: call.id, name: call.name }, rest)]
  }

  const finish = ({ providerMetadata: metadata, rawReason, reason, usage }: Finish): Frame => {
    const last = incremental ? {} : whole()
    const others = records(metadata, "content")
    return frame(
      {
        ...last,
        ...(others.length === 0 ? {} : { content: content(incremental ? "" : said, metadata) }),
        ...pick(metadata, messageFields)
      },
      {
        ...pick(metadata, choiceFields),
        finish_reason: encodeFinishReason(reason, rawReason, calls.size > 0)
      },
      pick(metadata, outputFields),
      counts(usage, metadata)
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
          said += event.text
          return tellText("content", event.text)
        case "ReasoningDelta":
          thought += event.text
          return tellText("reasoning_content", event.text)
        case "ToolCallDelta":
          return [callDelta(event, event.argumentsDelta)]
        case "ToolCallEnd":
          return callEnd(event)
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
