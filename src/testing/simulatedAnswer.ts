/** The answers and vectors of the simulated provider. */
import { Hash } from "effect"
import { estimateInput } from "../call/request.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import * as Usage from "../vocabulary/Usage.js"
import { answerOf } from "./generated/answer.js"
import type { ScriptEntry } from "./model.js"
import { response as wholeResponse } from "./TestLLM.js"

const usageOf = (request: ChatRequest, { reasoning, text, toolCalls }: ChatResponse): Usage.Usage => {
  const reasoningTokens = Usage.estimateTokens(reasoning)
  const calls = Usage.estimateTokens(toolCalls.map((call) => call.arguments).join(""))
  return Usage.make({
    inputTokens: estimateInput(request),
    outputTokens: Usage.estimateTokens(text) + calls + reasoningTokens,
    reasoningTokens
  })
}

/** The whole answer to the request of this number, with its usage. @default `answerOf` */
export const answerTo = (
  given: ScriptEntry["answer"],
  request: ChatRequest,
  index: number,
  withoutUsage: boolean
): ChatResponse => {
  const answer = typeof given === "function" ? given(request) : (given ?? answerOf(request))
  const fields = typeof answer === "string" ? { text: answer } : answer
  const whole = wholeResponse({ id: `simulated-${index}`, model: request.model ?? "simulated", ...fields })
  if (fields.usage !== undefined) return whole
  return { ...whole, usage: withoutUsage ? { ...Usage.empty, estimated: true } : usageOf(request, whole) }
}

/** Equal texts have equal vectors, of length one. */
export const vectorOf = (text: string, dimensions: number): ReadonlyArray<number> => {
  const vector = Array.from({ length: dimensions }, (_, index) => Math.sin(Hash.string(`${index} ${text}`)))
  const length = Math.hypot(...vector)
  return vector.map((value) => Math.fround(value / length))
}
