/** The recurrences of a schedule one by one, without its driver: a module of its own, since Effect 4 steps schedules in another way. */
import type { Schedule } from "effect"
import { Effect, ScheduleDecision, ScheduleIntervals } from "effect"

/** A schedule at one point of its course. */
export interface Recurrence<In, R = never> {
  /** The time of the next recurrence in milliseconds, and the schedule after it; undefined at its end. */
  readonly next: (now: number, input: In) => Effect.Effect<Next<In, R> | undefined, never, R>
}

export interface Next<In, R = never> {
  readonly at: number
  readonly rest: Recurrence<In, R>
}

const from = <In, R>(schedule: Schedule.Schedule<unknown, In, R>, state: unknown): Recurrence<In, R> => ({
  next: (now, input) =>
    Effect.map(schedule.step(now, input, state), ([after, , decision]) =>
      ScheduleDecision.isDone(decision)
        ? undefined
        : { at: ScheduleIntervals.start(decision.intervals), rest: from(schedule, after) }
    )
})

export const start = <In, R>(schedule: Schedule.Schedule<unknown, In, R>): Recurrence<In, R> =>
  from(schedule, schedule.initial)
