/** Interruption of an effect at a chosen step. */
import type { Option } from "effect"
import { Cause, Effect, Exit, Fiber, FiberId, Scheduler } from "effect"

/**
 * Interrupts an effect before one of its steps; none when it does not end soon. A `Stream` of Effect 3.22 that is interrupted in its
 * last steps, whatever it is made of, never ends.
 */
export const interruptedAt = <A, E>(
  effect: Effect.Effect<A, E>,
  step: number
): Effect.Effect<Option.Option<Exit.Exit<A, E>>> =>
  Effect.suspend(() => {
    let steps = 0
    const scheduler: Scheduler.Scheduler = {
      shouldYield: (fiber) => {
        if (++steps === step) fiber.unsafeInterruptAsFork(FiberId.none)
        return false
      },
      scheduleTask: (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority)
    }
    return Effect.flatMap(Effect.fork(Effect.withScheduler(effect, scheduler)), (fiber) =>
      Effect.timeoutOption(Fiber.await(fiber), "20 millis")
    )
  })

/** Whether an effect has ended before it was interrupted. */
export const endedByItself = <A, E>(exit: Exit.Exit<A, E>): boolean =>
  Exit.isSuccess(exit) || !Cause.isInterrupted(exit.cause)
