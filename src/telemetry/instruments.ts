/** Spans and metrics of attempts. */
import type { Clock, Tracer } from "effect"
import { Effect } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { AttemptProbe, Instruments, Spans } from "../call/observer.js"
import { clockOf } from "../internal/clock.js"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import * as Metrics from "./metrics.js"
import type { Options } from "./model.js"

/** Records each attempt of an `LLM` in a span and in the metrics of its key, and the waits before it. */
export const make = (
  info: ModelInfo,
  { metrics: hasMetrics = true }: Options,
  spans: Spans | undefined
): Instruments => {
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
  const estimated = Metrics.ofEstimates(info)

  const probeOf = (key: ApiKey, clock: Clock.Clock, span: Tracer.Span | undefined): AttemptProbe => ({
    around: (effect) => (span === undefined ? effect : Effect.withParentSpan(effect, span)),
    end: (verdict, outcome, usage, _answeredBy, firstChunk) => {
      const recordMetrics = hasMetrics
        ? Metrics.updateMetrics((labels) => metricsOf(key).ended(outcome, verdict, labels))
        : Effect.void
      return span === undefined
        ? recordMetrics
        : Effect.zipRight(
            recordMetrics,
            Effect.sync(() => spans?.endAttempt(span, clock, outcome, usage, firstChunk))
          )
    }
  })

  return {
    ...(hasMetrics
      ? {
          recorder: {
            started: (key, labels) => metricsOf(key).started(labels),
            ended: (key, outcome, verdict, labels) => metricsOf(key).ended(outcome, verdict, labels),
            estimated
          }
        }
      : {}),
    attempt: (key, subject) =>
      Effect.withFiberRuntime((fiber) => {
        // A tracer can throw: then nothing has been counted.
        const probe = probeOf(key, clockOf(fiber), spans?.startAttempt(fiber, key, subject))
        return hasMetrics ? Effect.as(Metrics.updateMetrics(metricsOf(key).started), probe) : Effect.succeed(probe)
      }),
    waited: (what, duration) => (hasMetrics ? waits[what](duration / 1000) : Effect.void),
    retried: (outcome) => (hasMetrics ? retries[outcome] : Effect.void)
  }
}
