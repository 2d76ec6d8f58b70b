import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { FileSystem } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Predicate, Ref } from "effect"
import * as LLM from "../../src/LLM.js"
import * as Models from "../../src/models/Models.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import type { EmbeddingRequest } from "../../src/vocabulary/Embedding.js"
import { respondWith } from "../gateway/support/upstream.js"
import { eventually } from "../support/eventually.js"

const environment = (variables: Record<string, string> = {}) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))

const fileAt = (baseUrl: string, more: object = {}) =>
  JSON.stringify({
    acme: [
      {
        model_name: "large",
        api_keys: [
          { key: "a", id: "a", weight: 3 },
          { key: "b", id: "b", weight: 2, max_concurrency: 4 }
        ],
        base_url: baseUrl,
        rate_limit_capacity: 7,
        rate_limit_refill_rate: 2,
        requests_per_minute: 60,
        requests_per_day: 1000,
        max_concurrency: 3,
        default_temperature: 0.3,
        aliases: ["smart"]
      },
      { model_name: "small", api_keys: ["a"], base_url: baseUrl, type: "responses" }
    ],
    other: [{ model_name: "small", api_keys: ["c"], base_url: baseUrl }],
    ...more
  })

const modelsAt = (baseUrl: string, more?: object, options?: Models.Options) =>
  Effect.flatMap(Models.parseFile(fileAt(baseUrl, more)), (file) => Models.make(file, options))

describe("Models", () => {
  it.scopedLive("finds models and aliases with names that every object inherits, such as `constructor`", () =>
    Effect.gen(function* () {
      const names = ["constructor", "__proto__", "toString"]
      const models = yield* modelsAt("http://127.0.0.1:1")
      for (const name of names) {
        expect((yield* Effect.flip(models.get(name)))._tag).toBe("ModelNotFoundError")
        const model = { model_name: name, api_keys: ["a"], base_url: "http://127.0.0.1:1" }
        const file = JSON.stringify({ acme: [model] })
        const named = yield* Effect.flatMap(Models.parseFile(file), (parsed) => Models.make(parsed))
        expect((yield* named.get(name)).info.model).toBe(name)
        const aliased = yield* modelsAt("http://127.0.0.1:1", {
          $aliases: Object.fromEntries([[name, "acme/large"]]),
          $default: name
        })
        expect((yield* aliased.get(name)).info.model).toBe("large")
      }
    }).pipe(environment(), Effect.provide(NodeHttpClient.layerUndici))
  )

  it.scopedLive("finds a model by provider and name, by alias, and by a bare name that only one provider has", () =>
    Effect.gen(function* () {
      const models = yield* modelsAt("http://127.0.0.1:1")
      for (const llm of [
        yield* models.get("acme/large"),
        yield* models.get("acme", "large"),
        yield* models.get("smart"),
        yield* models.get("large")
      ]) {
        expect(llm.info).toEqual({
          provider: "acme",
          model: "large",
          wire: "chat-completions",
          contextWindow: 200_000,
          baseUrl: "http://127.0.0.1:1",
          defaults: { temperature: 0.3 }
        })
      }
      expect((yield* Effect.flip(models.get("small"))).message).toContain("acme/small, other/small")
      expect((yield* Effect.flip(models.get("none"))).message).toContain("acme/large")
      expect(models.list.map(({ aliases, model, wire }) => [model, wire, aliases])).toEqual([
        ["large", "chat-completions", ["smart"]],
        ["small", "responses", []],
        ["small", "chat-completions", []]
      ])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici), environment())
  )

  it.scopedLive("uses an entry's `type`, Ollama's own protocol at its default address, and else chat completions", () =>
    Effect.gen(function* () {
      const model = { model_name: "m", api_keys: ["a"] }
      const models = yield* modelsAt("http://127.0.0.1:1", {
        ollama: [model],
        "ollama-box": [{ ...model, preset: "ollama", base_url: "http://127.0.0.1:1/v1" }],
        dashscope: [model],
        "dashscope-intl": [{ ...model, type: "dashscope" }]
      })
      expect(models.list.slice(3).map(({ provider, wire }) => [provider, wire])).toEqual([
        ["ollama", "ollama"],
        ["ollama-box", "chat-completions"],
        ["dashscope", "chat-completions"],
        ["dashscope-intl", "dashscope"]
      ])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici), environment())
  )

  it.scopedLive("prefers an entry's `type`, then its provider's own protocol, over the `wire` option", () =>
    Effect.gen(function* () {
      const entry = { model_name: "claude-1", api_keys: ["k"] }
      const anthropic = [entry, { ...entry, model_name: "claude-2", type: "chat-completions", base_url: "http://a/v1" }]
      const more = { anthropic, zai: [{ ...entry, model_name: "glm", type: "anthropic-messages" }] }
      const models = yield* modelsAt("http://127.0.0.1:1", more, { wire: "responses" })
      expect(models.list.map(({ model, wire }) => [model, wire])).toEqual([
        ["large", "responses"],
        ["small", "responses"],
        ["small", "responses"],
        ["claude-1", "anthropic-messages"],
        ["claude-2", "chat-completions"],
        ["glm", "anthropic-messages"]
      ])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici), environment())
  )

  it.scopedLive("gives each model the keys, weights and limits of its file entry", () =>
    Effect.gen(function* () {
      const models = yield* modelsAt("http://127.0.0.1:1")
      const { keys, limiter } = yield* Effect.flatMap(models.get("large"), ({ status }) => status)
      expect(keys.provider).toBe("acme/large")
      expect(keys.keys.map(({ id, weight }) => [id, weight])).toEqual([
        ["a", 3],
        ["b", 2]
      ])
      expect([limiter.capacity, limiter.refillRate]).toEqual([7, 2])
      expect(limiter).toMatchObject({ minute: { limit: 60 }, day: { limit: 1000 }, concurrency: { limit: 3 } })
    }).pipe(Effect.provide(NodeHttpClient.layerUndici), environment())
  )

  it.scopedLive("takes the default model from the file, else from LLM_DEFAULT_MODEL, and fails without either", () =>
    Effect.gen(function* () {
      const defaultOf = (more?: object) =>
        Effect.flatMap(modelsAt("http://127.0.0.1:1", more), (models) => models.default)
      expect((yield* defaultOf({ $default: "smart" })).info.model).toBe("large")
      expect((yield* environment({ LLM_DEFAULT_MODEL: "other/small" })(defaultOf())).info.provider).toBe("other")
      expect((yield* Effect.flip(defaultOf()))._tag).toBe("ModelNotFoundError")
    }).pipe(Effect.provide(NodeHttpClient.layerUndici), environment())
  )

  it.scopedLive("lists and finds groups like models, and prefers a group to models with the same bare name", () =>
    Effect.gen(function* () {
      const models = yield* modelsAt("http://127.0.0.1:1", {
        $groups: {
          sturdy: { strategy: "failover", members: ["acme/small", { model: "smart", order: 1, max_concurrency: 2 }] },
          small: { members: ["acme/small", { model: "other/small", weight: 2 }] }
        },
        $aliases: { any: "small" },
        $default: "any"
      })
      expect(models.list.slice(3)).toMatchObject([
        { name: "sturdy", aliases: [], members: ["acme/small", "acme/large"], provider: "acme", model: "small" },
        { name: "small", aliases: ["any"], members: ["acme/small", "other/small"] }
      ])
      expect(models.list.slice(0, 3).map(({ members, name }) => [name, members])).toEqual([
        ["acme/large", undefined],
        ["acme/small", undefined],
        ["other/small", undefined]
      ])
      const deployments = (name: string) => Effect.flatMap(models.group(name), (group) => group.deployments)
      expect(yield* deployments("any")).toMatchObject([
        { id: "acme/small", weight: 1, order: 0 },
        { id: "other/small", weight: 2, order: 0 }
      ])
      expect(yield* deployments("sturdy")).toMatchObject([
        { id: "acme/small", order: 0 },
        { id: "acme/large", order: 1, maxConcurrency: 2 }
      ])
      expect((yield* Effect.flip(models.group("acme/large"))).message).toBe('No group is called "acme/large".')
      // A group takes precedence over models with the same bare name.
      expect(yield* models.get("small")).toBe(yield* models.group("small"))
      expect(yield* models.default).toBe(yield* models.group("small"))
    }).pipe(Effect.provide(NodeHttpClient.layerUndici), environment())
  )

  it.scopedLive("fails over to the next member of a group after a 401 over sockets", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ keys: [{ key: "b", revoked: true }, { key: "c" }] })
      const entry = { model_name: "m", base_url: provider.baseUrl }
      const file = yield* Models.parseFile(
        JSON.stringify({
          one: [{ ...entry, api_keys: ["b"] }],
          two: [{ ...entry, api_keys: ["c"] }],
          $groups: { pair: { strategy: "failover", members: ["one/m", "two/m"] } }
        })
      )
      const pair = yield* Effect.flatMap(Models.make(file), (models) => models.group("pair"))
      const { attempts, provider: answeredBy } = yield* pair.chat("?")
      expect(answeredBy).toBe("two")
      expect(attempts.map(({ error, provider }) => [provider, error])).toEqual([
        ["one", "AuthenticationError"],
        ["two", undefined]
      ])
      expect((yield* pair.deployments).map(({ state }) => state._tag)).toEqual(["Open", "Ready"])
    }).pipe(Effect.provide(NodeHttpClient.layerUndici), environment())
  )

  it.scopedLive("sends both protocols of one file over sockets, with defaults of the entry or environment", () =>
    Effect.gen(function* () {
      const answers = yield* Ref.make<ReadonlyArray<unknown>>([])
      const provider = yield* SimulatedProvider.make()
      const path = yield* Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempFileScoped())
      yield* Effect.flatMap(FileSystem.FileSystem, (files) => files.writeFileString(path, fileAt(provider.baseUrl)))
      const chatWith = (options: Models.Options, name: string) =>
        Effect.gen(function* () {
          const answer = yield* LLM.chat("?")
          yield* Ref.update(answers, (before) => [...before, answer.text])
        }).pipe(Effect.provide(Layer.provide(Models.layerLLM(name), Models.layerFile(path, options))))
      yield* chatWith({}, "large")
      yield* chatWith({ wire: "responses" }, "large")
      yield* chatWith({}, "acme/small")
      expect(yield* Ref.get(answers)).toHaveLength(3)
      // A provider logs a request when it has sent the whole answer.
      yield* eventually(Effect.map(provider.log, (log) => log.length === 3))
      const exchanges = yield* provider.log
      expect(exchanges.map((exchange) => exchange.path)).toEqual([
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/responses"
      ])
      expect(exchanges.map(({ body }) => body)).toMatchObject([
        { temperature: 0.3, max_tokens: 50 },
        { temperature: 0.3, max_output_tokens: 50 },
        { temperature: 0.9, max_output_tokens: 50 }
      ])
    }).pipe(
      Effect.provide(NodeHttpClient.layerUndici),
      Effect.provide(NodeContext.layer),
      environment({ LLM_DEFAULT_TEMPERATURE: "0.9", LLM_MAX_TOKENS: "50" })
    )
  )

  it.scopedLive("reads a file with the `parse` option instead of as JSON", () =>
    Effect.gen(function* () {
      const path = yield* Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempFileScoped())
      yield* Effect.flatMap(FileSystem.FileSystem, (files) => files.writeFileString(path, "large"))
      const parse = (text: string, path: string) =>
        Models.parseFile(fileAt("http://acme.test/v1").replace(/large/g, `${text}r`), path)
      const { list } = yield* Effect.provide(Models.Models, Models.layerFile(path, { parse }))
      expect(list.map(({ model }) => model)).toContain("larger")
    }).pipe(Effect.provide(NodeHttpClient.layerUndici), Effect.provide(NodeContext.layer), environment())
  )

  it.scopedLive("fails with a ProviderFileError when the file does not exist", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.provide(Models.Models, Models.layerFile("no-such-file.json")))
      expect(error._tag).toBe("ProviderFileError")
    }).pipe(Effect.provide(NodeHttpClient.layerUndici), Effect.provide(NodeContext.layer), environment())
  )
})

describe("LLM.layerKeys", () => {
  it.scopedLive("is a model of a provider with its keys and limits in one layer", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ keys: [{ key: "revoked", revoked: true }, { key: "good" }] })
      const layer = LLM.layerKeys({
        provider: "deepseek",
        model: "chat",
        keys: ["revoked", { key: "good", weight: 2 }],
        limits: { capacity: 5, refillRate: 1 },
        baseUrl: provider.baseUrl
      })
      const [answers, status] = yield* Effect.gen(function* () {
        const answers = yield* Effect.all([LLM.chat("One"), LLM.chat("Two")])
        return [answers, yield* (yield* LLM.LLM).status] as const
      }).pipe(Effect.provide(layer), Effect.provide(NodeHttpClient.layerUndici))
      expect(answers.map(({ provider, text }) => [provider, text])).toEqual([
        ["deepseek", "You said: One"],
        ["deepseek", "You said: Two"]
      ])
      expect(status.keys.keys.map(({ weight }) => weight)).toEqual([1, 2])
      expect(status.limiter.available).toBeLessThan(5)
    })
  )

  it.effect("fails for a provider without a known address, and for keys and limits that are not valid", () =>
    Effect.gen(function* () {
      const built = (options: Partial<LLM.KeysOptions>) =>
        Effect.flip(
          Effect.provide(
            LLM.LLM,
            Layer.provide(
              LLM.layerKeys({ provider: "acme", model: "m", keys: ["k"], ...options }),
              NodeHttpClient.layerUndici
            )
          )
        )
      expect((yield* built({})).message).toContain("Set its baseUrl")
      expect((yield* built({ provider: "openai", keys: [] }))._tag).toBe("InvalidPoolError")
      expect((yield* built({ provider: "openai", limits: { capacity: -1 } }))._tag).toBe("InvalidLimitError")
    })
  )
})

describe("the model of embeddings", () => {
  const vectors = respondWith(
    "application/json",
    '{"object":"list","model":"served","data":[{"index":0,"embedding":[1,2]}],"usage":{"prompt_tokens":3}}'
  )

  /** The models that requests of embeddings name. */
  const requested = (options: Partial<LLM.KeysOptions>, ...requests: ReadonlyArray<EmbeddingRequest.Input>) =>
    Effect.gen(function* () {
      const { bodies, origin } = yield* vectors
      const layer = LLM.layerKeys({
        provider: "openai",
        model: "gpt-4o",
        keys: ["k"],
        baseUrl: `${origin}/v1`,
        ...options
      })
      const { info } = yield* Effect.provide(
        Effect.zipRight(Effect.forEach(requests, LLM.embed), LLM.LLM),
        Layer.provide(layer, NodeHttpClient.layerUndici)
      )
      const models = bodies.map((body) => Predicate.hasProperty(body, "model") && body.model)
      return { models, info }
    })

  it.scopedLive("is that of the provider beside a model without embeddings, and the model itself otherwise", () =>
    Effect.gen(function* () {
      const beside = yield* requested({}, "?", { input: ["?"], model: "text-embedding-3-large" })
      expect(beside.models).toEqual(["text-embedding-3-small", "text-embedding-3-large"])
      expect(beside.info.embeddingModel).toBe("text-embedding-3-small")
      expect((yield* requested({ model: "text-embedding-3-large" }, "?")).models).toEqual(["text-embedding-3-large"])
      expect((yield* requested({ embeddingModel: "own" }, "?")).models).toEqual(["own"])
      expect((yield* requested({ provider: "acme" }, "?")).models).toEqual(["gpt-4o"])
    })
  )

  it.scopedLive("of a file is the model that is asked", () =>
    Effect.gen(function* () {
      const { bodies, origin } = yield* vectors
      const file = { openai: [{ model_name: "gpt-4o", api_keys: ["k"], base_url: `${origin}/v1`, max_retries: 1 }] }
      const models = yield* Effect.flatMap(Models.parseFile(JSON.stringify(file)), (parsed) => Models.make(parsed))
      yield* (yield* models.get("gpt-4o")).embed("?")
      expect(bodies).toEqual([expect.objectContaining({ model: "gpt-4o" })])
    }).pipe(environment(), Effect.provide(NodeHttpClient.layerUndici))
  )
})

describe("the headers of OpenRouter", () => {
  it.scopedLive("are read from the environment, and are those of `layerKeys`", () =>
    Effect.gen(function* () {
      const upstream = yield* respondWith(
        "application/json",
        '{"id":"1","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}'
      )
      const call = LLM.chat("?").pipe(
        Effect.provide(LLM.layerConfig({ provider: "openrouter", model: "m" })),
        Effect.provide(NodeHttpClient.layerUndici)
      )
      const variables = { OPENROUTER_API_KEY: "k", OPENROUTER_BASE_URL: `${upstream.origin}/v1` }
      yield* environment({ ...variables, OR_SITE_URL: "https://example.com", OR_APP_NAME: "App" })(call)
      yield* environment(variables)(call)
      yield* LLM.chat("?").pipe(
        Effect.provide(
          LLM.layerKeys({
            provider: "openrouter",
            model: "m",
            keys: ["k"],
            baseUrl: `${upstream.origin}/v1`,
            headers: { "X-Title": "Mine" }
          })
        ),
        Effect.provide(NodeHttpClient.layerUndici)
      )
      expect(upstream.headers.map((headers) => [headers["http-referer"], headers["x-title"]])).toEqual([
        ["https://example.com", "App"],
        [undefined, undefined],
        [undefined, "Mine"]
      ])
    })
  )
})

describe("LLM.layerConfig", () => {
  const fromEnvironment = (options?: LLM.ConfigOptions) =>
    Effect.provide(LLM.LLM, Layer.provide(LLM.layerConfig(options), NodeHttpClient.layerUndici))

  it.effect("pools every key of OPENAI_API_KEY and its numbered variables", () =>
    Effect.gen(function* () {
      const llm = yield* fromEnvironment()
      expect(llm.info).toMatchObject({ provider: "openai", model: "gpt-4o-mini" })
      expect((yield* llm.status).keys.keys).toHaveLength(4)
    }).pipe(environment({ OPENAI_API_KEY: "one, two", OPENAI_API_KEY_1: "three", OPENAI_API_KEY_2: "four" }))
  )

  it.effect("finds the keys of Gemini under the names that its clients use", () =>
    Effect.gen(function* () {
      for (const name of ["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_AI_API_KEY"]) {
        const found = environment({ [name]: "one, two" })(
          fromEnvironment({ provider: "gemini", model: "gemini-3-pro" })
        )
        expect((yield* (yield* found).status).keys.keys).toHaveLength(2)
      }
    })
  )

  it.effect("sends the keys of a provider without a known address nowhere", () =>
    Effect.gen(function* () {
      const acme = environment({ ACME_API_KEY: "k" })(fromEnvironment({ provider: "acme", model: "m" }))
      expect(String(yield* Effect.flip(acme))).toContain("ACME_BASE_URL")
    })
  )

  it.effect("fails with the name of the environment variable that is missing or invalid", () =>
    Effect.gen(function* () {
      expect(String(yield* Effect.flip(environment({})(fromEnvironment())))).toContain("OPENAI_API_KEY")
      const xai = environment({ XAI_API_KEY: "k" })(fromEnvironment({ provider: "xai" }))
      expect(String(yield* Effect.flip(xai))).toContain("LLM_DEFAULT_MODEL")
      const late = environment({ OPENAI_API_KEY: "k", LLM_TIMEOUT: "whenever" })(fromEnvironment())
      expect(String(yield* Effect.flip(late))).toContain("LLM_TIMEOUT")
    })
  )

  it.scopedLive("reads the time limit and the retries under the names of llm-api-router, too", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const call = Effect.provide(
        LLM.chat("?"),
        Layer.provide(LLM.layerConfig({ provider: "deepseek" }), NodeHttpClient.layerUndici)
      )
      const variables = {
        DEEPSEEK_API_KEY: "k",
        DEEPSEEK_BASE_URL: provider.baseUrl,
        LLM_DEFAULT_MODEL: "m",
        LLM_ROUTER_MAX_RETRIES: "0"
      }
      yield* provider.next(SimulatedProvider.status(500))
      const failure = yield* Effect.flip(environment(variables)(call))
      expect(failure).toMatchObject({ _tag: "ProviderUnavailableError", attempts: [{ status: 500 }] })
      yield* provider.next(SimulatedProvider.hang())
      const late = environment({ ...variables, LLM_ROUTER_TIMEOUT: "0.05" })(call)
      expect(yield* Effect.flip(late)).toMatchObject({ _tag: "TimeoutError", phase: "total" })
      const both = environment({ ...variables, LLM_ROUTER_TIMEOUT: "0.001", LLM_TIMEOUT: "whenever" })(call)
      expect(String(yield* Effect.flip(both))).toContain("LLM_TIMEOUT")
    })
  )

  it.scopedLive("lets request fields override layer options, and layer options override environment variables", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      yield* Effect.gen(function* () {
        yield* LLM.chat("?")
        yield* LLM.chat({ messages: [{ role: "user", content: "?" }], temperature: 1, maxTokens: 30 })
      }).pipe(
        Effect.provide(LLM.layerConfig({ provider: "deepseek", defaults: { maxTokens: 20 } })),
        Effect.provide(NodeHttpClient.layerUndici),
        environment({
          DEEPSEEK_API_KEY: "k",
          DEEPSEEK_BASE_URL: provider.baseUrl,
          LLM_DEFAULT_MODEL: "chat",
          LLM_DEFAULT_TEMPERATURE: "0.5",
          LLM_MAX_TOKENS: "10",
          LLM_TIMEOUT: "30"
        })
      )
      expect((yield* provider.log).map(({ body }) => body)).toMatchObject([
        { model: "chat", temperature: 0.5, max_tokens: 20 },
        { model: "chat", temperature: 1, max_tokens: 30 }
      ])
    })
  )
})
