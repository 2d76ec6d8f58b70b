/** The gateway on each kind of server that can serve it, for statements that hold on all of them. */
import { HttpApp, HttpServer } from "@effect/platform"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type { Scope } from "effect"
import { Context, Effect, Exit, Layer, Logger, LogLevel, Scope as Scopes } from "effect"
import type { Server } from "node:http"
import { createServer } from "node:http"
import { Access, Gateway, GatewayServer } from "../../../src/gateway/index.js"
import * as Models from "../../../src/models/Models.js"
import { SimulatedProvider } from "../../../src/testing/index.js"
import * as Transports from "../../support/transports.js"
import type { Running, Settings } from "./gateway.js"
import { canary, providerJson, waitUntilIdle } from "./gateway.js"
import type { Answer, Fetch, Protocol, Reading } from "./http.js"
import { paths, question, reading, send } from "./http.js"

/** A gateway that is being served. */
export interface Served extends Running {
  readonly fetch: Fetch
  /** Drains the gateway and closes its server. */
  readonly close: Effect.Effect<void>
  readonly isOnSockets: boolean
}

type Headers = Readonly<Record<string, string>>

interface Address {
  readonly url: string
  readonly fetch: Fetch
}

type Serve = (settings: Settings) => Effect.Effect<Address, unknown, Models.Models | Access.Access | Scope.Scope>

const urlOf = (server: HttpServer.HttpServer): string =>
  server.address._tag === "TcpAddress" ? `http://127.0.0.1:${server.address.port}` : ""

/** No test waits for the deadline unless it sets one, so a request that never leaves ends a test with an error. */
const grace = "1 hour"

const onNode =
  <E>(serverOf: (settings: Settings) => Layer.Layer<HttpServer.HttpServer, E, Access.Access>): Serve =>
  (settings) =>
    Effect.map(
      Layer.build(Layer.provideMerge(Gateway.layer({ grace, ...settings.gateway }), serverOf(settings))),
      (context) => ({ url: urlOf(Context.get(context, HttpServer.HttpServer)), fetch })
    )

/** Node's server of the platform closes idle connections only: those of clients that keep theirs are closed here. */
const platformServer = Layer.scoped(
  HttpServer.HttpServer,
  Effect.suspend(() => {
    const server: Server = createServer()
    return Effect.tap(
      NodeHttpServer.make(() => server, { port: 0, host: "127.0.0.1" }),
      Effect.addFinalizer(() => Effect.sync(() => server.closeIdleConnections()))
    )
  })
)

const byWebHandler: Serve = ({ gateway }) =>
  Effect.gen(function* () {
    const { app, drain } = yield* Gateway.make({ grace, ...gateway })
    const handle = HttpApp.toWebHandlerRuntime(yield* Effect.runtime<never>())(app)
    yield* Effect.addFinalizer(() => drain)
    return { url: "http://127.0.0.1", fetch: (url, init) => handle(new Request(url, init)) }
  })

const servers = {
  GatewayServer: { serve: onNode(({ server }) => GatewayServer.layer({ port: 0, ...server })), isOnSockets: true },
  "another server of the platform": { serve: onNode(() => platformServer), isOnSockets: true },
  "a web handler": { serve: byWebHandler, isOnSockets: false }
} as const satisfies Readonly<Record<string, { readonly serve: Serve; readonly isOnSockets: boolean }>>

export type ServerName = keyof typeof servers

export const all: ReadonlyArray<ServerName> = ["GatewayServer", "another server of the platform", "a web handler"]

/** The servers whose clients have connections. */
export const onSockets: ReadonlyArray<ServerName> = all.filter((name) => servers[name].isOnSockets)

/** Serves the gateway until the scope is closed, which fails while a request or a key remains in use. */
export const start = (name: ServerName, settings: Settings = {}): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.gen(function* () {
    const provider = yield* SimulatedProvider.make({ keys: [{ key: canary }], ...settings.provider })
    const file = yield* Models.parseFile(
      JSON.stringify(providerJson(provider.baseUrl, settings.entry, settings.sections)),
      "test.json"
    )
    const services = yield* Layer.build(
      Layer.mergeAll(Access.layer(settings.access ?? {}), Models.layer(file, { telemetry: false })).pipe(
        Layer.provide(Transports.direct)
      )
    )
    const { isOnSockets, serve } = servers[name]
    const scope = yield* Scopes.make()
    const { fetch, url } = yield* Effect.provide(Scopes.extend(serve(settings), scope), services).pipe(
      Logger.withMinimumLogLevel(settings.logLevel ?? LogLevel.None)
    )
    const models = Context.get(services, Models.Models)
    const close = Scopes.close(scope, Exit.void)
    const served: Served = { url, provider, models, fetch, isOnSockets, close }
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(waitUntilIdle(served), close).pipe(
        Effect.interruptible,
        Effect.timeoutFail({ duration: "10 seconds", onTimeout: () => "requests or keys remain in use" }),
        Effect.orDie
      )
    )
    return served
  }).pipe(Effect.orDie)

const isBody = (body: unknown): body is string | Uint8Array<ArrayBuffer> =>
  typeof body === "string" || body instanceof Uint8Array

/** Posts JSON, or a text or bytes as they are. */
export const ask = (
  { fetch, url }: Served,
  path: string,
  body: Readonly<Record<string, unknown>> | string | Uint8Array<ArrayBuffer>,
  headers: Headers = {}
): Effect.Effect<Answer> =>
  send(
    url + path,
    {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: isBody(body) ? body : JSON.stringify(body)
    },
    fetch
  )

/** Sends any request without a body. */
export const request = (
  { fetch, url }: Served,
  method: string,
  path: string,
  headers: Headers = {}
): Effect.Effect<Answer> => send(url + path, { method, headers }, fetch)

/** Posts, and reads the response in the background. */
export const read = (
  { fetch, url }: Served,
  path: string,
  body: unknown,
  headers: Headers = {}
): Effect.Effect<Reading, never, Scope.Scope> => reading(url + path, body, headers, fetch)

/** A hot route with a request that it answers with 200. */
export interface Route {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  readonly streams: boolean
}

const chat = (protocol: Protocol): Route => ({
  path: paths[protocol],
  body: question(protocol, "openai/large"),
  streams: true
})

/** Every hot route. */
export const routes: ReadonlyArray<Route> = [
  chat("chat completions"),
  chat("responses"),
  chat("messages"),
  { path: "/v1/embeddings", body: { model: "openai/large", input: "Hello" }, streams: false },
  { path: "/v1/messages/count_tokens", body: question("messages", "openai/large"), streams: false },
  { path: "/llm/chat", body: question("chat completions", "openai/large"), streams: false },
  { path: "/llm/chat/stream", body: question("chat completions", "openai/large"), streams: false }
]
