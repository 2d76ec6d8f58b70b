/**
 * A store behind a circuit breaker: every operation has a time limit and a fallback value. A failure opens the circuit, and
 * operations then return their fallback at once. After the cooldown the circuit is half-open: one operation at a time runs as a
 * probe, and its success closes the circuit.
 */
import type { Clock } from "effect"
import { Cause, Effect, Option } from "effect"
import type { Store } from "./model.js"
import { CacheStoreError } from "./model.js"
import * as MonotonicClock from "../internal/clock.js"
import { durationText } from "../internal/durationText.js"
import * as TimeLimit from "../internal/timeLimit.js"

type Operation = CacheStoreError["operation"]

const toStoreError =
  (operation: Operation) =>
  (cause: unknown): CacheStoreError =>
    new CacheStoreError({ operation, detail: cause instanceof Error ? cause.message : String(cause), cause })

/** Runs an operation of a store. Exceptions, defects and results that are not an Effect become a `CacheStoreError`. */
const runChecked = <A>(
  operation: Operation,
  run: () => Effect.Effect<A, CacheStoreError>
): Effect.Effect<A, CacheStoreError> =>
  Effect.try({
    try: () => {
      const effect = run()
      if (!Effect.isEffect(effect)) throw new Error("it did not return an Effect")
      return effect
    },
    catch: toStoreError(operation)
  }).pipe(
    Effect.flatten,
    // Catches operations that interrupt themselves; the interruption of the caller does not reach this handler.
    Effect.catchAllCause((cause) => {
      const error = Cause.squash(cause)
      return Effect.fail(error instanceof CacheStoreError ? error : toStoreError(operation)(error))
    })
  )

const isOptionalText = (value: unknown): value is Option.Option<string> =>
  Option.isOption(value) && (Option.isNone(value) || typeof value.value === "string")

/** The store with every kind of failure as a `CacheStoreError`. */
export const checked = (store: Store): Store => ({
  get: (key) =>
    Effect.filterOrFail(
      runChecked("get", () => store.get(key)),
      isOptionalText,
      () => new CacheStoreError({ operation: "get", detail: "it did not return an Option of a string" })
    ),
  set: (key, value, ttl) => runChecked("set", () => store.set(key, value, ttl)),
  remove: (key) => runChecked("remove", () => store.remove(key)),
  clear: runChecked("clear", () => store.clear),
  ...(store.size === undefined ? {} : { size: runChecked("size", () => store.size ?? Effect.never) }),
  ...(store.immediate === undefined ? {} : { immediate: store.immediate })
})

export interface BreakerOptions {
  /** The cache's name in log messages. */
  readonly name: string
  /** The longest duration of an operation, in milliseconds. */
  readonly timeout: number
  /** How long the circuit stays open after a failure, in milliseconds. */
  readonly cooldown: number
}

export interface CircuitBreaker {
  /** Runs the operation; returns `fallback` when it fails, exceeds the time limit, or the circuit is open. */
  readonly run: <A>(operation: Operation, effect: Effect.Effect<A, CacheStoreError>, fallback: A) => Effect.Effect<A>
  /** Whether every operation runs, and none has to close the circuit. */
  readonly isClosed: () => boolean
  /** How often the store failed or was too slow. */
  readonly failures: Effect.Effect<number>
}

interface State {
  /** End of the cooldown; undefined when the circuit is closed. */
  openUntil: number | undefined
  /** Whether a probe is in flight. */
  probing: boolean
  failures: number
}

/** Only the success of a `probe` closes the circuit: a `regular` operation started before it opened. */
type Admission = "regular" | "probe" | "rejected"

const messageOf = (cause: Cause.Cause<CacheStoreError>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

export const make = (store: Store, { cooldown, name, timeout }: BreakerOptions): Effect.Effect<CircuitBreaker> =>
  Effect.sync((): CircuitBreaker => {
    const state: State = { openUntil: undefined, probing: false, failures: 0 }

    /** Disconnected, so that an uninterruptible operation does not delay a call past the time limit. */
    const withTimeout = <A>(
      operation: Operation,
      effect: Effect.Effect<A, CacheStoreError>
    ): Effect.Effect<A, CacheStoreError> =>
      effect.pipe(
        // An operation that interrupts itself must not interrupt the call.
        Effect.catchAllCause((cause) =>
          Cause.isInterruptedOnly(cause)
            ? Effect.fail(new CacheStoreError({ operation, detail: "it was interrupted" }))
            : Effect.failCause(cause)
        ),
        TimeLimit.disconnect,
        TimeLimit.timeoutFail({
          duration: timeout,
          onTimeout: () => new CacheStoreError({ operation, detail: `no answer within ${durationText(timeout)}` })
        })
      )

    const admit = (clock: Clock.Clock): Admission => {
      if (state.openUntil === undefined) return "regular"
      if (state.probing || MonotonicClock.now(clock) < state.openUntil) return "rejected"
      state.probing = true
      return "probe"
    }

    const close = Effect.suspend(() => {
      if (state.openUntil === undefined) return Effect.void
      state.openUntil = undefined
      return Effect.logInfo(`${name}: the store is back.`)
    })

    const recordFailure = (clock: Clock.Clock, cause: Cause.Cause<CacheStoreError>): Effect.Effect<void> => {
      const wasClosed = state.openUntil === undefined
      state.openUntil = MonotonicClock.now(clock) + cooldown
      state.failures++
      return wasClosed
        ? Effect.logWarning(`${name}: calls go on without the store until it works again. ${messageOf(cause)}`)
        : Effect.void
    }

    const guarded = <A>(
      operation: Operation,
      effect: Effect.Effect<A, CacheStoreError>,
      fallback: A
    ): Effect.Effect<A> =>
      Effect.clockWith((clock) =>
        Effect.uninterruptibleMask((restore) => {
          const admission = admit(clock)
          if (admission === "rejected") return Effect.succeed(fallback)
          const isProbe = admission === "probe"
          return Effect.matchCauseEffect(restore(withTimeout(operation, effect)), {
            onSuccess: (value) => {
              if (!isProbe) return Effect.succeed(value)
              state.probing = false
              return Effect.as(close, value)
            },
            onFailure: (cause) => {
              if (isProbe) state.probing = false
              return Cause.isInterruptedOnly(cause)
                ? Effect.interrupt
                : Effect.as(recordFailure(clock, cause), fallback)
            }
          })
        })
      )

    /** An immediate store has no cooldown: the first success after a failure closes the circuit. */
    const immediate = <A>(_: Operation, effect: Effect.Effect<A, CacheStoreError>, fallback: A): Effect.Effect<A> =>
      Effect.catchAll(state.openUntil === undefined ? effect : Effect.zipLeft(effect, close), (error) =>
        Effect.clockWith((clock) => Effect.as(recordFailure(clock, Cause.fail(error)), fallback))
      )

    return {
      run: store.immediate === true ? immediate : guarded,
      isClosed: () => state.openUntil === undefined,
      failures: Effect.sync(() => state.failures)
    }
  })
