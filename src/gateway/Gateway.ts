/**
 * The models of this library over HTTP, for programs in any language: as OpenAI's API (`/v1/chat/completions`, `/v1/responses`,
 * `/v1/embeddings`, `/v1/models`) and as Anthropic's (`/v1/messages`), whoever is asked behind them. It routes nothing by itself:
 * pools, limits, retries, fallbacks and caches are those of the `Models` that it serves.
 *
 * @example
 * ```ts
 * import { NodeContext, NodeHttpClient, NodeRuntime } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Models } from "effect-llm"
 * import { Access, Gateway, GatewayServer } from "effect-llm/gateway"
 *
 * const Live = Gateway.layer({ grace: "1 minute" }).pipe(
 *   Layer.provide(GatewayServer.layer({ port: 8080 })),
 *   Layer.provide(Access.layerConfig()),
 *   Layer.provide(Models.layerFile("provider.json")),
 *   Layer.provide(Layer.merge(NodeContext.layer, NodeHttpClient.layerUndici))
 * )
 *
 * NodeRuntime.runMain(Layer.launch(Live))
 * ```
 *
 * @since 0.1.0
 */
import type { HttpApp } from "@effect/platform"
import { FileSystem, HttpServer } from "@effect/platform"
import type { Scope } from "effect"
import { Duration, Effect, Layer, Option } from "effect"
import type { Middleware, Service as LLMService } from "../call/model.js"
import { Models } from "../models/model.js"
import { Access } from "./auth/model.js"
import { Dashboard } from "./dashboard/Dashboard.js"
import * as RequestId from "./http/requestId.js"
import * as Loopback from "./auth/loopback.js"
import type * as Metrics from "./routes/metrics.js"
import type { Router } from "./http/context.js"
import * as Routes from "./http/routes.js"
import * as Runnings from "./http/shutdown.js"
import type { GatewayContext } from "./http/context.js"
import * as Tracing from "./http/tracing.js"
import { InsecureAddressError } from "./GatewayServer.js"
import * as SimpleRoutes from "./compat/routes.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options<R = never> {
  /**
   * What is put around every model for every call, such as a `UsageLedger.middleware`, a `Budget.middleware` or a
   * `ResponseCache.middleware`. It is applied at every call, so what it keeps belongs in a service. @default nothing
   */
  readonly around?: Middleware<never, R>
  /**
   * What sees every call as the client does, such as an `AccessLog`: it is outside of the limits and the budget of the client's key,
   * so it also sees the calls that these refuse. It is applied at every call. @default nothing
   *
   * @since 0.2.0
   */
  readonly observe?: Middleware<never, R>
  /** The largest body that is read. What is larger is a 413. @default "32 MiB" */
  readonly maxBodySize?: FileSystem.SizeInput
  /**
   * How long a stream waits for its first event before its headers are sent, and how often a comment is sent from then on until
   * that comes. What fails before that fails with its own status, and what fails later with an event. @default "15 seconds"
   */
  readonly keepAlive?: Duration.DurationInput
  /** How long what is under way may go on when the gateway shuts down. @default "30 seconds" */
  readonly grace?: Duration.DurationInput
  /** The most answers to one question (`n` of Chat Completions), each of which is a call. @default 128 */
  readonly maxChoices?: number
  /** Which web pages of other origins may ask. @default none */
  readonly cors?: RequestId.Cors
  /** The simple API under `/llm`: see `SimpleOptions`. `false`: it is not there, and neither are `/health` and `/ready`. */
  readonly simple?: SimpleOptions | false
  /** `/metrics` for Prometheus. `false`: it is not there. @default for programs on this machine, and the administration */
  readonly metrics?: MetricsOptions | false
  /** Whether `/openapi.json` and `/docs` describe the gateway. @default true */
  readonly documents?: boolean
  /**
   * Further routes, beside those of the gateway. They are not guarded by its keys. One at `/ready`, `/docs` or the like is in the
   * place of the gateway's own. @default none
   */
  readonly routers?: ReadonlyArray<Router>
}

/**
 * The API of LLM-API-BalancedCall: `POST /llm/chat`, `/llm/chat/stream`, and what tells of load and health.
 *
 * @since 0.1.0
 * @category model
 */
export type SimpleOptions = SimpleRoutes.Options

/**
 * Who may read `/metrics`.
 *
 * @since 0.1.0
 * @category model
 */
export type MetricsOptions = Metrics.Options

/**
 * A gateway that is not served yet.
 *
 * @since 0.1.0
 * @category model
 */
export interface Gateway {
  readonly app: HttpApp.Default<never, Scope.Scope>
  /** What is under way. */
  readonly status: Effect.Effect<Status>
  /**
   * Refuses new requests, waits for those under way, and ends what is still there after `grace`, telling the clients so. For a
   * server of your own; `layer` does it by itself.
   */
  readonly drain: Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Status {
  readonly inFlight: number
  readonly shuttingDown: boolean
}

const mebibyte = 1024 * 1024

/**
 * A gateway to be served in your own way. It serves the `Dashboard` in context, where there is one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <R = never>(options: Options<R> = {}): Effect.Effect<Gateway, never, Models | Access | R> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<R>()
    const given = (middleware: Middleware<never, R> | undefined): Middleware =>
      middleware === undefined ? Effect.succeed : (llm) => Effect.provide(middleware(llm), context)
    const observe = given(options.observe)
    const dashboard = yield* Effect.serviceOption(Dashboard)
    const running = yield* Runnings.make
    const surroundings: GatewayContext = {
      models: yield* Models,
      access: yield* Access,
      running,
      around: given(options.around),
      observe: Option.match(dashboard, {
        onNone: () => observe,
        onSome:
          ({ watch }) =>
          (llm: LLMService, name: string) =>
            Effect.flatMap(observe(llm), watch(name))
      }),
      maxBodySize: Number(FileSystem.Size(options.maxBodySize ?? 32 * mebibyte)),
      keepAlive: Duration.decode(options.keepAlive ?? "15 seconds"),
      maxChoices: options.maxChoices ?? 128
    }
    const beside = [
      ...(options.simple === false ? [] : yield* SimpleRoutes.make(surroundings, options.simple ?? {})),
      ...(options.documents === false ? [] : yield* Routes.documents),
      ...(options.metrics === false ? [] : [Routes.metrics(surroundings, options.metrics ?? {})])
    ]
    const app = Routes.make(surroundings, beside, [
      ...Option.toArray(dashboard).map(({ router }) => router),
      ...(options.routers ?? [])
    ])
    return {
      app: RequestId.shared(options.cors)(RequestId.wrapped(app)),
      status: running.status,
      drain: running.drain(options.grace ?? "30 seconds")
    }
  })

/**
 * The gateway as an app, to be mounted in a server of your own.
 *
 * @since 0.1.0
 * @category constructors
 */
export const app = <R = never>(
  options: Options<R> = {}
): Effect.Effect<HttpApp.Default<never, Scope.Scope>, never, Models | Access | R> =>
  Effect.map(make(options), (gateway) => gateway.app)

/**
 * Serves the gateway with the server in context, `GatewayServer.layer` for example. Where the layer is closed, it drains first.
 *
 * Where no key is configured, it answers on the loopback interface only: it warns of that in the log, and fails where the server
 * listens elsewhere.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <R = never>(
  options: Options<R> = {}
): Layer.Layer<never, InsecureAddressError, Models | Access | HttpServer.HttpServer | R> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const { isOpen } = yield* Access
      const server = yield* HttpServer.HttpServer
      const address = HttpServer.formatAddress(server.address)
      if (isOpen) {
        if (server.address._tag === "TcpAddress" && !Loopback.isLoopback(server.address.hostname)) {
          return yield* new InsecureAddressError({ address: server.address.hostname })
        }
        yield* Effect.logWarning(
          `No key is configured: whoever can reach ${address} may use the gateway, so it answers on this machine only.`
        )
      }
      const gateway = yield* make(options)
      yield* Tracing.traced(server.serve(gateway.app))
      // Closed before the server is: what is under way ends first.
      yield* Effect.addFinalizer(() => gateway.drain)
      yield* Effect.logInfo(`The gateway answers at ${address}`)
    })
  )
