/** The cost of an effect in fiber steps, which is the same on every machine with one version of Effect, and interruption at a step. */
import type { Duration, Option } from "effect"
import { Cause, Effect, Exit, Fiber, Scheduler } from "effect"
import { interruptNow, patienceOf } from "./ownInterruption.js"

/** The steps that the count itself takes after it has begun. */
const stepsOfCount = 2

/** A scheduler that never yields by itself. `onStep` is called before each step of a fiber, and can answer that it yields. */
const scheduler = (onStep: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => number | false): Scheduler.Scheduler =>
  Scheduler.make((task) => Scheduler.defaultScheduler.scheduleTask(task, 0), onStep)

/** The number of fiber steps of an effect: `shouldYield` of a scheduler is called once for each step. */
export const stepsOf = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<number, E> =>
  Effect.suspend(() => {
    let steps = 0
    const counted = Effect.suspend(() => {
      steps = -stepsOfCount
      return Effect.map(effect, () => steps)
    })
    return Effect.withScheduler(
      counted,
      scheduler(() => {
        steps++
        return false
      })
    )
  })

/**
 * The fewest fiber steps of several runs of an effect: the first runs create values that are made once, and a run in which the clock has
 * ticked can take more, such as those that record a wait.
 */
export const settledStepsOf = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<number, E> =>
  Effect.map(Effect.replicateEffect(stepsOf(effect), 10), (runs) => Math.min(...runs))

/**
 * The exit of an effect that is interrupted before one of its steps; none when it does not end within `patience`. A `Stream` of Effect
 * 3.22 that is interrupted in its last steps, whatever it is made of, never ends.
 */
export const interruptedAt = <A, E>(
  effect: Effect.Effect<A, E>,
  step: number,
  patience: Duration.DurationInput
): Effect.Effect<Option.Option<Exit.Exit<A, E>>> =>
  Effect.suspend(() => {
    let steps = 0
    let caller: Fiber.RuntimeFiber<unknown, unknown> | undefined
    // Only the caller is interrupted, also at a step of a fiber that it has forked: a program has no reference to such a fiber.
    const interrupting = scheduler((fiber) => {
      caller ??= fiber
      return ++steps === step ? interruptNow(caller) : false
    })
    return Effect.flatMap(Effect.fork(Effect.withScheduler(effect, interrupting)), (fiber) =>
      Effect.timeoutOption(Fiber.await(fiber), patienceOf(patience))
    )
  })

/** Whether an effect has ended before it was interrupted. */
export const endedByItself = <A, E>(exit: Exit.Exit<A, E>): boolean =>
  Exit.isSuccess(exit) || !Cause.isInterrupted(exit.cause)

/** Counts the steps of the fibers that an effect starts, and of those that these start, where `isCounted` holds for them. */
export const counting = (isCounted: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => boolean) => {
  let steps = 0
  const counts = scheduler((fiber) => {
    if (isCounted(fiber)) steps++
    return false
  })
  return {
    within: Effect.withScheduler(counts),
    /** The steps since the last call. */
    take: Effect.sync(() => {
      const taken = steps
      steps = 0
      return taken
    })
  }
}
