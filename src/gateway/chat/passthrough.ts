/**
 * Passes an answer of a provider that uses the client's protocol through unchanged, a stream by its bytes, so that fields
 * without an equivalent in the vocabulary survive. The answer is decoded nevertheless, for usage, limits and errors.
 *
 * The gateway encodes the answer itself where the provider uses another protocol or a middleware changed the answer, and a stream
 * from the first event on that is changed or comes from another provider.
 */
import { Chunk } from "effect"
import * as RawResponses from "../../call/passthrough.js"
import * as RawRequests from "../../call/rawRequest.js"
import * as Signatures from "../../call/signatures.js"
import type { AssistantPart, ChatRequest, ChatResponse } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import type { Frame } from "../../wire/Wire.js"
import { isRecord, parseJson, record } from "../../wire/json.js"
import * as RawFrames from "../../wire/rawFrames.js"
import * as HttpErrors from "../http/error.js"
import type { RequestHeaders } from "../http/exchange.js"
import { header } from "../http/exchange.js"
import type { Passthrough, Protocol } from "./model.js"
import type { Owners } from "./owners.js"
import type { StreamEncoder } from "./sse.js"
import { ofChat, renderFrames, sse } from "./sse.js"

const doneData = "[DONE]"

const utf8 = new TextEncoder()

const bytesOf = (frames: ReadonlyArray<Frame>): Uint8Array => utf8.encode(renderFrames(frames))

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")

/** The last bytes of a stream, with a blank line behind a last frame that lacks it. */
const withFrameEnd = (bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
  bytes.length === 0 || /(?:\r\n|\r|\n)(?:\r\n|\r|\n)$/.test(latin1(bytes.subarray(-4)))
    ? [bytes]
    : [bytes, utf8.encode("\n\n")]

const emptyChoices = /"choices"\s*:\s*\[\s*\]/

/** Whether a frame is the chunk with the usage, which the gateway always requests and only some clients want. */
const isUsageChunk = ({ data }: Frame): boolean => {
  if (!emptyChoices.test(data)) return false
  const chunk = parseJson(data)
  return isRecord(chunk) && record(chunk, "usage") !== undefined
}

const wantsUsage = (body: Record<string, unknown>): boolean =>
  record(body, "stream_options")?.["include_usage"] === true

const isDone = ({ data }: Frame): boolean => data.startsWith(doneData)

/** The same, for bytes that need no repair: to split them into frames takes longer than all else at the end of a stream. */
const doneLine = /(?:^|[\r\n])data: ?\[DONE\]/

/**
 * Not exact: providers send reasoning under several field names and tool calls in fragments that are often malformed, so the
 * gateway encodes answers with such parts itself where the provider is not faithful. A provider part, such as the id of an answer in
 * audio, has no other form than that of the provider. OpenAI, API reference: chat/streaming (`stream_options.include_usage`, `[DONE]`).
 */
export const chatCompletions: Passthrough = {
  isExact: false,
  edit: (bytes, body) =>
    wantsUsage(body) || !emptyChoices.test(latin1(bytes))
      ? bytes
      : RawFrames.concat(
          RawFrames.split(bytes)
            .filter(({ frames }) => !frames.some(isUsageChunk))
            .map((block) => block.bytes)
        ),
  complete: (bytes, { body, estimatedUsage }) => {
    const estimated = wantsUsage(body) ? estimatedUsage() : []
    if (estimated.length === 0 && doneLine.test(latin1(bytes))) return bytes
    const blocks = RawFrames.split(bytes)
    const done = blocks.findIndex(({ frames }) => frames.some(isDone))
    const missing = blocks.some(({ frames }) => frames.some(isUsageChunk)) ? [] : estimated
    if (done !== -1 && missing.length === 0) return bytes
    const parts = blocks.map((block) => block.bytes)
    return done === -1
      ? RawFrames.concat([...withFrameEnd(bytes), bytesOf([...missing, { data: doneData }])])
      : RawFrames.concat([...parts.slice(0, done), bytesOf(missing), ...parts.slice(done)])
  }
}

const isMessageStop = ({ data }: Frame): boolean => {
  const event = parseJson(data)
  return isRecord(event) && event["type"] === "message_stop"
}

const messageStopLine = /(?:^|[\r\n])data: ?\{\s*"type"\s*:\s*"message_stop"\s*\}/

const messageStop: Frame = { event: "message_stop", data: JSON.stringify({ type: "message_stop" }) }

/** Anthropic, "Streaming Messages": `message_stop` is the last event. */
export const anthropic: Passthrough = {
  isExact: true,
  edit: (bytes) => bytes,
  complete: (bytes) =>
    messageStopLine.test(latin1(bytes)) || RawFrames.split(bytes).some(({ frames }) => frames.some(isMessageStop))
      ? bytes
      : RawFrames.concat([...withFrameEnd(bytes), bytesOf([messageStop])])
}

/** The last event of Responses repeats the whole answer, so there is no end frame to add. */
export const responses: Passthrough = { isExact: true, edit: (bytes) => bytes, complete: (bytes) => bytes }

/** A request of a client as it came. */
interface ClientRequest {
  readonly text: string
  readonly body: Record<string, unknown>
  readonly headers: RequestHeaders
  /** Gets whether the latest request to a provider left reasoning of another account out. */
  readonly onDropped: (isDropped: boolean) => void
}

/** The decoded request with the body of the client, which a faithful provider of the same protocol gets unchanged. */
export const withBody = (
  { passedHeaders, wire }: Protocol,
  { body, headers, onDropped, text }: ClientRequest,
  request: ChatRequest
): ChatRequest => {
  const passed: Record<string, string> = {}
  for (const name of passedHeaders) {
    const value = header(headers, name)
    if (value !== undefined) passed[name] = value
  }
  return RawRequests.attach({ protocol: wire.name, text, body, headers: passed, onDropped }, request)
}

const isReasoningOrToolCall = ({ type }: AssistantPart): boolean => type === "reasoning" || type === "tool-call"

const isOfReasoningOrToolCall = ({ _tag }: ChatEvent): boolean =>
  _tag === "ReasoningDelta" || _tag === "ToolCallDelta" || _tag === "ToolCallEnd"

/** The text of a whole answer as the provider sent it; undefined where the gateway must encode it. */
export const textOf = (protocol: Protocol, response: ChatResponse): string | undefined =>
  rawOf(protocol, response)?.text

/** The same, and whether the provider is faithful to the protocol. */
export const rawOf = ({ passthrough, wire }: Protocol, response: ChatResponse): RawResponses.RawText | undefined => {
  const raw = RawResponses.textOf(wire.name, response)
  return raw !== undefined && (raw.isFaithful || passthrough.isExact || !response.content.some(isReasoningOrToolCall))
    ? raw
    : undefined
}

/** Two deltas of one part as one; undefined for others. */
const mergeDeltas = (before: ChatEvent | undefined, event: ChatEvent): ChatEvent | undefined => {
  if (before === undefined || !("index" in before && "index" in event && before.index === event.index)) return undefined
  if (
    (before._tag === "TextDelta" && event._tag === "TextDelta") ||
    (before._tag === "RefusalDelta" && event._tag === "RefusalDelta") ||
    (before._tag === "ReasoningDelta" && event._tag === "ReasoningDelta")
  ) {
    return { ...before, ...event, text: before.text + event.text }
  }
  return before._tag === "ToolCallDelta" && event._tag === "ToolCallDelta"
    ? { ...before, argumentsDelta: before.argumentsDelta + event.argumentsDelta }
    : undefined
}

/** Keeps the events of frames that are passed through, those of one part as one. */
const passedEvents = () => {
  const events: Array<ChatEvent> = []
  /** Text that continues the last event: to join it each time takes longer than all else that is done with an event. */
  let text = ""

  const join = (): void => {
    const last = events.at(-1)
    if (text !== "" && last?._tag === "TextDelta") events[events.length - 1] = { ...last, text: last.text + text }
    text = ""
  }

  return {
    add: (event: ChatEvent): void => {
      const last = events.at(-1)
      if (
        event._tag === "TextDelta" &&
        last?._tag === "TextDelta" &&
        last.index === event.index &&
        event.native === undefined
      ) {
        text += event.text
        return
      }
      join()
      const merged = mergeDeltas(events.at(-1), event)
      if (merged === undefined) events.push(event)
      else events[events.length - 1] = merged
    },
    all: (): ReadonlyArray<ChatEvent> => {
      join()
      return events
    }
  }
}

/** What the encoder of a stream knows of its request. Times are in seconds since the epoch. */
export interface StreamOf {
  /** The body of the client. */
  readonly body: Record<string, unknown>
  readonly createdAt: number
  readonly now: () => number
}

/** Encodes a stream for a client of this protocol. `idOf` gives the id of an answer that is encoded from its beginning on. */
export const streamEncoder = (
  { passthrough, wire }: Protocol,
  { body, createdAt, now }: StreamOf,
  owners: Owners,
  idOf?: (providerId: string) => string
): StreamEncoder<ChatEvent> => {
  /** Undefined while frames are passed through. */
  let encoder: ReturnType<typeof wire.encodeStream> | undefined
  const seal = Signatures.sealEvents()
  const observe = owners.eventsObserver()
  const passed = passedEvents()

  /** The encoder, in the state in which it would be had it written the frames that were passed through. */
  const takeOver = () => {
    if (encoder !== undefined) return encoder
    encoder = wire.encodeStream(body, createdAt, now)
    for (const event of seal(passed.all())) encoder.push(event)
    return encoder
  }

  /** The frames with the usage, of an encoder that writes the whole answer. */
  const usageFrames = (events: ReadonlyArray<ChatEvent>): ReadonlyArray<Frame> => {
    const { push } = wire.encodeStream(body, createdAt, now)
    return events
      .flatMap((event) =>
        // The encoder writes no estimates.
        push(event._tag === "Finish" ? { ...event, usage: { ...event.usage, estimated: false } } : event)
      )
      .filter(isUsageChunk)
  }

  /** The frame of a provider's error, while its frames are passed through. */
  const rawErrorOf = (error: LLMError): Uint8Array | undefined => {
    const raw = RawResponses.rawErrorOf(wire.name, error)
    return raw?.isFaithful === true ? raw.bytes : undefined
  }

  const encode = (events: Chunk.Chunk<ChatEvent>): string => {
    const { push } = takeOver()
    return renderFrames(
      seal(Chunk.toReadonlyArray(events)).flatMap((event) =>
        push(event._tag === "Start" && idOf !== undefined ? { ...event, id: idOf(event.id) } : event)
      )
    )
  }

  const write = (events: Chunk.Chunk<ChatEvent>): string | Uint8Array => {
    const raw = encoder === undefined ? RawResponses.relayOf(wire.name, events) : undefined
    if (raw === undefined) return encode(events)
    if (!raw.isFaithful && !passthrough.isExact && raw.events.some(isOfReasoningOrToolCall)) return encode(events)
    observe(events)
    for (const event of Chunk.toReadonlyArray(events)) passed.add(event)
    const bytes = passthrough.edit(raw.bytes, body)
    const last = Chunk.unsafeLast(events)
    if (last._tag !== "Finish") return bytes
    return passthrough.complete(bytes, {
      body,
      estimatedUsage: () => (last.usage.estimated ? usageFrames(passed.all()) : [])
    })
  }

  return {
    ...sse,
    ...ofChat,
    write,
    fail: (error) => {
      const cause = error.error
      // The provider's frame holds its message, which is not always for clients.
      const isTold = encoder === undefined && cause !== undefined && error.message.includes(cause.message)
      return (isTold ? rawErrorOf(cause) : undefined) ?? renderFrames(takeOver().fail(HttpErrors.servedError(error)))
    }
  }
}
