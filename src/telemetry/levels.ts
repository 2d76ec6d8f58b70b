/** Levels of keys, queues and limits as gauges. They are read when metrics are collected, so that calls do not pay for them. */
import { Effect, Metric } from "effect"
import type { Service, Status } from "../call/model.js"
import type { LimiterStatus } from "../rateLimiter/model.js"
import { labelsOf } from "./metrics.js"
import * as MetricKeys from "./metricKeys.js"

const keys = {
  keys: MetricKeys.gauge("llm_keys", "Keys of a model, by state"),
  waiting: MetricKeys.gauge("llm_waiting", "Calls that wait for a permit or a key"),
  available: MetricKeys.gauge("llm_limit_available", "What is left of a limit now"),
  limit: MetricKeys.gauge("llm_limit_capacity", "What a limit holds when nothing is used"),
  away: MetricKeys.gauge(
    "llm_shared_state_away",
    "1 while the state that a limiter or a pool shares is unreachable, else 0"
  )
}

export const levels = {
  keys: MetricKeys.metricOf(keys.keys),
  waiting: MetricKeys.metricOf(keys.waiting),
  available: MetricKeys.metricOf(keys.available),
  limit: MetricKeys.metricOf(keys.limit),
  away: MetricKeys.metricOf(keys.away)
} as const

/** Sets a gauge. An infinite level has none. */
export const setGauge = (key: MetricKeys.Gauge, labels: MetricKeys.Labels, value: number): Effect.Effect<void> =>
  Number.isFinite(value) ? Metric.set(MetricKeys.metricOf(MetricKeys.withLabels(labels)(key)), value) : Effect.void

interface Level {
  readonly available: number
  readonly limit: number
}

const limitsOf = ({ available, capacity, concurrency, day, minute, tokens }: LimiterStatus): Record<string, Level> => ({
  requests: { available, limit: capacity },
  ...(tokens === undefined ? {} : { tokens: { available: tokens.available, limit: tokens.capacity } }),
  ...(minute === undefined ? {} : { minute }),
  ...(day === undefined ? {} : { day }),
  ...(concurrency === undefined
    ? {}
    : { concurrency: { available: concurrency.limit - concurrency.inFlight, limit: concurrency.limit } })
})

const states = ["Ready", "Busy", "Cooling", "Disabled"] as const

const recordOf = ({ info }: Pick<Service, "info">, status: Status): Effect.Effect<void> => {
  const labels = labelsOf(info)
  const limiter = status.limiter.models?.[info.model] ?? status.limiter
  const isDegraded = [status.limiter.degraded, status.keys.degraded].filter((degraded) => degraded !== undefined)
  return Effect.all(
    [
      ...states.map((state) => {
        const count = status.keys.keys.filter((key) => key.state._tag === state).length
        return setGauge(keys.keys, { ...labels, state: state.toLowerCase() }, count)
      }),
      setGauge(keys.waiting, { ...labels, for: "limiter" }, limiter.waiting),
      setGauge(keys.waiting, { ...labels, for: "pool" }, status.keys.waiting),
      ...Object.entries(limitsOf(limiter)).flatMap(([name, { available, limit }]) =>
        Number.isFinite(limit)
          ? [
              setGauge(keys.available, { ...labels, limit: name }, available),
              setGauge(keys.limit, { ...labels, limit: name }, limit)
            ]
          : []
      ),
      ...(isDegraded.length === 0 ? [] : [setGauge(keys.away, labels, isDegraded.includes(true) ? 1 : 0)])
    ],
    { discard: true }
  )
}

/**
 * Sets the gauges of these `LLM`s. All are asked at once: while Redis is away each waits for its command timeout. One that dies is logged,
 * and the others are set.
 */
export const record = (llms: Iterable<Pick<Service, "info" | "status">>): Effect.Effect<void> =>
  Effect.forEach(
    llms,
    (llm) =>
      Effect.catchAllCause(
        Effect.flatMap(
          Effect.suspend(() => llm.status),
          (status) => recordOf(llm, status)
        ),
        (cause) => Effect.logWarning(`the levels of ${llm.info.provider}/${llm.info.model} could not be read`, cause)
      ),
    { concurrency: "unbounded", discard: true }
  )
