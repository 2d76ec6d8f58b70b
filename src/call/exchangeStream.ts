/** Chat requests whose answer is streamed. */
import { Chunk, Effect, Either, Option, Stream } from "effect"
import type { ChatRequest, PartialResponse } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import * as Events from "../vocabulary/ChatEvent.js"
import { addTo, collector } from "../vocabulary/chatEvent/collected.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { StreamInterruptedError } from "../vocabulary/LLMError.js"
import type { Call } from "../wire/providerClient.js"
import * as Framing from "../wire/framing.js"
import type { Frame, ClientWire, WireEvent, WireFailure } from "../wire/Wire.js"
import { malformed, usageOf } from "../wire/Wire.js"
import { parseJson } from "../wire/json.js"
import { parseWhole, readWhole } from "./exchange.js"
import type { Open, OpenStream, Pull } from "./openStream.js"
import { end } from "./openStream.js"
import type { Limits } from "./limits.js"
import { CallLimits } from "./limits.js"
import { withRawFrames, WantsRawResponse } from "./passthrough.js"
import { withinOr } from "./timeout.js"
import type { Exchange, Transport } from "./transport.js"
import { sendStream, connectionError, decodingError } from "./transport.js"

/** How long a stream waits for the usage after the finish signal, which some providers never send, in milliseconds. */
const usageGrace = 1000

/** How long a stream waits for the end of the connection after its last event, so that it can be reused, in milliseconds. */
const closingGrace = 100

/** The beginnings of an event-stream line. https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream */
const sseFields = ["data:", "event:", "id:", "retry:", ":"]

/** Whether a text without a whole frame is the beginning of one, and not a page or a message. */
const isFramePrefix = (framing: ClientWire["framing"], text: string): boolean => {
  const prefix = text.replace(/^\uFEFF/, "").trimStart()
  return framing === "ndjson"
    ? prefix === "" || prefix.startsWith("{")
    : sseFields.some((field) => prefix.startsWith(field) || field.startsWith(prefix))
}

/** Whether the event is output of the model. A `ToolCallEnd` is none: some wires emit it at the finish signal. */
const isOutput = ({ _tag }: WireEvent): boolean => _tag !== "Finish" && _tag !== "ToolCallEnd"

/** Whether the end of the stream cut the frame's JSON off. */
const isCutOff = ({ data }: Frame): boolean => /^\s*[[{]/.test(data) && parseJson(data) === undefined

/** Reads the events of one stream, one network chunk for each pull; `keepFrames` adds the frames that they were read from. */
const readEvents = (
  exchange: Exchange,
  wire: ClientWire,
  bytes: Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<LLMError>>,
  keepFrames: boolean,
  limits: Limits
): Pull => {
  const { call, clock, source } = exchange
  const framer = Framing.make(wire.framing)
  const decoder = wire.decodeStream(source)
  const elapsed = () => clock.unsafeCurrentTimeMillis() - exchange.sentAt
  const collected = collector()
  let failure: LLMError | undefined
  /** The time of the current pull. */
  let pulledAt = exchange.sentAt
  /** The end of the usage grace; undefined before the finish signal. */
  let finishingUntil: number | undefined
  /** Whether output followed the finish signal: then it does not end the stream. */
  let continuedAfterFinish = false
  let finished = false
  let sawFrame = false
  let prefix = ""
  /** Frames that were read but not emitted with events yet; undefined when frames are not wanted. */
  let pendingFrames: Array<Frame> | undefined = keepFrames ? [] : undefined
  /** The characters of the pending frames. */
  let pendingLength = 0
  /** The answer when it is one JSON text despite its content type. */
  let unframed: { text: string; readonly decoder: TextDecoder } | undefined

  /** A grace shortened so that no time limit of the call expires in it and fails a complete answer. */
  const graceAt = (now: number, grace: number): number =>
    Math.max(0, Math.min(grace, (pulledAt + limits.idle - now) / 2, (limits.deadline - now) / 2))

  const start = (): ChatEvent => ({
    _tag: "Start",
    id: decoder.id,
    provider: source.provider,
    model: decoder.model,
    keyId: call.key.id,
    attempts: [
      {
        provider: source.provider,
        model: call.model,
        keyId: call.key.id,
        status: exchange.response.status,
        duration: elapsed()
      }
    ]
  })

  /** The answer so far. `usageOf` checks the counts, which a custom wire can report wrongly. */
  const partial = (): PartialResponse =>
    Events.toPartial(collected, usageOf(decoder.usage, source, Events.generatedText(collected)))

  const fail = (wireFailure: WireFailure): LLMError =>
    decodingError(exchange, wireFailure, collected.start === undefined ? undefined : partial())

  /** The connection broke before the finish signal. */
  const interrupted = (error: LLMError): LLMError =>
    new StreamInterruptedError({
      provider: error.provider,
      model: error.model,
      keyId: call.key.id,
      status: exchange.response.status,
      ...("code" in error && error.code !== undefined ? { code: error.code } : {}),
      message: `${error.message} The answer was not complete.`,
      attempts: [],
      begun: collected.start !== undefined,
      partial: partial()
    })

  /** Emits decoded events, with `Start` before the first one, and keeps a failure for the next pull. */
  const emit = (
    decoded: ReadonlyArray<WireEvent>,
    wireFailure: WireFailure | undefined,
    errorOf: (wireFailure: WireFailure) => LLMError = fail
  ): Pull => {
    const out: Array<ChatEvent> = collected.start === undefined && decoded.length > 0 ? [start()] : []
    for (const event of decoded) out.push(event._tag === "Finish" ? { ...event, latency: elapsed() } : event)
    for (const event of out) addTo(collected, event)
    if (wireFailure !== undefined) failure = errorOf(wireFailure)
    if (out.length > 0) {
      if (pendingFrames === undefined) return Effect.succeed(Chunk.unsafeFromArray(out))
      const frames = pendingFrames
      pendingFrames = []
      pendingLength = 0
      return Effect.succeed(withRawFrames(wire.name, frames, out))
    }
    return failure === undefined ? next : Effect.fail(Option.some(failure))
  }

  /** Keeps a frame for the events that it belongs to, up to a limit for frames that yield no event. */
  const keepFrame = (frame: Frame): void => {
    if (pendingFrames === undefined) return
    pendingFrames.push(frame)
    pendingLength += frame.data.length
    if (pendingLength > Framing.maxFrameLength) pendingFrames = undefined
  }

  /** Decodes one frame. A custom wire can throw, which counts as a malformed frame. */
  const decodeFrame = (frame: Frame, decoded: Array<WireEvent>): WireFailure | undefined => {
    sawFrame = true
    try {
      const wireFailure = decoder.push(frame, decoded)
      if (wireFailure === undefined) keepFrame(frame)
      return wireFailure
    } catch {
      return malformed("", frame.data)
    }
  }

  /** Ignores a failure after the finish signal: the answer is complete, and a missing usage is estimated. */
  const afterFinish = (wireFailure: WireFailure | undefined, decoded: Array<WireEvent>): WireFailure | undefined =>
    wireFailure !== undefined && decoder.state === "finishing" ? decoder.end(decoded) : wireFailure

  const decode = (frames: ReadonlyArray<Frame>, fits: boolean): Pull => {
    const decoded: Array<WireEvent> = []
    let wireFailure: WireFailure | undefined
    for (const frame of frames) {
      wireFailure = decodeFrame(frame, decoded)
      if (wireFailure !== undefined || decoder.state === "done") break
    }
    if (!fits) wireFailure ??= malformed("", `an event of more than ${Framing.maxFrameLength} characters`)
    if (decoder.state === "finishing") {
      const now = clock.unsafeCurrentTimeMillis()
      continuedAfterFinish ||= finishingUntil !== undefined && decoded.some(isOutput)
      finishingUntil ??= now + graceAt(now, usageGrace)
    } else finishingUntil = undefined
    return emit(decoded, afterFinish(wireFailure, decoded))
  }

  const onChunk = (chunk: Chunk.Chunk<Uint8Array>): Pull => {
    const frames: Array<Frame> = []
    let fits = true
    for (const piece of chunk) {
      if (!sawFrame && prefix.length < 200) {
        prefix += new TextDecoder().decode(piece.subarray(0, 200))
        if (wire.framing === "sse" && /^\s*[[{]/.test(prefix)) unframed ??= { text: "", decoder: new TextDecoder() }
      }
      if (unframed !== undefined && unframed.text.length <= Framing.maxFrameLength) {
        unframed.text += unframed.decoder.decode(piece, { stream: true })
      }
      fits = framer.push(piece, frames) && fits
    }
    return decode(frames, fits)
  }

  const decodeUnframed = (text: string): Pull =>
    Either.match(parseWhole(exchange, wire, text), {
      onLeft: (error): Pull => Effect.fail(Option.some(error)),
      onRight: (response): Pull => {
        finished = true
        return Effect.succeed(Chunk.unsafeFromArray(Events.fromResponse(response).slice()))
      }
    })

  /** Ends the stream: at its end, at the end of the usage grace, or because the connection broke. */
  const ended = (error?: LLMError): Pull =>
    Effect.suspend((): Pull => {
      if (finished) return end
      if (error === undefined && unframed !== undefined && !sawFrame) {
        return decodeUnframed(unframed.text + unframed.decoder.decode())
      }
      const frames: Array<Frame> = []
      framer.end(frames)
      const decoded: Array<WireEvent> = []
      let wireFailure: WireFailure | undefined
      for (const frame of frames) {
        if (decoder.state === "done" || isCutOff(frame)) break
        wireFailure = decodeFrame(frame, decoded)
        if (wireFailure !== undefined) break
      }
      wireFailure = afterFinish(wireFailure, decoded)
      if (wireFailure === undefined && decoder.state !== "done") {
        wireFailure =
          error !== undefined || sawFrame || isFramePrefix(wire.framing, prefix)
            ? decoder.end(decoded)
            : malformed("", prefix.slice(0, 200))
      }
      if (decoded.length === 0 && wireFailure === undefined) return end
      return emit(decoded, wireFailure, error === undefined ? fail : () => interrupted(error))
    })

  const read = Effect.matchEffect(bytes, {
    onFailure: Option.match({ onNone: () => ended(), onSome: ended }),
    onSuccess: onChunk
  })

  /** Times only the reading. Decoding happens outside of the limit, so that no chunk is decoded twice. */
  const readUntil = (deadline: number): Pull =>
    Effect.matchEffect(
      withinOr(Effect.asSome(bytes), Math.max(0, deadline - clock.unsafeCurrentTimeMillis()), () => Effect.succeedNone),
      {
        onFailure: Option.match({ onNone: () => ended(), onSome: ended }),
        onSuccess: Option.match({ onNone: () => ended(), onSome: onChunk })
      }
    )

  /** Reads on after a complete answer, for a short grace, so that a connection that ends soon can be reused. */
  const drain: Pull = Effect.suspend(() =>
    Effect.matchEffect(
      withinOr(Effect.forever(bytes), graceAt(clock.unsafeCurrentTimeMillis(), closingGrace), () => end),
      {
        onSuccess: () => end,
        onFailure: () => end
      }
    )
  )

  const next: Pull = Effect.suspend(() => {
    if (failure !== undefined) return Effect.fail(Option.some(failure))
    if (decoder.state === "done") return drain
    return finishingUntil === undefined || continuedAfterFinish ? read : readUntil(finishingUntil)
  })
  return Effect.suspend(() => {
    pulledAt = clock.unsafeCurrentTimeMillis()
    return next
  })
}

const openWhole = (exchange: Exchange, wire: ClientWire): Effect.Effect<OpenStream, LLMError> =>
  Effect.map(readWhole(exchange, wire), (response) => ({
    first: Chunk.unsafeFromArray(Events.fromResponse(response).slice()),
    pull: end
  }))

const openFirst = (pull: Pull, exchange: Exchange): Effect.Effect<OpenStream, LLMError> =>
  Effect.matchEffect(pull, {
    onFailure: (failure) =>
      Effect.fail(Option.getOrElse(failure, () => decodingError(exchange, { _tag: "Truncated" }))),
    onSuccess: (first) => Effect.succeed({ first, pull })
  })

/** Opens a stream and waits for its first events, so that all earlier problems are failures of the opening. */
export const chatStream = (transport: Transport, wire: ClientWire, request: ChatRequest, call: Call): Open =>
  Effect.flatMap(sendStream(transport, wire, request, call), (exchange) => {
    // A server without streams, or with only an error to report, answers with plain JSON; a proxy answers with a page.
    const contentType = exchange.response.headers["content-type"] ?? ""
    if (/\/json|text\/html/i.test(contentType)) return openWhole(exchange, wire)
    return Effect.flatMap(
      Effect.all([Stream.toPull(exchange.response.stream), WantsRawResponse, CallLimits]),
      ([pull, rawProtocol, limits]) => {
        // Maps the pull and not the stream: a stream operator would double the cost of a network chunk.
        const bytes = Effect.mapError(
          pull,
          Option.map((error) => connectionError(transport, exchange.call, error))
        )
        return openFirst(readEvents(exchange, wire, bytes, rawProtocol === wire.name, limits), exchange)
      }
    )
  })
