/** A scheduler of fibers whose tasks are run by hand, and a clock. */
import type { Duration } from "effect"
import { type Clock, Effect, Scheduler } from "effect"

export interface FiberScheduler {
  readonly scheduler: Scheduler.Scheduler
  /** Runs the tasks, and those that they schedule, until there is none. */
  readonly runTasks: () => void
  readonly hasTasks: () => boolean
}

interface Task {
  readonly priority: number
  readonly run: () => void
}

/** `wake` is called when there is a task. */
export const makeScheduler = (wake: () => void): FiberScheduler => {
  const mixed = new Scheduler.MixedScheduler()
  let tasks: Array<Task> = []
  const runTasks = (): void => {
    while (tasks.length > 0) {
      const ready = tasks.sort((self, that) => self.priority - that.priority)
      tasks = []
      for (const { run } of ready) run()
    }
  }
  const dispatcher: Scheduler.SchedulerDispatcher = {
    scheduleTask: (run, priority) => {
      tasks.push({ priority, run })
      wake()
    },
    flush: runTasks
  }
  return {
    scheduler: {
      executionMode: "async",
      shouldYield: (fiber) => mixed.shouldYield(fiber),
      makeDispatcher: () => dispatcher
    },
    runTasks,
    hasTasks: () => tasks.length > 0
  }
}

export const makeClock = (
  millis: () => number,
  nanos: () => bigint,
  sleep: (duration: Duration.Duration) => Effect.Effect<void>
): Clock.Clock => ({
  currentTimeMillisUnsafe: millis,
  currentTimeNanosUnsafe: nanos,
  monotonicTimeNanosUnsafe: nanos,
  currentTimeMillis: Effect.sync(millis),
  currentTimeNanos: Effect.sync(nanos),
  monotonicTimeNanos: Effect.sync(nanos),
  sleep
})
