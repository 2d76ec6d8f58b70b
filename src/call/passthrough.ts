/**
 * What a provider sent, handed on beside what was read from it: whoever speaks the provider's protocol to a client of its own need
 * not write it again, and loses nothing that the vocabulary has no word for.
 *
 * It hangs on an answer, or on the first of the events of a stream that were read together. What lies between may drop, add or
 * change them and knows nothing of this: what was sent holds only for exactly what it was read as.
 */
import { Chunk, Context, Predicate } from "effect"
import type { ChatResponse } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { Frame } from "../wire/Wire.js"

/** The name of the wire in which what is sent is wanted. */
export class WantsRawResponse extends Context.Reference<WantsRawResponse>()("effect-llm/WantsRawResponse", {
  defaultValue: (): string | undefined => undefined
}) {}

const RelayId: unique symbol = Symbol.for("effect-llm/Relay")

interface Carrier<A> {
  readonly [RelayId]: A
}

/** What is told of a call and not of its answer: no protocol has it. */
const receipts: ReadonlySet<string> = new Set(["attempts", "cached", "cost", "latency"])

const saysTheSame = (now: object, read: object): boolean => {
  if (now === read) return true
  const fields: ReadonlyMap<string, unknown> = new Map(Object.entries(now))
  return Object.entries(read).every(([field, value]) => receipts.has(field) || fields.get(field) === value)
}

// -------------------------------------------------------------------------------------
// streams
// -------------------------------------------------------------------------------------

export interface RawResponse {
  /** The name of the wire. */
  readonly protocol: string
  readonly frames: ReadonlyArray<Frame>
  /** What the frames say. */
  readonly events: ReadonlyArray<ChatEvent>
}

/** Events that nobody has seen yet, with the frames that they were read from; none where the end alone says it. */
export const withRawFrames = (
  protocol: string,
  frames: ReadonlyArray<Frame>,
  events: ReadonlyArray<ChatEvent>
): Chunk.Chunk<ChatEvent> => {
  const [first] = events
  if (first !== undefined) {
    // The event itself and not a copy: then nearly all of them are still the very ones when they are compared.
    Object.assign(first, { [RelayId]: { protocol, frames, events } } satisfies Carrier<RawResponse>)
  }
  return Chunk.unsafeFromArray(events)
}

const isCarrier = (event: ChatEvent): event is ChatEvent & Carrier<RawResponse> => Predicate.hasProperty(event, RelayId)

/** The frames that say what these events say; undefined where there are none of this protocol, or other events by now. */
export const relayOf = (protocol: string, events: Chunk.Chunk<ChatEvent>): RawResponse | undefined => {
  if (Chunk.isEmpty(events)) return undefined
  const first = Chunk.unsafeHead(events)
  if (!isCarrier(first)) return undefined
  const relay = first[RelayId]
  const isWhole =
    relay.protocol === protocol &&
    relay.events.length === events.length &&
    relay.events.every((read, index) => saysTheSame(Chunk.unsafeGet(events, index), read))
  return isWhole ? relay : undefined
}

// -------------------------------------------------------------------------------------
// whole answers
// -------------------------------------------------------------------------------------

interface Sent {
  readonly protocol: string
  readonly text: string
  /** What the text says. */
  readonly response: ChatResponse
}

const isSent = (response: ChatResponse): response is ChatResponse & Carrier<Sent> =>
  Predicate.hasProperty(response, RelayId)

/** An answer that nobody has seen yet, with the text that it was read from. */
export const withRawText = (protocol: string, text: string, response: ChatResponse): ChatResponse =>
  Object.assign(response, { [RelayId]: { protocol, text, response } } satisfies Carrier<Sent>)

/** The text that says what this answer says; undefined where there is none of this protocol, or another answer by now. */
export const textOf = (protocol: string, response: ChatResponse): string | undefined => {
  if (!isSent(response)) return undefined
  const sent = response[RelayId]
  return sent.protocol === protocol && saysTheSame(response, sent.response) ? sent.text : undefined
}
