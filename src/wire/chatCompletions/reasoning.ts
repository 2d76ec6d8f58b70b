/**
 * Reasoning in the fields of each provider: a text `reasoning_content` (DeepSeek), `reasoning` (OpenRouter, vLLM, Groq) or
 * `reasoning_text` (GitHub Copilot, with its signature in `reasoning_opaque`), a list `reasoning_details` (OpenRouter, "Reasoning
 * Tokens"). Others send parts of the content (Mistral, "Reasoning"; Databricks, "Query reasoning models").
 */
import type { ReasoningPart } from "../../vocabulary/Chat.js"
import type { ReasoningDelta } from "../../vocabulary/ChatEvent.js"
import type { PartIndexes } from "../answerReader.js"
import type { Json } from "../json.js"
import { array, isRecord, number, records, string } from "../json.js"
import { knownFields, unknownFields } from "../native.js"
import { native } from "./native.js"

// -------------------------------------------------------------------------------------
// reasoning in the content
// -------------------------------------------------------------------------------------

/** An entry of the content that is reasoning, or a delta of one. */
export interface ThinkingEntry {
  readonly text: string
  readonly signature: string | undefined
  /** The fields that the vocabulary does not cover. */
  readonly fields: Json | undefined
}

const thinkingFields = knownFields(["type", "thinking", "signature"])

const summaryFields = knownFields(["type", "summary"])

const joinTexts = (entries: ReadonlyArray<Json>): string => entries.map((entry) => string(entry, "text") ?? "").join("")

/** Reads an entry of the content; undefined when it is not reasoning, or encrypted (Databricks). */
export const readThinkingEntry = (entry: Json): ThinkingEntry | undefined => {
  if (entry["type"] === "thinking") {
    return {
      text: string(entry, "thinking") ?? joinTexts(records(entry, "thinking")),
      signature: string(entry, "signature") || undefined,
      fields: unknownFields(entry, thinkingFields)
    }
  }
  const summary = records(entry, "summary")
  if (entry["type"] !== "reasoning" || summary.some((each) => typeof each["text"] !== "string")) return undefined
  return {
    text: joinTexts(summary),
    signature: summary.map((each) => string(each, "signature")).findLast(Boolean),
    fields: { ...unknownFields(entry, summaryFields), type: "reasoning" }
  }
}

/** Reasoning, whole or a delta, as an entry of the content, in the form in which it came. */
export const encodeThinkingEntry = (part: Pick<ReasoningPart, "text" | "signature" | "native">): Json => {
  const { type, ...fields } = native.fieldsOf(part) ?? {}
  const signature = part.signature === undefined ? {} : { signature: part.signature }
  return type === "reasoning"
    ? { type, summary: [{ type: "summary_text", text: part.text, ...signature }], ...fields }
    : { type: "thinking", thinking: [{ type: "text", text: part.text }], ...signature, ...fields }
}

// -------------------------------------------------------------------------------------
// reasoning beside the content
// -------------------------------------------------------------------------------------

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

const detailFields = knownFields(["type", "index", "id", "format", "text", "summary", "signature", "data"])

interface OpenPart {
  /** Its index in the answer. */
  readonly position: number
  readonly encrypted: boolean
  readonly index: number | undefined
  id: string
  complete: boolean
}

/**
 * The reader of the reasoning of one answer. A delta beside the content continues the part with its index; without an index, the
 * last part, until that has its signature. A plain text after a part of another kind begins a new part, since models reason between
 * texts and calls. An entry of the content continues the part before it, until that has its signature.
 */
export const reasoningReader = (provider: string | undefined, indexes: PartIndexes) => {
  const parts: Array<OpenPart> = []
  /** Whether the last entry of the content with reasoning had a signature. */
  let isEntrySigned = false

  const continues = (part: OpenPart, encrypted: boolean, index: number | undefined, id: string): boolean =>
    part.encrypted === encrypted &&
    (part.id === "" || id === "" || part.id === id) &&
    (part.index === undefined || index === undefined
      ? !part.complete || (id !== "" && part.id === id)
      : part.index === index)

  const assignIndex = (encrypted: boolean, index: number | undefined, id: string, signed: boolean): number => {
    const part = parts.findLast((each) => continues(each, encrypted, index, id))
    if (part === undefined) {
      const position = indexes.open()
      parts.push({ position, encrypted, index, id, complete: signed })
      return position
    }
    part.id ||= id
    part.complete ||= signed
    return part.position
  }

  const deltaOf = (
    index: number,
    text: string,
    signature: string | undefined,
    fields: Json | undefined
  ): ReasoningDelta => ({
    _tag: "ReasoningDelta",
    index,
    text,
    ...(signature === undefined ? {} : { signature }),
    ...(provider === undefined ? {} : { provider }),
    ...(fields === undefined ? {} : native.wrap(fields))
  })

  const readDetail = (detail: Json): ReasoningDelta | undefined => {
    const text = string(detail, "text") || string(detail, "summary") || ""
    const signature = string(detail, "signature") || string(detail, "data") || undefined
    if (text === "" && signature === undefined) return undefined
    const id = string(detail, "id") ?? ""
    const format = formatOf(detail)
    const index = assignIndex(detail["type"] === encryptedType, number(detail, "index"), id, signature !== undefined)
    return {
      ...deltaOf(index, text, signature, unknownFields(detail, detailFields)),
      ...(id === "" ? {} : { id }),
      ...(format === undefined ? {} : { format })
    }
  }

  return {
    /** Reads the fields of a message. Their text is left out when the content has it too (`hasEntries`). */
    read: (message: Json, hasEntries: boolean): ReadonlyArray<ReasoningDelta> => {
      const details = array(message, "reasoning_details")
      const plain = hasEntries ? "" : plainReasoning(message)
      const signature = string(message, "reasoning_opaque") || undefined
      if (details === undefined && plain === "" && signature === undefined) return []
      const entries = (details ?? []).filter(isRecord)
      // Details with text replace the plain text. Some details contain only encrypted reasoning.
      const hasText = entries.some((detail) => Boolean(string(detail, "text") || string(detail, "summary")))
      const deltas: Array<ReasoningDelta> = []
      if (!hasText && (plain !== "" || signature !== undefined)) {
        const last = parts.at(-1)
        if (plain !== "" && last !== undefined && last.position !== indexes.last()) last.complete = true
        deltas.push(deltaOf(assignIndex(false, undefined, "", signature !== undefined), plain, signature, undefined))
      }
      if (hasText && hasEntries) return deltas
      for (const detail of entries) {
        const delta = readDetail(detail)
        if (delta !== undefined) deltas.push(delta)
      }
      return deltas
    },
    /** Reads an entry of the content. `isNew`: it does not continue the part before it. */
    readEntry: ({ fields, signature, text }: ThinkingEntry, isNew: boolean): ReasoningDelta | undefined => {
      if (text === "" && signature === undefined) return undefined
      const index = isNew || isEntrySigned ? indexes.open("reasoning") : indexes.continue("reasoning")
      isEntrySigned = signature !== undefined
      return deltaOf(index, text, signature, fields)
    }
  }
}

/** Reasoning, whole or a delta, as an entry of `reasoning_details`. */
export const encodeReasoningDetail = (part: Omit<ReasoningPart, "type" | "provider">, index: number): Json => {
  const { type: _, ...fields } = native.fieldsOf(part) ?? {}
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
    ...(format === undefined ? {} : { format }),
    ...fields
  }
}
