/**
 * A provider on loopback that does what you tell it: a real HTTP server that speaks every protocol there is a client for,
 * knows its keys, takes its time, and fails on demand. It keeps a log of what really happened on its side of the wire.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { SimulatedProvider } from "effect-llm/testing"
 *
 * const program = Effect.gen(function* () {
 *   const provider = yield* SimulatedProvider.make({
 *     keys: [{ key: "good", limit: { requests: 10, per: "1 minute" } }, { key: "revoked", revoked: true }],
 *     latency: { min: "20 millis", max: "80 millis" }
 *   })
 *   // The next request is answered with a 503, the one after it breaks off in the middle of its stream.
 *   yield* provider.next(SimulatedProvider.status(503), SimulatedProvider.reset(3))
 *   return provider.baseUrl
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 */
import type { Duration, Scope } from "effect"
import { Chunk, Effect, FiberSet, Layer, Ref } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer } from "node:http"
import type { Socket } from "node:net"
import type { Exchange, ListenOptions, Options, Service } from "./model.js"
import { Fault, PortError, SimulatedProvider } from "./model.js"
import { serve } from "./simulatedExchange.js"

export type { Delay, Exchange, Fault, ListenOptions, Options, Service, SimulatedKey } from "./model.js"
export { PortError, SimulatedProvider } from "./model.js"

/**
 * An error of this status, with a message and a code of the provider's; `retryAfter` is sent as the header.
 *
 * @since 0.1.0
 * @category faults
 */
export const status = (
  status: number,
  options: { readonly message?: string; readonly code?: string; readonly retryAfter?: Duration.DurationInput } = {}
): Fault => Fault.Status({ status, ...options })

/**
 * The connection is reset after so many events. @default 0: before any byte of an answer
 *
 * @since 0.1.0
 * @category faults
 */
export const reset = (after = 0): Fault => Fault.Reset({ after })

/**
 * The answer ends in good order after so many events, before it is complete. @default 0
 *
 * @since 0.1.0
 * @category faults
 */
export const truncate = (after = 0): Fault => Fault.Truncate({ after })

/**
 * A page of HTML with status 200.
 *
 * @since 0.1.0
 * @category faults
 */
export const garbage: Fault = Fault.Garbage()

/**
 * An event that is no JSON, after so many that are. @default 0
 *
 * @since 0.1.0
 * @category faults
 */
export const brokenEvent = (after = 0): Fault => Fault.BrokenEvent({ after })

/**
 * An error event after so many others, or a whole answer that is an error with status 200. @default 0
 *
 * @since 0.1.0
 * @category faults
 */
export const errorEvent = (after = 0, options: { readonly message?: string; readonly code?: string } = {}): Fault =>
  Fault.ErrorEvent({ after, ...options })

/**
 * Nothing more comes after so many events, and nothing is closed. @default 0: not even headers
 *
 * @since 0.1.0
 * @category faults
 */
export const hang = (after = 0): Fault => Fault.Hang({ after })

/**
 * Every byte of the answer is sent alone.
 *
 * @since 0.1.0
 * @category faults
 */
export const drip: Fault = Fault.Drip()

/**
 * The provider counts no tokens.
 *
 * @since 0.1.0
 * @category faults
 */
export const noUsage: Fault = Fault.NoUsage()

/**
 * The stream is complete, but its connection is never closed.
 *
 * @since 0.1.0
 * @category faults
 */
export const neverClose: Fault = Fault.NeverClose()

/**
 * A request with `stream_options` is refused with a 400, as older servers do.
 *
 * @since 0.1.0
 * @category faults
 */
export const refuseStreamOptions: Fault = Fault.RefuseStreamOptions()

const portOf = (address: unknown): number =>
  typeof address === "object" && address !== null && "port" in address && typeof address.port === "number"
    ? address.port
    : 0

/**
 * Starts a provider on a free port of the loopback interface. It stops with the scope, and cuts what is still open.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, Scope.Scope> =>
  // A free port is there.
  Effect.orDie(listen(options))

/**
 * Starts a provider on a port of the loopback interface. It stops with the scope, and cuts what is still open.
 *
 * @since 0.1.0
 * @category constructors
 */
export const listen = (options: ListenOptions = {}): Effect.Effect<Service, PortError, Scope.Scope> =>
  Effect.gen(function* () {
    const queue = yield* Ref.make<ReadonlyArray<Fault | undefined>>([])
    const log = yield* Ref.make(Chunk.empty<Exchange>())
    const busy = yield* Ref.make(0)
    const starts = yield* Ref.make<ReadonlyMap<string, ReadonlyArray<number>>>(new Map())
    const count = yield* Ref.make(0)
    const sockets = new Set<Socket>()
    const busySockets = new Set<Socket>()

    const exchange = (request: IncomingMessage, response: ServerResponse): Effect.Effect<void> =>
      Effect.acquireUseRelease(
        Effect.zipRight(
          Ref.update(busy, (n) => n + 1),
          Effect.sync(() => busySockets.add(request.socket))
        ),
        () =>
          Effect.flatMap(serve({ options, queue, starts, count }, request, response), (done) =>
            Ref.update(log, Chunk.append(done))
          ),
        () =>
          Effect.zipRight(
            Effect.sync(() => busySockets.delete(request.socket)),
            Ref.update(busy, (n) => n - 1)
          )
      )

    const run = yield* FiberSet.makeRuntime<never>()
    const server = yield* Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>, PortError>((resume) => {
        const created = createServer((request, response) => {
          run(exchange(request, response))
        })
        created.on("connection", (socket) => {
          sockets.add(socket)
          socket.on("close", () => sockets.delete(socket))
        })
        const { port = 0 } = options
        if (!(port >= 0 && port <= 65_535)) return resume(Effect.fail(new PortError({ port, reason: "no such port" })))
        created.once("error", (error) =>
          resume(Effect.fail(new PortError({ port, reason: "code" in error ? String(error.code) : error.name })))
        )
        created.listen(port, "127.0.0.1", () => resume(Effect.succeed(created)))
      }),
      (created) =>
        Effect.async<void>((resume) => {
          for (const socket of sockets) socket.destroy()
          created.close(() => resume(Effect.void))
        })
    )

    return {
      baseUrl: `http://127.0.0.1:${portOf(server.address())}/v1`,
      next: (...faults) => Ref.update(queue, (before) => [...before, ...faults]),
      log: Effect.map(Ref.get(log), Chunk.toReadonlyArray),
      inFlight: Ref.get(busy),
      openConnections: Effect.sync(() => sockets.size),
      busyConnections: Effect.sync(() => busySockets.size)
    }
  })

/**
 * A provider on a free port of the loopback interface, for as long as the layer is in use.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<SimulatedProvider> =>
  Layer.scoped(SimulatedProvider, make(options))
