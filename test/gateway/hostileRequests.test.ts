/** What no client would send: always a clean status, never a crash, a secret, or what belongs to others. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import { connect } from "node:net"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually } from "../support/eventually.js"
import type { Running } from "./support/gateway.js"
import { canary, start } from "./support/gateway.js"
import type { Spoken } from "./support/http.js"
import { paths, post, question, send } from "./support/http.js"

const spoken = Object.keys(paths) as ReadonlyArray<Spoken>

/** Bytes as they are, and all that comes back until the connection ends. */
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

/** A schema of objects in objects, and the text of such a value. */
const nested = (depth: number): { readonly schema: string; readonly value: string } => ({
  schema: `${'{"type":"object","properties":{"a":'.repeat(depth)}{"type":"string"}${"}}".repeat(depth)}`,
  value: `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`
})

/** Requests that hold something nested deeply in each place that the protocol has for it. */
const deepRequests = (spoken: Spoken, depth: number): ReadonlyArray<readonly [string, string]> => {
  const { schema, value } = nested(depth)
  const tools = {
    "chat completions": `[{"type":"function","function":{"name":"f","parameters":${schema}}}]`,
    responses: `[{"type":"function","name":"f","parameters":${schema}}]`,
    messages: `[{"name":"f","input_schema":${schema}}]`
  }[spoken]
  const format = {
    "chat completions": `{"response_format":{"type":"json_schema","json_schema":{"name":"r","schema":${schema}}}}`,
    responses: `{"text":{"format":{"type":"json_schema","name":"r","schema":${schema}}}}`,
    messages: `{"output_config":{"format":{"type":"json_schema","schema":${schema}}}}`
  }[spoken]
  const args = JSON.stringify(value)
  const call = {
    "chat completions": `{"messages":[{"role":"user","content":"?"},{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":${args}}}]},{"role":"tool","tool_call_id":"a","content":"x"}]}`,
    responses: `{"input":[{"type":"function_call","call_id":"a","name":"f","arguments":${args}},{"type":"function_call_output","call_id":"a","output":"x"}]}`,
    messages: `{"messages":[{"role":"user","content":"?"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":${value}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"x"}]}]}`
  }[spoken]
  const content =
    spoken === "responses"
      ? `{"input":[{"role":"user","content":${value}}]}`
      : `{"messages":[{"role":"user","content":${value}}]}`
  const base = JSON.stringify(question(spoken, "openai/large")).slice(0, -1)
  return [
    ["metadata", `${base},"metadata":{"a":${value}}}`],
    ["the schema of a tool", `${base},"tools":${tools}}`],
    ["the schema of the answer", `${base},${format.slice(1)}`],
    ["the arguments of an earlier call", `${base},${call.slice(1)}`],
    ["the content of a message", `${base},${content.slice(1)}`]
  ]
}

/** It still answers, holds nothing, and has said nothing that it should not. */
const isWell = ({ provider, url }: Running, said: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { status } = yield* post(`${url}/v1/chat/completions`, question("chat completions", "openai/large"), {
      authorization
    })
    expect(status).toBe(200)
    yield* eventually(Effect.map(provider.inFlight, (requests) => requests === 0))
    for (const text of said) {
      expect(text).not.toContain(canary)
      expect(text).not.toContain("admin-token")
      expect(text).not.toMatch(/node_modules|\bat \w+ \(|\.ts:\d/)
    }
  })

describe.concurrent.each(spoken)("hostile bodies by %s", (spoken) => {
  const bodies: ReadonlyArray<readonly [string, string | Uint8Array<ArrayBuffer>]> = [
    ["that is empty", ""],
    ["of blanks", "  \n "],
    ["that is no JSON", "{"],
    ["that is a list", "[]"],
    ["that is null", "null"],
    ["that is a number", "1e999"],
    ["of bytes that are not UTF-8", Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d)],
    ["of half a character", Uint8Array.from(Buffer.from('{"model":"é"}').subarray(0, 11))],
    ["that is an empty object", "{}"],
    ["with everything null", '{"model":null,"messages":null,"input":null}'],
    ["with a model that is no text", JSON.stringify({ ...question(spoken, "openai/large"), model: { $ne: 1 } })],
    ["with messages that are none", JSON.stringify({ model: "openai/large", messages: 7, input: 7, max_tokens: 1 })],
    [
      "with a role that there is not",
      JSON.stringify({
        model: "openai/large",
        messages: [{ role: "root", content: "" }],
        input: [{ role: "root", content: "" }],
        max_tokens: 1
      })
    ],
    ["with numbers out of range", JSON.stringify(question(spoken, "openai/large", { temperature: -5, top_p: 7 }))],
    ["with a prototype", `{"__proto__":{"model":"openai/large"},"constructor":{"prototype":{}}}`],
    ["with tools that are none", JSON.stringify(question(spoken, "openai/large", { tools: "rm -rf" }))],
    ["nested without end", "[".repeat(100_000)],
    ["nested deep", `{"model":"openai/large","x":${"[".repeat(50_000)}${"]".repeat(50_000)}}`]
  ]

  it.scopedLive("answers 400 in the format of the protocol to an invalid body", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const said: Array<string> = []
      for (const [what, body] of bodies) {
        const { json, status, text } = yield* send(gateway.url + paths[spoken], {
          method: "POST",
          headers: { authorization },
          body
        })
        expect(status, what).toBe(400)
        expect(json, what).toMatchObject(
          spoken === "messages"
            ? { type: "error", error: { type: "invalid_request_error" } }
            : { error: { type: "invalid_request_error" } }
        )
        said.push(text)
      }
      yield* isWell(gateway, said)
      expect(yield* gateway.provider.log).toHaveLength(1)
    })
  )

  it.scopedLive("answers 400 to a body that is nested too deeply, wherever it is nested", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const said: Array<string> = []
      for (const depth of [1000, 20_000]) {
        for (const [where, body] of deepRequests(spoken, depth)) {
          const { json, status, text } = yield* send(gateway.url + paths[spoken], {
            method: "POST",
            headers: { authorization },
            body
          })
          expect(status, where).toBe(400)
          expect(json, where).toMatchObject({ error: { type: "invalid_request_error" } })
          expect(text, where).toContain("nested deeper than")
          said.push(text)
        }
      }
      yield* isWell(gateway, said)
    })
  )

  it.scopedLive("never answers 500 to arbitrary JSON", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const said: Array<string> = []
      const values = FastCheck.sample(FastCheck.object({ maxDepth: 4 }), { numRuns: 40, seed: 7 })
      for (const value of values) {
        const body = { ...question(spoken, "openai/large"), ...value }
        const { status, text } = yield* post(gateway.url + paths[spoken], body, { authorization })
        expect(status).toBeLessThan(500)
        said.push(text)
      }
      yield* isWell(gateway, said)
    })
  )

  it.scopedLive("answers 200 or 400 to an unknown field that is nested 20,000 levels deep", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`
      const text = JSON.stringify(question(spoken, "openai/large", { deep: "DEEP" })).replace('"DEEP"', deep)
      const answer = yield* send(gateway.url + paths[spoken], {
        method: "POST",
        headers: { authorization },
        body: text
      })
      expect([200, 400]).toContain(answer.status)
      yield* isWell(gateway, [answer.text])
    })
  )
})

describe.concurrent("hostile paths", () => {
  it.scopedLive("answers path traversal and malformed paths with an error status", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const said: Array<string> = []
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
        said.push(text)
      }
      yield* isWell(gateway, said)
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
    ["that are split by an id", "x-request-id: a\r\nset-cookie: x=1", /^HTTP\/1\.1 200 (?!.*set-cookie)/s],
    ["with a line feed alone", "x-request-id: a\nset-cookie: x=1", /^HTTP\/1\.1 (?:400|200) (?!.*set-cookie)/s],
    ["with a zero byte", "x-request-id: a\0b", /^HTTP\/1\.1 400 /],
    ["that are too long", `x-long: ${"x".repeat(40_000)}`, /^HTTP\/1\.1 431 /],
    ["that are too many", Array.from({ length: 5000 }, (_, n) => `x-${n}: 1`).join("\r\n"), /^HTTP\/1\.1 (?:431|200) /],
    ["that say two lengths", "content-length: 3", /^HTTP\/1\.1 400 /],
    ["that smuggle", "transfer-encoding: chunked", /^HTTP\/1\.1 400 /]
  ]

  it.scopedLive("resists header injection, oversized headers and request smuggling", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const body = JSON.stringify(question("chat completions", "openai/large"))
      const said: Array<string> = []
      for (const [what, header, expected] of attacks) {
        const text = yield* raw(
          gateway.url,
          `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: ${authorization}\r\n${header}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`
        )
        expect(text, what).toMatch(expected)
        said.push(text)
      }
      yield* isWell(gateway, said)
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
      yield* isWell(gateway, [])
      yield* eventually(Effect.sync(() => sockets.every((socket) => socket.destroyed)))
    })
  )
})

describe.concurrent("secrets in provider errors", () => {
  it.scopedLive("never shows a client the provider's key, whatever the provider returns", () =>
    Effect.gen(function* () {
      const gateway = yield* start({ access })
      const said: Array<string> = []
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
        for (const protocol of spoken) {
          for (const stream of [false, true]) {
            yield* gateway.provider.next(fault)
            const { headers, text } = yield* post(
              gateway.url + paths[protocol],
              question(protocol, "openai/large", { stream }),
              { authorization }
            )
            said.push(text, JSON.stringify([...headers]))
          }
        }
      }
      for (const text of said) expect(text).not.toContain(canary)
      expect(said.some((text) => text.includes("provider"))).toBe(true)
    })
  )
})
