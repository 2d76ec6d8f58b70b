import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Redacted } from "effect"
import * as FileParser from "../../src/models/fileParser.js"

const earlierFile = `{
  "openai": [
    {
      "model_name": "gpt-4o",
      "api_keys": ["sk-one", "sk-two"],
      "base_url": "https://api.openai.com/v1",
      "max_retries": 3,
      "retry_delay": 0.5,
      "rate_limit_capacity": 20,
      "rate_limit_refill_rate": 3.0,
      "context_window": 128000
    },
    { "model_name": "gpt-4o-mini", "api_keys": ["sk-one"], "base_url": "https://api.openai.com/v1" }
  ],
  "local": [{ "model_name": "llama", "api_keys": ["none"], "base_url": "http://localhost:8000/v1", "notes": "mine" }]
}`

const withEnvironment = (variables: Record<string, string>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))

const faultsOf = (json: unknown) =>
  Effect.map(Effect.flip(FileParser.parse(JSON.stringify(json))), ({ faults }) =>
    faults.map(({ message, path }) => `${path}: ${message}`)
  )

const model = { model_name: "m", api_keys: ["k"], base_url: "https://example.com" }

describe("a list of provider configurations, as llm-api-router reads it", () => {
  const openai = { provider_type: "openai", api_key: "sk-one", default_model: "gpt-4o" }

  it.effect("has a model for each entry, several keys for entries of one model, and no limits of its own", () =>
    Effect.gen(function* () {
      const file = yield* FileParser.parse(
        JSON.stringify([
          {
            ...openai,
            timeout: 30,
            extra_headers: { "X-Title": "App" },
            retry_config: { max_retries: 2, initial_delay: 0.5 },
            metrics_enabled: true
          },
          { ...openai, api_key: "sk-two" },
          { provider_type: "aliyun", api_key: "sk-three", default_model: "qwen-turbo" },
          { provider_type: "ollama", default_model: "llama3" }
        ])
      )
      expect(
        file.models.map(({ keys, model, preset, provider }) => [
          `${provider}/${model}`,
          preset,
          keys.map(({ value }) => Redacted.value(value))
        ])
      ).toEqual([
        ["openai/gpt-4o", "openai", ["sk-one", "sk-two"]],
        ["aliyun/qwen-turbo", "dashscope", ["sk-three"]],
        ["ollama/llama3", "ollama", ["none"]]
      ])
      expect(file.models[0]).toMatchObject({
        attempts: 3,
        retryDelay: Duration.millis(500),
        timeout: Duration.seconds(30),
        headers: { "X-Title": "App" },
        capacity: Infinity,
        refillRate: Infinity
      })
      expect(file.warnings).toEqual(["[0].metrics_enabled: unknown field"])
    })
  )

  it.effect("can be the configuration of one provider alone", () =>
    Effect.gen(function* () {
      const { models } = yield* FileParser.parse(JSON.stringify(openai))
      expect(models.map(({ model, provider }) => `${provider}/${model}`)).toEqual(["openai/gpt-4o"])
    })
  )

  it.effect("names each fault with its place in the list", () =>
    Effect.gen(function* () {
      const faults = yield* faultsOf([
        "openai",
        { api_key: "sk-one" },
        { provider_type: "openai", api_key: "", timeout: 0, retry_config: { initial_delay: -1 } },
        { provider_type: "unknown", default_model: "m", extra_headers: { a: 1 } },
        { ...openai, api_key: "sk-three" },
        { ...openai, api_key: "\n\n" }
      ])
      expect(faults.toSorted()).toEqual([
        "[0]: expected an object",
        "[1].provider_type: is missing",
        "[2].api_key: is empty",
        "[2].default_model: is missing",
        "[2].retry_config.initial_delay: expected a number that is not negative",
        "[2].timeout: expected a positive number",
        "[3].api_key: is missing",
        "[3].base_url: is missing",
        "[3].extra_headers.a: expected a string",
        "[5].api_key: is empty"
      ])
    })
  )
})

describe("a provider file of earlier libraries", () => {
  it.effect("reads a provider file of earlier libraries unchanged, fills in defaults and warns of unknown fields", () =>
    Effect.gen(function* () {
      const file = yield* FileParser.parse(earlierFile)
      expect(file.models.map(({ model, provider }) => `${provider}/${model}`)).toEqual([
        "openai/gpt-4o",
        "openai/gpt-4o-mini",
        "local/llama"
      ])
      expect(file.models[0]).toMatchObject({
        attempts: 3,
        retryDelay: Duration.millis(500),
        capacity: 20,
        refillRate: 3,
        contextWindow: 128_000,
        preset: "openai",
        wire: undefined
      })
      expect(file.models[0]?.keys.map(({ value }) => Redacted.value(value))).toEqual(["sk-one", "sk-two"])
      expect(file.models[1]).toMatchObject({
        attempts: 5,
        retryDelay: Duration.seconds(1),
        capacity: 10,
        refillRate: 1,
        contextWindow: 200_000
      })
      expect(file.warnings).toEqual(["local[0].notes: unknown field"])
    })
  )
})

describe("limits and keys of the provider file", () => {
  it.effect("has no limit on requests with a capacity of null, and says when the default one holds", () =>
    Effect.gen(function* () {
      const limitsOf = (fields: object) =>
        Effect.map(FileParser.parse(JSON.stringify({ openai: [{ ...model, ...fields }] })), ({ models }) =>
          models.map(({ capacity, hasDefaultLimit = false, refillRate }) => [capacity, refillRate, hasDefaultLimit])
        )
      expect(yield* limitsOf({})).toEqual([[10, 1, true]])
      expect(yield* limitsOf({ max_concurrency: 3 })).toEqual([[10, 1, true]])
      expect(yield* limitsOf({ rate_limit_capacity: null })).toEqual([[Infinity, Infinity, false]])
      expect(yield* limitsOf({ rate_limit_capacity: null, requests_per_minute: 60 })).toEqual([
        [Infinity, Infinity, false]
      ])
      expect(yield* limitsOf({ rate_limit_refill_rate: 2 })).toEqual([[10, 2, false]])
      expect(yield* limitsOf({ requests_per_day: 86_400 })).toEqual([[86_400, 1, false]])
    })
  )

  it.effect("takes several keys from a variable that is a whole entry", () =>
    Effect.gen(function* () {
      const keys = ["${MANY}", "x${MANY}", "a,b", { key: "${MANY}" }, "${ONE}", "$${MANY}"]
      const file = yield* FileParser.parse(JSON.stringify({ openai: [{ ...model, api_keys: keys }] })).pipe(
        withEnvironment({ MANY: "k1, k2,,$k{3}", ONE: "k4" })
      )
      expect(file.models[0]?.keys.map(({ value }) => Redacted.value(value))).toEqual([
        "k1",
        "k2",
        "$k{3}",
        "xk1, k2,,$k{3}",
        "a,b",
        "k1, k2,,$k{3}",
        "k4",
        "${MANY}"
      ])
    })
  )
})

describe("fields of the provider file", () => {
  it.effect("reads key options, protocol, headers, timeouts, limits, aliases and the default", () =>
    Effect.gen(function* () {
      const file = yield* FileParser.parse(
        JSON.stringify({
          deepseek: [
            {
              model_name: "chat",
              type: "chat-completions",
              api_keys: [{ key: "k", id: "paid", weight: 2, max_concurrency: 4, max_qps: 0.5, quota_group: "team" }],
              headers: { "x-team": "a" },
              timeout: 30,
              on_disconnect: { drain: { max_tokens: 2000, max_seconds: 1.5 } },
              tokens_per_minute: 1000,
              requests_per_minute: 120,
              requests_per_day: 5000,
              max_concurrency: 6,
              default_temperature: 0.2,
              model_weight: 1.5,
              aliases: ["cheap"]
            }
          ],
          $default: "cheap",
          $aliases: { fast: "deepseek/chat" }
        })
      )
      expect(file.models[0]).toMatchObject({
        wire: "chat-completions",
        preset: "deepseek",
        baseUrl: undefined,
        headers: { "x-team": "a" },
        timeout: Duration.seconds(30),
        onDisconnect: { drain: { maxTokens: 2000, maxMillis: 1500 } },
        tokensPerMinute: 1000,
        requestsPerMinute: 120,
        requestsPerDay: 5000,
        maxConcurrency: 6,
        capacity: 120,
        refillRate: 2,
        temperature: 0.2,
        weight: 1.5
      })
      expect(file.models[0]?.keys[0]).toMatchObject({
        id: "paid",
        weight: 2,
        maxConcurrency: 4,
        requestsPerSecond: 0.5,
        quotaGroup: "team"
      })
      expect([file.default, file.aliases]).toEqual(["cheap", { cheap: "deepseek/chat", fast: "deepseek/chat" }])
    })
  )

  it.effect("reads groups, whose members default to the `model_weight` of their models", () =>
    Effect.gen(function* () {
      const file = yield* FileParser.parse(
        JSON.stringify({
          x: [
            { ...model, model_name: "one", model_weight: 3, affinity: true },
            { ...model, model_name: "two", aliases: ["second"] }
          ],
          $groups: {
            plain: { members: ["x/one", "second"], strategy: "sticky", comment: "mine" },
            exact: {
              strategy: "cost",
              members: [
                { model: "x/${WHICH}", weight: 2, order: 1, cost: 0, max_concurrency: 4 },
                { model: "x/one", note: "also mine" }
              ]
            }
          },
          $aliases: { fast: "plain" },
          $default: "exact"
        })
      )
      expect(file.models.map(({ affinity }) => affinity)).toEqual([true, undefined])
      expect(file.groups).toEqual([
        {
          name: "plain",
          strategy: "sticky",
          members: [
            { model: "x/one", weight: 3, order: 0 },
            { model: "x/two", weight: 1, order: 0 }
          ]
        },
        {
          name: "exact",
          strategy: "cost",
          members: [
            { model: "x/two", weight: 2, order: 1, cost: 0, maxConcurrency: 4 },
            { model: "x/one", weight: 3, order: 0 }
          ]
        }
      ])
      expect(file.default).toBe("exact")
      expect(file.warnings).toEqual([
        "$groups.plain.comment: unknown field",
        "$groups.exact.members[1].note: unknown field"
      ])
    }).pipe(withEnvironment({ WHICH: "two" }))
  )

  it.effect("replaces `${NAME}` by the environment variable, and `$${` by a literal `${`", () =>
    Effect.gen(function* () {
      const file = yield* FileParser.parse(
        JSON.stringify({
          x: [{ ...model, api_keys: ["${KEY}"], base_url: "https://${HOST}/v1", headers: { a: "$${KEY}" } }]
        })
      )
      expect(file.models[0]).toMatchObject({ baseUrl: "https://here/v1", headers: { a: "${KEY}" } })
      expect(file.models[0]?.keys.map(({ value }) => Redacted.value(value))).toEqual(["secret"])
    }).pipe(withEnvironment({ KEY: "secret", HOST: "here" }))
  )
})

describe("faults of the provider file", () => {
  it.effect("reports a key that no HTTP header can carry by its path and without the secret", () =>
    Effect.gen(function* () {
      const faults = yield* faultsOf({ b: [{ ...model, api_keys: ["sk-canary\u0000", "sk-fine\n"] }] })
      expect(faults).toHaveLength(1)
      expect(faults[0]).toMatch(/^b\[0\]\.api_keys\[0\]: must be a key that an HTTP header can carry/)
      expect(faults[0]).not.toContain("canary")
    })
  )

  it.effect("reports every fault of models, aliases and the default at once, each with its path", () =>
    Effect.gen(function* () {
      expect(
        yield* faultsOf({
          a: "no list",
          b: [
            { api_keys: [], base_url: "nowhere" },
            {
              ...model,
              api_keys: ["", { key: "k", weight: 0 }, 5, { weight: 1 }],
              max_retries: 0,
              context_window: 1.5
            },
            {
              ...model,
              rate_limit_capacity: -1,
              rate_limit_refill_rate: 0,
              type: "soap",
              timeout: "soon",
              affinity: 1
            },
            { model_name: "m2", api_keys: "k" },
            { ...model, api_keys: ["${NOT_SET}"], headers: { a: 1 }, aliases: ["x"] },
            7,
            { ...model, model_name: "m3", on_disconnect: "drain" },
            { ...model, model_name: "m4", on_disconnect: { drain: { max_tokens: 0 } } }
          ],
          $aliases: { x: "b/other" },
          $default: "nobody"
        })
      ).toEqual([
        "a: expected a list of models",
        "b[0].model_name: is missing",
        "b[0].base_url: expected an http(s) URL",
        "b[0].api_keys: expected at least one key",
        "b[1].api_keys[0]: is empty",
        "b[1].api_keys[1].weight: expected a positive number",
        'b[1].api_keys[2]: expected a key, or an object such as { "key": …, "weight": 2 }',
        "b[1].api_keys[3].key: is missing",
        "b[1].max_retries: expected a positive whole number",
        "b[1].context_window: expected a positive whole number",
        'b[2].model_name: "m" is defined already',
        'b[2].type: expected one of "chat-completions", "responses", "anthropic-messages", "gemini", "ollama", "dashscope"',
        "b[2].rate_limit_capacity: expected a positive number",
        "b[2].rate_limit_refill_rate: expected a positive number",
        "b[2].affinity: expected true or false",
        "b[2].timeout: expected a positive number",
        "b[3].base_url: is missing",
        "b[3].api_keys: expected a list of keys",
        'b[4].model_name: "m" is defined already',
        "b[4].headers.a: expected a string",
        "b[4].api_keys[0]: names an environment variable that is not set",
        "b[5]: expected an object",
        'b[6].on_disconnect: expected "cancel", "detach", or an object such as { "drain": { "max_tokens": 2000, "max_seconds": 20 } }',
        "b[7].on_disconnect.drain.max_seconds: is missing",
        "b[7].on_disconnect.drain.max_tokens: expected a positive number",
        '$aliases.x: "x" is an alias of two models',
        '$aliases.x: "b/other" is no model of this file',
        "$default: is no model, no group and no alias of this file"
      ])
    }).pipe(withEnvironment({}))
  )

  it.effect("reports every fault of groups, each with its path", () =>
    Effect.gen(function* () {
      expect(
        yield* faultsOf({
          x: [{ ...model, aliases: ["fast"] }],
          $groups: {
            fast: { members: ["x/m"] },
            "x/m": { members: ["x/m"] },
            list: ["x/m"],
            none: {},
            empty: { members: [], strategy: "best" },
            wrong: {
              strategy: 1,
              members: [
                "x/other",
                "fast",
                "x/m",
                { model: "none" },
                { weight: 0 },
                5,
                { model: "x/${NOT_SET}", order: -1, cost: "dear", max_concurrency: 0.5 }
              ]
            }
          },
          $aliases: { gone: "nothing" }
        })
      ).toEqual([
        '$groups.fast: "fast" is an alias already',
        '$groups.x/m: "x/m" is a model already',
        '$groups.list: expected an object such as { "members": ["openai/gpt-4o-mini"] }',
        "$groups.none.members: is missing",
        '$groups.empty.strategy: expected one of "least-loaded", "weighted", "round-robin", "latency", "cost", "failover", "random", "sticky"',
        "$groups.empty.members: expected a list with at least one model",
        "$groups.wrong.strategy: expected a string",
        '$groups.wrong.members[0]: "x/other" is no model of this file',
        '$groups.wrong.members[2]: "x/m" is a member already',
        '$groups.wrong.members[3].model: "none" is a group; members must be models',
        "$groups.wrong.members[4].model: is missing",
        '$groups.wrong.members[5]: expected a model, or an object such as { "model": "openai/gpt-4o", "weight": 2 }',
        "$groups.wrong.members[6].model: names an environment variable that is not set",
        '$aliases.gone: "nothing" is no model of this file'
      ])
      expect(yield* faultsOf({ x: [model], $groups: ["x/m"] })).toEqual([
        '$groups: expected an object such as { "fast": { "members": ["openai/gpt-4o-mini"] } }'
      ])
      const wrong = { model: "x/m", weight: 0, order: -1, cost: "dear", max_concurrency: 0.5 }
      expect(yield* faultsOf({ x: [model], $groups: { one: { members: [wrong] } } })).toEqual([
        "$groups.one.members[0].weight: expected a positive number",
        "$groups.one.members[0].order: expected a number that is not negative",
        "$groups.one.members[0].cost: expected a number that is not negative",
        "$groups.one.members[0].max_concurrency: expected a positive whole number"
      ])
    }).pipe(withEnvironment({}))
  )

  it.effect("reports a missing base URL when the preset has none for the protocol", () =>
    Effect.gen(function* () {
      const entry = (type: string | undefined, more: object = {}) => ({
        model_name: `m-${type}`,
        api_keys: ["k"],
        type,
        ...more
      })
      const all = [entry(undefined), entry("chat-completions"), entry("anthropic-messages")]
      expect(yield* faultsOf({ anthropic: all, zai: all, deepseek: all, openai: all, vertex: all })).toEqual([
        "anthropic[1].base_url: is missing",
        "openai[2].base_url: is missing",
        "vertex[0].base_url: is missing",
        "vertex[1].base_url: is missing",
        "vertex[2].base_url: is missing"
      ])
    })
  )

  it.effect("reports the line and column of malformed JSON, and refuses an empty list", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(FileParser.parse('{\n  "openai": [\n    { "model_name" "x" }\n  ]\n}', "p.json"))
      expect(error.message).toBe("p.json cannot be used. not valid JSON at line 3, column 20")
      expect(yield* faultsOf([])).toEqual([": expected an object of providers, or a list of provider configurations"])
    })
  )
})

describe("the price of a model", () => {
  const withPrice = (price: unknown) => ({ acme: [{ ...model, price }] })

  it.effect("reads a price in dollars per million tokens, with all rates, a request fee and tiers", () =>
    Effect.gen(function* () {
      const { models, warnings } = yield* FileParser.parse(
        JSON.stringify(
          withPrice({
            input: 3,
            output: 15,
            cached_input: 0.3,
            cache_write: 3.75,
            cache_write_1h: 6,
            reasoning: 20,
            request: 0.01,
            tiers: [{ above: 200_000, input: 6, output: 22.5, cached_input: 0.6 }]
          })
        )
      )
      expect(warnings).toEqual([])
      expect(models[0]?.price).toEqual({
        input: 3,
        output: 15,
        cachedInput: 0.3,
        cacheWrite: 3.75,
        cacheWrite1h: 6,
        reasoning: 20,
        request: 0.01,
        tiers: [{ above: 200_000, input: 6, output: 22.5, cachedInput: 0.6 }]
      })
    })
  )

  it.effect("reads a price without output and a price of zero, and leaves an absent one out", () =>
    Effect.gen(function* () {
      const priceOf = (price: unknown) =>
        Effect.map(FileParser.parse(JSON.stringify(withPrice(price))), ({ models }) => models[0]?.price)
      expect(yield* priceOf(undefined)).toBe(undefined)
      expect(yield* priceOf(null)).toBe(undefined)
      expect(yield* priceOf({ input: 0.02 })).toEqual({ input: 0.02 })
      expect(yield* priceOf({ input: 0, output: 0 })).toEqual({ input: 0, output: 0 })
    })
  )

  it.effect("reports every fault of a price with its path, and warns of unknown fields", () =>
    Effect.gen(function* () {
      expect(yield* faultsOf(withPrice(3))).toEqual([
        'acme[0].price: expected a price in dollars per million tokens, such as { "input": 2.5, "output": 10 }'
      ])
      expect(
        yield* faultsOf(
          withPrice({ output: -1, request: "free", tiers: [{ input: 1 }, 5, { above: -1, input: null }] })
        )
      ).toEqual([
        "acme[0].price.input: is missing",
        "acme[0].price.output: expected a number that is not negative",
        "acme[0].price.request: expected a number that is not negative",
        "acme[0].price.tiers[0].above: is missing",
        'acme[0].price.tiers[1]: expected an object such as { "above": 200000, "input": 5, "output": 15 }',
        "acme[0].price.tiers[2].above: expected a number that is not negative",
        "acme[0].price.tiers[2].input: is missing"
      ])
      expect(yield* faultsOf(withPrice({ input: 1, tiers: {} }))).toEqual([
        "acme[0].price.tiers: expected a list of tiers"
      ])
      const { warnings } = yield* FileParser.parse(
        JSON.stringify(withPrice({ input: 1, ouput: 2, tiers: [{ above: 1, input: 2, request: 1 }] }))
      )
      expect(warnings).toEqual([
        "acme[0].price.ouput: unknown field, did you mean output?",
        "acme[0].price.tiers[0].request: unknown field"
      ])
    })
  )
})
