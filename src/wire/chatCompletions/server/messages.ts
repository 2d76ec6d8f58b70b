/** Decodes messages. OpenAI, API reference: chat/create. */
import * as Chat from "../../../vocabulary/Chat.js"
import * as Events from "../../../vocabulary/ChatEvent.js"
import type { Json } from "../../json.js"
import { isRecord, nonEmpty, withoutNulls, record, records, string } from "../../json.js"
import { knownFields } from "../../native.js"
import { callBody, decodeToolCalls } from "../toolCalls.js"
import { native } from "../native.js"
import { readContent, reasoningReader } from "../reasoning.js"

/** Subtypes of media types by format, where they differ. */
const audioTypes: Readonly<Record<string, string>> = { mp3: "mpeg" }

const readAudio = (audio: Json): unknown => {
  const format = string(audio, "format")
  const data = string(audio, "data")
  return format === undefined || data === undefined
    ? undefined
    : `data:audio/${audioTypes[format] ?? format};base64,${data}`
}

const ttls: ReadonlySet<unknown> = new Set(["5m", "1h"])

/** The cache control of a part, without a `ttl` that the vocabulary does not have. */
const readCacheControl = (part: Json): Json => {
  const cacheControl = record(part, "cache_control")
  if (cacheControl === undefined) return {}
  const ttl = cacheControl["ttl"]
  return { cacheControl: ttls.has(ttl) ? { ttl } : {} }
}

/** A cache control that the vocabulary does not cover, unchanged. */
const unknownCacheControl = (part: Json): Json | undefined => {
  const cacheControl = record(part, "cache_control")
  const isKnown =
    cacheControl === undefined ||
    Object.entries(withoutNulls(cacheControl)).every(
      ([field, value]) => (field === "type" && value === "ephemeral") || (field === "ttl" && ttls.has(value))
    )
  return isKnown ? undefined : { cache_control: cacheControl }
}

const textFields = knownFields(["type", "text", "cache_control"])

const imageFields = knownFields(["type", "cache_control"], { image_url: ["url", "detail"] })

const audioFields = knownFields(["type"], { input_audio: ["data", "format"] })

const fileFields = knownFields(["type", "cache_control"], { file: ["file_data", "file_id", "filename"] })

const imageDetails: ReadonlySet<unknown> = new Set(["low", "high", "auto"])

const readText = (part: Json): Json => ({
  type: "text",
  text: part["text"],
  ...readCacheControl(part),
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
    ...readCacheControl(part),
    ...native.decode(part, imageFields, nonEmpty(nativeFields))
  }
}

const readFile = (part: Json): Json => {
  const file = record(part, "file") ?? {}
  return {
    type: "file",
    ...withoutNulls({ url: file["file_data"], fileId: file["file_id"], filename: file["filename"] }),
    ...readCacheControl(part),
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

/** A refusal becomes text with native fields: this protocol encodes it unchanged, others as text. */
const readAssistantPart = (part: unknown): unknown =>
  isRecord(part) && part["type"] === "refusal"
    ? {
        type: "text",
        text: part["refusal"],
        ...native.decode(part, refusalFields, { type: "refusal", refusal: part["refusal"], text: undefined })
      }
    : readPart(part)

/** Parts with reasoning, which `readContent` reads. */
const isReasoningPart = (part: unknown): boolean =>
  isRecord(part) && (part["type"] === "thinking" || part["type"] === "reasoning")

/** Text without other fields. Such parts become one string, since not every server accepts an assistant message in parts. */
const isPlainText = (part: unknown): boolean =>
  isRecord(part) && part["type"] === "text" && Object.keys(part).every((field) => field === "type" || field === "text")

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

const readAssistant = (message: Json): unknown => {
  const content = message["content"] ?? ""
  const decoded = readContent(message)
  const refusal = string(message, "refusal") ?? ""
  const reasoning = reasoningReader(undefined)
    .read(message, decoded)
    .reduce((collected, delta) => Events.append(collected, delta), Events.nothing)
    .reasoningParts.map((part) => ({ ...part, ...native.wrap({}) }))
  const parts = Array.isArray(content) ? content.filter((part) => !isReasoningPart(part)) : []
  const contentParts: ReadonlyArray<unknown> = parts.every(isPlainText)
    ? decoded.text + refusal === ""
      ? []
      : [Chat.text(decoded.text + refusal)]
    : [...parts.map(readAssistantPart), ...(refusal === "" ? [] : [Chat.text(refusal)])]
  const isContent = typeof content === "string" || Array.isArray(content)
  const calls = message["tool_calls"] ?? []
  return {
    role: "assistant",
    content: !isContent
      ? content
      : reasoning.length === 0 && parts.every(isPlainText)
        ? decoded.text + refusal
        : [...reasoning, ...contentParts],
    ...(Array.isArray(calls)
      ? calls.length === 0
        ? {}
        : { toolCalls: calls.every(isCall) ? decodeToolCalls(records(message, "tool_calls")) : calls }
      : { toolCalls: calls }),
    ...native.decode(message, assistantFields, refusal === "" ? undefined : { refusal, content: message["content"] })
  }
}

/** Whether it is a call with a name, which every whole call must have. */
const isCall = (call: unknown): boolean => isRecord(call) && Boolean(string(callBody(call).body, "name"))

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
