/**
 * What the OpenTelemetry semantic conventions for generative AI say about clients: the server's attributes, and the metrics of calls.
 * Source: opentelemetry.io, "Semantic conventions for generative AI metrics", 1.42.
 */
import { Metric, MetricBoundaries, MetricKey } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { Subject } from "../call/observer.js"
import type { CallMetrics } from "./metrics.js"
import { memoized, withLabels } from "./metrics.js"

export interface Server {
  readonly address: string
  readonly port: number
}

/** The server of a client; undefined without a URL, as around several `LLM`s. */
export const serverOf = ({ baseUrl }: ModelInfo): Server | undefined => {
  if (baseUrl === undefined || !URL.canParse(baseUrl)) return undefined
  const { hostname, port, protocol } = new URL(baseUrl)
  if (hostname === "") return undefined
  return {
    // Only a URL writes brackets around an IPv6 address.
    address: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? (protocol === "http:" ? 80 : 443) : Number(port)
  }
}

/** The recommended boundaries: 14 and infinity, which `count` includes. */
const seconds = MetricBoundaries.exponential({ start: 0.01, factor: 2, count: 15 })
const tokens = MetricBoundaries.exponential({ start: 1, factor: 4, count: 15 })

const keys = {
  duration: MetricKey.histogram("gen_ai.client.operation.duration", seconds, "GenAI operation duration."),
  timeToFirstChunk: MetricKey.histogram(
    "gen_ai.client.operation.time_to_first_chunk",
    seconds,
    "Time to receive the first chunk of a stream."
  ),
  tokens: MetricKey.histogram("gen_ai.client.token.usage", tokens, "Number of input and output tokens used.")
}

export const metrics = {
  duration: Metric.fromMetricKey(keys.duration),
  timeToFirstChunk: Metric.fromMetricKey(keys.timeToFirstChunk),
  tokens: Metric.fromMetricKey(keys.tokens)
} as const

export const ofCalls = (info: ModelInfo): CallMetrics => {
  const server = serverOf(info)
  const labelsOf = (operation: Subject["operation"]) => ({
    "gen_ai.operation.name": operation,
    "gen_ai.provider.name": info.provider,
    "gen_ai.request.model": info.model,
    ...(server === undefined ? {} : { "server.address": server.address, "server.port": String(server.port) })
  })
  const inSeconds = (operation: Subject["operation"]) => withLabels({ ...labelsOf(operation), unit: "s" })
  const ofOperation = (operation: Subject["operation"]) => {
    const tokensOf = (type: string) =>
      Metric.fromMetricKey(
        withLabels({ ...labelsOf(operation), "gen_ai.token.type": type, unit: "{token}" })(keys.tokens)
      )
    const duration = inSeconds(operation)(keys.duration)
    return {
      durationOf: memoized((outcome) =>
        Metric.fromMetricKey(outcome === "ok" ? duration : withLabels({ "error.type": outcome })(duration))
      ),
      input: tokensOf("input"),
      output: tokensOf("output")
    }
  }
  const operations = { chat: ofOperation("chat"), embeddings: ofOperation("embeddings") }
  const timeToFirstChunk = Metric.fromMetricKey(inSeconds("chat")(keys.timeToFirstChunk))
  return {
    firstEvent: (elapsedSeconds, fiberLabels) => timeToFirstChunk.unsafeUpdate(elapsedSeconds, fiberLabels),
    ended: ({ labels, millis, operation, outcome, usage }) => {
      const { durationOf, input, output } = operations[operation]
      durationOf(outcome).unsafeUpdate(millis / 1000, labels)
      // The conventions count what the provider has reported alone.
      if (usage === undefined || usage.estimated) return
      input.unsafeUpdate(usage.inputTokens, labels)
      if (operation === "chat") output.unsafeUpdate(usage.outputTokens, labels)
    }
  }
}
