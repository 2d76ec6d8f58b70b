/** Streams as web responses. */
import { Cause, Chunk, Effect, Exit, Option, Scope, Stream } from "effect"
import * as Errors from "./errors.js"
import { bodies } from "./formats.js"
import type { Encoder, Event, Options, WebError } from "./model.js"

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
  Effect.suspend(() =>
    Stream.toReadableStreamEffect(bytesOf(untilAborted(signal)(stream), bodies[format].makeEncoder(), onError))
  )

/** A stream whose first events were read, with the scope that its end closes. */
const opened = <E, R>(stream: Stream.Stream<Event, E, R>): Effect.Effect<Stream.Stream<Event, E, R>, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Scope.make(), (scope) => {
      const first = Effect.flatMap(Scope.extend(Stream.toPull(stream), scope), (pull) =>
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
          Effect.succeed(
            Stream.concat(Stream.fromChunk(chunk), Stream.repeatEffectChunkOption(pull)).pipe(
              Stream.ensuringWith((exit) => Scope.close(scope, exit))
            )
          )
      })
    })
  )

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
  return Effect.matchEffect(opened(untilAborted(signal)(stream)), {
    onFailure: (error) =>
      Effect.as(
        Effect.logError("A stream to the web has not begun.", Cause.fail(error)),
        errorResponse(onError(error))
      ),
    onSuccess: (rest) =>
      Effect.map(
        Effect.suspend(() => Stream.toReadableStreamEffect(bytesOf(rest, body.makeEncoder(), onError))),
        (readable) =>
          new Response(readable, { headers: { "content-type": body.contentType, ...body.headers, ...headers } })
      )
  })
}
