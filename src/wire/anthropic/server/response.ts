/** Encodes whole responses and errors. */
import type { AssistantPart, ChatResponse } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { record } from "../../json.js"
import { containerOf, lastContainer } from "../container.js"
import { native } from "../native.js"
import { partBlock } from "../parts.js"
import { encodeStopReason } from "../stopReason.js"
import type { ServedError } from "../../Wire.js"
import { encodeUsage } from "../usage.js"

/** The fields of the answer that the vocabulary does not cover. */
export const otherFields = (metadata: Json): Json => {
  const { content: _, error: __, usage: ___, ...fields } = metadata
  return fields
}

export const otherUsage = (metadata: Json): Json => record(metadata, "usage") ?? {}

/** Parts without content, and blocks of other protocols, have no block. */
const blocksOf = (part: AssistantPart): ReadonlyArray<Json> => {
  const fields = native.fieldsOf(part)
  switch (part.type) {
    case "provider":
      return fields === undefined || containerOf(fields) !== undefined ? [] : [fields]
    case "reasoning":
      if (part.text === "" && part.signature === undefined) return []
      break
    case "text":
    case "refusal":
      if (part.text === "" && fields === undefined) return []
  }
  return [native.encode(partBlock(part), part)]
}

export const encodeResponse = (response: ChatResponse): Record<string, unknown> => {
  const { content, providerMetadata: metadata, toolCalls } = response
  const container = lastContainer(content)
  return {
    stop_sequence: null,
    ...otherFields(metadata),
    ...(container === undefined ? {} : { container }),
    id: response.id,
    type: "message",
    role: "assistant",
    model: response.model,
    content: content.flatMap(blocksOf),
    stop_reason: encodeStopReason(response.finishReason, response.rawFinishReason, toolCalls.length > 0),
    usage: encodeUsage(response.usage, otherUsage(metadata))
  }
}

/** https://platform.claude.com/docs/en/api/errors */
const types: Readonly<Record<number, string>> = {
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error"
}

/** An overload within a stream, or one that is reported with another status, has the type of 529 too. */
const typeOf = ({ code, status }: ServedError): string =>
  code === "overloaded" || code === "overloaded_error"
    ? "overloaded_error"
    : (types[status] ?? (status >= 500 ? "api_error" : "invalid_request_error"))

export const encodeError = (error: ServedError): Record<string, unknown> => ({
  type: "error",
  error: {
    type: error.type ?? typeOf(error),
    message: error.message
  },
  ...(error.requestId === undefined ? {} : { request_id: error.requestId })
})
