/** Reports the provider's headers and the results of attempts to an adaptive limiter. */
import type { Clock } from "effect"
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
  /** The same reports, made at once. Undefined if the limiter or the pool cannot. */
  readonly unsafe: UnsafeFeedback | undefined
}

export interface UnsafeFeedback {
  readonly headers: (clock: Clock.Clock, model: string, limits: RateLimits) => void
  readonly ended: (clock: Clock.Clock, model: string, verdict: Verdict, elapsed: number) => void
}

/** Undefined if the limiter does not adapt. */
export const make = (limiter: Limiter, pool: Pool): Feedback | undefined => {
  const { observe } = limiter
  if (observe === undefined) return undefined
  const accounts = Effect.map(pool.keys, (keys) => new Set(keys.map(({ id, quotaGroup }) => quotaGroup ?? id)).size)
  return {
    headers: (model, limits) =>
      Effect.flatMap(accounts, (count) => observe(Signal.Headers({ limits, share: shareOf(count) }), model)),
    ended: (model, verdict, elapsed) =>
      verdict._tag === "RateLimited"
        ? Effect.flatMap(accounts, (count) => observe(refused(elapsed, count), model))
        : verdict._tag === "Served"
          ? observe(served, model)
          : Effect.void,
    unsafe: makeUnsafe(limiter, pool)
  }
}

const makeUnsafe = ({ unsafeObserve }: Limiter, { unsafeAccounts }: Pool): UnsafeFeedback | undefined =>
  unsafeObserve === undefined || unsafeAccounts === undefined
    ? undefined
    : {
        headers: (clock, model, limits) =>
          unsafeObserve(clock, Signal.Headers({ limits, share: shareOf(unsafeAccounts()) }), model),
        ended: (clock, model, verdict, elapsed) => {
          if (verdict._tag === "RateLimited") unsafeObserve(clock, refused(elapsed, unsafeAccounts()), model)
          else if (verdict._tag === "Served") unsafeObserve(clock, served, model)
        }
      }

/** A provider limits accounts, so its report concerns one of the accounts whose keys share the limiter. */
const shareOf = (accounts: number): number => 1 / Math.max(1, accounts)

const served = Signal.Served()

const refused = (elapsed: number, accounts: number) =>
  Signal.Refused({ elapsed: Duration.millis(elapsed), share: shareOf(accounts) })
