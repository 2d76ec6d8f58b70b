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
import { Chunk, Context, Data, Effect, FiberSet, Layer, Ref, Schema } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer } from "node:http"
import type { Socket } from "node:net"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { Dialect } from "../wire/ChatCompletions.js"
import { serve } from "./simulatedExchange.js"

/**
 * A key and how the provider treats it.
 *
 * @since 0.1.0
 * @category model
 */
export interface SimulatedKey {
  readonly key: string
  /** The most requests within any time of this length; those above get a 429 with the Retry-After that is right. */
  readonly limit?: { readonly requests: number; readonly per: Duration.DurationInput }
  /** Every request gets a 401. @default false */
  readonly revoked?: boolean
  /** Every request gets a 429 that speaks of quota. @default false */
  readonly outOfQuota?: boolean
}

/**
 * What goes wrong with one request. `after` counts the events of a stream that are sent before; a whole answer is cut in
 * its middle.
 *
 * @since 0.1.0
 * @category faults
 */
export type Fault = Data.TaggedEnum<{
  /** An error of this status, with the provider's usual body. */
  Status: {
    readonly status: number
    readonly message?: string
    readonly code?: string
    readonly retryAfter?: Duration.DurationInput
  }
  /** The connection is reset. `after` 0: before any byte of an answer. */
  Reset: { readonly after: number }
  /** The answer ends in good order before it is complete. */
  Truncate: { readonly after: number }
  /** A page of HTML with status 200. */
  Garbage: {}
  /** An event that is no JSON. */
  BrokenEvent: { readonly after: number }
  /** An error event in the stream; a whole answer becomes an error with status 200. */
  ErrorEvent: { readonly after: number; readonly message?: string; readonly code?: string }
  /** Nothing more comes, and nothing is closed. `after` 0: not even headers. */
  Hang: { readonly after: number }
  /** Every byte is sent alone. */
  Drip: {}
  /** The provider counts no tokens. */
  NoUsage: {}
  /** The stream is complete, but the connection is never closed. */
  NeverClose: {}
  /** `stream_options` is refused with a 400, as older servers do. */
  RefuseStreamOptions: {}
}>

const Fault = Data.taggedEnum<Fault>()

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

/**
 * A time, or any between two.
 *
 * @since 0.1.0
 * @category model
 */
export type Delay =
  | Duration.DurationInput
  | { readonly min: Duration.DurationInput; readonly max: Duration.DurationInput }

/**
 * Which keys the provider knows, what it answers and how fast, and what goes wrong.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The keys that are known; any other gets a 401. @default every key is good */
  readonly keys?: ReadonlyArray<SimulatedKey>
  /** What is answered: a text, or more of an answer. @default an echo of the last message */
  readonly answer?: (request: ChatRequest) => string | Partial<ChatResponse>
  /** The models that are listed; any name is answered. @default ["simulated"] */
  readonly models?: ReadonlyArray<string>
  /**
   * Whom it follows where it speaks Chat Completions, such as the `dialect` of a preset: where it tells thoughts, and whether
   * its streams tell their usage unasked. @default OpenAI, with thoughts in all places where clients look for them
   */
  readonly chatCompletions?: Partial<Dialect>
  /** Before the first byte. @default 0 */
  readonly latency?: Delay
  /** Between the events of a stream. @default 0 */
  readonly tokenPace?: Delay
  /** What goes wrong with a request, by its number from 0; asked when no fault is queued. @default nothing */
  readonly faults?: (index: number, request: ChatRequest) => Fault | undefined
}

/**
 * A request as the provider saw it.
 *
 * @since 0.1.0
 * @category model
 */
export interface Exchange {
  /** `ApiKey.fingerprint` of the key, never the secret; empty where there was none. */
  readonly keyId: string
  readonly path: string
  /** The body as it came. */
  readonly body: unknown
  readonly stream: boolean
  /** The status that was sent; 0 where none was. */
  readonly status: number
  /** Events of a stream that were sent. */
  readonly events: number
  /** `complete`: all was sent. `faulted`: what was asked to go wrong did. `aborted`: the client left before the end. */
  readonly outcome: "complete" | "faulted" | "aborted"
  /** When it came, in milliseconds since the epoch. */
  readonly startedAt: number
  /** Until the end, or until the client was seen to leave, in milliseconds. */
  readonly duration: number
}

/**
 * A provider that runs: where it is, what it shall do wrong next, and what it has seen.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** What clients call the base URL: `http://127.0.0.1:<port>/v1`. */
  readonly baseUrl: string
  /** Queues faults for the next requests that a good key makes, one each; `undefined` lets one through. */
  readonly next: (...faults: ReadonlyArray<Fault | undefined>) => Effect.Effect<void>
  /** Every request that is over, in the order in which they ended. */
  readonly log: Effect.Effect<ReadonlyArray<Exchange>>
  /** Requests that are not over. */
  readonly inFlight: Effect.Effect<number>
  /** Sockets that are open, idle ones included. */
  readonly openConnections: Effect.Effect<number>
  /** Sockets on which a request is under way. */
  readonly busyConnections: Effect.Effect<number>
}

/**
 * The provider that a test speaks to.
 *
 * @since 0.1.0
 * @category tags
 */
export class SimulatedProvider extends Context.Tag("effect-llm/testing/SimulatedProvider")<
  SimulatedProvider,
  Service
>() {}

/**
 * The port is not to be had: another program listens there, or it may not be listened to.
 *
 * @since 0.1.0
 * @category errors
 */
export class PortError extends Schema.TaggedError<PortError>()("PortError", {
  port: Schema.Number,
  /** In the words of the system, such as `EADDRINUSE`. */
  reason: Schema.String
}) {
  override get message(): string {
    return `Port ${this.port} cannot be listened to (${this.reason}). Take another one.`
  }
}

/**
 * @since 0.1.0
 * @category model
 */
export interface ListenOptions extends Options {
  /** Where it listens on the loopback interface. @default 0: a port that is free */
  readonly port?: number
}

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
