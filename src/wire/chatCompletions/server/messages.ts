/** Decodes messages. OpenAI, API reference: chat/create. */
import { collectAll } from "../../../vocabulary/chatEvent/collected.js"
import { partIndexes } from "../../answerReader.js"
import { decodeCacheControl, unknownCacheControl } from "../../cacheControl.js"
import type { Json } from "../../json.js"
import { array, isRecord, nonEmpty, withoutNulls, record, records, string } from "../../json.js"
import { knownFields, unknownFields } from "../../native.js"
import { plainText } from "../content.js"
import { callBody, decodeToolCalls } from "../toolCalls.js"
import { native } from "../native.js"
import { readThinkingEntry, reasoningReader } from "../reasoning.js"

/** Subtypes of media types by format, where they differ. */
const audioTypes: Readonly<Record<string, string>> = { mp3: "mpeg" }

const readAudio = (audio: Json): unknown => {
  const format = string(audio, "format")
  const data = string(audio, "data")
  return format === undefined || data === undefined
    ? undefined
    : `data:audio/${audioTypes[format] ?? format};base64,${data}`
}

const textFields = knownFields(["type", "text", "cache_control"])

const imageFields = knownFields(["type", "cache_control"], { image_url: ["url", "detail"] })

const audioFields = knownFields(["type"], { input_audio: ["data", "format"] })

const fileFields = knownFields(["type", "cache_control"], { file: ["file_data", "file_id", "filename"] })

const imageDetails: ReadonlySet<unknown> = new Set(["low", "high", "auto"])

const readText = (part: Json): Json => ({
  type: "text",
  text: part["text"],
  ...decodeCacheControl(part),
  ...native.decode(part, textFields, unknownCacheControl(part))
})

const readImage = (part: Json): Json => {
  // Moonshot accepts a plain URL.
  const image = record(part, "image_url") ?? { url: part["image_url"] }
  const { detail } = image
  const nativeFields = {
    ...unknownCacheControl(part),
    ...(typeof detail === "string" && !imageDetails.has(detail) ? { image_url: { ...image } } : {})
  }
  return {
    type: "image",
    url: image["url"],
    ...withoutNulls({ detail: "image_url" in nativeFields ? undefined : detail }),
    ...decodeCacheControl(part),
    ...native.decode(part, imageFields, nonEmpty(nativeFields))
  }
}

const readFile = (part: Json): Json => {
  const file = record(part, "file") ?? {}
  return {
    type: "file",
    ...withoutNulls({ url: file["file_data"], fileId: file["file_id"], filename: file["filename"] }),
    ...decodeCacheControl(part),
    ...native.decode(part, fileFields, unknownCacheControl(part))
  }
}

const readPart = (part: unknown): unknown => {
  if (!isRecord(part)) return part
  switch (part["type"]) {
    case "text":
      return readText(part)
    case "image_url":
      return readImage(part)
    case "input_audio":
      return {
        type: "audio",
        url: readAudio(record(part, "input_audio") ?? {}),
        ...native.decode(part, audioFields)
      }
    case "file":
      return readFile(part)
    default:
      return typeof part["type"] === "string" ? native.part(part) : part
  }
}

const readParts = (content: unknown): unknown => (Array.isArray(content) ? content.map(readPart) : content)

const refusalFields = knownFields(["type", "refusal"])

/**
 * An entry of an assistant message; each becomes one part. Refusals and reasoning are marked as received in this form, so that they
 * return in it.
 */
const readAssistantEntry = (entry: unknown): unknown => {
  if (!isRecord(entry)) return entry
  if (entry["type"] === "refusal") {
    return { type: "refusal", text: entry["refusal"], ...native.wrap(unknownFields(entry, refusalFields) ?? {}) }
  }
  const thinking = readThinkingEntry(entry)
  return thinking === undefined
    ? readPart(entry)
    : {
        type: "reasoning",
        text: thinking.text,
        ...withoutNulls({ signature: thinking.signature }),
        ...native.wrap(thinking.fields ?? {})
      }
}

const assistantFields = knownFields([
  "role",
  "content",
  "tool_calls",
  "refusal",
  "reasoning",
  "reasoning_content",
  "reasoning_text",
  "reasoning_details",
  "reasoning_opaque"
])

/** The reasoning in the fields of a message, which comes before its content. */
const readReasoningFields = (message: Json): ReadonlyArray<unknown> => {
  const hasEntries = records(message, "content").some((entry) => readThinkingEntry(entry) !== undefined)
  const { content } = collectAll(reasoningReader(undefined, partIndexes()).read(message, hasEntries))
  return content.map((part) => ({ ...part, ...native.wrap(native.fieldsOf(part) ?? {}) }))
}

/** A message with only plain texts has a string, which every protocol can hold. */
const readAssistantContent = (message: Json): unknown => {
  const content = message["content"] ?? ""
  if (typeof content !== "string" && !Array.isArray(content)) return content
  const entries: ReadonlyArray<unknown> =
    typeof content !== "string" ? content : content === "" ? [] : [{ type: "text", text: content }]
  const refusal = string(message, "refusal") ?? ""
  const reasoning = readReasoningFields(message)
  const others = [
    ...(refusal === "" ? [] : [{ type: "refusal", text: refusal }]),
    ...decodeToolCalls(records(message, "tool_calls"))
  ]
  const texts = entries.map(plainText)
  return reasoning.length + others.length === 0 && texts.every((text) => text !== undefined)
    ? texts.join("")
    : [...reasoning, ...entries.map(readAssistantEntry), ...others]
}

/** Whether a message has a text and nothing else. */
const isPlainText = (message: Json): boolean =>
  typeof message["content"] === "string" && Object.keys(message).length === 2

const readAssistant = (message: Json): unknown =>
  isPlainText(message)
    ? message
    : {
        role: "assistant",
        content: readAssistantContent(message),
        ...native.decode(message, assistantFields)
      }

/** The index of an entry of the content in the message, of which the part at `index` was read. */
export const entryIndex = (message: unknown, index: number): number =>
  isRecord(message) && message["role"] === "assistant" ? index - readReasoningFields(message).length : index

/** Whether it is a call with a name, which every whole call must have. */
const isCall = (call: unknown): boolean => isRecord(call) && Boolean(string(callBody(call).body, "name"))

/** The path of the first invalid field `tool_calls`, or of the first invalid call in it. */
export const invalidCalls = (messages: ReadonlyArray<unknown>): string | undefined => {
  for (const [position, message] of messages.entries()) {
    if (!isRecord(message) || message["role"] !== "assistant") continue
    const calls = array(message, "tool_calls")
    if (calls === undefined && (message["tool_calls"] ?? undefined) !== undefined)
      return `messages[${position}].tool_calls`
    const invalid = calls?.findIndex((call) => !isCall(call)) ?? -1
    if (invalid >= 0) return `messages[${position}].tool_calls[${invalid}]`
  }
  return undefined
}

const toolFields = knownFields(["role", "tool_call_id", "content"])

const userFields = knownFields(["role", "content", "name"])

const instructionFields = knownFields(["role", "content"])

export const readMessage = (message: unknown): unknown => {
  if (!isRecord(message)) return message
  const { content, role } = message
  switch (role) {
    case "assistant":
      return readAssistant(message)
    case "tool":
      return {
        role,
        toolCallId: message["tool_call_id"],
        content: readParts(content),
        ...native.decode(message, toolFields)
      }
    case "user":
      return {
        role,
        content: readParts(content),
        ...withoutNulls({ name: message["name"] }),
        ...native.decode(message, userFields)
      }
    default:
      return { role, content: readParts(content), ...native.decode(message, instructionFields) }
  }
}
