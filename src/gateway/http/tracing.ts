/** Spans of requests: they continue the client's `traceparent`, and are parents of the spans of calls. */
import { HttpMiddleware, HttpTraceContext } from "@effect/platform"
import { Effect, Option } from "effect"
import * as Spans from "../../telemetry/spans.js"

/** Paths that are polled every few seconds. */
const untracedPaths: ReadonlySet<string> = new Set(["/health", "/ready", "/llm/health", "/metrics"])

/**
 * The server makes a span for each request, which costs a tenth of a request. Without a tracer it makes one only for requests
 * with a trace of the client, whose calls belong to that trace.
 */
export const withRequestSpans = <A, E, R>(serve: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Spans.isSilent, (isSilent) =>
    HttpMiddleware.withTracerDisabledWhenEffect(
      serve,
      ({ headers, url }) =>
        untracedPaths.has(url.split("?")[0] ?? "") || (isSilent && Option.isNone(HttpTraceContext.fromHeaders(headers)))
    )
  )
