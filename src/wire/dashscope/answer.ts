/** The reader of an answer from its events; a whole answer is a single event. */
import type { Usage } from "../../vocabulary/Usage.js"
import { callReader } from "../chatCompletions/toolCalls.js"
import { decodeFinishReason } from "../chatCompletions/finishReason.js"
import { gather } from "../chatCompletions/metadata.js"
import { saysError } from "../inBand.js"
import type { Json } from "../json.js"
import { isRecord, pick, number, record, records, string } from "../json.js"
import type { AnswerSource, WireEvent } from "../Wire.js"
import { usageOf } from "../Wire.js"
import type { Evidence } from "./deltas.js"
import { pieceReader } from "./deltas.js"
import { beyondCounts, decodeUsage, hasCounts } from "./usage.js"

/** Metadata of the choice. Values of several events are merged. */
export const choiceFields = ["logprobs"]

/** Metadata of the message. Values of several events are merged. */
export const messageFields = ["annotations", "audio"]

/** Metadata of the output: search results. */
export const outputFields = ["search_info"]

/**
 * The error that a body reports in place of an answer: `code` and `message`. Answers can have both fields too, but empty.
 * alibabacloud.com/help/en/model-studio/error-code
 */
export const reportedError = (body: Json): Json | undefined =>
  string(body, "code") || (record(body, "output") === undefined && saysError(body)) ? body : undefined

/** Reads content: a string, or parts, of which those without text are kept unchanged. */
const readContent = (content: unknown): { readonly text: string; readonly others: ReadonlyArray<Json> } => {
  if (typeof content === "string") return { text: content, others: [] }
  const parts = Array.isArray(content) ? content.filter(isRecord) : []
  return {
    text: parts.map((part) => string(part, "text") ?? "").join(""),
    others: parts.filter((part) => typeof part["text"] !== "string")
  }
}

export const answerReader = (source: AnswerSource) => {
  let id = ""
  let model = ""
  let rawReason: string | undefined
  /** The latest counts. Every event has them and only the last ones count, so `usage` decodes them. */
  let counts: Json | undefined
  let outputTokens: number | undefined
  /** All output, for an estimate when the provider sends no counts. */
  let said = ""
  const metadata: Record<string, unknown> = {}
  const pieces = pieceReader()
  const calls = callReader()
  /** Emits the pending text of a channel at the end. */
  const speakers = new Map<string, (text: string, out: Array<WireEvent>) => void>()

  const think = (text: string, out: Array<WireEvent>): void => {
    if (text === "") return
    said += text
    out.push({ _tag: "ReasoningDelta", index: 0, text, provider: source.provider })
  }

  const speak = (text: string, out: Array<WireEvent>): void => {
    if (text === "") return
    said += text
    out.push({ _tag: "TextDelta", text })
  }

  const callPiece = (piece: Json, text: string, out: Array<WireEvent>): void => {
    const delta = calls.read({ ...piece, function: { ...record(piece, "function"), arguments: text } })
    if (delta === undefined) return
    said += delta.argumentsDelta
    out.push(delta)
  }

  const tell = (
    channel: string,
    piece: string,
    evidence: Evidence,
    speaker: (text: string, out: Array<WireEvent>) => void,
    out: Array<WireEvent>
  ): void => {
    speakers.set(channel, speaker)
    speaker(pieces.read(channel, piece, evidence), out)
  }

  const readMessage = (message: Json, evidence: Omit<Evidence, "alone">, out: Array<WireEvent>): void => {
    const { others, text } = readContent(message["content"])
    const thought = string(message, "reasoning_content") ?? ""
    const called = records(message, "tool_calls")
    const speaking = called.length + (thought === "" ? 0 : 1) + (text === "" ? 0 : 1)
    const seen = { ...evidence, alone: speaking < 2 }
    tell("reasoning", thought, seen, think, out)
    tell("text", text, seen, speak, out)
    for (const [position, piece] of called.entries()) {
      const args = record(piece, "function")?.["arguments"]
      tell(
        `call ${number(piece, "index") ?? (string(piece, "id") || position)}`,
        typeof args === "string" ? args : isRecord(args) ? JSON.stringify(args) : "",
        seen,
        (words, into) => callPiece(piece, words, into),
        out
      )
    }
    gather(metadata, message, messageFields)
    gather(metadata, { content: others }, ["content"])
  }

  /** Reads running totals. Returns whether the output tokens advanced; undefined without counts. */
  const readCounts = (body: Json): boolean | undefined => {
    const before = outputTokens
    const latest = record(body, "usage")
    outputTokens = latest === undefined ? undefined : number(latest, "output_tokens")
    if (latest !== undefined && hasCounts(latest)) counts = latest
    return before === undefined || outputTokens === undefined ? undefined : outputTokens > before
  }

  const usage = (): Usage => usageOf(counts && decodeUsage(counts), source, said)

  return {
    id: () => id,
    model: () => model || source.model,
    usage,
    /** Whether the latest event has counts. */
    counted: () => outputTokens !== undefined,
    /** Whether the finish reason has arrived. */
    stopped: () => rawReason !== undefined,
    /** Reads an event. Choices after the first are ignored. */
    read: (body: Json, out: Array<WireEvent>): void => {
      id ||= string(body, "request_id") ?? ""
      model ||= string(body, "model") ?? ""
      const advanced = readCounts(body)
      const output = record(body, "output") ?? {}
      const choice = records(output, "choices").find((each) => (number(each, "index") ?? 0) === 0)
      // Until the end the reason is the string "null".
      const reason = string(choice ?? output, "finish_reason") ?? ""
      if (reason !== "" && reason !== "null") rawReason = reason
      const evidence = { advanced, last: rawReason !== undefined }
      // Without `result_format: "message"`, or from older models, the answer is only a text.
      const older = typeof output["text"] === "string" ? { content: output["text"] } : undefined
      const message = choice === undefined ? older : record(choice, "message")
      if (message !== undefined) readMessage(message, evidence, out)
      if (choice !== undefined) gather(metadata, choice, choiceFields)
      Object.assign(metadata, pick(output, outputFields))
    },
    /** Emits pending text, the ends of tool calls and `Finish`. */
    finish: (out: Array<WireEvent>): void => {
      for (const [channel, text] of pieces.rest()) speakers.get(channel)?.(text, out)
      const whole = calls.whole()
      const beyond = beyondCounts(counts ?? {})
      for (const { call, index } of whole) out.push({ _tag: "ToolCallEnd", index, call })
      out.push({
        _tag: "Finish",
        reason: decodeFinishReason(rawReason ?? "", whole.length > 0),
        rawReason: rawReason ?? "",
        usage: usage(),
        latency: 0,
        providerMetadata: Object.keys(beyond).length === 0 ? metadata : { ...metadata, usage: beyond }
      })
    }
  }
}
