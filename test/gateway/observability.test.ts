/** Metrics, traces and the access log of a gateway, over sockets. */
import { describe, expect, it } from "@effect/vitest"
import { spanName } from "../../src/gateway/http/platform.js"
import * as Otlp from "@effect/opentelemetry/Otlp"
import { Effect, Layer, Logger } from "effect"
import * as AccessLog from "../../src/telemetry/AccessLog.js"
import * as Collector from "../support/collector.js"
import { read } from "../support/exposition.js"
import { post, send } from "./support/http.js"
import { serve } from "./support/serving.js"
import * as Transports from "../support/transports.js"

const file = (baseUrl: string) => ({
  watched: [{ model_name: "m", base_url: baseUrl, api_keys: ["canary-watched-55d1"], rate_limit_capacity: 100 }]
})

const body = { messages: [{ role: "user", content: "Hello" }], model: "watched/m" }

const admin = { authorization: "Bearer the-admins-token" }

describe("/metrics", () => {
  it.scopedLive("counts calls in the Prometheus text format", () =>
    Effect.gen(function* () {
      const { url } = yield* serve({ file, models: {} })
      yield* post(`${url}/v1/chat/completions`, body)
      const answer = yield* send(`${url}/metrics`)
      expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8")
      const requests = read(answer.text).find(({ name }) => name === "llm_requests_total")
      expect(requests?.samples.filter(({ labels }) => labels["provider"] === "watched")).toMatchObject([
        { labels: { model: "m", outcome: "ok" }, value: 1 }
      ])
      expect(answer.text).not.toContain("canary")
    })
  )

  it.scopedLive(
    "serves /metrics to loopback clients, the admin token and the metrics token, or to everyone if configured",
    () =>
      Effect.gen(function* () {
        const access = { adminToken: "the-admins-token", keys: [{ key: "sk-team" }] }
        const { url } = yield* serve({ file, access, gateway: { metrics: { token: "scrape-me" } } })
        const status = (at: string, headers: Readonly<Record<string, string>> = {}) =>
          Effect.map(send(`${at}/metrics`, { headers }), ({ status }) => status)
        const proxied = { "x-forwarded-for": "203.0.113.7" }
        expect(yield* status(url)).toBe(200)
        expect(yield* status(url, { origin: "https://elsewhere.example" })).toBe(401)
        expect(yield* status(url, proxied)).toBe(401)
        expect(yield* status(url, { ...proxied, "x-api-key": "sk-team" })).toBe(403)
        expect(yield* status(url, { ...proxied, ...admin })).toBe(200)
        expect(yield* status(url, { ...proxied, authorization: "Bearer scrape-me" })).toBe(200)
        expect((yield* send(`${url}/admin/status`, { headers: { authorization: "Bearer scrape-me" } })).status).toBe(
          403
        )
        const open = yield* serve({ file, access, gateway: { metrics: { readers: "everyone" } } })
        expect(yield* status(open.url, proxied)).toBe(200)
        const none = yield* serve({ file, access, gateway: { metrics: false } })
        expect(yield* status(none.url, admin)).toBe(404)
      })
  )
})

describe("traces", () => {
  it.scopedLive("continues the client's traceparent to the call and its attempts, whole and streamed", () =>
    Effect.gen(function* () {
      const collector = yield* Collector.make
      const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
      const parent = "00f067aa0ba902b7"
      yield* Effect.provide(
        Effect.scoped(
          Effect.gen(function* () {
            const { url } = yield* serve({ file, models: {} })
            const traced = { traceparent: `00-${traceId}-${parent}-01`, authorization: "Bearer canary-client-8a6f" }
            yield* post(`${url}/v1/chat/completions`, body, traced)
            yield* post(`${url}/v1/messages`, { ...body, max_tokens: 9, stream: true }, traced)
            yield* post(`${url}/llm/chat/stream`, body, traced)
            yield* send(`${url}/health`, { headers: traced })
          })
        ),
        Otlp.layerJson({ baseUrl: collector.url, resource: { serviceName: "gateway" } }).pipe(
          Layer.provide(Transports.direct)
        )
      )
      const spans = (yield* collector.spans).filter((span) => span.traceId === traceId)
      const below = (id: string) => spans.filter(({ parentSpanId }) => parentSpanId === id)
      const requests = below(parent)
      expect(requests.map(({ kind, name }) => [kind, name])).toEqual([1, 2, 3].map(() => [2, spanName("POST")]))
      for (const request of requests) {
        const calls = below(request.spanId)
        expect(calls.map(({ name }) => name)).toEqual(["chat m"])
        expect(below(calls[0]?.spanId ?? "").map(({ name }) => name)).toContain("attempt m")
      }
      expect(
        JSON.stringify(spans, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value))
      ).not.toContain("canary")
    })
  )
})

describe("access log", () => {
  it.scopedLive("writes one access log line for each call with its request id", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => lines.push(String(message)))
      const { url } = yield* serve({
        file,
        access: { keys: [{ key: "sk-team", label: "team" }] },
        gateway: { around: AccessLog.middleware({ format: "text", filter: ({ outcome }) => outcome === "ok" }) },
        logger: Logger.replace(Logger.defaultLogger, logger)
      })
      const mine = { "x-request-id": "mine-7", "x-api-key": "sk-team" }
      expect((yield* post(`${url}/v1/chat/completions`, body, mine)).headers.get("x-request-id")).toBe("mine-7")
      const other = yield* post(`${url}/llm/chat/stream`, body, { "x-api-key": "sk-team" })
      const generatedId = other.headers.get("x-request-id") ?? ""
      const calls = lines.filter((line) => line.startsWith("request_id="))
      expect(calls).toHaveLength(2)
      expect(calls[0]).toMatch(/^request_id=mine-7 label=team operation=chat streamed=false provider=watched model=m /)
      expect(calls[1]).toMatch(new RegExp(`^request_id=${generatedId} label=team operation=chat streamed=true `))
    })
  )
})
