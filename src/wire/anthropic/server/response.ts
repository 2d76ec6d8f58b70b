/** Encodes whole responses and errors. */
import type { ChatResponse } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { array, record } from "../../json.js"
import { callBlock } from "../toolCalls.js"
import { encodeStopReason } from "../stopReason.js"
import { reasoningBlock } from "../reasoning.js"
import type { ServedError } from "../../Wire.js"
import { encodeUsage } from "../usage.js"

/** The fields of the answer that the vocabulary does not cover. */
export const otherFields = (metadata: Json): Json => {
  const { blocks: _, citations: __, content: ___, error: ____, usage: _____, ...fields } = metadata
  return fields
}

/** The blocks that the vocabulary does not cover, such as those of server tools. */
export const otherBlocks = (metadata: Json): ReadonlyArray<unknown> => array(metadata, "blocks") ?? []

export const otherUsage = (metadata: Json): Json => record(metadata, "usage") ?? {}

const textBlock = (text: string, citations: ReadonlyArray<unknown>): Json => ({
  type: "text",
  text,
  ...(citations.length === 0 ? {} : { citations })
})

/** The protocol reports a refusal only by the stop reason; its text is ordinary text. */
export const encodeResponse = (response: ChatResponse): Record<string, unknown> => {
  const { providerMetadata: metadata, refusal, text, toolCalls } = response
  return {
    stop_sequence: null,
    ...otherFields(metadata),
    id: response.id,
    type: "message",
    role: "assistant",
    model: response.model,
    content: [
      ...response.reasoningParts.map(reasoningBlock),
      ...otherBlocks(metadata),
      ...(text === "" ? [] : [textBlock(text, array(metadata, "citations") ?? [])]),
      ...(refusal === "" ? [] : [textBlock(refusal, [])]),
      ...toolCalls.map(callBlock)
    ],
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

export const encodeError = (error: ServedError): Record<string, unknown> => ({
  type: "error",
  error: {
    type: error.type ?? types[error.status] ?? (error.status >= 500 ? "api_error" : "invalid_request_error"),
    message: error.message
  }
})
