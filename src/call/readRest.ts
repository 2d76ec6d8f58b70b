/** Reads the rest of a stream whose consumer has left. */
import type { Chunk } from "effect"
import { Cause, Effect, Exit, Option } from "effect"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as TextTokens from "../vocabulary/textTokens.js"
import type { Finalizers, ReadOn } from "./finalizers.js"

/** Reads the rest of a stream, and releases it at the end or at a bound. `textOf` returns the generated text of an item. */
export const readRest = <A>(
  finalizers: Finalizers,
  { drain }: ReadOn,
  pull: Effect.Effect<Chunk.Chunk<A>, Option.Option<LLMError>>,
  textOf: (item: A) => string
): Effect.Effect<void> => {
  const { maxMillis, maxTokens } = drain
  const output = TextTokens.growing()
  const next: Effect.Effect<void, Option.Option<LLMError>> = Effect.flatMap(pull, (items) => {
    if (maxTokens === Infinity) return next
    for (const item of items) output.add(textOf(item))
    return output.tokens() < maxTokens ? next : Effect.void
  })
  const reading = Effect.catchAllCause(next, (cause) => {
    const failed = Cause.flatMap(cause, Option.match({ onNone: () => Cause.empty, onSome: Cause.fail }))
    return Cause.isEmpty(failed)
      ? Effect.void
      : Effect.logWarning("A stream failed after its consumer had left.", failed)
  })
  const bounded = maxMillis === Infinity ? reading : Effect.asVoid(Effect.timeoutOption(reading, maxMillis))
  return Effect.uninterruptible(
    Effect.suspend(() => {
      finalizers.abandon()
      return Effect.matchCauseEffect(Effect.interruptible(bounded), {
        onSuccess: () => finalizers.close(Exit.void),
        onFailure: (cause) => finalizers.close(Exit.failCause(cause))
      })
    })
  )
}
