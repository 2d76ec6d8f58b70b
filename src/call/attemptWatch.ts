/**
 * The attempts below a time limit: those that failed, and the one in flight. A limit that expires is marked here before the
 * attempt is interrupted, so that the attempt is recorded as a timeout and not as an interruption by the caller.
 */
import { Context, Effect } from "effect"
import { Verdict } from "../keyPool/verdict.js"
import type { Attempt } from "../vocabulary/attempt.js"
import * as Attempts from "../vocabulary/attempt.js"

/** An attempt in flight. */
interface RunningAttempt extends Omit<Attempt, "duration" | "error" | "status"> {
  readonly startedAt: number
  /** Whether a limit has recorded it as a timeout, which an outer one does not do again. */
  isTimedOut?: boolean
}

export interface AttemptWatch {
  /** The watch of the next outer limit. */
  readonly outer: AttemptWatch | undefined
  /** Whether the limit has expired. */
  isExpired: boolean
  /** The attempts that failed. */
  failed: ReadonlyArray<Attempt>
  /** The attempt in flight, or the last one when it has timed out. */
  running: RunningAttempt | undefined
  /** The attempt that began last, unless it failed. */
  last: RunningAttempt | undefined
  /** How long the attempts waited for permits and keys, in milliseconds. */
  waitedForPermit: number
  waitedForKey: number
  /** Called when this limit or one within it expires. */
  onExpire?: () => void
}

export const make = (outer: AttemptWatch | undefined): AttemptWatch => ({
  outer,
  isExpired: false,
  failed: [],
  running: undefined,
  last: undefined,
  waitedForPermit: 0,
  waitedForKey: 0
})

export class CurrentWatch extends Context.Reference<CurrentWatch>()("effect-llm/AttemptWatch", {
  defaultValue: (): AttemptWatch | undefined => undefined
}) {}

/** Runs an effect with a watch of its attempts. */
export const withWatch = <A, E, R>(use: (watch: AttemptWatch) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) => {
    const watch = make(Context.get(fiber.currentContext, CurrentWatch))
    return Effect.provideService(use(watch), CurrentWatch, watch)
  })

/** Whether this or an outer time limit has expired. */
export const isExpired = (watch: AttemptWatch | undefined): boolean =>
  watch !== undefined && (watch.isExpired || isExpired(watch.outer))

/** The verdict on the key of an attempt that was interrupted, and its outcome: a time limit has expired, or the caller has left. */
export const verdictOfInterruption = (
  watch: AttemptWatch | undefined
): readonly [verdict: Verdict, outcome: "TimeoutError" | "interrupted"] =>
  isExpired(watch) ? [Verdict.Failed(), "TimeoutError"] : [Verdict.Neutral(), "interrupted"]

export const recordStart = (watch: AttemptWatch | undefined, running: RunningAttempt): void => {
  for (let each = watch; each !== undefined; each = each.outer) {
    each.running = running
    each.last = running
  }
}

export const recordWaits = (watch: AttemptWatch | undefined, forPermit: number, forKey: number): void => {
  for (let each = watch; each !== undefined; each = each.outer) {
    each.waitedForPermit += forPermit
    each.waitedForKey += forKey
  }
}

export const recordFailure = (watch: AttemptWatch | undefined, attempt: Attempt): void => {
  for (let each = watch; each !== undefined; each = each.outer) {
    each.failed = Attempts.concat(each.failed, [attempt])
    each.last = undefined
  }
}

/** The attempts of a call that ended without an answer or an error: those that failed, and the one that ended with the call. */
export const attemptsUntil = ({ failed, last }: AttemptWatch, now: number, outcome: string): ReadonlyArray<Attempt> => {
  if (last === undefined) return failed
  const { keyId, model, provider, startedAt } = last
  return Attempts.concat(failed, [{ provider, model, keyId, error: outcome, duration: now - startedAt }])
}

/** An attempt that has timed out stays, for the error of an outer limit that expires at the same time. */
export const recordEnd = (watch: AttemptWatch | undefined): void => {
  for (let each = watch; each !== undefined; each = each.outer) {
    if (each.running?.isTimedOut !== true) each.running = undefined
  }
}

/** Marks the limit as expired. Returns all attempts so far, including the one in flight as a timeout. */
export const expire = (watch: AttemptWatch, now: number): ReadonlyArray<Attempt> => {
  watch.isExpired = true
  for (let each: AttemptWatch | undefined = watch; each !== undefined; each = each.outer) each.onExpire?.()
  const { running } = watch
  if (running !== undefined && running.isTimedOut !== true) {
    running.isTimedOut = true
    const { keyId, model, provider, startedAt } = running
    recordFailure(watch, { provider, model, keyId, error: "TimeoutError", duration: now - startedAt })
  }
  return watch.failed
}
