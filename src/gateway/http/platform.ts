/** Fibers, servers and spans of requests: one module, since those of Effect 4 have another form. */
import { Headers, HttpMiddleware, HttpServerRequest } from "@effect/platform"
import type { HttpServer } from "@effect/platform"
import { Cause, Effect, FiberId, FiberRef, FiberRefs, HashMap, Runtime } from "effect"
import type { Context, Fiber, Tracer } from "effect"

export type ServerService = HttpServer.HttpServer

/** The host that a server listens on; undefined for a socket of Unix. */
export const hostOf = ({ address }: ServerService): string | undefined =>
  address._tag === "TcpAddress" ? address.hostname : undefined

/** Whether a fiber that ends with a cause was interrupted from outside, rather than by its own effect. */
export const isInterrupted = (fiber: Fiber.RuntimeFiber<unknown, unknown>, _cause: Cause.Cause<unknown>): boolean =>
  !Cause.isEmptyType(fiber.getFiberRef(FiberRef.interruptedCause))

export type Forking = Runtime.Runtime<never>

export const forking: Effect.Effect<Forking> = Effect.runtime<never>()

/** What all fibers have in their context. */
export const contextOf = ({ context }: Forking): Context.Context<never> => context

/** Runs an effect in a fiber that begins with a context and with an annotation of its log lines. */
export const unsafeFork = <A, E>(
  { fiberRefs, runtimeFlags }: Forking,
  context: Context.Context<never>,
  annotation: string,
  value: string,
  effect: Effect.Effect<A, E>
): Fiber.RuntimeFiber<A, E> =>
  Runtime.runFork(
    Runtime.make({
      runtimeFlags,
      context,
      fiberRefs: FiberRefs.updateAs(fiberRefs, {
        fiberId: FiberId.none,
        fiberRef: FiberRef.currentLogAnnotations,
        value: HashMap.set(FiberRefs.getOrDefault(fiberRefs, FiberRef.currentLogAnnotations), annotation, value)
      })
    })
  )(effect)

type Redacted = string | RegExp

/** Serves without spans for some requests, and with more names of headers whose values spans must not have. */
export const withSpansOf = <A, E, R>(
  serve: Effect.Effect<A, E, R>,
  redacted: ReadonlyArray<Redacted>,
  isUntraced: (request: HttpServerRequest.HttpServerRequest) => boolean
): Effect.Effect<A, E, R> =>
  HttpMiddleware.withTracerDisabledWhenEffect(
    Effect.locallyWith(serve, Headers.currentRedactedNames, (names) => [...names, ...redacted]),
    isUntraced
  )

/** The name that the platform gives to the span of a request. */
export const spanName = (method: string): string => `http.server ${method}`

/** Writes parts of a request into its span, as the platform does by the settings of the program. */
export interface SpanWriter {
  /** `url` has the path and the query. */
  readonly url: (span: Tracer.Span, host: string, url: string) => void
  /** The values of keys are redacted. */
  readonly headers: (span: Tracer.Span, of: "request" | "response", headers: Headers.Headers) => void
}

export const spanWriter = (redacted: ReadonlyArray<Redacted>): Effect.Effect<SpanWriter> =>
  Effect.map(Headers.currentRedactedNames, (names) => ({
    url: (span, host, url) => {
      const [path = "", query = ""] = url.split(/\?(.*)/s)
      span.attribute("url.full", `http://${host}${url}`)
      span.attribute("url.path", path)
      if (query !== "") span.attribute("url.query", query)
      span.attribute("url.scheme", "http")
    },
    headers: (span, of, headers) => {
      for (const [name, value] of Object.entries(Headers.redact(headers, [...names, ...redacted]))) {
        span.attribute(`http.${of}.header.${name}`, String(value))
      }
    }
  }))

/** A request of the platform, for the generator of the names of spans. */
export const requestOf = (
  method: string,
  url: string,
  headers: Headers.Headers,
  remoteAddress: string | undefined
): HttpServerRequest.HttpServerRequest =>
  HttpServerRequest.fromWeb(new Request("http://localhost", { method })).modify({
    url,
    headers,
    ...(remoteAddress === undefined ? {} : { remoteAddress })
  })

/** Whether the client of a request waits until its body is read through the platform (`Expect: 100-continue`). Node continues the others. */
export const isContinuedByReading = (_request: HttpServerRequest.HttpServerRequest): boolean => false
