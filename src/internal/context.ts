/** The context of a fiber, changed around an effect in fewer steps than by `Effect.provide`: calls change it several times. */
import type { Context } from "effect"
import { Effect, FiberRef } from "effect"

type Change = (context: Context.Context<never>) => Context.Context<never>

/** Runs an effect in a changed context, within an uninterruptible region whose only interruptible part is the effect. */
export const whileChanged = <A, E, R>(effect: Effect.Effect<A, E, R>, change: Change): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    FiberRef.modify(FiberRef.currentContext, (before) => [before, change(before)]),
    (before) =>
      Effect.matchCauseEffect(effect, {
        onSuccess: (value) => FiberRef.modify(FiberRef.currentContext, () => [value, before]),
        onFailure: (cause) => Effect.zipRight(FiberRef.set(FiberRef.currentContext, before), Effect.failCause(cause))
      })
  )

/** Runs an effect in a changed context. */
export const changed = <A, E, R>(effect: Effect.Effect<A, E, R>, change: Change): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) => whileChanged(restore(effect), change))
