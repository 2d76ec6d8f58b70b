/** The metrics and attributes of OpenTelemetry's conventions for generative AI. */
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Metric, MetricState } from "effect"
import { KeyPool, LLM, ChatCompletionsClient, Prometheus, RateLimiter } from "../../src/index.js"
import * as Conventions from "../../src/telemetry/conventions.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { recordingTracer } from "../support/recording.js"
import * as Transports from "../support/transports.js"

it.scopedLive("name the server, the operation and the error of a call, and have their units in Prometheus", () =>
  Effect.gen(function* () {
    const provider = yield* SimulatedProvider.make()
    const { port } = new URL(provider.baseUrl)
    const { layer, spans } = yield* recordingTracer
    const client = ChatCompletionsClient.layer({ provider: "p", baseUrl: provider.baseUrl })
    const context = yield* Layer.build(
      Layer.mergeAll(client, KeyPool.layer({ provider: "p", keys: ["k"] }), RateLimiter.layerUnlimited).pipe(
        Layer.provide(Transports.direct)
      )
    )
    const llm = yield* Effect.provide(LLM.make({ model: "conventional", retry: false }), context)
    yield* provider.next(undefined, SimulatedProvider.status(400))
    yield* Effect.provide(Effect.zipRight(llm.chat("?"), Effect.exit(llm.chat("?"))), layer)
    for (const name of ["chat conventional", "attempt conventional"]) {
      const span = spans.find((span) => span.name === name)
      expect(span?.attributes.get("server.address")).toBe("127.0.0.1")
      expect(span?.attributes.get("server.port")).toBe(Number(port))
      expect(span?.attributes.has("gen_ai.request.stream")).toBe(false)
    }
    const lines = (yield* Prometheus.text)
      .split("\n")
      .filter((line) => line.includes('gen_ai_request_model="conventional"'))
    const labels = `gen_ai_operation_name="chat",gen_ai_provider_name="p",gen_ai_request_model="conventional",server_address="127.0.0.1",server_port="${port}"`
    expect(lines).toContain(`gen_ai_client_operation_duration_seconds_count{${labels}} 1`)
    expect(lines).toContain(
      `gen_ai_client_operation_duration_seconds_count{${labels},error_type="InvalidRequestError"} 1`
    )
    expect(lines).toContain(`gen_ai_client_token_usage_count{${labels},gen_ai_token_type="output"} 1`)
    expect(lines.join("\n")).not.toContain("unit=")
  })
)

it("name the host and port of a URL, without the brackets of an IPv6 address", () => {
  const serverOf = (baseUrl: string) =>
    Conventions.serverAttributes({ provider: "p", model: "m", wire: "test", contextWindow: 1, baseUrl })
  expect(serverOf("http://localhost")).toEqual({ "server.address": "localhost", "server.port": 80 })
  expect(serverOf("https://llm.example.com/v1")).toEqual({ "server.address": "llm.example.com", "server.port": 443 })
  expect(serverOf("http://[::1]:8080/v1?version=1")).toEqual({ "server.address": "::1", "server.port": 8080 })
  expect(serverOf("not a URL")).toEqual({})
})

it.effect("have the recommended boundaries, and tokens that the provider has counted alone", () =>
  Effect.gen(function* () {
    const provider = "counting"
    const calls = Conventions.ofCalls({ provider, model: "m", wire: "test", contextWindow: 1 })
    const call = { operation: "chat", outcome: "ok", millis: 100, caller: "", labels: [], now: 0 } as const
    const counted = Usage.make({ inputTokens: 30, outputTokens: 20 })
    calls.firstEvent(0.1, [])
    calls.ended({ ...call, usage: counted })
    calls.ended({ ...call, usage: { ...counted, estimated: true } })
    calls.ended({ ...call, usage: undefined })
    const series = (yield* Metric.snapshot).flatMap(({ metricKey: { name, tags }, metricState }) =>
      tags.some(({ key, value }) => key === "gen_ai.provider.name" && value === provider) &&
      MetricState.isHistogramState(metricState)
        ? [[name, metricState.count, metricState.sum, metricState.buckets.map(([bound]) => bound)]]
        : []
    )
    const seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, Infinity]
    const tokens = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864, Infinity]
    expect(series).toHaveLength(4)
    expect(series).toEqual(
      expect.arrayContaining([
        ["gen_ai.client.operation.duration", 3, expect.closeTo(0.3), seconds],
        ["gen_ai.client.operation.time_to_first_chunk", 1, 0.1, seconds],
        ["gen_ai.client.token.usage", 1, 30, tokens],
        ["gen_ai.client.token.usage", 1, 20, tokens]
      ])
    )
  })
)
