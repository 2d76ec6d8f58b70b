/** A question and its answer as a stream. */
import { Chunk, Effect, Either, Option, Stream } from "effect"
import type { ChatRequest, PartialResponse } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import * as Events from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { StreamInterruptedError } from "../vocabulary/LLMError.js"
import type { Call } from "../wire/providerClient.js"
import * as Framing from "../wire/Framing.js"
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
import { sendStream, unanswered, unreadable } from "./transport.js"

/** How long a model that has stopped may take to send its usage, as some do and others never will, in milliseconds. */
const usageGrace = 1000

/** How long a connection may take to end after its last event, so that it can be used again, in milliseconds. */
const closingGrace = 100

/** How an event of a stream begins. https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream */
const sseFields = ["data:", "event:", "id:", "retry:", ":"]

/** Whether text that holds no whole frame is the beginning of one, and not a page or a message in its place. */
const beginsFrame = (framing: ClientWire["framing"], text: string): boolean => {
  const beginning = text.replace(/^\uFEFF/, "").trimStart()
  return framing === "ndjson"
    ? beginning === "" || beginning.startsWith("{")
    : sseFields.some((field) => beginning.startsWith(field) || field.startsWith(beginning))
}

/** Whether the event is a piece of what the model writes. */
const isDelta = ({ _tag }: WireEvent): boolean =>
  _tag === "TextDelta" || _tag === "RefusalDelta" || _tag === "ReasoningDelta" || _tag === "ToolCallDelta"

/** Whether the end of the stream has cut the frame's JSON text off. */
const isCutOff = ({ data }: Frame): boolean => /^\s*[[{]/.test(data) && parseJson(data) === undefined

/** Reads the events of one stream, a network chunk at a time; `relays`: the frames go with them. */
const events = (
  exchange: Exchange,
  wire: ClientWire,
  bytes: Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<LLMError>>,
  relays: boolean,
  limits: Limits
): Pull => {
  const { call, clock, source } = exchange
  const framer = Framing.make(wire.framing)
  const decoder = wire.decodeStream(source)
  const elapsed = () => clock.unsafeCurrentTimeMillis() - exchange.sentAt
  let said = Events.nothing
  let failure: LLMError | undefined
  /** When the consumer asked for the events that are being read. */
  let askedAt = exchange.sentAt
  /** Until when the usage is waited for; undefined before the finish signal. */
  let finishingUntil: number | undefined
  /** Whether the model has written more after its finish signal: then the signal is not taken for the end. */
  let wentOn = false
  let finished = false
  let framesSeen = false
  let beginning = ""
  /** Frames that were read and have not been given out with events yet; absent where they are not wanted. */
  let passed: Array<Frame> | undefined = relays ? [] : undefined
  /** Their characters. */
  let passedLength = 0
  /** The answer where it is one JSON text instead of events, and nothing said so. */
  let unframed: { text: string; readonly decoder: TextDecoder } | undefined

  /** How long a complete answer may wait for what follows it: no limit of the call, which would fail it, runs out meanwhile. */
  const graceAt = (now: number, grace: number): number =>
    Math.max(0, Math.min(grace, (askedAt + limits.idle - now) / 2, (limits.deadline - now) / 2))

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

  /** What has arrived. The counts of a wire of a user's own may be anything. */
  const partial = (): PartialResponse => Events.toPartial(said, usageOf(decoder.usage, source, said.text))

  const fail = (wireFailure: WireFailure): LLMError =>
    unreadable(exchange, wireFailure, said.start === undefined ? undefined : partial())

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
      begun: said.start !== undefined,
      partial: partial()
    })

  /** Gives out what was decoded, with `Start` before the very first event, and keeps a failure for the next pull. */
  const give = (
    decoded: ReadonlyArray<WireEvent>,
    wireFailure: WireFailure | undefined,
    errorOf: (wireFailure: WireFailure) => LLMError = fail
  ): Pull => {
    const out: Array<ChatEvent> = said.start === undefined && decoded.length > 0 ? [start()] : []
    for (const event of decoded) out.push(event._tag === "Finish" ? { ...event, latency: elapsed() } : event)
    for (const event of out) said = Events.append(said, event)
    if (wireFailure !== undefined) failure = errorOf(wireFailure)
    if (out.length > 0) {
      if (passed === undefined) return Effect.succeed(Chunk.unsafeFromArray(out))
      const frames = passed
      passed = []
      passedLength = 0
      return Effect.succeed(withRawFrames(wire.name, frames, out))
    }
    return failure === undefined ? next : Effect.fail(Option.some(failure))
  }

  /** Keeps a frame for the events that it belongs to. Those that never come to an event are not gathered without bound. */
  const pass = (frame: Frame): void => {
    if (passed === undefined) return
    passed.push(frame)
    passedLength += frame.data.length
    if (passedLength > Framing.maxFrameLength) passed = undefined
  }

  /** A wire of a user's own may throw where ours would tell. */
  const pushed = (frame: Frame, decoded: Array<WireEvent>): WireFailure | undefined => {
    framesSeen = true
    try {
      const wireFailure = decoder.push(frame, decoded)
      if (wireFailure === undefined) pass(frame)
      return wireFailure
    } catch {
      return malformed("", frame.data)
    }
  }

  /** What breaks after the finish signal does not matter: the answer is complete, and its usage is estimated if need be. */
  const afterFinish = (wireFailure: WireFailure | undefined, decoded: Array<WireEvent>): WireFailure | undefined =>
    wireFailure !== undefined && decoder.state === "finishing" ? decoder.end(decoded) : wireFailure

  const decode = (frames: ReadonlyArray<Frame>, within: boolean): Pull => {
    const decoded: Array<WireEvent> = []
    let wireFailure: WireFailure | undefined
    for (const frame of frames) {
      wireFailure = pushed(frame, decoded)
      if (wireFailure !== undefined || decoder.state === "done") break
    }
    if (!within) wireFailure ??= malformed("", `an event of more than ${Framing.maxFrameLength} characters`)
    if (decoder.state === "finishing") {
      const now = clock.unsafeCurrentTimeMillis()
      wentOn ||= finishingUntil !== undefined && decoded.some(isDelta)
      finishingUntil ??= now + graceAt(now, usageGrace)
    } else finishingUntil = undefined
    return give(decoded, afterFinish(wireFailure, decoded))
  }

  const received = (chunk: Chunk.Chunk<Uint8Array>): Pull => {
    const frames: Array<Frame> = []
    let within = true
    for (const piece of chunk) {
      if (!framesSeen && beginning.length < 200) {
        beginning += new TextDecoder().decode(piece.subarray(0, 200))
        if (wire.framing === "sse" && /^\s*[[{]/.test(beginning)) unframed ??= { text: "", decoder: new TextDecoder() }
      }
      if (unframed !== undefined && unframed.text.length <= Framing.maxFrameLength) {
        unframed.text += unframed.decoder.decode(piece, { stream: true })
      }
      within = framer.push(piece, frames) && within
    }
    return decode(frames, within)
  }

  const endedWhole = (text: string): Pull =>
    Either.match(parseWhole(exchange, wire, text), {
      onLeft: (error): Pull => Effect.fail(Option.some(error)),
      onRight: (response): Pull => {
        finished = true
        return Effect.succeed(Chunk.unsafeFromArray(Events.fromResponse(response).slice()))
      }
    })

  /** The stream is over: at its end, at the end of the usage grace, or because the connection broke. */
  const ended = (error?: LLMError): Pull =>
    Effect.suspend((): Pull => {
      if (finished) return end
      if (error === undefined && unframed !== undefined && !framesSeen) {
        return endedWhole(unframed.text + unframed.decoder.decode())
      }
      const frames: Array<Frame> = []
      framer.end(frames)
      const decoded: Array<WireEvent> = []
      let wireFailure: WireFailure | undefined
      for (const frame of frames) {
        if (decoder.state === "done" || isCutOff(frame)) break
        wireFailure = pushed(frame, decoded)
        if (wireFailure !== undefined) break
      }
      wireFailure = afterFinish(wireFailure, decoded)
      if (wireFailure === undefined && decoder.state !== "done") {
        wireFailure =
          error !== undefined || framesSeen || beginsFrame(wire.framing, beginning)
            ? decoder.end(decoded)
            : malformed("", beginning.slice(0, 200))
      }
      if (decoded.length === 0 && wireFailure === undefined) return end
      return give(decoded, wireFailure, error === undefined ? fail : () => interrupted(error))
    })

  const read = Effect.matchEffect(bytes, {
    onFailure: Option.match({ onNone: () => ended(), onSome: ended }),
    onSuccess: received
  })

  /** Only the reading is timed: what is read is decoded outside of the limit, so that it is decoded once. */
  const readUntil = (deadline: number): Pull =>
    Effect.matchEffect(
      withinOr(Effect.asSome(bytes), Math.max(0, deadline - clock.unsafeCurrentTimeMillis()), () => Effect.succeedNone),
      {
        onFailure: Option.match({ onNone: () => ended(), onSome: ended }),
        onSuccess: Option.match({ onNone: () => ended(), onSome: received })
      }
    )

  /** The answer is whole. What follows is only read so that the connection can be used again, if it ends soon. */
  const drained: Pull = Effect.suspend(() =>
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
    if (decoder.state === "done") return drained
    return finishingUntil === undefined || wentOn ? read : readUntil(finishingUntil)
  })
  return Effect.suspend(() => {
    askedAt = clock.unsafeCurrentTimeMillis()
    return next
  })
}

const whole = (exchange: Exchange, wire: ClientWire): Effect.Effect<OpenStream, LLMError> =>
  Effect.map(readWhole(exchange, wire), (response) => ({
    first: Chunk.unsafeFromArray(Events.fromResponse(response).slice()),
    pull: end
  }))

const begin = (pull: Pull, exchange: Exchange): Effect.Effect<OpenStream, LLMError> =>
  Effect.matchEffect(pull, {
    onFailure: (failure) => Effect.fail(Option.getOrElse(failure, () => unreadable(exchange, { _tag: "Truncated" }))),
    onSuccess: (first) => Effect.succeed({ first, pull })
  })

/** Opens a stream: succeeds with the first thing that the model says, so that all that can go wrong before is a failure. */
export const chatStream = (transport: Transport, wire: ClientWire, request: ChatRequest, call: Call): Open =>
  Effect.flatMap(sendStream(transport, wire, request, call), (exchange) => {
    // A server that has no streams, or that has only an error to report, answers with plain JSON; a proxy with a page.
    const contentType = exchange.response.headers["content-type"] ?? ""
    if (/\/json|text\/html/i.test(contentType)) return whole(exchange, wire)
    return Effect.flatMap(
      Effect.all([Stream.toPull(exchange.response.stream), WantsRawResponse, CallLimits]),
      ([pull, relayed, limits]) => {
        // Of the pull and not of the stream: an operator of a stream costs as much as all the rest of a network chunk.
        const bytes = Effect.mapError(
          pull,
          Option.map((error) => unanswered(transport, exchange.call, error))
        )
        return begin(events(exchange, wire, bytes, relayed === wire.name, limits), exchange)
      }
    )
  })
