/**
 * The body of a streamed response. It is pulled: the provider's next events are read after the client has taken the previous
 * ones, so a slow client slows its provider down and nothing is buffered here.
 */
import { HttpServerResponse } from "@effect/platform"
import type { Scope } from "effect"
import { Cause, Chunk, Duration, Effect, Exit, FiberRef, Option, Stream } from "effect"
import { acquireRelease } from "../../internal/scopedRelease.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import * as Background from "../../call/backgroundStream.js"
import type { BackgroundStream } from "../../call/backgroundStream.js"
import { end as endOfStream } from "../../call/openStream.js"
import type { Open } from "../../call/openStream.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Framing from "../../wire/framing.js"
import type { Frame } from "../../wire/Wire.js"
import * as HttpErrors from "../http/error.js"

/** The events of a stream, read from the provider on demand. */
export interface Source<A> {
  /** The first events or the failure to open the stream; undefined when they take longer than `millis`. */
  readonly awaitFirst: (millis: number) => Effect.Effect<Exit.Exit<Chunk.Chunk<A>, LLMError> | undefined>
  /** The next events. Fails with `None` at the end. */
  readonly pull: Effect.Effect<Chunk.Chunk<A>, Option.Option<LLMError>>
  /** Whether the gateway closed the stream at its shutdown deadline. */
  readonly isAborted: () => boolean
}

/** Encodes one stream as text, or as the bytes of the provider. It keeps the state of that stream, so there is one for each. */
export interface StreamEncoder<A> {
  readonly contentType: string
  readonly write: (events: Chunk.Chunk<A>) => string | Uint8Array
  /** The end of a stream that fails. */
  readonly fail: (error: HttpErrors.HttpError) => Effect.Effect<string | Uint8Array>
  /** Text that keeps the connection alive before the first event; absent where the format has none, and headers wait. */
  readonly comment?: string
}

/** What every encoder of server-sent events shares. The comment keeps clients and proxies from timing out and is not an event. */
export const sse = { contentType: "text/event-stream; charset=utf-8", comment: ": keep-alive\n\n" }

export const renderFrames = (frames: ReadonlyArray<Frame>): string => {
  let text = ""
  for (const frame of frames) text += Framing.render("sse", frame)
  return text
}

/** Opens a stream in the background, and closes it with the scope whether it is open by then or not. */
export const openInBackground = (open: Open): Effect.Effect<BackgroundStream, never, Scope.Scope> =>
  acquireRelease(Background.begin(open), ({ close }) => close)

/** The events of a stream that is opened in the background. */
export const sourceOf = (opening: BackgroundStream, isAborted: () => boolean): Source<ChatEvent> => {
  let pull = endOfStream
  return {
    awaitFirst: (millis) =>
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
    isAborted
  }
}

/** The error that ends a stream: its status was sent long ago, so the client reads it in the stream. */
const errorOf = (source: Pick<Source<unknown>, "isAborted">, cause: Cause.Cause<LLMError>): HttpErrors.HttpError => {
  if (source.isAborted()) return HttpErrors.shuttingDown
  const failure = Cause.failureOption(cause)
  return Option.isSome(failure) ? HttpErrors.fromLLMError(failure.value) : HttpErrors.internal
}

const recordFailure = (error: HttpErrors.HttpError, cause: Cause.Cause<LLMError>): Effect.Effect<void> =>
  Option.match(Cause.dieOption(cause), {
    onNone: () => HttpErrors.record(error),
    onSome: (defect) => Effect.logError("unexpected error in a stream", defect)
  })

const textEncoder = new TextEncoder()

const bytesOf = (written: string | Uint8Array): Chunk.Chunk<Uint8Array> =>
  written.length === 0 ? Chunk.empty() : Chunk.of(typeof written === "string" ? textEncoder.encode(written) : written)

type Bytes = Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<never>>

const end: Bytes = Effect.fail(Option.none())

/** The bytes of a stream; `first` is undefined while its first events are awaited. */
const encodedBody = <A>(
  source: Source<A>,
  { comment = "", fail, write }: StreamEncoder<A>,
  first: Chunk.Chunk<A> | undefined,
  keepAlive: number,
  withAnnotations: (log: Effect.Effect<void>) => Effect.Effect<void>
): Stream.Stream<Uint8Array> => {
  let next: Bytes

  const failWith = (cause: Cause.Cause<LLMError>): Bytes => {
    next = end
    const error = errorOf(source, cause)
    return Effect.zipRight(withAnnotations(recordFailure(error, cause)), Effect.map(fail(error), bytesOf))
  }

  const encode = (events: Chunk.Chunk<A>): Bytes => {
    let written: string | Uint8Array
    try {
      written = write(events)
    } catch (defect) {
      // A defect of the encoder ends the stream with an error, as any other failure does.
      return failWith(Cause.die(defect))
    }
    next = pullNext
    return written.length === 0 ? pullNext : Effect.succeed(bytesOf(written))
  }

  const pullNext: Bytes = Effect.suspend(() =>
    source.isAborted()
      ? failWith(Cause.empty)
      : Effect.matchCauseEffect(source.pull, {
          onSuccess: encode,
          onFailure: (cause): Bytes => {
            const failure = Cause.failureOption(cause)
            if (Option.isSome(failure) && Option.isNone(failure.value) && !source.isAborted()) return end
            // The client disconnected, so there is no reader for an error.
            if (Cause.isInterruptedOnly(cause) && !source.isAborted()) return Effect.interrupt
            return failWith(
              Cause.flatMap(cause, (error) => Option.match(error, { onNone: () => Cause.empty, onSome: Cause.fail }))
            )
          }
        })
  )

  const awaitFirst: Bytes = Effect.flatMap(source.awaitFirst(keepAlive), (exit) =>
    exit === undefined ? Effect.succeed(bytesOf(comment)) : Exit.match(exit, { onSuccess: encode, onFailure: failWith })
  )

  next = first === undefined ? awaitFirst : Effect.suspend(() => encode(first))
  return Stream.repeatEffectChunkOption(Effect.suspend(() => next))
}

/** Keeps proxies from caching, buffering (nginx: `X-Accel-Buffering`) and compressing (`no-transform`) the stream. */
const unbuffered = { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no" }

export const response = (
  body: Stream.Stream<Uint8Array>,
  contentType: string,
  headers: Readonly<Record<string, string>> = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.stream(body, { contentType, headers: { ...unbuffered, ...headers } })

/**
 * Fails with the call where it fails within `keepAlive`. After that the headers are sent, comments follow until the first event,
 * and a failure ends the stream. Failures in the stream are logged with the annotations of the request.
 */
export const respond = <A>(
  source: Source<A>,
  encoder: StreamEncoder<A>,
  keepAlive: Duration.Duration,
  headers: Readonly<Record<string, string>>
): Effect.Effect<HttpServerResponse.HttpServerResponse, HttpErrors.HttpError> => {
  const millis = Duration.toMillis(keepAlive)
  return Effect.flatMap(source.awaitFirst(encoder.comment === undefined ? Infinity : millis), (exit) => {
    if (exit !== undefined && Exit.isFailure(exit)) return Effect.fail(errorOf(source, exit.cause))
    return Effect.map(Effect.logAnnotations, (annotations) =>
      response(
        encodedBody(source, encoder, exit?.value, millis, (log) =>
          Effect.locally(log, FiberRef.currentLogAnnotations, annotations)
        ),
        encoder.contentType,
        headers
      )
    )
  })
}
