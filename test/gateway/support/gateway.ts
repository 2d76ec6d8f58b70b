/** A gateway on a free port of the loopback interface, in front of simulated providers. */
import { HttpServer } from "@effect/platform"
import { Context, Effect, Layer, Logger, LogLevel, Stream } from "effect"
import { Access, Gateway, GatewayServer } from "../../../src/gateway/index.js"
import type { Middleware } from "../../../src/LLM.js"
import * as Models from "../../../src/models/Models.js"
import { SimulatedProvider } from "../../../src/testing/index.js"
import { eventually } from "../../support/eventually.js"
import * as Transports from "../../support/transports.js"

/** The protocols of the simulated provider behind the gateway, by section of the provider file. */
export const upstreams = {
  openai: { type: "chat-completions", path: "/v1" },
  anthropic: { type: "anthropic-messages", path: "/v1" },
  gemini: { type: "gemini", path: "/v1beta" },
  responses: { type: "responses", path: "/v1" },
  ollama: { type: "ollama", path: "" }
} as const

export type Upstream = keyof typeof upstreams

/** The secret of the provider, which clients must never see. */
export const canary = "canary-upstream-secret-7f3a"

const at = (baseUrl: string, upstream: Upstream): string => baseUrl.replace(/\/v1$/, upstreams[upstream].path)

/** A provider file with one model for each protocol, all with the same base URL and key. */
export const providerJson = (
  baseUrl: string,
  fields: Readonly<Record<string, unknown>> = {},
  sections: Readonly<Record<string, unknown>> = {}
): unknown => ({
  ...Object.fromEntries(
    (Object.keys(upstreams) as ReadonlyArray<Upstream>).map((upstream) => [
      upstream,
      [
        {
          model_name: "large",
          type: upstreams[upstream].type,
          api_keys: [canary],
          base_url: at(baseUrl, upstream),
          rate_limit_capacity: 1000,
          rate_limit_refill_rate: 1000,
          max_retries: 1,
          ...fields
        }
      ]
    ])
  ),
  $aliases: { fast: "openai/large" },
  ...sections
})

export interface Running {
  readonly url: string
  readonly provider: SimulatedProvider.Service
  readonly models: Models.Service
}

export interface Settings {
  readonly provider?: SimulatedProvider.Options
  /** Extra fields of every model, and extra sections of the file. */
  readonly entry?: Readonly<Record<string, unknown>>
  readonly sections?: Readonly<Record<string, unknown>>
  readonly access?: Access.Options
  readonly gateway?: Gateway.Options
  readonly server?: GatewayServer.Options
  readonly logLevel?: LogLevel.LogLevel
}

export const start = (settings: Settings = {}) =>
  Effect.gen(function* () {
    const provider = yield* SimulatedProvider.make({ keys: [{ key: canary }], ...settings.provider })
    const file = yield* Models.parseFile(
      JSON.stringify(providerJson(provider.baseUrl, settings.entry, settings.sections)),
      "test.json"
    )
    const live = Gateway.layer(settings.gateway).pipe(
      Layer.provideMerge(GatewayServer.layer({ port: 0, ...settings.server })),
      Layer.provideMerge(Access.layer(settings.access ?? {})),
      Layer.provideMerge(Models.layer(file, { telemetry: false })),
      Layer.provide(Transports.direct)
    )
    const context = yield* Logger.withMinimumLogLevel(Layer.build(live), settings.logLevel ?? LogLevel.None)
    const { address } = Context.get(context, HttpServer.HttpServer)
    const url = address._tag === "TcpAddress" ? `http://127.0.0.1:${address.port}` : ""
    return { url, provider, models: Context.get(context, Models.Models) } satisfies Running
  })

/** Waits until no request is open at the provider, no key is in use, and no call waits for one. */
export const waitUntilIdle = ({ models, provider }: Running) =>
  Effect.flatMap(models.get("openai/large"), (llm) =>
    eventually(
      Effect.zipWith(
        provider.inFlight,
        llm.status,
        (requests, { keys }) =>
          requests + keys.waiting + keys.keys.reduce((sum, { inFlight }) => sum + inFlight, 0) === 0
      )
    )
  )

export interface Gate {
  /** Middleware that delays calls until the gate is open. */
  readonly around: Middleware
  /** The number of waiting calls. */
  readonly waiting: Effect.Effect<number>
  readonly open: Effect.Effect<void>
  readonly close: Effect.Effect<void>
}

/** Makes a closed gate. */
export const makeGate: Effect.Effect<Gate> = Effect.map(Effect.makeLatch(), (latch) => {
  let waiting = 0
  const pass = Effect.acquireUseRelease(
    Effect.sync(() => void waiting++),
    () => latch.await,
    () => Effect.sync(() => void waiting--)
  )
  return {
    around: (next) =>
      Effect.succeed({
        ...next,
        chat: (request) => Effect.zipRight(pass, next.chat(request)),
        chatStream: (request) => Stream.unwrap(Effect.as(pass, next.chatStream(request)))
      }),
    waiting: Effect.sync(() => waiting),
    open: Effect.asVoid(latch.open),
    close: Effect.asVoid(latch.close)
  }
})
