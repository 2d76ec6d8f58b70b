/** The cost of an effect in fiber steps, which is the same on every machine. */
import { Effect, Scheduler } from "effect"

/** The number of fiber steps of an effect: `shouldYield` of a scheduler is called once for each step. */
export const stepsOf = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<number, E> =>
  Effect.suspend(() => {
    let steps = 0
    const scheduler: Scheduler.Scheduler = {
      shouldYield: () => {
        steps++
        return false
      },
      scheduleTask: (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority)
    }
    return Effect.map(Effect.withScheduler(effect, scheduler), () => steps)
  })
