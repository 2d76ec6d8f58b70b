/** Decodes whole responses, each as a stream of one event. */
import { Either } from "effect"
import { withIndexes } from "../../chatCompletions/toolCalls.js"
import type { Json } from "../../json.js"
import { isRecord, number, record, records } from "../../json.js"
import { wholeAnswer } from "../../answerReader.js"
import type { AnswerSource, WireEvent, WireFailure, WireResponse } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { answerReader, reportedError } from "../answer.js"

const withNumberedCalls = (choice: Json): Json => {
  const message = record(choice, "message") ?? {}
  return { ...choice, index: 0, message: { ...message, tool_calls: withIndexes(records(message, "tool_calls")) } }
}

export const decodeResponse = (body: unknown, source: AnswerSource): Either.Either<WireResponse, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const error = reportedError(body)
  if (error !== undefined) return Either.left({ _tag: "Reported", body: error })
  const output = record(body, "output")
  if (output === undefined) return Either.left(malformed("output", body))
  const choices = records(output, "choices")
  const choice = choices.find((each) => (number(each, "index") ?? 0) === 0) ?? choices[0]
  if (choice === undefined && typeof output["text"] !== "string") return Either.left(malformed("output.choices", body))
  const answer = answerReader(source)
  const events: Array<WireEvent> = []
  answer.read(
    choice === undefined ? body : { ...body, output: { ...output, choices: [withNumberedCalls(choice)] } },
    events
  )
  const others = choices.filter((other) => other !== choice)
  return Either.right(wholeAnswer(answer, events, others.length === 0 ? undefined : { choices: others }))
}
