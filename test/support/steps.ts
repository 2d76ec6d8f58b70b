/** The cost of an effect in fiber steps, which is the same on every machine with one version of Effect. */
import { Effect, Scheduler } from "effect"

/** The steps that the count itself takes after it has begun. */
const stepsOfCount = 2

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
    const counted = Effect.suspend(() => {
      steps = -stepsOfCount
      return Effect.map(effect, () => steps)
    })
    return Effect.withScheduler(counted, scheduler)
  })

/**
 * The fewest fiber steps of several runs of an effect: the first runs create values that are made once, and a run in which the clock has
 * ticked can take more, such as those that record a wait.
 */
export const settledStepsOf = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<number, E> =>
  Effect.map(Effect.replicateEffect(stepsOf(effect), 10), (runs) => Math.min(...runs))
