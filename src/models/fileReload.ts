/** Reloading of a configuration file on change and on demand: of models, and of a gateway's keys. */
import type { Scope } from "effect"
import { Duration, Effect, Either, Ref } from "effect"
import { inBackground } from "../internal/background.js"

/** The text of the file, or why it cannot be read. */
export type Reading<E> = Either.Either<string, E>

/** Timing of the checks for changes. */
export interface Timing {
  /** Time between checks; `false`: the file is read on demand only. @default "1 second" */
  readonly interval?: Duration.DurationInput | false
  /** How long a changed file must stay unchanged before it is taken over. @default "200 millis" */
  readonly settle?: Duration.DurationInput
}

interface Config<A, E> extends Timing {
  readonly path: string
  readonly read: Effect.Effect<string, E>
  /** Applies the content, all of it or nothing. Runs uninterruptibly. */
  readonly takeOver: (read: Reading<E>) => Effect.Effect<A, E>
}

/** Names that a reload has changed. */
interface Difference {
  readonly added: ReadonlyArray<string>
  readonly removed: ReadonlyArray<string>
  readonly changed: ReadonlyArray<string>
}

/** Whether two reads have the same text, or failed for the same reason. */
const isSame = <E extends { readonly message: string }>(self: Reading<E>, that: Reading<E>): boolean =>
  Either.isRight(self)
    ? Either.isRight(that) && self.right === that.right
    : Either.isLeft(that) && self.left.message === that.left.message

/**
 * Checks the file for changes until the scope closes, and returns the effect that reloads it now, whether or not it has changed.
 * `initial` is the content in use. The result of each reload is logged.
 */
export const make = <A extends Difference, E extends { readonly message: string }>(
  initial: Reading<E>,
  { interval = Duration.seconds(1), path, read, settle = "200 millis", takeOver }: Config<A, E>
): Effect.Effect<Effect.Effect<A, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const reading = Effect.either(read)
    const last = yield* Ref.make(initial)
    const lock = yield* Effect.makeSemaphore(1)

    const apply = (read: Reading<E>): Effect.Effect<A, E> =>
      Effect.zipRight(Ref.set(last, read), takeOver(read)).pipe(
        Effect.tapBoth({
          onSuccess: ({ added, changed, removed }) =>
            Effect.annotateLogs(Effect.logInfo(`${path} has been reloaded`), { added, removed, changed }),
          onFailure: (error) => Effect.logWarning(`${path} has been refused: ${error.message}`)
        }),
        Effect.uninterruptible
      )

    /** The content once it has not changed for the duration of `settle`. */
    const whenStable = (read: Reading<E>): Effect.Effect<Reading<E>> =>
      Effect.flatMap(Effect.delay(reading, settle), (next) =>
        isSame(read, next) ? Effect.succeed(next) : whenStable(next)
      )

    const poll = Effect.gen(function* () {
      const seen = yield* reading
      if (isSame(yield* Ref.get(last), seen)) return
      const changed = yield* whenStable(seen)
      // Read again, because a reload on demand can have applied newer content meanwhile.
      yield* Effect.flatMap(Effect.zip(reading, Ref.get(last)), ([now, before]) =>
        isSame(now, changed) && !isSame(now, before) ? apply(now) : Effect.void
      ).pipe(lock.withPermits(1))
    })

    if (interval !== false) {
      yield* inBackground(
        Effect.forever(
          // A failure has been logged by `apply`; a defect must not end the checks.
          Effect.catchAllCause(Effect.ignore(poll), (cause) =>
            Effect.logError(`${path} cannot be checked for changes`, cause)
          ).pipe(Effect.delay(interval))
        )
      )
    }

    return lock.withPermits(1)(Effect.flatMap(reading, apply))
  })
