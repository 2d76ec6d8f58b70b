/** The client reads a whole answer: a stream of whole blocks. */
import { Either } from "effect"
import type { ChatEvent } from "../../ChatEvent.js"
import * as Events from "../../ChatEvent.js"
import { isRecord } from "../json.js"
import type { AnswerSource, WireEvent, WireFailure, WireResponse } from "../Wire.js"
import { malformed } from "../Wire.js"
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
  answer.finish(events)
  const said = events.reduce((collected, event: ChatEvent) => Events.append(collected, event), Events.nothing)
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
    providerMetadata: said.finish?.providerMetadata ?? {}
  })
}
