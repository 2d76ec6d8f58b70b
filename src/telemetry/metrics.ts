/**
 * The metrics and what is counted when. Every metric is labelled once and kept: to label one costs ten times as much as to
 * count, and a label given with `Metric.tagged` is paid for at every count. What is counted at the same moment is one effect.
 */
import { Effect, FiberRef, Metric, MetricBoundaries, MetricKey, MetricLabel } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { Verdict } from "../keyPool/model.js"
import type { ModelInfo } from "../call/model.js"
import type { Usage } from "../vocabulary/Usage.js"
import type { Outcome } from "../call/observer.js"

/** From 5 ms to about 11 minutes. */
const seconds = MetricBoundaries.exponential({ start: 0.005, factor: 2, count: 18 })

const counter = (name: string, description: string) => MetricKey.counter(name, { description, incremental: true })

const keys = {
  requests: counter("llm_requests_total", "Calls, by how they ended"),
  duration: MetricKey.histogram("llm_request_duration_seconds", seconds, "From the call to its end, retries included"),
  timeToFirstEvent: MetricKey.histogram(
    "llm_time_to_first_event_seconds",
    seconds,
    "From the call to a stream's first event"
  ),
  tokens: counter("llm_tokens_total", "Tokens consumed, by kind"),
  attempts: counter("llm_attempts_total", "Requests sent, by key and outcome"),
  inFlight: MetricKey.gauge("llm_in_flight", { description: "Requests under way on a key" }),
  loadFactor: MetricKey.gauge("llm_load_factor", {
    description: "Requests under way on a key, as a share of its maxConcurrency, or for its weight where it has none"
  }),
  cooldowns: counter("llm_cooldowns_total", "Times a key was put to rest"),
  wait: MetricKey.histogram("llm_wait_seconds", seconds, "Time that calls waited for a permit or a key")
}

export const metrics = {
  requests: Metric.fromMetricKey(keys.requests),
  duration: Metric.fromMetricKey(keys.duration),
  timeToFirstEvent: Metric.fromMetricKey(keys.timeToFirstEvent),
  tokens: Metric.fromMetricKey(keys.tokens),
  attempts: Metric.fromMetricKey(keys.attempts),
  inFlight: Metric.fromMetricKey(keys.inFlight),
  loadFactor: Metric.fromMetricKey(keys.loadFactor),
  cooldowns: Metric.fromMetricKey(keys.cooldowns),
  wait: Metric.fromMetricKey(keys.wait)
} as const

export type Labels = Readonly<Record<string, string>>

/** Puts labels on a metric's key. */
export const labelled = (labels: Labels) =>
  MetricKey.taggedWithLabels(Object.entries(labels).map(([label, value]) => MetricLabel.make(label, value)))

/** Counts under the labels that the fiber adds to every metric. */
type Count = (labels: ReadonlyArray<MetricLabel.MetricLabel>) => void

export const counted = (count: Count): Effect.Effect<void> =>
  FiberRef.getWith(FiberRef.currentMetricLabels, (labels) => Effect.sync(() => count(labels)))

/** A counter by labels that follow from a word, of which there are few but not known beforehand. */
const countBy = (key: MetricKey.MetricKey.Counter<number>, labelsOf: (word: string) => Labels) => {
  const counters = new Map<string, Metric.Metric.Counter<number>>()
  return (value: string): Metric.Metric.Counter<number> => {
    const known = counters.get(value)
    if (known !== undefined) return known
    const created = Metric.fromMetricKey(labelled(labelsOf(value))(key))
    counters.set(value, created)
    return created
  }
}

export const labelsOf = ({ model, provider }: ModelInfo): Labels => ({ provider, model })

export interface KeyMeters {
  readonly began: Effect.Effect<void>
  readonly ended: (outcome: Outcome, verdict: Verdict) => Effect.Effect<void>
}

export const ofKey = (info: ModelInfo, key: ApiKey): KeyMeters => {
  const labels = { ...labelsOf(info), key_id: key.id }
  const inFlight = Metric.fromMetricKey(labelled(labels)(keys.inFlight))
  const loadFactor = Metric.fromMetricKey(labelled(labels)(keys.loadFactor))
  const attempts = countBy(keys.attempts, (outcome) => ({ ...labels, outcome }))
  const cooldowns = countBy(keys.cooldowns, (reason) => ({ ...labels, reason }))
  const limit = key.maxConcurrency ?? key.weight
  // Read back instead of counted here: another `LLM` may use a key under the same name, as one does that takes over from another.
  const shift =
    (by: number): Count =>
    (added) => {
      inFlight.unsafeModify(by, added)
      loadFactor.unsafeUpdate(inFlight.unsafeValue(added).value / limit, added)
    }
  const leave = shift(-1)
  return {
    began: counted(shift(1)),
    ended: (outcome, verdict) =>
      counted((added) => {
        leave(added)
        attempts(outcome).unsafeUpdate(1, added)
        if (verdict._tag !== "Served" && verdict._tag !== "Neutral") cooldowns(verdict._tag).unsafeUpdate(1, added)
      })
  }
}

export const ofWaits = (info: ModelInfo) => {
  const limiter = Metric.fromMetricKey(labelled({ ...labelsOf(info), for: "limiter" })(keys.wait))
  const pool = Metric.fromMetricKey(labelled({ ...labelsOf(info), for: "pool" })(keys.wait))
  return {
    limiter: (waited: number) => Metric.update(limiter, waited),
    pool: (waited: number) => Metric.update(pool, waited)
  }
}

export interface CallMeters {
  readonly ended: (outcome: Outcome, seconds: number, usage: Usage | undefined) => Effect.Effect<void>
  /** A stream's first event. */
  readonly began: (seconds: number) => Effect.Effect<void>
}

/** `withStatus`: whether requests also have the label that others give them. */
export const ofCalls = (info: ModelInfo, withStatus: boolean): CallMeters => {
  const labels = labelsOf(info)
  const requests = countBy(keys.requests, (outcome) => ({
    ...labels,
    outcome,
    ...(withStatus ? { status: outcome === "ok" ? "success" : "error" } : {})
  }))
  const duration = Metric.fromMetricKey(labelled(labels)(keys.duration))
  const timeToFirstEvent = Metric.fromMetricKey(labelled(labels)(keys.timeToFirstEvent))
  const tokens = (kind: string) => Metric.fromMetricKey(labelled({ ...labels, kind })(keys.tokens))
  const kinds = [
    ["inputTokens", tokens("input")],
    ["outputTokens", tokens("output")],
    ["cachedInputTokens", tokens("cached_input")],
    ["cacheWriteTokens", tokens("cache_write")],
    ["reasoningTokens", tokens("reasoning")]
  ] as const
  return {
    began: (elapsed) => Metric.update(timeToFirstEvent, elapsed),
    ended: (outcome, elapsed, usage) =>
      counted((added) => {
        requests(outcome).unsafeUpdate(1, added)
        duration.unsafeUpdate(elapsed, added)
        if (usage === undefined) return
        for (const [field, metric] of kinds) if (usage[field] !== 0) metric.unsafeUpdate(usage[field], added)
      })
  }
}

export const silent: CallMeters = { began: () => Effect.void, ended: () => Effect.void }
