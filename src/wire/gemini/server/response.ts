/** Encodes whole responses, streams and errors. Source: Gemini API reference, `GenerateContentResponse`. */
import type { ChatResponse } from "../../../vocabulary/Chat.js"
import type { ChatEvent, Finish } from "../../../vocabulary/ChatEvent.js"
import type { Json } from "../../json.js"
import { record, records } from "../../json.js"
import type { Frame, ServedError, StreamEncoder } from "../../Wire.js"
import { encodeFinishReason } from "../finishReason.js"
import { bodyFields, candidateFields } from "../metadata.js"
import { encodeParts } from "../partWriter.js"
import { encodeUsage } from "../usage.js"
import { streamParts } from "./streamParts.js"

const usageOf = ({ providerMetadata: metadata, usage }: Pick<Finish, "usage" | "providerMetadata">): Json =>
  usage.estimated ? {} : { usageMetadata: { ...encodeUsage(usage), ...record(metadata, "usage") } }

const candidate = (parts: ReadonlyArray<Json>, fields: Json = {}): Json => ({
  content: { parts, role: "model" },
  ...fields,
  index: 0
})

export const encodeResponse = (response: ChatResponse): Record<string, unknown> => {
  const { content, finishReason, providerMetadata: metadata, rawFinishReason, toolCalls } = response
  return {
    candidates: [
      candidate(encodeParts(content, { callIds: true }), {
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

/** Encodes events as chunks. */
export const encodeStream = (): StreamEncoder => {
  const parts = streamParts()
  let head: Json = {}

  const frame = (written: ReadonlyArray<Json>, fields: Json = {}, body: Json = {}): Frame => ({
    data: JSON.stringify({ candidates: [candidate(written, fields)], ...body, ...head })
  })

  const finish = (event: Finish): Frame => {
    const metadata = event.providerMetadata
    const left = parts.end()
    return frame(
      left.length === 0 ? [{ text: "" }] : left,
      {
        finishReason: encodeFinishReason(event.reason, event.rawReason, parts.calls() > 0),
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
        case "Finish":
          return [finish(event)]
        default: {
          const written = parts.push(event)
          return written.length === 0 ? [] : [frame(written)]
        }
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
