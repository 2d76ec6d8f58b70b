/** Tests of `serve --workers` with real processes. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { FileSystem } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Dashboard } from "../../src/gateway/index.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { post, reading, send } from "../gateway/support/http.js"
import { holding } from "../gateway/support/upstream.js"
import { eventually, until } from "../support/eventually.js"
import { bundled } from "./bundle.js"
import { startGateway } from "./gatewayProcess.js"

const { program } = bundled()

const started = startGateway(program)

const canary = "canary-worker-77c1"

/** Limits that no test reaches, unless `fields` sets lower ones. */
const modelFile = (baseUrl: string, names: ReadonlyArray<string>, fields: object = {}): string =>
  JSON.stringify({
    tested: names.map((model_name) => ({
      model_name,
      base_url: baseUrl,
      api_keys: [{ key: canary, id: "one" }],
      rate_limit_capacity: 1000,
      rate_limit_refill_rate: 1000,
      max_retries: 1,
      ...fields
    }))
  })

const body = { model: "m", messages: [{ role: "user", content: "Hello" }] }

const admin = { authorization: "Bearer the-token-of-the-administration" }

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

interface Options {
  readonly environment?: Readonly<Record<string, string>>
  readonly fields?: object
}

/** Two workers in front of a provider at this URL, which divide their limits. */
const servedAt = (baseUrl: string, { environment = {}, fields = {} }: Options = {}) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const folder = yield* files.makeTempDirectoryScoped()
    const config = `${folder}/provider.json`
    const write = (...names: ReadonlyArray<string>) => files.writeFileString(config, modelFile(baseUrl, names, fields))
    yield* write("m")
    const settings = {
      EFFECT_LLM_CONFIG: config,
      EFFECT_LLM_RELOAD_INTERVAL: "never",
      EFFECT_LLM_WORKERS: "2",
      EFFECT_LLM_SPLIT_LIMITS: "true",
      ...environment
    }
    const gateway = yield* started(settings)
    /** The process of a worker, from 1, when its `start`-th process serves. */
    const pidOf = (worker: number, start = 1) =>
      Effect.map(
        until(
          Effect.map(gateway.output, (log) => [
            ...log.matchAll(new RegExp(`Worker ${worker} of 2 serves \\(pid (\\d+)\\)`, "g"))
          ]),
          (found) => found.length >= start
        ),
        (found) => Number(found[start - 1]?.[1])
      )
    /** Runs an effect while only one of the two processes can accept connections. */
    const whileFrozen =
      (frozen: number) =>
      <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
        Effect.acquireUseRelease(
          Effect.sync(() => process.kill(frozen, "SIGSTOP")),
          () => effect,
          () => Effect.sync(() => isAlive(frozen) && process.kill(frozen, "SIGCONT"))
        )
    return { config, write, settings, gateway, pidOf, whileFrozen }
  })

const served = (options: Options = {}, provider: SimulatedProvider.Options = {}) =>
  Effect.flatMap(SimulatedProvider.make(provider), ({ baseUrl }) => servedAt(baseUrl, options))

/** A request over a connection of its own, so that any worker can accept it. */
const fresh = { connection: "close" }

const ask = (url: string, headers: Readonly<Record<string, string>> = {}) =>
  post(`${url}/v1/chat/completions`, body, { ...fresh, ...headers })

const statusOf = (url: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.map(ask(url, headers), ({ status }) => status)

/** Starts to read a stream over a connection of its own, and succeeds at its first text. */
const streaming = (url: string) =>
  Effect.gen(function* () {
    const client = yield* reading(`${url}/v1/chat/completions`, { ...body, stream: true }, fresh)
    yield* until(client.text, (text) => text.includes('"content"'))
    return client
  })

const metric = (text: string, name: string): number =>
  text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0)

const metrics = (url: string) => Effect.map(send(`${url}/metrics`, { headers: fresh }), ({ text }) => text)

const isWhole = (text: string): boolean => text.endsWith("data: [DONE]\n\n")

const logLines = (log: string, text: string): number => log.split("\n").filter((line) => line.includes(text)).length

describe("serve --workers", () => {
  it.scopedLive("refuses limits that the workers would multiply, and names them and both ways out", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const folder = yield* files.makeTempDirectoryScoped()
      yield* files.writeFileString(`${folder}/provider.json`, modelFile("http://127.0.0.1:1/v1", ["m"]))
      yield* files.writeFileString(
        `${folder}/keys.json`,
        JSON.stringify([{ key: "sk-a", label: "team-a", budget: { dollars: 3 }, rateLimit: { maxConcurrent: 1 } }])
      )
      const settings = {
        EFFECT_LLM_CONFIG: `${folder}/provider.json`,
        EFFECT_LLM_KEYS_FILE: `${folder}/keys.json`,
        EFFECT_LLM_WORKERS: "2"
      }
      const refused = yield* started(settings)
      expect(yield* refused.exited).toBe(2)
      const log = yield* refused.output
      for (const part of [
        "2 workers without REDIS_URL",
        "the rate limits of tested/m",
        "the limits of team-a",
        "the budgets of team-a",
        "Set REDIS_URL",
        "--split-limits"
      ]) {
        expect(log).toContain(part)
      }
      const small = yield* started({ ...settings, EFFECT_LLM_SPLIT_LIMITS: "true" })
      expect(yield* small.exited).toBe(2)
      const reason = "rateLimit.maxConcurrent of the key team-a: 1 cannot be divided among 2 workers"
      expect(logLines(yield* small.output, reason)).toBe(1)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("names a taken port once and exits with 2", () =>
    Effect.gen(function* () {
      const { gateway, settings } = yield* served()
      const { port } = new URL(gateway.url)
      const second = yield* started({ ...settings, EFFECT_LLM_PORT: port })
      expect(yield* second.exited).toBe(2)
      expect(logLines(yield* second.output, `another process already listens on port ${port}`)).toBe(1)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("answers on one port, and reports the metrics of all workers, also those of a killed one", () =>
    Effect.gen(function* () {
      const { gateway, pidOf, whileFrozen } = yield* served()
      const { url } = gateway
      const [one, two] = [yield* pidOf(1), yield* pidOf(2)]
      expect(yield* whileFrozen(two)(Effect.all([statusOf(url), statusOf(url), statusOf(url)]))).toEqual([
        200, 200, 200
      ])
      expect(yield* whileFrozen(one)(Effect.all([statusOf(url), statusOf(url)]))).toEqual([200, 200])
      // A worker on a busy machine can answer too late for one report.
      const all = yield* until(metrics(url), (text) => metric(text, "llm_gateway_workers_reporting") === 2)
      expect(metric(all, "llm_requests_total")).toBe(5)
      expect(metric(all, "llm_request_duration_seconds_count")).toBe(5)
      process.kill(one, "SIGKILL")
      yield* pidOf(1, 2)
      const after = yield* metrics(url)
      expect(metric(after, "llm_requests_total")).toBe(5)
      expect(metric(after, "llm_gateway_worker_restarts_total")).toBe(1)
      const frozen = yield* whileFrozen(two)(metrics(url))
      expect(metric(frozen, "llm_requests_total")).toBe(5)
      expect(metric(frozen, "llm_gateway_workers_reporting")).toBe(1)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("loses no stream of another worker when one is killed, and replaces it", () =>
    Effect.gen(function* () {
      const latch = yield* Effect.makeLatch()
      const { origin } = yield* holding(latch)
      const { gateway, pidOf, whileFrozen } = yield* servedAt(`${origin}/v1`)
      const [one, two] = [yield* pidOf(1), yield* pidOf(2)]
      const streams = Effect.all(
        Array.from({ length: 8 }, () => streaming(gateway.url)),
        { concurrency: 8 }
      )
      const lost = yield* whileFrozen(two)(streams)
      const kept = yield* whileFrozen(one)(streams)
      process.kill(one, "SIGKILL")
      // By its text: fetch takes what a closed connection has sent for the whole when the server announced the close.
      for (const stream of lost) expect(isWhole((yield* stream.ended).text)).toBe(false)
      // Connections that are opened meanwhile reach the other worker.
      const during = yield* streams
      yield* pidOf(1, 2)
      yield* latch.open
      for (const stream of [...kept, ...during]) {
        const { isWhole: isComplete, text } = yield* stream.ended
        expect([isComplete, isWhole(text)]).toEqual([true, true])
      }
      expect(yield* gateway.output).toContain(`Worker 1 (pid ${one}) exited by SIGKILL`)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive(
    "completes the streams of a worker that SIGTERM ends, refuses no request meanwhile, and replaces it",
    () =>
      Effect.gen(function* () {
        const latch = yield* Effect.makeLatch()
        const { origin } = yield* holding(latch)
        const { gateway, pidOf, whileFrozen } = yield* servedAt(`${origin}/v1`, {
          environment: { EFFECT_LLM_GRACE: "10 minutes" }
        })
        const [one, two] = [yield* pidOf(1), yield* pidOf(2)]
        const own = yield* whileFrozen(two)(Effect.all([streaming(gateway.url), streaming(gateway.url)]))
        const others = yield* whileFrozen(one)(Effect.all([streaming(gateway.url), streaming(gateway.url)]))
        process.kill(one, "SIGTERM")
        yield* pidOf(1, 2)
        expect(isAlive(one)).toBe(true)
        const ready = yield* Effect.all(
          Array.from({ length: 20 }, () => send(`${gateway.url}/ready`, { headers: fresh })),
          { concurrency: 4 }
        )
        expect(new Set(ready.map(({ status }) => status))).toEqual(new Set([200]))
        expect(yield* Effect.forEach([...own, ...others], ({ isOver }) => isOver)).toEqual([false, false, false, false])
        yield* latch.open
        for (const stream of [...own, ...others]) expect(isWhole((yield* stream.ended).text)).toBe(true)
        yield* eventually(Effect.sync(() => !isAlive(one)))
      }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("completes the streams of all workers at SIGTERM, and exits with 0 when they have ended", () =>
    Effect.gen(function* () {
      const latch = yield* Effect.makeLatch()
      const { origin } = yield* holding(latch)
      const { gateway, pidOf, whileFrozen } = yield* servedAt(`${origin}/v1`, {
        environment: { EFFECT_LLM_GRACE: "10 minutes" }
      })
      const [one, two] = [yield* pidOf(1), yield* pidOf(2)]
      const streams = [yield* whileFrozen(two)(streaming(gateway.url)), yield* whileFrozen(one)(streaming(gateway.url))]
      yield* gateway.kill("SIGTERM")
      yield* gateway.kill("SIGTERM")
      yield* until(gateway.output, (log) => logLines(log, "The primary process stops the gateway") === 2)
      expect(yield* Effect.forEach(streams, ({ isOver }) => isOver)).toEqual([false, false])
      yield* latch.open
      expect(yield* gateway.exited).toBe(0)
      for (const stream of streams) expect(isWhole((yield* stream.ended).text)).toBe(true)
      expect([isAlive(one), isAlive(two)]).toEqual([false, false])
      const log = yield* gateway.output
      expect(logLines(log, "llm call")).toBe(2)
      expect(log).not.toContain(canary)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("ends without waiting for the grace period when a signal arrives while a worker starts", () =>
    Effect.gen(function* () {
      const { gateway, pidOf } = yield* served({ environment: { EFFECT_LLM_GRACE: "10 minutes" } })
      const [one] = [yield* pidOf(1), yield* pidOf(2)]
      process.kill(one, "SIGKILL")
      yield* until(gateway.output, (log) => log.includes("exited by SIGKILL"))
      // The wait before the replacement, and a part of its start.
      yield* Effect.sleep("400 millis")
      yield* gateway.kill("SIGTERM")
      expect(yield* gateway.exited).toBe(0)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("ends at once at a second signal", () =>
    Effect.gen(function* () {
      const { origin } = yield* holding(yield* Effect.makeLatch())
      const { gateway, pidOf } = yield* servedAt(`${origin}/v1`, { environment: { EFFECT_LLM_GRACE: "10 minutes" } })
      const [one, two] = [yield* pidOf(1), yield* pidOf(2)]
      yield* streaming(gateway.url)
      yield* gateway.kill("SIGTERM")
      yield* until(gateway.output, (log) => logLines(log, "The primary process stops the gateway") === 2)
      // Signals within a second are copies of the first.
      yield* Effect.sleep("1500 millis")
      yield* gateway.kill("SIGTERM")
      expect(yield* gateway.exited).toBe(143)
      yield* eventually(Effect.sync(() => !isAlive(one) && !isAlive(two)))
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("leaves no worker behind when the primary process is killed", () =>
    Effect.gen(function* () {
      const latch = yield* Effect.makeLatch()
      const { origin } = yield* holding(latch)
      const { gateway, pidOf, settings } = yield* servedAt(`${origin}/v1`, {
        environment: { EFFECT_LLM_GRACE: "10 minutes" }
      })
      const [one, two] = [yield* pidOf(1), yield* pidOf(2)]
      const stream = yield* streaming(gateway.url)
      yield* gateway.kill("SIGKILL")
      yield* until(gateway.output, (log) => logLines(log, "The primary process has ended") === 2)
      // The port is free again while a stream continues.
      const next = yield* until(
        started({ ...settings, EFFECT_LLM_PORT: new URL(gateway.url).port }),
        ({ url }) => url !== ""
      )
      expect((yield* send(`${next.url}/ready`)).status).toBe(200)
      expect(yield* stream.isOver).toBe(false)
      yield* latch.open
      expect(isWhole((yield* stream.ended).text)).toBe(true)
      yield* eventually(Effect.sync(() => !isAlive(one) && !isAlive(two)))
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("reloads the files of all workers at SIGHUP, and starts a worker again until it can start", () =>
    Effect.gen(function* () {
      const { config, gateway, pidOf, whileFrozen, write } = yield* served()
      const [one, two] = [yield* pidOf(1), yield* pidOf(2)]
      const hasModel = Effect.map(send(`${gateway.url}/v1/models`, { headers: fresh }), ({ text }) =>
        text.includes("tested/n")
      )
      yield* write("m", "n")
      yield* gateway.kill("SIGHUP")
      yield* until(gateway.output, (log) => logLines(log, "provider.json has been reloaded") === 2)
      expect([yield* whileFrozen(one)(hasModel), yield* whileFrozen(two)(hasModel)]).toEqual([true, true])
      const files = yield* FileSystem.FileSystem
      yield* files.writeFileString(config, "{")
      process.kill(one, "SIGKILL")
      yield* until(gateway.output, (log) => log.includes("Worker 1 cannot start"))
      expect(yield* hasModel).toBe(true)
      yield* write("m", "n")
      yield* pidOf(1, 2)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("applies the limits of models and of client keys once over all workers with --split-limits", () =>
    Effect.gen(function* () {
      const { gateway, pidOf, whileFrozen } = yield* served({
        environment: { EFFECT_LLM_MASTER_KEY: "the-token-of-the-administration" },
        fields: { rate_limit_capacity: 9, rate_limit_refill_rate: 0.001 }
      })
      const [one, two] = [yield* pidOf(1), yield* pidOf(2)]
      const { json } = yield* post(
        `${gateway.url}/admin/keys`,
        { label: "team", rateLimit: { requestsPerMinute: 4 } },
        { ...admin, ...fresh }
      )
      const { key } = json as { readonly key: string }
      const six = (headers: Readonly<Record<string, string>>) =>
        Effect.all(Array.from({ length: 6 }, () => statusOf(gateway.url, headers)))
      const withKey = { authorization: `Bearer ${key}` }
      const ofKey = [...(yield* whileFrozen(one)(six(withKey))), ...(yield* whileFrozen(two)(six(withKey)))]
      expect(ofKey.filter((status) => status === 200)).toHaveLength(4)
      expect(ofKey.filter((status) => status === 429)).toHaveLength(8)
      const ofModel = [...(yield* whileFrozen(one)(six(admin))), ...(yield* whileFrozen(two)(six(admin)))]
      expect(ofModel.filter((status) => status === 200)).toHaveLength(5)
      expect(ofModel.filter((status) => status === 429)).toHaveLength(7)
      // One that replaces a worker has what has been refilled since it started.
      process.kill(one, "SIGKILL")
      yield* pidOf(1, 2)
      const refused = Array.from({ length: 6 }, () => 429)
      expect(yield* whileFrozen(two)(six(withKey))).toEqual(refused)
      expect(yield* whileFrozen(two)(six(admin))).toEqual(refused)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("makes and revokes client keys, and disables keys, in all workers and in those that start later", () =>
    Effect.gen(function* () {
      const { gateway, pidOf, whileFrozen } = yield* served({
        environment: { EFFECT_LLM_MASTER_KEY: "the-token-of-the-administration" }
      })
      const { url } = gateway
      const [one, two] = [yield* pidOf(1), yield* pidOf(2)]
      const make = Effect.map(
        post(`${url}/admin/keys`, {}, { ...admin, ...fresh }),
        ({ json }) => json as { readonly id: string; readonly key: string }
      )
      const [kept, revoked, replaced] = [yield* make, yield* make, yield* make]
      const rotated = (yield* post(`${url}/admin/keys/${replaced.id}/rotate`, {}, { ...admin, ...fresh })).json as {
        readonly key: string
      }
      yield* send(`${url}/admin/keys/${revoked.id}`, { method: "DELETE", headers: { ...admin, ...fresh } })
      const statuses = Effect.forEach([kept, rotated, revoked, replaced], ({ key }) =>
        statusOf(url, { authorization: `Bearer ${key}` })
      )
      const isKnown = Effect.map(statuses, (found) => found.join() === "200,200,401,401")
      yield* whileFrozen(one)(eventually(isKnown))
      yield* whileFrozen(two)(eventually(isKnown))
      const disabled = yield* post(`${url}/admin/pools/disable`, { model: "m", key: "one" }, { ...admin, ...fresh })
      expect(disabled.status).toBe(200)
      const isDisabled = Effect.map(statusOf(url, admin), (status) => status === 503)
      yield* whileFrozen(one)(eventually(isDisabled))
      yield* whileFrozen(two)(eventually(isDisabled))
      process.kill(one, "SIGKILL")
      yield* pidOf(1, 2)
      yield* whileFrozen(two)(
        Effect.gen(function* () {
          yield* eventually(isDisabled)
          expect(yield* statuses).toEqual([503, 503, 401, 401])
        })
      )
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("shows the calls of all workers on the dashboard of each", () =>
    Effect.gen(function* () {
      const { gateway, pidOf, whileFrozen } = yield* served()
      const { url } = gateway
      const [one, two] = [yield* pidOf(1), yield* pidOf(2)]
      yield* whileFrozen(one)(Effect.all([statusOf(url), statusOf(url), statusOf(url)]))
      yield* whileFrozen(two)(Effect.all([statusOf(url), statusOf(url)]))
      // The first snapshot with the calls of both: a worker on a busy machine can answer too late for one.
      const snapshot = yield* Effect.promise(async () => {
        const response = await fetch(`${url}/dashboard/events`)
        let text = ""
        for await (const piece of response.body ?? []) {
          text += new TextDecoder().decode(piece)
          const events = text.split("\n\n")
          text = events.pop() ?? ""
          for (const event of events) {
            const data = /^data: (.*)$/m.exec(event)?.[1]
            if (data === undefined) continue
            const read = Schema.decodeUnknownSync(Schema.parseJson(Dashboard.Snapshot))(data)
            if (read.models[0]?.levels[0]?.limit === 1000) return read
          }
        }
        throw new Error("The dashboard sent no figures of both workers.")
      })
      const [model] = snapshot.models
      expect(model).toMatchObject({ requests: 5, failed: 0, levels: [{ name: "requests", limit: 1000 }] })
      expect(model?.keys).toMatchObject([{ id: "one", state: "ready", served: 5 }])
      expect(snapshot.buckets.reduce((sum, { outcomes }) => sum + (outcomes["ok"] ?? 0), 0)).toBe(5)
      expect(snapshot.windows[0]?.latency?.p50).toBeGreaterThan(0)
      const logged = Effect.map(
        send(`${url}/dashboard/requests`, { headers: fresh }),
        ({ json }) => (json as { readonly requests: ReadonlyArray<{ readonly number: number }> }).requests
      )
      const [newest] = yield* until(logged, ({ length }) => length === 5)
      yield* whileFrozen(one)(statusOf(url))
      const added = Effect.map(
        send(`${url}/dashboard/requests?after=${newest?.number}`, { headers: fresh }),
        ({ json }) => (json as { readonly requests: ReadonlyArray<{ readonly number: number }> }).requests
      )
      yield* until(added, ([first]) => (first?.number ?? 0) > (newest?.number ?? 0))
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scopedLive("keeps the history of all workers once, also that of a killed one, and after a restart", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = `${yield* files.makeTempDirectoryScoped()}/history.jsonl`
      const { gateway, pidOf, settings, whileFrozen } = yield* served({
        environment: { EFFECT_LLM_HISTORY_FILE: path }
      })
      const [one, two] = [yield* pidOf(1), yield* pidOf(2)]
      yield* whileFrozen(one)(Effect.all([statusOf(gateway.url), statusOf(gateway.url), statusOf(gateway.url)]))
      yield* whileFrozen(two)(Effect.all([statusOf(gateway.url), statusOf(gateway.url)]))
      const decode = Schema.decodeUnknownSync(Dashboard.History)
      const countAt = (url: string) =>
        Effect.map(send(`${url}/dashboard/history?from=0&to=9e15`, { headers: fresh }), ({ json }) =>
          decode(json).models.map(({ id, requests }) => [id, requests])
        )
      yield* until(countAt(gateway.url), ([model]) => model?.[1] === 5)
      process.kill(one, "SIGKILL")
      yield* pidOf(1, 2)
      expect(yield* countAt(gateway.url)).toEqual([["tested/m", 5]])
      // Counted just before the end, which a worker reports when it ends.
      expect(yield* statusOf(gateway.url)).toBe(200)
      yield* gateway.kill("SIGTERM")
      yield* gateway.exited
      const again = yield* started(settings)
      expect(yield* countAt(again.url)).toEqual([["tested/m", 6]])
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
