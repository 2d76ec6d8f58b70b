import { describe, expect, it } from "@effect/vitest"
import type { Tracer } from "effect"
import { Chunk, Effect, Layer, Metric, MetricState, Option, Stream } from "effect"
import * as Chat from "../src/Chat.js"
import * as ChatEvent from "../src/ChatEvent.js"
import * as KeyPool from "../src/KeyPool.js"
import * as LLM from "../src/LLM.js"
import * as LLMErrors from "../src/LLMError.js"
import * as ProviderClient from "../src/ProviderClient.js"
import * as RateLimiter from "../src/RateLimiter.js"
import { answer, context } from "./support/scripted.js"

const refused = new LLMErrors.AuthenticationError({ ...context, status: 401, message: "wrong key" })

/** Refuses the key `bad`, and serves every other. */
const client = (provider: string) =>
  Layer.succeed(ProviderClient.ProviderClient, {
    provider,
    wire: "test",
    chat: (_, { key }) => (key.id === "bad" ? Effect.fail(refused) : Effect.succeed(answer("Hello"))),
    chatStream: (_, { key }) =>
      key.id === "bad" ? Stream.fail(refused) : Stream.fromIterable(ChatEvent.fromResponse(answer("Hello")))
  })

const service = (provider: string, options: Omit<LLM.Options, "model"> = {}) =>
  LLM.make({ model: "model", ...options }).pipe(
    Effect.provide(client(provider)),
    Effect.provide(
      KeyPool.layer({
        providerId: provider,
        keys: [
          { key: "1", id: "bad" },
          { key: "2", id: "good" }
        ]
      })
    ),
    Effect.provide(RateLimiter.unlimited)
  )

/** The state of a metric whose labels include these. */
const valueOf = (name: string, labels: Readonly<Record<string, string>>) =>
  Effect.map(Metric.snapshot, (pairs) =>
    pairs
      .filter(
        ({ metricKey }) =>
          metricKey.name === name &&
          Object.entries(labels).every(([key, value]) =>
            metricKey.tags.some((tag) => tag.key === key && tag.value === value)
          )
      )
      .map(({ metricState }) =>
        MetricState.isCounterState(metricState)
          ? Number(metricState.count)
          : MetricState.isGaugeState(metricState)
            ? Number(metricState.value)
            : MetricState.isHistogramState(metricState)
              ? metricState.count
              : Number.NaN
      )
  )

const traced = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.tracer, (tracer) => {
    const spans: Array<Tracer.Span> = []
    const recording = Layer.setTracer({
      ...tracer,
      span: (...args) => {
        const span = tracer.span(...args)
        spans.push(span)
        return span
      }
    })
    return Effect.map(Effect.provide(effect, recording), (result) => ({ result, spans }))
  })

describe("metrics", () => {
  it.effect("count calls, attempts, tokens and rests, and what is in flight comes back to zero", () =>
    Effect.gen(function* () {
      const provider = "counted"
      const llm = yield* service(provider)
      yield* llm.chat("?")
      yield* llm.chat("?")
      yield* Stream.runDrain(llm.chatStream("?"))
      yield* Effect.flip(llm.chat({ messages: [] }))
      expect(yield* valueOf("llm_requests_total", { provider, outcome: "ok" })).toEqual([3])
      expect(yield* valueOf("llm_requests_total", { provider, outcome: "InvalidRequestError" })).toEqual([1])
      expect(yield* valueOf("llm_request_duration_seconds", { provider })).toEqual([4])
      expect(yield* valueOf("llm_time_to_first_event_seconds", { provider })).toEqual([1])
      expect(yield* valueOf("llm_tokens_total", { provider, kind: "input" })).toEqual([9])
      expect(yield* valueOf("llm_tokens_total", { provider, kind: "output" })).toEqual([12])
      expect(yield* valueOf("llm_attempts_total", { provider, key_id: "good", outcome: "ok" })).toEqual([3])
      expect(yield* valueOf("llm_attempts_total", { provider, key_id: "bad" })).toEqual([1])
      expect(yield* valueOf("llm_cooldowns_total", { provider, key_id: "bad", reason: "Refused" })).toEqual([1])
      expect(yield* valueOf("llm_in_flight", { provider })).toEqual([0, 0])
      expect(yield* valueOf("llm_load_factor", { provider })).toEqual([0, 0])
    })
  )

  it.effect("are not kept where telemetry is off", () =>
    Effect.gen(function* () {
      const llm = yield* service("silent", { telemetry: false })
      const { spans } = yield* traced(llm.chat("?"))
      expect(spans).toEqual([])
      expect(yield* valueOf("llm_requests_total", { provider: "silent" })).toEqual([])
    })
  )
})

describe("spans", () => {
  it.effect("are one for the call and one for each attempt below it", () =>
    Effect.gen(function* () {
      const llm = yield* service("traced")
      const { spans } = yield* traced(llm.chat({ messages: [Chat.user("?")], temperature: 0.5 }))
      expect(spans.map((span) => span.name)).toEqual(["chat model", "attempt model", "attempt model"])
      const [call, first, second] = spans
      expect(call?.status._tag).toBe("Ended")
      expect(Object.fromEntries(call?.attributes ?? [])).toEqual({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "traced",
        "gen_ai.request.model": "model",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.id": "answer",
        "gen_ai.response.model": "model",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "effect_llm.attempts": 2
      })
      expect(first?.attributes.get("effect_llm.key.id")).toBe("bad")
      expect(first?.attributes.get("error.type")).toBe("AuthenticationError")
      expect(second?.attributes.get("effect_llm.key.id")).toBe("good")
      expect([first, second].map((span) => span && Option.getOrUndefined(span.parent)?.spanId)).toEqual([
        call?.spanId,
        call?.spanId
      ])
    })
  )

  it.effect("of a stream last until its end, and tell that it was given up", () =>
    Effect.gen(function* () {
      const llm = yield* service("streamed")
      const whole = yield* traced(Stream.runCollect(llm.chatStream("?")))
      expect(Chunk.size(whole.result)).toBe(3)
      expect(whole.spans.every((span) => span.status._tag === "Ended")).toBe(true)
      expect(whole.spans[0]?.attributes.get("gen_ai.usage.output_tokens")).toBe(4)
      const given = yield* traced(Stream.runDrain(Stream.take(llm.chatStream("?"), 1)))
      expect(given.spans.every((span) => span.status._tag === "Ended")).toBe(true)
    })
  )
})
