/**
 * Serves the models of this library over HTTP to programs in any language: as OpenAI's API (`/v1/chat/completions`,
 * `/v1/responses`, `/v1/embeddings`, `/v1/models`) and as Anthropic's (`/v1/messages`), for models of any provider. Key pools,
 * rate limits, retries, fallbacks and caches are those of the `Models` that it serves.
 *
 * @example
 * ```ts
 * import { NodeContext, NodeRuntime } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Models } from "effect-llm"
 * import { Access, Gateway, GatewayServer } from "effect-llm/gateway"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const Live = Gateway.layer({ grace: "1 minute" }).pipe(
 *   Layer.provide(GatewayServer.layer({ port: 8080 })),
 *   Layer.provide(Access.layerConfig()),
 *   Layer.provide(Models.layerFile("provider.json")),
 *   Layer.provide(Layer.merge(NodeContext.layer, NodeTransport.layerUndici))
 * )
 *
 * NodeRuntime.runMain(Layer.launch(Live))
 * ```
 *
 * @since 0.1.0
 */
import type { HttpApp } from "@effect/platform"
import { HttpServer } from "@effect/platform"
import type { Scope } from "effect"
import { Duration, Effect, Layer, Option } from "effect"
import type { Middleware, Service as LLMService } from "../call/model.js"
import * as CostMetric from "../accounting/costMetric.js"
import { Pricing } from "../accounting/pricing/model.js"
import { Models } from "../models/model.js"
import { Access } from "./auth/model.js"
import { Dashboard } from "./dashboard/Dashboard.js"
import * as BodyAccounts from "./http/bodyAccount.js"
import * as RequestId from "./http/requestId.js"
import * as Loopback from "./auth/loopback.js"
import type * as Metrics from "./routes/metrics.js"
import type { Router } from "./http/context.js"
import { makeResolveModel } from "./http/context.js"
import * as Routes from "./http/routes.js"
import * as ActiveRequests from "./http/shutdown.js"
import type { GatewayContext } from "./http/context.js"
import * as Tracing from "./http/tracing.js"
import { InsecureAddressError } from "./GatewayServer.js"
import type { HotRoute } from "./http/hotRoute.js"
import * as NodeListener from "./http/nodeListener.js"
import * as NodeServer from "./http/nodeServer.js"
import { hostOf } from "./http/platform.js"
import * as Owners from "./chat/owners.js"
import * as SimpleRoutes from "./compat/routes.js"
import * as Admin from "./routes/admin.js"
import * as ResponseStore from "./ResponseStore.js"
import { Peers } from "./workers/peers.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options<R = never> {
  /**
   * Middleware around every model for every call, such as a `UsageLedger.middleware()`, a `Budget.middleware()` or a
   * `ResponseCache.middleware()`. It is applied once to each model for each client key, and again after the models have been reloaded,
   * so state for all calls belongs in a service. @default none
   */
  readonly around?: Middleware<never, R>
  /**
   * Middleware that sees every call as the client does, such as an `AccessLog`: it is outside of the limits and the budget of the
   * client's key, so it also sees the calls that these refuse. A request that is refused before its model is known, for example with
   * 401, 404 or 413, is a failed call to a model with empty `info`. It is applied as `around` is. @default none
   *
   * @since 0.2.0
   */
  readonly observe?: Middleware<never, R>
  /** The largest request body; a larger one is answered with 413. @default "32 MiB" */
  readonly maxBodySize?: number | bigint
  /**
   * The most bytes of request bodies that the gateway holds at one time, in sum. A body beyond it is answered with 503 and
   * `Retry-After`. Bytes count from their arrival until the response of a whole answer, or the first event of a stream. The process
   * needs several times as much memory for the bodies that it is decoding. @default "256 MiB"
   *
   * @since 0.2.0
   */
  readonly maxBufferedBodies?: number | bigint
  /**
   * The part of `maxBufferedBodies` that the requests of one client key can hold. A body beyond it is answered with 429 and
   * `Retry-After`; a body that is larger than this, with 413. It does not apply to a gateway without keys.
   * @default a quarter of `maxBufferedBodies`
   *
   * @since 0.2.0
   */
  readonly maxBufferedBodiesPerKey?: number | bigint
  /**
   * How long a request body can take to arrive after its headers; a slower one is answered with 408. On Node, the connection also closes
   * at the `requestTimeout` of the server. @default "2 minutes"
   *
   * @since 0.2.0
   */
  readonly bodyTimeout?: Duration.DurationInput
  /**
   * How long a stream waits for its first event before its headers are sent, and the interval of the comments that are sent from
   * then on until that event. A failure before the headers has its own status, and a later one is sent as an event.
   * @default "15 seconds"
   */
  readonly keepAlive?: Duration.DurationInput
  /** How long requests in flight can continue when the gateway shuts down. @default "30 seconds" */
  readonly grace?: Duration.DurationInput
  /** The most choices for one request (`n` of Chat Completions), each of which is a call. @default 128 */
  readonly maxChoices?: number
  /**
   * Whether answers of `/v1/responses` are stored, so that requests can refer to them, in the `ResponseStore` in context or else in one in
   * memory. Workers need a store that they share. Without one, requests that refer to an answer are sent on to providers of the same
   * protocol, and fail with 400 for all others; `background` fails. @default true
   *
   * @since 0.2.0
   */
  readonly responses?: boolean
  /**
   * The most calls in the background at one time; one beyond it is answered with 429. @default 1000
   *
   * @since 0.2.0
   */
  readonly maxBackground?: number
  /** The origins of web pages that can call the gateway. @default none */
  readonly cors?: RequestId.Cors
  /** The simple API under `/llm`: see `SimpleOptions`. `false` disables it, and `/health` and `/ready` with it. @default `{}` */
  readonly simple?: SimpleOptions | false
  /** `/metrics` for Prometheus; `false` disables it. @default served to programs on this machine, and to the admin token */
  readonly metrics?: MetricsOptions | false
  /** Whether `/openapi.json` and `/docs` describe the gateway. @default true */
  readonly documents?: boolean
  /**
   * Extra routes beside those of the gateway, which its keys do not protect. A route for `/ready`, `/docs` or another optional
   * path replaces the gateway's own. @default none
   */
  readonly routers?: ReadonlyArray<Router>
}

/**
 * Options of the API of LLM-API-BalancedCall: `POST /llm/chat`, `/llm/chat/stream`, and the routes for load and health.
 *
 * @since 0.1.0
 * @category model
 */
export type SimpleOptions = SimpleRoutes.Options

/**
 * Options of `/metrics`: which clients can read it.
 *
 * @since 0.1.0
 * @category model
 */
export type MetricsOptions = Metrics.Options

/**
 * A gateway as an HTTP app, before a server serves it.
 *
 * @since 0.1.0
 * @category model
 */
export interface Gateway {
  readonly app: HttpApp.Default<never, Scope.Scope>
  /** The number of requests in flight, and whether the gateway is shutting down. */
  readonly status: Effect.Effect<Status>
  /**
   * Refuses new requests, waits for those in flight, and ends those that remain after `grace` with an error. `layer` does this
   * when it is closed; call it when you serve the app yourself.
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

const noRoutes: Routes.OptionalRoutes = { hot: [], others: [] }

const bytes = (size: number | bigint): number => Number(size)

type BodyOptions = Pick<Options, "maxBodySize" | "maxBufferedBodies" | "maxBufferedBodiesPerKey" | "bodyTimeout">

const bodyBounds = (options: BodyOptions): Pick<GatewayContext, "bodies" | "bodyLimits"> => {
  const maxSize = bytes(options.maxBodySize ?? 32 * mebibyte)
  const total = bytes(options.maxBufferedBodies ?? 256 * mebibyte)
  const perKey = bytes(options.maxBufferedBodiesPerKey ?? Math.floor(total / 4))
  return {
    bodies: BodyAccounts.make({ total, perKey }),
    // A body that never fits is too large, whatever else is in flight.
    bodyLimits: {
      maxSize: Math.min(maxSize, total, perKey),
      timeout: Duration.decode(options.bodyTimeout ?? "2 minutes")
    }
  }
}

/** The store in context, or else one in memory. Workers need one that they share: the next request can reach any of them. */
const responseStore = (hasWorkers: boolean): Effect.Effect<ResponseStore.Service | undefined> =>
  Effect.flatMap(Effect.serviceOption(ResponseStore.ResponseStore), (provided) => {
    const store = Option.getOrUndefined(provided)
    if (store !== undefined) return Effect.succeed(hasWorkers && !store.isShared ? undefined : store)
    return hasWorkers ? Effect.succeed(undefined) : ResponseStore.makeMemory()
  })

/** A gateway with the routes that Node's server serves without the platform. */
interface Parts {
  readonly gateway: Gateway
  readonly context: GatewayContext
  readonly hot: ReadonlyArray<HotRoute>
  readonly isTaken: Routes.Routes["isTaken"]
}

const makeParts = <R>(options: Options<R>): Effect.Effect<Parts, never, Models | Access | R> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<R>()
    const withServices = (middleware: Middleware<never, R> | undefined): Middleware =>
      middleware === undefined ? Effect.succeed : (llm) => Effect.provide(middleware(llm), context)
    const around = withServices(options.around)
    const observe = withServices(options.observe)
    const countCosts = CostMetric.make(yield* Pricing)
    const dashboard = yield* Effect.serviceOption(Dashboard)
    const requests = yield* ActiveRequests.make
    const modelContext = {
      models: yield* Models,
      // Inside of the user's middleware: a cached answer costs nothing.
      around: (llm: LLMService) => Effect.flatMap(countCosts(llm), around),
      observe: Option.match(dashboard, {
        onNone: () => observe,
        onSome:
          ({ watch }) =>
          (llm: LLMService, name: string) =>
            Effect.flatMap(observe(llm), watch(name))
      })
    }
    const peers = yield* Peers
    const body = bodyBounds(options)
    const store = options.responses === false ? undefined : yield* responseStore(peers !== undefined)
    const gatewayContext: GatewayContext = {
      ...modelContext,
      resolveModel: makeResolveModel(modelContext),
      access: yield* Access,
      requests,
      capture: Option.getOrUndefined(dashboard)?.capture,
      ...body,
      keepAlive: Duration.decode(options.keepAlive ?? "15 seconds"),
      maxChoices: options.maxChoices ?? 128,
      owners: Owners.make(store),
      responses: store && { store, jobs: new Map(), maxJobs: options.maxBackground ?? 1000 }
    }
    const grace = Duration.decode(options.grace ?? "30 seconds")
    if (peers !== undefined) {
      yield* peers.onPerform((path, body) => Effect.provide(Admin.perform(gatewayContext, path, body), context))
    }
    const simple = options.simple === false ? noRoutes : yield* SimpleRoutes.make(gatewayContext, options.simple ?? {})
    const { app, hot, isTaken } = Routes.make(
      gatewayContext,
      {
        hot: simple.hot,
        others: [
          ...simple.others,
          ...(options.documents === false ? [] : yield* Routes.documents),
          ...(options.metrics === false ? [] : [yield* Routes.metrics(gatewayContext, options.metrics ?? {})])
        ]
      },
      [...Option.toArray(dashboard).map(({ router }) => router), ...(options.routers ?? [])]
    )
    const gateway: Gateway = {
      app: RequestId.withCors(options.cors)(RequestId.withRequestId(app)),
      status: requests.status,
      drain: peers === undefined ? requests.drain(grace) : Effect.flatMap(peers.graceLeft(grace), requests.drain)
    }
    return { gateway, context: gatewayContext, hot, isTaken }
  })

/**
 * Makes a gateway to serve in your own way. It serves the `Dashboard` in context, if there is one.
 *
 * @example
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Effect } from "effect"
 * import { Gateway } from "effect-llm/gateway"
 *
 * // A listener for `createServer` of Node, beside routes of your own.
 * const listener = Effect.flatMap(Gateway.make({ simple: false }), ({ app }) => NodeHttpServer.makeHandler(app))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <R = never>(options: Options<R> = {}): Effect.Effect<Gateway, never, Models | Access | R> =>
  Effect.map(makeParts(options), ({ gateway }) => gateway)

/**
 * The gateway as an app, to mount in a server of your own.
 *
 * @since 0.1.0
 * @category constructors
 */
export const app = <R = never>(
  options: Options<R> = {}
): Effect.Effect<HttpApp.Default<never, Scope.Scope>, never, Models | Access | R> =>
  Effect.map(make(options), (gateway) => gateway.app)

/**
 * Serves the gateway with the server in context, for example of `GatewayServer.layer`. Drains when the layer is closed.
 *
 * Without keys it serves the loopback interface only: it logs a warning, and fails where the server listens on another address.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Models } from "effect-llm"
 * import { Access, Gateway, GatewayServer } from "effect-llm/gateway"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const Main = Gateway.layer().pipe(
 *   Layer.provide(GatewayServer.layer({ port: 8080 })),
 *   Layer.provide(Access.layer({ keys: [{ key: "sk-team", label: "team" }] })),
 *   Layer.provide(Models.layerFile("provider.json")),
 *   Layer.provide(NodeTransport.layerUndici),
 *   Layer.provide(NodeContext.layer)
 * )
 * ```
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
        const host = hostOf(server)
        if (host !== undefined && !Loopback.isLoopback(host)) return yield* new InsecureAddressError({ address: host })
        yield* Effect.logWarning(
          `No key is configured: every client that can reach ${address} can use the gateway, so it serves this machine only.`
        )
      }
      const { context, gateway, hot, isTaken } = yield* makeParts(options)
      yield* Tracing.withRequestSpans(server.serve(gateway.app))
      const nodeServer = NodeServer.of(server)
      if (nodeServer !== undefined) {
        yield* NodeServer.intercept(
          nodeServer,
          yield* NodeListener.make(context, hot, isTaken, options.cors !== undefined)
        )
      }
      // Runs before the finalizer of the server, so that requests in flight can end.
      yield* Effect.addFinalizer(() => gateway.drain)
      yield* Effect.logInfo(`The gateway answers at ${address}`)
    })
  )
