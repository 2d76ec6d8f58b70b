/**
 * A simulated provider: a real HTTP server on the loopback interface that serves every protocol with a client, checks its keys,
 * delays its answers, and fails on demand. It keeps a log of the requests as the server saw them.
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
 *   // The next request is answered with a 503, the one after it is reset in the middle of its stream.
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
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import { answerOf } from "./generated/answer.js"
import type { Exchange, ListenOptions, Options, Service } from "./model.js"
import { Fault, PortError, SimulatedProvider } from "./model.js"
import { serve } from "./simulatedExchange.js"
import * as Script from "./simulatedScript.js"

export type {
  Delay,
  Exchange,
  Fault,
  ListenOptions,
  Options,
  ScriptCondition,
  ScriptEntry,
  Service,
  SimulatedKey
} from "./model.js"
export { PortError, SimulatedProvider } from "./model.js"

/**
 * An error of this status, with a message and a code; `retryAfter` is sent as the header.
 *
 * @since 0.1.0
 * @category faults
 */
export const status = (
  status: number,
  options: { readonly message?: string; readonly code?: string; readonly retryAfter?: Duration.DurationInput } = {}
): Fault => Fault.Status({ status, ...options })

/**
 * Resets the connection after this number of events. @default 0: before any byte of an answer
 *
 * @since 0.1.0
 * @category faults
 */
export const reset = (after = 0): Fault => Fault.Reset({ after })

/**
 * Ends the answer normally after this number of events, before it is complete. @default 0
 *
 * @since 0.1.0
 * @category faults
 */
export const truncate = (after = 0): Fault => Fault.Truncate({ after })

/**
 * Answers with a page of HTML and status 200.
 *
 * @since 0.1.0
 * @category faults
 */
export const garbage: Fault = Fault.Garbage()

/**
 * Sends an event that is not valid JSON after this number of valid ones. @default 0
 *
 * @since 0.1.0
 * @category faults
 */
export const brokenEvent = (after = 0): Fault => Fault.BrokenEvent({ after })

/**
 * Sends an error event after this number of others; a whole answer becomes an error with status 200. @default 0
 *
 * @since 0.1.0
 * @category faults
 */
export const errorEvent = (after = 0, options: { readonly message?: string; readonly code?: string } = {}): Fault =>
  Fault.ErrorEvent({ after, ...options })

/**
 * Sends nothing more after this number of events, and closes nothing. @default 0: not even headers
 *
 * @since 0.1.0
 * @category faults
 */
export const hang = (after = 0): Fault => Fault.Hang({ after })

/**
 * Sends every byte of the answer separately.
 *
 * @since 0.1.0
 * @category faults
 */
export const drip: Fault = Fault.Drip()

/**
 * Reports no usage.
 *
 * @since 0.1.0
 * @category faults
 */
export const noUsage: Fault = Fault.NoUsage()

/**
 * Completes the stream, but never closes its connection.
 *
 * @since 0.1.0
 * @category faults
 */
export const neverClose: Fault = Fault.NeverClose()

/**
 * Refuses a request with `stream_options` with a 400, as older servers do.
 *
 * @since 0.1.0
 * @category faults
 */
export const refuseStreamOptions: Fault = Fault.RefuseStreamOptions()

/**
 * The answer when `Options.answer` is not set, always the same for the same request:
 *
 * - With tools, a call of one, with arguments that satisfy its JSON Schema: the tool that the request forces, else the one that
 *   shares the most words with the question.
 * - After the results of tools, a text that contains them, so that tool loops end.
 * - With a JSON Schema as the format of the answer, or in the instructions, JSON that satisfies it.
 * - Otherwise `You said: ` and the text of the last user message.
 *
 * The values contain the names and numbers that the question mentions. Reasoning comes first when the request asks for it.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Chat } from "effect-llm"
 * import { SimulatedProvider } from "effect-llm/testing"
 *
 * // Tools are called with generated arguments; every text is fixed.
 * const provider = SimulatedProvider.make({
 *   answer: (request) => {
 *     const answer = SimulatedProvider.generateAnswer(request)
 *     return Chat.toolCallsOf(answer.content ?? []).length > 0 ? answer : "It is sunny."
 *   }
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const generateAnswer = (request: ChatRequest): Partial<ChatResponse> => answerOf(request)

const portOf = (address: unknown): number =>
  typeof address === "object" && address !== null && "port" in address && typeof address.port === "number"
    ? address.port
    : 0

/**
 * Starts a provider on a free port of the loopback interface. It stops with the scope, which closes its connections.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, Scope.Scope> =>
  // A free port is available.
  Effect.orDie(listen(options))

/** A client can have an answer before the server knows that it was sent, which it does in the same turn of the event loop. */
const turn = Effect.async<void>((resume) => void setImmediate(() => setImmediate(() => resume(Effect.void))))

/**
 * Starts a provider on a port of the loopback interface. It stops with the scope, which closes its connections.
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
    const taken = yield* Ref.make(Script.none)
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
          Effect.flatMap(serve({ options, queue, starts, taken, count }, request, response), (done) =>
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
          // The requests of these connections are logged in this turn of the event loop, before their fibers are interrupted.
          created.close(() => setImmediate(() => resume(Effect.void)))
        })
    )

    return {
      baseUrl: `http://127.0.0.1:${portOf(server.address())}/v1`,
      next: (...faults) => Ref.update(queue, (before) => [...before, ...faults]),
      log: Effect.zipRight(turn, Effect.map(Ref.get(log), Chunk.toReadonlyArray)),
      inFlight: Ref.get(busy),
      openConnections: Effect.sync(() => sockets.size),
      busyConnections: Effect.sync(() => busySockets.size)
    }
  })

/**
 * A provider on a free port of the loopback interface, until the layer is released.
 *
 * @example
 * ```ts
 * import { SimulatedProvider } from "effect-llm/testing"
 *
 * const Provider = SimulatedProvider.layer({ answer: () => ({ text: "Paris" }) })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<SimulatedProvider> =>
  Layer.scoped(SimulatedProvider, make(options))
