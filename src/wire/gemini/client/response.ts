/** Decodes whole responses: a stream of one chunk, or a list of all chunks of a stream. */
import { Either } from "effect"
import type { Json } from "../../json.js"
import { isRecord, records } from "../../json.js"
import { wholeAnswer } from "../../answerReader.js"
import type { AnswerSource, WireEvent, WireFailure, WireResponse } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader } from "./answer.js"

/** The answer is the candidate with index 0, or else the first one. */
const firstOf = (body: Json): { readonly body: Json; readonly others: ReadonlyArray<Json> } => {
  const candidates = records(body, "candidates")
  const first = candidates.find((candidate) => (candidate["index"] ?? 0) === 0) ?? candidates[0]
  return first === undefined
    ? { body, others: [] }
    : {
        body: { ...body, candidates: [{ ...first, index: 0 }] },
        others: candidates.filter((candidate) => candidate !== first)
      }
}

export const decodeResponse = (body: unknown, source: AnswerSource): Either.Either<WireResponse, WireFailure> => {
  const chunks: ReadonlyArray<unknown> = Array.isArray(body) ? body : [body]
  const answer = answerReader(source)
  const events: Array<WireEvent> = []
  const others: Array<Json> = []
  let candidates = 0
  for (const chunk of chunks) {
    const first = isRecord(chunk) && !Array.isArray(body) ? firstOf(chunk) : { body: chunk, others: [] }
    others.push(...first.others)
    candidates += isRecord(first.body) ? records(first.body, "candidates").length : 0
    const failure = answer.read(first.body, events)
    if (failure !== undefined) return Either.left(failure)
  }
  if (candidates === 0) return Either.left(malformed("candidates", body))
  if (Array.isArray(body) && !answer.stopped()) return Either.left({ _tag: "Truncated" })
  return Either.right(wholeAnswer(answer, events, others.length === 0 ? undefined : { candidates: others }))
}
