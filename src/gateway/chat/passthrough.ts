/**
 * An answer whose provider speaks the client's protocol goes through as it came, a stream frame by frame: nothing is lost that the
 * vocabulary has no word for, and nothing is written twice. It has been read all the same, for usage, limits and errors.
 *
 * An answer that did not come so, or that a layer of one's own has changed since, is written here; a stream from the first event on
 * of which that is true, or with which another provider goes on.
 */
import { Chunk, Effect } from "effect"
import * as Relay from "../../call/passthrough.js"
import type { ChatResponse } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type { Frame } from "../../wire/Wire.js"
import { isRecord, parseJson, record } from "../../wire/json.js"
import * as Problem from "../http/error.js"
import type { Protocol, Relaying } from "./model.js"
import type { Manner } from "./sse.js"
import { rendered, sse } from "./sse.js"

const done = "[DONE]"

/** Usage in a chunk of its own, for which every provider is asked, and of the clients only some have asked. */
const isUsage = ({ data }: Frame): boolean => {
  if (!/"choices":\s*\[\s*\]/.test(data)) return false
  const chunk = parseJson(data)
  return isRecord(chunk) && record(chunk, "usage") !== undefined
}

/**
 * Providers tell thoughts in many ways and calls of tools in pieces that are often broken, so these are written here, whole and in
 * one manner. OpenAI, API reference: chat/streaming (`stream_options.include_usage`, `[DONE]`).
 */
export const chatCompletions: Relaying = {
  isExact: false,
  keeps: (frame, body) => record(body, "stream_options")?.["include_usage"] === true || !isUsage(frame),
  ending: (last) => (last?.data.startsWith(done) === true ? [] : [{ data: done }])
}

/** Anthropic, "Streaming Messages": `message_stop` is the last event. */
export const anthropic: Relaying = {
  isExact: true,
  keeps: () => true,
  ending: (last) => {
    const event = last === undefined ? undefined : parseJson(last.data)
    return isRecord(event) && event["type"] === "message_stop"
      ? []
      : [{ event: "message_stop", data: JSON.stringify({ type: "message_stop" }) }]
  }
}

/** An answer in Responses is only whole with its last event, in which all of it is told again. */
export const responses: Relaying = { isExact: true, keeps: () => true, ending: () => [] }

const isWords = ({ _tag }: ChatEvent): boolean =>
  _tag !== "ReasoningDelta" && _tag !== "ToolCallDelta" && _tag !== "ToolCallEnd"

/** The text of a whole answer for a client that speaks this protocol; undefined where it is to be written. */
export const textOf = ({ relaying, wire }: Protocol, response: ChatResponse): string | undefined =>
  relaying.isExact || (response.reasoningParts.length === 0 && response.toolCalls.length === 0)
    ? Relay.textOf(wire.name, response)
    : undefined

/** The pieces of one text, thought or call as one piece; undefined where they are not of the same. */
const joined = (before: ChatEvent | undefined, event: ChatEvent): ChatEvent | undefined => {
  if (before?._tag === "TextDelta" && event._tag === "TextDelta") return { ...before, text: before.text + event.text }
  if (before?._tag === "RefusalDelta" && event._tag === "RefusalDelta") {
    return { ...before, text: before.text + event.text }
  }
  if (before?._tag === "ReasoningDelta" && event._tag === "ReasoningDelta" && before.index === event.index) {
    return { ...before, ...event, text: before.text + event.text }
  }
  return before?._tag === "ToolCallDelta" && event._tag === "ToolCallDelta" && before.index === event.index
    ? { ...before, argumentsDelta: before.argumentsDelta + event.argumentsDelta }
    : undefined
}

/** Writes a stream to a client that speaks this protocol. */
export const manner = (
  { relaying, wire }: Protocol,
  body: Record<string, unknown>,
  createdAt: number
): Manner<ChatEvent> => {
  const encoder = wire.encodeStream(body, createdAt)
  /** What went through, for the encoder to go on from; undefined once it has begun to write. */
  let through: Array<ChatEvent> | undefined = []

  const remember = (events: Array<ChatEvent>, event: ChatEvent): void => {
    const whole = joined(events.at(-1), event)
    if (whole === undefined) events.push(event)
    else events[events.length - 1] = whole
  }

  /** The encoder, as if it had written all that went through. */
  const takingOver = () => {
    for (const event of through ?? []) encoder.push(event)
    through = undefined
    return encoder
  }

  const write = (events: Chunk.Chunk<ChatEvent>): ReadonlyArray<Frame> => {
    const relay = through === undefined ? undefined : Relay.relayOf(wire.name, events)
    if (through === undefined || relay === undefined || !(relaying.isExact || relay.events.every(isWords))) {
      const { push } = takingOver()
      return Chunk.toReadonlyArray(events).flatMap((event) => push(event))
    }
    for (const event of events) remember(through, event)
    const frames = relay.frames.filter((frame) => relaying.keeps(frame, body))
    return Chunk.unsafeLast(events)._tag === "Finish" ? [...frames, ...relaying.ending(frames.at(-1))] : frames
  }

  return {
    ...sse,
    write: (events) => rendered(write(events)),
    fail: (problem) => Effect.sync(() => rendered(takingOver().fail(Problem.told(problem))))
  }
}
