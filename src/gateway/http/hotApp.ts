/** The hot routes as handlers of `@effect/platform`, for servers other than Node's. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type { HttpApp } from "@effect/platform"
import type { Scope } from "effect"
import { Chunk, Deferred, Effect, Option, Stream } from "effect"
import { IncomingMessage, ServerResponse } from "node:http"
import { addressOf } from "./address.js"
import type { GatewayContext } from "./context.js"
import type { Exchange, Request, Responder } from "./exchange.js"
import type { HotRoute } from "./hotRoute.js"
import { serve } from "./hotRoute.js"
import { whenQueuedCloses } from "./nodeServer.js"
import * as Platform from "./platform.js"
import * as Fibers from "../../internal/fibers.js"

/** The path of a URL, whole or without its origin. */
const pathOf = (url: string): string => /^(?:https?:\/\/[^/]+)?([^?]*)/.exec(url)?.[1] ?? ""

/** A request of the platform, whose URL is that of the route. */
export const requestOf = (request: HttpServerRequest.HttpServerRequest): Request => ({
  method: request.method,
  path: request.url.split("?")[0] ?? "",
  model: addressOf(pathOf(request.originalUrl))?.model,
  headers: request.headers,
  body: bodyOf(request)
})

/** The platform fails where a web request has no body. */
const bodyOf = (request: HttpServerRequest.HttpServerRequest): Request["body"] => {
  const { source } = request
  if (source instanceof IncomingMessage && !Platform.isContinuedByReading(request)) return source
  return source instanceof globalThis.Request && source.body === null ? Stream.empty : request.stream
}

const encoder = new TextEncoder()

/** The pieces of a body between the fiber that writes them and the server, which pulls them. */
const makeBody = () => {
  let pieces: Array<Uint8Array> = []
  let hasEnded = false
  let isCutOff = false
  let wakeReader: (() => void) | undefined
  let wakeWriter: (() => void) | undefined

  const notify = (): void => {
    const wake = wakeReader
    wakeReader = undefined
    wake?.()
  }

  const stopWaiting = (): void => {
    const wake = wakeWriter
    wakeWriter = undefined
    wake?.()
  }

  const take = (): Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<never>> => {
    if (isCutOff) return Effect.dieMessage("The response was cut off.")
    if (pieces.length === 0) return Effect.fail(Option.none())
    const taken = Chunk.unsafeFromArray(pieces)
    pieces = []
    stopWaiting()
    return Effect.succeed(taken)
  }

  return {
    stream: Stream.repeatEffectChunkOption(
      Effect.async<Chunk.Chunk<Uint8Array>, Option.Option<never>>((resume) => {
        if (pieces.length > 0 || hasEnded) return resume(take())
        wakeReader = () => resume(take())
        return Effect.sync(() => {
          wakeReader = undefined
        })
      })
    ),
    write: (piece: string | Uint8Array): boolean => {
      pieces.push(typeof piece === "string" ? encoder.encode(piece) : piece)
      notify()
      return pieces.length === 0
    },
    drained: Effect.async<void>((resume) => {
      if (pieces.length === 0) return resume(Effect.void)
      wakeWriter = () => resume(Effect.void)
      return Effect.sync(() => {
        wakeWriter = undefined
      })
    }),
    isWaiting: (): boolean => wakeWriter !== undefined,
    stopWaiting,
    end: (): void => {
      hasEnded = true
      notify()
    },
    hasEnded: (): boolean => hasEnded,
    /** Makes the stream fail, unless it has ended. */
    cutOff: (): void => {
      if (hasEnded) return
      hasEnded = true
      isCutOff = true
      notify()
    }
  }
}

interface PlatformResponder extends Responder {
  /** Ends the response where its handler has not: its client must not wait for ever, and the response must not look complete. */
  readonly abandon: () => void
}

/** `respond` uses the first response that it receives. */
const makeResponder = (
  request: HttpServerRequest.HttpServerRequest,
  respond: (response: HttpServerResponse.HttpServerResponse) => void
): PlatformResponder => {
  const { cutOff, drained, end, hasEnded, isWaiting, stopWaiting, stream, write } = makeBody()
  let hasBegun = false
  const destroy = (): void => {
    // The platform ends a response of Node whose stream fails as if it were complete.
    if (request.source instanceof IncomingMessage) NodeHttpServerRequest.toServerResponse(request).destroy()
    cutOff()
  }
  return {
    send: (status, headers, body) => respond(HttpServerResponse.raw(body, { status, headers, ...whole(body) })),
    begin: (headers) => {
      hasBegun = true
      respond(HttpServerResponse.stream(stream, { headers }))
    },
    write,
    drained,
    isWaiting,
    stopWaiting,
    end,
    destroy,
    abandon: () => {
      if (!hasBegun) respond(HttpServerResponse.empty({ status: 500 }))
      else if (!hasEnded()) destroy()
    }
  }
}

const whole = (body: string) => ({ contentType: "application/json", contentLength: encoder.encode(body).length })

/** The handler runs in a fiber of its own, since the platform wants the response before its body is written. */
export const make = (context: GatewayContext, route: HotRoute): HttpApp.Default<never, Scope.Scope> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    Effect.flatMap(Deferred.make<HttpServerResponse.HttpServerResponse>(), (answered) => {
      const response = makeResponder(request, (response) => Deferred.unsafeDone(answered, Effect.succeed(response)))
      const exchange: Exchange = { request: requestOf(request), response }
      return Effect.flatMap(Effect.forkScoped(serve(context, route, exchange)), (fiber) => {
        Fibers.observe(fiber, response.abandon)
        const { source } = request
        const nodeResponse =
          source instanceof IncomingMessage ? NodeHttpServerRequest.toServerResponse(request) : undefined
        if (source instanceof IncomingMessage && nodeResponse instanceof ServerResponse) {
          const interrupt = (): void => Fibers.unsafeInterrupt(fiber)
          const forget = whenQueuedCloses(source, nodeResponse, interrupt)
          if (forget !== undefined) Fibers.observe(fiber, forget)
        }
        return Deferred.await(answered)
      })
    })
  )
