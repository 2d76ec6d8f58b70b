/** What every response has (request ids, security and CORS headers), and limits on request bodies. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger, LogLevel } from "effect"
import { request } from "node:http"
import { connect } from "node:net"
import { AccessLog } from "../../src/index.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { canary, start } from "./support/gateway.js"
import type { Protocol } from "./support/http.js"
import { paths, post, question, send } from "./support/http.js"

const chat = question("chat completions", "fast")

describe("response headers", () => {
  it.scopedLive("adds security headers to every response, whatever its status", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ access: { keys: [{ key: "sk-a" }] } })
      const authorization = "Bearer sk-a"
      const answers = yield* Effect.all([
        post(`${url}/v1/chat/completions`, chat, { authorization }),
        post(`${url}/v1/chat/completions`, chat),
        send(`${url}/nowhere`),
        send(`${url}/admin/status`)
      ])
      expect(answers.map(({ status }) => status)).toEqual([200, 401, 404, 401])
      for (const { headers } of answers) {
        expect(headers.get("x-content-type-options")).toBe("nosniff")
        expect(headers.get("x-frame-options")).toBe("DENY")
        expect(headers.get("cache-control")).toBe("no-store")
        expect(headers.get("content-security-policy")).toContain("default-src 'none'")
        expect(headers.get("access-control-allow-origin")).toBeNull()
        expect(headers.get("x-powered-by")).toBeNull()
      }
    })
  )

  it.scopedLive("returns the client's x-request-id, or a new id when it is missing or unsafe", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const idFor = (headers: Readonly<Record<string, string>>) =>
        Effect.map(post(`${url}/v1/chat/completions`, chat, headers), (answer) => answer.headers.get("x-request-id"))
      expect(yield* idFor({ "x-request-id": "mine-7" })).toBe("mine-7")
      const generated = yield* idFor({})
      expect(generated).toMatch(/^req_[0-9a-f]{32}$/)
      expect(yield* idFor({})).not.toBe(generated)
      for (const id of ["a b", "x".repeat(129), "<script>", "a,b"]) {
        expect(yield* idFor({ "x-request-id": id })).toMatch(/^req_/)
      }
    })
  )

  it.scopedLive("writes the request id to the access log, whole and streamed", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => {
        lines.push(String(message))
      })
      const { url } = yield* start({
        gateway: { around: AccessLog.middleware({ format: "json" }) },
        logLevel: LogLevel.Info
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      for (const stream of [false, true]) {
        yield* post(`${url}/v1/chat/completions`, { ...chat, stream }, { "x-request-id": `mine-${stream}` })
      }
      const ids = lines
        .filter((line) => line.startsWith("{"))
        .map((line) => (JSON.parse(line) as { request_id: string }).request_id)
      expect(ids).toEqual(["mine-false", "mine-true"])
    })
  )
})

describe("operator log", () => {
  for (const stream of [false, true]) {
    it.scopedLive(
      `logs a provider error under the request id and hides it from the client${stream ? ", midway in a stream" : ""}`,
      () =>
        Effect.gen(function* () {
          const lines: Array<string> = []
          const logger = Logger.map(Logger.logfmtLogger, (line) => {
            lines.push(line)
          })
          const { provider, url } = yield* start({
            logLevel: LogLevel.Warning,
            provider: { answer: () => "one two three four five" }
          }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
          yield* provider.next(stream ? SimulatedProvider.truncate(4) : SimulatedProvider.status(401))
          const { text } = yield* post(`${url}/v1/chat/completions`, { ...chat, stream }, { "x-request-id": "mine-7" })
          const line = lines.find((line) => line.includes("mine-7")) ?? ""
          expect(line).toContain(stream ? "StreamInterruptedError" : "AuthenticationError")
          expect(line).toContain("level=WARN")
          expect(line).not.toContain(canary)
          expect(text).not.toContain("Simulated")
        })
    )
  }
})

describe("CORS", () => {
  it.scopedLive("sends CORS headers to allowed origins, also on errors", () =>
    Effect.gen(function* () {
      const { url } = yield* start({
        access: { keys: [{ key: "sk-a" }] },
        gateway: { cors: { allowedOrigins: ["https://app.example"] } }
      })
      const preflight = yield* send(`${url}/v1/chat/completions`, {
        method: "OPTIONS",
        headers: { origin: "https://app.example", "access-control-request-method": "POST" }
      })
      expect(preflight.status).toBe(204)
      expect(preflight.headers.get("access-control-allow-origin")).toBe("https://app.example")
      const refused = yield* post(`${url}/v1/chat/completions`, chat, { origin: "https://app.example" })
      expect(refused.status).toBe(401)
      expect(refused.headers.get("access-control-allow-origin")).toBe("https://app.example")
    })
  )
})

describe.concurrent("request body limits", () => {
  const limit = 10_000

  for (const protocol of Object.keys(paths) as ReadonlyArray<Protocol>) {
    it.scopedLive(`answers 413 to a ${protocol} body that is too large, with or without content-length`, () =>
      Effect.gen(function* () {
        const { provider, url } = yield* start({ gateway: { maxBodySize: limit } })
        const body = (length: number) => {
          const text = JSON.stringify(question(protocol, "fast", { user: "" }))
          return protocol === "messages"
            ? JSON.stringify(question(protocol, "fast", { system: "x".repeat(length) }))
            : text.replace('"user":""', `"user":"${"x".repeat(length)}"`)
        }
        const withLength = yield* send(url + paths[protocol], { method: "POST", body: body(limit) })
        expect(withLength.status).toBe(413)
        expect(withLength.headers.get("connection")).toBe("close")
        expect(JSON.stringify(withLength.json)).toContain("error")
        const withoutLength = yield* Effect.async<number>((resume) => {
          const clientRequest = request(url + paths[protocol], { method: "POST" }, (response) => {
            response.resume()
            resume(Effect.succeed(response.statusCode ?? 0))
          })
          clientRequest.on("error", () => {})
          for (let sent = 0; sent < 50; sent++) clientRequest.write("x".repeat(1000))
          clientRequest.end()
        })
        expect(withoutLength).toBe(413)
        expect((yield* send(url + paths[protocol], { method: "POST", body: body(limit / 2) })).status).toBe(200)
        expect(yield* provider.log).toHaveLength(1)
      })
    )
  }

  it.scopedLive("answers 415 to a compressed body", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const { status } = yield* post(`${url}/v1/chat/completions`, chat, { "content-encoding": "gzip" })
      expect(status).toBe(415)
    })
  )

  it.scopedLive("answers 408 and closes the connection when the body exceeds requestTimeout", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ server: { requestTimeout: "300 millis", headersTimeout: "200 millis" } })
      const answer = yield* Effect.async<string>((resume) => {
        let text = ""
        const socket = connect(Number(new URL(url).port), "127.0.0.1")
        socket.on("data", (piece) => {
          text += piece.toString()
        })
        socket.on("close", () => resume(Effect.succeed(text)))
        socket.write("POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{")
      })
      expect(answer).toMatch(/^HTTP\/1\.1 408/)
    })
  )

  it.scopedLive("answers 408 and closes the connection when the headers exceed headersTimeout", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ server: { headersTimeout: "200 millis" } })
      const answer = yield* Effect.async<string>((resume) => {
        let text = ""
        const socket = connect(Number(new URL(url).port), "127.0.0.1")
        socket.on("data", (piece) => {
          text += piece.toString()
        })
        socket.on("close", () => resume(Effect.succeed(text)))
        socket.write("POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ")
      })
      expect(answer).toMatch(/^HTTP\/1\.1 408/)
    })
  )
})
