/** The same counts under the names of other libraries, for those who come from there with dashboards. */
import { Duration, Effect, Metric, MetricKey } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { CallMeters, Labels } from "./metrics.js"
import { counted, labelled, labelsOf } from "./metrics.js"

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
  latency: summary("llm_router_latency_ms", "From the call to its end, in milliseconds"),
  tokens: counter("llm_router_tokens_total", "Tokens consumed, by type"),
  duration: summary("llm_requests_duration_seconds", "From the call to its end")
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

export const ofCalls = (info: ModelInfo): CallMeters => {
  const labels = labelsOf(info)
  const requests = Metric.fromMetricKey(labelled(labels)(keys.requests))
  const succeeded = Metric.fromMetricKey(labelled(labels)(keys.succeeded))
  const failed = Metric.fromMetricKey(labelled(labels)(keys.failed))
  const successRate = Metric.fromMetricKey(labelled(labels)(keys.successRate))
  const latency = Metric.fromMetricKey(labelled(labels)(keys.latency))
  const duration = Metric.fromMetricKey(labelled(labels)(keys.duration))
  const tokens = (type: string) => Metric.fromMetricKey(labelled({ ...labels, type } satisfies Labels)(keys.tokens))
  const [prompt, completion, total] = [tokens("prompt"), tokens("completion"), tokens("total")]
  return {
    began: () => Effect.void,
    ended: (outcome, seconds, usage) =>
      Effect.clockWith((clock) =>
        counted((added) => {
          const now = clock.unsafeCurrentTimeMillis()
          requests.unsafeUpdate(1, added)
          // Of two that belong together neither is missing while it is zero.
          succeeded.unsafeUpdate(outcome === "ok" ? 1 : 0, added)
          failed.unsafeUpdate(outcome === "ok" ? 0 : 1, added)
          const share = succeeded.unsafeValue(added).count / requests.unsafeValue(added).count
          successRate.unsafeUpdate(Math.round(share * 10_000) / 10_000, added)
          latency.unsafeUpdate([seconds * 1000, now], added)
          duration.unsafeUpdate([seconds, now], added)
          if (usage === undefined) return
          prompt.unsafeUpdate(usage.inputTokens, added)
          completion.unsafeUpdate(usage.outputTokens, added)
          total.unsafeUpdate(usage.totalTokens, added)
        })
      )
  }
}
