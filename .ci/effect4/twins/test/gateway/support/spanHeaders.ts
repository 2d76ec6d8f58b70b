/** Spans of requests with their headers, which Effect 4 leaves out by default. */
import { Effect } from "effect"
import { HttpMiddleware } from "effect/http"

export const withSpanHeaders: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> =
  Effect.provideService(HttpMiddleware.TracerHeaderFilter, () => true)
