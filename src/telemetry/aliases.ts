/** Metrics of calls under the names of other libraries, for existing dashboards. */
import type { ModelInfo } from "../call/model.js"
import type { CallMetrics } from "./metrics.js"
import { labelsOf } from "./metrics.js"
import * as MetricKeys from "./metricKeys.js"

const keys = {
  requests: MetricKeys.counter("llm_router_requests_total", "Calls"),
  succeeded: MetricKeys.counter("llm_router_requests_success", "Calls that were answered"),
  failed: MetricKeys.counter("llm_router_requests_failed", "Calls that were not answered"),
  successRate: MetricKeys.gauge("llm_router_success_rate", "Share of the calls that were answered"),
  latency: MetricKeys.summary("llm_router_latency_ms", "Duration of a call, in milliseconds"),
  tokens: MetricKeys.counter("llm_router_tokens_total", "Tokens consumed, by type"),
  duration: MetricKeys.summary("llm_requests_duration_seconds", "Duration of a call")
}

export const metrics = {
  requests: MetricKeys.metricOf(keys.requests),
  succeeded: MetricKeys.metricOf(keys.succeeded),
  failed: MetricKeys.metricOf(keys.failed),
  successRate: MetricKeys.metricOf(keys.successRate),
  latency: MetricKeys.metricOf(keys.latency),
  tokens: MetricKeys.metricOf(keys.tokens),
  duration: MetricKeys.metricOf(keys.duration)
} as const

export const ofCalls = (info: ModelInfo): CallMetrics => {
  const labels = labelsOf(info)
  const requests = MetricKeys.metricOf(MetricKeys.withLabels(labels)(keys.requests))
  const succeeded = MetricKeys.metricOf(MetricKeys.withLabels(labels)(keys.succeeded))
  const failed = MetricKeys.metricOf(MetricKeys.withLabels(labels)(keys.failed))
  const successRate = MetricKeys.metricOf(MetricKeys.withLabels(labels)(keys.successRate))
  const latency = MetricKeys.metricOf(MetricKeys.withLabels(labels)(keys.latency))
  const duration = MetricKeys.metricOf(MetricKeys.withLabels(labels)(keys.duration))
  const tokens = (type: string) =>
    MetricKeys.metricOf(MetricKeys.withLabels({ ...labels, type } satisfies MetricKeys.Labels)(keys.tokens))
  const [prompt, completion, total] = [tokens("prompt"), tokens("completion"), tokens("total")]
  return {
    firstEvent: () => {},
    ended: ({ labels: fiberLabels, millis, now, outcome, usage }) => {
      requests.unsafeUpdate(1, fiberLabels)
      // Both counters exist from the first call on, even while one is zero.
      succeeded.unsafeUpdate(outcome === "ok" ? 1 : 0, fiberLabels)
      failed.unsafeUpdate(outcome === "ok" ? 0 : 1, fiberLabels)
      const share = succeeded.unsafeValue(fiberLabels).count / requests.unsafeValue(fiberLabels).count
      successRate.unsafeUpdate(Math.round(share * 10_000) / 10_000, fiberLabels)
      latency.unsafeUpdate([millis, now], fiberLabels)
      duration.unsafeUpdate([millis / 1000, now], fiberLabels)
      if (usage === undefined) return
      prompt.unsafeUpdate(usage.inputTokens, fiberLabels)
      completion.unsafeUpdate(usage.outputTokens, fiberLabels)
      total.unsafeUpdate(usage.totalTokens, fiberLabels)
    }
  }
}
