/**
 * Passes an answer of a provider that uses the client's protocol through unchanged, a stream frame by frame, so that fields
 * without an equivalent in the vocabulary survive. The answer is decoded all the same, for usage, limits and errors.
 *
 * The gateway encodes the answer itself where the provider uses another protocol or a middleware changed the answer, and a stream
 * from the first event on that is changed or comes from another provider.
 */
import { Chunk, Effect } from "effect"
import * as RawResponses from "../../call/passthrough.js"
import * as RawRequests from "../../call/rawRequest.js"
import type { AssistantPart, ChatRequest, ChatResponse } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type { Frame } from "../../wire/Wire.js"
import { isRecord, parseJson, record } from "../../wire/json.js"
import * as HttpErrors from "../http/error.js"
import type { Passthrough, Protocol } from "./model.js"
import type { StreamEncoder } from "./sse.js"
import { renderFrames, sse } from "./sse.js"

const doneData = "[DONE]"

/** Whether a frame is the chunk with the usage, which the gateway always requests and only some clients want. */
const isUsageChunk = ({ data }: Frame): boolean => {
  if (!/"choices":\s*\[\s*\]/.test(data)) return false
  const chunk = parseJson(data)
  return isRecord(chunk) && record(chunk, "usage") !== undefined
}

/**
 * Not exact: providers send reasoning under several field names and tool calls in fragments that are often malformed, so the
 * gateway encodes answers with such parts itself. A provider part, such as the id of an answer in audio, has no other form than that
 * of the provider. OpenAI, API reference: chat/streaming (`stream_options.include_usage`, `[DONE]`).
 */
export const chatCompletions: Passthrough = {
  isExact: false,
  keepsFrame: (frame, body) => record(body, "stream_options")?.["include_usage"] === true || !isUsageChunk(frame),
  endFrames: (last) => (last?.data.startsWith(doneData) === true ? [] : [{ data: doneData }])
}

/** Anthropic, "Streaming Messages": `message_stop` is the last event. */
export const anthropic: Passthrough = {
  isExact: true,
  keepsFrame: () => true,
  endFrames: (last) => {
    const event = last === undefined ? undefined : parseJson(last.data)
    return isRecord(event) && event["type"] === "message_stop"
      ? []
      : [{ event: "message_stop", data: JSON.stringify({ type: "message_stop" }) }]
  }
}

/** The last event of Responses repeats the whole answer, so there is no end frame to add. */
export const responses: Passthrough = { isExact: true, keepsFrame: () => true, endFrames: () => [] }

/** A request of a client as it came. */
interface ClientRequest {
  readonly text: string
  readonly body: Record<string, unknown>
  readonly headers: Readonly<Record<string, string | undefined>>
}

/** The decoded request with the body of the client, which a faithful provider of the same protocol gets unchanged. */
export const withBody = (
  { passedHeaders, wire }: Protocol,
  { body, headers, text }: ClientRequest,
  request: ChatRequest
): ChatRequest => {
  const passed: Record<string, string> = {}
  for (const name of passedHeaders) {
    const value = headers[name]
    if (value !== undefined) passed[name] = value
  }
  return RawRequests.attach({ protocol: wire.name, text, body, headers: passed }, request)
}

const isReasoningOrToolCall = ({ type }: AssistantPart): boolean => type === "reasoning" || type === "tool-call"

const isOfReasoningOrToolCall = ({ _tag }: ChatEvent): boolean =>
  _tag === "ReasoningDelta" || _tag === "ToolCallDelta" || _tag === "ToolCallEnd"

/** The text of a whole answer as the provider sent it; undefined where the gateway must encode it. */
export const textOf = ({ passthrough, wire }: Protocol, response: ChatResponse): string | undefined =>
  passthrough.isExact || !response.content.some(isReasoningOrToolCall)
    ? RawResponses.textOf(wire.name, response)
    : undefined

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

/** Encodes a stream for a client of this protocol. */
export const streamEncoder = (
  { passthrough, wire }: Protocol,
  body: Record<string, unknown>,
  createdAt: number
): StreamEncoder<ChatEvent> => {
  const encoder = wire.encodeStream(body, createdAt)
  /** The events of the frames that were passed through; undefined once the encoder writes. */
  let passed: Array<ChatEvent> | undefined = []

  const addEvent = (events: Array<ChatEvent>, event: ChatEvent): void => {
    const merged = mergeDeltas(events.at(-1), event)
    if (merged === undefined) events.push(event)
    else events[events.length - 1] = merged
  }

  /** The encoder, in the state in which it would be had it written the frames that were passed through. */
  const takeOver = () => {
    for (const event of passed ?? []) encoder.push(event)
    passed = undefined
    return encoder
  }

  const write = (events: Chunk.Chunk<ChatEvent>): ReadonlyArray<Frame> => {
    const raw = passed === undefined ? undefined : RawResponses.relayOf(wire.name, events)
    if (
      passed === undefined ||
      raw === undefined ||
      !(passthrough.isExact || !raw.events.some(isOfReasoningOrToolCall))
    ) {
      const { push } = takeOver()
      return Chunk.toReadonlyArray(events).flatMap((event) => push(event))
    }
    for (const event of events) addEvent(passed, event)
    const frames = raw.frames.filter((frame) => passthrough.keepsFrame(frame, body))
    return Chunk.unsafeLast(events)._tag === "Finish" ? [...frames, ...passthrough.endFrames(frames.at(-1))] : frames
  }

  return {
    ...sse,
    write: (events) => renderFrames(write(events)),
    fail: (error) => Effect.sync(() => renderFrames(takeOver().fail(HttpErrors.servedError(error))))
  }
}
