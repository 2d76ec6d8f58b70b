/**
 * Reasoning in the fields of each provider: a text `reasoning_content` (DeepSeek), `reasoning` (OpenRouter, vLLM, Groq) or
 * `reasoning_text` (GitHub Copilot, with its signature in `reasoning_opaque`), a list `reasoning_details` (OpenRouter, "Reasoning
 * Tokens"), or parts of the content (Mistral, "Reasoning"; Databricks, "Query reasoning models").
 */
import type { ReasoningPart } from "../../vocabulary/Chat.js"
import type { ReasoningDelta } from "../../vocabulary/ChatEvent.js"
import type { Json } from "../json.js"
import { array, isRecord, number, records, string } from "../json.js"

/** The content of a message or a delta. */
export interface Content {
  readonly text: string
  readonly reasoning: string
  readonly signature: string | undefined
}

const joinTexts = (parts: ReadonlyArray<Json>): string => parts.map((part) => string(part, "text") ?? "").join("")

/** Reads content: a string, or parts of text and reasoning. */
export const readContent = (message: Json): Content => {
  const content = message["content"]
  if (typeof content === "string") return { text: content, reasoning: "", signature: undefined }
  let text = ""
  let reasoning = ""
  let signature: string | undefined
  for (const part of records(message, "content")) {
    if (part["type"] === "thinking") {
      reasoning += string(part, "thinking") ?? joinTexts(records(part, "thinking"))
      signature = string(part, "signature") || signature
    } else if (part["type"] === "reasoning") {
      const summary = records(part, "summary")
      reasoning += joinTexts(summary)
      signature = summary.map((entry) => string(entry, "signature")).findLast(Boolean) ?? signature
    } else {
      text += string(part, "text") ?? ""
    }
  }
  return { text, reasoning, signature }
}

/** Some servers send the same text under several names. */
const plainReasoning = (message: Json): string =>
  string(message, "reasoning_content") || string(message, "reasoning") || string(message, "reasoning_text") || ""

const textType = "reasoning.text"
const summaryType = "reasoning.summary"
const encryptedType = "reasoning.encrypted"

/** The `type` and `format` of a detail in one string; undefined for `reasoning.text` without a format. */
const formatOf = (detail: Json): string | undefined => {
  const type = string(detail, "type") || textType
  const format = string(detail, "format")
  return format ? `${type}/${format}` : type === textType ? undefined : type
}

/** The format of a part that is not reasoning but the signature of the tool call with its id, as in Gemini's own protocol. */
export const callSignatureFormat = "functionCall"

interface OpenPart {
  readonly encrypted: boolean
  readonly index: number | undefined
  id: string
  complete: boolean
}

/**
 * The reader of the reasoning of one answer. Numbers its parts in the order in which they appear. A delta continues the part with
 * its index; without an index, the last part, until that has its signature.
 */
export const reasoningReader = (provider: string | undefined) => {
  const parts: Array<OpenPart> = []

  const continues = (part: OpenPart, encrypted: boolean, index: number | undefined, id: string): boolean =>
    part.encrypted === encrypted &&
    (part.id === "" || id === "" || part.id === id) &&
    (part.index === undefined || index === undefined
      ? !part.complete || (id !== "" && part.id === id)
      : part.index === index)

  const assignIndex = (encrypted: boolean, index: number | undefined, id: string, signed: boolean): number => {
    const position = parts.findLastIndex((part) => continues(part, encrypted, index, id))
    const part = parts[position]
    if (part === undefined) return parts.push({ encrypted, index, id, complete: signed }) - 1
    part.id ||= id
    part.complete ||= signed
    return position
  }

  const readDetail = (detail: Json): ReasoningDelta | undefined => {
    const text = string(detail, "text") || string(detail, "summary") || ""
    const signature = string(detail, "signature") || string(detail, "data") || undefined
    if (text === "" && signature === undefined) return undefined
    const id = string(detail, "id") ?? ""
    const format = formatOf(detail)
    return {
      _tag: "ReasoningDelta",
      index: assignIndex(detail["type"] === encryptedType, number(detail, "index"), id, signature !== undefined),
      text,
      ...(signature === undefined ? {} : { signature }),
      ...(id === "" ? {} : { id }),
      ...(format === undefined ? {} : { format }),
      ...(provider === undefined ? {} : { provider })
    }
  }

  const readPlain = (text: string, signature: string | undefined): ReasoningDelta => ({
    _tag: "ReasoningDelta",
    index: assignIndex(false, undefined, "", signature !== undefined),
    text,
    ...(signature === undefined ? {} : { signature }),
    ...(provider === undefined ? {} : { provider })
  })

  const read = (message: Json, content: Content): ReadonlyArray<ReasoningDelta> => {
    const details = array(message, "reasoning_details")
    const plain = plainReasoning(message) || content.reasoning
    const signature = content.signature ?? (string(message, "reasoning_opaque") || undefined)
    if (details === undefined && plain === "" && signature === undefined) return []
    const entries = (details ?? []).filter(isRecord)
    // Details with text replace the plain text. Some details contain only encrypted reasoning.
    const hasText = entries.some((detail) => Boolean(string(detail, "text") || string(detail, "summary")))
    const deltas: Array<ReasoningDelta> =
      hasText || (plain === "" && signature === undefined) ? [] : [readPlain(plain, signature)]
    for (const detail of entries) {
      const delta = readDetail(detail)
      if (delta !== undefined) deltas.push(delta)
    }
    return deltas
  }

  return {
    read,
    /** A delta with the signature of a tool call. */
    callSignature: (id: string, signature: string): ReasoningDelta => ({
      _tag: "ReasoningDelta",
      index: parts.push({ encrypted: true, index: undefined, id, complete: true }) - 1,
      text: "",
      signature,
      id,
      format: callSignatureFormat,
      ...(provider === undefined ? {} : { provider })
    })
  }
}

/** Reasoning, whole or a delta, as an entry of `reasoning_details`. */
export const encodeReasoningDetail = (part: Omit<ReasoningPart, "type" | "provider">, index: number): Json => {
  const [type = "", format] = (part.format ?? textType).split("/")
  const signature = part.signature === undefined ? {} : { signature: part.signature }
  const content =
    type === encryptedType && part.text === ""
      ? { type, data: part.signature ?? "" }
      : type === summaryType
        ? { type, summary: part.text, ...signature }
        : { type: textType, text: part.text, ...signature }
  return {
    ...content,
    index,
    ...(part.id === undefined ? {} : { id: part.id }),
    ...(format === undefined ? {} : { format })
  }
}

/** Reasoning, whole or a delta, as a part of the content. */
export const encodeThinkingPart = (part: Pick<ReasoningPart, "text" | "signature">): Json => ({
  type: "thinking",
  thinking: [{ type: "text", text: part.text }],
  ...(part.signature === undefined ? {} : { signature: part.signature })
})
