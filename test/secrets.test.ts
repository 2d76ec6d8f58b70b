/** Searches everything that a caller can print for a secret key and for a token signed with one. */
import { HttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, Either, Layer, Logger, LogLevel, Metric, Ref, Stream } from "effect"
import * as ApiKey from "../src/vocabulary/ApiKey.js"
import * as ChatEvent from "../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../src/keyPool/KeyPool.js"
import * as LLM from "../src/LLM.js"
import * as ChatCompletionsClient from "../src/provider/ChatCompletionsClient.js"
import * as Models from "../src/models/Models.js"
import * as RateLimiter from "../src/rateLimiter/RateLimiter.js"
import { SimulatedProvider } from "../src/testing/index.js"
import { ZhipuClient } from "../src/provider/zhipu/index.js"
import { printed, recordingLogger, recordingTracer } from "./support/recording.js"
import * as Transports from "./support/transports.js"

/** A tracer takes calls off the straight way of the direct transport. */
const ways = [
  ["the direct transport", Transports.direct, false],
  ["the direct transport with a tracer", Transports.direct, true],
  ["the portable transport with a tracer", Transports.portable, true]
] as const

const canary = "sk-canary-5f2b1c90-never-to-be-seen"

const expectAbsent = (secret: string, ...values: ReadonlyArray<unknown>): void => {
  for (const value of values) expect(printed(value).includes(secret)).toBe(false)
}

const expectHidden = (...values: ReadonlyArray<unknown>): void => expectAbsent(canary, ...values)

describe("secrecy of keys", () => {
  it("hides the secret of an ApiKey and of its fingerprint", () => {
    const key = ApiKey.make(canary)
    expectHidden(key, ApiKey.fingerprint(key.value))
  })

  it.effect("hides the secret in a pool, its lease, its status and its errors", () =>
    Effect.gen(function* () {
      const pool = yield* KeyPool.make({ provider: "test", keys: [canary, { key: "other", weight: 2 }] })
      const lease = yield* pool.reserve()
      expectHidden(pool, lease, yield* pool.status)
      const faulty = yield* Effect.flip(
        KeyPool.make({ provider: "test", keys: [canary, canary, { key: canary, weight: -1 }] })
      )
      expectHidden(faulty)
    })
  )

  it.effect("hides the secret in a provider file and in its faults", () =>
    Effect.gen(function* () {
      const broken = [
        `{"openai":[{"model_name":"m","api_keys":["${canary}"],"base_url":"nowhere"}]}`,
        `{"openai":[{"model_name":"m","api_keys":"${canary}","base_url":"http://x"}]}`,
        `{"openai":[{"model_name":"m","api_keys":[{"key":"${canary}","weight":0}],"base_url":"http://x"}]}`,
        `{"openai": ["${canary}" "x"]}`,
        `${canary}`
      ]
      for (const text of broken) expectHidden(yield* Effect.flip(Models.parseFile(text)))
      expectHidden(
        yield* Models.parseFile(`{"openai":[{"model_name":"m","api_keys":["${canary}"],"base_url":"http://x"}]}`)
      )
    })
  )

  it.effect("hides the secret in errors of configuration from the environment", () =>
    Effect.gen(function* () {
      const environment = ConfigProvider.fromMap(
        new Map([
          ["OPENAI_API_KEY", canary],
          ["LLM_MAX_TOKENS", "many"]
        ])
      )
      const exit = yield* Effect.exit(
        Effect.provide(LLM.LLM, LLM.layerConfig()).pipe(
          Effect.provide(Transports.direct),
          Effect.withConfigProvider(environment)
        )
      )
      expectHidden(exit)
      if (exit._tag === "Failure") expect(Cause.pretty(exit.cause)).not.toContain(canary)
    })
  )

  it.scopedLive.each(ways)(
    "hides the secret in everything that calls leave, however they end, over %s",
    ([, transport, isTraced]) =>
      Effect.gen(function* () {
        const S = SimulatedProvider
        const { layer: logger, lines } = yield* recordingLogger
        const tracer = yield* recordingTracer
        yield* Effect.gen(function* () {
          const provider = yield* SimulatedProvider.make()
          const llm = yield* LLM.make({
            model: "simulated",
            retry: false,
            timeouts: { response: "200 millis", firstEvent: "200 millis", idle: "200 millis" }
          }).pipe(
            Effect.provide(ChatCompletionsClient.layer({ provider: "simulated", baseUrl: provider.baseUrl })),
            Effect.provide(
              KeyPool.layer({ provider: "simulated", keys: [canary], cooldown: { base: 1, quota: 1, refused: 1 } })
            ),
            Effect.provide(RateLimiter.layerUnlimited)
          )
          expectHidden(llm)
          const faults = [
            undefined,
            S.status(401, { message: `Incorrect API key provided: ${canary}` }),
            S.status(500, { message: `Authorization: Bearer ${canary}`, code: canary }),
            S.status(429, { message: canary }),
            S.garbage,
            S.reset(),
            S.reset(3),
            S.truncate(3),
            S.hang(),
            S.errorEvent(2, { message: `bad key ${canary}` }),
            S.brokenEvent(2)
          ]
          for (const fault of faults) {
            yield* provider.next(fault)
            const whole = yield* Effect.either(llm.chat("?"))
            yield* Effect.logError("whole", whole, Either.isLeft(whole) ? Cause.fail(whole.left) : "")
            yield* Effect.sleep(5)
            yield* provider.next(fault)
            const streamed = yield* Effect.either(ChatEvent.collect(llm.chatStream("?")))
            yield* Effect.logError("streamed", streamed)
            yield* Effect.sleep(5)
            expectHidden(whole, streamed, yield* llm.status)
          }
          expectHidden(yield* provider.log)
          const unreachable = yield* LLM.make({ model: "m", retry: false }).pipe(
            Effect.provide(ChatCompletionsClient.layer({ baseUrl: "http://127.0.0.1:1/v1" })),
            Effect.provide(KeyPool.layer({ provider: "nowhere", keys: [canary] })),
            Effect.provide(RateLimiter.layerUnlimited)
          )
          expectHidden(
            yield* Effect.exit(unreachable.chat("?")),
            yield* Effect.exit(Stream.runDrain(unreachable.chatStream("?")))
          )
        }).pipe(
          Effect.provide(transport),
          Effect.provide(isTraced ? tracer.layer : Layer.empty),
          Effect.provide(logger)
        )
        expect(lines.length).toBeGreaterThan(10)
        expectHidden(lines)
        expect(tracer.spans.length > 10).toBe(isTraced)
        for (const span of tracer.spans) expectHidden(span.name, [...span.attributes], span.status)
        expectHidden(yield* Metric.snapshot)
      }).pipe(Logger.withMinimumLogLevel(LogLevel.All))
  )

  it.scopedLive("hides the signed token and the key of Zhipu in errors, logs, spans and metrics", () =>
    Effect.gen(function* () {
      const S = SimulatedProvider
      const key = "0123456789abcdef.canary-never-to-be-seen"
      const { layer: logger, lines } = yield* recordingLogger
      const tracer = yield* recordingTracer
      const tokens = yield* Ref.make<ReadonlyArray<string>>([])
      const recordingClient = Layer.effect(
        HttpClient.HttpClient,
        Effect.map(
          HttpClient.HttpClient,
          HttpClient.tapRequest((request) =>
            Ref.update(tokens, (all) => [...all, (request.headers["authorization"] ?? "").slice("Bearer ".length)])
          )
        )
      ).pipe(Layer.provide(Transports.direct))
      yield* Effect.gen(function* () {
        const provider = yield* SimulatedProvider.make()
        const llm = yield* LLM.make({ model: "simulated", retry: false }).pipe(
          Effect.provide(ZhipuClient.layer({ provider: "zhipu", baseUrl: provider.baseUrl })),
          Effect.provide(
            KeyPool.layer({ provider: "zhipu", keys: [key], cooldown: { base: 1, quota: 1, refused: 1 } })
          ),
          Effect.provide(RateLimiter.layerUnlimited)
        )
        yield* llm.chat("?")
        const [token = ""] = yield* Ref.get(tokens)
        expect(token.split(".").length).toBe(3)
        const faults = [
          S.status(401, { message: `Bad token: ${token}` }),
          S.status(500, { message: `Authorization: Bearer ${token}`, code: token }),
          S.status(400, { message: `id ${token.slice(0, -1)}` }),
          S.garbage,
          S.reset(3),
          S.truncate(3),
          S.errorEvent(2, { message: `bad token ${token}` })
        ]
        for (const fault of faults) {
          yield* provider.next(fault)
          const whole = yield* Effect.either(llm.chat("?"))
          yield* Effect.sleep(5)
          yield* provider.next(fault)
          const streamed = yield* Effect.either(ChatEvent.collect(llm.chatStream("?")))
          yield* Effect.sleep(5)
          yield* Effect.logError("ended", whole, streamed)
          for (const secret of [token, token.slice(0, -1), key]) {
            expectAbsent(secret, whole, streamed, yield* llm.status, llm)
          }
        }
        const spans = tracer.spans.map((span) => [span.name, [...span.attributes], span.status])
        expect(spans.length).toBeGreaterThan(10)
        expect(lines.length).toBeGreaterThan(10)
        for (const secret of [token, key]) expectAbsent(secret, lines, spans, yield* Metric.snapshot)
        expect(new Set(yield* Ref.get(tokens))).toEqual(new Set([token]))
      }).pipe(Effect.provide(recordingClient), Effect.provide(tracer.layer), Effect.provide(logger))
    }).pipe(Logger.withMinimumLogLevel(LogLevel.All))
  )
})
