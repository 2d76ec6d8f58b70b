/** Models of one provider with the same keys, against a real server whose log says what was sent. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Either } from "effect"
import * as Models from "../../src/models/Models.js"
import { serve } from "../support/witness.js"

const names = ["one", "two", "three"]

interface Settings {
  /** The keys of each model. */
  readonly keys: ReadonlyArray<object | string> | ((model: string) => ReadonlyArray<object | string>)
  readonly attempts?: number
}

const entryOf =
  (baseUrl: string, { attempts = 1, keys }: Settings) =>
  (model: string) => ({
    model_name: model,
    api_keys: typeof keys === "function" ? keys(model) : keys,
    base_url: baseUrl,
    max_retries: attempts,
    rate_limit_capacity: 1000
  })

const modelsAt = (baseUrl: string, settings: Settings) =>
  Effect.flatMap(Models.parseFile(JSON.stringify({ acme: names.map(entryOf(baseUrl, settings)) })), (file) =>
    Models.make(file)
  )

const live = Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))

const chat = (models: Models.Service, model: string) =>
  Effect.flatMap(models.get("acme", model), (llm) => Effect.either(llm.chat("?")))

const together = <A, E, R>(calls: ReadonlyArray<Effect.Effect<A, E, R>>) =>
  Effect.all(calls, { concurrency: "unbounded" })

const repeated = (times: number) => names.flatMap((name) => Array.from({ length: times }, () => name))

describe("models that share a key", () => {
  it.scopedLive("have as many requests in flight together as `max_concurrency` of the key allows", () =>
    Effect.gen(function* () {
      const server = yield* serve(() => ({ status: 200, after: 50 }))
      const models = yield* modelsAt(server.baseUrl, { keys: [{ key: "sk", max_concurrency: 2 }] })
      const results = yield* together(repeated(4).map((model) => chat(models, model)))
      expect(results.filter(Either.isRight)).toHaveLength(12)
      expect(server.mostOpen()).toBe(2)
    }).pipe(live, Effect.provide(NodeHttpClient.layerUndici))
  )
  it.scopedLive("start as many requests a second together as `max_qps` of the key allows", () =>
    Effect.gen(function* () {
      const server = yield* serve(() => ({ status: 200 }))
      const models = yield* modelsAt(server.baseUrl, { keys: [{ key: "sk", max_qps: 3 }] })
      yield* together(repeated(3).map((model) => chat(models, model)))
      const first = server.log[0]?.at ?? 0
      expect(server.log).toHaveLength(9)
      expect(server.log.filter(({ at }) => at < first + 900)).toHaveLength(3)
    }).pipe(live, Effect.provide(NodeHttpClient.layerUndici))
  )
  it.scopedLive("find a revoked key once", () =>
    Effect.gen(function* () {
      const server = yield* serve((key) => ({ status: key === "sk-bad" ? 401 : 200 }))
      const models = yield* modelsAt(server.baseUrl, { keys: ["sk-bad", "sk-good"] })
      for (const model of repeated(4)) expect(Either.isRight(yield* chat(models, model))).toBe(true)
      expect(server.log.filter(({ key }) => key === "sk-bad")).toHaveLength(1)
    }).pipe(live, Effect.provide(NodeHttpClient.layerUndici))
  )
  it.scopedLive("share a key that the file lists with other keys for each of them", () =>
    Effect.gen(function* () {
      const server = yield* serve((key) => ({ status: key === "sk-bad" ? 401 : 200 }))
      const models = yield* modelsAt(server.baseUrl, { keys: (model) => ["sk-bad", `sk-${model}`] })
      for (const model of repeated(4)) expect(Either.isRight(yield* chat(models, model))).toBe(true)
      expect(server.log.filter(({ key }) => key === "sk-bad")).toHaveLength(1)
      expect(server.log.filter(({ key, model }) => key !== "sk-bad" && key !== `sk-${model}`)).toEqual([])
    }).pipe(live, Effect.provide(NodeHttpClient.layerUndici))
  )
  it.scopedLive("do not wait for a rate limit, a refusal of a model or failures that another of them met", () =>
    Effect.gen(function* () {
      for (const status of [429, 403, 500]) {
        const server = yield* serve((_, __, { model }) => ({
          status: model === "one" ? status : 200,
          headers: { "retry-after": "60" }
        }))
        const models = yield* modelsAt(server.baseUrl, { keys: ["sk-1", "sk-2"] })
        for (let call = 0; call < 8; call++) yield* Effect.timeoutOption(chat(models, "one"), 100)
        for (const model of ["two", "three", "two", "three"])
          expect(Either.isRight(yield* chat(models, model))).toBe(true)
        const keys = server.log.filter(({ model }) => model !== "one").map(({ key }) => key)
        // How many each key has served depends on when the calls of the first model were given up.
        expect(keys).toHaveLength(4)
        expect(new Set(keys)).toEqual(new Set(["sk-1", "sk-2"]))
      }
    }).pipe(live, Effect.provide(NodeHttpClient.layerUndici))
  )
})
