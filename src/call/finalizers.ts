/**
 * The finalizers of a stream, in plain code: what `Scope` is to an effect, without its fiber steps. The layers of a stream add theirs
 * while they open it. Its border, which is a public `Stream` or a response of the gateway, runs them.
 */
import type { Exit } from "effect"
import { Effect, Scope } from "effect"
import { after } from "../internal/finalizer.js"
import type { Drain } from "./disconnect.js"

/** Runs in plain code, and returns what is left to run, which must run uninterruptibly: `Effect.void` when there is nothing. */
export type Finalizer = (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>

/** How the rest of a stream is read when its consumer leaves. */
export interface ReadOn {
  readonly drain: Drain
  /** Starts the reading in the background, in an uninterruptible region. */
  readonly fork: (reading: Effect.Effect<void>) => Effect.Effect<void>
}

export interface Finalizers {
  /**
   * Adds a finalizer and continues. When the finalizers have run already, this one runs at once, and the opening is interrupted. Must run
   * uninterruptibly.
   */
  readonly add: <A, E, R>(finalizer: Finalizer, next: () => Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /**
   * Runs each finalizer once, the last one first, also when another one dies: after a failure, which remains, defects are logged. Later
   * calls do not wait for the first one.
   */
  readonly close: Finalizer
  /** Set by the `LLM` that has opened the stream, unless the stream ends when its consumer leaves. */
  readOn: ReadOn | undefined
  /** Records that the consumer has left, while the rest of the stream is read. */
  readonly abandon: () => void
  readonly isAbandoned: () => boolean
}

/** Runs a finalizer, whose exception becomes a defect. */
const runSafely = (finalizer: Finalizer, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
  try {
    return finalizer(exit)
  } catch (defect) {
    return Effect.die(defect)
  }
}

/** `outer`: those of the call, where an attempt has its own. */
export const make = (outer?: Finalizers): Finalizers => {
  const finalizers: Array<Finalizer> = []
  let isAbandoned = false
  let closedWith: Exit.Exit<unknown, unknown> | undefined

  const runAll = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
    for (let finalizer = finalizers.pop(); finalizer !== undefined; finalizer = finalizers.pop()) {
      const left = runSafely(finalizer, exit)
      if (left === Effect.void) continue
      return finalizers.length === 0
        ? left
        : Effect.ensuring(
            left,
            Effect.suspend(() => runAll(exit))
          )
    }
    return Effect.void
  }

  return {
    add: (finalizer, next) => {
      if (closedWith !== undefined) return Effect.zipRight(runSafely(finalizer, closedWith), Effect.interrupt)
      finalizers.push(finalizer)
      return next()
    },
    close: (exit) => {
      closedWith ??= exit
      return after(exit, runAll(exit))
    },
    readOn: undefined,
    abandon: () => {
      isAbandoned = true
    },
    isAbandoned: () => isAbandoned || outer?.isAbandoned() === true
  }
}

/** Runs an effect in a scope that the finalizers close. */
export const scopedBy = <A, E, R>(
  finalizers: Finalizers,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.make(), (scope) =>
      finalizers.add(
        (exit) => Scope.close(scope, exit),
        () => restore(Scope.extend(effect, scope))
      )
    )
  )

/** Runs an effect with finalizers that run at its end. */
export const scoped = <A, E, R>(use: (finalizers: Finalizers) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const finalizers = make()
    return Effect.onExit(
      Effect.suspend(() => use(finalizers)),
      finalizers.close
    )
  })
