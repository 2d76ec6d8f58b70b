/** Encodes whole responses, streams and errors. Source: Gemini API reference, `GenerateContentResponse`. */
import type { ChatResponse } from "../../../vocabulary/Chat.js"
import type { ChatEvent, Finish } from "../../../vocabulary/ChatEvent.js"
import * as Chat from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { record, records } from "../../json.js"
import type { Frame, ServedError, StreamEncoder } from "../../Wire.js"
import { encodeFinishReason } from "../finishReason.js"
import { bodyFields, candidateFields } from "../metadata.js"
import { partsOf, partWriter } from "../partWriter.js"
import { encodeUsage } from "../usage.js"

/** The media of an answer, which are not among its reasoning parts as other parts are. */
const mediaParts = (metadata: Json): ReadonlyArray<Json> =>
  records(metadata, "parts").filter((part) => "inlineData" in part || "fileData" in part)

const usageOf = ({ providerMetadata: metadata, usage }: Pick<Finish, "usage" | "providerMetadata">): Json =>
  usage.estimated ? {} : { usageMetadata: { ...encodeUsage(usage), ...record(metadata, "usage") } }

const candidate = (parts: ReadonlyArray<Json>, fields: Json = {}): Json => ({
  content: { parts, role: "model" },
  ...fields,
  index: 0
})

export const encodeResponse = (response: ChatResponse): Record<string, unknown> => {
  const { finishReason, providerMetadata: metadata, rawFinishReason, refusal, text, toolCalls } = response
  const parts = partsOf([...response.reasoningParts, Chat.text(text + refusal)], toolCalls, { callIds: true })
  return {
    candidates: [
      candidate([...parts, ...mediaParts(metadata)], {
        finishReason: encodeFinishReason(finishReason, rawFinishReason, toolCalls.length > 0),
        ...candidateFields(metadata)
      }),
      ...records(metadata, "candidates")
    ],
    ...bodyFields(metadata),
    ...usageOf(response),
    modelVersion: response.model,
    responseId: response.id
  }
}

/** Encodes events as chunks. A tool call is sent whole when it is complete. */
export const encodeStream = (): StreamEncoder => {
  const writer = partWriter({ callIds: true })
  let head: Json = {}
  let calls = 0

  const frame = (parts: ReadonlyArray<Json>, fields: Json = {}, body: Json = {}): Frame => ({
    data: JSON.stringify({ candidates: [candidate(parts, fields)], ...body, ...head })
  })

  const frames = (parts: ReadonlyArray<Json>): ReadonlyArray<Frame> => (parts.length === 0 ? [] : [frame(parts)])

  const finish = (event: Finish): Frame => {
    const metadata = event.providerMetadata
    const parts = [...writer.end(), ...mediaParts(metadata)]
    return frame(
      parts.length === 0 ? [{ text: "" }] : parts,
      {
        finishReason: encodeFinishReason(event.reason, event.rawReason, calls > 0),
        ...candidateFields(metadata)
      },
      { ...bodyFields(metadata), ...usageOf(event) }
    )
  }

  return {
    push: (event: ChatEvent): ReadonlyArray<Frame> => {
      switch (event._tag) {
        case "Start":
          head = { modelVersion: event.model, responseId: event.id }
          return []
        case "TextDelta":
        case "RefusalDelta":
          return frames(writer.text(event.text))
        case "ReasoningDelta": {
          const { _tag, index, ...part } = event
          return frames(writer.reasoning({ type: "reasoning", ...part }))
        }
        case "ToolCallDelta":
          return []
        case "ToolCallEnd":
          calls += 1
          return frames(writer.call(event.call))
        case "Continued":
          return []
        case "Finish":
          return [finish(event)]
      }
    },
    fail: (error) => [{ data: JSON.stringify(encodeError(error)) }]
  }
}

/** `google.rpc.Code` by HTTP status (google/rpc/code.proto). */
const statuses: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "ABORTED",
  413: "INVALID_ARGUMENT",
  422: "INVALID_ARGUMENT",
  429: "RESOURCE_EXHAUSTED",
  499: "CANCELLED",
  500: "INTERNAL",
  501: "UNIMPLEMENTED",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED"
}

/** Google's reasons for the error codes of other protocols. */
const reasons: Readonly<Record<string, string>> = {
  insufficient_quota: "QUOTA_EXHAUSTED",
  invalid_api_key: "API_KEY_INVALID",
  rate_limit_exceeded: "RATE_LIMIT_EXCEEDED"
}

export const encodeError = (error: ServedError): Record<string, unknown> => ({
  error: {
    code: error.status,
    message: error.message,
    status: error.type ?? statuses[error.status] ?? (error.status >= 500 ? "UNAVAILABLE" : "INVALID_ARGUMENT"),
    ...(error.code === undefined
      ? {}
      : {
          details: [
            {
              "@type": "type.googleapis.com/google.rpc.ErrorInfo",
              reason: reasons[error.code] ?? error.code,
              domain: "googleapis.com"
            }
          ]
        })
  }
})
