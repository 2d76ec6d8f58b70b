/** Spans and metrics of attempts. */
import type { Clock, Tracer } from "effect"
import { Effect, Exit, FiberId, Option } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { AttemptProbe, Instruments, Outcome, Subject } from "../call/observer.js"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { Usage } from "../vocabulary/Usage.js"
import * as Metrics from "./metrics.js"
import type { Options } from "./model.js"
import * as Spans from "./spans.js"

/** Source: OpenTelemetry semantic conventions for generative AI, client spans. */
export const requestAttributes = (
  info: ModelInfo,
  operation: Subject["operation"],
  model: string,
  request: ChatRequest.Input | undefined
): Record<string, unknown> => {
  const attributes: Record<string, unknown> = {
    "gen_ai.operation.name": operation,
    "gen_ai.provider.name": info.provider,
    "gen_ai.request.model": model
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

export const setUsageAttributes = (span: Tracer.Span, usage: Usage): void => {
  span.attribute("gen_ai.usage.input_tokens", usage.inputTokens)
  span.attribute("gen_ai.usage.output_tokens", usage.outputTokens)
}

/** The exit of an attempt's span; a failure contains only its outcome. */
const exitOf = (outcome: Outcome): Exit.Exit<void, Outcome> =>
  outcome === "ok" ? Exit.void : outcome === "interrupted" ? Exit.interrupt(FiberId.none) : Exit.fail(outcome)

/** Records each attempt of an `LLM` in a span and in the metrics of its key, and the waits before it. */
export const make = (info: ModelInfo, options: Options): Instruments => {
  const { metrics: hasMetrics = true, spans = true } = options
  const keyMetrics = new Map<string, Metrics.KeyMetrics>()
  const metricsOf = (key: ApiKey): Metrics.KeyMetrics => {
    const existing = keyMetrics.get(key.id)
    if (existing !== undefined) return existing
    const created = Metrics.ofKey(info, key)
    keyMetrics.set(key.id, created)
    return created
  }
  const waits = Metrics.ofWaits(info)
  const retries = Metrics.ofRetries(info)

  const probeOf = (key: ApiKey, clock: Clock.Clock, span: Option.Option<Tracer.Span>): AttemptProbe => ({
    around: (effect) => (Option.isNone(span) ? effect : Effect.withParentSpan(effect, span.value)),
    end: (verdict, outcome, usage) => {
      const recordMetrics = hasMetrics
        ? Metrics.updateMetrics((labels) => metricsOf(key).ended(outcome, verdict, labels))
        : Effect.void
      return Option.isNone(span)
        ? recordMetrics
        : Effect.zipRight(
            recordMetrics,
            Effect.sync(() => {
              if (outcome !== "ok") span.value.attribute("error.type", outcome)
              if (usage !== undefined) setUsageAttributes(span.value, usage)
              span.value.end(clock.unsafeCurrentTimeNanos(), exitOf(outcome))
            })
          )
    }
  })

  return {
    ...(hasMetrics
      ? {
          recorder: {
            started: (key, labels) => metricsOf(key).started(labels),
            ended: (key, outcome, verdict, labels) => metricsOf(key).ended(outcome, verdict, labels)
          }
        }
      : {}),
    attempt: (key, { model, operation, request }) =>
      Effect.clockWith((clock) => {
        const span = spans
          ? Spans.make(`attempt ${model}`, () => ({
              kind: "client",
              attributes: { ...requestAttributes(info, operation, model, request), "effect_llm.key.id": key.id }
            }))
          : Effect.succeedNone
        const probe = Effect.map(span, (span) => probeOf(key, clock, span))
        return hasMetrics ? Effect.zipRight(Metrics.updateMetrics(metricsOf(key).started), probe) : probe
      }),
    waited: (what, duration) => (hasMetrics ? waits[what](duration / 1000) : Effect.void),
    retried: (outcome) => (hasMetrics ? retries[outcome] : Effect.void)
  }
}
