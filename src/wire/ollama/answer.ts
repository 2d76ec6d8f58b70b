/** An answer, read line by line, of which a whole answer is the only one. docs.ollama.com/api/chat */
import type { FinishReason } from "../../vocabulary/Chat.js"
import * as Usage from "../../vocabulary/Usage.js"
import { saysError } from "../inBand.js"
import type { Json } from "../json.js"
import { array, isRecord, pick, record, string, tokens } from "../json.js"
import type { AnswerSource, WireEvent, WireFailure } from "../Wire.js"
import { malformed, usageOf } from "../Wire.js"

/** Said once, at the end: nanoseconds, and for cloud models who really answered. */
const fields = [
  "total_duration",
  "load_duration",
  "prompt_eval_duration",
  "eval_duration",
  "remote_model",
  "remote_host"
]

/** Said in pieces: of the answer, and of its message. */
export const gathered = { answer: "logprobs", message: "images" } as const

/** The error that stands where an answer should be (docs.ollama.com/api/errors), under any status. */
export const reportedError = (line: Json): WireFailure | undefined =>
  saysError(line) ? { _tag: "Reported", body: line } : undefined

/** Versions before 0.1.38 say no reason: what is done without one has stopped. */
export const decodeReason = (raw: string, done: boolean, hasCalls: boolean): FinishReason => {
  if (raw === "length") return "length"
  if (raw !== "stop" && (raw !== "" || !done)) return "other"
  return hasCalls ? "tool-calls" : "stop"
}

/** A count of nothing is left out, as is that of a prompt that was evaluated before. */
const readUsage = (line: Json): Usage.Usage | undefined => {
  const input = tokens(line, "prompt_eval_count")
  const output = tokens(line, "eval_count")
  return input === undefined && output === undefined
    ? undefined
    : Usage.make({ inputTokens: input ?? 0, outputTokens: output ?? 0 })
}

const argumentsOf = (value: unknown): string =>
  typeof value === "string" && value !== "" ? value : isRecord(value) ? JSON.stringify(value) : "{}"

/** The reader of one answer. */
export const answerReader = (source: AnswerSource) => {
  let model = ""
  let rawReason = ""
  let done = false
  let usage: Usage.Usage | undefined
  /** All that was said, for an estimate where nobody counts. */
  let said = ""
  let calls = 0
  const metadata: Record<string, unknown> = {}

  const keep = (name: string, more: ReadonlyArray<unknown> | undefined): void => {
    if (more === undefined || more.length === 0) return
    const before = metadata[name]
    // The list grows in place: it came out of a line that nobody else holds.
    if (Array.isArray(before)) for (const entry of more) before.push(entry)
    else metadata[name] = more
  }

  /** Calls come whole. Their ids are made up where a server sends none, from their place, so that both ways agree. */
  const readCall = (call: unknown, out: Array<WireEvent>): WireFailure | undefined => {
    const body = isRecord(call) ? (record(call, "function") ?? {}) : {}
    const name = string(body, "name") ?? ""
    if (name === "") return malformed("message.tool_calls", call)
    const index = calls++
    const id = (isRecord(call) && string(call, "id")) || `call_${index}`
    const text = argumentsOf(body["arguments"])
    said += text
    out.push({ _tag: "ToolCallDelta", index, id, name, argumentsDelta: text })
    out.push({ _tag: "ToolCallEnd", index, call: { id, name, arguments: text } })
    return undefined
  }

  return {
    id: () => "",
    model: () => model || source.model,
    usage: () => usageOf(usage, source, said),
    done: () => done,
    /** Reads a line: of `/api/chat`, or of the older `/api/generate`, which has the answer's words beside the rest. */
    read: (line: Json, out: Array<WireEvent>): WireFailure | undefined => {
      model ||= string(line, "model") ?? ""
      const message = record(line, "message") ?? {}
      const thinking = string(message, "thinking") || string(line, "thinking") || ""
      if (thinking !== "") {
        out.push({ _tag: "ReasoningDelta", index: 0, text: thinking, provider: source.provider })
      }
      const text = string(message, "content") || string(line, "response") || ""
      if (text !== "") out.push({ _tag: "TextDelta", text })
      said += thinking + text
      for (const call of array(message, "tool_calls") ?? []) {
        const failure = readCall(call, out)
        if (failure !== undefined) return failure
      }
      keep(gathered.message, array(message, gathered.message))
      keep(gathered.answer, array(line, gathered.answer))
      Object.assign(metadata, pick(line, fields))
      usage = readUsage(line) ?? usage
      rawReason = string(line, "done_reason") || rawReason
      done ||= line["done"] === true
      return undefined
    },
    /** Gives out what is owed at the end. */
    finish: (out: Array<WireEvent>): void => {
      out.push({
        _tag: "Finish",
        reason: decodeReason(rawReason, done, calls > 0),
        rawReason,
        usage: usageOf(usage, source, said),
        latency: 0,
        providerMetadata: metadata
      })
    }
  }
}
