/** Round trips through a wire, for laws that every wire keeps. */
import { Either } from "effect"
import type { ChatResponse, Message } from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import type { AnswerSource, Frame, Wire, WireEvent, WireFailure } from "../../src/wire/Wire.js"

export const source: AnswerSource = { provider: "acme", model: "asked", estimatedInputTokens: 3 }

export const getOrThrow = <A>(result: Either.Either<A, WireFailure>): A =>
  Either.getOrThrowWith(result, (failure) => new Error(JSON.stringify(failure)))

export const failureOf = (result: Either.Either<unknown, WireFailure>): WireFailure | undefined =>
  Either.match(result, { onLeft: (failure) => failure, onRight: () => undefined })

/** Writes a body as JSON text and reads it back, as the network does. */
export const jsonRoundTrip = (body: unknown): unknown => JSON.parse(JSON.stringify(body))

/** Writes a response as the server and reads it as the client. The fields that only a client sets are copied. */
export const responseRoundTrip = (wire: Wire, response: ChatResponse): ChatResponse => ({
  ...getOrThrow(wire.decodeResponse(jsonRoundTrip(wire.encodeResponse(response)), source)),
  provider: response.provider,
  latency: response.latency,
  keyId: response.keyId,
  attempts: response.attempts
})

/** Reads all frames and the end of a stream: its events and the failure, if any. */
export const readFrames = (
  wire: Wire,
  frames: ReadonlyArray<Frame>
): { readonly events: ReadonlyArray<WireEvent>; readonly failure: WireFailure | undefined } => {
  const decoder = wire.decodeStream(source)
  const events: Array<WireEvent> = []
  for (const frame of frames) {
    const failure = decoder.push(frame, events)
    if (failure !== undefined) return { events, failure }
  }
  return { events, failure: decoder.end(events) }
}

/** What a decoder returned for a stream, up to a failure or the end. */
export interface DecodedStream {
  readonly out: ReadonlyArray<WireEvent>
  readonly failure: WireFailure | undefined
  readonly state: string
  readonly id: string
  readonly model: string
}

export const readStream = (wire: Wire, frames: ReadonlyArray<Frame>, target: AnswerSource = source): DecodedStream => {
  const decoder = wire.decodeStream(target)
  const out: Array<WireEvent> = []
  let failure: WireFailure | undefined
  for (const next of frames) {
    failure = decoder.push(next, out)
    if (failure !== undefined || decoder.state === "done") break
  }
  if (failure === undefined && decoder.state !== "done") failure = decoder.end(out)
  return { out, failure, state: decoder.state, id: decoder.id, model: decoder.model }
}

export const fold = (events: ReadonlyArray<ChatEvent.ChatEvent>) => events.reduce(ChatEvent.append, ChatEvent.nothing)

/**
 * The response that a client collects from a stream. The fields that only a client sets are copied from `target`. The stream
 * must end with an event of its protocol, or at the end of the connection.
 */
export const collectStream = (
  wire: Wire,
  frames: ReadonlyArray<Frame>,
  target: ChatResponse,
  ending: "event" | "connection" = "connection"
): ChatResponse => {
  const decoder = wire.decodeStream(source)
  const out: Array<WireEvent> = []
  for (const frame of frames) {
    const failure = decoder.push(frame, out)
    if (failure !== undefined) throw new Error(JSON.stringify(failure))
  }
  const failure = ending === "event" ? undefined : decoder.end(out)
  if (failure !== undefined) throw new Error(JSON.stringify(failure))
  const collected = fold(out)
  if (collected.finish === undefined || decoder.state !== "done") throw new Error("the stream has no end")
  return {
    ...target,
    id: decoder.id,
    model: decoder.model,
    text: collected.text,
    reasoning: collected.reasoningParts.map((part) => part.text).join(""),
    reasoningParts: collected.reasoningParts,
    refusal: collected.refusal,
    toolCalls: collected.toolCalls,
    finishReason: collected.finish.reason,
    rawFinishReason: collected.finish.rawReason,
    usage: collected.finish.usage,
    providerMetadata: collected.finish.providerMetadata
  }
}

/** The usage that a client estimates for a response without counts. */
export const estimatedUsage = ({ reasoning, refusal, text, toolCalls }: ChatResponse): Usage.Usage =>
  Usage.make({
    inputTokens: source.estimatedInputTokens,
    outputTokens: Usage.estimateTokens(reasoning + text + refusal + toolCalls.map((call) => call.arguments).join("")),
    estimated: true
  })

const splitText = (text: string, size: number): ReadonlyArray<string> =>
  text === ""
    ? [""]
    : Array.from({ length: Math.ceil(text.length / size) }, (_, at) => text.slice(at * size, (at + 1) * size))

/** One event split into deltas; the last delta of a reasoning part has its signature. */
const splitEvent = (event: ChatEvent.ChatEvent, size: number): ReadonlyArray<ChatEvent.ChatEvent> => {
  switch (event._tag) {
    case "TextDelta":
    case "RefusalDelta":
      return splitText(event.text, size).map((text): ChatEvent.ChatEvent => Object.assign({}, event, { text }))
    case "ReasoningDelta": {
      const { signature, ...rest } = event
      const chunks = splitText(event.text, size)
      const signed = signature === undefined ? {} : { signature }
      return chunks.map((text, at): ChatEvent.ChatEvent =>
        Object.assign({}, rest, { text }, at === chunks.length - 1 ? signed : {})
      )
    }
    case "ToolCallDelta":
      return splitText(event.argumentsDelta, size).map((argumentsDelta): ChatEvent.ChatEvent =>
        Object.assign({}, event, { argumentsDelta })
      )
    default:
      return [event]
  }
}

/** The same events in deltas of at most `size` characters. */
export const splitDeltas = (
  events: ReadonlyArray<ChatEvent.ChatEvent>,
  size: number
): ReadonlyArray<ChatEvent.ChatEvent> => events.flatMap((event) => splitEvent(event, size))

/** The same, with the deltas of parallel tool calls interleaved. */
export const interleaveToolCalls = (
  events: ReadonlyArray<ChatEvent.ChatEvent>,
  size: number
): ReadonlyArray<ChatEvent.ChatEvent> => {
  const isCall = (event: ChatEvent.ChatEvent) => event._tag === "ToolCallDelta"
  const calls = events.filter(isCall).map((event) => splitEvent(event, size))
  const longest = Math.max(0, ...calls.map((call) => call.length))
  const interleaved = Array.from({ length: longest }, (_, at) => calls.flatMap((call) => call.slice(at, at + 1))).flat()
  const others = splitDeltas(
    events.filter((event) => !isCall(event)),
    size
  )
  const end = others.findIndex((event) => event._tag === "ToolCallEnd" || event._tag === "Finish")
  return [...others.slice(0, end), ...interleaved, ...others.slice(end)]
}

/** A text in two halves; the second can be empty. */
export const halves = (text: string): ReadonlyArray<string> => {
  const middle = Math.ceil(text.length / 2)
  return [text.slice(0, middle), text.slice(middle)]
}

/** A message as a server reads it: reasoning has no provider, but is native to the wire when `wire` is given. */
export const asReadByServer =
  (wire?: string) =>
  (message: Message): Message => {
    if (message.role !== "assistant" || typeof message.content === "string") return message
    const content = message.content.map((part) => {
      if (part.type !== "reasoning") return part
      const { provider: _, ...reasoning } = part
      return wire === undefined ? reasoning : { ...reasoning, native: { [wire]: {} } }
    })
    return { ...message, content }
  }

export const writeFrames = (
  wire: Wire,
  events: ReadonlyArray<ChatEvent.ChatEvent>,
  request: Record<string, unknown> = {}
): ReadonlyArray<Frame> => {
  const encoder = wire.encodeStream(request)
  return events.flatMap((event) => encoder.push(event))
}
