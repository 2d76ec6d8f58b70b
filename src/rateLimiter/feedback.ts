/** What a limiter that adapts is told of a provider's answers. */
import { Duration, Effect } from "effect"
import type { Service as Pool } from "../keyPool/model.js"
import type { Verdict } from "../keyPool/model.js"
import type { Service as Limiter } from "./model.js"
import { Signal } from "./model.js"
import type { RateLimits } from "../wire/headers/RateLimitHeaders.js"

export interface Feedback {
  readonly headers: (model: string, limits: RateLimits) => Effect.Effect<void>
  /** `elapsed` is what the attempt took, in milliseconds. */
  readonly ended: (model: string, verdict: Verdict, elapsed: number) => Effect.Effect<void>
}

/** Absent where the limiter does not want to know. */
export const make = ({ observe }: Limiter, pool: Pool): Feedback | undefined => {
  if (observe === undefined) return undefined
  // A provider limits accounts, and speaks of that of the key: one of several has its share of what the limiter lets through.
  const share = Effect.map(
    pool.keys,
    (keys) => 1 / Math.max(1, new Set(keys.map(({ id, quotaGroup }) => quotaGroup ?? id)).size)
  )
  return {
    headers: (model, limits) =>
      Effect.flatMap(share, (part) => observe(Signal.Headers({ limits, share: part }), model)),
    ended: (model, verdict, elapsed) => {
      switch (verdict._tag) {
        case "Served":
          return observe(Signal.Served(), model)
        case "RateLimited":
          return Effect.flatMap(share, (part) =>
            observe(Signal.Refused({ elapsed: Duration.millis(elapsed), share: part }), model)
          )
        default:
          return Effect.void
      }
    }
  }
}
