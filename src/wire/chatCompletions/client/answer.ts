/** The reader of an answer from its chunks; a whole answer is a single chunk. OpenAI, API reference: chat/streaming. */
import type { Usage } from "../../../vocabulary/Usage.js"
import { isFault, saysError } from "../../inBand.js"
import type { Json } from "../../json.js"
import { array, isRecord, number, record, string } from "../../json.js"
import type { AnswerSource, WireEvent } from "../../Wire.js"
import { usageOf } from "../../Wire.js"
import { callReader } from "../toolCalls.js"
import { decodeFinishReason, isFailure } from "../finishReason.js"
import {
  bodyFields,
  choiceFields,
  gather,
  gatherCall,
  gatherOthers,
  keep,
  keepOthers,
  messageFields
} from "../metadata.js"
import { readContent, thoughtReader } from "../reasoning.js"
import { decodeUsage, furtherUsage } from "../usage.js"

/** MiniMax sends a status with every answer ("Error Codes"): 0 is success. */
const isFailed = (outcome: Json | undefined): boolean => ((outcome && number(outcome, "status_code")) ?? 0) !== 0

/**
 * The error that a body reports in place of an answer: under `error`, in the choice (OpenRouter, "Errors"), as the finish reason, or
 * in a body without choices.
 */
export const reportedError = (body: Json): Json | undefined => {
  if (isFault(body["error"]) || body["object"] === "error" || isFailed(record(body, "base_resp"))) return body
  const choices = array(body, "choices") ?? []
  if (choices.length === 0) return saysError(body) ? body : undefined
  const choice = choices[0]
  if (!isRecord(choice)) return undefined
  if (isFault(choice["error"])) return { error: choice["error"] }
  const reason = string(choice, "finish_reason") ?? ""
  return isFailure(reason)
    ? { error: { code: reason, message: `The provider ended the answer with finish_reason ${reason}.` } }
    : undefined
}

export const answerReader = (source: AnswerSource) => {
  let id = ""
  let model = ""
  let rawReason: string | undefined
  let usage: Usage | undefined
  /** Number of chunks with counts. */
  let countedChunks = 0
  let lastChunkCounts = false
  /** Counts that `Usage` does not cover. */
  let furtherCounts: Json | undefined
  /** All output, for an estimate when the provider sends no counts. */
  let said = ""
  const metadata: Record<string, unknown> = {}
  const thoughts = thoughtReader(source.provider)
  const calls = callReader()
  let modernCalls = false
  /** Whether each choice after the first has its `finish_reason`, by index. */
  const furtherChoices = new Map<number, boolean>()

  const readCall = (piece: Json, out: Array<WireEvent>): void => {
    const delta = calls.read(piece)
    if (delta === undefined) return
    said += delta.argumentsDelta
    out.push(delta)
  }

  const readCalls = (message: Json, out: Array<WireEvent>): void => {
    for (const [position, piece] of (array(message, "tool_calls") ?? []).entries()) {
      if (!isRecord(piece)) continue
      modernCalls = true
      readCall(piece, out)
      gatherCall(metadata, piece, number(piece, "index") ?? position)
    }
    const legacy = record(message, "function_call")
    if (legacy !== undefined && !modernCalls) readCall({ index: 0, function: legacy }, out)
  }

  const readMessage = (message: Json, out: Array<WireEvent>): void => {
    const content = readContent(message)
    for (const thought of thoughts.read(message, content)) {
      said += thought.text
      out.push(thought)
    }
    if (content.text !== "") {
      said += content.text
      out.push({ _tag: "TextDelta", text: content.text })
    }
    const refusal = string(message, "refusal") ?? ""
    if (refusal !== "") {
      said += refusal
      out.push({ _tag: "RefusalDelta", text: refusal })
    }
    readCalls(message, out)
    gather(metadata, message, messageFields)
    gatherOthers(metadata, message, "message")
  }

  const readChoice = (choice: Json, out: Array<WireEvent>): void => {
    // Some servers repeat the whole message after its deltas.
    const message = record(choice, "delta") ?? (said === "" ? record(choice, "message") : undefined)
    if (message !== undefined) readMessage(message, out)
    gather(metadata, choice, choiceFields)
    gatherOthers(metadata, choice, "choice")
    rawReason = string(choice, "finish_reason") || rawReason
  }

  return {
    /** The first id that is not empty; the same for the model. */
    id: () => id,
    model: () => model || source.model,
    usage: () => usageOf(usage, source, said),
    /** Whether the provider has sent its counts. */
    counted: () => usage !== undefined,
    /** Whether every choice has its `finish_reason`. */
    stopped: () => rawReason !== undefined && [...furtherChoices.values()].every(Boolean),
    /**
     * Whether the last chunk has counts and no other has. Some servers (Snowflake Cortex, some behind OpenRouter) never send a
     * `finish_reason` and send the counts last. Running totals do not mark the end.
     */
    closed: () => lastChunkCounts && countedChunks === 1,
    /** Reads a chunk. Of further choices only the `finish_reason` is read. */
    read: (chunk: Json, out: Array<WireEvent>): void => {
      id ||= string(chunk, "id") ?? ""
      model ||= string(chunk, "model") ?? ""
      // Running totals: the last one counts.
      const counts = decodeUsage(chunk)
      lastChunkCounts = counts !== undefined
      if (lastChunkCounts) countedChunks++
      usage = counts ?? usage
      keep(metadata, chunk, bodyFields)
      keepOthers(metadata, chunk)
      furtherCounts = furtherUsage(chunk) ?? furtherCounts
      for (const choice of array(chunk, "choices") ?? []) {
        if (!isRecord(choice)) continue
        const index = number(choice, "index") ?? 0
        if (index === 0) readChoice(choice, out)
        else furtherChoices.set(index, furtherChoices.get(index) === true || Boolean(string(choice, "finish_reason")))
      }
    },
    /** Emits the ends of tool calls and `Finish`. */
    finish: (out: Array<WireEvent>): void => {
      const whole = calls.whole()
      for (const { call, index, signature } of whole) {
        if (signature !== "") out.push(thoughts.mark(call.id, signature))
        out.push({ _tag: "ToolCallEnd", index, call })
      }
      out.push({
        _tag: "Finish",
        reason: decodeFinishReason(rawReason ?? "", whole.length > 0),
        rawReason: rawReason ?? "",
        usage: usageOf(usage, source, said),
        latency: 0,
        providerMetadata: furtherCounts === undefined ? metadata : { ...metadata, usage: furtherCounts }
      })
    }
  }
}
