/** Chat requests whose answer is streamed. */
import type { HttpClientError } from "@effect/platform"
import { Chunk, Effect, Option } from "effect"
import * as MonotonicClock from "../internal/clock.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import * as Events from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Call } from "../wire/providerClient.js"
import type { ClientWire } from "../wire/Wire.js"
import { isWhole } from "./answer.js"
import * as Collector from "./collector.js"
import { readWhole } from "./exchange.js"
import { decodingError } from "./failure.js"
import * as Finalizers from "./finalizers.js"
import type { Open, OpenStream, Pull } from "./openStream.js"
import { end } from "./openStream.js"
import { CallLimits } from "./limits.js"
import { WantsRawResponse } from "./passthrough.js"
import * as StreamReader from "./streamReader.js"
import { withinOr } from "./timeout.js"
import type { Exchange, Transport } from "./transport.js"
import { clientError, sendChat } from "./transport.js"
import { toPull } from "../internal/pull.js"

type Bytes = Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<HttpClientError.HttpClientError>>

const chunkOf = (events: ReadonlyArray<ChatEvent>): Chunk.Chunk<ChatEvent> => Chunk.unsafeFromArray(events)

/** Reads the events of one stream, one network chunk for each pull. */
const readEvents = ({ call, clock, target }: Exchange, reader: StreamReader.StreamReader, bytes: Bytes): Pull => {
  const emit = (events: ReadonlyArray<ChatEvent>): Pull =>
    events.length === 0 ? next() : Effect.succeed(chunkOf(events))

  const onChunk = (chunk: Chunk.Chunk<Uint8Array>): Pull => emit(reader.read(chunk))

  const onEnd = (failure: Option.Option<HttpClientError.HttpClientError>): Pull =>
    emit(reader.end(Option.isNone(failure) ? "end of body" : clientError(target, call, failure.value)))

  const read = Effect.matchEffect(bytes, { onFailure: onEnd, onSuccess: onChunk })

  const wait = <A, E>(reading: Effect.Effect<A, E>, until: number): Effect.Effect<Option.Option<A>, E> =>
    withinOr(Effect.asSome(reading), Math.max(0, until - MonotonicClock.wholeNow(clock)), () => Effect.succeedNone)

  /** Times only the reading. Decoding happens outside of the limit, so that no chunk is decoded twice. */
  const readUntil = (until: number): Pull =>
    Effect.matchEffect(wait(bytes, until), {
      onFailure: onEnd,
      onSuccess: Option.match({ onNone: () => emit(reader.end("time")), onSome: onChunk })
    })

  /** Reads on after a complete answer, so that a connection that ends soon can be reused. */
  const drain = (until: number): Pull =>
    Effect.matchEffect(wait(Effect.forever(bytes), until), { onSuccess: () => end, onFailure: () => end })

  const next = (): Pull => {
    const phase = reader.phase()
    switch (phase._tag) {
      case "reading":
        return phase.until === undefined ? read : readUntil(phase.until)
      case "closing":
        return drain(phase.until)
      case "ended":
        return end
      case "failed":
        return Effect.fail(Option.some(phase.error))
    }
  }
  return Effect.suspend(() => {
    reader.waits(MonotonicClock.wholeNow(clock))
    return next()
  })
}

const openWhole = (exchange: Exchange, wire: ClientWire): Effect.Effect<OpenStream, LLMError> =>
  Effect.map(readWhole(exchange, wire), (response) => ({ first: chunkOf(Events.fromResponse(response)), pull: end }))

const openFirst = (
  pull: Pull,
  exchange: Exchange,
  answer: Collector.AnswerSoFar
): Effect.Effect<OpenStream, LLMError> =>
  Effect.matchEffect(pull, {
    onFailure: (failure) =>
      Effect.fail(Option.getOrElse(failure, () => decodingError(exchange, { _tag: "Truncated" }))),
    onSuccess: (first) => Effect.succeed({ first, pull, answer })
  })

/** Opens a stream and waits for its first events, so that all earlier problems are failures of the opening. */
export const chatStream = (transport: Transport, wire: ClientWire, request: ChatRequest, call: Call): Open => {
  const opening = Effect.flatMap(sendChat(transport, wire, request, call, true), (exchange) => {
    if (isWhole(exchange)) return openWhole(exchange, wire)
    return Effect.flatMap(WantsRawResponse, (rawProtocol) =>
      Effect.flatMap(CallLimits, (limits) => {
        const collector = Collector.make()
        const reader = StreamReader.make(exchange, {
          wire,
          collector,
          keepBytes: rawProtocol === wire.name,
          limits
        })
        return Effect.flatMap(toPull(exchange.response.stream), (bytes) =>
          openFirst(readEvents(exchange, reader, bytes), exchange, collector)
        )
      })
    )
  })
  return (finalizers) => Finalizers.scopedBy(finalizers, opening)
}
