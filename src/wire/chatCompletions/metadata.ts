/** Metadata of a response: fields that the vocabulary does not cover, kept under the names of the provider. */
import type { Json } from "../json.js"
import { isRecord, record } from "../json.js"

/** Fields of the choice. Values of several chunks are merged. */
export const choiceFields = ["logprobs", "content_filter_results", "native_finish_reason"]

/** Fields of the message. Values of several chunks are merged. */
export const messageFields = ["annotations", "audio", "executed_tools", "images"]

/** The padding of chunks: OpenAI's, Mistral's, and that of others. */
export const padding = ["obfuscation", "p", "padding"]

/** The fields of a body that are decoded, and those that have no meaning beyond their chunk, such as padding. */
const decodedBodyFields: ReadonlySet<string> = new Set([
  "id",
  "object",
  "created",
  "model",
  "choices",
  "usage",
  "error",
  "base_resp",
  ...padding
])

/** The fields of a choice and a message that are decoded (`decoded`), and those that are kept by their names (`kept`). */
const ownedFields = (decoded: ReadonlyArray<string>, kept: ReadonlyArray<string>) =>
  new Map<string, "decoded" | "kept">([
    ...decoded.map((field): readonly [string, "decoded"] => [field, "decoded"]),
    ...kept.map((field): readonly [string, "kept"] => [field, "kept"])
  ])

const knownFields = {
  choice: ownedFields(["index", "delta", "message", "finish_reason", "usage", "error", "text"], choiceFields),
  message: ownedFields(
    [
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
    ],
    messageFields
  )
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

/** Merges the fields that are not empty with earlier values. */
export const accumulateFields = (into: Record<string, unknown>, from: Json, fields: ReadonlyArray<string>): void => {
  for (const field of fields) if (!isEmpty(from[field])) into[field] = mergeValues(into[field], from[field], field)
}

/**
 * Copies the fields of a body that are not decoded, over earlier values: service tier, citations (Perplexity, xAI), search results and
 * the verdict of the content filter (Zhipu), the provider that served the request (OpenRouter), filter results (Azure OpenAI) …
 */
export const copyBodyFields = (into: Record<string, unknown>, body: Json): void => {
  for (const field in body) if (!decodedBodyFields.has(field) && !isEmpty(body[field])) into[field] = body[field]
}

/**
 * Merges the fields of a choice or a message that are not decoded with earlier values: those listed above by their names, and the unknown
 * ones under `choice` or `message`, so that a gateway loses nothing.
 */
export const mergeOwnerFields = (into: Record<string, unknown>, from: Json, owner: "choice" | "message"): void => {
  for (const field in from) {
    const known = knownFields[owner].get(field)
    if (known === "decoded" || isEmpty(from[field])) continue
    if (known === "kept") into[field] = mergeValues(into[field], from[field], field)
    else into[owner] = mergeValues(into[owner] ?? {}, { [field]: from[field] }, owner)
  }
}

const hasOnly = (value: unknown, fields: ReadonlyArray<string>): value is Json =>
  isRecord(value) && Object.keys(value).every((field) => fields.includes(field) || isEmpty(value[field]))

/** Whether a chunk has nothing to merge: only a piece of text, and fields of the body. */
export const isTextAlone = ({ choices, usage }: Json): boolean =>
  isEmpty(usage) &&
  Array.isArray(choices) &&
  choices.length === 1 &&
  hasOnly(choices[0], ["index", "delta"]) &&
  hasOnly(choices[0]["delta"], ["role", "content"])

/** The fields of these names that are present. */
export const presentFields = (metadata: Json, fields: ReadonlyArray<string>): Json =>
  Object.fromEntries(fields.filter((field) => field in metadata).map((field) => [field, metadata[field]]))

/** The metadata of the message. */
export const messageMetadata = (metadata: Json): Json => ({
  ...presentFields(metadata, messageFields),
  ...record(metadata, "message")
})
