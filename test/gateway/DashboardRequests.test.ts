/** The request log of the dashboard, over sockets. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import { Dashboard } from "../../src/gateway/index.js"
import * as BodyLogs from "../../src/gateway/dashboard/bodyLog.js"
import * as RequestLogs from "../../src/gateway/dashboard/requestLog.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { until } from "../support/eventually.js"
import { adminToken, canary, start } from "./support/dashboard.js"
import { post, send } from "./support/http.js"

const page = new URL("./nowhere/", import.meta.url)

const authorization = { authorization: `Bearer ${adminToken}` }

const decode = Schema.decodeUnknownSync(
  Schema.parseJson(Schema.Struct({ requests: Schema.Array(Dashboard.LoggedRequest) })),
  { onExcessProperty: "error" }
)

const requestsOf = (url: string, after = 0) =>
  Effect.map(
    send(`${url}/dashboard/requests?after=${after}`, { headers: authorization }),
    ({ text }) => decode(text).requests
  )

const body = (model: string, fields: object = {}) => ({
  model,
  messages: [{ role: "user", content: "The prompt." }],
  ...fields
})

describe("the request log", () => {
  it.scopedLive("has each request with its client, model, key, status, tokens, cost, times and attempts", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start({ page })
      const chat = `${url}/v1/chat/completions`
      yield* post(chat, body("gpt-large"), authorization)
      yield* post(chat, body("gpt-small", { stream: true }), authorization)
      yield* provider.next(...[401, 500, 500].map((status) => SimulatedProvider.status(status)))
      yield* post(chat, body("gpt-large", { seed: 1 }), authorization)
      yield* post(chat, body("no-such-model"), authorization)
      yield* post(chat, body("gpt-large"), { authorization: "Bearer wrong" })
      const requests = yield* until(requestsOf(url), ({ length }) => length === 5)
      expect(requests.map(({ model, outcome, refused, status }) => [model, status, outcome, refused])).toEqual([
        [expect.any(String), 401, "AuthenticationError", true],
        ["no-such-model", 404, "ModelNotFoundError", true],
        ["gpt-large", 503, "ProviderUnavailableError", false],
        ["gpt-small", 200, "ok", false],
        ["gpt-large", 200, "ok", false]
      ])
      const [, , failed, streamed, first] = requests
      expect(requests.slice(1).map(({ client, clientKey }) => [client, clientKey])).toEqual(
        Array.from({ length: 4 }, () => ["admin", "admin"])
      )
      expect(first).toMatchObject({ provider: "openai", operation: "chat", streamed: false, finishReason: "stop" })
      expect(first?.cost).toBeGreaterThan(0)
      expect(first?.inputTokens).toBeGreaterThan(0)
      expect(streamed?.timeToFirstEvent).toBeGreaterThanOrEqual(0)
      const attempts = failed?.attempts.map(({ error, status }) => [error, status])
      expect([attempts?.at(0), attempts?.at(-1)]).toEqual([
        ["AuthenticationError", 401],
        ["ProviderUnavailableError", 500]
      ])
      expect(failed?.message).toContain("Simulated 500")
      expect(yield* requestsOf(url, failed?.number)).toEqual(requests.slice(0, 2))
      const { text } = yield* send(`${url}/dashboard/requests`, { headers: authorization })
      expect(text).not.toContain(canary)
      expect(text).not.toContain("The prompt.")
    })
  )

  it.scopedLive("has the bodies of requests and answers, whole and streamed, only where that is configured", () =>
    Effect.gen(function* () {
      const exchange = (bodies: boolean) =>
        Effect.gen(function* () {
          const { provider, url } = yield* start({ page, bodies, provider: { answer: () => "An answer." } })
          const ask = (id: string, fields: object) =>
            post(`${url}/v1/chat/completions`, body("gpt-small", fields), { ...authorization, "x-request-id": id })
          const bodiesOf = (id: string, headers: Readonly<Record<string, string>> = authorization) =>
            send(`${url}/dashboard/bodies?id=${id}`, { headers })
          return { ask, bodiesOf, provider }
        })
      const { ask, bodiesOf, provider } = yield* exchange(true)
      const whole = yield* ask("whole", { seed: 1 })
      const streamed = yield* ask("streamed", { stream: true })
      yield* provider.next(SimulatedProvider.status(400, { message: "no" }))
      const refused = yield* ask("refused", {})
      expect((yield* bodiesOf("whole")).json).toEqual({
        request: JSON.stringify(body("gpt-small", { seed: 1 })),
        answer: whole.text
      })
      expect((yield* bodiesOf("streamed")).json).toMatchObject({ answer: streamed.text })
      expect((yield* bodiesOf("refused")).json).toMatchObject({ answer: refused.text })
      expect((yield* bodiesOf("whole")).text).not.toContain(adminToken)
      expect((yield* bodiesOf("other")).status).toBe(404)
      expect((yield* bodiesOf("whole", {})).status).toBe(401)
      const without = yield* exchange(false)
      yield* without.ask("whole", {})
      expect((yield* without.bodiesOf("whole")).status).toBe(404)
    })
  )

  it("masks the values of fields that hold secrets, also where a body is cut or comes in pieces", () => {
    const log = BodyLogs.unsafeMake()
    const capture = log.unsafeStart("one")
    const tools = [
      {
        type: "mcp",
        authorization: "canary-1",
        headers: { "X-Api-Key": "canary-2", Authorization: "Bearer canary-3" }
      },
      { type: "url", authorization_token: 'canary-"4' }
    ]
    capture.request(JSON.stringify({ tools, client_secret: "canary-5", password: "canary-6", max_tokens: 5 }, null, 1))
    const written: Array<string | Uint8Array> = []
    const response = capture.response({
      send: () => {},
      begin: () => {},
      write: (piece) => written.push(piece) > 0,
      drained: Effect.void,
      isWaiting: () => false,
      stopWaiting: () => {},
      end: () => {},
      destroy: () => {}
    })
    for (const piece of [
      'data: {"api_key":"cana',
      'ry-7","logprobs":[{"token":"word"}]}',
      '{"authorization":"canary-8'
    ]) {
      response.write(piece)
    }
    const bodies = log.unsafeFind("one")
    expect(JSON.stringify(bodies)).not.toContain("canary")
    expect(bodies?.request).toContain('"max_tokens": 5')
    expect(bodies?.answer).toContain('"api_key":"***","logprobs":[{"token":"word"}]')
    // The client gets its answer as it is.
    expect(written.join("")).toContain("canary-7")
  })

  it("bounds the bodies of a request and of all requests, and keeps the newest", () => {
    const log = BodyLogs.unsafeMake()
    const first = log.unsafeStart("first")
    first.request("é".repeat(100_000))
    expect(log.unsafeFind("first")?.request).toBe("é".repeat(16 * 1024))
    for (let each = 0; each < 2000; each++) log.unsafeStart(`${each}`).request("x".repeat(20_000))
    // The bodies of a request that is still in flight are gone, too.
    first.request("more")
    expect(log.unsafeFind("first")).toBeUndefined()
    const kept = Array.from({ length: 2000 }, (_, each) => log.unsafeFind(`${each}`)).filter(
      (each) => each !== undefined
    )
    expect(kept.length).toBeGreaterThan(1000)
    expect(kept.length).toBeLessThanOrEqual(1024)
    expect(log.unsafeFind("1999")).toBeDefined()
    // Requests whose clients have left at once have no bodies, and take memory all the same.
    for (let each = 0; each < 100_000; each++) log.unsafeStart(`empty ${each}`)
    expect(log.unsafeFind("empty 0")).toBeUndefined()
    expect(log.unsafeFind("empty 99999")).toBeDefined()
  })

  it.scopedLive("requires the admin token", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ page })
      expect((yield* send(`${url}/dashboard/requests`)).status).toBe(401)
    })
  )

  it.effect("keeps the last requests alone, and bounds what a client can write", () =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      const log = RequestLogs.unsafeMake(3, clock, 7)
      const entry = {
        requestId: "x".repeat(10_000),
        label: "",
        operation: "chat",
        streamed: false,
        provider: "p",
        model: "m",
        answeredBy: "",
        keyId: "k",
        attempts: Array.from({ length: 64 }, () => ({ provider: "p", model: "m", keyId: "k", duration: 1 })),
        outcome: "ok",
        startedAt: 0,
        latency: 1,
        waitedForPermit: 1500
      } as const
      expect(log.unsafeAfter(0)).toEqual([])
      for (let each = 1; each <= 5; each++)
        log.unsafeAdd({ entry, clientKey: "key-1", message: "y".repeat(10_000), isRefused: false })
      expect(log.unsafeAfter(0).map(({ number }) => number)).toEqual([11, 10, 9])
      expect(log.unsafeAfter(10).map(({ number }) => number)).toEqual([11])
      yield* TestClock.adjust("1 second")
      log.unsafeAdd({ entry, clientKey: "key-1", message: "y".repeat(10_000), isRefused: false })
      expect(log.unsafeAfter(10).map(({ number }) => number)).toEqual([1_000_007, 11])
      const [last] = log.unsafeAfter(11)
      expect([last?.requestId.length, last?.message?.length, last?.attempts.length, last?.waitedForPermit]).toEqual([
        300, 300, 10, 1500
      ])
      const none = RequestLogs.unsafeMake(0, clock, 0)
      none.unsafeAdd({ entry, clientKey: "", message: undefined, isRefused: false })
      expect(none.unsafeAfter(0)).toEqual([])
    })
  )
})
