/**
 * Streamed responses. The fiber of the request reads the provider's next events after the client has taken the previous ones, so a slow
 * client slows its provider down and nothing is buffered here.
 */
import { HttpServerResponse } from "@effect/platform"
import type { Chunk, Stream } from "effect"
import { Cause, Context, Duration, Effect, Exit, Option } from "effect"
import { CurrentWatch } from "../../call/attemptWatch.js"
import { deltaText } from "../../call/deltaText.js"
import * as Finalizers from "../../call/finalizers.js"
import { readRest } from "../../call/readRest.js"
import { longestTimer } from "../../internal/clock.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Framing from "../../wire/framing.js"
import type { Frame } from "../../wire/Wire.js"
import * as HttpErrors from "../http/error.js"
import type { ResponseHeaders } from "../http/exchange.js"
import type { HotCall } from "../http/hotRoute.js"
import { logDefect } from "../http/hotRoute.js"
import { isInterrupted } from "../http/platform.js"

/** A stream with its first events. */
export interface Opened<A> {
  readonly first: Chunk.Chunk<A>
  /** The next events. Fails with `None` at the end. */
  readonly pull: Effect.Effect<Chunk.Chunk<A>, Option.Option<LLMError>>
  /** The same without an effect for each chunk: see `Forward` of `call/openStream.ts`. */
  readonly forward?: (accept: (events: Chunk.Chunk<A>) => boolean) => Effect.Effect<void, Option.Option<LLMError>>
}

/** Encodes one stream as text, or as the bytes of the provider. It keeps the state of that stream, so there is one for each. */
export interface StreamEncoder<A> {
  readonly contentType: string
  readonly write: (events: Chunk.Chunk<A>) => string | Uint8Array
  /** The generated text of an event. */
  readonly textOf: (event: A) => string
  /** The end of a stream that fails; undefined where the format has none, and the connection is closed instead. */
  readonly fail: (error: HttpErrors.HttpError) => string | Uint8Array | undefined
  /** Text that keeps the connection alive before the first event; absent where the format has none, and headers wait. */
  readonly comment?: string
}

/** What every encoder of the events of one answer shares. */
export const ofChat = { textOf: deltaText }

/** What every encoder of server-sent events shares. The comment keeps clients and proxies from timing out and is not an event. */
export const sse = { contentType: "text/event-stream; charset=utf-8", comment: ": keep-alive\n\n" }

export const renderFrames = (frames: ReadonlyArray<Frame>): string => {
  let text = ""
  for (const frame of frames) text += Framing.render("sse", frame)
  return text
}

/** Keeps proxies from caching, buffering (nginx: `X-Accel-Buffering`) and compressing (`no-transform`) the stream. */
const unbuffered = { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no" }

/** A streamed response of the platform. */
export const response = (body: Stream.Stream<Uint8Array>, contentType: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.stream(body, { contentType, headers: unbuffered })

const errorOf = (cause: Cause.Cause<LLMError>): HttpErrors.HttpError =>
  Option.match(Cause.failureOption(cause), { onNone: () => HttpErrors.internal, onSome: HttpErrors.fromLLMError })

/** The cause of a failed pull, which is not the end of the stream. */
const causeOf = (cause: Cause.Cause<Option.Option<LLMError>>): Cause.Cause<LLMError> =>
  Cause.flatMap(cause, Option.match({ onNone: () => Cause.empty, onSome: Cause.fail }))

/**
 * Opens a stream and sends its events. Fails with the call where it fails within `keepAlive`. After that the headers are sent, comments
 * follow until the first event, and a failure ends the stream.
 */
export const respond = <A>(
  { account, inBackground, isExpired, response }: HotCall,
  open: (finalizers: Finalizers.Finalizers) => Effect.Effect<Opened<A>, LLMError>,
  encoder: StreamEncoder<A>,
  keepAlive: Duration.Duration,
  headers: () => ResponseHeaders
): Effect.Effect<void, HttpErrors.HttpError> => {
  const { comment, contentType, fail, textOf, write } = encoder
  let timer: ReturnType<typeof setInterval> | undefined
  let hasBegun = false
  /** Whether a limit of the call has expired while the client did not read: the connection is closed at the end of the call. */
  let hasStalled = false
  /** The next events, after the first ones have come. */
  let rest: Opened<A>["pull"] | undefined

  const begin = (): void => {
    if (hasBegun) return
    hasBegun = true
    response.begin({ "content-type": contentType, ...unbuffered, ...headers() })
  }

  /** Sends events. False when the next ones should wait until the client has taken these. */
  const send = (events: Chunk.Chunk<A>): boolean => {
    if (hasStalled) return true
    const piece = write(events)
    return piece.length === 0 || response.write(piece)
  }

  /** Waits until the client has taken what was sent, or a limit of the call has expired: the next events are its error. */
  const drained = Effect.withFiberRuntime<void>((fiber) => {
    const watch = Context.get(fiber.currentContext, CurrentWatch)
    if (watch !== undefined) {
      watch.onExpire = () => {
        if (hasStalled || !response.isWaiting()) return
        hasStalled = true
        response.stopWaiting()
      }
    }
    return response.drained
  })

  const endWith = (cause: Cause.Cause<Option.Option<LLMError>>): Effect.Effect<void, LLMError> => {
    const failure = Cause.failureOption(cause)
    return Option.isSome(failure) && Option.isNone(failure.value) ? Effect.void : Effect.failCause(causeOf(cause))
  }

  const pulledFrom = (pull: Opened<A>["pull"]): Effect.Effect<void, LLMError> => {
    const next: Effect.Effect<void, LLMError> = Effect.matchCauseEffect(pull, {
      onSuccess: (events) => (send(events) ? next : Effect.zipRight(drained, next)),
      onFailure: endWith
    })
    return next
  }

  const forwardedFrom = (forward: NonNullable<Opened<A>["forward"]>): Effect.Effect<void, LLMError> => {
    const next: Effect.Effect<void, LLMError> = Effect.matchCauseEffect(forward(send), {
      onSuccess: () => Effect.zipRight(drained, next),
      onFailure: endWith
    })
    return next
  }

  const finalizers = Finalizers.make()
  const streamed = Effect.flatMap(
    Effect.suspend(() => open(finalizers)),
    ({ first, forward, pull }) => {
      clearInterval(timer)
      account.release()
      rest = pull
      begin()
      const sending = forward === undefined ? pulledFrom(pull) : forwardedFrom(forward)
      return send(first) ? sending : Effect.zipRight(drained, sending)
    }
  )

  /** Ends the stream with an error, which the client reads in the stream: its status was sent long ago. */
  const failWith = (cause: Cause.Cause<LLMError>, hasLeft: boolean): Effect.Effect<void> => {
    // The client disconnected, so there is no reader for an error.
    if (hasLeft && Cause.isInterruptedOnly(cause) && !isExpired()) return Effect.void
    const error = isExpired() ? HttpErrors.shuttingDown : errorOf(cause)
    // A logger of the program that throws must not keep the client from the error.
    return Effect.ensuring(
      Effect.zipRight(logDefect("unexpected error in a stream", cause), HttpErrors.record(error)),
      Effect.sync(() => {
        const text = hasStalled ? undefined : fail(error)
        if (text === undefined) return response.destroy()
        if (text !== "") response.write(text)
        response.end()
      })
    )
  }

  /** Releases the stream. When its client has left, the rest can be read before. */
  const closeWith = (cause: Cause.Cause<LLMError>): Effect.Effect<void> => {
    const { readOn } = finalizers
    return rest === undefined || readOn === undefined || isExpired() || !Cause.isInterruptedOnly(cause)
      ? finalizers.close(Exit.failCause(cause))
      : inBackground(readRest(finalizers, readOn, rest, textOf))
  }

  return Effect.uninterruptibleMask((restore) => {
    if (comment !== undefined && Duration.toMillis(keepAlive) <= longestTimer) {
      timer = setInterval(() => {
        begin()
        response.write(comment)
      }, Duration.toMillis(keepAlive))
    }
    return Effect.matchCauseEffect(restore(streamed), {
      onSuccess: () => {
        if (hasStalled) response.destroy()
        else response.end()
        return finalizers.close(Exit.void)
      },
      onFailure: (cause) => {
        clearInterval(timer)
        const closed = Effect.suspend(() => closeWith(cause))
        return hasBegun
          ? Effect.ensuring(
              Effect.withFiberRuntime<void>((fiber) => failWith(cause, isInterrupted(fiber, cause))),
              closed
            )
          : Effect.zipRight(closed, Effect.failCause(Cause.map(cause, HttpErrors.fromLLMError)))
      }
    })
  })
}
