/** A file that is read again when it changes, and when asked to: that of models, and that of a gateway's keys. */
import type { Scope } from "effect"
import { Duration, Effect, Either, Ref } from "effect"
import { inBackground } from "../internal/background.js"

/** The text of the file, or why it cannot be read. */
export type Reading<E> = Either.Either<string, E>

/** When the file is looked at. */
export interface Timing {
  /** `false`: never, so that it is read only when asked to. @default "1 second" */
  readonly interval?: Duration.DurationInput | false
  /** How long a changed file must stay as it is before it is read. @default "200 millis" */
  readonly settle?: Duration.DurationInput
}

interface Terms<A, E> extends Timing {
  readonly path: string
  readonly read: Effect.Effect<string, E>
  /** Takes over what was read, all of it or nothing. It is not interrupted. */
  readonly takeOver: (read: Reading<E>) => Effect.Effect<A, E>
}

/** What a reload has changed, by names. */
interface Difference {
  readonly added: ReadonlyArray<string>
  readonly removed: ReadonlyArray<string>
  readonly changed: ReadonlyArray<string>
}

/** A file that cannot be read is as it was, for as long as the reason is the same. */
const same = <E extends { readonly message: string }>(self: Reading<E>, that: Reading<E>): boolean =>
  Either.isRight(self)
    ? Either.isRight(that) && self.right === that.right
    : Either.isLeft(that) && self.left.message === that.left.message

/**
 * Watches the file until the scope closes, and gives the effect that reads it now, whether or not it has changed. `known` is what
 * is in force. What comes of each reading is logged.
 */
export const make = <A extends Difference, E extends { readonly message: string }>(
  known: Reading<E>,
  { interval = Duration.seconds(1), path, read, settle = "200 millis", takeOver }: Terms<A, E>
): Effect.Effect<Effect.Effect<A, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const reading = Effect.either(read)
    const last = yield* Ref.make(known)
    const gate = yield* Effect.makeSemaphore(1)

    const take = (read: Reading<E>): Effect.Effect<A, E> =>
      Effect.zipRight(Ref.set(last, read), takeOver(read)).pipe(
        Effect.tapBoth({
          onSuccess: ({ added, changed, removed }) =>
            Effect.annotateLogs(Effect.logInfo(`${path} has been reloaded`), { added, removed, changed }),
          onFailure: (error) => Effect.logWarning(`${path} has been refused: ${error.message}`)
        }),
        Effect.uninterruptible
      )

    /** What the file says once it has said the same for a while. */
    const settled = (read: Reading<E>): Effect.Effect<Reading<E>> =>
      Effect.flatMap(Effect.delay(reading, settle), (next) => (same(read, next) ? Effect.succeed(next) : settled(next)))

    const look = Effect.gen(function* () {
      const seen = yield* reading
      if (same(yield* Ref.get(last), seen)) return
      const changed = yield* settled(seen)
      // Read once more: a reload that was asked for may have taken over what is newer.
      yield* Effect.flatMap(Effect.zip(reading, Ref.get(last)), ([now, before]) =>
        same(now, changed) && !same(now, before) ? take(now) : Effect.void
      ).pipe(gate.withPermits(1))
    })

    if (interval !== false) {
      yield* inBackground(
        Effect.forever(
          // A refusal is in the log already; a defect must not be the end of looking.
          Effect.catchAllCause(Effect.ignore(look), (cause) =>
            Effect.logError(`${path} cannot be looked at`, cause)
          ).pipe(Effect.delay(interval))
        )
      )
    }

    return gate.withPermits(1)(Effect.flatMap(reading, take))
  })
