/** The metrics of calls, attempts and waits. Every metric is labelled once and kept (`metricKeys.ts`). Updates at the same time are one effect. */
import { Effect, FiberRef, Metric } from "effect"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { Verdict } from "../keyPool/model.js"
import type { ModelInfo } from "../call/model.js"
import type { CallRecorder, FiberLabels, Outcome } from "../call/observer.js"
import { callerLabel } from "./boundedLabel.js"
import * as MetricKeys from "./metricKeys.js"

/** From 5 ms to about 11 minutes. */
const seconds = MetricKeys.exponentialBoundaries({ start: 0.005, factor: 2, count: 18 })

/** Tokens by which an estimate can differ. */
const errors = [10, 100, 300, 1000, 3000, 10_000, 30_000, 100_000]

const keys = {
  requests: MetricKeys.counter("llm_requests_total", "Calls, by how they ended"),
  duration: MetricKeys.histogram("llm_request_duration_seconds", seconds, "Duration of a call, retries included"),
  timeToFirstEvent: MetricKeys.histogram(
    "llm_time_to_first_event_seconds",
    seconds,
    "Time from the call to a stream's first event"
  ),
  tokens: MetricKeys.counter("llm_tokens_total", "Tokens consumed, by kind"),
  attempts: MetricKeys.counter("llm_attempts_total", "Requests sent, by key and outcome"),
  retries: MetricKeys.counter("llm_retries_total", "Retries, and calls that failed because the retry budget was spent"),
  inFlight: MetricKeys.gauge("llm_in_flight", "Requests in flight on a key"),
  loadFactor: MetricKeys.gauge(
    "llm_load_factor",
    "Requests in flight on a key, divided by its maxConcurrency, or by its weight when it has none"
  ),
  cooldowns: MetricKeys.counter("llm_cooldowns_total", "Cooldowns of a key, by reason"),
  wait: MetricKeys.histogram("llm_wait_seconds", seconds, "Time that calls waited for a permit or a key"),
  estimateError: MetricKeys.histogram(
    "llm_token_estimate_error_tokens",
    MetricKeys.boundaries([...errors.map((tokens) => -tokens).reverse(), 0, ...errors]),
    "Tokens of an answer beyond those reserved of a limit per minute; below zero if it used less"
  )
}

export const metrics = {
  requests: MetricKeys.metricOf(keys.requests),
  duration: MetricKeys.metricOf(keys.duration),
  timeToFirstEvent: MetricKeys.metricOf(keys.timeToFirstEvent),
  tokens: MetricKeys.metricOf(keys.tokens),
  attempts: MetricKeys.metricOf(keys.attempts),
  retries: MetricKeys.metricOf(keys.retries),
  inFlight: MetricKeys.metricOf(keys.inFlight),
  loadFactor: MetricKeys.metricOf(keys.loadFactor),
  cooldowns: MetricKeys.metricOf(keys.cooldowns),
  wait: MetricKeys.metricOf(keys.wait),
  estimateError: MetricKeys.metricOf(keys.estimateError)
} as const

/** Updates metrics with the labels that the fiber adds to every metric. */
type Update = (labels: FiberLabels) => void

export const updateMetrics = (update: Update): Effect.Effect<void> =>
  FiberRef.getWith(FiberRef.currentMetricLabels, (labels) => Effect.sync(() => update(labels)))

/** What is made for the values of a label, of which there are few, at their first use. */
export const memoized = <A>(make: (value: string) => A): ((value: string) => A) => {
  const all = new Map<string, A>()
  return (value) => {
    const existing = all.get(value)
    if (existing !== undefined) return existing
    const created = make(value)
    all.set(value, created)
    return created
  }
}

/** Counters for the values of a label. */
const countersBy = (key: MetricKeys.Counter, labelsOf: (value: string) => MetricKeys.Labels) =>
  memoized((value) => MetricKeys.metricOf(MetricKeys.withLabels(labelsOf(value))(key)))

export const labelsOf = ({ model, provider }: ModelInfo): MetricKeys.Labels => ({ provider, model })

/** The metrics of the attempts with one key. Updates of metrics are plain code; `updateMetrics` makes them an effect. */
export interface KeyMetrics {
  readonly started: Update
  readonly ended: (outcome: Outcome, verdict: Verdict, labels: FiberLabels) => void
}

/** The verdicts that start a cooldown by themselves. */
const coolingVerdicts: ReadonlySet<Verdict["_tag"]> = new Set(["RateLimited", "OutOfQuota", "Refused"])

export const ofKey = (info: ModelInfo, key: ApiKey): KeyMetrics => {
  const labels = { ...labelsOf(info), key_id: key.id }
  const inFlight = MetricKeys.metricOf(MetricKeys.withLabels(labels)(keys.inFlight))
  const loadFactor = MetricKeys.metricOf(MetricKeys.withLabels(labels)(keys.loadFactor))
  const attempts = countersBy(keys.attempts, (outcome) => ({ ...labels, outcome }))
  const cooldowns = countersBy(keys.cooldowns, (reason) => ({ ...labels, reason }))
  const limit = key.maxConcurrency ?? key.weight
  // The gauge is read back because another `LLM` can use a key with the same labels, as after a reload.
  const addInFlight =
    (by: number): Update =>
    (fiberLabels) => {
      inFlight.unsafeModify(by, fiberLabels)
      loadFactor.unsafeUpdate(inFlight.unsafeValue(fiberLabels).value / limit, fiberLabels)
    }
  const decrement = addInFlight(-1)
  return {
    started: addInFlight(1),
    ended: (outcome, verdict, fiberLabels) => {
      decrement(fiberLabels)
      attempts(outcome).unsafeUpdate(1, fiberLabels)
      if (coolingVerdicts.has(verdict._tag)) cooldowns(verdict._tag).unsafeUpdate(1, fiberLabels)
    }
  }
}

export const ofWaits = (info: ModelInfo) => {
  const limiter = MetricKeys.metricOf(MetricKeys.withLabels({ ...labelsOf(info), for: "limiter" })(keys.wait))
  const pool = MetricKeys.metricOf(MetricKeys.withLabels({ ...labelsOf(info), for: "pool" })(keys.wait))
  return {
    limiter: (waited: number) => Metric.update(limiter, waited),
    pool: (waited: number) => Metric.update(pool, waited)
  }
}

export const ofEstimates = (info: ModelInfo): ((error: number, labels: FiberLabels) => void) => {
  const errors = MetricKeys.metricOf(MetricKeys.withLabels(labelsOf(info))(keys.estimateError))
  return (error, labels) => errors.unsafeUpdate(error, labels)
}

export const ofRetries = (info: ModelInfo) => {
  const granted = MetricKeys.metricOf(MetricKeys.withLabels({ ...labelsOf(info), outcome: "granted" })(keys.retries))
  const denied = MetricKeys.metricOf(MetricKeys.withLabels({ ...labelsOf(info), outcome: "denied" })(keys.retries))
  return { granted: Metric.increment(granted), denied: Metric.increment(denied) }
}

/** The metrics of calls. */
export interface CallMetrics {
  readonly ended: CallRecorder["ended"]
  /** A stream's first event. */
  readonly firstEvent: (seconds: number, labels: FiberLabels) => void
}

/** The metrics of the calls of one caller. */
interface CallerMetrics {
  readonly requests: (outcome: Outcome) => Metric.Metric.Counter<number>
  readonly tokens: ReadonlyArray<readonly [field: TokenField, metric: Metric.Metric.Counter<number>]>
}

/** The fields of a usage, and their kinds in the metrics. */
const kinds = [
  ["inputTokens", "input"],
  ["outputTokens", "output"],
  ["cachedInputTokens", "cached_input"],
  ["cacheWriteTokens", "cache_write"],
  ["reasoningTokens", "reasoning"],
  ["inputAudioTokens", "input_audio"],
  ["outputAudioTokens", "output_audio"]
] as const

type TokenField = (typeof kinds)[number][0]

/** `withStatus`: whether requests also have the label `status` of other libraries. */
const ofCaller = (info: ModelInfo, withStatus: boolean, caller: string): CallerMetrics => {
  const labels = { ...labelsOf(info), ...(caller === "" ? {} : { label: caller }) }
  return {
    requests: countersBy(keys.requests, (outcome) => ({
      ...labels,
      outcome,
      ...(withStatus ? { status: outcome === "ok" ? "success" : "error" } : {})
    })),
    tokens: kinds.map(([field, kind]): CallerMetrics["tokens"][number] => [
      field,
      MetricKeys.metricOf(MetricKeys.withLabels({ ...labels, kind })(keys.tokens))
    ])
  }
}

export const ofCalls = (info: ModelInfo, withStatus: boolean): CallMetrics => {
  const labels = labelsOf(info)
  const duration = MetricKeys.metricOf(MetricKeys.withLabels(labels)(keys.duration))
  const timeToFirstEvent = MetricKeys.metricOf(MetricKeys.withLabels(labels)(keys.timeToFirstEvent))
  const callers = memoized((caller) => ofCaller(info, withStatus, caller))
  return {
    firstEvent: (elapsedSeconds, fiberLabels) => timeToFirstEvent.unsafeUpdate(elapsedSeconds, fiberLabels),
    ended: ({ caller, labels: fiberLabels, millis, outcome, usage }) => {
      const { requests, tokens } = callers(callerLabel(caller))
      requests(outcome).unsafeUpdate(1, fiberLabels)
      duration.unsafeUpdate(millis / 1000, fiberLabels)
      if (usage === undefined) return
      for (const [field, metric] of tokens) {
        const count = usage[field]
        if (count !== undefined && count !== 0) metric.unsafeUpdate(count, fiberLabels)
      }
    }
  }
}

export const noMetrics: CallMetrics = { firstEvent: () => {}, ended: () => {} }
