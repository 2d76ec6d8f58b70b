/**
 * Decodes one stream: takes the bytes of network reads and the end of the body, and returns events. It is a synchronous state machine
 * without timers. `phase` is the next input that the caller waits for, with its deadline.
 *
 * The end of the body is an error before the finish signal, and the regular end after it. After the signal the stream stays open for a
 * grace period until the usage arrives, and after `Finish` until the connection ends, so that the connection can be reused.
 */
import { Either, Redacted } from "effect"
import * as MonotonicClock from "../internal/clock.js"
import type { PartialResponse } from "../vocabulary/Chat.js"
import type { ChatEvent, Finish, Start } from "../vocabulary/ChatEvent.js"
import * as Events from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import * as Framing from "../wire/framing.js"
import { parseJson } from "../wire/json.js"
import * as RawFrames from "../wire/rawFrames.js"
import type { ClientWire, Frame, StreamDecoder, WireEvent, WireFailure } from "../wire/Wire.js"
import { malformed } from "../wire/Wire.js"
import { decodeChat } from "./answer.js"
import type { Collector } from "./collector.js"
import type { Received } from "./failure.js"
import { decodingError, interruptedError } from "./failure.js"
import type { Limits } from "./limits.js"
import { keepRawError, rawProtocolOf, withRawBytes } from "./passthrough.js"

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

const utf8 = new TextDecoder()

/** Whether a text repeats the key or the token that was sent. */
const containsSecret = ({ key, token }: Received["call"], text: string): boolean =>
  text.includes(Redacted.value(key.value)) || (token !== undefined && text.includes(Redacted.value(token)))

const isFinish = (event: WireEvent): event is Finish => event._tag === "Finish"

/** Whether the end of the stream cut the frame's JSON off. */
const isCutOff = ({ data }: Frame): boolean => /^\s*[[{]/.test(data) && parseJson(data) === undefined

/**
 * What a stream waits for. Times are in milliseconds since the epoch.
 *
 * - `reading`: more bytes, for `read`. At `until`, if it is defined, the caller calls `end`.
 * - `closing`: the end of the connection. The answer is complete: bytes are ignored, and the stream ends at `until`.
 * - `ended`: nothing. The stream is over.
 * - `failed`: nothing. The stream has failed.
 */
export type Phase =
  | { readonly _tag: "reading"; readonly until: number | undefined }
  | { readonly _tag: "closing"; readonly until: number }
  | { readonly _tag: "ended" }
  | { readonly _tag: "failed"; readonly error: LLMError }

const ended: Phase = { _tag: "ended" }

const noEvents: ReadonlyArray<ChatEvent> = []

const readingOn: Phase = { _tag: "reading", until: undefined }

export interface Options {
  readonly wire: ClientWire
  /** Collects the events. */
  readonly collector: Collector
  /**
   * Whether the events carry the bytes that they were decoded from. The events of the last read wait for the end of the body, so that
   * they carry what follows them.
   */
  readonly keepBytes: boolean
  /** The time limits of the call, which shorten the graces: none of them expires in a grace and fails a complete answer. */
  readonly limits: Pick<Limits, "deadline" | "idle">
}

export interface StreamReader {
  /** The events of the bytes of one network read; none when the bytes complete no event, or after the end. Does not throw. */
  readonly read: (pieces: Iterable<Uint8Array>) => ReadonlyArray<ChatEvent>
  /**
   * The events due at the end of the bytes: the end of the body, the time of `phase`, or because the connection broke. Does not throw.
   */
  readonly end: (reason: "end of body" | "time" | LLMError) => ReadonlyArray<ChatEvent>
  /** What the stream waits for, after the events that were returned. */
  readonly phase: () => Phase
  /** Called when the consumer begins to wait for the next event: the idle time counts from then on. */
  readonly waits: (at: number) => void
  /** Called when the consumer reads again after a pause: a grace period starts again, since nothing was read in between. */
  readonly resumes: () => void
}

export const make = (received: Received, { collector, keepBytes, limits, wire }: Options): StreamReader => {
  const { call, clock, source } = received
  const framer = Framing.make(wire.framing)
  const decoder = wire.decodeStream(source)
  const now = () => MonotonicClock.wholeNow(clock)
  const elapsed = () => clock.unsafeCurrentTimeMillis() - received.sentAt
  let begun = false
  let failure: LLMError | undefined
  /** The time since which the consumer waits. */
  let waitingSince = now()
  /** The end of the usage grace; undefined before the finish signal. */
  let finishingUntil: number | undefined
  /** The end of the closing grace; undefined before `Finish`. */
  let closingUntil: number | undefined
  /** Whether output followed the finish signal: then it does not end the stream. */
  let continuedAfterFinish = false
  let isOver = false
  let state: StreamDecoder["state"] = "open"
  let sawFrame = false
  let prefix = ""
  /** Bytes that were read but not emitted with events yet; undefined when they are not kept. */
  let raw: RawFrames.RawFrames | undefined = keepBytes && wire.framing === "sse" ? RawFrames.make() : undefined
  /** The decoded frames in these bytes. */
  let rawFrames = 0
  /** The events of the last read, which wait for the end of the body. */
  let held: ReadonlyArray<WireEvent> | undefined
  /** Whether the body is read to its end, and no frame of it is left out. */
  let isReadToEnd = false
  /** The answer when it is one JSON text despite its content type. */
  let unframed: { text: string; readonly decoder: TextDecoder } | undefined

  /** The end of a grace that begins now. The idle time counts from the first event on. */
  const graceUntil = (grace: number): number => {
    const time = now()
    const idleUntil = (begun ? waitingSince : time) + limits.idle
    return time + Math.max(0, Math.min(grace, (idleUntil - time) / 2, (limits.deadline - time) / 2))
  }

  const start = (): Start => ({
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
        status: received.status,
        duration: elapsed()
      }
    ]
  })

  const estimatedUsage = (): Usage.Usage =>
    Usage.make({
      inputTokens: source.estimatedInputTokens,
      outputTokens: collector.generatedTokens(),
      estimated: true
    })

  /** The answer so far, with checked counts: a custom wire can report wrong ones. */
  const partial = (counts: Usage.Usage | undefined): PartialResponse =>
    Events.toPartial(
      collector.collected,
      counts === undefined ? estimatedUsage() : Usage.checked(counts, estimatedUsage)
    )

  const fail = (wireFailure: WireFailure): LLMError =>
    decodingError(received, wireFailure, begun ? partial(decoder.usage) : undefined)

  const withStartAndLatency = (decoded: ReadonlyArray<WireEvent>): ReadonlyArray<ChatEvent> => {
    const events = decoded.map((event) => (isFinish(event) ? { ...event, latency: elapsed() } : event))
    if (begun || events.length === 0) return events
    begun = true
    return [start(), ...events]
  }

  /** The bytes of the events that are emitted now: whole frames, without one that failed. */
  const takeRaw = (kept: RawFrames.RawFrames, hasFailed: boolean): Uint8Array => {
    const frames = rawFrames
    rawFrames = 0
    return hasFailed ? kept.takeFrames(frames) : isReadToEnd ? kept.takeAll() : kept.take()
  }

  /** Keeps the frame that reports an error, unless it repeats the key. */
  const keepErrorFrame = (kept: RawFrames.RawFrames, error: LLMError): void => {
    takeRaw(kept, true)
    const block = RawFrames.split(kept.take()).find(({ frames }) => frames.length > 0)
    if (block === undefined || containsSecret(call, utf8.decode(block.bytes))) return
    keepRawError({ ...rawProtocolOf(wire), bytes: block.bytes }, error)
  }

  /** The decoded events, with `Start` before the first one. A failure is kept: it comes after them. */
  const emit = (
    decoded: ReadonlyArray<WireEvent>,
    wireFailure: WireFailure | undefined,
    errorOf: (wireFailure: WireFailure) => LLMError = fail
  ): ReadonlyArray<ChatEvent> => {
    const out = begun && !decoded.some(isFinish) ? decoded : withStartAndLatency(decoded)
    for (const event of out) collector.add(event)
    state = decoder.state
    if (wireFailure !== undefined) failure = errorOf(wireFailure)
    if (out.length > 0 && raw !== undefined) {
      withRawBytes(rawProtocolOf(wire), takeRaw(raw, wireFailure !== undefined), out)
    }
    if (raw !== undefined && failure !== undefined && wireFailure?._tag === "Reported") keepErrorFrame(raw, failure)
    return out
  }

  /** Keeps bytes for the events that they belong to, up to a limit for frames that yield no event. */
  const keepRaw = (piece: Uint8Array): void => {
    if (raw === undefined) return
    raw.push(piece)
    if (raw.size() > Framing.maxFrameLength) raw = undefined
  }

  /** Decodes one frame. A custom wire can throw, which counts as a malformed frame. */
  const decodeFrame = (frame: Frame, decoded: Array<WireEvent>): WireFailure | undefined => {
    sawFrame = true
    try {
      const wireFailure = decoder.push(frame, decoded)
      if (wireFailure === undefined) rawFrames++
      return wireFailure
    } catch {
      return malformed("", frame.data)
    }
  }

  /** Ignores a failure after the finish signal: the answer is complete, and a missing usage is estimated. */
  const afterFinish = (wireFailure: WireFailure | undefined, decoded: Array<WireEvent>): WireFailure | undefined =>
    wireFailure !== undefined && decoder.state === "finishing" ? decoder.end(decoded) : wireFailure

  const decode = (frames: ReadonlyArray<Frame>, fits: boolean): ReadonlyArray<ChatEvent> => {
    const decoded: Array<WireEvent> = []
    let wireFailure: WireFailure | undefined
    for (const frame of frames) {
      wireFailure = decodeFrame(frame, decoded)
      if (wireFailure !== undefined || decoder.state === "done") break
    }
    if (!fits) wireFailure ??= malformed("", `an event of more than ${Framing.maxFrameLength} characters`)
    if (decoder.state === "finishing") {
      continuedAfterFinish ||= finishingUntil !== undefined && decoded.some(isOutput)
      finishingUntil ??= graceUntil(usageGrace)
    } else finishingUntil = undefined
    const failed = afterFinish(wireFailure, decoded)
    if (raw === undefined || failed !== undefined || !decoded.some(isFinish)) return emit(decoded, failed)
    held = decoded
    state = decoder.state
    return noEvents
  }

  const readPieces = (pieces: Iterable<Uint8Array>): ReadonlyArray<ChatEvent> => {
    const frames: Array<Frame> = []
    let fits = true
    for (const piece of pieces) {
      if (!sawFrame && prefix.length < 200) {
        prefix += utf8.decode(piece.subarray(0, 200))
        if (wire.framing === "sse" && /^\s*[[{]/.test(prefix)) unframed ??= { text: "", decoder: new TextDecoder() }
      }
      if (unframed !== undefined && unframed.text.length <= Framing.maxFrameLength) {
        unframed.text += unframed.decoder.decode(piece, { stream: true })
      }
      keepRaw(piece)
      fits = framer.push(piece, frames) && fits
    }
    return frames.length === 0 && fits ? noEvents : decode(frames, fits)
  }

  const decodeUnframed = (text: string): ReadonlyArray<ChatEvent> => {
    const answer = decodeChat(received, wire, text)
    isOver = true
    if (Either.isLeft(answer)) {
      failure = answer.left
      return noEvents
    }
    const events = Events.fromResponse(answer.right)
    for (const event of events) collector.add(event)
    return events
  }

  const decodeEnd = (error: LLMError | undefined): ReadonlyArray<ChatEvent> => {
    if (error === undefined && unframed !== undefined && !sawFrame) {
      return decodeUnframed(unframed.text + unframed.decoder.decode())
    }
    const frames: Array<Frame> = []
    framer.end(frames)
    isReadToEnd = error === undefined
    const decoded: Array<WireEvent> = []
    let wireFailure: WireFailure | undefined
    for (const frame of frames) {
      if (decoder.state === "done") break
      if (isCutOff(frame)) {
        isReadToEnd = false
        break
      }
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
    return emit(
      decoded,
      wireFailure,
      error === undefined ? fail : () => interruptedError(received, error, begun, partial(decoder.usage))
    )
  }

  /** The error of a custom wire that throws. Its usage, and the parts that it has made, are not trusted. */
  const thrown = (cause: unknown): LLMError => {
    const wireFailure = malformed("", String(cause))
    try {
      return decodingError(received, wireFailure, begun ? partial(undefined) : undefined)
    } catch {
      return decodingError(received, wireFailure)
    }
  }

  /** Runs a step of the reading. Members of a custom wire can throw, which counts as a malformed answer. */
  const caught = (step: () => ReadonlyArray<ChatEvent>): ReadonlyArray<ChatEvent> => {
    try {
      return step()
    } catch (cause) {
      failure = thrown(cause)
      return noEvents
    }
  }

  /** Keeps the bytes behind the last event. */
  const readRest = (pieces: Iterable<Uint8Array>): ReadonlyArray<ChatEvent> => {
    if (held !== undefined) for (const piece of pieces) keepRaw(piece)
    return noEvents
  }

  /** The events that waited for the end of the body. */
  const release = (isWhole: boolean): ReadonlyArray<ChatEvent> => {
    const waiting = held
    held = undefined
    isReadToEnd = isWhole
    return waiting === undefined ? noEvents : caught(() => emit(waiting, undefined))
  }

  return {
    read: (pieces) => {
      if (failure !== undefined || isOver) return noEvents
      return state === "done" ? readRest(pieces) : caught(() => readPieces(pieces))
    },
    end: (reason) => {
      if (failure !== undefined || isOver) return noEvents
      const isComplete = state === "done"
      const events = isComplete
        ? release(reason === "end of body")
        : caught(() => decodeEnd(typeof reason === "string" ? undefined : reason))
      // At the end of the usage grace the connection is still open.
      isOver = isComplete || reason !== "time" || state !== "done"
      return events
    },
    phase: () => {
      if (failure !== undefined) return { _tag: "failed", error: failure }
      if (isOver) return ended
      if (state === "done") {
        closingUntil ??= graceUntil(closingGrace)
        return { _tag: held === undefined ? "closing" : "reading", until: closingUntil }
      }
      return finishingUntil === undefined || continuedAfterFinish
        ? readingOn
        : { _tag: "reading", until: finishingUntil }
    },
    waits: (at) => {
      waitingSince = at
    },
    resumes: () => {
      waitingSince = now()
      if (finishingUntil !== undefined) finishingUntil = graceUntil(usageGrace)
      if (closingUntil !== undefined) closingUntil = graceUntil(closingGrace)
    }
  }
}
