/** Streams that can be ended before the call that opened them is over: because another one was quicker, or goes on. */
import { Effect, Exit, Scope } from "effect"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Open, OpenStream } from "./openStream.js"

export interface OwnedStream {
  readonly opened: OpenStream
  /** Gives back what the stream holds. Done again by itself when the scope ends, to no effect. */
  readonly close: Effect.Effect<void>
}

/** Opens in a scope of its own, closed at once when the opening fails, and by `close`. */
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
