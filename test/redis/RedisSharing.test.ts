import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Either, Layer, Option, Redacted } from "effect"
import * as Access from "../../src/gateway/Access.js"
import type * as LLM from "../../src/LLM.js"
import * as Models from "../../src/models/Models.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisSharing from "../../src/redis/RedisSharing.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { redisServer } from "../support/redisServer.js"
import { scripted } from "../support/scripted.js"
import { recordingProvider } from "./callerProcesses.js"

const file = (baseUrl: string, fields: Readonly<Record<string, unknown>>) =>
  Models.parseFile(
    JSON.stringify({
      openai: [
        {
          model_name: "m",
          base_url: baseUrl,
          api_keys: ["sk-one"],
          max_retries: 1,
          rate_limit_capacity: 1000,
          rate_limit_refill_rate: 1000,
          ...fields
        }
      ]
    }),
    "test.json"
  )

/** A layer with its own connection and its own services, like those of a separate process. */
const process = <A, E>(url: string, layer: Layer.Layer<A, E>) =>
  Effect.map(
    Layer.build(
      layer.pipe(Layer.provide(RedisSharing.layer()), Layer.provide(Redis.layer({ url, timeout: "1 minute" })))
    ),
    (context) => context
  )

const models = (url: string, file: Models.ProviderFile) =>
  Effect.flatMap(
    process(url, Layer.provide(Models.layer(file, { telemetry: false }), NodeHttpClient.layerUndici)),
    (context) => Context.get(context, Models.Models).get("openai/m")
  )

const chats = (llms: ReadonlyArray<LLM.Service>, times: number) =>
  Effect.forEach(
    Array.from({ length: times }, (_, index) => llms[index % llms.length]),
    (llm) => (llm === undefined ? Effect.dieMessage("no LLM") : Effect.either(llm.chat("?"))),
    { concurrency: "unbounded" }
  )

describe.concurrent("Models with RedisSharing", () => {
  it.scopedLive("shares the concurrency cap of a key between processes", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const provider = yield* recordingProvider("50 millis")
      const read = yield* file(provider.baseUrl, { api_keys: [{ key: "sk-one", max_concurrency: 2 }] })
      const llms = [yield* models(url, read), yield* models(url, read)]
      const answers = yield* chats(llms, 12)
      expect(answers.every(Either.isRight)).toBe(true)
      expect(provider.maxInFlight()).toBe(2)
    })
  )

  it.scopedLive("shares the rate limit of a model between processes", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const provider = yield* SimulatedProvider.make()
      const read = yield* file(provider.baseUrl, { rate_limit_capacity: 3, rate_limit_refill_rate: 0.001 })
      const answers = yield* chats([yield* models(url, read), yield* models(url, read)], 8)
      expect(answers.filter(Either.isRight)).toHaveLength(3)
      expect(yield* provider.log).toHaveLength(3)
    })
  )

  it.scopedLive(
    "keeps the limits of models apart whose provider and model names read the same joined by a hyphen",
    () =>
      Effect.gen(function* () {
        const { url } = yield* redisServer
        const provider = yield* SimulatedProvider.make()
        const entry = (model: string) => ({
          model_name: model,
          base_url: provider.baseUrl,
          api_keys: ["sk-one"],
          max_retries: 1,
          rate_limit_capacity: 1,
          rate_limit_refill_rate: 0.001
        })
        const read = yield* Models.parseFile(
          JSON.stringify({ acme: [entry("eu-large")], "acme-eu": [entry("large")] }),
          "test.json"
        )
        const context = yield* process(
          url,
          Layer.provide(Models.layer(read, { telemetry: false }), NodeHttpClient.layerUndici)
        )
        for (const name of ["acme/eu-large", "acme-eu/large"]) {
          const llm = yield* Context.get(context, Models.Models).get(name)
          expect(Either.isRight(yield* Effect.either(llm.chat("?")))).toBe(true)
        }
      })
  )

  it.scopedLive("shares disabled keys between processes", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const provider = yield* SimulatedProvider.make()
      const read = yield* file(provider.baseUrl, {})
      const [here, there] = [yield* models(url, read), yield* models(url, read)]
      const [key] = (yield* here.status).keys.keys
      yield* here.keys?.disable(key?.id ?? "") ?? Effect.void
      expect((yield* Effect.flip(there.chat("?")))._tag).toBe("KeyPoolExhaustedError")
    })
  )
})

describe.concurrent("Access with RedisSharing", () => {
  it.scopedLive("shares rate limits and budgets of virtual keys between gateways", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const secret = "sk-team"
      const access = Access.layer({
        keys: [
          { key: secret, rateLimit: { requestsPerMinute: 3 } },
          { key: "sk-other", budget: { tokens: 30, period: "day" } }
        ]
      })
      const gateways = [yield* process(url, access), yield* process(url, access)].map((context) =>
        Context.get(context, Access.Access)
      )
      const callGateway = (index: number, secret: string) =>
        Effect.gen(function* () {
          const gateway = gateways[index % 2]
          if (gateway === undefined) return "no gateway"
          const caller = yield* gateway.caller(Option.some(Redacted.make(secret)))
          const llm = yield* Effect.flatMap(scripted("Hello"), caller.around)
          return yield* Effect.match(llm.chat({ messages: [{ role: "user", content: "?" }], maxTokens: 10 }), {
            onFailure: ({ _tag }) => _tag,
            onSuccess: () => "ok"
          })
        })
      const limited = yield* Effect.forEach([0, 1, 2, 3], (index) => callGateway(index, secret))
      expect(limited).toEqual(["ok", "ok", "ok", "RateLimitError"])
      // A call uses 7 tokens, and reserves more.
      const paid = yield* Effect.forEach([0, 1, 2, 3, 4], (index) => callGateway(index, "sk-other"))
      expect(paid.filter((outcome) => outcome === "ok").length).toBeLessThan(5)
      expect(paid.at(-1)).toBe("BudgetExceededError")
    })
  )
})
