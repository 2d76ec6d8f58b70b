/** Bodies, failures and streams of the hot routes, on every server. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger, LogLevel } from "effect"
import { LLM } from "../../src/index.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually } from "../support/eventually.js"
import { makeGate } from "./support/gateway.js"
import { question } from "./support/http.js"
import * as Servers from "./support/servers.js"

const { ask, read, routes } = Servers

const chatPath = "/v1/chat/completions"

const chat = (fields: Readonly<Record<string, unknown>> = {}) => question("chat completions", "openai/large", fields)

describe.each(Servers.all)("sizes and encodings of bodies on %s", (name) => {
  const limit = 10_000

  it.scopedLive(
    "answers 413 to bodies above maxBodySize, whose size is declared or not, and serves the next request",
    () =>
      Effect.gen(function* () {
        const served = yield* Servers.start(name, { gateway: { maxBodySize: limit } })
        const padding = "x".repeat(limit)
        const pieces = Array.from({ length: 20 }, () => new TextEncoder().encode(padding.slice(0, 1000)))
        for (const { body, path } of routes) {
          const declared = yield* ask(served, path, { ...body, padding })
          expect([path, declared.status]).toEqual([path, 413])
          const undeclared = yield* Effect.promise(async () => {
            const body = new Blob(pieces).stream()
            const init: RequestInit & { duplex: "half" } = { method: "POST", body, duplex: "half" }
            const response = await served.fetch(served.url + path, init)
            return { status: response.status, text: await response.text() }
          })
          expect([path, undeclared.status]).toEqual([path, 413])
          expect(undeclared.text).toContain(`${limit} bytes`)
          expect((yield* ask(served, path, body)).status).toBe(200)
        }
      })
  )

  it.scopedLive("answers 415 to a content encoding, before the body is read", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name)
      for (const { body, path } of routes) {
        for (const encoding of ["gzip", "br", "identity, gzip", "\u00e9"]) {
          const answer = yield* ask(served, path, body, { "content-encoding": encoding })
          expect([path, answer.status]).toEqual([path, 415])
        }
        expect((yield* ask(served, path, body, { "content-encoding": "identity" })).status).toBe(200)
      }
    })
  )

  it.scopedLive("answers 400 to bodies that are no JSON object, with the same text on every server", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name)
      const bodies: ReadonlyArray<readonly [string | Uint8Array<ArrayBuffer>, RegExp]> = [
        ["", /The request has no body\./],
        ["{", /The body is not JSON in UTF-8\./],
        ["\u0000", /The body is not JSON in UTF-8\./],
        [Uint8Array.of(0x7b, 0xff, 0x7d), /The body is not JSON in UTF-8\./],
        ["[]", /The body is not a JSON object\./],
        ["null", /The body is not a JSON object\./],
        ["1e999", /The body is not a JSON object\./],
        [`{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}`, /Invalid value for 'a/]
      ]
      for (const { path } of routes) {
        for (const [body, expected] of bodies) {
          const answer = yield* ask(served, path, body)
          expect([path, answer.status, answer.text]).toEqual([path, 400, expect.stringMatching(expected)])
          expect(answer.headers.get("content-type")).toBe("application/json")
        }
        const none = yield* Servers.request(served, "POST", path)
        expect([path, none.status, none.text]).toEqual([path, 400, expect.stringContaining("The request has no body.")])
      }
      expect(yield* served.provider.log).toEqual([])
    })
  )

  it.scopedLive("answers below 500 to values of wrong types and to hostile names of fields", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name)
      const values = [null, true, -1, 1e308, "", "\ud800", "\r\nset-cookie: a=b", [], [[]], {}, { a: { b: [null] } }]
      const names = ["\ud800", "\r\nx: y", "é", "__proto__", "constructor", "", "x".repeat(2000)]
      for (const { body, path } of routes) {
        for (const value of values) {
          for (const field of Object.keys(body).concat("stream", "n", "tools", "stop")) {
            const answer = yield* ask(served, path, JSON.stringify({ ...body, [field]: value }))
            expect([path, field, value, answer.status < 500]).toEqual([path, field, value, true])
          }
        }
        for (const field of names) {
          // A model of another protocol, so that the fields are named in the headers of the response.
          const sent = { ...body, model: "anthropic/large" }
          const text = `${JSON.stringify(sent).slice(0, -1)},${JSON.stringify(field)}:1}`
          const answer = yield* ask(served, path, text)
          expect([path, field, answer.status < 500]).toEqual([path, field, true])
          expect(answer.headers.get("x")).toBeNull()
        }
      }
    })
  )
})

describe.each(Servers.all)("failures inside the gateway on %s", (name) => {
  const failing =
    (effect: Effect.Effect<never>): LLM.Middleware =>
    (next) =>
      Effect.succeed(LLM.wrap(next, { around: () => effect }))

  for (const [what, effect] of [
    ["dies", Effect.die(new Error("a-secret-defect"))],
    ["is interrupted by itself", Effect.interrupt]
  ] as const) {
    it.scopedLive(`answers 500 without the cause when a middleware ${what}, whole and streamed`, () =>
      Effect.gen(function* () {
        const served = yield* Servers.start(name, { gateway: { around: failing(effect) } })
        for (const { body, path, streams } of routes.filter(({ path }) => !path.endsWith("count_tokens"))) {
          for (const sent of [body, ...(streams ? [{ ...body, stream: true }] : [])]) {
            const answer = yield* ask(served, path, sent)
            expect([path, answer.status, answer.text]).toEqual([path, 500, expect.stringContaining("Internal error")])
            expect(answer.text).not.toContain("a-secret-defect")
          }
        }
      })
    )
  }

  it.scopedLive("answers 502, and ends a stream with its error, when the logger of the program throws", () =>
    Effect.gen(function* () {
      const logger = Logger.make(({ logLevel }) => {
        if (logLevel === LogLevel.Warning) throw new Error("the disk of the log is full")
      })
      const served = yield* Servers.start(name, {
        logLevel: LogLevel.Info,
        access: { keys: [{ key: "sk-a" }] },
        provider: { answer: () => "one two three four five six seven" }
      }).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      yield* served.provider.next(SimulatedProvider.truncate(4), SimulatedProvider.status(401))
      const client = yield* read(served, chatPath, chat({ stream: true }), { "x-api-key": "sk-a" })
      const { isWhole, text } = yield* client.ended
      expect([isWhole, text.includes("stream_interrupted"), text.includes("[DONE]")]).toEqual([true, true, false])
      expect((yield* ask(served, chatPath, chat(), { "x-api-key": "sk-a" })).status).toBe(502)
    })
  )
})

describe.each(Servers.all)("streams on %s", (name) => {
  it.scopedLive("sends comments until the first event, and the events of n choices to the end", () =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      const served = yield* Servers.start(name, { gateway: { keepAlive: "20 millis", around: gate.around } })
      for (const n of [1, 3]) {
        yield* gate.close
        const client = yield* read(served, chatPath, chat({ stream: true, n }))
        yield* eventually(Effect.map(client.text, (text) => text.includes(": keep-alive\n\n: keep-alive\n\n")))
        yield* gate.open
        const { headers, isWhole, text } = yield* client.ended
        expect(headers.get("content-type")).toBe("text/event-stream; charset=utf-8")
        expect(headers.get("cache-control")).toBe("no-cache, no-transform")
        expect([isWhole, text.endsWith("data: [DONE]\n\n")]).toEqual([true, true])
        for (let index = 0; index < n; index++)
          expect(text).toMatch(new RegExp(`"index":${index}\\b.*"finish_reason":"stop"`))
      }
    })
  )

  it.scopedLive("ends a plain text stream that fails as cut off, and an event stream with an error event", () =>
    Effect.gen(function* () {
      const served = yield* Servers.start(name, { provider: { answer: () => "one two three four five six seven" } })
      yield* served.provider.next(SimulatedProvider.reset(4))
      const plain = yield* Effect.flatMap(read(served, "/llm/chat/stream", chat()), ({ ended }) => ended)
      expect([plain.status, plain.headers.get("content-type"), plain.isWhole]).toEqual([
        200,
        "text/plain; charset=utf-8",
        false
      ])
      yield* served.provider.next(SimulatedProvider.reset(4))
      const events = yield* Effect.flatMap(
        read(served, "/llm/chat/stream", chat(), { accept: "text/event-stream" }),
        ({ ended }) => ended
      )
      expect([events.isWhole, events.text.includes("event: error")]).toEqual([true, true])
    })
  )
})
