/** Metrics of calls under the names of other libraries, for existing dashboards. */
import { Duration, Metric, MetricKey } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { CallMetrics, Labels } from "./metrics.js"
import { withLabels, labelsOf } from "./metrics.js"

const counter = (name: string, description: string) => MetricKey.counter(name, { description, incremental: true })

const summary = (name: string, description: string) =>
  MetricKey.summary({
    name,
    description,
    maxAge: Duration.minutes(10),
    maxSize: 1000,
    error: 0,
    quantiles: [0.5, 0.95, 0.99]
  })

const keys = {
  requests: counter("llm_router_requests_total", "Calls"),
  succeeded: counter("llm_router_requests_success", "Calls that were answered"),
  failed: counter("llm_router_requests_failed", "Calls that were not answered"),
  successRate: MetricKey.gauge("llm_router_success_rate", { description: "Share of the calls that were answered" }),
  latency: summary("llm_router_latency_ms", "Duration of a call, in milliseconds"),
  tokens: counter("llm_router_tokens_total", "Tokens consumed, by type"),
  duration: summary("llm_requests_duration_seconds", "Duration of a call")
}

export const metrics = {
  requests: Metric.fromMetricKey(keys.requests),
  succeeded: Metric.fromMetricKey(keys.succeeded),
  failed: Metric.fromMetricKey(keys.failed),
  successRate: Metric.fromMetricKey(keys.successRate),
  latency: Metric.fromMetricKey(keys.latency),
  tokens: Metric.fromMetricKey(keys.tokens),
  duration: Metric.fromMetricKey(keys.duration)
} as const

export const ofCalls = (info: ModelInfo): CallMetrics => {
  const labels = labelsOf(info)
  const requests = Metric.fromMetricKey(withLabels(labels)(keys.requests))
  const succeeded = Metric.fromMetricKey(withLabels(labels)(keys.succeeded))
  const failed = Metric.fromMetricKey(withLabels(labels)(keys.failed))
  const successRate = Metric.fromMetricKey(withLabels(labels)(keys.successRate))
  const latency = Metric.fromMetricKey(withLabels(labels)(keys.latency))
  const duration = Metric.fromMetricKey(withLabels(labels)(keys.duration))
  const tokens = (type: string) => Metric.fromMetricKey(withLabels({ ...labels, type } satisfies Labels)(keys.tokens))
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
