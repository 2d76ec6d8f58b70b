/** The request log of the dashboard, over sockets. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import { Dashboard } from "../../src/gateway/index.js"
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
      for (let each = 1; each <= 5; each++) log.unsafeAdd(entry, "y".repeat(10_000), false)
      expect(log.unsafeAfter(0).map(({ number }) => number)).toEqual([11, 10, 9])
      expect(log.unsafeAfter(10).map(({ number }) => number)).toEqual([11])
      yield* TestClock.adjust("1 second")
      log.unsafeAdd(entry, "y".repeat(10_000), false)
      expect(log.unsafeAfter(10).map(({ number }) => number)).toEqual([1_000_007, 11])
      const [last] = log.unsafeAfter(11)
      expect([last?.requestId.length, last?.message?.length, last?.attempts.length, last?.waitedForPermit]).toEqual([
        300, 300, 10, 1500
      ])
      const none = RequestLogs.unsafeMake(0, clock, 0)
      none.unsafeAdd(entry, undefined, false)
      expect(none.unsafeAfter(0)).toEqual([])
    })
  )
})
