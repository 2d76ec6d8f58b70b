/**
 * The body of a streamed answer. It is pulled: nothing is read from the provider before the client has taken what came before,
 * so that a slow client slows its provider down and nothing is gathered here.
 */
import { HttpServerResponse } from "@effect/platform"
import type { Scope } from "effect"
import { Cause, Chunk, Duration, Effect, Exit, FiberRef, Option, Stream } from "effect"
import { acquireRelease } from "../../internal/scopedRelease.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import * as Background from "../../call/backgroundStream.js"
import type { BackgroundStream } from "../../call/backgroundStream.js"
import { end as ended } from "../../call/openStream.js"
import type { Open } from "../../call/openStream.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Framing from "../../wire/Framing.js"
import type { Frame } from "../../wire/Wire.js"
import * as Problem from "../http/error.js"

/** What is said to the client, as it is read from the provider. */
export interface Source<A> {
  /** How the beginning went; undefined where it takes longer than so many milliseconds. */
  readonly begun: (millis: number) => Effect.Effect<Exit.Exit<Chunk.Chunk<A>, LLMError> | undefined>
  /** What follows. Fails with `None` at the end. */
  readonly pull: Effect.Effect<Chunk.Chunk<A>, Option.Option<LLMError>>
  /** Whether the gateway has ended it, by closing what it is read from. */
  readonly isCut: () => boolean
}

/** How a stream is written. There is one for each. */
export interface Manner<A> {
  readonly contentType: string
  readonly write: (events: Chunk.Chunk<A>) => string
  /** The last words of a stream that fails. */
  readonly fail: (problem: Problem.Problem) => Effect.Effect<string>
  /** What is said while the beginning is awaited; absent where nothing can be, and headers wait for it. */
  readonly comment?: string
}

/** The manner of server-sent events. A comment shows life to clients and proxies, and is no event. */
export const sse = { contentType: "text/event-stream; charset=utf-8", comment: ": keep-alive\n\n" }

export const rendered = (frames: ReadonlyArray<Frame>): string => {
  let text = ""
  for (const frame of frames) text += Framing.render("sse", frame)
  return text
}

/** Begins to open a stream, to be closed with the scope whether it is open by then or not. */
export const begin = (open: Open): Effect.Effect<BackgroundStream, never, Scope.Scope> =>
  acquireRelease(Background.begin(open), ({ close }) => close)

/** What is told of a stream that is opened and read in the background. */
export const sourceOf = (opening: BackgroundStream, isCut: () => boolean): Source<ChatEvent> => {
  let pull = ended
  return {
    begun: (millis) =>
      Effect.map(
        opening.begun(millis),
        (exit) =>
          exit &&
          Exit.map(exit, (opened) => {
            pull = opened.pull
            return opened.first
          })
      ),
    pull: Effect.suspend(() => pull),
    isCut
  }
}

/** What a failure in the middle says; the client sees it in the stream, since its status was sent long ago. */
const problemOf = (source: Pick<Source<unknown>, "isCut">, cause: Cause.Cause<LLMError>): Problem.Problem => {
  if (source.isCut()) return Problem.shuttingDown
  const failure = Cause.failureOption(cause)
  return Option.isSome(failure) ? Problem.ofError(failure.value) : Problem.internal
}

const logged = (problem: Problem.Problem, cause: Cause.Cause<LLMError>): Effect.Effect<void> =>
  Option.match(Cause.dieOption(cause), {
    onNone: () => Problem.logged(problem),
    onSome: (defect) => Effect.logError("a stream died", defect)
  })

const encoder = new TextEncoder()

const bytesOf = (text: string): Chunk.Chunk<Uint8Array> =>
  text === "" ? Chunk.empty() : Chunk.of(encoder.encode(text))

type Bytes = Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<never>>

const end: Bytes = Effect.fail(Option.none())

/** The bytes of a stream of which the first events are there, or are still awaited. */
const written = <A>(
  source: Source<A>,
  { comment = "", fail, write }: Manner<A>,
  begun: Chunk.Chunk<A> | undefined,
  keepAlive: number,
  annotated: (log: Effect.Effect<void>) => Effect.Effect<void>
): Stream.Stream<Uint8Array> => {
  let next: Bytes

  const failed = (cause: Cause.Cause<LLMError>): Bytes => {
    next = end
    const problem = problemOf(source, cause)
    return Effect.zipRight(annotated(logged(problem, cause)), Effect.map(fail(problem), bytesOf))
  }

  const given = (events: Chunk.Chunk<A>): Bytes => {
    let text: string
    try {
      text = write(events)
    } catch (defect) {
      // The client is told, as of any other failure.
      return failed(Cause.die(defect))
    }
    next = pulling
    return text === "" ? pulling : Effect.succeed(bytesOf(text))
  }

  const pulling: Bytes = Effect.suspend(() =>
    source.isCut()
      ? failed(Cause.empty)
      : Effect.matchCauseEffect(source.pull, {
          onSuccess: given,
          onFailure: (cause): Bytes => {
            const failure = Cause.failureOption(cause)
            if (Option.isSome(failure) && Option.isNone(failure.value) && !source.isCut()) return end
            // Our own client has left: there is nobody to tell.
            if (Cause.isInterruptedOnly(cause) && !source.isCut()) return Effect.interrupt
            return failed(
              Cause.flatMap(cause, (error) => Option.match(error, { onNone: () => Cause.empty, onSome: Cause.fail }))
            )
          }
        })
  )

  const beginning: Bytes = Effect.flatMap(source.begun(keepAlive), (exit) =>
    exit === undefined ? Effect.succeed(bytesOf(comment)) : Exit.match(exit, { onSuccess: given, onFailure: failed })
  )

  next = begun === undefined ? beginning : Effect.suspend(() => given(begun))
  return Stream.repeatEffectChunkOption(Effect.suspend(() => next))
}

/** No cache keeps it, and no proxy gathers it (nginx: `X-Accel-Buffering`) or packs it (`no-transform`). */
const unbuffered = { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no" }

export const response = (
  body: Stream.Stream<Uint8Array>,
  contentType: string,
  headers: Readonly<Record<string, string>> = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.stream(body, { contentType, headers: { ...unbuffered, ...headers } })

/**
 * A call that fails soon is told by its status. One that takes longer than `keepAlive` has its headers sent, lives on comments,
 * and tells of a failure in its stream. What goes wrong in it is logged as of the request it is for.
 */
export const respond = <A>(
  source: Source<A>,
  manner: Manner<A>,
  keepAlive: Duration.Duration,
  headers: Readonly<Record<string, string>>
): Effect.Effect<HttpServerResponse.HttpServerResponse, Problem.Problem> => {
  const millis = Duration.toMillis(keepAlive)
  return Effect.flatMap(source.begun(manner.comment === undefined ? Infinity : millis), (exit) => {
    if (exit !== undefined && Exit.isFailure(exit)) return Effect.fail(problemOf(source, exit.cause))
    return Effect.map(Effect.logAnnotations, (annotations) =>
      response(
        written(source, manner, exit?.value, millis, (log) =>
          Effect.locally(log, FiberRef.currentLogAnnotations, annotations)
        ),
        manner.contentType,
        headers
      )
    )
  })
}
