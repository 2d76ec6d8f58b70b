import * as Otlp from "@effect/opentelemetry/Otlp"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Fiber, Layer, Logger, Option, Queue, Ref, Stream, TestClock } from "effect"
import * as Series from "../../src/telemetry/series.js"
import * as AccessLog from "../../src/telemetry/AccessLog.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Telemetry from "../../src/telemetry/Telemetry.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import * as Collector from "../support/collector.js"
import { recordingTracer } from "../support/recording.js"
import { answer, context, scripted } from "../support/scripted.js"

const refused = new LLMErrors.AuthenticationError({ ...context, status: 401, message: "wrong key" })

const hello = {
  ...answer("Hello"),
  usage: Usage.make({
    inputTokens: 3,
    outputTokens: 4,
    cachedInputTokens: 2,
    cacheWriteTokens: 1,
    reasoningTokens: 3
  })
}

/** Refuses the key `bad` and accepts every other key. */
const client = (provider: string) =>
  Layer.succeed(ProviderClient.ProviderClient, {
    provider,
    wire: "test",
    chat: (_, { key }) => (key.id === "bad" ? Effect.fail(refused) : Effect.succeed(hello)),
    chatStream: (_, { key }) =>
      key.id === "bad" ? Stream.fail(refused) : Stream.fromIterable(ChatEvent.fromResponse(hello))
  })

const service = (provider: string, options: Omit<LLM.Options, "model"> = {}) =>
  LLM.make({ model: "model", ...options }).pipe(
    Effect.provide(client(provider)),
    Effect.provide(
      KeyPool.layer({
        provider,
        keys: [
          { key: "1", id: "bad" },
          { key: "2", id: "good" }
        ]
      })
    ),
    Effect.provide(RateLimiter.layerUnlimited)
  )

/** An `LLM` of a provider at a URL, which answers with usage of every kind; its streams begin after a quarter of a second. */
const serverService = (provider: string, baseUrl: string) => {
  const usage = Usage.make({
    inputTokens: 100,
    outputTokens: 40,
    cachedInputTokens: 50,
    cacheWriteTokens: 20,
    reasoningTokens: 30
  })
  const response = { ...answer("Hello"), model: "model-2", usage }
  return LLM.make({ model: "model" }).pipe(
    Effect.provideService(ProviderClient.ProviderClient, {
      provider,
      wire: "test",
      baseUrl,
      chat: () => Effect.succeed(response),
      embeddings: {
        maxBatch: 10,
        embed: () =>
          Effect.succeed({
            provider,
            model: "model-2",
            embeddings: [[1]],
            usage: Usage.make({ inputTokens: 7 }),
            latency: 1,
            attempts: []
          })
      },
      chatStream: () =>
        Stream.fromEffect(Effect.sleep("250 millis")).pipe(
          Stream.drain,
          Stream.concat(Stream.rechunk(Stream.fromIterable(ChatEvent.fromResponse(response)), 1))
        )
    }),
    Effect.provide(KeyPool.layer({ provider, keys: [{ key: "1", id: "key" }] })),
    Effect.provide(RateLimiter.layerUnlimited)
  )
}

/** Values of the series of a metric whose labels include `labels`. */
const valueOf = (name: string, labels: Readonly<Record<string, string>>) =>
  Effect.map(Series.snapshot, (all) =>
    all
      .filter(
        (series) =>
          series.name === name &&
          Object.entries(labels).every(([key, value]) =>
            series.labels.some(([label, own]) => label === key && own === value)
          )
      )
      .map(({ state }) => (state._tag === "Gauge" ? state.value : "count" in state ? state.count : Number.NaN))
  )

/** The labels of all series of a metric that a provider has, and how often each was updated. */
const conventionSeries = (name: string, provider: string) =>
  Effect.map(Series.snapshot, (all) =>
    all.flatMap((series) => {
      const labels = Object.fromEntries(series.labels)
      const { state } = series
      return series.name === name && labels["gen_ai.provider.name"] === provider && state._tag === "Histogram"
        ? [{ labels, count: state.count, sum: state.sum, buckets: state.buckets.map(([le]) => le) }]
        : []
    })
  )

/** The result of an effect and the spans that were made for it. */
const traced = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(recordingTracer, ({ layer, spans }) =>
    Effect.map(Effect.provide(effect, layer), (result) => ({ result, spans }))
  )

describe("metrics", () => {
  it.effect("counts calls, attempts, tokens and cooldowns, and returns in-flight gauges to zero", () =>
    Effect.gen(function* () {
      const provider = "counted-calls"
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

  it.effect("records the client metrics of the OpenTelemetry conventions with their attributes and buckets", () =>
    Effect.gen(function* () {
      const provider = "by-convention"
      const llm = yield* serverService(provider, "https://[::1]/v1")
      yield* llm.chat("?")
      for (const stream of [llm.chatStream("?"), Stream.take(llm.chatStream("?"), 1)]) {
        const fiber = yield* Effect.fork(Stream.runDrain(stream))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
      }
      yield* Effect.flip(llm.chat({ messages: [] }))
      yield* llm.embed({ input: ["text"] })
      const common = {
        "gen_ai.provider.name": provider,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "model",
        "server.address": "::1",
        "server.port": "443"
      }
      const answered = { ...common, "gen_ai.response.model": "model-2" }
      const embedded = { ...answered, "gen_ai.operation.name": "embeddings" }

      const durations = yield* conventionSeries("gen_ai.client.operation.duration", provider)
      expect(durations.map(({ count, labels }) => ({ count, labels }))).toEqual(
        expect.arrayContaining([
          { count: 2, labels: { ...answered, unit: "s" } },
          { count: 1, labels: { ...answered, unit: "s", "error.type": "interrupted" } },
          { count: 1, labels: { ...common, unit: "s", "error.type": "InvalidRequestError" } },
          { count: 1, labels: { ...embedded, unit: "s" } }
        ])
      )
      expect(durations).toHaveLength(4)
      expect(durations[0]?.buckets).toEqual([
        0.01,
        0.02,
        0.04,
        0.08,
        0.16,
        0.32,
        0.64,
        1.28,
        2.56,
        5.12,
        10.24,
        20.48,
        40.96,
        81.92,
        Infinity
      ])

      // The tokens of the abandoned stream are an estimate, and embeddings have no output.
      const tokens = yield* conventionSeries("gen_ai.client.token.usage", provider)
      const unit = "{token}"
      expect(tokens.map(({ count, labels, sum }) => ({ count, labels, sum }))).toEqual(
        expect.arrayContaining([
          { count: 2, sum: 200, labels: { ...answered, unit, "gen_ai.token.type": "input" } },
          { count: 2, sum: 80, labels: { ...answered, unit, "gen_ai.token.type": "output" } },
          { count: 1, sum: 7, labels: { ...embedded, unit, "gen_ai.token.type": "input" } }
        ])
      )
      expect(tokens[0]?.buckets).toEqual([
        1,
        4,
        16,
        64,
        256,
        1024,
        4096,
        16_384,
        65_536,
        262_144,
        1_048_576,
        4_194_304,
        16_777_216,
        67_108_864,
        Infinity
      ])
    })
  )

  it.effect("records no spans and no metrics when telemetry is off", () =>
    Effect.gen(function* () {
      const llm = yield* service("silent", { telemetry: false })
      const { spans } = yield* traced(llm.chat("?"))
      expect(spans).toEqual([])
      expect(yield* valueOf("llm_requests_total", { provider: "silent" })).toEqual([])
    })
  )
})

describe("spans", () => {
  it.effect("opens one span for the call and a child span for each attempt", () =>
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
        "gen_ai.usage.cache_read.input_tokens": 2,
        "gen_ai.usage.cache_write.input_tokens": 1,
        "gen_ai.usage.cache_creation.input_tokens": 1,
        "gen_ai.usage.reasoning.output_tokens": 3,
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

  const usageAttributes = {
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 40,
    "gen_ai.usage.cache_read.input_tokens": 50,
    "gen_ai.usage.cache_write.input_tokens": 20,
    "gen_ai.usage.cache_creation.input_tokens": 20,
    "gen_ai.usage.reasoning.output_tokens": 30
  }

  it.effect("have the cached and reasoning tokens, the server, and of a stream the time to its first chunk", () =>
    Effect.gen(function* () {
      const llm = yield* serverService("at-a-server", "http://localhost:8080/v1")
      const server = { "server.address": "localhost", "server.port": 8080 }
      const whole = yield* traced(llm.chat("?"))
      const streaming = yield* traced(
        Effect.gen(function* () {
          const fiber = yield* Effect.fork(Stream.runDrain(llm.chatStream("?")))
          yield* TestClock.adjust("250 millis")
          yield* Fiber.join(fiber)
        })
      )
      expect(whole.spans.map(({ name }) => name)).toEqual(["chat model", "attempt model"])
      for (const { attributes } of whole.spans) {
        expect(Object.fromEntries(attributes)).toMatchObject({ ...server, ...usageAttributes })
        expect(attributes.has("gen_ai.request.stream")).toBe(false)
        expect(attributes.has("gen_ai.response.time_to_first_chunk")).toBe(false)
      }
      expect(streaming.spans.map(({ name }) => name)).toEqual(["chat model", "attempt model"])
      for (const { attributes } of streaming.spans) {
        expect(Object.fromEntries(attributes)).toMatchObject({
          ...server,
          ...usageAttributes,
          "gen_ai.request.stream": true,
          "gen_ai.response.time_to_first_chunk": 0.25
        })
      }
    })
  )

  it.effect.each([
    ["https://example.com/v1", "example.com", 443],
    ["http://10.1.2.80", "10.1.2.80", 80],
    ["https://[2001:db8::1]:8443/v1", "2001:db8::1", 8443]
  ] as const)("name the server of %s", ([baseUrl, address, port]) =>
    Effect.gen(function* () {
      const llm = yield* serverService(`server ${address}`, baseUrl)
      const { spans } = yield* traced(llm.embed({ input: ["text"] }))
      for (const { attributes } of spans) {
        expect([attributes.get("server.address"), attributes.get("server.port")]).toEqual([address, port])
      }
      expect(spans).toHaveLength(2)
    })
  )

  it.effect("ends the spans of a stream when it ends or the consumer stops", () =>
    Effect.gen(function* () {
      const llm = yield* service("streamed")
      const whole = yield* traced(Stream.runCollect(llm.chatStream("?")))
      expect(Chunk.size(whole.result)).toBe(3)
      expect(whole.spans.every((span) => span.status._tag === "Ended")).toBe(true)
      expect(whole.spans[0]?.attributes.get("gen_ai.usage.output_tokens")).toBe(4)
      expect(whole.spans.map(({ attributes }) => attributes.get("gen_ai.request.stream"))).toEqual([true, true, true])
      expect(whole.spans.map(({ attributes }) => attributes.get("gen_ai.response.time_to_first_chunk"))).toEqual([
        0,
        undefined,
        0
      ])
      const stopped = yield* traced(Stream.runDrain(Stream.take(llm.chatStream("?"), 1)))
      expect(stopped.spans.every((span) => span.status._tag === "Ended")).toBe(true)
    })
  )
})

describe("OTLP export", () => {
  it.scopedLive("exports every span with its parent, every metric and the log, and no prompt or answer text", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.make
      const llm = yield* service("collected")
      const request = { messages: [Chat.user("the secret of my life")], temperature: 0.5, stop: ["END"] }
      yield* Effect.zipRight(llm.chat(request), Stream.runDrain(llm.chatStream("?"))).pipe(
        Effect.zipRight(Effect.log("two answers")),
        Effect.withSpan("web request"),
        Effect.provide(
          Otlp.layerJson({
            baseUrl: collector.url,
            resource: { serviceName: "the service of a test" },
            replaceLogger: Logger.defaultLogger,
            // Only the export at shutdown is asserted.
            shutdownTimeout: "1 hour"
          }).pipe(Layer.provide(NodeHttpClient.layerUndici))
        )
      )
      expect(yield* collector.services).toEqual(new Set(["the service of a test"]))
      expect(yield* collector.logs).toEqual(["two answers"])
      expect(yield* collector.bodies).not.toMatch(/secret|Hello/)

      const spans = yield* collector.spans
      expect(spans.map(({ kind, name, status }) => [name, kind, status.code])).toEqual([
        ["attempt model", 3, 2],
        ["attempt model", 3, 1],
        ["chat model", 1, 1],
        ["attempt model", 3, 1],
        ["chat model", 1, 1],
        ["web request", 1, 1]
      ])
      const [refusal, attempt, chat, streamed, stream, outer] = spans
      expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1)
      expect([refusal, attempt, chat, streamed, stream, outer].map((span) => span?.parentSpanId)).toEqual([
        chat?.spanId,
        chat?.spanId,
        outer?.spanId,
        stream?.spanId,
        outer?.spanId,
        undefined
      ])
      expect(refusal?.status.message).toBe("AuthenticationError")
      expect(Collector.attributesOf(chat?.attributes ?? [])).toEqual({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "collected",
        "gen_ai.request.model": "model",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.stop_sequences": { values: [{ stringValue: "END" }] },
        "gen_ai.response.id": "answer",
        "gen_ai.response.model": "model",
        "gen_ai.response.finish_reasons": { values: [{ stringValue: "stop" }] },
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.usage.cache_read.input_tokens": 2,
        "gen_ai.usage.cache_write.input_tokens": 1,
        "gen_ai.usage.cache_creation.input_tokens": 1,
        "gen_ai.usage.reasoning.output_tokens": 3,
        "effect_llm.attempts": 2
      })
      expect(Collector.attributesOf(refusal?.attributes ?? [])).toMatchObject({
        "error.type": "AuthenticationError",
        "effect_llm.key.id": "bad"
      })
      for (const { endTimeUnixNano, startTimeUnixNano } of spans) {
        expect(endTimeUnixNano).toBeGreaterThanOrEqual(startTimeUnixNano)
      }

      const metrics = (yield* collector.metrics).filter(({ attributes }) => attributes["provider"] === "collected")
      const counted = (name: string, labels: Readonly<Record<string, string>>) =>
        metrics
          .filter((series) => series.name === name)
          .filter(({ attributes }) => Object.entries(labels).every(([label, value]) => attributes[label] === value))
          .map(({ kind, value }) => [kind, value])
      expect(counted("llm_requests_total", { outcome: "ok" })).toEqual([["counter", 2]])
      expect(counted("llm_attempts_total", { key_id: "good" })).toEqual([["counter", 2]])
      expect(counted("llm_attempts_total", { key_id: "bad" })).toEqual([["counter", 1]])
      expect(counted("llm_tokens_total", { kind: "output" })).toEqual([["counter", 8]])
      expect(counted("llm_in_flight", { key_id: "good" })).toEqual([["gauge", 0]])
      expect(counted("llm_request_duration_seconds", {})).toEqual([["histogram", 2]])
      expect(counted("llm_time_to_first_event_seconds", {})).toEqual([["histogram", 1]])

      const conventional = (yield* collector.metrics)
        .filter(({ attributes }) => attributes["gen_ai.provider.name"] === "collected")
        .map(({ attributes, name, unit, value }) => [name, attributes["gen_ai.token.type"], unit, value])
      expect(conventional.toSorted()).toEqual([
        ["gen_ai.client.operation.duration", undefined, "s", 2],
        ["gen_ai.client.operation.time_to_first_chunk", undefined, "s", 1],
        ["gen_ai.client.token.usage", "input", "{token}", 2],
        ["gen_ai.client.token.usage", "output", "{token}", 2]
      ])
    })
  )
})

describe("percentiles", () => {
  const after = (duration: number) => Effect.delay(Effect.succeed(answer("Hello")), duration)

  it.effect("summarizes the calls of one LLM, or of several together", () =>
    Effect.gen(function* () {
      const timed = (...durations: readonly [number, ...Array<number>]) =>
        Effect.gen(function* () {
          const [first, ...rest] = durations
          const llm = yield* Effect.flatMap(scripted(after(first), ...rest.map(after)), Telemetry.middleware())
          for (let call = 0; call < durations.length; call++) {
            const fiber = yield* Effect.fork(
              call === 0 ? Effect.asVoid(llm.chat("?")) : Stream.runDrain(llm.chatStream("?"))
            )
            yield* TestClock.adjust("10 seconds")
            yield* Fiber.join(fiber)
          }
          return llm
        })
      const one = yield* timed(100, 200, 300)
      const two = yield* timed(1000)
      expect((yield* one.status).calls?.latency).toMatchObject({ count: 3, sum: 600, min: 100, max: 300 })
      const { latency, timeToFirstEvent } = yield* Telemetry.percentiles([one, two])
      expect(latency).toMatchObject({ count: 4, mean: 400, min: 100, max: 1000 })
      expect(latency.p50 / 200).toBeCloseTo(1, 1)
      expect(timeToFirstEvent).toMatchObject({ count: 2, min: 200, max: 300 })
      const silent = yield* service("unmeasured", { telemetry: false })
      expect((yield* silent.status).calls).toBeUndefined()
      expect((yield* Telemetry.percentiles([silent])).latency.count).toBe(0)
    })
  )

  it.effect("counts broken and interrupted streams, with estimated tokens of what arrived", () =>
    Effect.gen(function* () {
      const next = yield* scripted({
        stream: Stream.concat(
          Stream.take(Stream.rechunk(Stream.fromIterable(ChatEvent.fromResponse(answer("Hello"))), 1), 2),
          Stream.fail(refused)
        )
      })
      const llm = yield* Telemetry.middleware()({ ...next, info: { ...next.info, provider: "broken" } })
      yield* Effect.flip(Stream.runDrain(llm.chatStream("?")))
      yield* Stream.runDrain(Stream.take(llm.chatStream("?"), 2))
      expect((yield* llm.status).calls?.latency.count).toBe(2)
      expect(yield* valueOf("llm_requests_total", { provider: "broken", outcome: "interrupted" })).toEqual([1])
      expect(yield* valueOf("llm_requests_total", { provider: "broken", outcome: "AuthenticationError" })).toEqual([1])
      expect(yield* valueOf("llm_tokens_total", { provider: "broken", kind: "output" })).toEqual([2])
    })
  )

  it.effect("estimates as much input for a text as for a request with that text, when a stream is stopped", () =>
    Effect.gen(function* () {
      const inputOf = (provider: string, request: Chat.ChatRequest.Input) =>
        Effect.gen(function* () {
          const next = yield* scripted({
            stream: Stream.rechunk(Stream.fromIterable(ChatEvent.fromResponse(answer("Hello"))), 1)
          })
          const llm = yield* Telemetry.middleware()({ ...next, info: { ...next.info, provider } })
          yield* Stream.runHead(llm.chatStream(request))
          return yield* valueOf("llm_tokens_total", { provider, kind: "input" })
        })
      const expected = yield* inputOf("asked-messages", { messages: [Chat.user("How are you?")] })
      expect(yield* inputOf("asked-text", "How are you?")).toEqual(expected)
    })
  )
})

describe("Telemetry.onCall", () => {
  const withoutLogs = Effect.provide(Logger.remove(Logger.defaultLogger))

  it.scoped("runs the callbacks for the start, each attempt and the end of a call, in this order", () =>
    Effect.gen(function* () {
      const callbacks = yield* Queue.unbounded<readonly [string, string]>()
      const llm = yield* Effect.flatMap(
        service("called"),
        Telemetry.onCall({
          onStart: ({ requestId }) => Queue.offer(callbacks, ["start", requestId]),
          onAttempt: ({ keyId }, { requestId }) => Queue.offer(callbacks, [keyId, requestId]),
          onEnd: ({ outcome, requestId, usage }) =>
            Queue.offer(callbacks, [`${outcome} ${usage?.outputTokens}`, requestId])
        })
      )
      yield* AccessLog.withRequestId(llm.chat("?"), "one")
      yield* AccessLog.withRequestId(Stream.runDrain(llm.chatStream("?")), "two")
      expect(Array.from(yield* Queue.takeN(callbacks, 7))).toEqual([
        ["start", "one"],
        ["bad", "one"],
        ["key", "one"],
        ["ok 4", "one"],
        ["start", "two"],
        ["key", "two"],
        ["ok 4", "two"]
      ])
    })
  )

  it.scoped("answers calls and runs further callbacks when one throws, hangs or is interrupted", () =>
    Effect.gen(function* () {
      const outcomes = yield* Queue.unbounded<string>()
      const llm = yield* Effect.flatMap(
        scripted("Hello"),
        Telemetry.onCall(
          {
            onStart: () => {
              throw new Error("bug")
            },
            onAttempt: () => Effect.uninterruptible(Effect.never),
            onEnd: ({ outcome }) => Effect.zipRight(Queue.offer(outcomes, outcome), Effect.interrupt)
          },
          { timeout: "3 seconds" }
        )
      )
      expect((yield* llm.chat("?")).text).toBe("Hello")
      expect((yield* llm.chat("?")).text).toBe("Hello")
      expect(yield* Queue.size(outcomes)).toBe(0)
      yield* TestClock.adjust("3 seconds")
      expect(Chunk.toReadonlyArray(yield* Queue.takeAll(outcomes))).toEqual(["ok"])
      yield* TestClock.adjust("3 seconds")
      expect(Chunk.toReadonlyArray(yield* Queue.takeAll(outcomes))).toEqual(["ok"])
    }).pipe(withoutLogs)
  )

  it.scoped("drops callbacks above the capacity and logs how many", () =>
    Effect.gen(function* () {
      const warnings: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => {
        warnings.push(String(message))
      })
      yield* Effect.gen(function* () {
        const ended = yield* Ref.make(0)
        const onEnd = () =>
          Effect.delay(
            Ref.update(ended, (n) => n + 1),
            "1 second"
          )
        const llm = yield* Effect.flatMap(scripted("Hello"), Telemetry.onCall({ onEnd }, { capacity: 4 }))
        yield* Effect.repeatN(llm.chat("?"), 99)
        yield* TestClock.adjust("1 minute")
        const run = yield* Ref.get(ended)
        expect(run).toBeGreaterThanOrEqual(4)
        expect(run).toBeLessThanOrEqual(5)
        const counts = warnings.map((warning) =>
          Number(/^Telemetry\.onCall dropped (\d+) callbacks because earlier ones are too slow\.$/.exec(warning)?.[1])
        )
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(100 - run)
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    })
  )

  it.effect("runs the queued callbacks before the layer is released", () =>
    Effect.gen(function* () {
      const ended = yield* Ref.make(0)
      const onEnd = () => Ref.update(ended, (n) => n + 1)
      const layer = Layer.effect(LLM.LLM, scripted("Hello")).pipe(LLM.withMiddleware(Telemetry.onCall({ onEnd })))
      yield* Effect.provide(Effect.repeatN(LLM.chat("?"), 9), layer)
      expect(yield* Ref.get(ended)).toBe(10)
    })
  )
})
