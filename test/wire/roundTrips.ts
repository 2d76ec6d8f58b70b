/** Round trips through a wire, for laws that every wire keeps. */
import { Either } from "effect"
import type { AssistantPart, ChatResponse, Message, RefusalPart, TextPart } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
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
  const { content, finish } = fold(out)
  if (finish === undefined || decoder.state !== "done") throw new Error("the stream has no end")
  return Chat.withContent(
    {
      ...target,
      id: decoder.id,
      model: decoder.model,
      finishReason: finish.reason,
      rawFinishReason: finish.rawReason,
      usage: finish.usage,
      providerMetadata: finish.providerMetadata
    },
    content
  )
}

/** The usage that a client estimates for a response without counts. */
export const estimatedUsage = (response: ChatResponse): Usage.Usage =>
  Usage.make({
    inputTokens: source.estimatedInputTokens,
    outputTokens: Usage.estimateTokens(ChatEvent.generatedText(response)),
    estimated: true
  })

const joinedTexts = (parts: ReadonlyArray<TextPart | RefusalPart>): string => parts.map(({ text }) => text).join("")

/** The parts in a protocol with one field for each kind: reasoning, one text, one refusal, then the tool calls. */
export const inFields = (content: ReadonlyArray<AssistantPart>): ReadonlyArray<AssistantPart> => {
  const text = joinedTexts(content.filter((part) => part.type === "text"))
  const refusal = joinedTexts(content.filter((part) => part.type === "refusal"))
  return [
    ...content.filter((part) => part.type === "reasoning"),
    ...(text === "" ? [] : [{ type: "text" as const, text }]),
    ...(refusal === "" ? [] : [{ type: "refusal" as const, text: refusal }]),
    ...content.filter((part) => part.type === "tool-call")
  ]
}

/** The parts in a protocol whose deltas do not say where a text begins: adjacent texts are one, and so are adjacent refusals. */
export const withAdjacentJoined = (content: ReadonlyArray<AssistantPart>): ReadonlyArray<AssistantPart> =>
  content.reduce<ReadonlyArray<AssistantPart>>((joined, part) => {
    const last = joined.at(-1)
    return (part.type === "text" && last?.type === "text") || (part.type === "refusal" && last?.type === "refusal")
      ? [...joined.slice(0, -1), { ...last, text: last.text + part.text }]
      : [...joined, part]
  }, [])

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

const isOfCall = (event: ChatEvent.ChatEvent): boolean => event._tag === "ToolCallDelta" || event._tag === "ToolCallEnd"

/** The deltas of a run of tool calls in turn, then their ends. */
const interleaveRun = (run: ReadonlyArray<ChatEvent.ChatEvent>, size: number): ReadonlyArray<ChatEvent.ChatEvent> => {
  const calls = run.filter((event) => event._tag === "ToolCallDelta").map((event) => splitEvent(event, size))
  const longest = Math.max(0, ...calls.map((call) => call.length))
  return [
    ...Array.from({ length: longest }, (_, at) => calls.flatMap((call) => call.slice(at, at + 1))).flat(),
    ...run.filter((event) => event._tag === "ToolCallEnd")
  ]
}

/** The same, with the deltas of adjacent tool calls interleaved. */
export const interleaveToolCalls = (
  events: ReadonlyArray<ChatEvent.ChatEvent>,
  size: number
): ReadonlyArray<ChatEvent.ChatEvent> => {
  const start = events.findIndex(isOfCall)
  if (start < 0) return splitDeltas(events, size)
  const after = events.slice(start).findIndex((event) => !isOfCall(event))
  const end = after < 0 ? events.length : start + after
  return [
    ...splitDeltas(events.slice(0, start), size),
    ...interleaveRun(events.slice(start, end), size),
    ...interleaveToolCalls(events.slice(end), size)
  ]
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

const isUnidentified = (part: AssistantPart | undefined): part is TextPart | RefusalPart =>
  (part?.type === "text" || part?.type === "refusal") && part.native === undefined

/** In Responses the texts of a message without an id are written as one, unless there is a refusal among them. */
export const joinTexts = (parts: ReadonlyArray<AssistantPart>): ReadonlyArray<AssistantPart> => {
  const messages: Array<Array<AssistantPart>> = []
  for (const part of parts) {
    const last = messages.at(-1)
    if (last !== undefined && isUnidentified(last[0]) && isUnidentified(part)) last.push(part)
    else messages.push([part])
  }
  return messages.flatMap((message) =>
    message.every((part) => part.type === "text") && isUnidentified(message[0])
      ? [Chat.text(Chat.textOf(message))]
      : message
  )
}
