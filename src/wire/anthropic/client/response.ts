/** Decodes whole responses. */
import { Either } from "effect"
import { isRecord } from "../../json.js"
import { wholeAnswer } from "../../answerReader.js"
import type { AnswerSource, WireEvent, WireFailure, WireResponse } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader, reportedError } from "./answer.js"

export const decodeResponse = (body: unknown, source: AnswerSource): Either.Either<WireResponse, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const error = reportedError(body)
  if (error !== undefined) return Either.left(error)
  const content = body["content"]
  if (!Array.isArray(content)) return Either.left(malformed("content", content))
  const answer = answerReader(source)
  const events: Array<WireEvent> = []
  answer.begin(body)
  const failure = answer.wholeBlocks(content, "content", events)
  if (failure !== undefined) return Either.left(failure)
  answer.messageDelta({ usage: body["usage"] })
  return Either.right(wholeAnswer(answer, events))
}
