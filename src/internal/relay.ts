/**
 * The frames that a provider sent, handed on beside the events that were read from them: whoever speaks the provider's protocol to
 * a client of its own need not write them again, and loses nothing that the vocabulary has no word for.
 *
 * They hang on the first of the events. What lies between may drop, add or change events and knows nothing of this: frames hold
 * only for exactly the events that they were read as.
 */
import { Chunk, Context, Predicate } from "effect"
import type { ChatEvent } from "../ChatEvent.js"
import type { Frame } from "../wire/Wire.js"

export interface Relay {
  /** The name of the wire. */
  readonly protocol: string
  readonly frames: ReadonlyArray<Frame>
  /** What the frames say. */
  readonly events: ReadonlyArray<ChatEvent>
}

/** The name of the wire whose frames are wanted. */
export class Relaying extends Context.Reference<Relaying>()("effect-llm/Relaying", {
  defaultValue: (): string | undefined => undefined
}) {}

const RelayId: unique symbol = Symbol.for("effect-llm/Relay")

interface Carrier {
  readonly [RelayId]: Relay
}

const isCarrier = (event: object): event is Carrier => Predicate.hasProperty(event, RelayId)

/** Events that nobody has seen yet, with the frames that they were read from; none where the end alone says it. */
export const carrying = (
  protocol: string,
  frames: ReadonlyArray<Frame>,
  events: ReadonlyArray<ChatEvent>
): Chunk.Chunk<ChatEvent> => {
  const [first] = events
  if (first !== undefined) {
    // The event itself and not a copy: then nearly all of them are still the very ones when they are compared.
    Object.assign(first, { [RelayId]: { protocol, frames, events } } satisfies Carrier)
  }
  return Chunk.unsafeFromArray(events)
}

/** What is told of a call and not of its answer: no protocol has it. */
const receipts: ReadonlySet<string> = new Set(["attempts", "cached", "cost", "latency"])

const saysTheSame = (event: ChatEvent, read: ChatEvent): boolean => {
  if (event === read) return true
  const fields: ReadonlyMap<string, unknown> = new Map(Object.entries(event))
  return Object.entries(read).every(([field, value]) => receipts.has(field) || fields.get(field) === value)
}

/** The frames that say what these events say; undefined where there are none of this protocol, or other events by now. */
export const relayOf = (protocol: string, events: Chunk.Chunk<ChatEvent>): Relay | undefined => {
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
