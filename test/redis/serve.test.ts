/** Gateway processes that share one Redis. */
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { bundled } from "../cli/bundle.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { startGateway } from "../cli/gatewayProcess.js"
import { post, send } from "../gateway/support/http.js"
import { eventually, until } from "../support/eventually.js"
import type { RedisServer } from "../support/redisServer.js"
import { redisServer } from "../support/redisServer.js"
import { recordingProvider } from "./callerProcesses.js"

const { program } = bundled()

const started = startGateway(program)

const question = { model: "m", messages: [{ role: "user", content: "Hello" }] }

/** A file with a model whose only key has a concurrency cap of two. */
const fileFor = (baseUrl: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = `${yield* files.makeTempDirectoryScoped()}/provider.json`
    const model = { model_name: "m", base_url: baseUrl, api_keys: [{ key: "sk-one", max_concurrency: 2 }] }
    yield* files.writeFileString(
      path,
      JSON.stringify({ tested: [{ ...model, rate_limit_capacity: 1000, rate_limit_refill_rate: 1000 }] })
    )
    return path
  })

describe.concurrent("effect-llm serve with a shared Redis", () => {
  it.scopedLive("shares the concurrency cap of a key between gateway processes", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const provider = yield* recordingProvider("100 millis")
      const config = yield* fileFor(provider.baseUrl)
      const gateways = yield* Effect.all(
        [1, 2].map(() => started({ EFFECT_LLM_CONFIG: config, REDIS_URL: url })),
        { concurrency: 2 }
      )
      const statuses = yield* Effect.forEach(
        Array.from({ length: 12 }, (_, index) => gateways[index % 2]?.url ?? ""),
        (url) => Effect.map(post(`${url}/v1/chat/completions`, question), ({ status }) => status),
        { concurrency: "unbounded" }
      )
      expect(new Set(statuses)).toEqual(new Set([200]))
      expect(provider.maxInFlight()).toBe(2)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("accepts a key created at another gateway process, and rejects it once it is revoked there", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const provider = yield* SimulatedProvider.make()
      const config = yield* fileFor(provider.baseUrl)
      const settings = { EFFECT_LLM_CONFIG: config, REDIS_URL: url, EFFECT_LLM_MASTER_KEY: "master" }
      const [here, there] = yield* Effect.all([started(settings), started(settings)], { concurrency: 2 })
      const admin = { authorization: "Bearer master" }
      const { json } = yield* post(`${here.url}/admin/keys`, { label: "team" }, admin)
      const { id, key } = json as { readonly id: string; readonly key: string }
      const statusOfCall = Effect.map(
        post(`${there.url}/v1/chat/completions`, question, { authorization: `Bearer ${key}` }),
        ({ status }) => status
      )
      expect(yield* statusOfCall).toBe(200)
      yield* send(`${here.url}/admin/keys/${id}`, { method: "DELETE", headers: admin })
      yield* eventually(Effect.map(statusOfCall, (status) => status !== 200))
      expect(yield* statusOfCall).toBe(401)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})

describe.concurrent("effect-llm serve --workers with Redis", () => {
  it.scopedLive("shares the caps of keys and the client keys between the workers, which divide nothing", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const provider = yield* recordingProvider("100 millis")
      const gateway = yield* started({
        EFFECT_LLM_CONFIG: yield* fileFor(provider.baseUrl),
        EFFECT_LLM_WORKERS: "2",
        EFFECT_LLM_MASTER_KEY: "master",
        REDIS_URL: url
      })
      yield* until(gateway.output, (log) => log.includes("Worker 2 of 2 serves"))
      const headers = { authorization: "Bearer master", connection: "close" }
      const { json } = yield* post(`${gateway.url}/admin/keys`, { rateLimit: { requestsPerMinute: 12 } }, headers)
      const { id, key } = json as { readonly id: string; readonly key: string }
      const call = Effect.map(
        post(`${gateway.url}/v1/chat/completions`, question, { ...headers, authorization: `Bearer ${key}` }),
        ({ status }) => status
      )
      const statuses = yield* Effect.all(
        Array.from({ length: 12 }, () => call),
        { concurrency: "unbounded" }
      )
      expect(new Set(statuses)).toEqual(new Set([200]))
      expect(provider.maxInFlight()).toBe(2)
      expect(new Set(yield* Effect.all(Array.from({ length: 6 }, () => call)))).toEqual(new Set([429]))
      yield* send(`${gateway.url}/admin/keys/${id}`, { method: "DELETE", headers })
      const refusals = Effect.all(Array.from({ length: 6 }, () => call))
      yield* until(refusals, (all) => all.every((status) => status === 401))
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})

/** A gateway after two reloads: one changed a limit and removed a model, the other added the model again. */
const reloaded = (baseUrl: string, redis: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = `${yield* files.makeTempDirectoryScoped()}/provider.json`
    const model = (model_name: string, rate_limit_capacity: number) => ({
      model_name,
      rate_limit_capacity,
      base_url: baseUrl,
      api_keys: ["sk-one"],
      rate_limit_refill_rate: 1000,
      max_retries: 1
    })
    const write = (...models: ReadonlyArray<object>) => files.writeFileString(path, JSON.stringify({ tested: models }))
    yield* write(model("m", 1000), model("n", 1000))
    const gateway = yield* started({
      EFFECT_LLM_CONFIG: path,
      EFFECT_LLM_RELOAD_INTERVAL: "never",
      EFFECT_LLM_GRACE: "300 millis",
      REDIS_URL: redis
    })
    const count = Effect.map(gateway.output, (log) => log.split("has been reloaded").length - 1)
    const reload = (times: number) =>
      Effect.zipRight(
        gateway.kill("SIGHUP"),
        until(count, (reloads) => reloads === times)
      )
    yield* write(model("m", 500))
    yield* reload(1)
    yield* write(model("m", 500), model("n", 1000))
    yield* reload(2)
    return gateway
  })

/** Starts a stream that the provider never ends, and returns after its first chunk. */
const hanging = (provider: SimulatedProvider.Service, url: string) =>
  Effect.gen(function* () {
    yield* provider.next(SimulatedProvider.hang(4))
    const body = JSON.stringify({ ...question, stream: true })
    const response = yield* Effect.promise(() => fetch(`${url}/v1/chat/completions`, { method: "POST", body }))
    const reader = response.body?.getReader()
    yield* Effect.promise(async () => reader?.read())
  })

describe("effect-llm serve with Redis after reloads", () => {
  it.scopedLive("exits at SIGTERM within its grace period after reloads", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const provider = yield* SimulatedProvider.make()
      const gateway = yield* reloaded(provider.baseUrl, url)
      expect((yield* post(`${gateway.url}/v1/chat/completions`, question)).status).toBe(200)
      yield* gateway.kill("SIGTERM")
      expect(yield* gateway.exited).toBe(0)
      expect(yield* gateway.output).not.toContain("did not finish in time")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  for (const [state, change] of [
    ["sends no reply", (server: RedisServer) => server.freeze],
    ["is down", (server: RedisServer) => server.kill]
  ] as const) {
    it.scopedLive(`exits at a signal after SIGINT while a call hangs and Redis ${state}`, () =>
      Effect.gen(function* () {
        const server = yield* redisServer
        const provider = yield* SimulatedProvider.make()
        const gateway = yield* reloaded(provider.baseUrl, server.url)
        yield* hanging(provider, gateway.url)
        yield* change(server)
        yield* gateway.kill("SIGINT")
        yield* gateway.kill("SIGTERM")
        expect(yield* gateway.exited).toBe(0)
      }).pipe(Effect.provide(NodeFileSystem.layer))
    )
  }

  it.scopedLive("exits at SIGTERM while a call hangs and Redis was never reachable", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      yield* server.kill
      const provider = yield* SimulatedProvider.make()
      const gateway = yield* reloaded(provider.baseUrl, server.url)
      yield* hanging(provider, gateway.url)
      yield* gateway.kill("SIGTERM")
      expect(yield* gateway.exited).toBe(0)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
