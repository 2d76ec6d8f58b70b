/** Streams of an `LLM` that are opened in the background, so that something can be told meanwhile. */
import type { Context } from "effect"
import { Effect, Exit, Fiber, Scope } from "effect"
import type { OpenStream, Pull } from "../internal/openStream.js"
import { fromStream } from "../internal/openStream.js"
import type { LLMError } from "../LLMError.js"
import type { ChatEvent } from "../ChatEvent.js"
import type { Stream } from "effect"

export interface Opening {
  /** How the opening ended; waits for it. */
  readonly await: Effect.Effect<Exit.Exit<OpenStream, LLMError>>
  /** Closes the stream, whatever it is doing. A pull under way fails, or is never heard of again. */
  readonly close: Effect.Effect<void>
}

/**
 * Begins to open a stream. It is closed with the scope, whether it was open by then or not; its opening is waited for before what
 * it holds is given back, lest something be taken after that.
 */
export const begin = (stream: Stream.Stream<ChatEvent, LLMError>): Effect.Effect<Opening, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const inner = yield* Scope.make()
      const context = yield* Effect.context<never>()
      const open = Effect.map(Scope.extend(fromStream(stream), inner), (opened) => ({
        ...opened,
        pull: within(opened.pull, context)
      }))
      const fiber = yield* Effect.forkDaemon(Effect.interruptible(open))
      return {
        await: Fiber.await(fiber),
        close: Effect.zipRight(Fiber.interrupt(fiber), Scope.close(inner, Exit.void))
      }
    }),
    ({ close }) => close
  )

/** What the call was begun with (its label, the id of its request, its span) holds for all of it. */
const within = (pull: Pull, context: Context.Context<never>): Pull => Effect.provide(pull, context)
