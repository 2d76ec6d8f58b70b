/** The gateway as a real process: what signals do to it, and to those it is talking to. */
import { NodeFileSystem } from "@effect/platform-node"
import { FileSystem } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Collector from "../support/collector.js"
import { eventually, until } from "../support/eventually.js"
import { post, reading, send } from "../gateway/support/http.js"
import { holding } from "../gateway/support/upstream.js"
import { bundled } from "./bundle.js"
import { serving } from "./serving.js"

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

const started = serving(program)

const folder = Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped())

/** The file that names the provider, and a process that serves it. */
const servedAt = (baseUrl: string, environment: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const config = `${yield* folder}/provider.json`
    const write = (...names: ReadonlyArray<string>) => files.writeFileString(config, fileOf(baseUrl, ...names))
    yield* write("m")
    const settings = { EFFECT_LLM_CONFIG: config, EFFECT_LLM_RELOAD_INTERVAL: "never", ...environment }
    return { config, write, settings, gateway: yield* started(settings) }
  })

/** The same with a provider. */
const served = (environment: Readonly<Record<string, string>> = {}, options: SimulatedProvider.Options = {}) =>
  Effect.gen(function* () {
    const provider = yield* SimulatedProvider.make(options)
    return { provider, ...(yield* servedAt(provider.baseUrl, environment)) }
  })

const body = { model: "m", messages: [{ role: "user", content: "Hello" }] }

/** Begins to read a stream, and returns at its first words. */
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

describe("a gateway as a program", () => {
  it.scopedLive("loses no running stream at SIGTERM, takes nothing new, and ends with 0", () =>
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
      const log = yield* gateway.said
      expect(log).toContain("SIGTERM: shutting down")
      expect(log.split("\n").filter((line) => line.includes("llm call"))).toHaveLength(2)
      expect(log).not.toContain("canary")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("tells the streams that are not over when the grace is, and ends with 0", () =>
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

  it.scopedLive("reads its file again at SIGHUP, and keeps the old one where the new one is faulty", () =>
    Effect.gen(function* () {
      const { config, gateway, write } = yield* served()
      expect(yield* models(gateway.url)).not.toContain("tested/n")
      yield* write("m", "n")
      yield* gateway.kill("SIGHUP")
      yield* until(models(gateway.url), (text) => text.includes("tested/n"))
      const files = yield* FileSystem.FileSystem
      yield* files.writeFileString(config, "{")
      yield* gateway.kill("SIGHUP")
      yield* until(gateway.said, (log) => log.includes("has been refused"))
      expect(yield* models(gateway.url)).toContain("tested/n")
      expect((yield* post(`${gateway.url}/llm/chat`, body)).json).toEqual({ result: "You said: Hello" })
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("follows its file without being told, and serves at once after kill -9 on the same port", () =>
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
      const again = yield* started({ ...settings, EFFECT_LLM_PORT: new URL(gateway.url).port })
      expect(again.url).toBe(gateway.url)
      expect((yield* post(`${again.url}/llm/chat`, body)).status).toBe(200)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("reads YAML, at the start, at SIGHUP and when it changes, and says where a fault is", () =>
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
      const told = yield* started(settings)
      expect((yield* post(`${told.url}/llm/chat`, body)).json).toEqual({ result: "You said: Hello" })
      const watching = yield* started({ ...settings, EFFECT_LLM_RELOAD_INTERVAL: "50 millis" })
      yield* files.writeFileString(config, yamlOf("m", "n"))
      yield* until(models(watching.url), (text) => text.includes("tested/n"))
      expect(yield* models(told.url)).not.toContain("tested/n")
      yield* told.kill("SIGHUP")
      yield* until(models(told.url), (text) => text.includes("tested/n"))
      yield* files.writeFileString(
        config,
        "tested:\n  - modle_name: m\n    api_keys: [k]\n    base_url: http://there\n"
      )
      yield* told.kill("SIGHUP")
      const log = yield* until(told.said, (log) => log.includes("has been refused"))
      expect(log).toContain("tested[0].model_name: is missing (line 2, column 5)")
      expect(yield* models(told.url)).toContain("tested/n")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("sends its spans to a collector before it ends, below the client's", () =>
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

  it.scopedLive("shows its dashboard", () =>
    Effect.gen(function* () {
      const { gateway } = yield* served({})
      const page = yield* send(`${gateway.url}/`)
      expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"])
      expect((yield* send(`${gateway.url}/dashboard/app.js`)).status).toBe(200)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("says why it does not serve, and ends with 2", () =>
    Effect.gen(function* () {
      const gateway = yield* started({ EFFECT_LLM_CONFIG: `${yield* folder}/none.json` })
      expect(yield* gateway.exited).toBe(2)
      expect(yield* gateway.said).toContain("none.json")
      const config = `${yield* folder}/provider.json`
      const files = yield* FileSystem.FileSystem
      yield* files.writeFileString(config, fileOf("http://127.0.0.1:1", "m"))
      const open = yield* started({ EFFECT_LLM_CONFIG: config, EFFECT_LLM_HOST: "0.0.0.0" })
      expect(yield* open.exited).toBe(2)
      expect(yield* open.said).toContain("Configure a key")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
