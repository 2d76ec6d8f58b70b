import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Ref, Schema, Scope, Stream, TestClock } from "effect"
import { request } from "node:http"
import * as Series from "../../src/gateway/dashboard/series.js"
import { Access, Dashboard } from "../../src/gateway/index.js"
import { ModelNotFoundError } from "../../src/vocabulary/LLMError.js"
import { Models } from "../../src/models/Models.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { until } from "../support/eventually.js"
import { once } from "../support/once.js"
import { adminToken, builtPage, canary, start } from "./support/dashboard.js"

const authorization = { authorization: `Bearer ${adminToken}` }

const decode = Schema.decodeUnknownSync(Schema.parseJson(Dashboard.Snapshot), { onExcessProperty: "error" })

const page = once(builtPage)

/** For tests of the events, which need no page. */
const noPage = new URL("./nowhere/", import.meta.url)

interface Answer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | ReadonlyArray<string>>
  readonly body: Buffer
}

/** Sends a request with exactly these headers; does not decode the answer. */
const get = (url: string, headers: Readonly<Record<string, string>> = {}): Effect.Effect<Answer, Error> =>
  Effect.async((resume) => {
    const sent = request(url, { headers, agent: false }, (response) => {
      const parts: Array<Buffer> = []
      response.on("data", (part: Buffer) => parts.push(part))
      response.on("end", () =>
        resume(
          Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) })
        )
      )
    })
    sent.on("error", (error) => resume(Effect.fail(error)))
    sent.end()
    return Effect.sync(() => sent.destroy())
  })

/** Reads the events; succeeds with an effect that returns those so far. The connection is closed with the scope. */
const readEvents = (url: string, headers: Readonly<Record<string, string>> = authorization) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const events: Array<string> = []
        const sent = request(`${url}/dashboard/events`, { headers, agent: false }, (response) => {
          let rest = ""
          response.setEncoding("utf8").on("data", (part: string) => {
            const parts = (rest + part).split("\n\n")
            rest = parts.pop() ?? ""
            events.push(...parts.map((event) => event.replace("event: snapshot\ndata: ", "")))
          })
          response.on("error", () => {})
        })
        sent.on("error", () => {})
        sent.end()
        return { sent, events }
      }),
      ({ sent }) => Effect.sync(() => sent.destroy())
    ),
    ({ events }): Effect.Effect<ReadonlyArray<string>> => Effect.sync(() => events)
  )

/** The text of the first event. */
const firstEvent = (url: string, headers?: Readonly<Record<string, string>>) =>
  Effect.flatMap(readEvents(url, headers), (events) =>
    Effect.map(
      until(events, ({ length }) => length > 0),
      ([first = ""]) => first
    )
  )

const ask = (url: string, model: string, fields: object = {}, signal?: AbortSignal) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { ...authorization, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }], ...fields }),
      ...(signal === undefined ? {} : { signal })
    })
    await response.text()
    return response.status
  })

const outcomes = (snapshot: Dashboard.Snapshot): Readonly<Record<string, number>> => {
  const all: Record<string, number> = {}
  for (const bucket of snapshot.buckets) {
    for (const [name, n] of Object.entries(bucket.outcomes)) all[name] = (all[name] ?? 0) + n
  }
  return all
}

const modelOf = (snapshot: Dashboard.Snapshot, id: string) => {
  const model = snapshot.models.find((model) => model.id === id)
  if (model === undefined) throw new Error(`there is no ${id}`)
  return model
}

describe("files of the dashboard page", () => {
  it.scopedLive("serves the page in less than 150 kB with gzip", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ page: yield* page })
      const paths = ["/", "/dashboard/app.js", "/dashboard/app.css", "/dashboard/icon.svg"]
      const answers = yield* Effect.forEach(paths, (path) => get(`${url}${path}`, { "accept-encoding": "gzip, br" }))
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
      expect(answers.map(({ headers }) => headers["content-encoding"])).toEqual(["gzip", "gzip", "gzip", "gzip"])
      const weight = answers.reduce((sum, { body }) => sum + body.length, 0)
      expect(weight).toBeGreaterThan(10_000)
      expect(weight).toBeLessThan(150_000)
    })
  )

  it.scopedLive("restricts the page to its own files with a content security policy", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ page: yield* page })
      const { body, headers } = yield* get(url)
      const policy = String(headers["content-security-policy"]).split("; ")
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("script-src 'self'")
      expect(policy).toContain("style-src 'self'")
      expect(policy).toContain("frame-ancestors 'none'")
      expect(policy.join()).not.toMatch(/unsafe|https?:|\*/)
      expect(headers["x-content-type-options"]).toBe("nosniff")
      const html = body.toString()
      expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/)
      expect(html).not.toMatch(/(?:src|href)="(?:https?:)?\/\//)
    })
  )

  it.scopedLive("answers 304 for a file that the browser has cached", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ page: yield* page })
      const first = yield* get(`${url}/dashboard/app.js`)
      const again = yield* get(`${url}/dashboard/app.js`, { "if-none-match": String(first.headers["etag"]) })
      expect([again.status, again.body.length]).toEqual([304, 0])
    })
  )

  it.scopedLive("answers 503 for a page that was not built, and still serves models", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ page: noPage })
      expect((yield* get(url)).status).toBe(503)
      expect(yield* ask(url, "fast")).toBe(200)
    })
  )
})

describe("access to the dashboard events", () => {
  it.scopedLive("allows the events with the admin token and rejects gateway keys", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ page: noPage, access: { adminToken, keys: [{ key: "sk-team" }] } })
      const statuses = yield* Effect.forEach(
        [{}, { authorization: "Bearer sk-team" }, { authorization: "Bearer no" }],
        (headers) => Effect.map(get(`${url}/dashboard/events`, headers), ({ status }) => status)
      )
      expect(statuses).toEqual([401, 403, 403])
      expect(decode(yield* firstEvent(url)).mayAct).toBe(true)
      expect((yield* get(`${url}/dashboard/access`)).body.toString()).toBe('{"token":"required"}')
    })
  )

  it.scopedLive("rejects gateway keys when no admin token is configured", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ page: noPage, access: { keys: [{ key: "sk-team" }] } })
      expect((yield* get(`${url}/dashboard/events`, { authorization: "Bearer sk-team" })).status).toBe(403)
    })
  )

  it.scopedLive("allows read-only events without any configured key, but not for another origin or host", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ page: noPage, access: {} })
      expect(decode(yield* firstEvent(url, {})).mayAct).toBe(false)
      const foreignHeaders = [{ origin: "https://evil.example" }, { host: "evil.example" }]
      const statuses = yield* Effect.forEach(foreignHeaders, (headers) =>
        Effect.map(get(`${url}/dashboard/events`, headers), ({ status }) => status)
      )
      expect(statuses).toEqual([403, 403])
      expect((yield* get(`${url}/dashboard/access`)).body.toString()).toBe('{"token":"none"}')
    })
  )
})

describe("dashboard events", () => {
  it.scopedLive("sends a full snapshot at once, and a second later one with the changed figures", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start({ page: noPage })
      yield* provider.next(SimulatedProvider.status(400))
      expect(yield* ask(url, "openai/gpt-large")).toBe(400)
      expect(yield* ask(url, "openai/gpt-large")).toBe(200)
      const snapshots = Effect.map(yield* readEvents(url), (events) => events.map((event) => decode(event)))
      yield* until(snapshots, ({ length }) => length > 0)
      expect(yield* ask(url, "fast", { stream: true })).toBe(200)
      const all = yield* until(snapshots, (all) =>
        all.some((later) => modelOf(later, "openai/gpt-small").requests === 1)
      )
      const [first, second] = [all[0], all.at(-1)]
      if (first === undefined || second === undefined) throw new Error("there are no events")
      expect(outcomes(first)).toEqual({ ok: 1, InvalidRequestError: 1 })
      expect(modelOf(first, "openai/gpt-small").requests).toBe(0)
      // Timers can be a millisecond early.
      expect(second.at - first.at).toBeGreaterThanOrEqual(990)
      expect(modelOf(second, "openai/gpt-small").firstEvent?.p50).toBeGreaterThanOrEqual(0)
      expect(modelOf(second, "openai/gpt-large").firstEvent).toBeUndefined()
      expect(modelOf(second, "balanced").deployments.map(({ id }) => id)).toEqual([
        "openai/gpt-large",
        "deepseek/deepseek-chat"
      ])
    })
  )

  it.scopedLive("sends ids of keys and no secrets in the dashboard events", () =>
    Effect.gen(function* () {
      const { url } = yield* start({
        page: noPage,
        access: { adminToken, keys: [{ key: "sk-secret-of-a-team", label: "team" }] }
      })
      yield* ask(url, "openai/gpt-large")
      const first = yield* firstEvent(url)
      const keys = decode(first).models.flatMap((model) => model.keys)
      // The keys of the group are listed only at its members.
      expect(keys).toHaveLength(6)
      for (const secret of [canary, adminToken, "sk-secret", "127.0.0.1"]) expect(first).not.toContain(secret)
    })
  )

  it.scopedLive("lets the gateway shut down at once while a client reads its events", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { url } = yield* Scope.extend(start({ page: noPage, grace: "1 hour" }), scope)
      yield* firstEvent(url)
      // Takes an hour if it waits for readers. Disconnected, because a shutdown that hangs cannot be interrupted.
      yield* Scope.close(scope, Exit.void).pipe(Effect.disconnect, Effect.timeout("1 minute"))
    })
  )
})

describe("dashboard figures", () => {
  it.scopedLive("counts calls by outcome, and tokens and cost of all attempts", () =>
    Effect.gen(function* () {
      const { dashboard, provider, url } = yield* start({ page: noPage })
      yield* provider.next(SimulatedProvider.status(400), SimulatedProvider.garbage)
      const statuses = yield* Effect.forEach([1, 2, 3, 4], (number) =>
        ask(url, "openai/gpt-large", { messages: [{ role: "user", content: `number ${number}` }] })
      )
      expect(statuses[0]).toBe(400)
      const snapshot = yield* dashboard.snapshot
      const { failed, inputTokens, latency, minutes, outputTokens, requests } = modelOf(snapshot, "openai/gpt-large")
      const sum = (values: ReadonlyArray<number>): number => values.reduce((total, value) => total + value, 0)
      // A minute or a bucket can begin between two calls.
      const recent = sum(minutes.slice(-2))
      expect([requests, failed, recent]).toEqual([4, statuses.filter((status) => status !== 200).length, 4])
      expect(sum(Object.values(outcomes(snapshot)))).toBe(4)
      expect(latency?.p99).toBeGreaterThanOrEqual(latency?.p50 ?? Infinity)
      const { buckets } = snapshot
      expect([
        sum(buckets.map((bucket) => bucket.inputTokens)),
        sum(buckets.map((bucket) => bucket.outputTokens)),
        sum(buckets.map((bucket) => bucket.unpricedTokens))
      ]).toEqual([inputTokens, outputTokens, 0])
      // Dollars per million tokens, from the prices of the test.
      const cost = sum(buckets.map((bucket) => bucket.cost))
      expect(cost).toBeCloseTo((inputTokens * 250 + outputTokens * 1000) / 1e6, 9)
      expect(cost).toBeGreaterThan(0)
    })
  )

  it.scopedLive("counts a cached answer as a request without tokens or cost", () =>
    Effect.gen(function* () {
      const { dashboard, url } = yield* start({ page: noPage })
      yield* ask(url, "openai/gpt-large")
      const before = modelOf(yield* dashboard.snapshot, "openai/gpt-large")
      yield* ask(url, "openai/gpt-large")
      const snapshot = yield* dashboard.snapshot
      const after = modelOf(snapshot, "openai/gpt-large")
      expect([after.requests, after.inputTokens, after.cost]).toEqual([2, before.inputTokens, before.cost])
      expect(snapshot.caches).toMatchObject([{ name: "responses", hits: 1, misses: 1, hitRate: 0.5 }])
      const [dollars, tokens] = snapshot.budgets
      expect(dollars).toMatchObject({ budget: "everything", unit: "dollars", limit: 5, reserved: 0 })
      expect(tokens?.spent).toBe(after.inputTokens + after.outputTokens)
    })
  )

  it.scopedLive("shows the budgets of gateway keys beside the configured budgets", () =>
    Effect.gen(function* () {
      const { dashboard, url } = yield* start({
        page: noPage,
        access: {
          adminToken,
          keys: [
            { key: "sk-secret-of-a-team", label: "team-a", budget: { tokens: 5000, period: "week" } },
            { key: "sk-secret-of-nobody", budget: { dollars: 3 } },
            { key: "sk-secret-without-limit", label: "team-c" }
          ]
        }
      })
      yield* Effect.promise(() =>
        fetch(`${url}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: "Bearer sk-secret-of-a-team" },
          body: JSON.stringify({ model: "openai/gpt-large", messages: [{ role: "user", content: "Hello" }] })
        }).then((response) => response.text())
      )
      const { budgets, models } = yield* dashboard.snapshot
      const { inputTokens, outputTokens } = models[0] ?? { inputTokens: 0, outputTokens: 0 }
      const id = budgets[3]?.key
      expect(budgets.map(({ budget }) => budget)).toEqual(["everything", "tokens", "team-a", id])
      expect(budgets[2]).toMatchObject({
        key: expect.stringMatching(/^key-/),
        unit: "tokens",
        limit: 5000,
        spent: inputTokens + outputTokens,
        period: "week"
      })
      expect(budgets[2]?.resetsAt).toBeGreaterThan(Date.now())
      expect(budgets[3]).toMatchObject({ unit: "dollars", limit: 3, spent: 0, period: "forever" })
      expect(JSON.stringify(budgets)).not.toContain("sk-secret")
    })
  )

  it.scopedLive("shows calls in flight, and counts an aborted call as interrupted", () =>
    Effect.gen(function* () {
      const { dashboard, url } = yield* start({ page: noPage, provider: { faults: () => SimulatedProvider.hang() } })
      const controller = new AbortController()
      const abortedCall = yield* Effect.fork(
        Effect.promise(() => Effect.runPromiseExit(ask(url, "openai/gpt-large", {}, controller.signal)))
      )
      yield* until(dashboard.snapshot, ({ inFlight }) => inFlight === 1)
      const during = modelOf(yield* dashboard.snapshot, "openai/gpt-large")
      expect(during.inFlight).toBe(1)
      controller.abort()
      yield* Fiber.join(abortedCall)
      const after = yield* until(dashboard.snapshot, ({ inFlight }) => inFlight === 0)
      expect(outcomes(after)).toEqual({ interrupted: 1 })
      const { failed, latency, requests } = modelOf(after, "openai/gpt-large")
      expect([requests, failed, latency]).toEqual([1, 0, undefined])
    })
  )

  it.scopedLive("shows the state, the reason and the end time of each key", () =>
    Effect.gen(function* () {
      const { dashboard, models } = yield* start({ page: noPage })
      const { keys: administration } = yield* models.get("openai/gpt-large")
      if (administration === undefined) throw new Error("there is no administration of keys")
      const [first, second] = (yield* administration.status).keys.map(({ id }) => id)
      const before = Date.now()
      yield* administration.disable(first ?? "")
      yield* administration.rest(second ?? "", "1 minute")
      const snapshot = yield* dashboard.snapshot
      const { hasPool, keys, levels } = modelOf(snapshot, "openai/gpt-large")
      expect(keys.map(({ reason, state }) => [state, reason])).toEqual([
        ["disabled", "by-hand"],
        ["cooling", "resting"],
        ["ready", undefined]
      ])
      expect((keys[1]?.until ?? 0) - before).toBeGreaterThanOrEqual(60_000)
      expect(levels).toEqual([{ name: "requests", available: 200, limit: 200 }])
      expect([hasPool, modelOf(snapshot, "balanced").hasPool]).toEqual([true, false])
    })
  )

  it.scoped("computes snapshots only while a client reads them, and alerts every 15 seconds", () =>
    Effect.gen(function* () {
      const lookups = yield* Ref.make(0)
      const info = { provider: "openai", model: "large", wire: "chat-completions", contextWindow: 1000 }
      const notFound = new ModelNotFoundError({ provider: "openai", model: "large", attempts: [], message: "gone" })
      const models = Models.of({
        list: [{ ...info, name: "openai/large", aliases: [] }],
        group: () => Effect.fail(notFound),
        get: () =>
          Effect.zipRight(
            Ref.update(lookups, (n) => n + 1),
            Effect.fail(notFound)
          ),
        default: Effect.fail(notFound)
      })
      const { snapshots } = yield* Dashboard.make().pipe(
        Effect.provideService(Models, models),
        Effect.provide(Access.layer({ adminToken }))
      )
      yield* TestClock.adjust("1 minute")
      expect(yield* Ref.get(lookups)).toBe(4)
      const reader = yield* Effect.fork(Stream.runDrain(snapshots))
      yield* TestClock.adjust("3500 millis")
      expect(yield* Ref.get(lookups)).toBe(8)
      yield* Fiber.interrupt(reader)
      yield* TestClock.adjust("1 minute")
      expect(yield* Ref.get(lookups)).toBe(12)
    })
  )
})

describe("Series of the last hour", () => {
  const minute = 60_000
  const call = { model: "m", outcome: "ok", latency: 100, timeToFirstEvent: 10 }

  const withCalls = (times: ReadonlyArray<number>): Series.Series => {
    const series = Series.unsafeMake()
    for (const at of times) {
      series.unsafeRecordStart("m")
      series.unsafeRecordEnd(call, at)
    }
    return series
  }

  it("keeps one hour of calls, however many there were", () => {
    const now = 30_000 * minute
    const series = withCalls(Array.from({ length: 3 * 3600 }, (_, second) => now - 3 * 60 * minute + second * 1000))
    const last = now - 1
    expect(series.unsafeBuckets(0, last)).toHaveLength(360)
    expect(series.unsafeTotals("m", last).requests).toBe(3600)
    expect(series.unsafeTotals("m", last).minutes).toEqual(Array.from({ length: 60 }, () => 60))
    expect(series.unsafeInFlight()).toBe(0)
  })

  it("omits calls older than an hour even if no new call came", () => {
    const series = withCalls([0])
    expect(series.unsafeTotals("m", 59 * minute).requests).toBe(1)
    const later = 61 * minute
    expect(series.unsafeBuckets(0, later)).toEqual([])
    expect(series.unsafeTimes(60, later)).toEqual({})
    expect(series.unsafeTotals("m", later)).toMatchObject({ requests: 0, minutes: Array.from({ length: 60 }, () => 0) })
  })

  it("returns only the buckets that may have changed since a time", () => {
    const series = withCalls([1000, 15_000, 25_000, 26_000])
    expect(series.unsafeBuckets(15_500, 27_000).map(({ at, outcomes }) => [at, outcomes])).toEqual([
      [10_000, { ok: 1 }],
      [20_000, { ok: 2 }]
    ])
  })

  it("computes percentiles for each time window separately", () => {
    const series = Series.unsafeMake()
    series.unsafeRecordEnd({ ...call, latency: 1000 }, minute)
    series.unsafeRecordEnd({ ...call, latency: 1000 }, minute)
    series.unsafeRecordEnd({ ...call, latency: 10 }, 30 * minute)
    expect(series.unsafeTimes(5, 30 * minute).latency?.p99).toBeCloseTo(10, 0)
    expect(series.unsafeTimes(60, 30 * minute).latency?.p50).toBeGreaterThan(900)
  })
})
