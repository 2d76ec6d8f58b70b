/** The `RateLimitError` of a limiter in memory. Dies on any other error, since no store can be unavailable. */
import { Effect } from "effect"
import type { RateLimitError } from "../../src/vocabulary/LLMError.js"
import type { LimitError } from "../../src/rateLimiter/RateLimiter.js"

export const refusal = <A, R>(effect: Effect.Effect<A, LimitError, R>): Effect.Effect<RateLimitError, A, R> =>
  Effect.flatMap(Effect.flip(effect), (error) =>
    error._tag === "RateLimitError" ? Effect.succeed(error) : Effect.die(error)
  )
