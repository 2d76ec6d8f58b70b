/**
 * The body of a streamed answer. It is pulled: nothing is read from the provider before the client has taken what came before,
 * so that a slow client slows its provider down and nothing is gathered here.
 */
import { HttpServerResponse } from "@effect/platform"
import type { Duration } from "effect"
import { Cause, Chunk, Effect, Exit, Option, Stream } from "effect"
import type { LLMError } from "../LLMError.js"
import * as Framing from "../wire/Framing.js"
import type { Frame } from "../wire/Wire.js"
import * as Problem from "./problem.js"

/** What is said to the client, as it is read from the provider. */
export interface Source<A> {
  /** How the beginning went; waits for it. */
  readonly await: Effect.Effect<Exit.Exit<Chunk.Chunk<A>, LLMError>>
  /** What follows. Fails with `None` at the end. */
  readonly pull: Effect.Effect<Chunk.Chunk<A>, Option.Option<LLMError>>
  /** Whether the gateway has ended it, by closing what it is read from. */
  readonly isCut: () => boolean
}

/** How it is written. */
export interface Writer<A> {
  readonly push: (event: A) => ReadonlyArray<Frame>
  readonly fail: (problem: Problem.Problem) => ReadonlyArray<Frame>
}

/** A comment: clients and proxies see life, and no event. */
const comment = ": keep-alive\n\n"

const encoder = new TextEncoder()

const bytesOf = (frames: ReadonlyArray<Frame>): Uint8Array => {
  let text = ""
  for (const frame of frames) text += Framing.render("sse", frame)
  return encoder.encode(text)
}

type Bytes = Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<never>>

const end: Bytes = Effect.fail(Option.none())

/** What a failure in the middle says; the client sees it in the stream, since its status was sent long ago. */
export const problemOf = (source: Pick<Source<unknown>, "isCut">, cause: Cause.Cause<LLMError>): Problem.Problem => {
  if (source.isCut()) return Problem.shuttingDown
  const failure = Cause.failureOption(cause)
  return Option.isSome(failure) ? Problem.ofError(failure.value) : Problem.internal
}

const logged = (cause: Cause.Cause<LLMError>): Effect.Effect<void> =>
  Cause.isInterruptedOnly(cause)
    ? Effect.void
    : Option.isSome(Cause.failureOption(cause))
      ? Effect.logDebug("a stream failed", cause)
      : Effect.logError("a stream died", cause)

/** The bytes of a stream whose beginning may still be awaited. */
export const bytes = <A>(
  source: Source<A>,
  writer: Writer<A>,
  keepAlive: Duration.Duration
): Stream.Stream<Uint8Array> => {
  let next: Bytes

  const failed = (cause: Cause.Cause<LLMError>): Bytes => {
    next = end
    return Effect.as(logged(cause), Chunk.of(bytesOf(writer.fail(problemOf(source, cause)))))
  }

  const given = (events: Chunk.Chunk<A>): Bytes => {
    const frames: Array<Frame> = []
    for (const event of events) for (const frame of writer.push(event)) frames.push(frame)
    next = pulling
    return frames.length === 0 ? pulling : Effect.succeed(Chunk.of(bytesOf(frames)))
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

  const beginning: Bytes = Effect.flatMap(Effect.timeoutOption(source.await, keepAlive), (exit) => {
    if (Option.isNone(exit)) return Effect.succeed(Chunk.of(encoder.encode(comment)))
    return Exit.match(exit.value, { onSuccess: given, onFailure: failed })
  })

  next = beginning
  return Stream.repeatEffectChunkOption(Effect.suspend(() => next))
}

/** No cache keeps it, and no proxy gathers it (nginx: `X-Accel-Buffering`) or packs it (`no-transform`). */
const headers = {
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
  connection: "keep-alive"
}

export const response = (
  body: Stream.Stream<Uint8Array>,
  further: Readonly<Record<string, string>> = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.stream(body, {
    contentType: "text/event-stream; charset=utf-8",
    headers: { ...headers, ...further }
  })
