/**
 * The metrics of calls under the names of OpenTelemetry's conventions, for existing dashboards, and the server that they share with spans.
 * Source: OpenTelemetry semantic conventions for generative AI, metrics; their buckets are those of the document. A label `unit` is read by
 * `@effect/opentelemetry`, which exports it as the unit of the metric.
 */
import type { ModelInfo } from "../call/model.js"
import { bounded } from "./boundedLabel.js"
import type { CallMetrics } from "./metrics.js"
import { memoized } from "./metrics.js"
import * as MetricKeys from "./metricKeys.js"

const durations = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]

const histogram = (name: string, boundaries: ReadonlyArray<number>, description: string) =>
  MetricKeys.histogram(name, MetricKeys.boundaries(boundaries), description)

const keys = {
  duration: histogram("gen_ai.client.operation.duration", durations, "Duration of a call, retries included"),
  timeToFirstChunk: histogram(
    "gen_ai.client.operation.time_to_first_chunk",
    durations,
    "Time from the call to a stream's first event"
  ),
  tokens: histogram(
    "gen_ai.client.token.usage",
    Array.from({ length: 14 }, (_, exponent) => 4 ** exponent),
    "Tokens of a call that its provider has counted, by type"
  )
}

export const metrics = {
  duration: MetricKeys.metricOf(keys.duration),
  timeToFirstChunk: MetricKeys.metricOf(keys.timeToFirstChunk),
  tokens: MetricKeys.metricOf(keys.tokens)
} as const

/** The server of an `LLM`. */
export interface Server {
  readonly address: string
  readonly port: number
}

const defaultPorts: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 }

/** The server of an `LLM`; undefined for one without a URL, such as a model in memory. */
export const serverOf = ({ baseUrl }: ModelInfo): Server | undefined => {
  if (baseUrl === undefined || !URL.canParse(baseUrl)) return undefined
  const { hostname, port, protocol } = new URL(baseUrl)
  const number = port === "" ? defaultPorts[protocol] : Number(port)
  return number === undefined ? undefined : { address: hostname.replace(/^\[(.*)\]$/, "$1"), port: number }
}

/** The metrics of the calls with one operation, requested model and answering model. */
const seriesOf = (labels: MetricKeys.Labels) => {
  const tokens = (type: string) =>
    MetricKeys.metricOf(MetricKeys.withLabels({ ...labels, "gen_ai.token.type": type, unit: "{token}" })(keys.tokens))
  return {
    duration: memoized((outcome) =>
      MetricKeys.metricOf(
        MetricKeys.withLabels({ ...labels, ...(outcome === "ok" ? {} : { "error.type": outcome }), unit: "s" })(
          keys.duration
        )
      )
    ),
    input: tokens("input"),
    output: tokens("output")
  }
}

export const ofCalls = (info: ModelInfo): CallMetrics => {
  const server = serverOf(info)
  // A request and an answer can name any model.
  const modelLabel = bounded(100)
  const labelsOf = (operation: string, model: string): MetricKeys.Labels => ({
    "gen_ai.operation.name": operation,
    "gen_ai.provider.name": info.provider,
    "gen_ai.request.model": model,
    ...(server === undefined ? {} : { "server.address": server.address, "server.port": String(server.port) })
  })
  const series = memoized((operation) =>
    memoized((model) =>
      memoized((answeredBy) =>
        seriesOf({
          ...labelsOf(operation, model),
          ...(answeredBy === "" ? {} : { "gen_ai.response.model": answeredBy })
        })
      )
    )
  )
  const timeToFirstChunk = MetricKeys.metricOf(
    MetricKeys.withLabels({ ...labelsOf("chat", info.model), unit: "s" })(keys.timeToFirstChunk)
  )
  return {
    firstEvent: (seconds, fiberLabels) => timeToFirstChunk.unsafeUpdate(seconds, fiberLabels),
    ended: ({ answeredBy = "", labels, millis, model, operation, outcome, usage }) => {
      const { duration, input, output } = series(operation)(modelLabel(model))(modelLabel(answeredBy))
      duration(outcome).unsafeUpdate(millis / 1000, labels)
      // The conventions forbid estimates.
      if (usage === undefined || usage.estimated) return
      input.unsafeUpdate(usage.inputTokens, labels)
      if (operation === "chat") output.unsafeUpdate(usage.outputTokens, labels)
    }
  }
}
