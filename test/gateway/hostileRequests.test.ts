/** Malicious and malformed requests: each gets a clean status, and none crashes the gateway or reveals a secret. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as FastCheck from "fast-check"
import { connect } from "node:net"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually } from "../support/eventually.js"
import type { Running } from "./support/gateway.js"
import { canary, start } from "./support/gateway.js"
import type { Protocol } from "./support/http.js"
import { paths, post, question, send } from "./support/http.js"

const protocols = Object.keys(paths) as ReadonlyArray<Protocol>

/** Sends raw bytes, and returns everything that is received until the connection closes. */
const raw = (url: string, bytes: string | Uint8Array): Effect.Effect<string> =>
  Effect.async((resume) => {
    let text = ""
    const socket = connect(Number(new URL(url).port), "127.0.0.1")
    const done = (): void => {
      socket.destroy()
      resume(Effect.succeed(text))
    }
    socket.on("data", (piece) => {
      text += piece.toString("latin1")
    })
    socket.on("close", done)
    socket.on("error", done)
    socket.write(bytes)
  })

const access = { adminToken: "admin-token", keys: [{ key: "sk-a", label: "a", models: ["openai/*"] }] }

const authorization = "Bearer sk-a"

/** A schema of nested objects, and the text of a value that matches it. */
const nested = (depth: number): { readonly schema: string; readonly value: string } => ({
  schema: `${'{"type":"object","properties":{"a":'.repeat(depth)}{"type":"string"}${"}}".repeat(depth)}`,
  value: `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`
})

/** Requests with deep nesting in each place where the protocol accepts nested data. */
const deepRequests = (protocol: Protocol, depth: number): ReadonlyArray<readonly [string, string]> => {
  const { schema, value } = nested(depth)
  const tools = {
    "chat completions": `[{"type":"function","function":{"name":"f","parameters":${schema}}}]`,
    responses: `[{"type":"function","name":"f","parameters":${schema}}]`,
    messages: `[{"name":"f","input_schema":${schema}}]`
  }[protocol]
  const format = {
    "chat completions": `{"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":${schema}}}}`,
    responses: `{"text":{"format":{"type":"json_schema","name":"r","schema":${schema}}}}`,
    messages: `{"output_config":{"format":{"type":"json_schema","schema":${schema}}}}`
  }[protocol]
  const args = JSON.stringify(value)
  const call = {
    "chat completions": `{"messages":[{"role":"user","content":"?"},{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":${args}}}]},{"role":"tool","tool_call_id":"a","content":"x"}]}`,
    responses: `{"input":[{"type":"function_call","call_id":"a","name":"f","arguments":${args}},{"type":"function_call_output","call_id":"a","output":"x"}]}`,
    messages: `{"messages":[{"role":"user","content":"?"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":${value}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"x"}]}]}`
  }[protocol]
  const content =
    protocol === "responses"
      ? `{"input":[{"role":"user","content":${value}}]}`
      : `{"messages":[{"role":"user","content":${value}}]}`
  const base = JSON.stringify(question(protocol, "openai/large")).slice(0, -1)
  return [
    ["metadata", `${base},"metadata":{"a":${value}}}`],
    ["the schema of a tool", `${base},"tools":${tools}}`],
    ["the schema of the answer", `${base},${format.slice(1)}`],
    ["the arguments of an earlier call", `${base},${call.slice(1)}`],
    ["the content of a message", `${base},${content.slice(1)}`]
  ]
}

/** Expects that the gateway still answers, that no request is left at the provider, and that no text contains a secret. */
const expectHealthy = ({ provider, url }: Running, texts: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { status } = yield* post(`${url}/v1/chat/completions`, question("chat completions", "openai/large"), {
      authorization
    })
    expect(status).toBe(200)
    yield* eventually(Effect.map(provider.inFlight, (requests) => requests === 0))
    for (const text of texts) {
      expect(text).not.toContain(canary)
      expect(text).not.toContain("admin-token")
      expect(text).not.toMatch(/node_modules|\bat \w+ \(|\.ts:\d/)
    }
  })

describe.concurrent.each(protocols)("hostile bodies by %s", (protocol) => {
  const bodies: ReadonlyArray<readonly [string, string | Uint8Array<ArrayBuffer>]> = [
    ["empty", ""],
    ["blanks", "  \n "],
    ["truncated JSON", "{"],
    ["a list", "[]"],
    ["null", "null"],
    ["a number", "1e999"],
    ["invalid UTF-8", Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d)],
    ["a truncated character", Uint8Array.from(Buffer.from('{"model":"é"}').subarray(0, 11))],
    ["an empty object", "{}"],
    ["null fields", '{"model":null,"messages":null,"input":null}'],
    ["a model that is not a string", JSON.stringify({ ...question(protocol, "openai/large"), model: { $ne: 1 } })],
    ["messages that are not a list", JSON.stringify({ model: "openai/large", messages: 7, input: 7, max_tokens: 1 })],
    [
      "an unknown role",
      JSON.stringify({
        model: "openai/large",
        messages: [{ role: "root", content: "" }],
        input: [{ role: "root", content: "" }],
        max_tokens: 1
      })
    ],
    ["numbers out of range", JSON.stringify(question(protocol, "openai/large", { temperature: -5, top_p: 7 }))],
    ["a prototype", `{"__proto__":{"model":"openai/large"},"constructor":{"prototype":{}}}`],
    ["tools that are not a list", JSON.stringify(question(protocol, "openai/large", { tools: "rm -rf" }))],
    ["unclosed nested lists", "[".repeat(100_000)],
    ["deeply nested lists", `{"model":"openai/large","x":${"[".repeat(50_000)}${"]".repeat(50_000)}}`]
  ]

  it.scopedLive("answers 400 in the format of the protocol to an invalid body", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const texts: Array<string> = []
      for (const [what, body] of bodies) {
        const { json, status, text } = yield* send(gateway.url + paths[protocol], {
          method: "POST",
          headers: { authorization },
          body
        })
        expect(status, what).toBe(400)
        expect(json, what).toMatchObject(
          protocol === "messages"
            ? { type: "error", error: { type: "invalid_request_error" } }
            : { error: { type: "invalid_request_error" } }
        )
        texts.push(text)
      }
      yield* expectHealthy(gateway, texts)
      expect(yield* gateway.provider.log).toHaveLength(1)
    })
  )

  it.scopedLive("answers 400 to a body that is nested too deeply, wherever it is nested", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const texts: Array<string> = []
      for (const depth of [1000, 20_000]) {
        for (const [where, body] of deepRequests(protocol, depth)) {
          const { json, status, text } = yield* send(gateway.url + paths[protocol], {
            method: "POST",
            headers: { authorization },
            body
          })
          expect(status, where).toBe(400)
          expect(json, where).toMatchObject({ error: { type: "invalid_request_error" } })
          expect(text, where).toContain("nested deeper than")
          texts.push(text)
        }
      }
      yield* expectHealthy(gateway, texts)
    })
  )

  it.scopedLive("never answers 500 to arbitrary JSON", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const texts: Array<string> = []
      const values = FastCheck.sample(FastCheck.object({ maxDepth: 4 }), { numRuns: 40, seed: 7 })
      for (const value of values) {
        const body = { ...question(protocol, "openai/large"), ...value }
        const { status, text } = yield* post(gateway.url + paths[protocol], body, { authorization })
        expect(status).toBeLessThan(500)
        texts.push(text)
      }
      yield* expectHealthy(gateway, texts)
    })
  )

  it.scopedLive("answers 200 or 400 to an unknown field that is nested 20,000 levels deep", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`
      const text = JSON.stringify(question(protocol, "openai/large", { deep: "DEEP" })).replace('"DEEP"', deep)
      const answer = yield* send(gateway.url + paths[protocol], {
        method: "POST",
        headers: { authorization },
        body: text
      })
      expect([200, 400]).toContain(answer.status)
      yield* expectHealthy(gateway, [answer.text])
    })
  )
})

describe.concurrent("hostile paths", () => {
  it.scopedLive("answers path traversal and malformed paths with an error status", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const texts: Array<string> = []
      for (const path of [
        "/v1/../admin/status",
        "/v1/%2e%2e/admin/status",
        "//admin/status",
        "/admin/status/",
        "/admin",
        "/ADMIN/STATUS",
        "/v1/models/%",
        "/v1/models/%00",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/v1/models/../../etc/passwd",
        "/v1/chat/completions/../../../etc/passwd",
        "http://evil.example/admin/status",
        "*",
        "/.env"
      ]) {
        const text = yield* raw(
          gateway.url,
          `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: ${authorization}\r\nconnection: close\r\n\r\n`
        )
        expect(text, path).toMatch(/^HTTP\/1\.1 (?:400|401|403|404|431) /)
        texts.push(text)
      }
      yield* expectHealthy(gateway, texts)
    })
  )

  it.scopedLive("answers 404 to a very long path with a short body", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const { status, text } = yield* send(`${gateway.url}/v1/models/${"a/".repeat(5000)}`, {
        headers: { authorization }
      })
      expect(status).toBe(404)
      expect(text.length).toBeLessThan(1000)
    })
  )

  it.scopedLive("answers 405 to other methods of a chat route", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      for (const method of ["GET", "PUT", "DELETE", "PATCH"]) {
        const { status } = yield* send(`${gateway.url}/v1/chat/completions`, { method, headers: { authorization } })
        expect(status).toBe(405)
      }
    })
  )
})

describe.concurrent("hostile headers", () => {
  const attacks: ReadonlyArray<readonly [string, string, RegExp]> = [
    ["a header split in an id", "x-request-id: a\r\nset-cookie: x=1", /^HTTP\/1\.1 200 (?!.*set-cookie)/s],
    ["a lone line feed", "x-request-id: a\nset-cookie: x=1", /^HTTP\/1\.1 (?:400|200) (?!.*set-cookie)/s],
    ["a zero byte", "x-request-id: a\0b", /^HTTP\/1\.1 400 /],
    ["a header that is too long", `x-long: ${"x".repeat(40_000)}`, /^HTTP\/1\.1 431 /],
    ["too many headers", Array.from({ length: 5000 }, (_, n) => `x-${n}: 1`).join("\r\n"), /^HTTP\/1\.1 (?:431|200) /],
    ["two content lengths", "content-length: 3", /^HTTP\/1\.1 400 /],
    ["request smuggling", "transfer-encoding: chunked", /^HTTP\/1\.1 400 /]
  ]

  it.scopedLive("resists header injection, oversized headers and request smuggling", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const body = JSON.stringify(question("chat completions", "openai/large"))
      const texts: Array<string> = []
      for (const [what, header, expected] of attacks) {
        const text = yield* raw(
          gateway.url,
          `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: ${authorization}\r\n${header}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`
        )
        expect(text, what).toMatch(expected)
        texts.push(text)
      }
      yield* expectHealthy(gateway, texts)
    })
  )

  it.scopedLive("keeps serving while 500 connections never finish their headers", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access, server: { headersTimeout: "3 seconds" } })
      const port = Number(new URL(gateway.url).port)
      const sockets = yield* Effect.acquireRelease(
        Effect.sync(() =>
          Array.from({ length: 500 }, () => {
            const socket = connect(port, "127.0.0.1")
            socket.on("error", () => {}).resume()
            socket.write("POST / HTTP/1.1\r\n")
            return socket
          })
        ),
        (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
      )
      yield* expectHealthy(gateway, [])
      yield* eventually(Effect.sync(() => sockets.every((socket) => socket.destroyed)))
    })
  )
})

describe.concurrent("secrets in provider errors", () => {
  it.scopedLive("never shows a client the provider's key, whatever the provider returns", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const texts: Array<string> = []
      const S = SimulatedProvider
      const leak = { message: `Incorrect API key provided: ${canary}.` }
      for (const fault of [
        S.status(400, leak),
        S.status(404, leak),
        S.status(422, leak),
        S.status(500, leak),
        S.errorEvent(2, leak),
        S.garbage,
        S.reset(),
        S.reset(4),
        S.truncate(3),
        S.brokenEvent(3),
        S.status(401, leak)
      ]) {
        for (const protocol of protocols) {
          for (const stream of [false, true]) {
            yield* gateway.provider.next(fault)
            const { headers, text } = yield* post(
              gateway.url + paths[protocol],
              question(protocol, "openai/large", { stream }),
              { authorization }
            )
            texts.push(text, JSON.stringify([...headers]))
          }
        }
      }
      for (const text of texts) expect(text).not.toContain(canary)
      expect(texts.some((text) => text.includes("provider"))).toBe(true)
    })
  )
})

describe.concurrent("many messages", () => {
  it.scopedLive("counts the tokens of 150,000 messages", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const messages = Array.from({ length: 150_000 }, (_, index) => ({
        role: index % 2 === 0 ? "user" : "assistant",
        content: "a"
      }))
      const { json, status } = yield* post(`${url}/v1/messages/count_tokens`, { model: "openai/large", messages })
      expect(status).toBe(200)
      expect(json).toEqual({ input_tokens: 5 * 150_000 + 3 })
    })
  )
})
