/** Values as effects: the one place where an Either or an Option is used as an Effect, which neither is in Effect 4. */
import type { Cause, Effect, Either, Option } from "effect"

export const fromEither = <A, E>(either: Either.Either<A, E>): Effect.Effect<A, E> => either

export const fromOption = <A>(option: Option.Option<A>): Effect.Effect<A, Cause.NoSuchElementException> => option
