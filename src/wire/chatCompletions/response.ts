/** A whole answer as Chat Completions writes it: a stream of one chunk. OpenAI, API reference: chat/object. */
import { Either } from "effect"
import type { ChatEvent } from "../../ChatEvent.js"
import * as Events from "../../ChatEvent.js"
import { isRecord, record, records } from "../json.js"
import type { AnswerSource, WireEvent, WireFailure, WireResponse } from "../Wire.js"
import { malformed } from "../Wire.js"
import { answerReader, reportedError } from "./answer.js"
import { numbered } from "./calls.js"

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
  const message = record(choice, "message") ?? {}
  const delta = { ...message, tool_calls: numbered(records(message, "tool_calls")) }
  answer.read({ ...body, choices: [{ ...choice, index: 0, delta }] }, events)
  answer.finish(events)
  const said = events.reduce((collected, event: ChatEvent) => Events.append(collected, event), Events.nothing)
  const others = choices.filter((other) => other !== choice)
  return Either.right({
    id: answer.id(),
    model: answer.model(),
    text: said.text,
    reasoning: said.reasoningParts.map((part) => part.text).join(""),
    reasoningParts: said.reasoningParts,
    refusal: said.refusal,
    toolCalls: said.toolCalls,
    finishReason: said.finish?.reason ?? "other",
    rawFinishReason: said.finish?.rawReason ?? "",
    usage: answer.usage(),
    providerMetadata: { ...said.finish?.providerMetadata, ...(others.length > 0 ? { choices: others } : {}) }
  })
}
