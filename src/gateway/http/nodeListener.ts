/** Serves the hot routes from the requests and responses of Node's server, each in one fiber. */
import { Context, Effect } from "effect"
import type { ServerResponse } from "node:http"
import * as Spans from "../../telemetry/fiberSpans.js"
import type { GatewayContext } from "./context.js"
import { addressOf } from "./address.js"
import type { Request, Responder } from "./exchange.js"
import type { HotRoute } from "./hotRoute.js"
import { callerContext, knownCaller, serve } from "./hotRoute.js"
import type { Listener } from "./nodeServer.js"
import * as Platform from "./platform.js"
import { whenQueuedCloses } from "./nodeServer.js"
import * as RequestId from "./requestId.js"
import * as Tracing from "./tracing.js"
import type { Caller } from "../auth/model.js"
import { watchedContext } from "../../telemetry/callRecord.js"
import * as Fibers from "../../internal/fibers.js"

const joined = (pieces: ReadonlyArray<string | Uint8Array>): string | Uint8Array =>
  pieces.every((piece) => typeof piece === "string")
    ? pieces.join("")
    : Buffer.concat(pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece) : piece)))

interface NodeResponder extends Responder {
  /** What was sent, which Node does not keep. */
  readonly sent: () => Tracing.SentHead | undefined
  /** Whether the whole response was handed over. */
  readonly isEnded: () => boolean
}

/**
 * Runs all that is scheduled in one turn of the event loop at the end of it. To write many responses at once wakes a process at the other end
 * once for all of them, which costs more than to write.
 */
const makeTurnEnd = (): ((write: () => void) => void) => {
  let scheduled: Array<() => void> = []
  const run = (): void => {
    const writes = scheduled
    scheduled = []
    for (const write of writes) write()
  }
  return (write) => {
    if (scheduled.length === 0) setImmediate(run)
    scheduled.push(write)
  }
}

const makeResponder = (
  { requests }: GatewayContext,
  atTurnEnd: (write: () => void) => void,
  response: ServerResponse,
  id: string,
  isAnthropic: boolean
): NodeResponder => {
  let sent: Tracing.SentHead | undefined
  let isEnded = false
  const writeHead = (status: number, headers: Record<string, string>): void => {
    response.writeHead(status, headers)
    sent = { status, headers }
  }
  /** Pieces of this turn of the event loop, which become one chunk of the response. */
  let pending: Array<string | Uint8Array> = []
  let pendingSize = 0
  let wakeWriter: (() => void) | undefined
  const flush = (): void => {
    if (pending.length === 0) return
    const [first, ...others] = pending
    const piece = first === undefined || others.length > 0 ? joined(pending) : first
    pending = []
    pendingSize = 0
    if (!response.destroyed) response.write(piece)
  }
  /** Keeps the request in flight while its client has yet to take the end of the response: a shutdown would cut that off. */
  const finish = (end: () => void): void => {
    isEnded = true
    const release = requests.hold(() => response.destroy())
    atTurnEnd(() => {
      end()
      if (response.writableLength === 0 || response.destroyed || response.socket === null) return release()
      response.once("close", release)
    })
  }

  return {
    sent: () => sent,
    isEnded: () => isEnded,
    send: (status, headers, body) => {
      if (response.destroyed) return
      writeHead(status, {
        "content-type": "application/json",
        ...RequestId.headersWith(id, isAnthropic, headers),
        "content-length": String(Buffer.byteLength(body))
      })
      finish(() => response.end(body))
    },
    begin: (headers) => {
      if (!response.destroyed) writeHead(200, { ...RequestId.headersWith(id, isAnthropic, headers) })
    },
    write: (piece) => {
      if (isEnded || response.destroyed) return true
      if (pending.length === 0) atTurnEnd(flush)
      pending.push(piece)
      pendingSize += piece.length
      return response.writableLength + pendingSize < response.writableHighWaterMark
    },
    drained: Effect.async<void>((resume) => {
      flush()
      if (!response.writableNeedDrain) return resume(Effect.void)
      const stop = (): void => {
        wakeWriter = undefined
        response.off("drain", wake)
      }
      const wake = (): void => {
        stop()
        resume(Effect.void)
      }
      wakeWriter = wake
      response.once("drain", wake)
      return Effect.sync(stop)
    }),
    isWaiting: () => wakeWriter !== undefined,
    stopWaiting: () => wakeWriter?.(),
    end: () =>
      finish(() => {
        flush()
        response.end()
      }),
    destroy: () => void response.destroy()
  }
}

/** A hot route with what the requests to it have in common. */
interface Served {
  readonly route: HotRoute
  readonly isAnthropic: boolean
  /** The contexts of the known callers, since a context is copied for each service that is added to it. */
  readonly contexts: WeakMap<Caller, Context.Context<never>>
}

/**
 * `isTaken`: the program has a route of its own, which the platform serves. `hasCors`: requests of web pages of other origins are left to the
 * platform, which knows which of them are allowed.
 */
export const make = (
  context: GatewayContext,
  routes: ReadonlyArray<HotRoute>,
  isTaken: (method: string, path: string) => boolean,
  hasCors: boolean
): Effect.Effect<Listener> =>
  Effect.map(Effect.all([Platform.forking, Spans.isSilent]), ([forking, isSilent]) => {
    const atTurnEnd = makeTurnEnd()
    const byPath: ReadonlyMap<string, Served> = new Map(
      routes.map((route) => [
        route.path,
        { route, isAnthropic: RequestId.isAnthropicRequest(route.path, {}), contexts: new WeakMap() }
      ])
    )
    const outer = Platform.contextOf(forking)
    const contextFor = ({ contexts, route }: Served, caller: Caller): Context.Context<never> => {
      const known = contexts.get(caller)
      if (known !== undefined) return known
      const made = Context.merge(outer, callerContext(route, caller))
      contexts.set(caller, made)
      return made
    }
    return (request, response) => {
      const { headers, method = "", url = "" } = request
      if (method !== "POST" || (hasCors && headers.origin !== undefined)) return false
      const queryAt = url.indexOf("?")
      const sent = queryAt === -1 ? url : url.slice(0, queryAt)
      const own = byPath.get(sent)
      const address = own === undefined && !isTaken(method, sent) ? addressOf(sent) : undefined
      const served = own ?? byPath.get(address?.path ?? sent)
      if (served === undefined) return false
      const { isAnthropic, route } = served
      const { path } = route
      const received: Request = { method, path, headers, body: request, model: address?.model }
      const id = RequestId.idOf(headers)
      const responder = makeResponder(context, atTurnEnd, response, id, isAnthropic)
      const identified = RequestId.contextOf(id, isAnthropic)
      const caller = knownCaller(context, received)
      const handler = serve(context, route, { request: received, response: responder }, caller)
      const inContext =
        caller === undefined
          ? Context.merge(outer, identified)
          : Context.mergeAll(contextFor(served, caller), identified, watchedContext())
      const remoteAddress = request.socket.remoteAddress
      const traced = { method, url, route: path, headers, remoteAddress, sent: responder.sent }
      const spanned = Tracing.inRequestSpan(isSilent, traced, handler)
      // The fiber begins with the request's id and its caller in its context and its log annotations.
      const fiber = Platform.unsafeFork(forking, inContext, RequestId.annotation, id, spanned)
      const interrupt = (): void => Fibers.unsafeInterrupt(fiber)
      response.on("close", () => {
        if (!responder.isEnded()) interrupt()
      })
      const forget = whenQueuedCloses(request, response, interrupt)
      if (forget !== undefined) Fibers.observe(fiber, forget)
      // A handler that dies without a response must not leave its client waiting.
      Fibers.observe(fiber, () => {
        if (!responder.isEnded()) response.destroy()
      })
      return true
    }
  })
