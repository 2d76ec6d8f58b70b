/** Decodes whole responses, each as a stream of one line. docs.ollama.com/api/chat */
import { Either } from "effect"
import { isRecord } from "../../json.js"
import { wholeAnswer } from "../../answerReader.js"
import type { AnswerSource, WireEvent, WireFailure, WireResponse } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader, reportedError } from "../answer.js"

export const decodeResponse = (body: unknown, source: AnswerSource): Either.Either<WireResponse, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const error = reportedError(body)
  if (error !== undefined) return Either.left(error)
  if (!isRecord(body["message"]) && typeof body["response"] !== "string") {
    return Either.left(malformed("message", body))
  }
  const answer = answerReader(source)
  const events: Array<WireEvent> = []
  const failure = answer.read(body, events)
  if (failure !== undefined) return Either.left(failure)
  return Either.right(wholeAnswer(answer, events))
}
