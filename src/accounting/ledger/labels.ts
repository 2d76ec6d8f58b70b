/** Whom calls are counted for. Public by way of `UsageLedger`. */
import { Effect, Stream } from "effect"
import { dual } from "effect/Function"
import { Label } from "../../internal/label.js"
import { fromStream, toStream } from "../../call/openStream.js"
import type { Middleware, Service } from "../../call/model.js"

/**
 * Names whom an effect's calls are counted for: a team, a customer, a feature. The innermost label counts. `Budget` knows the
 * same labels.
 *
 * @since 0.1.0
 * @category labels
 */
export const label: {
  (label: string): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, label: string): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(effect: Effect.Effect<A, E, R>, label: string): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Label, label)
)

/**
 * The same for a stream.
 *
 * @since 0.1.0
 * @category labels
 */
export const labelStream: {
  (label: string): <A, E, R>(stream: Stream.Stream<A, E, R>) => Stream.Stream<A, E, R>
  <A, E, R>(stream: Stream.Stream<A, E, R>, label: string): Stream.Stream<A, E, R>
} = dual(2, <A, E, R>(stream: Stream.Stream<A, E, R>, label: string): Stream.Stream<A, E, R> =>
  Stream.provideService(stream, Label, label)
)

/**
 * An `LLM` all of whose calls have a label, unless they have one already.
 *
 * @since 0.1.0
 * @category labels
 */
export const labelled =
  (name: string): Middleware =>
  (next) => {
    const named = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.flatMap(Label, (current) => (current === "" ? label(effect, name) : effect))
    return Effect.succeed<Service>({
      ...next,
      chat: (request) => named(next.chat(request)),
      embed: (request) => named(next.embed(request)),
      chatStream: (request) => toStream(named(fromStream(next.chatStream(request))))
    })
  }
