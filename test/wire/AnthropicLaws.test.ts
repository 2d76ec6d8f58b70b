/** What is written reads back as what was meant, whole and as a stream. */
import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import type { ChatResponse, FinishReason } from "../../src/Chat.js"
import * as ChatEvent from "../../src/ChatEvent.js"
import * as Usage from "../../src/Usage.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import type { Frame, WireEvent } from "../../src/wire/Wire.js"
import { name, objects, sent, thought, toolCalls, words } from "./anthropicGenerators.js"

const wire = Anthropic.make()
const source = { provider: "acme", model: "asked", estimatedInputTokens: 3 }

const is = FastCheck.constant
const oneOf = FastCheck.constantFrom

const usage = FastCheck.tuple(FastCheck.nat(1000), FastCheck.nat(1000), FastCheck.nat(1000), FastCheck.nat(1000)).map(
  ([cached, written, thought, said]) =>
    Usage.make({
      inputTokens: cached + written + 1,
      outputTokens: thought + said,
      cachedInputTokens: cached,
      cacheWriteTokens: written,
      reasoningTokens: thought
    })
)

const endings: Readonly<Record<string, FinishReason>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  refusal: "content-filter",
  pause_turn: "other",
  "": "other"
}

const drafts = (args: FastCheck.Arbitrary<string>) =>
  FastCheck.record({
    id: FastCheck.stringMatching(/^msg_[0-9a-f]{4}$/),
    model: name,
    text: FastCheck.oneof(is(""), words),
    reasoningParts: FastCheck.array(thought("acme"), { maxLength: 3 }),
    toolCalls: toolCalls(args),
    usage,
    raw: oneOf(...Object.keys(endings)),
    metadata: FastCheck.record(
      {
        stop_sequence: words,
        container: is({ id: "container_1" }),
        usage: is({ service_tier: "standard", server_tool_use: { web_search_requests: 1 } }),
        blocks: is([
          { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "rain" } },
          { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] }
        ])
      },
      { requiredKeys: [] }
    ),
    cited: FastCheck.boolean()
  })

type Draft = ReturnType<typeof drafts> extends FastCheck.Arbitrary<infer A> ? A : never

/** A text is cited where nothing came after it: a stream tells the sources before it goes on. */
const answerOf = ({ cited, metadata, raw, ...draft }: Draft): ChatResponse => {
  const ending = draft.toolCalls.length === 0 || endings[raw] === "length" ? raw : "tool_use"
  return {
    ...draft,
    provider: "acme",
    reasoning: draft.reasoningParts.map((part) => part.text).join(""),
    refusal: "",
    finishReason: endings[ending] ?? "tool-calls",
    rawFinishReason: ending,
    latency: 0,
    keyId: "k",
    attempts: [],
    providerMetadata: {
      ...metadata,
      ...(cited && draft.text !== "" && draft.toolCalls.length === 0
        ? { citations: [{ type: "char_location", cited_text: "Rain.", document_index: 0 }] }
        : {})
    }
  }
}

const answers = drafts(objects).map(answerOf)

const cutAnswers = drafts(words).map(answerOf)

/** The answer that a client collects of a stream. */
const collected = (frames: ReadonlyArray<Frame>): ChatResponse => {
  const decoder = wire.decodeStream(source)
  const out: Array<WireEvent> = []
  for (const frame of frames) {
    const failure = decoder.push(frame, out)
    if (failure !== undefined) throw new Error(JSON.stringify(failure))
  }
  const said = out.reduce(ChatEvent.append, ChatEvent.nothing)
  if (said.finish === undefined || decoder.state !== "done") throw new Error("the stream has no end")
  return {
    id: decoder.id,
    provider: "acme",
    model: decoder.model,
    text: said.text,
    reasoning: said.reasoningParts.map((part) => part.text).join(""),
    reasoningParts: said.reasoningParts,
    refusal: said.refusal,
    toolCalls: said.toolCalls,
    finishReason: said.finish.reason,
    rawFinishReason: said.finish.rawReason,
    usage: said.finish.usage,
    latency: 0,
    keyId: "k",
    attempts: [],
    providerMetadata: said.finish.providerMetadata
  }
}

const stream = (events: ReadonlyArray<ChatEvent.ChatEvent>): ReadonlyArray<Frame> => {
  const encoder = wire.encodeStream({})
  return events.flatMap((event) => encoder.push(event))
}

const pieces = (text: string, size: number): ReadonlyArray<string> =>
  text === ""
    ? [""]
    : Array.from({ length: Math.ceil(text.length / size) }, (_, at) => text.slice(at * size, (at + 1) * size))

/** One event in pieces; a thought is signed at its end. */
const broken = (event: ChatEvent.ChatEvent, size: number): ReadonlyArray<ChatEvent.ChatEvent> => {
  switch (event._tag) {
    case "TextDelta":
      return pieces(event.text, size).map((text): ChatEvent.ChatEvent => Object.assign({}, event, { text }))
    case "ReasoningDelta": {
      const { signature, ...rest } = event
      const told = pieces(event.text, size)
      const seal = signature === undefined ? {} : { signature }
      return told.map((text, at): ChatEvent.ChatEvent =>
        Object.assign({}, rest, { text }, at === told.length - 1 ? seal : {})
      )
    }
    case "ToolCallDelta":
      return pieces(event.argumentsDelta, size).map((argumentsDelta): ChatEvent.ChatEvent =>
        Object.assign({}, event, { argumentsDelta })
      )
    default:
      return [event]
  }
}

/** The same events in pieces of some characters, those of parallel calls in turns. */
const dribbled = (events: ReadonlyArray<ChatEvent.ChatEvent>, size: number): ReadonlyArray<ChatEvent.ChatEvent> => {
  const isCall = (event: ChatEvent.ChatEvent) => event._tag === "ToolCallDelta"
  const calls = events.filter(isCall).map((event) => broken(event, size))
  const longest = Math.max(0, ...calls.map((call) => call.length))
  const turns = Array.from({ length: longest }, (_, at) => calls.flatMap((call) => call.slice(at, at + 1))).flat()
  const others = events.filter((event) => !isCall(event)).flatMap((event) => broken(event, size))
  const end = others.findIndex((event) => event._tag === "ToolCallEnd" || event._tag === "Finish")
  return [...others.slice(0, end), ...turns, ...others.slice(end)]
}

/** What every reader of the protocol may rely on: blocks count up, and one is closed before the next is opened. */
const isInOrder = (frames: ReadonlyArray<Frame>): boolean => {
  let open: number | undefined
  let next = 0
  return frames
    .map((frame) => JSON.parse(frame.data))
    .every(({ index, type }) => {
      switch (type) {
        case "content_block_start": {
          const fits = open === undefined && index === next
          open = index
          next += 1
          return fits
        }
        case "content_block_delta":
          return index === open
        case "content_block_stop": {
          const fits = index === open
          open = undefined
          return fits
        }
        default:
          return type !== "message_stop" || open === undefined
      }
    })
}

describe("whatever the answer", () => {
  it.prop("it reads back whole", [answers], ([answer]) => {
    const { attempts: _, keyId: __, latency: ___, provider: ____, ...said } = answer
    expect(wire.decodeResponse(sent(wire.encodeResponse(answer)), source)).toEqual(Either.right(said))
  })
  it.prop("it reads back from a stream, even where its calls were cut off", [cutAnswers], ([answer]) => {
    expect(collected(stream(ChatEvent.fromResponse(answer)))).toEqual(answer)
  })
  it.prop(
    "it reads back from a stream in pieces of any size",
    [cutAnswers, FastCheck.integer({ min: 1, max: 4 })],
    ([answer, size]) => {
      expect(collected(stream(dribbled(ChatEvent.fromResponse(answer), size)))).toEqual(answer)
    }
  )
  it.prop(
    "a stream of it tells one block after the other",
    [cutAnswers, FastCheck.integer({ min: 1, max: 4 })],
    ([answer, size]) => {
      expect(isInOrder(stream(dribbled(ChatEvent.fromResponse(answer), size)))).toBe(true)
    }
  )
  it.prop("a stream of its blocks says the same as the whole of it", [answers], ([answer]) => {
    const { content, stop_reason, stop_sequence, usage, ...message } = wire.encodeResponse(answer)
    const blocks = Array.isArray(content) ? content : []
    const frames = [
      { type: "message_start", message: { ...message, content: [] } },
      ...blocks.flatMap((content_block, index) => [
        { type: "content_block_start", index, content_block },
        { type: "content_block_stop", index }
      ]),
      { type: "message_delta", delta: { stop_reason, stop_sequence }, usage },
      { type: "message_stop" }
    ].map((event): Frame => ({ event: event.type, data: JSON.stringify(event) }))
    expect(collected(frames)).toEqual(answer)
  })
  it.prop("it is estimated where nobody counted", [answers], ([counted]) => {
    const answer = { ...counted, usage: { ...Usage.empty, estimated: true } }
    const whole = Either.getOrThrow(wire.decodeResponse(sent(wire.encodeResponse(answer)), source)).usage
    expect([whole.estimated, whole.inputTokens]).toEqual([true, 3])
    expect(collected(stream(ChatEvent.fromResponse(answer))).usage).toEqual(whole)
  })
})
