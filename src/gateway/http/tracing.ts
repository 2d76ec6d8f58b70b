/** Spans of requests: they continue the client's `traceparent`, and are parents of the spans of calls. */
import { Headers, HttpMiddleware, HttpTraceContext } from "@effect/platform"
import { Context, Effect, Option } from "effect"
import { keyHeaders } from "../auth/authenticate.js"
import type { ResponseHeaders } from "./exchange.js"
import * as Platform from "./platform.js"
import * as Spans from "../../telemetry/fiberSpans.js"

/** Paths that are polled every few seconds. */
const untracedPaths: ReadonlySet<string> = new Set(["/health", "/ready", "/llm/health", "/metrics"])

/** Without a tracer, only requests with a trace of the client have a span: their calls belong to that trace. */
const isUntraced = (isSilent: boolean, headers: Headers.Headers): boolean =>
  isSilent && Option.isNone(HttpTraceContext.fromHeaders(headers))

/** The server makes a span for each request, which costs a tenth of a request. */
export const withRequestSpans = <A, E, R>(serve: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Spans.isSilent, (isSilent) =>
    // Headers with keys of clients that the platform does not redact by itself.
    Platform.withSpansOf(
      serve,
      keyHeaders,
      ({ headers, url }) => untracedPaths.has(url.split("?")[0] ?? "") || isUntraced(isSilent, headers)
    )
  )

/** What the span of a request says. */
export interface TracedRequest {
  readonly method: string
  /** With the query. */
  readonly url: string
  /** The path of the route. */
  readonly route: string
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly remoteAddress: string | undefined
  /** The response, once its headers have been sent. */
  readonly sent: () => SentHead | undefined
}

/** The status and the headers of a response. */
export interface SentHead {
  readonly status: number
  readonly headers: ResponseHeaders
}

/** The status in the span of a request whose client leaves before its response, as in the platform's spans. */
const clientLeft: SentHead = { status: 499, headers: {} }

const defaultName = Context.get(Context.empty(), HttpMiddleware.SpanNameGenerator)

/** The name of a span, by the `SpanNameGenerator` of the program, which takes a request of the platform. */
const nameOf = (
  generator: typeof defaultName,
  { method, remoteAddress, url }: TracedRequest,
  headers: Headers.Headers
): string =>
  generator === defaultName
    ? Platform.spanName(method)
    : generator(Platform.requestOf(method, url, headers, remoteAddress))

/** Runs the handler of a hot route in the span that the platform makes for any other request. */
export const inRequestSpan = (
  isSilent: boolean,
  request: TracedRequest,
  handler: Effect.Effect<void>
): Effect.Effect<void> => {
  const { headers: received, method, remoteAddress, route, sent, url } = request
  const headers = Headers.fromInput(received)
  if (isUntraced(isSilent, headers)) return handler
  const parent = Option.getOrUndefined(HttpTraceContext.fromHeaders(headers))
  return Effect.flatMap(HttpMiddleware.SpanNameGenerator, (generator) =>
    Effect.useSpan(
      nameOf(generator, request, headers),
      { ...(parent === undefined ? {} : { parent }), kind: "server", captureStackTrace: false },
      (span) => {
        span.attribute("http.request.method", method)
        span.attribute("http.route", route)
        if (headers["user-agent"] !== undefined) span.attribute("user_agent.original", headers["user-agent"])
        if (remoteAddress !== undefined) span.attribute("client.address", remoteAddress)
        return Effect.flatMap(Platform.spanWriter(keyHeaders), (writer) => {
          writer.url(span, headers["host"] ?? "localhost", url)
          writer.headers(span, "request", headers)
          return Effect.ensuring(
            Effect.withParentSpan(handler, span),
            Effect.sync(() => {
              const { headers, status } = sent() ?? clientLeft
              span.attribute("http.response.status_code", status)
              writer.headers(span, "response", Headers.fromInput(headers))
            })
          )
        })
      }
    )
  )
}
