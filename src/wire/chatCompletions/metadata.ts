/** What providers say beside the answer, kept in their own words. */
import type { Json } from "../json.js"
import { isRecord, number, record, records } from "../json.js"
import { furtherOfCall } from "./toolCalls.js"

/** Said of the answer as a whole: the last word counts. */
export const bodyFields = [
  "service_tier",
  "system_fingerprint",
  // Perplexity. xAI has citations too.
  "citations",
  "images",
  "related_questions",
  "search_results",
  "videos",
  // Zhipu: what its search found, and how its filter judged.
  "web_search",
  "content_filter",
  // OpenRouter: who really answered.
  "provider",
  // Azure OpenAI.
  "prompt_filter_results"
]

/** Said of the choice: put together from pieces. */
export const choiceFields = ["logprobs", "content_filter_results", "native_finish_reason"]

/** Said of the message: put together from pieces. */
export const messageFields = ["annotations", "audio", "executed_tools", "images"]

/**
 * What is read of an answer, of a choice and of a message, or means nothing beyond its piece: ids and names of objects, and the
 * padding of chunks (`obfuscation` at OpenAI). All else that is said there is kept too, so that a server which hands the answer on
 * loses nothing: of the answer by its name, of a choice under `choice`, of a message under `message`.
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

/** Texts that are told in pieces (OpenAI, "Audio and speech"). */
const toldInPieces = new Set(["data", "transcript"])

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  (Array.isArray(value) ? value.length === 0 : isRecord(value) && Object.keys(value).length === 0)

const indexOf = (value: unknown): unknown => (isRecord(value) ? value["index"] : undefined)

/**
 * Entries of the same index are one entry; the others follow each other. The list grows in place: it came out of a chunk that
 * nobody else holds, and copying it for every token would be quadratic.
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

/** Keeps what is said, over what was said before. */
export const keep = (into: Record<string, unknown>, from: Json, fields: ReadonlyArray<string>): void => {
  for (const field of fields) if (!isEmpty(from[field])) into[field] = from[field]
}

/** Keeps what is said, together with what was said before. */
export const gather = (into: Record<string, unknown>, from: Json, fields: ReadonlyArray<string>): void => {
  for (const field of fields) if (!isEmpty(from[field])) into[field] = merged(into[field], from[field], field)
}

/** Keeps what is said of the answer that there is no list of, over what was said before. */
export const keepOthers = (into: Record<string, unknown>, body: Json): void => {
  for (const field in body) if (!read.body.has(field) && !isEmpty(body[field])) into[field] = body[field]
}

/** The same of a choice or a message: together with what was said before, and under its own name. */
export const gatherOthers = (into: Record<string, unknown>, from: Json, of: "choice" | "message"): void => {
  for (const field in from) {
    if (!read[of].has(field) && !isEmpty(from[field])) into[of] = merged(into[of] ?? {}, { [field]: from[field] }, of)
  }
}

/** What is said of a call beside it, under `message.tool_calls` at its index: not on the call, which may go to others. */
export const gatherCall = (into: Record<string, unknown>, call: Json, index: number): void => {
  const fields = furtherOfCall(call)
  if (fields === undefined) return
  into["message"] = merged(into["message"] ?? {}, { tool_calls: [{ index, ...fields }] }, "message")
}

/** What was kept, for those of these names that are there. */
export const pick = (metadata: Json, fields: ReadonlyArray<string>): Json =>
  Object.fromEntries(fields.filter((field) => field in metadata).map((field) => [field, metadata[field]]))

/** What was said of the message beside its calls, and of each call by its index. */
export const ofMessage = (metadata: Json): { readonly fields: Json; readonly calls: ReadonlyMap<number, Json> } => {
  const { tool_calls: _, ...fields } = record(metadata, "message") ?? {}
  const noted = records(record(metadata, "message") ?? {}, "tool_calls")
  return {
    fields: { ...pick(metadata, messageFields), ...fields },
    calls: new Map(noted.map(({ index, ...call }) => [number({ index }, "index") ?? -1, call]))
  }
}
