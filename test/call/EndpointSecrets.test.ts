/** Searches all visible output for credentials of an endpoint that its provider echoes. */
import { HttpApp, HttpClient, HttpClientError, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import type { Tracer } from "effect"
import { Cause, Effect, Either, Encoding, Layer, Logger, LogLevel, Metric, Ref } from "effect"
import { inspect } from "node:util"
import * as AccessLog from "../../src/telemetry/AccessLog.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import { Access, Gateway } from "../../src/gateway/index.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as Models from "../../src/models/Models.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import type { Endpoint } from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"

/** All textual forms of a value. */
const shown = (value: unknown): string =>
  [
    String(value),
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner)) ?? "",
    inspect(value, { depth: Infinity, showHidden: true, getters: false }),
    value instanceof Error ? `${value.message} ${value.stack ?? ""}` : ""
  ].join("\n")

/** A text with everything that a server received, in the forms in which servers write it. */
const everything = (url: string, headers: Readonly<Record<string, string>>): string => {
  const lines = [url, decodeURIComponent(url), encodeURIComponent(url)]
  for (const [name, value] of Object.entries(headers)) {
    lines.push(`${name}: ${value}`, value, encodeURIComponent(value))
    const pair = /^Basic (.*)$/.exec(value)?.[1]
    if (pair !== undefined) lines.push(Either.getOrElse(Encoding.decodeBase64String(pair), () => ""))
  }
  const { password, username } = new URL(url)
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  if (username !== "") lines.push(pair, Encoding.encodeBase64(pair), password, username)
  return lines.join(" | ")
}

type Answer = (echo: string) => Response | Error

const json = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...headers } })

const events = (...frames: ReadonlyArray<string>): Response =>
  new Response(frames.map((frame) => `${frame}\n\n`).join(""), { headers: { "content-type": "text/event-stream" } })

const chunk = `data: ${JSON.stringify({ id: "c", model: "m", choices: [{ index: 0, delta: { content: "a" } }] })}`

const answers: Readonly<Record<string, Answer>> = {
  "a rejected key": (echo) => json(401, { error: { message: echo, code: echo, type: echo } }),
  "a rejected request": (echo) => json(400, { error: { message: echo, param: echo } }),
  "a rate limit": (echo) => json(429, { message: echo }, { "x-request-id": "r-1" }),
  "a failure in plain text": (echo) => new Response(echo, { status: 500 }),
  "a page instead of an answer": (echo) =>
    new Response(`<html><body>${echo}</body></html>`, { headers: { "content-type": "text/html" } }),
  "an answer of another shape": (echo) => json(200, { sent: echo }),
  "an error under status 200": (echo) => json(200, { error: { message: echo } }),
  "an error event": (echo) => events(chunk, `data: ${JSON.stringify({ error: { message: echo } })}`),
  "a malformed event": (echo) => events(chunk, `data: ${echo}`),
  "a connection that fails": (echo) => new Error(`Request cannot be made: ${echo}`)
}

const echoing = (answer: Ref.Ref<Answer>) =>
  HttpClient.make((request, url) =>
    Effect.flatMap(Ref.get(answer), (answer) => {
      const response = answer(everything(url.href, request.headers))
      return response instanceof Error
        ? Effect.fail(new HttpClientError.RequestError({ request, reason: "Transport", cause: response }))
        : Effect.succeed(HttpClientResponse.fromWeb(request, response))
    })
  )

interface Case {
  readonly name: string
  readonly endpoint: Pick<Endpoint, "baseUrl" | "headers" | "query">
  /** Texts that must not appear. */
  readonly secrets: ReadonlyArray<string>
}

const cases: ReadonlyArray<Case> = [
  {
    name: "user info in the base URL",
    endpoint: { baseUrl: "http://user-4f7a:pa55-w0rd@provider.test/v1" },
    secrets: ["user-4f7a", "pa55-w0rd", Encoding.encodeBase64("user-4f7a:pa55-w0rd")]
  },
  {
    name: "percent-encoded user info in the base URL",
    endpoint: { baseUrl: "http://us%40er-4f7a:pa%2F55%20w0rd@provider.test/v1" },
    secrets: [
      "us%40er-4f7a",
      "us@er-4f7a",
      "pa%2F55%20w0rd",
      "pa/55 w0rd",
      Encoding.encodeBase64("us@er-4f7a:pa/55 w0rd")
    ]
  },
  {
    name: "a short name and password in the base URL",
    endpoint: { baseUrl: "http://ab:cd12@provider.test/v1" },
    secrets: ["ab:cd12", Encoding.encodeBase64("ab:cd12")]
  },
  {
    name: "a query in the base URL",
    endpoint: { baseUrl: "http://provider.test/v1?api_key=q-canary%2B5f2b&zone=z-canary-1" },
    secrets: ["q-canary%2B5f2b", "q-canary+5f2b", "z-canary-1"]
  },
  {
    name: "a query of the endpoint",
    endpoint: { baseUrl: "http://provider.test/v1", query: { token: "t-canary 5f2b", "api-version": "2024-10-21" } },
    secrets: ["t-canary 5f2b", "t-canary+5f2b", "t-canary%205f2b"]
  },
  {
    name: "custom headers",
    endpoint: {
      baseUrl: "http://provider.test/v1",
      headers: {
        "x-proxy-secret": "canary/in=a header",
        authorization: `Basic ${Encoding.encodeBase64("canary-user:canary-word")}`,
        cookie: "session=canary-session; theme=canary-theme"
      }
    },
    secrets: [
      "canary/in=a header",
      encodeURIComponent("canary/in=a header"),
      Encoding.encodeBase64("canary-user:canary-word"),
      "canary-user",
      "canary-word",
      "canary-session",
      "canary-theme"
    ]
  }
]

/** A tracer that records its spans. */
const recordingTracer = Effect.map(Effect.tracer, (tracer) => {
  const spans: Array<Tracer.Span> = []
  const layer = Layer.setTracer({
    ...tracer,
    span: (...args) => {
      const span = tracer.span(...args)
      spans.push(span)
      return span
    }
  })
  return { spans, layer }
})

const llmAt = (endpoint: Case["endpoint"]) =>
  LLM.make({ model: "m", retry: false }).pipe(
    Effect.provide(ChatCompletionsClient.layer(endpoint)),
    Effect.provide(
      KeyPool.layer({ provider: "p", keys: ["key-canary-0123"], cooldown: { base: 1, quota: 1, refused: 1 } })
    ),
    Effect.provide(RateLimiter.layerUnlimited)
  )

describe("credentials of an endpoint that its provider echoes", () => {
  for (const { endpoint, name, secrets } of cases) {
    it.scopedLive(`${name}: does not appear in errors, statuses, access logs, spans and metrics`, () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.replace(
          Logger.defaultLogger,
          Logger.make(({ annotations, cause, message }) => {
            lines.push(shown(message), Cause.pretty(cause), shown([...annotations]))
          })
        )
        const tracer = yield* recordingTracer
        const answer = yield* Ref.make<Answer>((echo) => json(500, echo))
        const seen: Array<readonly [what: string, text: string]> = []
        yield* Effect.gen(function* () {
          const plain = yield* llmAt(endpoint)
          const llm = yield* AccessLog.middleware()(plain)
          seen.push(["info", shown(llm.info)])
          for (const [what, next] of Object.entries(answers)) {
            yield* Ref.set(answer, next)
            const exits = [
              yield* Effect.exit(llm.chat("?")),
              yield* Effect.exit(ChatEvent.collect(llm.chatStream("?"))),
              yield* Effect.exit(llm.embed("?")),
              yield* Effect.exit(llm.listModels)
            ]
            for (const exit of exits) {
              seen.push([what, shown(exit)])
              if (exit._tag === "Failure") {
                seen.push([what, Cause.pretty(exit.cause)])
                yield* Effect.logError(what, exit.cause)
              }
            }
            seen.push([what, shown(yield* llm.status)])
            yield* Effect.sleep(5)
          }
          yield* Ref.set(answer, (echo) => json(200, { data: [{ id: "m", note: echo, more: { [echo]: [echo] } }] }))
          seen.push(["models", shown(yield* llm.listModels)])
        }).pipe(
          Effect.provideService(HttpClient.HttpClient, echoing(answer)),
          Effect.provide(tracer.layer),
          Effect.provide(logger)
        )
        expect(lines.length).toBeGreaterThan(10)
        expect(tracer.spans.length).toBeGreaterThan(10)
        for (const line of lines) seen.push(["log", line])
        for (const span of tracer.spans) seen.push(["span", shown([span.name, [...span.attributes], span.status])])
        seen.push(["metrics", shown(yield* Metric.snapshot)])
        const leaks = secrets.flatMap((secret) =>
          seen.filter(([, text]) => text.includes(secret)).map(([what]) => `${secret} in ${what}`)
        )
        expect([...new Set(leaks)]).toEqual([])
      }).pipe(Logger.withMinimumLogLevel(LogLevel.All))
    )
  }

  it.scopedLive("credentials appear in no answer, log or status of a gateway, and in no fault of its file", () =>
    Effect.gen(function* () {
      const entry = {
        model_name: "m",
        api_keys: ["key-canary-0123"],
        base_url: "http://user-4f7a:pa55-w0rd@provider.test/v1?api_key=q-canary-5f2b",
        headers: { "x-proxy-secret": "canary-in-a-header" },
        max_retries: 1,
        retry_delay: 0,
        rate_limit_capacity: 1000
      }
      const secrets = ["user-4f7a", "pa55-w0rd", "q-canary-5f2b", "canary-in-a-header", "key-canary-0123"]
      const expectUnseen = (what: string, value: unknown) => {
        for (const secret of secrets) expect(`${what}: ${shown(value).includes(secret)}`).toBe(`${what}: false`)
      }
      for (const faulty of [
        { ...entry, base_url: `user-4f7a:pa55-w0rd@provider.test?api_key=q-canary-5f2b` },
        { ...entry, headers: { "x-proxy-secret": ["canary-in-a-header"] } },
        { ...entry, headers: "canary-in-a-header" },
        { ...entry, headers: { "x-proxy-secret": "canary-in-a-header ${NOT_SET}" } }
      ]) {
        expectUnseen("fault", yield* Effect.flip(Models.parseFile(JSON.stringify({ elsewhere: [faulty] }))))
      }
      const answer = yield* Ref.make<Answer>((echo) => json(500, echo))
      const file = yield* Models.parseFile(JSON.stringify({ elsewhere: [entry] }))
      const models = Models.layer(file).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, echoing(answer))))
      const lines: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ annotations, cause, message }) => {
          lines.push(shown(message), Cause.pretty(cause), shown([...annotations]))
        })
      )
      const asking = (ask: (request: Request) => Promise<Response>, path: string, body?: unknown) =>
        Effect.promise(async () => {
          const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }
          const response = await ask(new Request(`http://localhost${path}`, init))
          return `${JSON.stringify([...response.headers])} ${await response.text()}`
        })
      // One gateway for each answer: after a rejected key, the same gateway would not send the other requests.
      for (const [what, next] of Object.entries(answers)) {
        yield* Ref.set(answer, next)
        yield* Effect.gen(function* () {
          const ask = HttpApp.toWebHandlerRuntime(yield* Effect.runtime())(yield* Gateway.app({}))
          const chat = { model: "elsewhere/m", messages: [{ role: "user", content: "?" }], max_tokens: 5 }
          for (const stream of [false, true]) {
            expectUnseen(what, yield* asking(ask, "/v1/chat/completions", { ...chat, stream }))
          }
          expectUnseen("models", yield* asking(ask, "/v1/models"))
          expectUnseen("metrics", yield* asking(ask, "/metrics"))
          const service = yield* Models.Models
          expectUnseen("status", yield* Effect.flatMap(service.get("elsewhere/m"), (llm) => llm.status))
        }).pipe(Effect.provide(Layer.merge(models, Access.layer())), Effect.provide(logger))
      }
      expect(lines.length).toBeGreaterThan(10)
      expectUnseen("log", lines)
    })
  )
})

describe("base URL with credentials", () => {
  const outcome = (endpoint: Case["endpoint"], answer: Answer) =>
    Effect.gen(function* () {
      const llm = yield* llmAt(endpoint)
      return { error: yield* Effect.flip(llm.chat("?")), info: llm.info }
    }).pipe(Effect.provideServiceEffect(HttpClient.HttpClient, Effect.map(Ref.make(answer), echoing)))

  it.effect("shows a base URL in messages without user info and query values", () =>
    Effect.gen(function* () {
      const { error, info } = yield* outcome(
        { baseUrl: "http://user-4f7a:pa55-w0rd@provider.test/v1?api_key=q-canary-5f2b&api-version=2024-10-21" },
        () => new Error("refused")
      )
      expect(error.message).toContain("http://provider.test/v1?api_key=***&api-version=2024-10-21 failed: refused")
      expect(info.baseUrl).toBe("http://provider.test/v1?api_key=***&api-version=2024-10-21")
      expect(info.provider).toBe("provider.test")
    })
  )

  it.effect("shows a base URL that is not a URL without user info and query", () =>
    Effect.gen(function* () {
      const { error } = yield* outcome(
        { baseUrl: "http//user-4f7a:pa55-w0rd@?q-canary-5f2b" },
        () => new Error("refused")
      )
      expect(error._tag).toBe("InvalidRequestError")
      for (const secret of ["pa55-w0rd", "q-canary-5f2b"]) expect(error.message).not.toContain(secret)
    })
  )

  it.effect("sends the query of the base URL behind the path", () =>
    Effect.gen(function* () {
      let sent = ""
      const http = HttpClient.make((request, url) => {
        sent = url.href
        return Effect.succeed(HttpClientResponse.fromWeb(request, json(500, {})))
      })
      const llm = yield* Effect.provideService(
        llmAt({ baseUrl: "http://provider.test/v1/?api_key=q%2Bcanary", query: { "api-version": "1" } }),
        HttpClient.HttpClient,
        http
      )
      yield* Effect.flip(llm.chat("?"))
      expect(sent).toBe("http://provider.test/v1/chat/completions?api_key=q%2Bcanary&api-version=1")
    })
  )

  it.effect("does not mask values of harmless headers in the provider's message", () =>
    Effect.gen(function* () {
      const { error } = yield* outcome(
        {
          baseUrl: "http://provider.test/v1",
          headers: { "anthropic-beta": "context-1m-2025", "x-title": "Translations" }
        },
        () => json(400, { error: { message: "Translations may not use context-1m-2025." } })
      )
      expect(error.message).toContain("Translations may not use context-1m-2025.")
    })
  )
})
