/** Decides whether a failed call is retried, and after which wait: by a backoff or by a schedule. */
import type { Context } from "effect"
import { Duration, Effect, Option, Random, Schedule } from "effect"
import type { Recurrence } from "../../internal/recurrence.js"
import * as Recurrences from "../../internal/recurrence.js"
import * as OptionChecks from "../../internal/optionChecks.js"
import type { Backoff, Growth } from "../../vocabulary/backoff.js"
import * as Backoffs from "../../vocabulary/backoff.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { Options } from "./model.js"

/** Decides about a failure that took so many requests: the wait before the next one, or undefined when there is none. */
export type Decide = (error: LLMError, requests: number) => Effect.Effect<Decision | undefined>

export interface Decision {
  /** In milliseconds. */
  readonly wait: number
  /** Decides about the next failure of the same call. */
  readonly next: Decide
}

interface JitteredGrowth extends Growth {
  readonly jitter: number
}

export const growthOf = (checks: OptionChecks.Checks, path: string, backoff: Backoff): JitteredGrowth => {
  const { jitter = 1 } = backoff
  return {
    ...Backoffs.growthOf(checks, path, backoff, { base: "1 second", max: "60 seconds" }, OptionChecks.anyLength),
    jitter: checks.number(`${path}.jitter`, jitter, OptionChecks.isShare(jitter), "a number from 0 to 1")
  }
}

export const delayOf = (growth: JitteredGrowth, error: LLMError, failures: number, draw: number): number => {
  const jittered = Backoffs.delayAfter(growth, failures) * (1 - growth.jitter * draw)
  return Option.match(Errors.retryAfter(error), {
    onNone: () => jittered,
    // Calls with the same Retry-After would all retry at once: a tenth of the jittered delay spreads them.
    onSome: (wait) => Duration.toMillis(wait) + Math.min(jittered, growth.base) * 0.1
  })
}

/** The error code of an answer without content. */
export const emptyAnswer = "empty-answer"

const isMalformed = (error: LLMError): boolean => error._tag === "MalformedResponseError" && error.code !== emptyAnswer

interface Progress {
  readonly failures: number
  readonly requests: number
  readonly malformed: number
}

/** A malformed answer is retried once; other errors until there were `maxAttempts` attempts. */
const byBackoff =
  (growth: JitteredGrowth, maxAttempts: number, before: Progress): Decide =>
  (error, requests) => {
    const made: Progress = {
      failures: before.failures + 1,
      requests: before.requests + requests,
      malformed: before.malformed + (isMalformed(error) ? 1 : 0)
    }
    return made.requests >= maxAttempts || (isMalformed(error) && made.malformed > 1)
      ? Effect.succeed(undefined)
      : Effect.map(Random.next, (draw) => ({
          wait: delayOf(growth, error, made.failures, draw),
          next: byBackoff(growth, maxAttempts, made)
        }))
  }

const bySchedule =
  <R>(recurrence: Recurrence<LLMError, R>, context: Context.Context<R>): Decide =>
  (error) =>
    Effect.clockWith((clock) => {
      const now = clock.unsafeCurrentTimeMillis()
      return Effect.map(Effect.provide(recurrence.next(now, error), context), (next) => {
        if (next === undefined) return undefined
        const retryAfter = Option.match(Errors.retryAfter(error), { onNone: () => 0, onSome: Duration.toMillis })
        return { wait: Math.max(next.at - now, retryAfter), next: bySchedule(next.rest, context) }
      })
    })

/** Checks the options and returns what decides about the first failure of a call. */
export const decideBy = <R>(options: Options<R>): Effect.Effect<Decide, never, R> => {
  const { schedule } = options
  if (schedule === undefined) {
    const { backoff = {}, maxAttempts = 5 } = options
    const decide = OptionChecks.valid("Retry", (checks) =>
      byBackoff(
        growthOf(checks, "backoff", backoff),
        checks.number("maxAttempts", maxAttempts, OptionChecks.isWhole(maxAttempts, 1), "a whole number of at least 1"),
        { failures: 0, requests: 0, malformed: 0 }
      )
    )
    return Effect.succeed(decide)
  }
  OptionChecks.valid("Retry", ({ faults }) => {
    if (!Schedule.isSchedule(schedule)) faults.push("schedule: must be a Schedule")
    for (const name of ["maxAttempts", "backoff"] as const) {
      if (options[name] !== undefined) faults.push(`${name}: must be absent when there is a schedule`)
    }
  })
  return Effect.map(Effect.context<R>(), (context) => bySchedule(Recurrences.start(schedule), context))
}
