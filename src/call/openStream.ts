/**
 * Streams as the inside of this library sees them: an effect that opens the stream and succeeds with its first events.
 *
 * Everything that may still be repeated elsewhere (another key, another try, another model) fails in opening; what comes
 * after is committed. So one policy over effects serves `chat` and `chatStream` alike, and a stack of policies costs a
 * stream nothing once it is open: a pull is handed up unchanged.
 */
import { Chunk, Effect, Exit, Option, Predicate, Scope, Stream } from "effect"
import * as Attempt from "../vocabulary/Attempt.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"

/** The next events; fails with `None` at the end. Never an empty chunk. */
export type Pull = Effect.Effect<Chunk.Chunk<ChatEvent>, Option.Option<LLMError>>

export interface OpenStream {
  /** The first events; empty where the stream ended before any. */
  readonly first: Chunk.Chunk<ChatEvent>
  readonly pull: Pull
}

/** Opens a stream. What it holds is given back when the scope closes. */
export type Open = Effect.Effect<OpenStream, LLMError, Scope.Scope>

const OpenId: unique symbol = Symbol.for("effect-llm/Open")

interface Opened {
  readonly [OpenId]: Open
}

/** The end of every stream. */
export const end: Pull = Effect.fail(Option.none())

/** A public stream that remembers how it is opened. */
export const toStream = (open: Open): Stream.Stream<ChatEvent, LLMError> => {
  const pull = Effect.match(open, {
    onFailure: (error): Pull => Effect.fail(Option.some(error)),
    onSuccess: (opened): Pull => {
      let first: Chunk.Chunk<ChatEvent> | undefined = opened.first
      return Effect.suspend(() => {
        if (first === undefined || Chunk.isEmpty(first)) return opened.pull
        const events = first
        first = undefined
        return Effect.succeed(events)
      })
    }
  })
  const remembered: Opened = { [OpenId]: open }
  return Object.assign(Stream.fromPull(pull), remembered)
}

const isOpened = (stream: object): stream is Opened => Predicate.hasProperty(stream, OpenId)

const firstOf = (pull: Pull): Effect.Effect<OpenStream, LLMError> =>
  Effect.matchEffect(pull, {
    onFailure: Option.match({
      onNone: () => Effect.succeed<OpenStream>({ first: Chunk.empty(), pull: end }),
      onSome: (error) => Effect.fail(error)
    }),
    onSuccess: (first) => (Chunk.isEmpty(first) ? firstOf(pull) : Effect.succeed({ first, pull }))
  })

/** How a stream is opened: our own remember it, any other is run up to its first events. */
export const fromStream = (stream: Stream.Stream<ChatEvent, LLMError>): Open =>
  isOpened(stream) ? stream[OpenId] : Effect.flatMap(Stream.toPull(stream), firstOf)

/** Opens in a scope of its own, closed at once when the opening fails: one of several tries leaves nothing behind. */
export const isolated = (open: Open): Open =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.scope, (outer) =>
      Effect.flatMap(Scope.fork(outer, outer.strategy), (inner) =>
        Effect.onExit(restore(Scope.extend(open, inner)), (exit) =>
          Exit.isFailure(exit) ? Scope.close(inner, exit) : Effect.void
        )
      )
    )
  )

/** The same stream, whose receipt also tells of the attempts before it. */
export const withEarlierAttempts = (opened: OpenStream, earlier: ReadonlyArray<Attempt.Attempt>): OpenStream => ({
  first: Chunk.map(opened.first, (event) =>
    event._tag === "Start" ? { ...event, attempts: Attempt.concat(earlier, event.attempts) } : event
  ),
  pull: opened.pull
})
