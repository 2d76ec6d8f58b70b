/** Spans of requests: continued from the client's `traceparent`, parents of the calls that are made for them. */
import { HttpMiddleware } from "@effect/platform"
import { Effect } from "effect"
import { silentTracer } from "../internal/spans.js"

/** What is asked every few seconds, and says nothing. */
const unheard: ReadonlySet<string> = new Set(["/health", "/ready", "/llm/health", "/metrics"])

/** The server makes a span for each request. Where nobody listens it does not. */
export const traced = <A, E, R>(serve: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.tracerWith((tracer) =>
    HttpMiddleware.withTracerDisabledWhenEffect(
      serve,
      tracer === silentTracer ? () => true : ({ url }) => unheard.has(url.split("?")[0] ?? "")
    )
  )
