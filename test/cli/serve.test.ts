/** Tests of the gateway as a process: signals, reloads, traces and prices. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { FileSystem } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Dashboard } from "../../src/gateway/index.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Collector from "../support/collector.js"
import { eventually, until } from "../support/eventually.js"
import { post, reading, send } from "../gateway/support/http.js"
import { holding } from "../gateway/support/upstream.js"
import { bundled } from "./bundle.js"
import { startGateway } from "./gatewayProcess.js"

const { program } = bundled()

const fileOf = (baseUrl: string, ...names: ReadonlyArray<string>): string =>
  JSON.stringify({
    tested: names.map((model_name) => ({
      model_name,
      base_url: baseUrl,
      api_keys: ["canary-served-1be4"],
      rate_limit_capacity: 1000,
      rate_limit_refill_rate: 1000,
      max_retries: 1
    }))
  })

const started = startGateway(program)

const folder = Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped())

/** Writes a model file for the provider, and starts a process that serves it. */
const servedAt = (baseUrl: string, environment: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const config = `${yield* folder}/provider.json`
    const write = (...names: ReadonlyArray<string>) => files.writeFileString(config, fileOf(baseUrl, ...names))
    yield* write("m")
    const settings = { EFFECT_LLM_CONFIG: config, EFFECT_LLM_RELOAD_INTERVAL: "never", ...environment }
    return { config, write, settings, gateway: yield* started(settings) }
  })

/** Starts a simulated provider and a process that serves it. */
const served = (environment: Readonly<Record<string, string>> = {}, options: SimulatedProvider.Options = {}) =>
  Effect.gen(function* () {
    const provider = yield* SimulatedProvider.make(options)
    return { provider, ...(yield* servedAt(provider.baseUrl, environment)) }
  })

const body = { model: "m", messages: [{ role: "user", content: "Hello" }] }

/** Starts to read a stream, and succeeds at its first text. */
const streaming = (url: string) =>
  Effect.gen(function* () {
    const client = yield* reading(`${url}/v1/chat/completions`, { ...body, stream: true })
    yield* until(client.text, (text) => text.includes('"content"'))
    return client
  })

const isUnreachable = (url: string) =>
  Effect.promise(() =>
    fetch(`${url}/ready`).then(
      ({ status }) => status === 503,
      () => true
    )
  )

const models = (url: string) => Effect.map(send(`${url}/v1/models`), ({ text }) => text)

describe("serve", () => {
  it.scopedLive("completes running streams after SIGTERM, accepts no new requests and exits with 0", () =>
    Effect.gen(function* () {
      const latch = yield* Effect.makeLatch()
      const { origin } = yield* holding(latch)
      const { gateway } = yield* servedAt(`${origin}/v1`, { EFFECT_LLM_GRACE: "10 minutes" })
      const streams = yield* Effect.all([streaming(gateway.url), streaming(gateway.url)], { concurrency: 2 })
      yield* gateway.kill("SIGTERM")
      yield* gateway.kill("SIGTERM")
      yield* eventually(isUnreachable(gateway.url))
      expect(yield* Effect.forEach(streams, ({ isOver }) => isOver)).toEqual([false, false])
      yield* latch.open
      expect(yield* gateway.exited).toBe(0)
      for (const stream of streams) {
        const { isWhole, text } = yield* stream.ended
        expect(isWhole).toBe(true)
        expect(text.endsWith("data: [DONE]\n\n")).toBe(true)
      }
      const log = yield* gateway.output
      expect(log).toContain("SIGTERM: shutting down")
      expect(log.split("\n").filter((line) => line.includes("llm call"))).toHaveLength(2)
      expect(log).not.toContain("canary")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("serves the providers whose keys are in the environment when there is no model file", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const gateway = yield* started({
        OPENAI_API_KEY: "canary-served-1be4",
        OPENAI_BASE_URL: provider.baseUrl,
        MISTRAL_API_KEY: "canary-served-1be4",
        AZURE_API_KEY: "canary-served-1be4"
      })
      const listed = JSON.parse(yield* models(gateway.url))
      expect(listed.data.map(({ id }: { readonly id: string }) => id)).toEqual([
        "openai/gpt-4o-mini",
        "mistral/mistral-small-latest"
      ])
      const question = { messages: [{ role: "user", content: "Hello" }] }
      expect((yield* post(`${gateway.url}/llm/chat`, question)).json).toEqual({ result: "You said: Hello" })
      // The files are read again: there are none.
      yield* gateway.kill("SIGHUP")
      yield* gateway.kill("SIGTERM")
      expect(yield* gateway.exited).toBe(0)
      expect(yield* gateway.output).not.toContain("canary")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("logs its address, its pages, its models, their prices and the access at the start", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const linesOf = (environment: Readonly<Record<string, string>>) =>
        Effect.gen(function* () {
          const gateway = yield* started({ EFFECT_LLM_LOG_FORMAT: "text", ...environment })
          const log = yield* until(gateway.output, (text) => text.includes("Access: "))
          return log.replaceAll(gateway.url, "URL")
        })
      const open = yield* linesOf({ OPENAI_API_KEY: "one", ANTHROPIC_API_KEY: "two" })
      expect(open).toContain("The gateway answers at URL")
      expect(open).toContain("Dashboard: URL/   API: URL/docs")
      expect(open).toContain("2 models (default openai/gpt-4o-mini): openai/gpt-4o-mini, anthropic/claude-sonnet-4-5")
      expect(open).toContain("The prices of all models are known.")
      expect(open).toContain("Access: open to this machine")

      const config = `${yield* folder}/provider.json`
      const files = yield* FileSystem.FileSystem
      yield* files.writeFileString(config, fileOf(provider.baseUrl, "m", "n"))
      const closed = yield* linesOf({ EFFECT_LLM_CONFIG: config, EFFECT_LLM_GATEWAY_KEYS: "a=sk-a,b=sk-b" })
      expect(closed).toContain("2 models (no default): tested/m, tested/n")
      expect(closed).toContain("The price of tested/m, tested/n is not known")
      expect(closed).toContain("Access: with a key (2 client keys).")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("ends running streams with a shutting_down error at the end of the grace period and exits with 0", () =>
    Effect.gen(function* () {
      const { gateway, provider } = yield* served({ EFFECT_LLM_GRACE: "300 millis" })
      yield* provider.next(SimulatedProvider.hang(4))
      const stream = yield* streaming(gateway.url)
      yield* gateway.kill("SIGINT")
      expect(yield* gateway.exited).toBe(0)
      const { text } = yield* stream.ended
      expect(text).toContain("shutting_down")
      expect(text).not.toContain("[DONE]")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("reloads the model file at SIGHUP, and keeps the previous models if the file is invalid", () =>
    Effect.gen(function* () {
      const { config, gateway, write } = yield* served()
      expect(yield* models(gateway.url)).not.toContain("tested/n")
      yield* write("m", "n")
      yield* gateway.kill("SIGHUP")
      yield* until(models(gateway.url), (text) => text.includes("tested/n"))
      const files = yield* FileSystem.FileSystem
      yield* files.writeFileString(config, "{")
      yield* gateway.kill("SIGHUP")
      yield* until(gateway.output, (log) => log.includes("has been refused"))
      expect(yield* models(gateway.url)).toContain("tested/n")
      expect((yield* post(`${gateway.url}/llm/chat`, body)).json).toEqual({ result: "You said: Hello" })
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive(
    "reloads the key file at SIGHUP and when it changes, and keeps the previous keys if the file is invalid",
    () =>
      Effect.gen(function* () {
        const files = yield* FileSystem.FileSystem
        const keys = `${yield* folder}/keys.json`
        const write = (...secrets: ReadonlyArray<string>) =>
          files.writeFileString(keys, JSON.stringify(secrets.map((key) => ({ key }))))
        yield* write("sk-one")
        const { gateway, settings } = yield* served({ EFFECT_LLM_KEYS_FILE: keys })
        const watching = yield* started({ ...settings, EFFECT_LLM_RELOAD_INTERVAL: "50 millis" })
        const status = (url: string, key: string) =>
          Effect.map(
            send(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } }),
            (answer) => answer.status
          )
        expect(yield* status(gateway.url, "sk-one")).toBe(200)
        expect(yield* status(gateway.url, "sk-two")).toBe(401)
        yield* write("sk-two")
        yield* until(status(watching.url, "sk-one"), (code) => code === 401)
        expect(yield* status(watching.url, "sk-two")).toBe(200)
        expect(yield* status(gateway.url, "sk-one")).toBe(200)
        yield* gateway.kill("SIGHUP")
        yield* until(status(gateway.url, "sk-one"), (code) => code === 401)
        expect(yield* status(gateway.url, "sk-two")).toBe(200)
        yield* files.writeFileString(keys, "{")
        yield* gateway.kill("SIGHUP")
        yield* until(gateway.output, (log) => log.includes("keys.json has been refused"))
        expect(yield* status(gateway.url, "sk-two")).toBe(200)
      }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("reloads a changed model file without a signal, and serves again on the same port after SIGKILL", () =>
    Effect.gen(function* () {
      const { gateway, settings, write } = yield* served(
        { EFFECT_LLM_RELOAD_INTERVAL: "50 millis" },
        {
          faults: (index) => (index === 0 ? SimulatedProvider.hang(4) : undefined)
        }
      )
      yield* write("m", "o")
      yield* until(models(gateway.url), (text) => text.includes("tested/o"))
      const stream = yield* streaming(gateway.url)
      yield* gateway.kill("SIGKILL")
      expect(yield* gateway.exited).toBe("SIGKILL")
      expect((yield* stream.ended).isWhole).toBe(false)
      const restarted = yield* started({ ...settings, EFFECT_LLM_PORT: new URL(gateway.url).port })
      expect(restarted.url).toBe(gateway.url)
      expect((yield* post(`${restarted.url}/llm/chat`, body)).status).toBe(200)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive(
    "reads a YAML model file at the start, at SIGHUP and when it changes, and logs the position of a fault",
    () =>
      Effect.gen(function* () {
        const files = yield* FileSystem.FileSystem
        const provider = yield* SimulatedProvider.make()
        const config = `${yield* folder}/provider.yaml`
        const yamlOf = (...names: ReadonlyArray<string>) =>
          [
            "tested: # who answers",
            ...names.flatMap((name) => [
              `  - model_name: ${name}`,
              `    base_url: ${provider.baseUrl}`,
              "    api_keys: [canary-served-1be4]"
            ])
          ].join("\n")
        yield* files.writeFileString(config, yamlOf("m"))
        const settings = { EFFECT_LLM_CONFIG: config, EFFECT_LLM_RELOAD_INTERVAL: "never" }
        const signalled = yield* started(settings)
        expect((yield* post(`${signalled.url}/llm/chat`, body)).json).toEqual({ result: "You said: Hello" })
        const watching = yield* started({ ...settings, EFFECT_LLM_RELOAD_INTERVAL: "50 millis" })
        yield* files.writeFileString(config, yamlOf("m", "n"))
        yield* until(models(watching.url), (text) => text.includes("tested/n"))
        expect(yield* models(signalled.url)).not.toContain("tested/n")
        yield* signalled.kill("SIGHUP")
        yield* until(models(signalled.url), (text) => text.includes("tested/n"))
        yield* files.writeFileString(
          config,
          "tested:\n  - modle_name: m\n    api_keys: [k]\n    base_url: http://there\n"
        )
        yield* signalled.kill("SIGHUP")
        const log = yield* until(signalled.output, (log) => log.includes("has been refused"))
        expect(log).toContain("tested[0].model_name: is missing (line 2, column 5)")
        expect(yield* models(signalled.url)).toContain("tested/n")
      }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("exports its spans before it exits, as children of the client's span", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.make
      const { gateway } = yield* served({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
      const traceId = "0af7651916cd43dd8448eb211c80319c"
      yield* post(`${gateway.url}/llm/chat`, body, { traceparent: `00-${traceId}-b7ad6b7169203331-01` })
      yield* gateway.kill("SIGTERM")
      expect(yield* gateway.exited).toBe(0)
      const spans = (yield* collector.spans).filter((span) => span.traceId === traceId)
      const request = spans.find(({ parentSpanId }) => parentSpanId === "b7ad6b7169203331")
      expect(spans.filter(({ parentSpanId }) => parentSpanId === request?.spanId).map(({ name }) => name)).toEqual([
        "chat m"
      ])
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("serves the dashboard", () =>
    Effect.gen(function* () {
      const { gateway } = yield* served({})
      const page = yield* send(`${gateway.url}/`)
      expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"])
      expect((yield* send(`${gateway.url}/dashboard/app.js`)).status).toBe(200)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("prints why it cannot serve, and exits with 2", () =>
    Effect.gen(function* () {
      const gateway = yield* started({ EFFECT_LLM_CONFIG: `${yield* folder}/none.json` })
      expect(yield* gateway.exited).toBe(2)
      expect(yield* gateway.output).toContain("none.json")
      const config = `${yield* folder}/provider.json`
      const files = yield* FileSystem.FileSystem
      yield* files.writeFileString(config, fileOf("http://127.0.0.1:1", "m"))
      const open = yield* started({ EFFECT_LLM_CONFIG: config, EFFECT_LLM_HOST: "0.0.0.0" })
      expect(yield* open.exited).toBe(2)
      expect(yield* open.output).toContain("Configure a key")
      const first = yield* started({ EFFECT_LLM_CONFIG: config })
      const { host, port } = new URL(first.url)
      const second = yield* started({ EFFECT_LLM_CONFIG: config, EFFECT_LLM_PORT: port })
      expect(yield* second.exited).toBe(2)
      expect(yield* second.output).toContain(
        `cannot listen at ${host}: another process already listens on port ${port}`
      )
      expect(yield* second.output).toContain("--port")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})

const adminToken = "the-token-of-the-administration"

/** The first snapshot of the dashboard. */
const figures = (url: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/dashboard/events`, { headers: { authorization: `Bearer ${adminToken}` } })
    let text = ""
    for await (const piece of response.body ?? []) {
      text += new TextDecoder().decode(piece)
      const data = /^data: (.*)\n\n/m.exec(text)?.[1]
      if (data !== undefined) return Schema.decodeUnknownSync(Schema.parseJson(Dashboard.Snapshot))(data)
    }
    throw new Error("The dashboard sent no figures.")
  })

/** Dollars per million tokens: ten cents per token, so that a few calls spend a budget. */
const dear = { input: 100_000, output: 100_000 }

const priced = (environment: Readonly<Record<string, string>> = {}, custom?: object) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const provider = yield* SimulatedProvider.make()
    const home = yield* folder
    const entry = (model_name: string, price?: object) => ({
      model_name,
      base_url: provider.baseUrl,
      api_keys: ["canary-served-1be4"],
      max_retries: 1,
      ...(price === undefined ? {} : { price })
    })
    const write = (price?: object) =>
      files.writeFileString(
        `${home}/provider.json`,
        JSON.stringify({
          openai: [entry("gpt-4o-mini")],
          tested: [entry("m", dear), entry("custom", price), entry("other", price)]
        })
      )
    yield* write(custom)
    yield* files.writeFileString(
      `${home}/keys.json`,
      JSON.stringify([
        { key: "sk-dollars", label: "team-a", budget: { dollars: 3 } },
        { key: "sk-tokens", label: "team-b", budget: { tokens: 1_000_000 } }
      ])
    )
    const gateway = yield* started({
      EFFECT_LLM_CONFIG: `${home}/provider.json`,
      EFFECT_LLM_KEYS_FILE: `${home}/keys.json`,
      EFFECT_LLM_MASTER_KEY: adminToken,
      EFFECT_LLM_RELOAD_INTERVAL: "never",
      ...environment
    })
    const ask = (key: string, model: string, fields: object = {}) =>
      post(
        `${gateway.url}/v1/chat/completions`,
        { ...body, model, max_tokens: 5, ...fields },
        { authorization: `Bearer ${key}` }
      )
    return { gateway, ask, write }
  })

describe("prices in serve", () => {
  it.scopedLive(
    "serves a key with a dollar budget, reports its cost, and rejects it with 402 once the budget is spent",
    () =>
      Effect.gen(function* () {
        const { ask, gateway } = yield* priced()
        expect((yield* ask("sk-dollars", "openai/gpt-4o-mini")).status).toBe(200)
        const first = yield* ask("sk-dollars", "tested/m")
        expect(first.status).toBe(200)
        let refused = yield* ask("sk-dollars", "tested/m")
        for (let call = 0; call < 40 && refused.status === 200; call++) refused = yield* ask("sk-dollars", "tested/m")
        expect(refused.status).toBe(402)
        expect(refused.json).toMatchObject({ error: { code: "budget_exceeded" } })
        const { buckets, budgets, models } = yield* figures(gateway.url)
        const spent = budgets.find(({ budget }) => budget === "team-a")?.spent ?? 0
        expect(spent).toBeGreaterThan(0.1)
        expect(spent).toBeLessThanOrEqual(3)
        const costs = new Map(models.map(({ cost, id }) => [id, cost]))
        expect(costs.get("openai/gpt-4o-mini")).toBeGreaterThan(0)
        expect((costs.get("openai/gpt-4o-mini") ?? 0) + (costs.get("tested/m") ?? 0)).toBeCloseTo(spent, 9)
        expect(buckets.reduce((sum, { cost }) => sum + cost, 0)).toBeCloseTo(spent, 9)
        expect(buckets.reduce((sum, { unpricedTokens }) => sum + unpricedTokens, 0)).toBe(0)
        expect(buckets.reduce((sum, { outcomes }) => sum + (outcomes["BudgetExceededError"] ?? 0), 0)).toBe(1)
        const calls = (yield* gateway.output).split("\n").filter((line) => line.includes("llm call"))
        expect(calls.filter((line) => line.includes('"outcome":"BudgetExceededError"'))).toHaveLength(1)
        expect(calls.filter((line) => line.includes('"cost_dollars":'))).toHaveLength(calls.length - 1)
        expect((yield* send(`${gateway.url}/metrics`)).text).toMatch(
          /^llm_gateway_errors_total\{(?=.*code="budget_exceeded")(?=.*status="402").*\} 1$/m
        )
      }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive(
    "rejects an unpriced model with price_unknown for a dollar budget and logs it once, until the file has a price",
    () =>
      Effect.gen(function* () {
        const { ask, gateway, write } = yield* priced()
        for (let call = 0; call < 2; call++) {
          const refused = yield* ask("sk-dollars", "tested/custom", { stream: true })
          expect(refused.status).toBe(402)
          expect(refused.json).toMatchObject({ error: { code: "price_unknown" } })
          expect(refused.text).toContain("the price of 'tested/custom' is not known")
          expect(refused.text).toContain("provider.json")
        }
        expect((yield* ask("sk-tokens", "tested/custom")).status).toBe(200)
        expect((yield* ask("sk-dollars", "tested/other")).json).toMatchObject({ error: { code: "price_unknown" } })
        for (const model of ["tested/custom", "tested/other"]) {
          const line = `The price of ${model} is not known`
          yield* until(gateway.output, (log) => log.includes(line))
          expect((yield* gateway.output).split(line)).toHaveLength(2)
        }
        const { budgets, buckets, models } = yield* figures(gateway.url)
        expect(budgets.find(({ budget }) => budget === "team-a")?.spent).toBe(0)
        expect(models.find(({ id }) => id === "tested/custom")).toMatchObject({ requests: 3, failed: 2, cost: 0 })
        expect(buckets.reduce((sum, { unpricedTokens }) => sum + unpricedTokens, 0)).toBeGreaterThan(0)
        expect((yield* send(`${gateway.url}/metrics`)).text).toMatch(
          /^llm_gateway_errors_total\{(?=.*code="price_unknown")(?=.*status="402").*\} 3$/m
        )
        yield* write({ input: 1, output: 1 })
        yield* gateway.kill("SIGHUP")
        yield* until(gateway.output, (log) => log.includes("has been reloaded"))
        expect((yield* ask("sk-dollars", "tested/custom")).status).toBe(200)
      }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("rejects a file without all prices at the start and at a reload with EFFECT_LLM_REQUIRE_PRICES", () =>
    Effect.gen(function* () {
      const { gateway: refused } = yield* priced({ EFFECT_LLM_REQUIRE_PRICES: "true" })
      expect(yield* refused.exited).toBe(2)
      const log = yield* refused.output
      expect(log).toContain("tested[1].price")
      expect(log).not.toContain("tested[0].price")
      expect(log).not.toContain("openai[0].price")
      const required = { EFFECT_LLM_REQUIRE_PRICES: "true" }
      const { ask, gateway, write } = yield* priced(required, { input: 1, output: 1 })
      expect((yield* ask("sk-dollars", "tested/custom")).status).toBe(200)
      yield* write()
      yield* gateway.kill("SIGHUP")
      yield* until(gateway.output, (log) => log.includes("has been refused"))
      expect(yield* gateway.output).toContain("tested[1].price")
      expect((yield* ask("sk-dollars", "tested/custom")).status).toBe(200)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
