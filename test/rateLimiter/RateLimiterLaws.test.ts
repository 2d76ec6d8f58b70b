import { describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { makeClock } from "../support/interleaving.js"
import { laws } from "../support/limiterLaws.js"

describe("a limiter in memory", () => {
  for (const { check, title } of laws) {
    it.scopedLive(title, () => {
      const { clock, pass } = makeClock(100)
      const adjust = (duration: Duration.DurationInput) => pass(Duration.toMillis(duration))
      return check({ make: RateLimiter.make, adjust, allowance: 0, rounding: 0, thoroughness: 1 }).pipe(
        Effect.withClock(clock)
      )
    })
  }
})
