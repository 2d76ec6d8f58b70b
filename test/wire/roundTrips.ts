/** Through a wire and back, for laws that hold of any wire. */
import { Either } from "effect"
import type { ChatResponse } from "../../src/Chat.js"
import * as ChatEvent from "../../src/ChatEvent.js"
import type { AnswerSource, Frame, Wire, WireEvent, WireFailure } from "../../src/wire/Wire.js"

export const source: AnswerSource = { provider: "acme", model: "asked", estimatedInputTokens: 3 }

export const got = <A>(result: Either.Either<A, WireFailure>): A =>
  Either.getOrThrowWith(result, (failure) => new Error(JSON.stringify(failure)))

export const failureOf = (result: Either.Either<unknown, WireFailure>): WireFailure | undefined =>
  Either.match(result, { onLeft: (failure) => failure, onRight: () => undefined })

/** Through the network and back. */
export const sent = (body: unknown): unknown => JSON.parse(JSON.stringify(body))

/** What a client reads of a whole answer; what only the client knows is as in the answer that was written. */
export const whole = (wire: Wire, response: ChatResponse): ChatResponse => ({
  ...got(wire.decodeResponse(sent(wire.encodeResponse(response)), source)),
  provider: response.provider,
  latency: response.latency,
  keyId: response.keyId,
  attempts: response.attempts
})

/** The frames of a stream, or why it cannot be read. */
export const read = (
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

/** The answer that a client collects of a stream. */
export const collected = (wire: Wire, frames: ReadonlyArray<Frame>, of: ChatResponse): ChatResponse => {
  const decoder = wire.decodeStream(source)
  const out: Array<WireEvent> = []
  for (const frame of frames) {
    const failure = decoder.push(frame, out)
    if (failure !== undefined) throw new Error(JSON.stringify(failure))
  }
  decoder.end(out)
  const said = out.reduce((all, event: ChatEvent.ChatEvent) => ChatEvent.append(all, event), ChatEvent.nothing)
  if (said.finish === undefined || decoder.state !== "done") throw new Error("the stream has no end")
  return {
    ...of,
    id: decoder.id,
    model: decoder.model,
    text: said.text,
    reasoning: said.reasoningParts.map((part) => part.text).join(""),
    reasoningParts: said.reasoningParts,
    refusal: said.refusal,
    toolCalls: said.toolCalls,
    finishReason: said.finish.reason,
    rawFinishReason: said.finish.rawReason,
    usage: said.finish.usage,
    providerMetadata: said.finish.providerMetadata
  }
}

const pieces = (text: string, size: number): ReadonlyArray<string> =>
  text === ""
    ? [""]
    : Array.from({ length: Math.ceil(text.length / size) }, (_, at) => text.slice(at * size, (at + 1) * size))

const broken = (event: ChatEvent.ChatEvent, size: number): ReadonlyArray<ChatEvent.ChatEvent> => {
  switch (event._tag) {
    case "TextDelta":
    case "RefusalDelta":
    case "ReasoningDelta":
      return pieces(event.text, size).map((text): ChatEvent.ChatEvent => Object.assign({}, event, { text }))
    case "ToolCallDelta":
      return pieces(event.argumentsDelta, size).map((argumentsDelta): ChatEvent.ChatEvent =>
        Object.assign({}, event, { argumentsDelta })
      )
    default:
      return [event]
  }
}

/** The same events in pieces of some characters. */
export const dribbled = (
  events: ReadonlyArray<ChatEvent.ChatEvent>,
  size: number
): ReadonlyArray<ChatEvent.ChatEvent> => events.flatMap((event) => broken(event, size))

export const written = (
  wire: Wire,
  events: ReadonlyArray<ChatEvent.ChatEvent>,
  request: Record<string, unknown> = {}
): ReadonlyArray<Frame> => {
  const encoder = wire.encodeStream(request)
  return events.flatMap((event) => encoder.push(event))
}
