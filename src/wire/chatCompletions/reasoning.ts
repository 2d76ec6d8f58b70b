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
  readonly thinking: string
  readonly signature: string | undefined
}

const joined = (parts: ReadonlyArray<Json>): string => parts.map((part) => string(part, "text") ?? "").join("")

/** Reads content: a string, or parts of text and reasoning. */
export const readContent = (message: Json): Content => {
  const content = message["content"]
  if (typeof content === "string") return { text: content, thinking: "", signature: undefined }
  let text = ""
  let thinking = ""
  let signature: string | undefined
  for (const part of records(message, "content")) {
    if (part["type"] === "thinking") {
      thinking += string(part, "thinking") ?? joined(records(part, "thinking"))
      signature = string(part, "signature") || signature
    } else if (part["type"] === "reasoning") {
      const summary = records(part, "summary")
      thinking += joined(summary)
      signature = summary.map((piece) => string(piece, "signature")).findLast(Boolean) ?? signature
    } else {
      text += string(part, "text") ?? ""
    }
  }
  return { text, thinking, signature }
}

/** Some servers send the same text under several names. */
const plainText = (message: Json): string =>
  string(message, "reasoning_content") || string(message, "reasoning") || string(message, "reasoning_text") || ""

const textType = "reasoning.text"
const summaryType = "reasoning.summary"
const sealedType = "reasoning.encrypted"

/** The `type` and `format` of a detail in one string; undefined for `reasoning.text` without a format. */
const formatOf = (detail: Json): string | undefined => {
  const type = string(detail, "type") || textType
  const format = string(detail, "format")
  return format ? `${type}/${format}` : type === textType ? undefined : type
}

/** The format of a part that is not reasoning but the signature of the tool call with its id, as in Gemini's own protocol. */
export const callMark = "functionCall"

interface Thought {
  readonly sealed: boolean
  readonly index: number | undefined
  id: string
  complete: boolean
}

/**
 * The reader of the reasoning of one answer. Numbers its parts in the order in which they appear. A delta continues the part with
 * its index; without an index, the last part, until that has its signature.
 */
export const thoughtReader = (provider: string | undefined) => {
  const thoughts: Array<Thought> = []

  const goesOn = (thought: Thought, sealed: boolean, index: number | undefined, id: string): boolean =>
    thought.sealed === sealed &&
    (thought.id === "" || id === "" || thought.id === id) &&
    (thought.index === undefined || index === undefined
      ? !thought.complete || (id !== "" && thought.id === id)
      : thought.index === index)

  const place = (sealed: boolean, index: number | undefined, id: string, signed: boolean): number => {
    const known = thoughts.findLastIndex((thought) => goesOn(thought, sealed, index, id))
    const thought = thoughts[known]
    if (thought === undefined) return thoughts.push({ sealed, index, id, complete: signed }) - 1
    thought.id ||= id
    thought.complete ||= signed
    return known
  }

  const readDetail = (detail: Json): ReasoningDelta | undefined => {
    const text = string(detail, "text") || string(detail, "summary") || ""
    const signature = string(detail, "signature") || string(detail, "data") || undefined
    if (text === "" && signature === undefined) return undefined
    const id = string(detail, "id") ?? ""
    const format = formatOf(detail)
    return {
      _tag: "ReasoningDelta",
      index: place(detail["type"] === sealedType, number(detail, "index"), id, signature !== undefined),
      text,
      ...(signature === undefined ? {} : { signature }),
      ...(id === "" ? {} : { id }),
      ...(format === undefined ? {} : { format }),
      ...(provider === undefined ? {} : { provider })
    }
  }

  const readPlain = (text: string, signature: string | undefined): ReasoningDelta => ({
    _tag: "ReasoningDelta",
    index: place(false, undefined, "", signature !== undefined),
    text,
    ...(signature === undefined ? {} : { signature }),
    ...(provider === undefined ? {} : { provider })
  })

  const read = (message: Json, content: Content): ReadonlyArray<ReasoningDelta> => {
    const details = array(message, "reasoning_details")
    const plain = plainText(message) || content.thinking
    const signature = content.signature ?? (string(message, "reasoning_opaque") || undefined)
    if (details === undefined && plain === "" && signature === undefined) return []
    const told = (details ?? []).filter(isRecord)
    // Details with text replace the plain text. Some details contain only encrypted reasoning.
    const fuller = told.some((detail) => Boolean(string(detail, "text") || string(detail, "summary")))
    const deltas: Array<ReasoningDelta> =
      fuller || (plain === "" && signature === undefined) ? [] : [readPlain(plain, signature)]
    for (const detail of told) {
      const delta = readDetail(detail)
      if (delta !== undefined) deltas.push(delta)
    }
    return deltas
  }

  return {
    read,
    /** A delta with the signature of a tool call. */
    mark: (id: string, signature: string): ReasoningDelta => ({
      _tag: "ReasoningDelta",
      index: thoughts.push({ sealed: true, index: undefined, id, complete: true }) - 1,
      text: "",
      signature,
      id,
      format: callMark,
      ...(provider === undefined ? {} : { provider })
    })
  }
}

/** Reasoning, whole or a delta, as an entry of `reasoning_details`. */
export const encodeDetail = (part: Omit<ReasoningPart, "type" | "provider">, index: number): Json => {
  const [type = "", format] = (part.format ?? textType).split("/")
  const signature = part.signature === undefined ? {} : { signature: part.signature }
  const told =
    type === sealedType && part.text === ""
      ? { type, data: part.signature ?? "" }
      : type === summaryType
        ? { type, summary: part.text, ...signature }
        : { type: textType, text: part.text, ...signature }
  return {
    ...told,
    index,
    ...(part.id === undefined ? {} : { id: part.id }),
    ...(format === undefined ? {} : { format })
  }
}

/** Reasoning, whole or a delta, as a part of the content. */
export const encodePart = (part: Pick<ReasoningPart, "text" | "signature">): Json => ({
  type: "thinking",
  thinking: [{ type: "text", text: part.text }],
  ...(part.signature === undefined ? {} : { signature: part.signature })
})
