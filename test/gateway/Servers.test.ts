/** Access, limits, budgets, CORS and request ids of the hot routes, on every server. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger, LogLevel } from "effect"
import { AccessLog } from "../../src/index.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually } from "../support/eventually.js"
import { canary, makeGate, waitUntilIdle } from "./support/gateway.js"
import type { Answer } from "./support/http.js"
import { question } from "./support/http.js"
import * as Servers from "./support/servers.js"

const { ask, read, request, routes } = Servers

const chatPath = "/v1/chat/completions"

const chat = (fields: Readonly<Record<string, unknown>> = {}) => question("chat completions", "openai/large", fields)

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

const origin = "https://app.example"

/** The code of an error, in any protocol that has one. */
const codeOf = ({ json }: Answer): unknown => (json as { readonly error?: { readonly code?: unknown } }).error?.code

describe.each(Servers.all)("access on %s", (name) => {
  const keys = [{ key: "sk-a", label: "team-a", models: ["openai/*"] }]
  const access = { adminToken: "the-admins-token", keys }

  it.scopedLive("answers 401 on every hot route without a key, with an unknown key and with another scheme", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { access })
      for (const { body, path } of routes) {
        for (const headers of [{}, bearer("sk-other"), { authorization: "Basic c2stYQ==" }, { "x-api-key": "sk-ab" }]) {
          const answer = yield* ask(served, path, body, headers)
          expect([path, answer.status, answer.headers.get("www-authenticate")]).toEqual([path, 401, "Bearer"])
          expect(answer.text).toMatch(/API key/)
        }
      }
      expect(yield* served.provider.log).toEqual([])
    })
  )

  it.scopedLive("answers 200 on every hot route with a key in either header, and with the admin token", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { access })
      for (const { body, path } of routes) {
        for (const headers of [bearer("sk-a"), { "x-api-key": "sk-a" }, bearer("the-admins-token")]) {
          const { status } = yield* ask(served, path, body, headers)
          expect([path, status]).toEqual([path, 200])
        }
      }
    })
  )

  it.scopedLive("answers 404 for models outside of the key, with the same text as for unknown models", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { access })
      for (const { body, path } of routes) {
        const headers = { ...bearer("sk-a"), "x-request-id": "same" }
        const foreign = yield* ask(served, path, { ...body, model: "anthropic/large" }, headers)
        const unknown = yield* ask(served, path, { ...body, model: "anthropic/other" }, headers)
        expect([path, foreign.status, unknown.status]).toEqual([path, 404, 404])
        expect(foreign.text.replace("anthropic/large", "")).toBe(unknown.text.replace("anthropic/other", ""))
      }
      expect(yield* served.provider.log).toEqual([])
    })
  )

  it.scopedLive("answers 403 to web pages of other origins and to foreign host names while no key is configured", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name)
      for (const { body, path } of routes) {
        const foreign = yield* ask(served, path, body, { origin: "https://evil.example" })
        expect([path, foreign.status]).toEqual([path, 403])
        const own = yield* ask(served, path, body, { origin: "http://localhost:5173" })
        expect([path, own.status]).toEqual([path, 200])
      }
    })
  )
})

describe.each(Servers.all)("limits of a client key on %s", (name) => {
  it.scopedLive("answers 429 with the time to wait beyond requestsPerMinute, and serves other keys", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, {
        access: { keys: [{ key: "sk-a", rateLimit: { requestsPerMinute: 1 } }, { key: "sk-b" }] }
      })
      expect((yield* ask(served, chatPath, chat(), bearer("sk-a"))).status).toBe(200)
      for (const stream of [false, true]) {
        const limited = yield* ask(served, chatPath, chat({ stream }), bearer("sk-a"))
        expect(limited.status).toBe(429)
        expect(limited.headers.get("content-type")).toBe("application/json")
        expect(Number(limited.headers.get("retry-after"))).toBeGreaterThan(0)
        expect(Number(limited.headers.get("retry-after-ms"))).toBeGreaterThan(0)
      }
      expect((yield* ask(served, chatPath, chat(), bearer("sk-b"))).status).toBe(200)
    })
  )

  it.scopedLive(
    "counts calls in flight: a call beyond maxConcurrency is refused, and another is served after the end",
    () =>
      Effect.gen(function* () {
        const gate = yield* makeGate
        const served = yield* Servers.start(name, {
          access: { keys: [{ key: "sk-a", rateLimit: { maxConcurrency: 1 } }] },
          gateway: { around: gate.around }
        })
        for (const stream of [false, true]) {
          yield* gate.close
          const holder = yield* read(served, chatPath, chat({ stream }), bearer("sk-a"))
          yield* eventually(Effect.map(gate.waiting, (waiting) => waiting === 1))
          expect((yield* ask(served, chatPath, chat(), bearer("sk-a"))).status).toBe(429)
          yield* gate.open
          expect((yield* holder.ended).status).toBe(200)
          expect((yield* ask(served, chatPath, chat(), bearer("sk-a"))).status).toBe(200)
        }
      })
  )

  it.scopedLive("gives a permit of maxConcurrency back when its client leaves, whole and midway in a stream", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, {
        access: { keys: [{ key: "sk-a", rateLimit: { maxConcurrency: 1 } }] },
        provider: { answer: () => "one two three four five six seven" }
      })
      for (const [stream, after, mark] of [
        [false, 0, ""],
        [true, 5, "two"]
      ] as const) {
        yield* served.provider.next(SimulatedProvider.hang(after))
        const client = yield* read(served, chatPath, chat({ stream }), bearer("sk-a"))
        yield* eventually(
          Effect.zipWith(client.text, served.provider.inFlight, (text, open) => open === 1 && text.includes(mark))
        )
        yield* client.disconnect
        yield* waitUntilIdle(served)
        yield* eventually(Effect.map(ask(served, chatPath, chat(), bearer("sk-a")), ({ status }) => status === 200))
      }
    })
  )
})

describe.each(Servers.all)("budgets on %s", (name) => {
  it.scopedLive("answers 402 once the budget of a key is spent, whole and streamed", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, {
        access: { keys: [{ key: "sk-a", budget: { tokens: 1500 } }] },
        provider: { answer: () => "word ".repeat(2000) }
      })
      expect((yield* ask(served, chatPath, chat({ stream: true }), bearer("sk-a"))).status).toBe(200)
      for (const stream of [false, true]) {
        const answer = yield* ask(served, chatPath, chat({ stream }), bearer("sk-a"))
        expect([answer.status, codeOf(answer)]).toEqual([402, "budget_exceeded"])
      }
    })
  )
})

describe.each(Servers.all)("CORS on %s", (name) => {
  const cors = { allowedOrigins: [origin, "https://other.example"], exposedHeaders: ["x-request-id"] }
  const access = { keys: [{ key: "sk-a" }] }

  it.scopedLive("answers preflight requests of allowed origins, and grants nothing to others", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { access, gateway: { cors } })
      const preflight = (from: string) =>
        request(served, "OPTIONS", chatPath, {
          origin: from,
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization, content-type"
        })
      const allowed = yield* preflight(origin)
      expect(allowed.status).toBe(204)
      expect(allowed.headers.get("access-control-allow-origin")).toBe(origin)
      expect(allowed.headers.get("access-control-allow-methods")).toContain("POST")
      expect(allowed.headers.get("access-control-allow-headers")).toContain("authorization")
      expect((yield* preflight("https://evil.example")).headers.get("access-control-allow-origin")).toBeNull()
    })
  )

  it.scopedLive(
    "grants allowed origins the answer, the stream and the error of every hot route, and other origins none",
    () =>
      Effect.gen(function* () {
        const served = yield* Servers.start(name, { access, gateway: { cors } })
        for (const { body, path, streams } of routes) {
          const bodies = [body, ...(streams ? [{ ...body, stream: true }] : [])]
          for (const sent of bodies) {
            const answer = yield* ask(served, path, sent, { ...bearer("sk-a"), origin })
            expect([path, answer.status]).toEqual([path, 200])
            expect(answer.headers.get("access-control-allow-origin")).toBe(origin)
            expect(answer.headers.get("access-control-expose-headers")).toBe("x-request-id")
            expect(answer.headers.get("vary")).toBe("Origin")
          }
          const refused = yield* ask(served, path, body, { origin })
          expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([401, origin])
          const foreign = yield* ask(served, path, body, { ...bearer("sk-a"), origin: "https://evil.example" })
          expect([foreign.status, foreign.headers.get("access-control-allow-origin")]).toEqual([200, null])
        }
      })
  )

  it.scopedLive("sends no CORS headers where no origin is configured", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { access })
      const { headers, status } = yield* ask(served, chatPath, chat(), { ...bearer("sk-a"), origin })
      expect([status, headers.get("access-control-allow-origin")]).toEqual([200, null])
    })
  )
})

/** A logger that keeps its lines. */
const recordLines = () => {
  const lines: Array<string> = []
  const logger = Logger.map(Logger.logfmtLogger, (line) => {
    lines.push(line)
  })
  return { lines, layer: Logger.replace(Logger.defaultLogger, logger) }
}

describe.each(Servers.all)("request ids on %s", (name) => {
  it.scopedLive("returns the client's id or a new one with every answer, stream and error of a hot route", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { access: { keys: [{ key: "sk-a" }] } })
      for (const { body, path, streams } of routes) {
        for (const [sent, key] of [
          [body, "sk-a"],
          [{ ...body, ...(streams ? { stream: true } : {}) }, "sk-a"],
          [body, "sk-b"]
        ] as const) {
          const own = yield* ask(served, path, sent, { ...bearer(key), "x-request-id": "mine-7:a/b" })
          expect(own.headers.get("x-request-id")).toBe("mine-7:a/b")
          const made = yield* ask(served, path, sent, bearer(key))
          expect(made.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/)
        }
      }
    })
  )

  it.scopedLive("replaces ids that are unsafe in headers and logs", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name)
      for (const id of ["", "a b", "x".repeat(129), "<script>", "a,b", "é", "a\tb", "%0d%0aset-cookie: a=b"]) {
        const { headers } = yield* ask(served, chatPath, chat(), { "x-request-id": id })
        expect(headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/)
        expect(headers.get("set-cookie")).toBeNull()
      }
    })
  )

  it.scopedLive("writes the id to the access log and to the log of a failure, whole and midway in a stream", () =>
    Effect.gen(function* () {
      const { layer, lines } = recordLines()
      const served = yield* Servers.start(name, {
        provider: { answer: () => "one two three four five" },
        gateway: { observe: AccessLog.middleware({ format: "json" }) },
        logLevel: LogLevel.Info
      }).pipe(Effect.provide(layer))
      for (const [id, stream, fault] of [
        ["whole-1", false, SimulatedProvider.status(401)],
        ["stream-1", true, SimulatedProvider.truncate(4)]
      ] as const) {
        yield* served.provider.next(fault)
        yield* ask(served, chatPath, chat({ stream }), { "x-request-id": id })
        const own = lines.filter((line) => line.includes(id))
        // The entry of the access log is JSON, and the cause of the failure a message with an annotation.
        const isEntry = (line: string): boolean => line.includes("attempts")
        expect(own.map((line) => [isEntry(line), line.includes(`request_id=${id}`)])).toEqual([
          [true, true],
          [false, true]
        ])
      }
      expect(lines.join("\n")).not.toContain(canary)
    })
  )
})
