/** The limiter of this process alone, for as long as Redis is away: a share of each limit. */
import { Effect, Exit, Fiber, Option, Ref } from "effect"
import type { Settings } from "../../rateLimiter/options.js"
import * as LimiterService from "../../rateLimiter/service.js"
import type { Priority, Reservation, Service } from "../../rateLimiter/model.js"

export interface LocalFallback {
  readonly limiter: Service
  /** A call that was in flight before Redis was away is over. */
  readonly ended: Effect.Effect<void>
  /** Redis is back: who still waits here is to wait there. */
  readonly retire: Effect.Effect<void>
  /** What a call gets of it; nothing, where Redis is back before. */
  readonly until: <A, E>(taken: Effect.Effect<A, E>) => Effect.Effect<Option.Option<A>, E>
}

const part = (limit: number | undefined, share: number): number | undefined =>
  limit === undefined ? undefined : Math.max(1, Math.floor(limit * share))

/** One request, and one call at a time, is the least that a limiter lets through; of a rate there is no least. */
export const scaled = (settings: Settings, share: number): Settings => ({
  ...settings,
  capacity: Math.max(1, settings.capacity * share),
  refillRate: settings.refillRate * share,
  requestsPerMinute: part(settings.requestsPerMinute, share),
  requestsPerDay: part(settings.requestsPerDay, share),
  tokensPerMinute: settings.tokensPerMinute === undefined ? undefined : settings.tokensPerMinute * share,
  maxConcurrent: part(settings.maxConcurrent, share)
})

/** It begins with nothing in it, since that may have been given out, and with the calls of this process in flight. */
export const make = (
  settings: Settings,
  share: number,
  priority: Effect.Effect<Priority>,
  inFlight: number
): Effect.Effect<LocalFallback> =>
  Effect.gen(function* () {
    const own = scaled(settings, share)
    const limiter = yield* LimiterService.make(own, priority)
    const taken: Array<Reservation> = []
    for (let call = 0; call < Math.min(inFlight, own.maxConcurrent ?? 0); call++) {
      yield* Effect.matchEffect(limiter.reserve(0, { maxWait: 0 }), {
        onFailure: () => Effect.void,
        onSuccess: (reservation) => Effect.sync(() => void taken.push(reservation))
      })
    }
    yield* limiter.lower({ requests: 0, tokens: 0 })
    const retired = yield* Effect.makeLatch(false)
    const left = yield* Ref.make<ReadonlyArray<Reservation>>(taken)
    return {
      limiter,
      retire: Effect.asVoid(retired.open),
      until: (taken) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.fork(taken)
          const end = Effect.raceFirst(Effect.asVoid(Fiber.await(fiber)), retired.await)
          const waited = yield* Effect.exit(Effect.interruptible(end))
          const exit = yield* Fiber.interrupt(fiber)
          // What was granted in the last moment is had.
          if (Exit.isSuccess(exit)) return Option.some(exit.value)
          if (!Exit.isInterrupted(exit)) return yield* Effect.failCause(exit.cause)
          return Exit.isSuccess(waited) ? Option.none() : yield* Effect.interrupt
        }),
      ended: Effect.flatten(
        Ref.modify(left, ([first, ...rest]) => [first === undefined ? Effect.void : first.settle(0), rest])
      )
    }
  })
