/**
 * The log of calls. A failed attempt, or a call that was not sent, has a line with what happens next if another attempt follows. Calls that
 * wait long for a permit or a key have lines, too.
 */
import type { Clock } from "effect"
import { Context, Effect } from "effect"
import * as MonotonicClock from "../internal/clock.js"
import { durationText } from "../internal/durationText.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { ModelInfo } from "./model.js"
import { CurrentWaitObserver } from "./waits.js"

/** A wait from here on is a warning: until it ends the caller sees no other sign of the failure. In milliseconds. */
const longWait = 5000

const failureOf = ({ _tag, attempts, model, provider }: LLMError): string =>
  attempts.length === 0
    ? `${provider}/${model}: the call failed with ${_tag}`
    : `${provider}/${model}: attempt ${attempts.length} failed with ${_tag}`

/** Why no request was sent; undefined if one was, or if the error does not say. */
const notSentBecause = (error: LLMError): string | undefined => {
  switch (error._tag) {
    case "RateLimitError":
      return error.source === "limiter"
        ? "rate limit of the limiter"
        : error.source === "pool"
          ? "no key of the pool is free"
          : undefined
    case "KeyPoolExhaustedError":
      return "no key of the pool can be used"
    case "SharedStateError":
      return "the shared state is unavailable"
    case "BudgetExceededError":
      return "the budget is spent"
    default:
      return undefined
  }
}

const lineBeforeWait = (error: LLMError, wait: number): string => {
  const reason = notSentBecause(error)
  return reason === undefined
    ? `${failureOf(error)}, the next one begins in ${durationText(wait)}. ${error.message}`
    : `${error.provider}/${error.model}: not sent: ${reason}; trying again in ${durationText(wait)}. ${error.message}`
}

/** A failed attempt, or a call that was not sent, that is followed by another one. */
export interface FailedAttempt {
  readonly error: LLMError
  /** Until the next attempt, in milliseconds; 0 for one that begins at once. */
  readonly wait: number
}

/** Receives each failed attempt that is followed by another one. What it shows needs no warning in the log. */
export class CurrentAttemptObserver extends Context.Reference<CurrentAttemptObserver>()("effect-llm/AttemptObserver", {
  defaultValue: (): ((failed: FailedAttempt) => Effect.Effect<void>) | undefined => undefined
}) {}

/** For an attempt that is followed by another one at once. */
export const logNext = (error: LLMError, keyId: string): Effect.Effect<void> =>
  Effect.flatMap(CurrentAttemptObserver, (observe) =>
    Effect.zipRight(
      observe === undefined ? Effect.void : observe({ error, wait: 0 }),
      Effect.logDebug(`${failureOf(error)}, the next one begins now with key ${keyId}. ${error.message}`)
    )
  )

/** For an attempt, or a call that was not sent, that is followed by another one after a wait in milliseconds. */
export const logWait = (error: LLMError, wait: number): Effect.Effect<void> =>
  Effect.flatMap(CurrentAttemptObserver, (observe) => {
    const line = lineBeforeWait(error, wait)
    if (observe !== undefined) return Effect.zipRight(observe({ error, wait }), Effect.logDebug(line))
    return wait < longWait ? Effect.logDebug(line) : Effect.logWarning(line)
  })

/** Waits for a permit or a key from here on are logged, in milliseconds. */
const noticeableWait = 1000

/** The least time between two lines about waits for permits and keys of one `LLM`, in milliseconds: a full queue has many. */
const waitInterval = 10_000

const seconds = (millis: number): string => `${(millis / 1000).toFixed(1)} s`

/**
 * Makes the log of the waits of an `LLM` for permits and keys, in milliseconds: at the level info, from 5 seconds on as a warning. At most
 * one line in 10 seconds, with the number of the other calls since the last one. Waits that an observer shows are at the level debug.
 */
export const makeWaitLog = ({ model, provider }: ModelInfo) => {
  let loggedAt = -Infinity
  let others = 0
  return (clock: Clock.Clock, forPermit: number, forKey: number): Effect.Effect<void> => {
    const waited = forPermit + forKey
    if (waited < noticeableWait) return Effect.void
    return Effect.suspend(() => {
      const now = MonotonicClock.now(clock)
      if (now - loggedAt < waitInterval) {
        others++
        return Effect.void
      }
      const more = others === 0 ? "" : `, and ${others} more since the last such line`
      loggedAt = now
      others = 0
      const cause =
        forPermit >= forKey
          ? "for a permit: the limits of the rate limiter are lower than the rate of calls"
          : "for a key: all keys of the pool were in use or cooling down"
      const line = `${provider}/${model}: a call waited ${seconds(waited)} ${cause}${more}.`
      return Effect.flatMap(CurrentWaitObserver, (observe) =>
        observe !== undefined
          ? Effect.logDebug(line)
          : waited < longWait
            ? Effect.logInfo(line)
            : Effect.logWarning(line)
      )
    })
  }
}
