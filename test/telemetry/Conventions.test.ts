/** The metrics and attributes of OpenTelemetry's conventions for generative AI. */
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { KeyPool, LLM, ChatCompletionsClient, Prometheus, RateLimiter } from "../../src/index.js"
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
    const answered = `${labels},gen_ai_response_model="conventional"`
    expect(lines).toContain(`gen_ai_client_operation_duration_seconds_count{${answered}} 1`)
    expect(lines).toContain(
      `gen_ai_client_operation_duration_seconds_count{${labels},error_type="InvalidRequestError"} 1`
    )
    expect(lines).toContain(`gen_ai_client_token_usage_count{${answered},gen_ai_token_type="output"} 1`)
    expect(lines.join("\n")).not.toContain("unit=")
  })
)
