/**
 * An answer, whole or in pieces: each piece has the shape of the whole (Gemini API reference, `GenerateContentResponse`), so
 * that there is one reader for both.
 */
import type { Usage } from "../../../vocabulary/Usage.js"
import type { AnswerReader } from "../../answerReader.js"
import { isFault, saysError } from "../../inBand.js"
import type { Json } from "../../json.js"
import { array, isRecord, record, records, string } from "../../json.js"
import type { AnswerSource, WireEvent, WireFailure } from "../../Wire.js"
import { malformed, usageOf } from "../../Wire.js"
import { decodeFinishReason, failureOf } from "../finishReason.js"
import { gather } from "../metadata.js"
import { partReader } from "../partReader.js"
import { decodeUsage, furtherUsage, isCounted } from "../usage.js"

export interface GeminiReader extends AnswerReader {
  /**
   * Whether the model has said why it stopped and has written nothing since. Some servers say so in every piece, and some in an
   * empty first one.
   */
  readonly stopped: () => boolean
  /** Reads a piece and appends its events. */
  readonly read: (piece: unknown, out: Array<WireEvent>) => WireFailure | undefined
}

/** A prompt that was blocked has no candidates. It is an error like any other, in other words. */
const blocked = (body: Json): WireFailure | undefined => {
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
  /** The last counts, and all that was said with any. */
  let counts: Json = {}
  let stopped = false
  const counted: Record<string, unknown> = {}
  const metadata: Record<string, unknown> = {}
  const parts = partReader(source.provider, (index) => (id === "" ? `call_${index}` : `call_${id}_${index}`))

  const usage = (): Usage => usageOf(decodeUsage(counts), source, parts.written())

  const count = (body: Json): void => {
    const told = record(body, "usageMetadata")
    if (told === undefined) return
    Object.assign(counted, told)
    if (isCounted(told)) counts = told
  }

  const say = (candidate: Json, out: Array<WireEvent>): WireFailure | undefined => {
    const content = record(candidate, "content") ?? {}
    const before = out.length
    const failure = parts.read(array(content, "parts") ?? [], "candidates[0].content.parts", out)
    const given = string(candidate, "finishReason") ?? ""
    reason = given || reason
    const failed = failure ?? (parts.calls() > 0 ? undefined : failureOf(candidate, "candidates[0]"))
    // A finish reason that is a failure is no finish signal, after which the stream would be a success.
    stopped = failed === undefined && (given !== "" || (stopped && out.length === before))
    return failed
  }

  return {
    id: () => id,
    model: () => model,
    stopped: () => stopped,
    usage,
    read: (piece, out) => {
      if (!isRecord(piece)) return malformed("", piece)
      const { error } = piece
      if (isRecord(error)) return { _tag: "Reported", body: { error } }
      if (isFault(error) || (piece["candidates"] === undefined && saysError(piece))) {
        return { _tag: "Reported", body: piece }
      }
      id ||= string(piece, "responseId") ?? ""
      model = string(piece, "modelVersion") || model
      count(piece)
      const candidates = records(piece, "candidates")
      const candidate = candidates.find(isFirst)
      if (candidates.length === 0) {
        const refusal = blocked(piece)
        if (refusal !== undefined) return refusal
      }
      gather(metadata, piece, candidate ?? {})
      if (candidate === undefined) return undefined
      return say(candidate, out)
    },
    finish: (out) => {
      parts.end(out)
      const others = parts.others()
      const further = furtherUsage(counted)
      out.push({
        _tag: "Finish",
        reason: decodeFinishReason(reason, parts.calls() > 0),
        rawReason: reason,
        usage: usage(),
        latency: 0,
        providerMetadata: {
          ...metadata,
          ...(others.length === 0 ? {} : { parts: others }),
          ...(Object.keys(further).length === 0 ? {} : { usage: further })
        }
      })
    }
  }
}
