/** What an exit has failed with, whatever the form of its cause. */
import { Cause, Exit, Option } from "effect"

/** The first typed error; undefined for an answer, a defect and an interruption. */
export const errorOf = <A, E>(exit: Exit.Exit<A, E> | undefined): E | undefined =>
  exit === undefined || Exit.isSuccess(exit) ? undefined : Option.getOrUndefined(Cause.failureOption(exit.cause))

/** The first defect; none for an answer, a typed error and an interruption. */
export const defectOf = <A, E>(exit: Exit.Exit<A, E>): Option.Option<unknown> =>
  Exit.isSuccess(exit) ? Option.none() : Cause.dieOption(exit.cause)
