/** Metadata of a response: fields that the vocabulary does not cover, kept under the names of the provider. */
import type { Json } from "../json.js"
import { isRecord, number, record, records } from "../json.js"
import { furtherOfCall } from "./toolCalls.js"

/** Fields of the body. The last value counts. */
export const bodyFields = [
  "service_tier",
  "system_fingerprint",
  // Perplexity; xAI has citations too.
  "citations",
  "images",
  "related_questions",
  "search_results",
  "videos",
  // Zhipu: search results and the verdict of the content filter.
  "web_search",
  "content_filter",
  // OpenRouter: the provider that served the request.
  "provider",
  // Azure OpenAI.
  "prompt_filter_results"
]

/** Fields of the choice. Values of several chunks are merged. */
export const choiceFields = ["logprobs", "content_filter_results", "native_finish_reason"]

/** Fields of the message. Values of several chunks are merged. */
export const messageFields = ["annotations", "audio", "executed_tools", "images"]

/**
 * The known fields of a body, a choice and a message: those that are decoded or listed above, and those that have no meaning beyond
 * their chunk, such as padding (OpenAI's `obfuscation`). Unknown fields are kept as well, so that a gateway loses nothing: those of
 * the body by name, those of the choice under `choice`, those of the message under `message`.
 */
const read = {
  body: new Set([
    ...bodyFields,
    "id",
    "object",
    "created",
    "model",
    "choices",
    "usage",
    "error",
    "base_resp",
    "obfuscation",
    "padding"
  ]),
  choice: new Set([...choiceFields, "index", "delta", "message", "finish_reason", "usage", "error", "text"]),
  message: new Set([
    ...messageFields,
    "role",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "reasoning",
    "reasoning_content",
    "reasoning_text",
    "reasoning_details",
    "reasoning_opaque"
  ])
}

/** Fields whose strings are concatenated over chunks (OpenAI, "Audio and speech"). */
const toldInPieces = new Set(["data", "transcript"])

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  (Array.isArray(value) ? value.length === 0 : isRecord(value) && Object.keys(value).length === 0)

const indexOf = (value: unknown): unknown => (isRecord(value) ? value["index"] : undefined)

/**
 * Merges entries of the same index and appends the others. Extends the list in place: it comes from a parsed chunk that has no other
 * reference, and a copy for every token would be quadratic.
 */
const extend = (list: Array<unknown>, more: ReadonlyArray<unknown>): Array<unknown> => {
  for (const entry of more) {
    const index = indexOf(entry)
    const known = typeof index === "number" ? list.findIndex((other) => indexOf(other) === index) : -1
    if (known === -1) list.push(entry)
    else list[known] = merged(list[known], entry, "")
  }
  return list
}

const merged = (before: unknown, after: unknown, field: string): unknown => {
  if (Array.isArray(before) && Array.isArray(after)) return extend(before, after)
  if (isRecord(before) && isRecord(after)) {
    const all: Record<string, unknown> = { ...before }
    for (const [name, value] of Object.entries(after)) all[name] = merged(before[name], value, name)
    return all
  }
  return typeof before === "string" && typeof after === "string" && toldInPieces.has(field)
    ? before + after
    : (after ?? before)
}

/** Copies the fields that are not empty, over earlier values. */
export const keep = (into: Record<string, unknown>, from: Json, fields: ReadonlyArray<string>): void => {
  for (const field of fields) if (!isEmpty(from[field])) into[field] = from[field]
}

/** Merges the fields that are not empty with earlier values. */
export const gather = (into: Record<string, unknown>, from: Json, fields: ReadonlyArray<string>): void => {
  for (const field of fields) if (!isEmpty(from[field])) into[field] = merged(into[field], from[field], field)
}

/** Copies the unknown fields of the body, over earlier values. */
export const keepOthers = (into: Record<string, unknown>, body: Json): void => {
  for (const field in body) if (!read.body.has(field) && !isEmpty(body[field])) into[field] = body[field]
}

/** Merges the unknown fields of a choice or a message, under `choice` or `message`. */
export const gatherOthers = (into: Record<string, unknown>, from: Json, of: "choice" | "message"): void => {
  for (const field in from) {
    if (!read[of].has(field) && !isEmpty(from[field])) into[of] = merged(into[of] ?? {}, { [field]: from[field] }, of)
  }
}

/** Merges the unknown fields of a tool call, under `message.tool_calls`. The call itself can be sent to another provider. */
export const gatherCall = (into: Record<string, unknown>, call: Json, index: number): void => {
  const fields = furtherOfCall(call)
  if (fields === undefined) return
  into["message"] = merged(into["message"] ?? {}, { tool_calls: [{ index, ...fields }] }, "message")
}

/** The fields of these names that are present. */
export const pick = (metadata: Json, fields: ReadonlyArray<string>): Json =>
  Object.fromEntries(fields.filter((field) => field in metadata).map((field) => [field, metadata[field]]))

/** The metadata of the message, and that of its tool calls by index. */
export const ofMessage = (metadata: Json): { readonly fields: Json; readonly calls: ReadonlyMap<number, Json> } => {
  const { tool_calls: _, ...fields } = record(metadata, "message") ?? {}
  const noted = records(record(metadata, "message") ?? {}, "tool_calls")
  return {
    fields: { ...pick(metadata, messageFields), ...fields },
    calls: new Map(noted.map(({ index, ...call }) => [number({ index }, "index") ?? -1, call]))
  }
}
