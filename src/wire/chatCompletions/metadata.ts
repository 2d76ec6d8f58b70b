/** Metadata of a response: fields that the vocabulary does not cover, kept under the names of the provider. */
import type { Json } from "../json.js"
import { isRecord, record } from "../json.js"

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
 * The known fields of a body, a choice and a message: those that are decoded or listed above, and those that have no meaning
 * beyond their chunk, such as padding (OpenAI's `obfuscation`, Mistral's `p`). Unknown fields are kept as well, so that a gateway loses nothing:
 * those of the body by name, those of the choice under `choice`, those of the message under `message`.
 */
const knownFields = {
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
    "p",
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
const concatenatedFields = new Set(["data", "transcript"])

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  (Array.isArray(value) ? value.length === 0 : isRecord(value) && Object.keys(value).length === 0)

const indexOf = (value: unknown): unknown => (isRecord(value) ? value["index"] : undefined)

/**
 * Merges entries of the same index and appends the others. Extends the list in place: it comes from a parsed chunk that has no
 * other reference, and a copy for every token would be quadratic.
 */
const mergeEntries = (list: Array<unknown>, more: ReadonlyArray<unknown>): Array<unknown> => {
  for (const entry of more) {
    const index = indexOf(entry)
    const position = typeof index === "number" ? list.findIndex((other) => indexOf(other) === index) : -1
    if (position === -1) list.push(entry)
    else list[position] = mergeValues(list[position], entry, "")
  }
  return list
}

const mergeValues = (before: unknown, after: unknown, field: string): unknown => {
  if (Array.isArray(before) && Array.isArray(after)) return mergeEntries(before, after)
  if (isRecord(before) && isRecord(after)) {
    const all: Record<string, unknown> = { ...before }
    for (const [name, value] of Object.entries(after)) all[name] = mergeValues(before[name], value, name)
    return all
  }
  return typeof before === "string" && typeof after === "string" && concatenatedFields.has(field)
    ? before + after
    : (after ?? before)
}

/** Copies the fields that are not empty, over earlier values. */
export const copyFields = (into: Record<string, unknown>, from: Json, fields: ReadonlyArray<string>): void => {
  for (const field of fields) if (!isEmpty(from[field])) into[field] = from[field]
}

/** Merges the fields that are not empty with earlier values. */
export const accumulateFields = (into: Record<string, unknown>, from: Json, fields: ReadonlyArray<string>): void => {
  for (const field of fields) if (!isEmpty(from[field])) into[field] = mergeValues(into[field], from[field], field)
}

/** Copies the unknown fields of the body, over earlier values. */
export const copyUnknownFields = (into: Record<string, unknown>, body: Json): void => {
  for (const field in body) if (!knownFields.body.has(field) && !isEmpty(body[field])) into[field] = body[field]
}

/** Merges the unknown fields of a choice or a message, under `choice` or `message`. */
export const accumulateUnknownFields = (
  into: Record<string, unknown>,
  from: Json,
  owner: "choice" | "message"
): void => {
  for (const field in from) {
    if (knownFields[owner].has(field) || isEmpty(from[field])) continue
    into[owner] = mergeValues(into[owner] ?? {}, { [field]: from[field] }, owner)
  }
}

/** The fields of these names that are present. */
export const presentFields = (metadata: Json, fields: ReadonlyArray<string>): Json =>
  Object.fromEntries(fields.filter((field) => field in metadata).map((field) => [field, metadata[field]]))

/** The metadata of the message. */
export const messageMetadata = (metadata: Json): Json => ({
  ...presentFields(metadata, messageFields),
  ...record(metadata, "message")
})
