/**
 * Finalizers that can die, because others write them: the client, key pool or limiter of a program.
 *
 * Effect 3 keeps a failure beside the defect of a finalizer. Effect 4 turns it into another defect, so that the caller
 * cannot read the failure. Here the call fails with it on both versions, and the defect is logged.
 */
import { Cause, Effect, Exit, Option } from "effect"

/** A finalizer after a failure, which logs its defect instead of dying. */
export const logged = <R>(finalizer: Effect.Effect<void, never, R>): Effect.Effect<void, never, R> =>
  Effect.catchAllCause(finalizer, (cause) => Effect.logError("A finalizer died after a failure.", cause))

/** The finalizer as it is to run after this exit: its defect is logged when there is a failure that it must not replace. */
export const after = <R>(
  exit: Exit.Exit<unknown, unknown>,
  finalizer: Effect.Effect<void, never, R>
): Effect.Effect<void, never, R> =>
  finalizer === Effect.void || Exit.isSuccess(exit) || Option.isNone(Cause.failureOption(exit.cause))
    ? finalizer
    : logged(finalizer)

/** `Effect.onExit`, whose finalizer never replaces a failure. */
export const onExit = <A, E, R, R2>(
  effect: Effect.Effect<A, E, R>,
  finalizer: (exit: Exit.Exit<A, E>) => Effect.Effect<void, never, R2>
): Effect.Effect<A, E, R | R2> =>
  Effect.onExit(effect, (exit) =>
    Exit.isSuccess(exit)
      ? finalizer(exit)
      : after(
          exit,
          Effect.suspend(() => finalizer(exit))
        )
  )

/** `Effect.onError`, whose finalizer never replaces a failure. */
export const onError = <A, E, R, R2>(
  effect: Effect.Effect<A, E, R>,
  finalizer: (cause: Cause.Cause<E>) => Effect.Effect<void, never, R2>
): Effect.Effect<A, E, R | R2> =>
  Effect.onError(effect, (cause) =>
    after(
      Exit.failCause(cause),
      Effect.suspend(() => finalizer(cause))
    )
  )
