/** Spans of requests: continued from the client's `traceparent`, parents of the calls that are made for them. */
import { HttpMiddleware, HttpTraceContext } from "@effect/platform"
import { Effect, Option } from "effect"
import * as Spans from "../../telemetry/spans.js"

/** What is asked every few seconds, and says nothing. */
const idle: ReadonlySet<string> = new Set(["/health", "/ready", "/llm/health", "/metrics"])

/**
 * The server makes a span for each request. Where no tracer has been installed it would be told nobody, and costs a tenth of a
 * request; one that a client traces is known by the client's id all the same.
 */
export const traced = <A, E, R>(serve: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Spans.isSilent, (isSilent) =>
    HttpMiddleware.withTracerDisabledWhenEffect(
      serve,
      ({ headers, url }) =>
        idle.has(url.split("?")[0] ?? "") || (isSilent && Option.isNone(HttpTraceContext.fromHeaders(headers)))
    )
  )
