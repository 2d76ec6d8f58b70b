/** The order of parts through every wire: whole answers, streams and requests. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import type { AssistantPart, ChatResponse, Message, ProviderPart } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as Gemini from "../../src/wire/Gemini.js"
import * as Ollama from "../../src/wire/Ollama.js"
import * as Responses from "../../src/wire/Responses.js"
import type { Wire, WireEvent } from "../../src/wire/Wire.js"
import * as DashScope from "../support/dashscope.js"
import { chatResponse, content } from "./generators.js"
import { inOneField, inStreamOrder, withReversedEnds } from "./plainParts.js"
import {
  collectStream,
  getOrThrow,
  inFields,
  interleaveToolCalls,
  joinTexts,
  jsonRoundTrip,
  responseRoundTrip,
  splitDeltas,
  withAdjacentJoined,
  writeFrames
} from "./roundTrips.js"

type Parts = ReadonlyArray<AssistantPart>

type Change = (parts: Parts) => Parts

/** How one wire holds the parts of an answer. */
interface Holding {
  readonly wire: Wire
  /** Native fields of parts that only this protocol has. */
  readonly own: ReadonlyArray<Chat.Native>
  /** Makes parts that the protocol can hold of any parts, in the same order. */
  readonly allowed: Change
  /** What a whole answer keeps. */
  readonly whole: Change
  /** What a message of a request keeps; by default as much as a whole answer. */
  readonly sent?: Change
  /** What a stream keeps. */
  readonly stream: Change
  /** The request of a stream. */
  readonly request: (response: ChatResponse) => Record<string, unknown>
}

// -------------------------------------------------------------------------------------
// parts that a protocol can hold
// -------------------------------------------------------------------------------------

/** Texts that are not blank, and of which none begins like another: the index of the part comes first. */
const distinctTexts: Change = (parts) =>
  parts.map((part, index) =>
    part.type === "tool-call" || part.type === "provider" || part.text === ""
      ? part
      : { ...part, text: `${index}${part.text}` }
  )

/** Reasoning with the fields that every protocol takes back: an id, and a signature in base64. */
const signedReasoning: Change = (parts) =>
  parts.map((part, index) =>
    part.type === "reasoning"
      ? {
          type: "reasoning",
          text: part.text,
          id: `rs_${index}`,
          signature: btoa(`signature ${index}`),
          provider: "acme"
        }
      : part
  )

/** Calls of functions whose arguments are JSON objects. */
const functionCalls: Change = (parts) =>
  parts.map((part) =>
    part.type === "tool-call" ? Chat.toolCall(part.id, part.name, JSON.stringify({ text: part.arguments })) : part
  )

/** Refusals are texts in protocols without a field for them. */
const refusalsAsText: Change = (parts) => parts.map((part) => (part.type === "refusal" ? Chat.text(part.text) : part))

/** Parts of other protocols are left out. */
const withoutForeign: Change = (parts) =>
  parts.filter((part) => part.type !== "provider" || part.native["foreign"] === undefined)

const inTurn =
  (...changes: ReadonlyArray<Change>): Change =>
  (parts) =>
    changes.reduce((changed, change) => change(changed), parts)

// -------------------------------------------------------------------------------------
// wires
// -------------------------------------------------------------------------------------

/**
 * Chat Completions has fields for reasoning, content, refusal and calls. The content is a text, or a list when it has entries other
 * than texts.
 */
const chatFields: Change = (parts) => {
  const entries = parts.filter((part) => part.type === "text" || part.type === "provider")
  if (entries.every((part) => part.type === "text")) return inFields(parts)
  const [before, after] = [new Set(["reasoning"]), new Set(["refusal", "tool-call"])]
  const fields = inFields(parts)
  return [...fields.filter(({ type }) => before.has(type)), ...entries, ...fields.filter(({ type }) => after.has(type))]
}

const noRequest = () => ({})

const holdings: ReadonlyArray<Holding> = [
  {
    wire: Anthropic.make(),
    own: [
      { "anthropic-messages": { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} } },
      { "anthropic-messages": { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] } }
    ],
    allowed: inTurn(distinctTexts, signedReasoning, functionCalls),
    whole: refusalsAsText,
    stream: refusalsAsText,
    request: noRequest
  },
  {
    wire: ChatCompletions.make({ history: "reasoning_details", assistantFields: ["refusal"] }),
    own: [{ "chat-completions": { type: "reference", reference_ids: [1] } }],
    allowed: signedReasoning,
    whole: chatFields,
    stream: withAdjacentJoined,
    request: ({ toolCalls }) => ({
      stream_options: { include_usage: true },
      tools: toolCalls.filter((call) => call.custom === true).map(({ name }) => ({ type: "custom", custom: { name } }))
    })
  },
  {
    wire: Responses.make(),
    own: [
      { responses: { item: { type: "web_search_call", id: "ws_1", status: "completed" } } },
      { responses: { item: { type: "compaction", id: "cmp_1", encrypted_content: "AAAA" } } }
    ],
    allowed: signedReasoning,
    whole: inTurn(),
    sent: joinTexts,
    stream: inTurn(),
    request: noRequest
  },
  {
    wire: Gemini.make(),
    own: [
      { gemini: { executableCode: { language: "PYTHON", code: "1+1" } } },
      { gemini: { codeExecutionResult: { outcome: "OUTCOME_OK", output: "2" } } }
    ],
    allowed: inTurn(signedReasoning, functionCalls),
    whole: inTurn(refusalsAsText, withAdjacentJoined),
    stream: inTurn(refusalsAsText, withAdjacentJoined),
    request: noRequest
  },
  {
    wire: Ollama.make(),
    own: [],
    allowed: functionCalls,
    whole: (parts) => inOneField(parts),
    stream: (parts) => inStreamOrder(parts),
    request: noRequest
  },
  {
    wire: DashScope.make(),
    own: [],
    allowed: inTurn(distinctTexts, functionCalls),
    whole: (parts) => inOneField(parts),
    stream: (parts) => inStreamOrder(parts),
    request: () => ({ parameters: { incremental_output: true } })
  }
]

/** The parts without the ids and fields that a wire adds to them. */
const order = (parts: Parts): ReadonlyArray<unknown> =>
  parts.map((part) => {
    switch (part.type) {
      case "text":
      case "refusal":
        return [part.type, part.text]
      case "reasoning":
        return [part.type, part.text, part.signature]
      case "tool-call":
        return [part.type, part.id, part.name, part.arguments, part.custom]
      case "provider":
        return [part.type, part.native]
    }
  })

const isOfCall = (event: ChatEvent.ChatEvent): boolean => event._tag === "ToolCallDelta" || event._tag === "ToolCallEnd"

/** The events with everything of the calls but their first deltas at the end, as of a provider that ends all calls at once. */
const withOpenCalls = (events: ReadonlyArray<ChatEvent.ChatEvent>): ReadonlyArray<ChatEvent.ChatEvent> => {
  const first = new Map(
    events.flatMap((event) => (event._tag === "ToolCallDelta" ? [[event.index, event] as const] : [])).toReversed()
  )
  const stays = (event: ChatEvent.ChatEvent) =>
    !isOfCall(event) || ("index" in event && first.get(event.index) === event)
  return [...events.slice(0, -1).filter(stays), ...events.filter((event) => !stays(event)), ...events.slice(-1)]
}

/** Parts in any order, among them some that only this protocol or only another has. */
const partsOf = ({ allowed, own }: Holding): FastCheck.Arbitrary<Parts> => {
  const native = FastCheck.constantFrom<Chat.Native[]>({ foreign: { type: "opaque" } }, ...own)
  const provided = native.map((fields): ProviderPart => ({ type: "provider", native: fields, provider: "acme" }))
  return content("acme", FastCheck.uniqueArray(provided, { maxLength: 2, selector: (part) => part.native })).map(
    allowed
  )
}

const responsesOf = (holding: Holding): FastCheck.Arbitrary<ChatResponse> =>
  FastCheck.tuple(chatResponse("acme"), partsOf(holding)).map(([response, parts]) =>
    Chat.withContent(
      {
        ...response,
        ...(Chat.toolCallsOf(parts).length === 0
          ? { finishReason: "stop" as const, rawFinishReason: "stop" }
          : { finishReason: "tool-calls" as const, rawFinishReason: "tool_calls" }),
        providerMetadata: {}
      },
      parts
    )
  )

describe.each(holdings.map((holding) => [holding.wire.name, holding] as const))("order of parts: %s", (_, holding) => {
  const { request, stream, whole, sent = whole, wire } = holding
  const responses = responsesOf(holding)
  const size = FastCheck.integer({ min: 1, max: 5 })

  /** The content that a client collects from a stream of these events. */
  const streamed = (response: ChatResponse, events: ReadonlyArray<ChatEvent.ChatEvent>): Parts =>
    collectStream(wire, writeFrames(wire, events, request(response)), response).content

  it.prop("a whole answer keeps the order of its parts", [responses], ([response]) => {
    expect(order(responseRoundTrip(wire, response).content)).toEqual(order(whole(withoutForeign(response.content))))
  })

  it.prop(
    "a stream keeps the order of its parts, whole, split and interleaved",
    [responses, size],
    ([response, size]) => {
      const events = ChatEvent.fromResponse(response)
      const expected = order(stream(withoutForeign(response.content)))
      expect(order(streamed(response, events))).toEqual(expected)
      expect(order(streamed(response, splitDeltas(events, size)))).toEqual(expected)
      expect(order(streamed(response, interleaveToolCalls(events, size)))).toEqual(expected)
      expect(order(streamed(response, withReversedEnds(interleaveToolCalls(events, size))))).toEqual(expected)
    }
  )

  it.prop(
    "a stream keeps the order of its parts when calls stay open until its end",
    [responses, size],
    ([response, size]) => {
      // A protocol with a list of calls can send a call after a text that began later.
      const parts = streamed(response, withOpenCalls(splitDeltas(ChatEvent.fromResponse(response), size)))
      expect(order(stream(whole(parts)))).toEqual(order(stream(whole(withoutForeign(response.content)))))
    }
  )

  it.prop("a stream collects to the parts of the whole answer", [responses], ([response]) => {
    const collected = streamed(response, ChatEvent.fromResponse(response))
    // Adjacent texts of a stream can be one part, which are several in a list of entries.
    expect(order(stream(whole(collected)))).toEqual(order(stream(responseRoundTrip(wire, response).content)))
  })

  it.prop(
    "the events of a stream number the parts in the order in which they begin, without gaps",
    [responses, size],
    ([response, size]) => {
      const decoder = wire.decodeStream({ provider: "acme", model: "asked", estimatedInputTokens: 0 })
      const events: Array<WireEvent> = []
      for (const frame of writeFrames(
        wire,
        interleaveToolCalls(ChatEvent.fromResponse(response), size),
        request(response)
      )) {
        expect(decoder.push(frame, events)).toBeUndefined()
      }
      expect(decoder.state === "done" ? undefined : decoder.end(events)).toBeUndefined()
      const indexes = events.flatMap((event) => ("index" in event ? [event.index] : []))
      const begun = indexes.filter((index, at) => indexes.indexOf(index) === at)
      expect(begun).toEqual(begun.map((_, position) => position))
    }
  )

  /** A conversation with the answer and the results of its calls. The answer does not end with reasoning, which is not sent back. */
  const conversationOf = (parts: Parts): ReadonlyArray<Message> => {
    const calls = Chat.toolCallsOf(parts)
    return [
      Chat.user("Hi"),
      Chat.assistant(parts),
      ...(calls.length === 0 ? [Chat.user("Go on.")] : calls.map((call) => Chat.toolResult(call, "done")))
    ]
  }

  const answers = partsOf(holding).map((parts): Parts => [...parts, Chat.text("last")])

  const peer = { provider: "acme", model: "asked", stream: false }

  const encoded = (messages: ReadonlyArray<Message>) =>
    getOrThrow(wire.encodeRequest({ model: "asked", messages }, peer))

  const decoded = ({ body, headers = {}, path }: ReturnType<typeof encoded>) =>
    getOrThrow(wire.decodeRequest(jsonRoundTrip(body), { path, headers })).request

  const answersOf = (messages: ReadonlyArray<Message>): Parts =>
    messages.flatMap((message) =>
      message.role !== "assistant"
        ? []
        : typeof message.content === "string"
          ? [Chat.text(message.content)]
          : message.content
    )

  it.prop("a request keeps the order of the parts of an answer", [answers], ([parts]) => {
    expect(order(answersOf(decoded(encoded(conversationOf(parts))).messages))).toEqual(
      order(sent(withoutForeign(parts)))
    )
  })

  it.prop("a request is written with the same blocks in the same order after it was read", [answers], ([parts]) => {
    const written = encoded(conversationOf(whole(withoutForeign(parts))))
    expect(encoded(decoded(written).messages).body).toEqual(written.body)
  })
})
