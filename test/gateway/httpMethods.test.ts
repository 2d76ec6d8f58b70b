/** Methods that a path does not have, HEAD and OPTIONS. */
import { HttpRouter, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "./support/gateway.js"
import { post, send } from "./support/http.js"

const access = { keys: [{ key: "sk-a" }] }

describe("method not allowed", () => {
  it.scopedLive("answers 405 with an allow header, in the error format of the protocol", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start({ access })
      const ask = (method: string, path: string) =>
        Effect.map(send(`${url}${path}`, { method }), ({ headers, json, status }) => ({
          status,
          allow: headers.get("allow"),
          json
        }))
      expect(yield* ask("GET", "/v1/chat/completions")).toEqual({
        status: 405,
        allow: "POST, OPTIONS",
        json: {
          error: {
            message: "/v1/chat/completions does not take GET. Send POST.",
            type: "invalid_request_error",
            param: null,
            code: "method_not_allowed"
          }
        }
      })
      expect(yield* ask("PUT", "/v1/messages?beta=true")).toEqual({
        status: 405,
        allow: "POST, OPTIONS",
        json: {
          type: "error",
          error: { type: "invalid_request_error", message: "/v1/messages does not take PUT. Send POST." }
        }
      })
      expect(yield* ask("DELETE", "/llm/chat")).toEqual({
        status: 405,
        allow: "POST, OPTIONS",
        json: { error: "/llm/chat does not take DELETE. Send POST." }
      })
      expect(yield* ask("PUT", "/admin/keys")).toMatchObject({
        allow: "GET, POST, HEAD, OPTIONS",
        json: { error: { message: "/admin/keys does not take PUT. Send GET or POST." } }
      })
      for (const [method, path, allow] of [
        ["POST", "/v1/models", "GET, HEAD, OPTIONS"],
        ["PATCH", "/v1/models/openai/large", "GET, HEAD, OPTIONS"],
        ["PROPFIND", "/metrics", "GET, HEAD, OPTIONS"],
        ["GET", "/admin/keys/team-a", "PUT, DELETE, OPTIONS"],
        ["POST", "/health", "GET, HEAD, OPTIONS"]
      ] as const) {
        expect([path, yield* ask(method, path)]).toMatchObject([path, { status: 405, allow }])
      }
      expect((yield* ask("POST", "/nowhere")).status).toBe(404)
      expect(yield* provider.log).toEqual([])
    })
  )

  it.scopedLive("answers 405 on extra routers, except for routes that accept all methods", () =>
    Effect.gen(function* () {
      const router = HttpRouter.empty.pipe(
        HttpRouter.get("/own", HttpServerResponse.text("own")),
        HttpRouter.all("/any", HttpServerResponse.text("any"))
      )
      const { url } = yield* start({ gateway: { routers: [router] } })
      const refused = yield* post(`${url}/own`, {})
      expect([refused.status, refused.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"])
      expect((yield* send(`${url}/any`, { method: "OPTIONS" })).text).toBe("any")
    })
  )
})

describe("HEAD", () => {
  it.scopedLive("answers HEAD with the status and content type of GET and without a body", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ access })
      const head = (path: string, headers: Readonly<Record<string, string>> = {}) =>
        Effect.map(send(`${url}${path}`, { method: "HEAD", headers }), ({ headers, status, text }) => [
          status,
          headers.get("content-type"),
          text
        ])
      const authorization = "Bearer sk-a"
      expect(yield* head("/v1/models", { authorization })).toEqual([200, "application/json", ""])
      expect(yield* head("/v1/models/fast", { authorization })).toEqual([200, "application/json", ""])
      expect(yield* head("/health")).toEqual([200, "application/json", ""])
      expect(yield* head("/v1/models")).toEqual([401, "application/json", ""])
      expect(yield* head("/v1/chat/completions")).toEqual([405, "application/json", ""])
    })
  )
})

describe("OPTIONS", () => {
  it.scopedLive("answers OPTIONS with the allowed methods, and with 404 for an unknown path", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ access })
      const options = (path: string) =>
        Effect.map(send(`${url}${path}`, { method: "OPTIONS" }), ({ headers, status }) => [
          status,
          headers.get("allow"),
          headers.get("access-control-allow-origin")
        ])
      expect(yield* options("/v1/chat/completions")).toEqual([204, "POST, OPTIONS", null])
      expect(yield* options("/v1/models")).toEqual([204, "GET, HEAD, OPTIONS", null])
      expect(yield* options("/nowhere")).toEqual([404, null, null])
    })
  )

  it.scopedLive("answers a CORS preflight of an allowed origin with 204", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ access, gateway: { cors: { allowedOrigins: ["https://app.example"] } } })
      const { headers, status } = yield* send(`${url}/v1/chat/completions`, {
        method: "OPTIONS",
        headers: { origin: "https://app.example", "access-control-request-method": "POST" }
      })
      expect([status, headers.get("access-control-allow-origin")]).toEqual([204, "https://app.example"])
    })
  )
})
