/**
 * The metrics of calls under the names of OpenTelemetry's conventions, for existing dashboards, and the attributes that they share with spans.
 * Source: OpenTelemetry semantic conventions for generative AI, metrics; their buckets are those of the document. A label `unit` is read by
 * `@effect/opentelemetry`, which exports it as the unit of the metric.
 */
import { Metric, MetricBoundaries, MetricKey } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { CallMetrics, Labels } from "./metrics.js"
import { memoized, withLabels } from "./metrics.js"

const durations = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]

const histogram = (name: string, boundaries: ReadonlyArray<number>, description: string) =>
  MetricKey.histogram(name, MetricBoundaries.fromIterable(boundaries), description)

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
    "Tokens of a call, by type"
  )
}

export const metrics = {
  duration: Metric.fromMetricKey(keys.duration),
  timeToFirstChunk: Metric.fromMetricKey(keys.timeToFirstChunk),
  tokens: Metric.fromMetricKey(keys.tokens)
} as const

const defaultPorts: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 }

/** The server of a provider; nothing for one without a URL, such as a model in memory. */
export const serverAttributes = ({ baseUrl }: ModelInfo): Readonly<Record<string, string | number>> => {
  if (baseUrl === undefined || !URL.canParse(baseUrl)) return {}
  const { hostname, port, protocol } = new URL(baseUrl)
  const number = port === "" ? defaultPorts[protocol] : Number(port)
  return {
    // Only a URL writes brackets around an IPv6 address.
    "server.address": hostname.replace(/^\[(.*)\]$/, "$1"),
    ...(number === undefined ? {} : { "server.port": number })
  }
}

/** The model of the answer is not a label: its names are the provider's, without a bound. */
export const ofCalls = (info: ModelInfo): CallMetrics => {
  const server = Object.entries(serverAttributes(info)).map(([name, value]) => [name, String(value)] as const)
  const labelsOf = (operation: string): Labels => ({
    "gen_ai.operation.name": operation,
    "gen_ai.provider.name": info.provider,
    "gen_ai.request.model": info.model,
    ...Object.fromEntries(server)
  })
  const inSeconds = (labels: Labels): Labels => ({ ...labels, unit: "s" })
  const operations = memoized((operation) => {
    const labels = labelsOf(operation)
    const tokens = (type: string) =>
      Metric.fromMetricKey(withLabels({ ...labels, "gen_ai.token.type": type, unit: "{token}" })(keys.tokens))
    return {
      durations: memoized((outcome) =>
        Metric.fromMetricKey(
          withLabels(inSeconds(outcome === "ok" ? labels : { ...labels, "error.type": outcome }))(keys.duration)
        )
      ),
      input: tokens("input"),
      output: tokens("output")
    }
  })
  const timeToFirstChunk = Metric.fromMetricKey(withLabels(inSeconds(labelsOf("chat")))(keys.timeToFirstChunk))
  return {
    firstEvent: (seconds, fiberLabels) => timeToFirstChunk.unsafeUpdate(seconds, fiberLabels),
    ended: ({ labels, millis, operation, outcome, usage }) => {
      const { durations, input, output } = operations(operation)
      durations(outcome).unsafeUpdate(millis / 1000, labels)
      // The conventions count what the provider has reported alone.
      if (usage === undefined || usage.estimated) return
      input.unsafeUpdate(usage.inputTokens, labels)
      if (operation === "chat") output.unsafeUpdate(usage.outputTokens, labels)
    }
  }
}
