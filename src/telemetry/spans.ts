/** Spans that are made only when a tracer is installed. */
import type { Tracer } from "effect"
import { Exit, FiberId } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { Outcome, SpanAnswer, Spans, SpanSubject } from "../call/observer.js"
import { outcomeOf } from "../call/observer.js"
import type { Usage } from "../vocabulary/Usage.js"
import { isTraced, unsafeMake } from "./fiberSpans.js"
import * as Conventions from "./conventions.js"
import type { Options } from "./model.js"

/** Source: OpenTelemetry semantic conventions for generative AI, client spans. */
const requestAttributes = (
  provider: string,
  server: Conventions.Server | undefined,
  { model, operation, request, streamed }: SpanSubject
): Record<string, unknown> => {
  const attributes: Record<string, unknown> = {
    "gen_ai.operation.name": operation,
    "gen_ai.provider.name": provider,
    "gen_ai.request.model": model
  }
  if (streamed) attributes["gen_ai.request.stream"] = true
  if (server !== undefined) {
    attributes["server.address"] = server.address
    attributes["server.port"] = server.port
  }
  if (request === undefined || typeof request === "string") return attributes
  if (request.temperature !== undefined) attributes["gen_ai.request.temperature"] = request.temperature
  if (request.topP !== undefined) attributes["gen_ai.request.top_p"] = request.topP
  if (request.topK !== undefined) attributes["gen_ai.request.top_k"] = request.topK
  if (request.frequencyPenalty !== undefined) {
    attributes["gen_ai.request.frequency_penalty"] = request.frequencyPenalty
  }
  if (request.presencePenalty !== undefined) attributes["gen_ai.request.presence_penalty"] = request.presencePenalty
  if (request.maxTokens !== undefined) attributes["gen_ai.request.max_tokens"] = request.maxTokens
  if (request.seed !== undefined) attributes["gen_ai.request.seed"] = request.seed
  if (request.stop !== undefined) attributes["gen_ai.request.stop_sequences"] = request.stop
  return attributes
}

const setUsageAttributes = (span: Tracer.Span, usage: Usage): void => {
  span.attribute("gen_ai.usage.input_tokens", usage.inputTokens)
  span.attribute("gen_ai.usage.output_tokens", usage.outputTokens)
  span.attribute("gen_ai.usage.cache_read.input_tokens", usage.cachedInputTokens)
  span.attribute("gen_ai.usage.cache_write.input_tokens", usage.cacheWriteTokens)
  // The name of earlier versions of the conventions.
  span.attribute("gen_ai.usage.cache_creation.input_tokens", usage.cacheWriteTokens)
  span.attribute("gen_ai.usage.reasoning.output_tokens", usage.reasoningTokens)
}

const setFirstChunk = (span: Tracer.Span, millis: number | undefined): void => {
  if (millis !== undefined) span.attribute("gen_ai.response.time_to_first_chunk", millis / 1000)
}

const setAnswerAttributes = (span: Tracer.Span, answer: SpanAnswer): void => {
  if (answer.id) span.attribute("gen_ai.response.id", answer.id)
  span.attribute("gen_ai.response.model", answer.model)
  if (answer.finishReason !== undefined) span.attribute("gen_ai.response.finish_reasons", [answer.finishReason])
  setUsageAttributes(span, answer.usage)
  span.attribute("effect_llm.attempts", answer.attempts.length)
}

/** The exit of an attempt's span; a failure contains only its outcome. */
const exitOf = (outcome: Outcome): Exit.Exit<void, Outcome> =>
  outcome === "ok" ? Exit.void : outcome === "interrupted" ? Exit.interrupt(FiberId.none) : Exit.fail(outcome)

/** The spans of the calls and attempts of an `LLM`. */
const make = (info: ModelInfo): Spans => {
  const server = Conventions.serverOf(info)
  const attributesOf = (subject: SpanSubject) => requestAttributes(info.provider, server, subject)
  return {
    startCall: (fiber, call) => {
      if (!isTraced(fiber)) return undefined
      const name = `${call.operation} ${call.model}`
      return unsafeMake(fiber, name, "internal", attributesOf(call))
    },
    startAttempt: (fiber, key, subject, parent) => {
      if (!isTraced(fiber)) return undefined
      const attributes = attributesOf(subject)
      attributes["effect_llm.key.id"] = key.id
      return unsafeMake(fiber, `attempt ${subject.model}`, "client", attributes, parent)
    },
    endAttempt: (span, clock, outcome, usage, firstChunk) => {
      if (outcome !== "ok") span.attribute("error.type", outcome)
      if (usage !== undefined) setUsageAttributes(span, usage)
      setFirstChunk(span, firstChunk)
      span.end(clock.unsafeCurrentTimeNanos(), exitOf(outcome))
    },
    endCall: (span, clock, exit, answer, firstChunk) => {
      const outcome = outcomeOf(exit)
      if (answer !== undefined) setAnswerAttributes(span, answer)
      setFirstChunk(span, firstChunk)
      if (outcome !== "ok") span.attribute("error.type", outcome)
      span.end(clock.unsafeCurrentTimeNanos(), exit)
    }
  }
}

/** The spans of an `LLM`; undefined when they are off. */
export const of = (info: ModelInfo, { spans = true }: Options): Spans | undefined => (spans ? make(info) : undefined)
