/** The hot routes as handlers of `@effect/platform`, for servers other than Node's. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import type { HttpApp } from "@effect/platform"
import type { Scope } from "effect"
import { Chunk, Deferred, Effect, Option, Stream } from "effect"
import { IncomingMessage } from "node:http"
import type { GatewayContext } from "./context.js"
import type { Exchange, Request, Responder } from "./exchange.js"
import type { HotRoute } from "./hotRoute.js"
import { serve } from "./hotRoute.js"

/** A request of the platform. */
export const requestOf = (request: HttpServerRequest.HttpServerRequest): Request => ({
  method: request.method,
  path: request.url.split("?")[0] ?? "",
  headers: request.headers,
  body: request.source instanceof IncomingMessage ? request.source : request.stream
})

const encoder = new TextEncoder()

/** The pieces of a body between the fiber that writes them and the server, which pulls them. */
const makeBody = () => {
  let pieces: Array<Uint8Array> = []
  let hasEnded = false
  let wakeReader: (() => void) | undefined
  let wakeWriter: (() => void) | undefined

  const notify = (): void => {
    const wake = wakeReader
    wakeReader = undefined
    wake?.()
  }

  const take = (): Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<never>> => {
    if (pieces.length === 0) return Effect.fail(Option.none())
    const taken = Chunk.unsafeFromArray(pieces)
    pieces = []
    const wake = wakeWriter
    wakeWriter = undefined
    wake?.()
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
    end: (): void => {
      hasEnded = true
      notify()
    }
  }
}

const makeResponder = (
  request: HttpServerRequest.HttpServerRequest,
  respond: (response: HttpServerResponse.HttpServerResponse) => void
): Responder => {
  const { drained, end, stream, write } = makeBody()
  return {
    send: (status, headers, body) => respond(HttpServerResponse.raw(body, { status, headers, ...whole(body) })),
    begin: (headers) => respond(HttpServerResponse.stream(stream, { headers })),
    write,
    drained,
    end,
    destroy: () => {
      if (request.source instanceof IncomingMessage) NodeHttpServerRequest.toServerResponse(request).destroy()
      end()
    }
  }
}

const whole = (body: string) => ({ contentType: "application/json", contentLength: encoder.encode(body).length })

/** The handler runs in a fiber of its own, since the platform wants the response before its body is written. */
export const make = (context: GatewayContext, route: HotRoute): HttpApp.Default<never, Scope.Scope> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    Effect.flatMap(Deferred.make<HttpServerResponse.HttpServerResponse>(), (answered) => {
      const exchange: Exchange = {
        request: requestOf(request),
        response: makeResponder(request, (response) => Deferred.unsafeDone(answered, Effect.succeed(response)))
      }
      return Effect.zipRight(Effect.forkScoped(serve(context, route, exchange)), Deferred.await(answered))
    })
  )
