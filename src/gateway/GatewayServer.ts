/**
 * The HTTP server of a gateway on Node, with timeouts and size limits for clients.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Access, Gateway, GatewayServer } from "effect-llm/gateway"
 *
 * const Served = Gateway.layer().pipe(
 *   Layer.provide(GatewayServer.layer({ host: "0.0.0.0", port: 8080, headersTimeout: "5 seconds" })),
 *   Layer.provide(Access.layerConfig())
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { HttpServer } from "@effect/platform"
import { HttpServer as PlatformServer } from "@effect/platform"
import type { HttpServerError } from "@effect/platform"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Duration, Effect, Layer, Predicate, Schedule, Schema } from "effect"
import { Server as NetServer } from "node:net"
import { Access } from "./auth/model.js"
import * as Loopback from "./auth/loopback.js"
import * as NodeServer from "./http/nodeServer.js"
import { Peers } from "./workers/peers.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** @default "127.0.0.1" */
  readonly host?: string
  /** 0 picks a free port. @default 8080 */
  readonly port?: number
  /** How long a client can take to send its headers. @default "10 seconds" */
  readonly headersTimeout?: Duration.DurationInput
  /**
   * How long a client can take to send its whole request, before its connection is closed with a bare 408. The gateway itself answers a
   * slow body with an error after its own `bodyTimeout`, if that is shorter. @default "150 seconds"
   */
  readonly requestTimeout?: Duration.DurationInput
  /** How long a connection can stay open between two requests. @default "65 seconds" */
  readonly keepAliveTimeout?: Duration.DurationInput
  /**
   * How long a connection can stay without reads and writes during a request, because the client does not read its response or
   * the model is reasoning. @default "10 minutes"
   */
  readonly idleTimeout?: Duration.DurationInput
  /** The largest total size of the headers in bytes. @default 16384 */
  readonly maxHeaderSize?: number
}

/**
 * The server is configured to listen on a public address without any key.
 *
 * @since 0.1.0
 * @category errors
 */
export class InsecureAddressError extends Schema.TaggedError<InsecureAddressError>()("InsecureAddressError", {
  address: Schema.String
}) {
  override get message(): string {
    return `The gateway does not listen at ${this.address} without keys: others could use it. Configure a key (EFFECT_LLM_MASTER_KEY, for example), or listen at 127.0.0.1.`
  }
}

/**
 * The server cannot listen. `in-use`: another process listens on the port; `not-permitted`: this process must not use it;
 * `unknown-host`: no interface of this machine has the address, or the name of the host is not known.
 *
 * @since 0.2.0
 * @category errors
 */
export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  host: Schema.String,
  port: Schema.Int,
  reason: Schema.Literal("in-use", "not-permitted", "unknown-host", "other"),
  cause: Schema.Defect
}) {
  override get message(): string {
    const { host, port } = this
    const address = `${host.includes(":") ? `[${host}]` : host}:${port}`
    switch (this.reason) {
      case "in-use":
        return `The gateway cannot listen at ${address}: another process already listens on port ${port}. Stop that process, or choose another port.`
      case "not-permitted":
        return `The gateway cannot listen at ${address}: this process may not use port ${port}. Choose a port above 1023, or permit it.`
      case "unknown-host":
        return `The gateway cannot listen at ${address}: no interface of this machine has the address ${host}. Choose another host.`
      case "other":
        return `The gateway cannot listen at ${address}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
    }
  }
}

/** The reasons of Node's error codes. */
const reasons: ReadonlyMap<unknown, ListenError["reason"]> = new Map([
  ["EADDRINUSE", "in-use"],
  ["EACCES", "not-permitted"],
  ["EADDRNOTAVAIL", "unknown-host"],
  ["ENOTFOUND", "unknown-host"],
  ["EAI_AGAIN", "unknown-host"]
])

const listenError =
  (host: string, port: number) =>
  ({ cause }: HttpServerError.ServeError): ListenError => {
    const code = Predicate.hasProperty(cause, "code") ? cause.code : undefined
    return new ListenError({ host, port, reason: reasons.get(code) ?? "other", cause })
  }

const millis = (duration: Duration.DurationInput): number => Duration.toMillis(duration)

const serverOf = (options: Options): NodeServer.InterceptedServer => {
  const server = new NodeServer.InterceptedServer({
    headersTimeout: millis(options.headersTimeout ?? "10 seconds"),
    requestTimeout: millis(options.requestTimeout ?? "150 seconds"),
    keepAliveTimeout: millis(options.keepAliveTimeout ?? "65 seconds"),
    maxHeaderSize: options.maxHeaderSize ?? 16 * 1024,
    // How often the timeouts above are checked.
    connectionsCheckingInterval: 1000
  })
  server.timeout = millis(options.idleTimeout ?? "10 minutes")
  return server
}

/** Closes all connections: after the gateway has drained, they are idle or have their last response. */
const closeServer = (server: NodeServer.InterceptedServer): Effect.Effect<void> =>
  Effect.async((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })

/** How long a connection without a request stays open while a worker leaves, because its next request can be on the way. */
const lingerTime = Duration.seconds(2)

/**
 * Accepts no more connections, so that clients connect to other workers, and closes those that are open after one more request.
 * Succeeds when none is open.
 */
const leave = (server: NodeServer.InterceptedServer): Effect.Effect<void> =>
  Effect.zipRight(
    Effect.sync(() => {
      server.maxRequestsPerSocket = 1
      server.keepAliveTimeout = Duration.toMillis(lingerTime)
    }),
    Effect.raceFirst(
      // `close` of an HTTP server would close connections without a request at once.
      Effect.async<void>((resume) => {
        NetServer.prototype.close.call(server, () => resume(Effect.void))
      }),
      Effect.sync(() => server.closeIdleConnections()).pipe(
        Effect.repeat({ schedule: Schedule.spaced(lingerTime) }),
        Effect.delay(lingerTime),
        Effect.zipRight(Effect.never)
      )
    )
  )

/**
 * A server that listens. Fails where no key is configured and the address is not a loopback address, and where the port is taken.
 *
 * Fails with `InsecureAddressError` in the first case: add a key, or listen on `127.0.0.1`. Fails with `ListenError` in the second: choose
 * another `port`.
 *
 * @example
 * ```ts
 * import { GatewayServer } from "effect-llm/gateway"
 *
 * const Server = GatewayServer.layer({ host: "127.0.0.1", port: 8080 })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<HttpServer.HttpServer, ListenError | InsecureAddressError, Access> =>
  Layer.scoped(
    PlatformServer.HttpServer,
    Effect.gen(function* () {
      const { host = "127.0.0.1", port = 8080 } = options
      const { isOpen } = yield* Access
      if (isOpen && !Loopback.isLoopback(host)) return yield* new InsecureAddressError({ address: host })
      const server = serverOf(options)
      const httpServer = yield* Effect.mapError(
        NodeHttpServer.make(() => server, { host, port }),
        listenError(host, port)
      )
      NodeServer.register(httpServer, server)
      yield* Effect.addFinalizer(() => closeServer(server))
      const peers = yield* Peers
      if (peers !== undefined) {
        yield* peers.leaving.pipe(Effect.zipRight(leave(server)), Effect.zipRight(peers.left), Effect.forkScoped)
      }
      return httpServer
    })
  )
