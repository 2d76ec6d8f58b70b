/**
 * Passes the provider's raw response on beside the decoded one. A gateway whose client uses the provider's protocol sends it
 * unchanged, without encoding it again and without losing fields that the vocabulary does not have.
 *
 * The raw response is attached to an answer, or to the first of the stream events that were read together. Middlewares in between
 * can drop, add or change events: the raw response is used only when the decoded one is unchanged.
 */
import { Chunk, Context, Predicate } from "effect"
import type { ChatResponse } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { ClientWire } from "../wire/Wire.js"

/** The name of the wire protocol whose raw response the caller requests. */
export class WantsRawResponse extends Context.Reference<WantsRawResponse>()("effect-llm/WantsRawResponse", {
  defaultValue: (): string | undefined => undefined
}) {}

const RawResponseId: unique symbol = Symbol.for("effect-llm/Relay")

interface Carrier<A> {
  readonly [RawResponseId]: A
}

/** Fields that describe the call and not the answer: no protocol has them. */
const callMetadata = ["attempts", "cached", "cost", "latency"]

const ignoredInEvents: ReadonlySet<string> = new Set(callMetadata)

/** The views of `content` are not compared: only the content is written. */
const ignoredInAnswers: ReadonlySet<string> = new Set([...callMetadata, "text", "reasoning", "refusal", "toolCalls"])

const hasSameFields = (current: object, decoded: object, ignored: ReadonlySet<string>): boolean => {
  if (current === decoded) return true
  const fields: ReadonlyMap<string, unknown> = new Map(Object.entries(current))
  return Object.entries(decoded).every(([field, value]) => ignored.has(field) || fields.get(field) === value)
}

/** The wire of a raw response. */
export interface RawProtocol {
  readonly protocol: string
  /** Whether the provider sends what the protocol's clients expect, so that nothing has to be repaired. */
  readonly isFaithful: boolean
}

export const rawProtocolOf = ({ name, verbatim }: Pick<ClientWire, "name" | "verbatim">): RawProtocol => ({
  protocol: name,
  isFaithful: verbatim !== undefined
})

// -------------------------------------------------------------------------------------
// streams
// -------------------------------------------------------------------------------------

export interface RawResponse extends RawProtocol {
  /** Whole frames as they came. Those of the events that end a stream are all that were left, the last one can lack its end. */
  readonly bytes: Uint8Array
  /** The events that the frames were decoded to. */
  readonly events: ReadonlyArray<ChatEvent>
}

/** Attaches to new events the bytes that they were decoded from; none for events that the end of the stream made. */
export const withRawBytes = (
  { isFaithful, protocol }: RawProtocol,
  bytes: Uint8Array,
  events: ReadonlyArray<ChatEvent>
): Chunk.Chunk<ChatEvent> => {
  const [first] = events
  if (first !== undefined) {
    // Changes the event instead of copying it, so that most comparisons end at identical objects.
    const carrier: ChatEvent & { [RawResponseId]?: RawResponse } = first
    carrier[RawResponseId] = { protocol, isFaithful, bytes, events }
  }
  return Chunk.unsafeFromArray(events)
}

const isCarrier = (event: ChatEvent): event is ChatEvent & Carrier<RawResponse> =>
  Predicate.hasProperty(event, RawResponseId)

/** The bytes of these events; undefined when there are none of this protocol or the events were changed. */
export const relayOf = (protocol: string, events: Chunk.Chunk<ChatEvent>): RawResponse | undefined => {
  if (Chunk.isEmpty(events)) return undefined
  const first = Chunk.unsafeHead(events)
  if (!isCarrier(first)) return undefined
  const raw = first[RawResponseId]
  const isUnchanged =
    raw.protocol === protocol &&
    raw.events.length === events.length &&
    raw.events.every((decoded, index) => hasSameFields(Chunk.unsafeGet(events, index), decoded, ignoredInEvents))
  return isUnchanged ? raw : undefined
}

// -------------------------------------------------------------------------------------
// errors within streams
// -------------------------------------------------------------------------------------

/** A frame with which a provider ended its stream. */
export interface RawError extends RawProtocol {
  readonly bytes: Uint8Array
}

const rawErrors = new WeakMap<LLMError, RawError>()

/** Keeps the frame in which the provider reported this error. */
export const keepRawError = (raw: RawError, error: LLMError): void => {
  rawErrors.set(error, raw)
}

/** The frame of this error; undefined when it came in none of this protocol. */
export const rawErrorOf = (protocol: string, error: LLMError): RawError | undefined => {
  const raw = rawErrors.get(error)
  return raw?.protocol === protocol ? raw : undefined
}

// -------------------------------------------------------------------------------------
// whole answers
// -------------------------------------------------------------------------------------

type WholeAnswer = ChatResponse | EmbeddingResponse

export interface RawText<A = ChatResponse> extends RawProtocol {
  readonly text: string
  /** The answer that the text was decoded to. */
  readonly response: A
}

const carriesText = <A extends WholeAnswer>(response: A): response is A & Carrier<RawText<A>> =>
  Predicate.hasProperty(response, RawResponseId)

/** Attaches to a new answer the text that it was decoded from. */
export const withRawText = <A extends WholeAnswer>(
  { isFaithful, protocol }: RawProtocol,
  text: string,
  response: A
): A =>
  Object.assign(response, { [RawResponseId]: { protocol, isFaithful, text, response } } satisfies Carrier<RawText<A>>)

/** The text of this answer; undefined when there is none or the answer was changed. */
export const unchangedText = <A extends WholeAnswer>(response: A): RawText<A> | undefined => {
  if (!carriesText(response)) return undefined
  const raw = response[RawResponseId]
  return hasSameFields(response, raw.response, ignoredInAnswers) ? raw : undefined
}

/** The text of this answer in this protocol; undefined when there is none or the answer was changed. */
export const textOf = <A extends WholeAnswer>(protocol: string, response: A): RawText<A> | undefined => {
  const raw = unchangedText(response)
  return raw?.protocol === protocol ? raw : undefined
}
