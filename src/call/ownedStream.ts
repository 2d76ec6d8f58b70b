/** Streams with finalizers of their own: failed attempts, and streams that are closed before their call ends. */
import { Effect, Exit } from "effect"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Finalizers from "./finalizers.js"
import type { Open, OpenStream } from "./openStream.js"

export interface OwnedStream {
  readonly opened: OpenStream
  /** Releases the stream's resources. The finalizers of the call do so otherwise; repeated calls have no effect. */
  readonly close: Effect.Effect<void>
}

/** Opens a stream that `close` closes, and that is closed at once when the opening fails. */
export const owned =
  (open: Open) =>
  (outer: Finalizers.Finalizers): Effect.Effect<OwnedStream, LLMError> =>
    Effect.uninterruptibleMask((restore) => {
      const inner = Finalizers.make(outer)
      const opening = Effect.suspend(() => open(inner))
      return outer.add(inner.close, () =>
        Effect.matchCauseEffect(restore(opening), {
          onSuccess: (opened) => {
            outer.readOn = inner.readOn
            return Effect.succeed({
              opened,
              close: Effect.uninterruptible(Effect.suspend(() => inner.close(Exit.void)))
            })
          },
          onFailure: (cause) => {
            const exit = Exit.failCause(cause)
            return Effect.zipRight(inner.close(exit), exit)
          }
        })
      )
    })

/** Opens a stream that is closed at once when the opening fails, so that a failed attempt releases everything. */
export const isolated =
  (open: Open): Open =>
  (outer) =>
    Effect.map(owned(open)(outer), ({ opened }) => opened)
