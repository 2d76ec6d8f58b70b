/** Decodes messages. OpenAI, API reference: chat/create. */
import * as Chat from "../../../vocabulary/Chat.js"
import * as Events from "../../../vocabulary/ChatEvent.js"
import type { Json } from "../../json.js"
import { isRecord, nonEmpty, withoutNulls, record, records, string } from "../../json.js"
import { knownFields } from "../../native.js"
import { callBody, decodeCalls } from "../toolCalls.js"
import { native } from "../native.js"
import { readContent, thoughtReader } from "../reasoning.js"

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
const readMark = (part: Json): Json => {
  const mark = record(part, "cache_control")
  if (mark === undefined) return {}
  const ttl = mark["ttl"]
  return { cacheControl: ttls.has(ttl) ? { ttl } : {} }
}

/** A cache control that the vocabulary does not cover, unchanged. */
const furtherMark = (part: Json): Json | undefined => {
  const mark = record(part, "cache_control")
  const isKnown =
    mark === undefined ||
    Object.entries(withoutNulls(mark)).every(
      ([field, value]) => (field === "type" && value === "ephemeral") || (field === "ttl" && ttls.has(value))
    )
  return isKnown ? undefined : { cache_control: mark }
}

const textFields = knownFields(["type", "text", "cache_control"])

const imageFields = knownFields(["type", "cache_control"], { image_url: ["url", "detail"] })

const audioFields = knownFields(["type"], { input_audio: ["data", "format"] })

const fileFields = knownFields(["type", "cache_control"], { file: ["file_data", "file_id", "filename"] })

const details: ReadonlySet<unknown> = new Set(["low", "high", "auto"])

const readText = (part: Json): Json => ({
  type: "text",
  text: part["text"],
  ...readMark(part),
  ...native.decode(part, textFields, furtherMark(part))
})

const readImage = (part: Json): Json => {
  // Moonshot accepts a plain URL.
  const image = record(part, "image_url") ?? { url: part["image_url"] }
  const { detail } = image
  const further = {
    ...furtherMark(part),
    ...(typeof detail === "string" && !details.has(detail) ? { image_url: { ...image } } : {})
  }
  return {
    type: "image",
    url: image["url"],
    ...withoutNulls({ detail: "image_url" in further ? undefined : detail }),
    ...readMark(part),
    ...native.decode(part, imageFields, nonEmpty(further))
  }
}

const readFile = (part: Json): Json => {
  const file = record(part, "file") ?? {}
  return {
    type: "file",
    ...withoutNulls({ url: file["file_data"], fileId: file["file_id"], filename: file["filename"] }),
    ...readMark(part),
    ...native.decode(part, fileFields, furtherMark(part))
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
const readSaid = (part: unknown): unknown =>
  isRecord(part) && part["type"] === "refusal"
    ? {
        type: "text",
        text: part["refusal"],
        ...native.decode(part, refusalFields, { type: "refusal", refusal: part["refusal"], text: undefined })
      }
    : readPart(part)

/** Parts with reasoning, which `readContent` reads. */
const isThinking = (part: unknown): boolean =>
  isRecord(part) && (part["type"] === "thinking" || part["type"] === "reasoning")

/** Text without other fields. Such parts become one string, since not every server accepts an assistant message in parts. */
const isPlain = (part: unknown): boolean =>
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
  const said = readContent(message)
  const refusal = string(message, "refusal") ?? ""
  const thoughts = thoughtReader(undefined)
    .read(message, said)
    .reduce((collected, delta) => Events.append(collected, delta), Events.nothing)
    .reasoningParts.map((part) => ({ ...part, ...native.wrap({}) }))
  const parts = Array.isArray(content) ? content.filter((part) => !isThinking(part)) : []
  const told: ReadonlyArray<unknown> = parts.every(isPlain)
    ? said.text + refusal === ""
      ? []
      : [Chat.text(said.text + refusal)]
    : [...parts.map(readSaid), ...(refusal === "" ? [] : [Chat.text(refusal)])]
  const legible = typeof content === "string" || Array.isArray(content)
  const calls = message["tool_calls"] ?? []
  return {
    role: "assistant",
    content: !legible
      ? content
      : thoughts.length === 0 && parts.every(isPlain)
        ? said.text + refusal
        : [...thoughts, ...told],
    ...(Array.isArray(calls)
      ? calls.length === 0
        ? {}
        : { toolCalls: calls.every(isCall) ? decodeCalls(records(message, "tool_calls")) : calls }
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
