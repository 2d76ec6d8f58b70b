/** Decodes whole responses. OpenAI, API reference: chat/object. */
import { Either } from "effect"
import { isRecord } from "../../json.js"
import { wholeAnswer } from "../../answerReader.js"
import type { AnswerSource, WireEvent, WireFailure, WireResponse } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader, reportedError } from "./answer.js"

const isFirst = (choice: unknown): boolean => isRecord(choice) && (choice["index"] ?? 0) === 0

export const decodeResponse = (body: unknown, source: AnswerSource): Either.Either<WireResponse, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const error = reportedError(body)
  if (error !== undefined) return Either.left({ _tag: "Reported", body: error })
  const choices = body["choices"]
  if (!Array.isArray(choices)) return Either.left(malformed("choices", body))
  const choice: unknown = choices.find(isFirst) ?? choices[0]
  if (!isRecord(choice)) return Either.left(malformed("choices[0]", body))
  const answer = answerReader(source)
  const events: Array<WireEvent> = []
  answer.readWhole(body, choice, events)
  const others = choices.length === 1 ? undefined : { choices: choices.filter((other) => other !== choice) }
  return Either.right(wholeAnswer(answer, events, others))
}
