/** Fibers, servers and spans of requests. */
import { Cause, Context, Effect, Option, References } from "effect"
import type { Fiber, Tracer } from "effect"
import { Headers, HttpMiddleware, HttpServer, HttpServerRequest, UrlParams } from "effect/http"

export type ServerService = HttpServer.HttpServer["Service"]

/** The host that a server listens on; undefined for a socket of Unix. */
export const hostOf = ({ address }: ServerService): string | undefined =>
  address._tag === "UnixPathAddress" ? undefined : new URL(HttpServer.formatAddress(address)).hostname

/** Whether a fiber that ends with a cause was interrupted from outside, rather than by its own effect. */
export const isInterrupted = ({ id }: Fiber.Fiber<unknown, unknown>, cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => Cause.isInterruptReason(reason) && reason.fiberId !== id)

export type Forking = Context.Context<never>

export const forking: Effect.Effect<Forking> = Effect.context<never>()

/** What all fibers have in their context. */
export const contextOf = (forking: Forking): Context.Context<never> => forking

/** Runs an effect in a fiber that begins with a context and with an annotation of its log lines. */
export const unsafeFork = <A, E>(
  _forking: Forking,
  context: Context.Context<never>,
  annotation: string,
  value: string,
  effect: Effect.Effect<A, E>
): Fiber.Fiber<A, E> =>
  Effect.runForkWith(
    Context.add(context, References.CurrentLogAnnotations, {
      ...Context.get(context, References.CurrentLogAnnotations),
      [annotation]: value
    })
  )(effect)

type Redacted = string | RegExp

/** Serves without spans for some requests, and with more names of headers whose values spans must not have. */
export const withSpansOf = <A, E, R>(
  serve: Effect.Effect<A, E, R>,
  redacted: ReadonlyArray<Redacted>,
  isUntraced: (request: HttpServerRequest.HttpServerRequest) => boolean
): Effect.Effect<A, E, R> =>
  serve.pipe(
    Effect.updateService(Headers.CurrentRedactedNames, (names) => [...names, ...redacted]),
    Effect.provideService(HttpMiddleware.TracerDisabledWhen, isUntraced)
  )

/** The name that the platform gives to the span of a request. */
export const spanName = (method: string): string => method

/** Writes parts of a request into its span, as the platform does by the settings of the program. */
export interface SpanWriter {
  /** `url` has the path and the query. */
  readonly url: (span: Tracer.Span, host: string, url: string) => void
  /** The values of keys are redacted. */
  readonly headers: (span: Tracer.Span, of: "request" | "response", headers: Headers.Headers) => void
}

export const spanWriter = (redacted: ReadonlyArray<Redacted>): Effect.Effect<SpanWriter> =>
  Effect.withFiber((fiber) => {
    const isIncluded = fiber.getRef(HttpMiddleware.TracerHeaderFilter)
    const names = [...fiber.getRef(Headers.CurrentRedactedNames), ...redacted]
    const parameters = fiber.getRef(UrlParams.CurrentRedactedNames)
    return Effect.succeed({
      url: (span, host, url) => {
        const found = HttpServerRequest.toURL(requestOf("GET", url, Headers.fromInput({ host }), undefined))
        if (Option.isNone(found)) return
        const { hostname, href, pathname, port, search } = found.value
        const query = UrlParams.redactUrl(search, parameters).slice(1)
        span.attribute("url.full", UrlParams.redactUrl(href, parameters))
        span.attribute("url.path", pathname)
        if (query !== "") span.attribute("url.query", query)
        span.attribute("url.scheme", "http")
        span.attribute("server.address", hostname.replace(/^\[(.*)\]$/, "$1"))
        span.attribute("server.port", port === "" ? 80 : Number(port))
      },
      headers: (span, of, headers) => {
        for (const [name, value] of Object.entries(headers)) {
          if (!isIncluded(name, of)) continue
          span.attribute(`http.${of}.header.${name}`, Headers.isRedactedName(name, names) ? "<redacted>" : value)
        }
      }
    })
  })

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
    remoteAddress: Option.fromUndefinedOr(remoteAddress)
  })

/** Whether the client of a request waits until its body is read through the platform (`Expect: 100-continue`). Node continues the others. */
export const isContinuedByReading = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  /100-continue/i.test(headers["expect"] ?? "")
