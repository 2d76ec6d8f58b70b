/** A scheduler of fibers whose tasks are run by hand, and a clock: one module, since those of Effect 4 have other members. */
import type { Duration } from "effect"
import { Clock, Effect, Scheduler } from "effect"

export interface FiberScheduler {
  readonly scheduler: Scheduler.Scheduler
  /** Runs the tasks, and those that they schedule, until there is none. */
  readonly runTasks: () => void
  readonly hasTasks: () => boolean
}

/** `wake` is called when there is a task. */
export const makeScheduler = (wake: () => void): FiberScheduler => {
  let tasks = new Scheduler.PriorityBuckets()
  return {
    scheduler: {
      shouldYield: (fiber) => Scheduler.defaultScheduler.shouldYield(fiber),
      scheduleTask: (task, priority) => {
        tasks.scheduleTask(task, priority)
        wake()
      }
    },
    runTasks: () => {
      while (tasks.buckets.length > 0) {
        const { buckets } = tasks
        tasks = new Scheduler.PriorityBuckets()
        for (const [, ready] of buckets) for (const task of ready) task()
      }
    },
    hasTasks: () => tasks.buckets.length > 0
  }
}

export const makeClock = (
  millis: () => number,
  nanos: () => bigint,
  sleep: (duration: Duration.Duration) => Effect.Effect<void>
): Clock.Clock => ({
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: millis,
  unsafeCurrentTimeNanos: nanos,
  currentTimeMillis: Effect.sync(millis),
  currentTimeNanos: Effect.sync(nanos),
  sleep
})
