/** Streams that can be closed before the call that opened them ends, as hedging and continuation do. */
import { Effect, Exit, Scope } from "effect"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Open, OpenStream } from "./openStream.js"

export interface OwnedStream {
  readonly opened: OpenStream
  /** Releases the stream's resources. The end of the scope does so otherwise; repeated calls have no effect. */
  readonly close: Effect.Effect<void>
}

/** Opens a stream in a child scope that `close` closes, and that is closed at once when the opening fails. */
export const owned = (open: Open): Effect.Effect<OwnedStream, LLMError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.scope, (outer) =>
      Effect.flatMap(Scope.fork(outer, outer.strategy), (inner) =>
        Effect.flatMap(Effect.exit(restore(Scope.extend(open, inner))), (exit) =>
          Exit.isSuccess(exit)
            ? Effect.succeed({ opened: exit.value, close: Scope.close(inner, Exit.void) })
            : Effect.zipRight(Scope.close(inner, exit), Effect.failCause(exit.cause))
        )
      )
    )
  )
