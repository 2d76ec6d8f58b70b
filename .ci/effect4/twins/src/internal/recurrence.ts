/** The recurrences of a schedule one by one, without its driver. */
import { Cause, Duration, Effect, Pull, Schedule } from "effect"

/** A schedule at one point of its course. */
export interface Recurrence<In, R = never> {
  /** The time of the next recurrence in milliseconds, and the schedule after it; undefined at its end. */
  readonly next: (now: number, input: In) => Effect.Effect<Next<In, R> | undefined, never, R>
}

export interface Next<In, R = never> {
  readonly at: number
  readonly rest: Recurrence<In, R>
}

type Step<In, R> = (now: number, input: In) => Pull.Pull<[unknown, Duration.Duration], unknown, unknown, R>

const stepped = <In, R>(step: Step<In, R>, now: number, input: In): Effect.Effect<Next<In, R> | undefined, never, R> =>
  Pull.matchEffect(step(now, input), {
    onSuccess: ([, delay]) => Effect.succeed({ at: now + Duration.toMillis(delay), rest: after(step) }),
    onFailure: (cause) => Effect.die(Cause.squash(cause)),
    onDone: () => Effect.succeed(undefined)
  })

/** A step cannot be taken twice, so that its answer is kept for who asks again. */
const after = <In, R>(step: Step<In, R>): Recurrence<In, R> => {
  let known: { readonly next: Next<In, R> | undefined } | undefined
  return {
    next: (now, input) =>
      known === undefined
        ? Effect.map(stepped(step, now, input), (next) => (known = { next }).next)
        : Effect.succeed(known.next)
  }
}

/** Each first step begins the schedule anew. */
export const start = <In, R>(schedule: Schedule.Schedule<unknown, In, unknown, R>): Recurrence<In, R> => ({
  next: (now, input) => Effect.flatMap(Schedule.toStep(schedule), (step) => stepped(step, now, input))
})
