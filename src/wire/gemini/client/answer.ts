/**
 * Reads an answer, whole or in chunks: each chunk has the shape of a whole answer. Source: Gemini API reference,
 * `GenerateContentResponse`.
 */
import type { Usage } from "../../../vocabulary/Usage.js"
import type { AnswerReader } from "../../answerReader.js"
import { isError, hasError } from "../../inBand.js"
import type { Json } from "../../json.js"
import { array, isRecord, record, records, string } from "../../json.js"
import type { AnswerSource, WireEvent, WireFailure } from "../../Wire.js"
import { malformed, usageOf } from "../../Wire.js"
import { decodeFinishReason, failureOf } from "../finishReason.js"
import { collectMetadata } from "../metadata.js"
import { partReader } from "../partReader.js"
import { decodeUsage, hasCounts, otherUsage } from "../usage.js"

export interface GeminiReader extends AnswerReader {
  /**
   * Whether a finish reason has arrived and no output after it. Some servers send one in every chunk, and some in an empty first
   * chunk.
   */
  readonly stopped: () => boolean
  /** Reads a chunk and appends its events. */
  readonly read: (chunk: unknown, out: Array<WireEvent>) => WireFailure | undefined
}

/** The error for a blocked prompt, which has no candidates. */
const promptBlocked = (body: Json): WireFailure | undefined => {
  const feedback = record(body, "promptFeedback") ?? {}
  const reason = string(feedback, "blockReason") ?? ""
  if (reason === "") return undefined
  const message = string(feedback, "blockReasonMessage") || `The prompt was blocked: ${reason}.`
  return { _tag: "Reported", body: { error: { type: "prompt_blocked", code: reason, message } } }
}

const isFirst = (candidate: Json): boolean => (candidate["index"] ?? 0) === 0

export const answerReader = (source: AnswerSource): GeminiReader => {
  let id = ""
  let model = source.model
  let reason = ""
  /** The last usage with counts. */
  let counts: Json = {}
  let stopped = false
  /** The fields of every usage so far. */
  const usageFields: Record<string, unknown> = {}
  const metadata: Record<string, unknown> = {}
  const parts = partReader(source.provider, (index) => (id === "" ? `call_${index}` : `call_${id}_${index}`))

  const usage = (): Usage => usageOf(decodeUsage(counts), source, parts.output())

  const updateUsage = (body: Json): void => {
    const fields = record(body, "usageMetadata")
    if (fields === undefined) return
    Object.assign(usageFields, fields)
    if (hasCounts(fields)) counts = fields
  }

  const readCandidate = (candidate: Json, out: Array<WireEvent>): WireFailure | undefined => {
    const content = record(candidate, "content") ?? {}
    const before = out.length
    const malformedPart = parts.read(array(content, "parts") ?? [], "candidates[0].content.parts", out)
    const finishReason = string(candidate, "finishReason") ?? ""
    reason = finishReason || reason
    const failure = malformedPart ?? (parts.calls() > 0 ? undefined : failureOf(candidate, "candidates[0]"))
    // After a failure the stream must not end as a success.
    stopped = failure === undefined && (finishReason !== "" || (stopped && out.length === before))
    return failure
  }

  return {
    id: () => id,
    model: () => model,
    stopped: () => stopped,
    usage,
    read: (chunk, out) => {
      if (!isRecord(chunk)) return malformed("", chunk)
      const { error } = chunk
      if (isRecord(error)) return { _tag: "Reported", body: { error } }
      if (isError(error) || (chunk["candidates"] === undefined && hasError(chunk))) {
        return { _tag: "Reported", body: chunk }
      }
      id ||= string(chunk, "responseId") ?? ""
      model = string(chunk, "modelVersion") || model
      updateUsage(chunk)
      const candidates = records(chunk, "candidates")
      const candidate = candidates.find(isFirst)
      if (candidates.length === 0) {
        const blocked = promptBlocked(chunk)
        if (blocked !== undefined) return blocked
      }
      collectMetadata(metadata, chunk, candidate ?? {})
      if (candidate === undefined) return undefined
      return readCandidate(candidate, out)
    },
    finish: (out) => {
      parts.end(out)
      const other = otherUsage(usageFields)
      out.push({
        _tag: "Finish",
        reason: decodeFinishReason(reason, parts.calls() > 0),
        rawReason: reason,
        usage: usage(),
        latency: 0,
        providerMetadata: {
          ...metadata,
          ...(Object.keys(other).length === 0 ? {} : { usage: other })
        }
      })
    }
  }
}
