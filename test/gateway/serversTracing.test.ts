/** The spans of requests of the hot routes, on every server. */
import type { HttpServerRequest } from "@effect/platform"
import { HttpMiddleware } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option, Tracer } from "effect"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually } from "../support/eventually.js"
import { makeGate } from "./support/gateway.js"
import { question } from "./support/http.js"
import * as Servers from "./support/servers.js"
import { withSpanHeaders } from "./support/spanHeaders.js"

const path = "/v1/chat/completions"

const chat = (fields: Readonly<Record<string, unknown>> = {}) => question("chat completions", "openai/large", fields)

const traceId = "0af7651916cd43dd8448eb211c80319c"

const traceparent = `00-${traceId}-b7ad6b7169203331-01`

/** A tracer that keeps its spans. */
const recordSpans = Effect.map(Effect.tracer, (tracer) => {
  const spans: Array<Tracer.Span> = []
  const recording = Tracer.make({
    span: (...options) => {
      const span = tracer.span(...options)
      spans.push(span)
      return span
    },
    context: tracer.context
  })
  const ended = (count: number) =>
    Effect.as(
      eventually(Effect.sync(() => requests().filter(({ status }) => status._tag === "Ended").length === count)),
      requests
    )
  const requests = (): ReadonlyArray<Tracer.Span> => spans.filter(({ kind }) => kind === "server")
  return { spans, recording, requests, ended }
})

/** What differs from one request to the next. */
const changing = (name: string, value: unknown): unknown =>
  name === "url.full"
    ? String(value).replace(/:\d+/, "")
    : /^server\.port$|\.header\.(?:host|date|content-length)$/.test(name)
      ? ""
      : value

const sent = {
  authorization: "Bearer sk-a",
  "x-api-key": "sk-b",
  "api-key": "sk-a",
  "x-goog-api-key": "sk-c",
  cookie: "a=b",
  "user-agent": "suite/1",
  "x-request-id": "id-1",
  traceparent
}

/** The attributes of the spans of the same requests. */
const attributesOn = (name: Servers.ServerName) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { ended, recording, requests } = yield* recordSpans
      const served = yield* Servers.start(name, { access: { keys: [{ key: "sk-a" }] } }).pipe(
        withSpanHeaders,
        Effect.withTracer(recording)
      )
      yield* Servers.ask(served, path, chat(), sent)
      yield* ended(1)
      yield* Servers.ask(served, `${path}?a=b&c=%20d?e`, chat({ stream: true }), sent)
      yield* ended(2)
      yield* Servers.ask(served, path, chat(), { ...sent, authorization: "Bearer sk-c" })
      yield* ended(3)
      return requests().map(({ attributes, kind, name }) => ({
        name,
        kind,
        attributes: Object.fromEntries([...attributes].map(([name, value]) => [name, changing(name, value)]).sort())
      }))
    })
  )

describe("spans of requests", () => {
  it.scopedLive("have the attributes that the platform gives them, also on GatewayServer", () =>
    Effect.gen(function* () {
      const [own, platform] = yield* Effect.all([
        attributesOn("GatewayServer"),
        attributesOn("another server of the platform")
      ])
      expect(own).toEqual(platform)
      expect(own.map(({ attributes }) => attributes["http.response.status_code"])).toEqual([200, 200, 401])
      expect(own[1]?.attributes["url.query"]).toBe("a=b&c=%20d?e")
      for (const { attributes } of own) {
        expect(attributes["http.request.header.authorization"]).toBe("<redacted>")
        expect(JSON.stringify(attributes)).not.toMatch(/sk-[abc]|a=b;/)
      }
    })
  )
})

describe.each(Servers.onSockets)("names of request spans on %s", (name) => {
  it.scopedLive("come from the SpanNameGenerator of the program", () =>
    Effect.gen(function* () {
      const { recording, spans } = yield* recordSpans
      const nameOf = ({ headers, method, remoteAddress, url }: HttpServerRequest.HttpServerRequest): string =>
        `named ${method} ${url} ${headers["user-agent"]} ${Option.isSome(remoteAddress)}`
      const served = yield* Servers.start(name).pipe(
        Effect.provideService(HttpMiddleware.SpanNameGenerator, nameOf),
        Effect.withTracer(recording)
      )
      yield* Servers.ask(served, `${path}?a=b`, chat(), sent)
      const named = () => spans.filter(({ name }) => name.startsWith("named")).map(({ name }) => name)
      yield* eventually(Effect.sync(() => named().length > 0))
      expect(named()).toEqual([`named POST ${path}?a=b suite/1 true`])
    })
  )
})

describe.each(Servers.all)("traces on %s", (name) => {
  it.scopedLive("continue the client's trace, and have the call as a child of the request", () =>
    Effect.gen(function* () {
      const { ended, recording, spans } = yield* recordSpans
      const served = yield* Effect.withTracer(Servers.start(name), recording)
      for (const [index, stream] of [false, true].entries()) {
        const from = spans.length
        yield* Servers.ask(served, path, chat({ stream }), { traceparent })
        yield* ended(index + 1)
        const own = spans.slice(from)
        const request = own.find(({ kind }) => kind === "server")
        expect(Option.getOrUndefined(request?.parent ?? Option.none())?.spanId).toBe("b7ad6b7169203331")
        expect(own.map((span) => span.traceId)).toEqual(own.map(() => traceId))
      }
    })
  )

  it.scopedLive("have status 499 for a client that leaves before its answer", () =>
    Effect.gen(function* () {
      const { ended, recording, requests } = yield* recordSpans
      const served = yield* Effect.withTracer(Servers.start(name), recording)
      yield* served.provider.next(SimulatedProvider.hang())
      const client = yield* Servers.read(served, path, chat())
      yield* eventually(Effect.map(served.provider.inFlight, (open) => open === 1))
      yield* client.disconnect
      yield* ended(1)
      expect(requests().map(({ attributes }) => attributes.get("http.response.status_code"))).toEqual([499])
    })
  )

  it.scopedLive("are not made for a malformed traceparent of any kind without a tracer, and answer 200", () =>
    Effect.gen(function* () {
      const gate = yield* makeGate
      yield* gate.open
      const served = yield* Servers.start(name, { gateway: { around: gate.around } })
      for (const headers of [{ traceparent: "00-x" }, { b3: "-" }, { b3: "a-b-c-d" }, { "x-b3-traceid": "%" }]) {
        expect((yield* Servers.ask(served, path, chat(), headers)).status).toBe(200)
      }
    })
  )
})
