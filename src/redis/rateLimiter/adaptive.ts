/** What a limiter that adapts makes of what its provider says: one process that hears a refusal slows all of them. */
import { Duration, Effect, Ref } from "effect"
import * as MonotonicClock from "../../internal/clock.js"
import type * as Adaptive from "../../rateLimiter/adaptive.js"
import type { Service, Signal } from "../../rateLimiter/model.js"
import type { Sync } from "./sync.js"
import type { Adjustment } from "./scripts.js"

interface Terms {
  readonly contact: Sync
  readonly pacing: Adaptive.Settings
  readonly adjusted: (adjustment: Adjustment) => Effect.Effect<void>
}

interface Told {
  readonly servedAt: number
  readonly headersAt: number
  readonly requests: number
  readonly tokens: number
}

/** How often headers are passed on that say little new, in milliseconds. */
const often = 100

/** What is left has become less by so much that the others should know at once. */
const much = 0.9

const millis = (duration: Duration.Duration | undefined): number | undefined =>
  duration === undefined || !Duration.isFinite(duration) ? undefined : Duration.toMillis(duration)

const headers = ({ limits }: Extract<Signal, { readonly _tag: "Headers" }>): Adjustment | undefined => {
  const { remainingRequests, remainingTokens } = limits
  if (remainingRequests === undefined && remainingTokens === undefined) return undefined
  const resetRequests = millis(limits.resetRequests)
  const resetTokens = millis(limits.resetTokens)
  return {
    change: "headers",
    ...(remainingRequests === undefined ? {} : { requests: remainingRequests }),
    ...(remainingTokens === undefined ? {} : { tokens: remainingTokens }),
    ...(resetRequests === undefined ? {} : { resetRequests }),
    ...(resetTokens === undefined ? {} : { resetTokens })
  }
}

export const make = ({ adjusted, contact, pacing }: Terms): Effect.Effect<NonNullable<Service["observe"]>> =>
  Effect.map(
    Ref.make<Told>({ servedAt: -Infinity, headersAt: -Infinity, requests: Infinity, tokens: Infinity }),
    (told) => {
      const isNews = (change: Extract<Adjustment, { readonly change: "headers" }>, now: number) =>
        Ref.modify(told, (before): readonly [boolean, Told] => {
          const { requests = Infinity, tokens = Infinity } = change
          const isLess = requests < before.requests * much || tokens < before.tokens * much
          return isLess || now - before.headersAt >= often
            ? [true, { ...before, headersAt: now, requests, tokens }]
            : [false, before]
        })

      const isTime = (now: number) =>
        Ref.modify(told, (before): readonly [boolean, Told] =>
          now - before.servedAt >= pacing.every ? [true, { ...before, servedAt: now }] : [false, before]
        )

      const heard = (signal: Signal, now: number): Effect.Effect<void> => {
        switch (signal._tag) {
          case "Refused":
            return adjusted({ change: "refused", elapsed: Duration.toMillis(signal.elapsed), share: signal.share })
          case "Served":
            return Effect.flatMap(contact.known, ({ pace }) =>
              pace === 1
                ? Effect.void
                : Effect.if(isTime(now), { onTrue: () => adjusted({ change: "served" }), onFalse: () => Effect.void })
            )
          case "Headers": {
            const change = signal.share < 1 ? undefined : headers(signal)
            return change?.change !== "headers"
              ? Effect.void
              : Effect.if(isNews(change, now), { onTrue: () => adjusted(change), onFalse: () => Effect.void })
          }
        }
      }
      return (signal) =>
        Effect.uninterruptible(Effect.flatMap(Effect.clock, (clock) => heard(signal, MonotonicClock.now(clock))))
    }
  )
