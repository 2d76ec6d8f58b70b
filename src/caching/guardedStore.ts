/**
 * A store that cannot harm a call: every operation has a time limit, one that fails counts as not made, and a store that
 * failed is left alone for a while. Then one operation at a time finds out whether it is back.
 */
import type { Clock } from "effect"
import { Cause, Effect, Option, Ref } from "effect"
import type { Store } from "./model.js"
import { CacheStoreError } from "./model.js"
import * as MonotonicClock from "../internal/clock.js"

type Operation = CacheStoreError["operation"]

const errorOf =
  (operation: Operation) =>
  (cause: unknown): CacheStoreError =>
    new CacheStoreError({ operation, detail: cause instanceof Error ? cause.message : String(cause), cause })

/** Runs an operation of a store. What it throws, dies of or returns in place of an effect is a `CacheStoreError`. */
const attempted = <A>(
  operation: Operation,
  run: () => Effect.Effect<A, CacheStoreError>
): Effect.Effect<A, CacheStoreError> =>
  Effect.try({
    try: () => {
      const effect = run()
      if (!Effect.isEffect(effect)) throw new Error("it returned something else than an Effect")
      return effect
    },
    catch: errorOf(operation)
  }).pipe(
    Effect.flatten,
    // The caller's own interruption does not come here: what does is an operation that interrupts itself.
    Effect.catchAllCause((cause) => {
      const error = Cause.squash(cause)
      return Effect.fail(error instanceof CacheStoreError ? error : errorOf(operation)(error))
    })
  )

const isText = (value: unknown): value is Option.Option<string> =>
  Option.isOption(value) && (Option.isNone(value) || typeof value.value === "string")

/** The same store, all of whose failures are `CacheStoreError`s, whatever it does. */
export const checked = (store: Store): Store => ({
  get: (key) =>
    Effect.filterOrFail(
      attempted("get", () => store.get(key)),
      isText,
      () => new CacheStoreError({ operation: "get", detail: "it gave something else than an Option of a text" })
    ),
  set: (key, value, ttl) => attempted("set", () => store.set(key, value, ttl)),
  remove: (key) => attempted("remove", () => store.remove(key)),
  clear: attempted("clear", () => store.clear),
  ...(store.size === undefined ? {} : { size: attempted("size", () => store.size ?? Effect.never) }),
  ...(store.immediate === undefined ? {} : { immediate: store.immediate })
})

export interface GuardOptions {
  /** Whose store it is, for the log. */
  readonly name: string
  /** The longest that an operation may take, in milliseconds. */
  readonly timeout: number
  /** For how long a store that failed is left alone, in milliseconds. */
  readonly rest: number
}

export interface Guard {
  /** What the operation gives; `otherwise` where the store fails, is slow or is left alone. */
  readonly attempt: <A>(what: Operation, operation: Effect.Effect<A, CacheStoreError>, otherwise: A) => Effect.Effect<A>
  /** How often the store failed or was too slow. */
  readonly failures: Effect.Effect<number>
}

interface State {
  /** Until when it is left alone; undefined where it is well. */
  readonly away: number | undefined
  readonly probing: boolean
  readonly failures: number
}

const well = (state: State): State => ({ ...state, away: undefined, probing: false })

const reasonOf = (cause: Cause.Cause<CacheStoreError>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

export const make = (store: Store, { name, rest, timeout }: GuardOptions): Effect.Effect<Guard> =>
  Effect.map(Ref.make<State>({ away: undefined, probing: false, failures: 0 }), (ref): Guard => {
    /** In a fiber of its own, so that not even an operation that cannot be interrupted holds up a call. */
    const limited = <A>(
      what: Operation,
      operation: Effect.Effect<A, CacheStoreError>
    ): Effect.Effect<A, CacheStoreError> =>
      operation.pipe(
        // What interrupts itself must not interrupt the call.
        Effect.catchAllCause((cause) =>
          Cause.isInterruptedOnly(cause)
            ? Effect.fail(new CacheStoreError({ operation: what, detail: "it was interrupted" }))
            : Effect.failCause(cause)
        ),
        Effect.disconnect,
        Effect.timeoutFail({
          duration: timeout,
          onTimeout: () => new CacheStoreError({ operation: what, detail: `no answer within ${timeout} ms` })
        })
      )

    /** Whether the store may be asked now. */
    const enter = (clock: Clock.Clock) =>
      Ref.modify(ref, (state): readonly [boolean, State] =>
        state.away === undefined
          ? [true, state]
          : state.probing || MonotonicClock.now(clock) < state.away
            ? [false, state]
            : [true, { ...state, probing: true }]
      )

    const worked = Effect.flatMap(
      Ref.getAndUpdate(ref, (state) => (state.away === undefined ? state : well(state))),
      ({ away }) => (away === undefined ? Effect.void : Effect.logInfo(`${name}: the store is back.`))
    )

    const failed = (clock: Clock.Clock, cause: Cause.Cause<CacheStoreError>) =>
      Effect.flatMap(
        Ref.getAndUpdate(ref, (state) => ({
          away: MonotonicClock.now(clock) + rest,
          probing: false,
          failures: state.failures + 1
        })),
        ({ away }) =>
          away === undefined
            ? Effect.logWarning(
                `${name}: going on without the store, which is asked again from time to time. ${reasonOf(cause)}`
              )
            : Effect.void
      )

    const left = Ref.update(ref, (state) => (state.probing ? { ...state, probing: false } : state))

    const watched = <A>(
      what: Operation,
      operation: Effect.Effect<A, CacheStoreError>,
      otherwise: A
    ): Effect.Effect<A> =>
      Effect.clockWith((clock) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(enter(clock), (allowed) =>
            allowed
              ? Effect.matchCauseEffect(restore(limited(what, operation)), {
                  onSuccess: (value) => Effect.as(worked, value),
                  onFailure: (cause) =>
                    Cause.isInterruptedOnly(cause)
                      ? Effect.zipRight(left, Effect.interrupt)
                      : Effect.as(failed(clock, cause), otherwise)
                })
              : Effect.succeed(otherwise)
          )
        )
      )

    return {
      attempt:
        store.immediate === true
          ? (_, operation, otherwise) =>
              Effect.catchAll(operation, (error) =>
                Effect.clockWith((clock) => Effect.as(failed(clock, Cause.fail(error)), otherwise))
              )
          : watched,
      failures: Effect.map(Ref.get(ref), ({ failures }) => failures)
    }
  })
