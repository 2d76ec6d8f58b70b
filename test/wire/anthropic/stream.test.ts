import { describe, expect, it } from "@effect/vitest"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as Anthropic from "../../../src/wire/Anthropic.js"
import type { Frame, WireEvent } from "../../../src/wire/Wire.js"
import { type DecodedStream, fold, readStream } from "../roundTrips.js"

const wire = Anthropic.make()
const source = { provider: "acme", model: "claude-asked", estimatedInputTokens: 7 }

type Json = Readonly<Record<string, unknown>>

const frame = (event: Json): Frame => ({ event: String(event["type"]), data: JSON.stringify(event) })

const readEventFrames = (frames: ReadonlyArray<Frame>): DecodedStream => readStream(wire, frames, source)

const readEvents = (...stream: ReadonlyArray<Json>): DecodedStream => readEventFrames(stream.map(frame))

const start = (usage: Json = { input_tokens: 5, output_tokens: 1 }): Json => ({
  type: "message_start",
  message: {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-1",
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage
  }
})

const open = (index: number, content_block: Json): Json => ({ type: "content_block_start", index, content_block })

const delta = (index: number, fields: Json): Json => ({ type: "content_block_delta", index, delta: fields })

const close = (index: number): Json => ({ type: "content_block_stop", index })

const stopEvents = (
  stop_reason = "end_turn",
  usage: Json = { output_tokens: 9 },
  more: Json = {}
): ReadonlyArray<Json> => [
  { type: "message_delta", delta: { stop_reason, stop_sequence: null, ...more }, usage },
  { type: "message_stop" }
]

const text = (index: number, ...deltas: ReadonlyArray<string>): ReadonlyArray<Json> => [
  open(index, { type: "text", text: "" }),
  ...deltas.map((text) => delta(index, { type: "text_delta", text: text })),
  close(index)
]

const input = (index: number, ...deltas: ReadonlyArray<string>): ReadonlyArray<Json> =>
  deltas.map((partial_json) => delta(index, { type: "input_json_delta", partial_json }))

/** Fields that only Anthropic has, of an answer of the provider. */
const answered = (fields: Json) => ({ provider: "acme", native: { "anthropic-messages": fields } })

const contentOf = ({ out }: DecodedStream) => fold(out).content

const textOf = (stream: DecodedStream): string => Chat.textOf(contentOf(stream))

const callsOf = (stream: DecodedStream) => Chat.toolCallsOf(contentOf(stream))

describe("Anthropic stream decoder", () => {
  it("reads Anthropic text deltas, then one Finish with the reason and the usage", () => {
    const stream = readEvents(start(), { type: "ping" }, ...text(0, "Ra", "in."), ...stopEvents())
    expect([stream.id, stream.model, stream.state, stream.failure]).toEqual(["msg_1", "claude-1", "done", undefined])
    expect(stream.out).toEqual([
      { _tag: "TextDelta", index: 0, text: "Ra" },
      { _tag: "TextDelta", index: 0, text: "in." },
      {
        _tag: "Finish",
        reason: "stop",
        rawReason: "end_turn",
        usage: {
          inputTokens: 5,
          outputTokens: 9,
          totalTokens: 14,
          cachedInputTokens: 0,
          cacheWriteTokens: 0,
          reasoningTokens: 0,
          estimated: false
        },
        latency: 0,
        providerMetadata: {}
      }
    ])
  })
  it("numbers the parts in the order of their blocks, without the empty ones", () => {
    const call = { type: "tool_use", name: "now", input: {} }
    const stream = readEvents(
      start(),
      open(0, { type: "thinking", thinking: "", signature: "" }),
      delta(0, { type: "signature_delta", signature: "a" }),
      close(0),
      open(1, { type: "thinking", thinking: "", signature: "" }),
      close(1),
      open(2, { ...call, id: "toolu_1" }),
      close(2),
      ...text(3, ""),
      open(4, { type: "thinking", thinking: "B", signature: "b" }),
      close(4),
      open(5, { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} }),
      ...input(5, "{}"),
      close(5),
      ...text(6, "Ra", "in."),
      open(7, { ...call, id: "toolu_2" }),
      close(7),
      ...stopEvents("tool_use")
    )
    expect(stream.out.map((event) => [event._tag, "index" in event ? event.index : undefined])).toEqual([
      ["ReasoningDelta", 0],
      ["ToolCallEnd", 1],
      ["ReasoningDelta", 2],
      ["ProviderPart", 3],
      ["TextDelta", 4],
      ["TextDelta", 4],
      ["ToolCallEnd", 5],
      ["Finish", undefined]
    ])
  })
  it("skips empty deltas and unknown events and deltas, and reads unknown blocks as provider parts", () => {
    const stream = readEvents(
      start(),
      { type: "an_event_yet_to_come", text: "no" },
      ...text(0, "Rain.", ""),
      delta(0, { type: "text_delta", text: "" }),
      open(1, { type: "a_block_yet_to_come", a: 1 }),
      delta(1, { type: "a_delta_yet_to_come", b: 2 }),
      delta(1, { type: "text_delta", text: "no" }),
      close(1),
      ...stopEvents()
    )
    expect(stream.out.map((event) => event._tag)).toEqual(["TextDelta", "ProviderPart", "Finish"])
    expect(contentOf(stream)[1]).toEqual({ type: "provider", ...answered({ type: "a_block_yet_to_come", a: 1 }) })
  })
  it("ignores every frame after message_stop", () => {
    const decoder = wire.decodeStream(source)
    const out: Array<WireEvent> = []
    for (const event of [start(), ...text(0, "Rain."), ...stopEvents()]) decoder.push(frame(event), out)
    const before = out.length
    expect(decoder.push({ data: "not even JSON" }, out)).toBeUndefined()
    expect([decoder.end(out), out.length]).toEqual([undefined, before])
  })
  it("reads events by their SSE name alone or by their type field alone", () => {
    const events = [start(), ...text(0, "Rain."), ...stopEvents()]
    const nameless = readEventFrames(events.map((event) => ({ data: JSON.stringify(event) })))
    const typeless = readEventFrames(
      events.map(({ type, ...event }) => ({ event: String(type), data: JSON.stringify(event) }))
    )
    expect(nameless.out).toEqual(readEvents(...events).out)
    expect(typeless.out).toEqual(nameless.out)
  })
  it("reads text that content_block_start contains as the first delta", () => {
    const stream = readEvents(
      start(),
      open(0, { type: "text", text: "Ra" }),
      delta(0, { type: "text_delta", text: "in" }),
      ...stopEvents()
    )
    expect(textOf(stream)).toBe("Rain")
  })
  it("reads the blocks inside message_start, once even when message_start repeats", () => {
    const { message } = { message: {}, ...start() }
    const startWithContent = {
      type: "message_start",
      message: {
        ...message,
        content: [
          { type: "text", text: "Ra" },
          { type: "code_execution_tool_result", tool_use_id: "s1", content: [] },
          { type: "tool_use", id: "t1", name: "look", input: { at: "sky" } }
        ],
        stop_reason: "tool_use"
      }
    }
    const alone = readEvents(startWithContent, { type: "message_stop" })
    expect(alone.failure).toBeUndefined()
    const contentOfStart = [
      { type: "text", text: "Ra" },
      {
        type: "provider",
        ...answered({ type: "code_execution_tool_result", tool_use_id: "s1", content: [] })
      },
      { type: "tool-call", id: "t1", name: "look", arguments: '{"at":"sky"}' }
    ]
    expect(fold(alone.out)).toMatchObject({ content: contentOfStart, finish: { reason: "tool-calls" } })
    expect(contentOf(readEvents(startWithContent, startWithContent, ...text(0, "in"), ...stopEvents()))).toEqual([
      ...contentOfStart,
      { type: "text", text: "in" }
    ])
    expect(readEvents({ type: "message_start", message: { content: ["Rain"] } }).failure).toMatchObject({
      _tag: "Malformed",
      path: "message.content[0]"
    })
  })
  it("reads deltas of blocks that were never started", () => {
    const stream = readEvents(
      start(),
      delta(0, { type: "thinking_delta", thinking: "Hm." }),
      delta(1, { type: "text_delta", text: "Rain." }),
      delta(2, { type: "input_json_delta", partial_json: "{}" }),
      ...stopEvents()
    )
    expect(contentOf(stream)).toEqual([
      { type: "reasoning", text: "Hm.", provider: "acme" },
      { type: "text", text: "Rain." }
    ])
  })
})

describe("Anthropic stream decoder: reasoning", () => {
  it("reads thinking deltas with their joined signature, redacted blocks and blocks with a signature alone", () => {
    const stream = readEvents(
      start(),
      open(0, { type: "thinking", thinking: "", signature: "" }),
      delta(0, { type: "thinking_delta", thinking: "Hm" }),
      delta(0, { type: "thinking_delta", thinking: "." }),
      delta(0, { type: "signature_delta", signature: "sig" }),
      delta(0, { type: "signature_delta", signature: "nature" }),
      close(0),
      open(1, { type: "redacted_thinking", data: "sealed" }),
      close(1),
      open(2, { type: "thinking", thinking: "", signature: "" }),
      close(2),
      open(3, { type: "thinking", thinking: "", signature: "" }),
      delta(3, { type: "signature_delta", signature: "silent" }),
      close(3),
      ...text(4, "Rain."),
      ...stopEvents()
    )
    expect(stream.out.filter((event) => event._tag === "ReasoningDelta").map(({ index }) => index)).toEqual([
      0, 0, 0, 0, 1, 2
    ])
    expect(contentOf(stream)).toEqual([
      { type: "reasoning", text: "Hm.", signature: "signature", provider: "acme" },
      { type: "reasoning", text: "", signature: "sealed", format: "redacted_thinking", provider: "acme" },
      { type: "reasoning", text: "", signature: "silent", provider: "acme" },
      { type: "text", text: "Rain." }
    ])
  })
})

describe("Anthropic stream decoder: tool calls", () => {
  const toolUse = (id: string, name: string, more: Json = {}): Json => ({
    type: "tool_use",
    id,
    name,
    input: {},
    ...more
  })
  it("joins the input deltas of each tool_use block into one tool call", () => {
    const stream = readEvents(
      start(),
      ...text(0, "Let me see."),
      open(1, toolUse("toolu_1", "weather")),
      ...input(1, "", '{"city":', '"Rome"}'),
      close(1),
      open(2, toolUse("toolu_2", "now")),
      ...input(2, ""),
      close(2),
      ...stopEvents("tool_use")
    )
    expect(stream.out.slice(1, -1)).toEqual([
      { _tag: "ToolCallDelta", index: 1, id: "toolu_1", name: "weather", argumentsDelta: '{"city":' },
      { _tag: "ToolCallDelta", index: 1, id: "toolu_1", name: "weather", argumentsDelta: '"Rome"}' },
      {
        _tag: "ToolCallEnd",
        index: 1,
        call: { type: "tool-call", id: "toolu_1", name: "weather", arguments: '{"city":"Rome"}' }
      },
      { _tag: "ToolCallEnd", index: 2, call: { type: "tool-call", id: "toolu_2", name: "now", arguments: "{}" } }
    ])
  })
  it("reads the caller of a tool call with its first delta and with its end", () => {
    const caller = { caller: { type: "direct" } }
    const stream = readEvents(start(), open(0, toolUse("a", "f", caller)), ...input(0, "{", "}"), close(0))
    expect(stream.out).toEqual([
      { _tag: "ToolCallDelta", index: 0, id: "a", name: "f", argumentsDelta: "{", ...answered(caller) },
      { _tag: "ToolCallDelta", index: 0, id: "a", name: "f", argumentsDelta: "}" },
      {
        _tag: "ToolCallEnd",
        index: 0,
        call: { type: "tool-call", id: "a", name: "f", arguments: "{}", ...answered(caller) }
      }
    ])
  })
  it("keeps interleaved tool calls apart by their block index", () => {
    const stream = readEvents(
      start(),
      open(0, toolUse("a", "f")),
      open(1, toolUse("b", "f")),
      ...input(0, '{"n":'),
      ...input(1, '{"n":2'),
      ...input(0, "1}"),
      ...input(1, "}"),
      close(1),
      close(0),
      ...stopEvents("tool_use")
    )
    expect(callsOf(stream)).toEqual([
      { type: "tool-call", id: "a", name: "f", arguments: '{"n":1}' },
      { type: "tool-call", id: "b", name: "f", arguments: '{"n":2}' }
    ])
  })
  it("reads the arguments of a tool call from the input of content_block_start", () => {
    const stream = readEvents(
      start(),
      open(0, toolUse("a", "f", { input: { n: 1 } })),
      close(0),
      ...stopEvents("tool_use")
    )
    expect(callsOf(stream)).toEqual([{ type: "tool-call", id: "a", name: "f", arguments: '{"n":1}' }])
  })
  it("keeps the partial arguments of a tool call that max_tokens cut off", () => {
    const stream = readEvents(start(), open(0, toolUse("a", "f")), ...input(0, '{"n":'), ...stopEvents("max_tokens"))
    expect(callsOf(stream)).toEqual([{ type: "tool-call", id: "a", name: "f", arguments: '{"n":' }])
    expect(fold(stream.out).finish?.reason).toBe("length")
  })
  it("reads server tool and compaction blocks with their joined deltas as provider parts in their place", () => {
    const stream = readEvents(
      start(),
      open(0, { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} }),
      ...input(0, '{"query":', '"rain"}'),
      close(0),
      open(1, { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] }),
      close(1),
      open(2, { type: "compaction", content: null }),
      delta(2, { type: "compaction_delta", content: "We spoke of rain." }),
      close(2),
      ...text(3, "Rain."),
      ...stopEvents()
    )
    const blocks = [
      { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "rain" } },
      { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
      { type: "compaction", content: "We spoke of rain." }
    ]
    expect(contentOf(stream)).toEqual([
      ...blocks.map((block) => ({ type: "provider", ...answered(block) })),
      { type: "text", text: "Rain." }
    ])
    expect(fold(stream.out).finish?.providerMetadata).toEqual({})
  })
  it("reads a server tool call that the token limit cut off, with its input as an object", () => {
    const block = { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} }
    const stream = readEvents(start(), open(0, block), ...input(0, '{"query":"ra'), ...stopEvents("max_tokens"))
    expect(contentOf(stream)).toEqual([
      { type: "provider", ...answered({ ...block, input: { input: '{"query":"ra' } }) }
    ])
  })
  it("rejects a tool_use block of a stream without a name as Malformed", () => {
    expect(readEvents(start(), open(0, { type: "tool_use", id: "a", input: {} })).failure).toMatchObject({
      _tag: "Malformed",
      path: "content[0].name"
    })
  })
})

describe("Anthropic stream decoder: usage", () => {
  it("takes the counts of message_delta over those of message_start and never adds them", () => {
    const stream = readEvents(
      start({ input_tokens: 5, cache_read_input_tokens: 100, output_tokens: 1, service_tier: "standard" }),
      ...text(0, "Rain."),
      ...stopEvents("end_turn", {
        input_tokens: 8,
        cache_creation_input_tokens: 20,
        cache_read_input_tokens: null,
        output_tokens: 9,
        output_tokens_details: { thinking_tokens: 4 },
        server_tool_use: { web_search_requests: 1 }
      })
    )
    const finish = fold(stream.out).finish
    expect(finish?.usage).toEqual({
      inputTokens: 128,
      outputTokens: 9,
      totalTokens: 137,
      cachedInputTokens: 100,
      cacheWriteTokens: 20,
      reasoningTokens: 4,
      estimated: false
    })
    expect(finish?.providerMetadata["usage"]).toEqual({
      service_tier: "standard",
      server_tool_use: { web_search_requests: 1 }
    })
  })
  it("reports counted input and estimated output until message_delta brings the output count", () => {
    const decoder = wire.decodeStream(source)
    const out: Array<WireEvent> = []
    expect(decoder.usage).toMatchObject({ inputTokens: 7, outputTokens: 0, estimated: true })
    for (const event of [start(), ...text(0, "12345678".repeat(4))]) decoder.push(frame(event), out)
    expect(decoder.usage).toMatchObject({ inputTokens: 5, outputTokens: 11, totalTokens: 16, estimated: true })
    decoder.push(frame({ type: "message_delta", delta: {}, usage: { output_tokens: 12 } }), out)
    expect(decoder.usage).toMatchObject({ inputTokens: 5, outputTokens: 12, totalTokens: 17, estimated: false })
  })
  it("estimates the usage of a stream when every count is zero or absent", () => {
    const stream = readEvents(
      start({ input_tokens: 0, output_tokens: 0 }),
      ...text(0, "12345678"),
      ...stopEvents("end_turn", {})
    )
    expect(fold(stream.out).finish?.usage).toMatchObject({ inputTokens: 7, outputTokens: 3, estimated: true })
  })
})

describe("Anthropic stream decoder: fields beside the text", () => {
  it("keeps the citations of each text with its part, delivered at the end of its block or with a later delta", () => {
    const citation = (url: string) => ({ type: "web_search_result_location", url, cited_text: "Rain." })
    const cited = (...urls: ReadonlyArray<string>) => answered({ citations: urls.map(citation) })
    const cite = (index: number, url: string) => delta(index, { type: "citations_delta", citation: citation(url) })
    const stream = readEvents(
      start(),
      open(0, { type: "text", text: "", citations: [] }),
      cite(0, "a"),
      delta(0, { type: "text_delta", text: "Rain." }),
      cite(0, "b"),
      close(0),
      ...text(1, "Or not."),
      open(2, { type: "text", text: "Sun.", citations: [citation("c")] }),
      close(2),
      ...stopEvents()
    )
    expect(stream.out.slice(0, -1)).toEqual([
      { _tag: "TextDelta", index: 0, text: "Rain.", ...cited("a") },
      { _tag: "TextDelta", index: 0, text: "", ...cited("a", "b") },
      { _tag: "TextDelta", index: 1, text: "Or not." },
      { _tag: "TextDelta", index: 2, text: "Sun.", ...cited("c") }
    ])
    expect(contentOf(stream)).toEqual([
      { type: "text", text: "Rain.", ...cited("a", "b") },
      { type: "text", text: "Or not." },
      { type: "text", text: "Sun.", ...cited("c") }
    ])
  })
  it("reads blocks that no content_block_stop ends, as some proxies send them", () => {
    const citation = { type: "page_location" }
    const stream = readEvents(
      start(),
      open(0, { type: "tool_use", id: "a", name: "f", input: {} }),
      ...input(0, "{}"),
      open(0, { type: "text", text: "" }),
      delta(0, { type: "text_delta", text: "Rain." }),
      delta(0, { type: "citations_delta", citation }),
      open(1, { type: "a_block_yet_to_come" }),
      ...stopEvents("tool_use")
    )
    expect(contentOf(stream)).toEqual([
      { type: "tool-call", id: "a", name: "f", arguments: "{}" },
      { type: "text", text: "Rain.", ...answered({ citations: [citation] }) },
      { type: "provider", ...answered({ type: "a_block_yet_to_come" }) }
    ])
  })
  it("reads the container of a stream as the last part", () => {
    const container = { id: "container_1", expires_at: "2030-01-01T00:00:00Z" }
    const stream = readEvents(start(), ...text(0, "Rain."), ...stopEvents("pause_turn", {}, { container }))
    expect(contentOf(stream)).toEqual([
      { type: "text", text: "Rain." },
      { type: "provider", ...answered({ container }) }
    ])
    expect(fold(stream.out).finish).toMatchObject({ reason: "pause", rawReason: "pause_turn", providerMetadata: {} })
  })
  it("keeps stop_details, stop_sequence and context_management of a stream in the metadata", () => {
    const [stop, last] = stopEvents(
      "refusal",
      { output_tokens: 1 },
      { stop_details: { category: "bio" }, stop_sequence: "X" }
    )
    const stream = readEvents(
      start(),
      ...text(0, "Rain."),
      { ...stop, context_management: { applied_edits: [] } },
      last ?? {}
    )
    expect(fold(stream.out).finish).toMatchObject({ reason: "content-filter", rawReason: "refusal" })
    expect(fold(stream.out).finish?.providerMetadata).toEqual({
      stop_details: { category: "bio" },
      stop_sequence: "X",
      context_management: { applied_edits: [] }
    })
  })
})

describe("Anthropic stream decoder: failures", () => {
  const error = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }
  it("reports an error event in the middle of a stream and keeps the text before it", () => {
    const stream = readEvents(start(), ...text(0, "Ra").slice(0, 2), error)
    expect(stream.failure).toEqual({ _tag: "Reported", body: error })
    expect(textOf(stream)).toBe("Ra")
  })
  it("recognises an error by its event name or by its body, and also when its data is not JSON", () => {
    expect(readEventFrames([{ event: "error", data: "Overloaded" }]).failure).toEqual({
      _tag: "Reported",
      body: "Overloaded"
    })
    expect(readEventFrames([{ data: JSON.stringify(error) }]).failure).toEqual({ _tag: "Reported", body: error })
    expect(readEventFrames([{ data: '{"error":"Overloaded"}' }]).failure).toEqual({
      _tag: "Reported",
      body: { error: "Overloaded" }
    })
  })
  it("reports Truncated when a stream ends before its stop_reason", () => {
    expect(readEvents(start(), ...text(0, "Rain.")).failure).toEqual({ _tag: "Truncated" })
    expect(readEventFrames([frame(start()), { data: "[DONE]" }]).failure).toEqual({ _tag: "Truncated" })
  })
  it("finishes a stream that ends after its stop_reason without message_stop", () => {
    const [stop = {}] = stopEvents()
    const events = [start(), ...text(0, "Rain."), stop].map(frame)
    const decoder = wire.decodeStream(source)
    for (const event of events) decoder.push(event, [])
    expect(decoder.state).toBe("finishing")
    expect(fold(readEventFrames(events).out).finish?.reason).toBe("stop")
    expect(fold(readEventFrames([...events, { data: "[DONE]" }]).out).finish?.reason).toBe("stop")
  })
  it.each<readonly [string, Frame, string]>([
    ["data that is not JSON", { data: '{"type": ' }, ""],
    ["data that is not an object", { data: "[1]" }, ""],
    ["a message_start without a message", frame({ type: "message_start" }), "message"],
    ["a content_block_start without a block", frame({ type: "content_block_start", index: 0 }), "content_block"]
  ])("rejects %s as Malformed", (_, broken, path) => {
    expect(readEventFrames([broken]).failure).toMatchObject({ _tag: "Malformed", path })
  })
})
