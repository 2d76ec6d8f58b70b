/**
 * The recurrences of a refill schedule. They are computed one after another when a call depends on them, so that a limiter needs no
 * fiber and no scope, and each wait is computed in advance. Times are in milliseconds since the epoch, by the wall clock.
 */
import type { Schedule } from "effect"
import { Effect } from "effect"
import type { Recurrence } from "../internal/recurrence.js"
import * as Recurrences from "../internal/recurrence.js"

/** The last computed recurrence, and those after it. */
export interface Cursor {
  readonly at: number
  readonly rest: Recurrence<void>
}

export interface Computed {
  readonly cursor: Cursor
  readonly times: ReadonlyArray<number>
  /** Whether the schedule has ended. */
  readonly isComplete: boolean
}

/** Recurrences are at least this far apart, so that a schedule without delay makes progress. */
const minInterval = 1

/** After so many missed recurrences without a call, the schedule goes on from the present. */
const maxMissed = 10_000

export const start = (schedule: Schedule.Schedule<unknown, void>, now: number): Cursor => ({
  at: now,
  rest: Recurrences.start(schedule)
})

/** A wall clock that lags behind by more than this has been set back; by less, it is slewed or its milliseconds are cut off. */
const setBack = 1000

/** The cursor after its recurrence has come: at the present if the wall clock has been set back since it was computed. */
export const resume = (cursor: Cursor, now: number): Cursor =>
  cursor.at > now + setBack ? { ...cursor, at: now } : cursor

/** Steps the schedule as its driver would, which resumes exactly at the last recurrence. Undefined after its end. */
const step = ({ at, rest }: Cursor): Effect.Effect<Cursor | undefined> =>
  Effect.map(rest.next(at, undefined), (next) =>
    next !== undefined && next.at < Infinity ? { at: Math.max(next.at, at + minInterval), rest: next.rest } : undefined
  )

/** Computes the next `count` recurrences after `now`. Skips those until `now`: an earlier one that is known fills the bucket. */
export const compute = (cursor: Cursor, now: number, count: number): Effect.Effect<Computed> =>
  Effect.gen(function* () {
    const times: Array<number> = []
    let missed = 0
    let last = cursor
    while (times.length < count) {
      const next = yield* step(last)
      if (next === undefined) return { cursor: last, times, isComplete: true }
      last = next
      if (next.at > now) times.push(next.at)
      else if (++missed >= maxMissed) last = { ...next, at: now }
    }
    return { cursor: last, times, isComplete: false }
  })
