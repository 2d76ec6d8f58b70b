/** The limiter of this process while Redis is away, with a share of each limit. */
import { Effect, Exit, Fiber, Option, Ref } from "effect"
import type { Settings } from "../../rateLimiter/options.js"
import * as LimiterService from "../../rateLimiter/service.js"
import type { Reservation } from "../../rateLimiter/model.js"

export interface LocalFallback {
  readonly limiter: LimiterService.LocalLimiter
  /** Releases one of the permits taken for calls that were in flight when the fallback was made. */
  readonly releaseOne: Effect.Effect<void>
  /** Ends the waits here when Redis is back, so that the calls wait there. */
  readonly retire: Effect.Effect<void>
  /** Runs an effect of a call on this limiter; none when Redis is back first. */
  readonly untilRetired: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<Option.Option<A>, E>
}

const scaledLimit = (limit: number | undefined, share: number): number | undefined =>
  limit === undefined ? undefined : Math.max(1, Math.floor(limit * share))

/** Counts and permits are at least one; a rate has no minimum. */
export const scaled = (settings: Settings, share: number): Settings => ({
  ...settings,
  capacity: Math.max(1, settings.capacity * share),
  refillRate: settings.refillRate * share,
  requestsPerMinute: scaledLimit(settings.requestsPerMinute, share),
  requestsPerDay: scaledLimit(settings.requestsPerDay, share),
  tokensPerMinute: settings.tokensPerMinute === undefined ? undefined : settings.tokensPerMinute * share,
  maxConcurrency: scaledLimit(settings.maxConcurrency, share)
})

/**
 * Starts with empty buckets, because their contents may have been granted already, and with the calls of this process in flight.
 */
export const make = (settings: Settings, share: number, inFlight: number): Effect.Effect<LocalFallback> =>
  Effect.gen(function* () {
    const scaledSettings = scaled(settings, share)
    const limiter = yield* LimiterService.make(scaledSettings)
    const effect: Array<Reservation> = []
    for (let call = 0; call < Math.min(inFlight, scaledSettings.maxConcurrency ?? 0); call++) {
      yield* Effect.matchEffect(limiter.reserve(0, { maxWait: 0 }), {
        onFailure: () => Effect.void,
        onSuccess: (reservation) => Effect.sync(() => void effect.push(reservation))
      })
    }
    yield* limiter.lower({ requests: 0, tokens: 0 })
    const retired = yield* Effect.makeLatch(false)
    const remaining = yield* Ref.make<ReadonlyArray<Reservation>>(effect)
    return {
      limiter,
      retire: Effect.asVoid(retired.open),
      untilRetired: (effect) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.fork(effect)
          const end = Effect.raceFirst(Effect.asVoid(Fiber.await(fiber)), retired.await)
          const waited = yield* Effect.exit(Effect.interruptible(end))
          const exit = yield* Fiber.interrupt(fiber)
          // A grant that came just before the interruption counts.
          if (Exit.isSuccess(exit)) return Option.some(exit.value)
          if (!Exit.isInterrupted(exit)) return yield* Effect.failCause(exit.cause)
          return Exit.isSuccess(waited) ? Option.none() : yield* Effect.interrupt
        }),
      releaseOne: Effect.flatten(
        Ref.modify(remaining, ([first, ...rest]) => [first === undefined ? Effect.void : first.settle(0), rest])
      )
    }
  })
