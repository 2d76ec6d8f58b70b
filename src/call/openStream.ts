/**
 * The internal form of a stream: an effect that opens it and succeeds with its first events.
 *
 * Failures that can be retried elsewhere (another key, attempt or model) happen while opening; after that the stream is committed.
 * So one policy over effects serves both `chat` and `chatStream`, and policies add no cost to an open stream: its pull is passed
 * up unchanged.
 */
import type { Stream } from "effect"
import { Cause, Chunk, Effect, Exit, Option, Predicate, Scope } from "effect"
import * as Attempt from "../vocabulary/attempt.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { AnswerSoFar } from "./collector.js"
import { deltaText } from "./deltaText.js"
import * as Finalizers from "./finalizers.js"
import type { Service } from "./model.js"
import { readRest } from "./readRest.js"
import type { Listeners } from "./usageListeners.js"
import { noListeners, notifying } from "./usageListeners.js"
import { fromPull, toPull } from "../internal/pull.js"

/** The next events; fails with `None` at the end. Never an empty chunk. */
export type Pull = Effect.Effect<Chunk.Chunk<ChatEvent>, Option.Option<LLMError>>

/**
 * Passes the events to `accept` as they arrive, in plain code where nothing else has to run. Succeeds when `accept` has returned false:
 * the provider is not read any more until it is run again. Fails as `pull` does.
 */
export type Forward = (
  accept: (events: Chunk.Chunk<ChatEvent>) => boolean
) => Effect.Effect<void, Option.Option<LLMError>>

export interface OpenStream {
  /** The first events; empty when the stream ended without any. */
  readonly first: Chunk.Chunk<ChatEvent>
  readonly pull: Pull
  /** The same events without an effect for each chunk, where the stream can be read so. */
  readonly forward?: Forward
  /** The answer so far, where the client collects it. */
  readonly answer?: AnswerSoFar
  /** Puts the first events back and returns a pull of all events, for a consumer that does not look at the first ones. */
  readonly restart?: () => Pull
}

export type Opening = Effect.Effect<OpenStream, LLMError>

/** Opens a stream whose resources the finalizers release. */
export type Open = (finalizers: Finalizers.Finalizers) => Opening

const OpenId: unique symbol = Symbol.for("effect-llm/Open")

interface WithOpen {
  readonly [OpenId]: Open
}

/** The pull of a stream that has ended. */
export const end: Pull = Exit.fail(Option.none())

/** All events of a stream. */
const allOf = (opened: OpenStream): Pull => {
  if (opened.restart !== undefined) return opened.restart()
  let first: Chunk.Chunk<ChatEvent> | undefined = opened.first
  return Effect.suspend(() => {
    if (first === undefined || Chunk.isEmpty(first)) return opened.pull
    const events = first
    first = undefined
    return Effect.succeed(events)
  })
}

/** A public stream that carries its `Open`. */
export const toStream = (open: Open): Stream.Stream<ChatEvent, LLMError> => {
  const pull = Effect.flatMap(Effect.scope, (scope) => {
    const finalizers = Finalizers.make()
    /** Reads the stream on when its consumer leaves, unless it has ended. */
    let rest: Effect.Effect<void> | undefined
    const opening = Effect.suspend(() => open(finalizers))
    return Effect.zipRight(
      Scope.addFinalizerExit(scope, (exit) => Effect.uninterruptible(rest ?? finalizers.close(exit))),
      Effect.match(opening, {
        onFailure: (error): Pull => Effect.fail(Option.some(error)),
        onSuccess: (opened): Pull => {
          const { readOn } = finalizers
          const events = allOf(opened)
          if (readOn === undefined) return events
          rest = readOn.fork(readRest(finalizers, readOn, opened.pull, deltaText))
          return Effect.tapErrorCause(events, (cause) =>
            Effect.sync(() => {
              if (!Cause.isInterruptedOnly(cause)) rest = undefined
            })
          )
        }
      })
    )
  })
  const annotation: WithOpen = { [OpenId]: open }
  return Object.assign(fromPull(pull), annotation)
}

/** Opens the stream of a request, whose attempts also notify the listeners. */
type OpenChat = (request: ChatRequest.Input, listeners: Listeners) => Open

const OpenChatId: unique symbol = Symbol.for("effect-llm/OpenChat")

interface WithOpenChat {
  readonly [OpenChatId]: OpenChat
}

/**
 * The `chatStream` of an `LLM` whose streams can be opened without a `Stream`. It hands the listeners down as an argument: to write them to
 * the context and to restore it takes longer than the work of most layers.
 */
export const toListeningChatStream = (open: OpenChat): Service["chatStream"] => {
  const annotation: WithOpenChat = { [OpenChatId]: open }
  return Object.assign((request: ChatRequest.Input) => toStream(open(request, noListeners)), annotation)
}

/** The same for an `LLM` that finds the listeners in its context. */
export const toChatStream = (open: (request: ChatRequest.Input) => Open): Service["chatStream"] =>
  toListeningChatStream((request, listeners) => inContext(open(request), listeners))

const inContext = (open: Open, listeners: Listeners): Open =>
  listeners.length === 0
    ? open
    : (finalizers) =>
        notifying(
          Effect.suspend(() => open(finalizers)),
          listeners
        )

const opensChats = (chatStream: Service["chatStream"]): chatStream is Service["chatStream"] & WithOpenChat =>
  Predicate.hasProperty(chatStream, OpenChatId)

/** The stream of an `LLM`, without a `Stream` where the `LLM` can open it so. */
export const openChat = (
  { chatStream }: Pick<Service, "chatStream">,
  request: ChatRequest.Input,
  listeners: Listeners = noListeners
): Open =>
  opensChats(chatStream)
    ? chatStream[OpenChatId](request, listeners)
    : inContext(fromStream(chatStream(request)), listeners)

const hasOpen = (stream: object): stream is WithOpen => Predicate.hasProperty(stream, OpenId)

const firstEvents = (pull: Pull): Effect.Effect<OpenStream, LLMError> =>
  Effect.matchEffect(pull, {
    onFailure: Option.match({
      onNone: () => Effect.succeed<OpenStream>({ first: Chunk.empty(), pull: end }),
      onSome: (error) => Effect.fail(error)
    }),
    onSuccess: (first) => (Chunk.isEmpty(first) ? firstEvents(pull) : Effect.succeed({ first, pull }))
  })

/** The `Open` of a stream: the one that it carries, else an effect that runs the stream up to its first events. */
export const fromStream = (stream: Stream.Stream<ChatEvent, LLMError>): Open =>
  hasOpen(stream)
    ? stream[OpenId]
    : (finalizers) => Finalizers.scopedBy(finalizers, Effect.flatMap(toPull(stream), firstEvents))

/** Changes or looks at the events of a stream, in plain code. */
export const mapEvents = (
  { first, forward, pull }: OpenStream,
  change: (events: Chunk.Chunk<ChatEvent>) => Chunk.Chunk<ChatEvent>
): OpenStream => ({
  first: change(first),
  pull: Effect.map(pull, change),
  ...(forward === undefined ? {} : { forward: (accept) => forward((events) => accept(change(events))) })
})

/** What a policy does with the events of a stream, and with its end. */
interface Watcher {
  /** Called with the events before the consumer gets them. An effect is run first. */
  readonly onEvents: (events: Chunk.Chunk<ChatEvent>) => Effect.Effect<void> | undefined
  /** The same for the end; `None` where nothing has failed. */
  readonly onEnd: (end: Option.Option<LLMError>) => Effect.Effect<void> | undefined
}

const watchedForward =
  (forward: Forward, onEvents: Watcher["onEvents"], failWith: (end: Option.Option<LLMError>) => Pull): Forward =>
  (accept) => {
    let pending: { readonly effect: Effect.Effect<void>; readonly events: Chunk.Chunk<ChatEvent> } | undefined
    const watchedAccept = (events: Chunk.Chunk<ChatEvent>): boolean => {
      const effect = onEvents(events)
      if (effect === undefined) return accept(events)
      // Stops for the effect, which runs in the fiber.
      pending = { effect, events }
      return false
    }
    const next: Effect.Effect<void, Option.Option<LLMError>> = Effect.matchEffect(forward(watchedAccept), {
      onFailure: failWith,
      onSuccess: () => {
        if (pending === undefined) return Effect.void
        const { effect, events } = pending
        pending = undefined
        return Effect.flatMap(effect, () => (accept(events) ? next : Effect.void))
      }
    })
    return next
  }

/** Watches the events and the end of a stream. */
export const watched = (
  { first, forward, pull }: OpenStream,
  { onEnd, onEvents }: Watcher
): Effect.Effect<OpenStream> => {
  const failWith = (end: Option.Option<LLMError>): Pull => {
    const effect = onEnd(end)
    const failed = Exit.fail(end)
    return effect === undefined ? failed : Effect.zipRight(effect, failed)
  }
  const pass = (events: Chunk.Chunk<ChatEvent>): Effect.Effect<Chunk.Chunk<ChatEvent>> => {
    const effect = onEvents(events)
    return effect === undefined ? Effect.succeed(events) : Effect.as(effect, events)
  }
  return Effect.map(pass(first), (first) => ({
    first,
    pull: Effect.matchEffect(pull, { onSuccess: pass, onFailure: failWith }),
    ...(forward === undefined ? {} : { forward: watchedForward(forward, onEvents, failWith) })
  }))
}

/** Adds earlier attempts to the `Start` event. */
export const withEarlierAttempts = (opened: OpenStream, earlier: ReadonlyArray<Attempt.Attempt>): OpenStream => ({
  first: Chunk.map(opened.first, (event) =>
    event._tag === "Start" ? { ...event, attempts: Attempt.concat(earlier, event.attempts) } : event
  ),
  pull: opened.pull
})
