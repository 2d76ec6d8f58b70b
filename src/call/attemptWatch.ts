/**
 * What a time limit knows of the attempts below it: which were made, and which is under way. Whoever interrupts an attempt because
 * its time is up says so here first, so that it is written down as what it is and not as a caller who left.
 */
import { Context, Effect } from "effect"
import type { Attempt } from "../vocabulary/Attempt.js"
import * as Attempts from "../vocabulary/Attempt.js"

/** An attempt under way. */
interface Held extends Omit<Attempt, "duration" | "error" | "status"> {
  readonly startedAt: number
}

export interface AttemptWatch {
  /** The watch of a limit further out. */
  readonly outer: AttemptWatch | undefined
  /** The limit has run out. */
  isCut: boolean
  /** The receipts of attempts that failed. */
  failed: ReadonlyArray<Attempt>
  held: Held | undefined
}

export class CurrentWatch extends Context.Reference<CurrentWatch>()("effect-llm/AttemptWatch", {
  defaultValue: (): AttemptWatch | undefined => undefined
}) {}

/** Runs an effect whose attempts are watched. */
export const watching = <A, E, R>(use: (watch: AttemptWatch) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(CurrentWatch, (outer) => {
    const watch: AttemptWatch = { outer, isCut: false, failed: [], held: undefined }
    return Effect.provideService(use(watch), CurrentWatch, watch)
  })

/** Whether it was a time limit that interrupted what is below the watch. */
export const isCut = (watch: AttemptWatch | undefined): boolean =>
  watch !== undefined && (watch.isCut || isCut(watch.outer))

export const began = (watch: AttemptWatch | undefined, held: Held): void => {
  for (let each = watch; each !== undefined; each = each.outer) each.held = held
}

export const failed = (watch: AttemptWatch | undefined, receipt: Attempt): void => {
  for (let each = watch; each !== undefined; each = each.outer) each.failed = Attempts.concat(each.failed, [receipt])
}

export const ended = (watch: AttemptWatch | undefined): void => {
  for (let each = watch; each !== undefined; each = each.outer) each.held = undefined
}

/** The limit runs out. Gives the receipts of everything that was done until now, with the attempt that is cut short. */
export const cut = (watch: AttemptWatch, now: number): ReadonlyArray<Attempt> => {
  watch.isCut = true
  if (watch.held !== undefined) {
    const { startedAt, ...attempt } = watch.held
    failed(watch, { ...attempt, error: "TimeoutError", duration: now - startedAt })
  }
  return watch.failed
}
