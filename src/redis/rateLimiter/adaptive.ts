/** Applies what a provider reports to the shared pace: a refusal that one process observes slows all of them. */
import { Duration, Effect, Ref } from "effect"
import * as MonotonicClock from "../../internal/clock.js"
import type * as Adaptive from "../../rateLimiter/adaptive.js"
import type { Service, Signal } from "../../rateLimiter/model.js"
import type { Sync } from "./sync.js"
import type { Adjustment } from "./scripts.js"

interface Dependencies {
  readonly sync: Sync
  readonly pacing: Adaptive.Settings
  readonly adjust: (adjustment: Adjustment) => Effect.Effect<void>
}

interface LastReport {
  readonly servedAt: number
  readonly headersAt: number
  readonly requests: number
  readonly tokens: number
}

/** The interval at which headers without a significant change are sent to Redis, in milliseconds. */
const minHeaderInterval = 100

/** Headers are sent at once when the remaining amount drops below this part of the last one sent. */
const significantDrop = 0.9

const millis = (duration: Duration.Duration | undefined): number | undefined =>
  duration === undefined || !Duration.isFinite(duration) ? undefined : Duration.toMillis(duration)

const headersAdjustment = ({ limits }: Extract<Signal, { readonly _tag: "Headers" }>): Adjustment | undefined => {
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

export const make = ({ adjust, pacing, sync }: Dependencies): Effect.Effect<NonNullable<Service["observe"]>> =>
  Effect.map(
    Ref.make<LastReport>({ servedAt: -Infinity, headersAt: -Infinity, requests: Infinity, tokens: Infinity }),
    (last) => {
      const isSignificant = (change: Extract<Adjustment, { readonly change: "headers" }>, now: number) =>
        Ref.modify(last, (before): readonly [boolean, LastReport] => {
          const { requests = Infinity, tokens = Infinity } = change
          const isLess = requests < before.requests * significantDrop || tokens < before.tokens * significantDrop
          return isLess || now - before.headersAt >= minHeaderInterval
            ? [true, { ...before, headersAt: now, requests, tokens }]
            : [false, before]
        })

      const isServedDue = (now: number) =>
        Ref.modify(last, (before): readonly [boolean, LastReport] =>
          now - before.servedAt >= pacing.every ? [true, { ...before, servedAt: now }] : [false, before]
        )

      const report = (signal: Signal, now: number): Effect.Effect<void> => {
        switch (signal._tag) {
          case "Refused":
            return adjust({ change: "refused", elapsed: Duration.toMillis(signal.elapsed), share: signal.share })
          case "Served":
            return Effect.flatMap(sync.state, ({ pace }) =>
              pace === 1
                ? Effect.void
                : Effect.if(isServedDue(now), {
                    onTrue: () => adjust({ change: "served" }),
                    onFalse: () => Effect.void
                  })
            )
          case "Headers": {
            const change = signal.share < 1 ? undefined : headersAdjustment(signal)
            return change?.change !== "headers"
              ? Effect.void
              : Effect.if(isSignificant(change, now), { onTrue: () => adjust(change), onFalse: () => Effect.void })
          }
        }
      }
      return (signal) =>
        Effect.uninterruptible(Effect.flatMap(Effect.clock, (clock) => report(signal, MonotonicClock.now(clock))))
    }
  )
