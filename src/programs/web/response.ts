/** Streams as web responses. */
import { Cause, Chunk, Effect, Exit, Option, Scope, Stream } from "effect"
import * as Errors from "./errors.js"
import { bodies } from "./formats.js"
import type { Encoder, Event, Options, WebError } from "./model.js"
import { toReadable } from "./readable.js"
import * as Pull from "../../internal/pull.js"

/** Ends when the request is aborted. */
const aborted = (signal: AbortSignal): Effect.Effect<void> =>
  Effect.async((resume) => {
    const onAbort = (): void => resume(Effect.void)
    if (signal.aborted) return onAbort()
    signal.addEventListener("abort", onAbort, { once: true })
    return Effect.sync(() => signal.removeEventListener("abort", onAbort))
  })

const untilAborted =
  (signal: AbortSignal | undefined) =>
  <A, E, R>(stream: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
    signal === undefined ? stream : Stream.interruptWhen(stream, aborted(signal))

const utf8 = new TextEncoder()

/** The bytes of a stream. A failure is logged and becomes the end of its form, or breaks the body off. */
const bytesOf = <E, R>(
  stream: Stream.Stream<Event, E, R>,
  { end, fail, write }: Encoder,
  onError: (error: E) => WebError
): Stream.Stream<Uint8Array, E, R> =>
  stream.pipe(
    Stream.mapChunks((events) => Chunk.of(Chunk.toReadonlyArray(events).map(write).join(""))),
    Stream.concat(Stream.succeed(end)),
    Stream.catchAll((error) =>
      Stream.unwrap(
        Effect.map(Effect.logError("A stream to the web failed.", Cause.fail(error)), () => {
          const text = fail(onError(error))
          return text === undefined ? Stream.fail(error) : Stream.succeed(text)
        })
      )
    ),
    Stream.filter((text) => text !== ""),
    Stream.map((text) => utf8.encode(text))
  )

export const toReadableStream = <E, R>(
  stream: Stream.Stream<Event, E, R>,
  { format = "text", onError = Errors.webError, signal }: Omit<Options<E>, "headers"> = {}
): Effect.Effect<ReadableStream<Uint8Array>, never, R> =>
  Effect.suspend(() => toReadable(bytesOf(untilAborted(signal)(stream), bodies[format].makeEncoder(), onError), signal))

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

interface Opened<E, R> {
  readonly stream: Stream.Stream<Event, E, R>
  /** Ends the stream, whether it was read any further or not. */
  readonly close: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
}

/** A stream whose first events were read. Must run in an uninterruptible region, of which the reading is restored. */
const opened = <E, R>(stream: Stream.Stream<Event, E, R>, restore: Restore): Effect.Effect<Opened<E, R>, E, R> =>
  Effect.flatMap(Scope.make(), (scope) => {
    const first = Effect.flatMap(Scope.extend(Pull.toPull(stream), scope), (pull) =>
      Effect.map(
        Effect.catchAll(pull, (end) =>
          Option.match(end, {
            onNone: () => Effect.succeed(Chunk.empty<Event>()),
            onSome: (error) => Effect.fail(error)
          })
        ),
        (chunk) => ({ chunk, pull })
      )
    )
    return Effect.matchCauseEffect(restore(first), {
      onFailure: (cause) => Effect.zipRight(Scope.close(scope, Exit.failCause(cause)), Effect.failCause(cause)),
      onSuccess: ({ chunk, pull }) =>
        Effect.succeed({
          stream: Stream.concat(Stream.fromChunk(chunk), Stream.repeatEffectChunkOption(pull)),
          close: (exit) => Scope.close(scope, exit)
        })
    })
  })

const errorResponse = ({ message, retryAfter, status, type }: WebError): Response =>
  Response.json(
    { error: { type, message } },
    { status, headers: retryAfter === undefined ? {} : { "retry-after": String(retryAfter) } }
  )

export const toResponse = <E, R>(
  stream: Stream.Stream<Event, E, R>,
  options: Options<E> = {}
): Effect.Effect<Response, never, R> => {
  const { format = "text", headers, onError = Errors.webError, signal } = options
  const body = bodies[format]
  return Effect.uninterruptibleMask((restore) =>
    Effect.matchEffect(opened(untilAborted(signal)(stream), restore), {
      onFailure: (error) =>
        Effect.as(
          Effect.logError("A stream to the web has not begun.", Cause.fail(error)),
          errorResponse(onError(error))
        ),
      onSuccess: (rest) => {
        const readable = Effect.suspend(() => {
          const bytes = bytesOf(rest.stream, body.makeEncoder(), onError)
          // Around the whole stream, so that it also ends one that is left before it is read.
          return toReadable(Stream.ensuringWith(bytes, rest.close), signal)
        })
        const response = Effect.map(
          readable,
          (bytes) => new Response(bytes, { headers: { "content-type": body.contentType, ...body.headers, ...headers } })
        )
        // The stream is run in the region in which it is made a readable one.
        return Effect.onInterrupt(restore(response), () => rest.close(Exit.void))
      }
    })
  )
}
