/** Reports the provider's headers and the results of attempts to an adaptive limiter. */
import { Duration, Effect } from "effect"
import type { Service as Pool } from "../keyPool/model.js"
import type { Verdict } from "../keyPool/model.js"
import type { Service as Limiter } from "./model.js"
import { Signal } from "./model.js"
import type { RateLimits } from "../wire/headers/rateLimits.js"

export interface Feedback {
  readonly headers: (model: string, limits: RateLimits) => Effect.Effect<void>
  /** `elapsed` is the duration of the attempt, in milliseconds. */
  readonly ended: (model: string, verdict: Verdict, elapsed: number) => Effect.Effect<void>
}

/** Undefined if the limiter does not adapt. */
export const make = ({ observe }: Limiter, pool: Pool): Feedback | undefined => {
  if (observe === undefined) return undefined
  // A provider limits accounts, so its report concerns one of the accounts whose keys share the limiter.
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
