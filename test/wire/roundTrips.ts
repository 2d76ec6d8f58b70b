/** Through a wire and back, for laws that hold of any wire. */
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

/** Through the network and back. */
export const jsonRoundTrip = (body: unknown): unknown => JSON.parse(JSON.stringify(body))

/** What a client reads of a whole answer; what only the client knows is as in the answer that was written. */
export const responseRoundTrip = (wire: Wire, response: ChatResponse): ChatResponse => ({
  ...getOrThrow(wire.decodeResponse(jsonRoundTrip(wire.encodeResponse(response)), source)),
  provider: response.provider,
  latency: response.latency,
  keyId: response.keyId,
  attempts: response.attempts
})

/** The frames of a stream, or why it cannot be read. */
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

/** What a client reads of a stream: up to a failure or the end. */
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
 * The answer that a client collects of a stream. What only the client knows is as in `of`. A stream ends with words of its
 * protocol, or else with its connection.
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

/** What is taken to be consumed by an answer where nobody counted. */
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

/** One event in pieces; a thought is signed at its end. */
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

/** The same events in pieces of some characters. */
export const splitDeltas = (
  events: ReadonlyArray<ChatEvent.ChatEvent>,
  size: number
): ReadonlyArray<ChatEvent.ChatEvent> => events.flatMap((event) => splitEvent(event, size))

/** The same, with the pieces of parallel calls in turns. */
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

/** A text in two pieces, of which the second may be empty. */
export const halves = (text: string): ReadonlyArray<string> => {
  const middle = Math.ceil(text.length / 2)
  return [text.slice(0, middle), text.slice(middle)]
}

/** A message as a server reads it: who thought is not told, but in whose protocol where the wire has words of its own. */
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
