/** The reader of an answer from its lines; a whole answer is a single line. docs.ollama.com/api/chat */
import type { FinishReason } from "../../vocabulary/Chat.js"
import { toolCall } from "../../vocabulary/Chat.js"
import * as Usage from "../../vocabulary/Usage.js"
import * as TextTokens from "../../vocabulary/textTokens.js"
import { partIndexes } from "../answerReader.js"
import { hasError } from "../inBand.js"
import type { Json } from "../json.js"
import { array, isRecord, pick, record, string, tokens } from "../json.js"
import type { AnswerSource, WireEvent, WireFailure } from "../Wire.js"
import { malformed, usageOf } from "../Wire.js"

/** Metadata of the last line: durations in nanoseconds, and the server of a cloud model. */
const metadataFields = [
  "total_duration",
  "load_duration",
  "prompt_eval_duration",
  "eval_duration",
  "remote_model",
  "remote_host"
]

/** Lists of several lines that are concatenated: of the line itself, and of its message. */
export const concatenatedLists = { answer: "logprobs", message: "images" } as const

/** The error that a line reports in place of an answer (docs.ollama.com/api/errors), under any status. */
export const reportedError = (line: Json): WireFailure | undefined =>
  hasError(line) ? { _tag: "Reported", body: line } : undefined

/** Versions before 0.1.38 send no reason: a complete answer without one has stopped. */
export const decodeReason = (raw: string, done: boolean, hasCalls: boolean): FinishReason => {
  if (raw === "length") return "length"
  if (raw !== "stop" && (raw !== "" || !done)) return "other"
  return hasCalls ? "tool-calls" : "stop"
}

/** The server leaves out a count of zero, and that of a cached prompt. */
const readUsage = (line: Json): Usage.Usage | undefined => {
  const input = tokens(line, "prompt_eval_count")
  const output = tokens(line, "eval_count")
  return input === undefined && output === undefined
    ? undefined
    : Usage.make({ inputTokens: input ?? 0, outputTokens: output ?? 0 })
}

const argumentsOf = (value: unknown): string =>
  typeof value === "string" && value !== "" ? value : isRecord(value) ? JSON.stringify(value) : "{}"

export const answerReader = (source: AnswerSource) => {
  let model = ""
  let rawReason = ""
  let done = false
  let usage: Usage.Usage | undefined
  /** All output, for an estimate when the server sends no counts. */
  const output = TextTokens.growing()
  let callCount = 0
  /** The digits of the time in the first line; empty when it has none. */
  let createdAt: string | undefined
  const parts = partIndexes()
  const metadata: Record<string, unknown> = {}

  const append = (name: string, more: ReadonlyArray<unknown> | undefined): void => {
    if (more === undefined || more.length === 0) return
    const before = metadata[name]
    // Extends the list in place: it comes from a parsed line that has no other reference.
    if (Array.isArray(before)) for (const entry of more) before.push(entry)
    else metadata[name] = more
  }

  /**
   * Calls arrive whole. Missing ids are generated from the time of the answer and the position among its calls, so that those of all
   * turns of a history are different. OpenAI accepts ids of up to 40 characters.
   */
  const readCall = (call: unknown, out: Array<WireEvent>): WireFailure | undefined => {
    const body = isRecord(call) ? (record(call, "function") ?? {}) : {}
    const name = string(body, "name") ?? ""
    if (name === "") return malformed("message.tool_calls", call)
    const id = (isRecord(call) && string(call, "id")) || `call_${createdAt ?? ""}${callCount}`
    callCount++
    const index = parts.open()
    const text = argumentsOf(body["arguments"])
    output.add(text)
    out.push({ _tag: "ToolCallDelta", index, id, name, argumentsDelta: text })
    out.push({ _tag: "ToolCallEnd", index, call: toolCall(id, name, text) })
    return undefined
  }

  return {
    id: () => "",
    model: () => model || source.model,
    usage: () => usageOf(usage, source, output.tokens),
    done: () => done,
    /**
     * Reads a line of `/api/chat`, or of the older `/api/generate`, which has the text in `response` and no `message`. The parts
     * of a stream begin with their first lines; within a line the order is reasoning, text, calls.
     */
    read: (line: Json, out: Array<WireEvent>): WireFailure | undefined => {
      model ||= string(line, "model") ?? ""
      createdAt ??= string(line, "created_at")?.replace(/\D+/g, "").slice(0, 23).concat("_") ?? ""
      const message = record(line, "message") ?? {}
      const thinking = string(message, "thinking") || string(line, "thinking") || ""
      if (thinking !== "") {
        const index = parts.continue("reasoning")
        out.push({ _tag: "ReasoningDelta", index, text: thinking, provider: source.provider })
      }
      const text = string(message, "content") || string(line, "response") || ""
      if (text !== "") out.push({ _tag: "TextDelta", index: parts.continue("text"), text })
      output.add(thinking + text)
      for (const call of array(message, "tool_calls") ?? []) {
        const failure = readCall(call, out)
        if (failure !== undefined) return failure
      }
      append(concatenatedLists.message, array(message, concatenatedLists.message))
      append(concatenatedLists.answer, array(line, concatenatedLists.answer))
      Object.assign(metadata, pick(line, metadataFields))
      usage = readUsage(line) ?? usage
      rawReason = string(line, "done_reason") || rawReason
      done ||= line["done"] === true
      return undefined
    },
    /** Emits `Finish`. */
    finish: (out: Array<WireEvent>): void => {
      out.push({
        _tag: "Finish",
        reason: decodeReason(rawReason, done, callCount > 0),
        rawReason,
        usage: usageOf(usage, source, output.tokens),
        latency: 0,
        providerMetadata: metadata
      })
    }
  }
}
