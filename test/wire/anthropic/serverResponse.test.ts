import { describe, expect, it } from "@effect/vitest"
import type { AssistantPart, ChatResponse } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import type { ChatEvent } from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Anthropic from "../../../src/wire/Anthropic.js"

const wire = Anthropic.make()

type Json = Readonly<Record<string, unknown>>

const response = (
  fields: Partial<Omit<ChatResponse, keyof Chat.Content>>,
  content: ReadonlyArray<AssistantPart> = []
): ChatResponse =>
  Chat.withContent(
    {
      id: "msg_1",
      provider: "acme",
      model: "claude-1",
      finishReason: "stop" as const,
      rawFinishReason: "",
      usage: Usage.make({ inputTokens: 130, outputTokens: 7, cachedInputTokens: 100, cacheWriteTokens: 20 }),
      latency: 5,
      keyId: "k",
      attempts: [],
      providerMetadata: {},
      ...fields
    },
    content
  )

/** Fields that only Anthropic has, of an answer of the provider. */
const answered = (fields: Json) => ({ provider: "acme", native: { "anthropic-messages": fields } })

const search = { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "rain" } }

describe("Anthropic server response", () => {
  it("writes every part in its place", () => {
    expect(
      wire.encodeResponse(
        response({ finishReason: "tool-calls" }, [
          { type: "reasoning", text: "Hm.", signature: "sig", provider: "acme" },
          { type: "provider", ...answered(search) },
          { type: "text", text: "Rain.", ...answered({ citations: [{ type: "page_location" }] }) },
          { type: "refusal", text: "But no more." },
          { type: "reasoning", text: "", signature: "sealed", format: "redacted_thinking", provider: "acme" },
          { type: "tool-call", id: "functions.f:0", name: "f", arguments: "", ...answered({ caller: "code" }) },
          { type: "text", text: "Sun." }
        ])
      )
    ).toEqual({
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "claude-1",
      content: [
        { type: "thinking", thinking: "Hm.", signature: "sig" },
        search,
        { type: "text", text: "Rain.", citations: [{ type: "page_location" }] },
        { type: "text", text: "But no more." },
        { type: "redacted_thinking", data: "sealed" },
        { type: "tool_use", id: "functions_f_0", name: "f", input: {}, caller: "code" },
        { type: "text", text: "Sun." }
      ],
      stop_reason: "tool_use",
      stop_sequence: null,
      usage: {
        input_tokens: 10,
        cache_creation_input_tokens: 20,
        cache_read_input_tokens: 100,
        output_tokens: 7
      }
    })
  })
  it("writes the container beside the content, and leaves out empty parts and parts of other protocols", () => {
    const container = { id: "container_1" }
    const { content, container: written } = wire.encodeResponse(
      response({}, [
        { type: "text", text: "" },
        { type: "reasoning", text: "", id: "rs_1", provider: "acme" },
        { type: "provider", native: { "openai-responses": { type: "web_search_call" } }, provider: "acme" },
        { type: "text", text: "Rain.", native: { "openai-chat": { annotations: [] } }, provider: "acme" },
        { type: "provider", ...answered({ container }) }
      ])
    )
    expect([content, written]).toEqual([[{ type: "text", text: "Rain." }], container])
  })
  it.each<readonly [Partial<Omit<ChatResponse, keyof Chat.Content>>, string | null]>([
    [{ finishReason: "stop", rawFinishReason: "stop" }, "end_turn"],
    [{ finishReason: "stop", rawFinishReason: "stop_sequence" }, "stop_sequence"],
    [{ finishReason: "length", rawFinishReason: "length" }, "max_tokens"],
    [{ finishReason: "content-filter", rawFinishReason: "SAFETY" }, "refusal"],
    [{ finishReason: "tool-calls", rawFinishReason: "tool_calls" }, "tool_use"],
    [{ finishReason: "pause", rawFinishReason: "" }, "pause_turn"],
    [{ finishReason: "other", rawFinishReason: "held" }, "held"],
    [{ finishReason: "other", rawFinishReason: "" }, null]
  ])("writes the stop_reason of %j", (fields, reason) => {
    expect(wire.encodeResponse(response(fields))["stop_reason"]).toBe(reason)
  })
})

describe("Anthropic server stream", () => {
  const start: ChatEvent = {
    _tag: "Start",
    id: "msg_1",
    provider: "acme",
    model: "claude-1",
    keyId: "k",
    attempts: []
  }
  const finish: ChatEvent = {
    _tag: "Finish",
    reason: "stop",
    rawReason: "stop",
    usage: Usage.make({ inputTokens: 5, outputTokens: 2 }),
    latency: 1,
    providerMetadata: {}
  }
  const writeEvents = (...events: ReadonlyArray<ChatEvent>): ReadonlyArray<Json> => {
    const encoder = wire.encodeStream({})
    return events.flatMap((event) =>
      encoder.push(event).map((frame) => {
        const body: Json = JSON.parse(frame.data)
        expect(frame.event).toBe(body["type"])
        return body
      })
    )
  }
  /** The events between the start and the end of a stream. */
  const blocks = (...events: ReadonlyArray<ChatEvent>): ReadonlyArray<Json> =>
    writeEvents(start, ...events, finish).slice(2, -2)

  it("writes all events of a stream from message_start to message_stop", () => {
    expect(
      writeEvents(
        start,
        { _tag: "TextDelta", index: 0, text: "Ra" },
        { _tag: "TextDelta", index: 0, text: "in." },
        finish
      )
    ).toEqual([
      {
        type: "message_start",
        message: {
          id: "msg_1",
          type: "message",
          role: "assistant",
          model: "claude-1",
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { input_tokens: 0, output_tokens: 0 }
        }
      },
      { type: "ping" },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Ra" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "in." } },
      { type: "content_block_stop", index: 0 },
      {
        type: "message_delta",
        delta: { stop_reason: "end_turn", stop_sequence: null },
        usage: {
          input_tokens: 5,
          cache_creation_input_tokens: 0,
          cache_read_input_tokens: 0,
          output_tokens: 2
        }
      },
      { type: "message_stop" }
    ])
  })
  it("writes each text delta at once", () => {
    const encoder = wire.encodeStream({})
    encoder.push(start)
    expect(encoder.push({ _tag: "TextDelta", index: 0, text: "Ra" })).toHaveLength(2)
    expect(encoder.push({ _tag: "TextDelta", index: 0, text: "in." })).toHaveLength(1)
  })
  it("writes each text part as a block of its own, with its citations before the end of the block", () => {
    const citation = { type: "page_location" }
    expect(
      blocks(
        { _tag: "TextDelta", index: 0, text: "Ra", ...answered({ vendor: 1 }) },
        { _tag: "TextDelta", index: 0, text: "", ...answered({ citations: [citation], vendor: 1 }) },
        { _tag: "TextDelta", index: 0, text: "in." },
        { _tag: "TextDelta", index: 1, text: "Sun." }
      )
    ).toEqual([
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "", vendor: 1 } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Ra" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "in." } },
      { type: "content_block_delta", index: 0, delta: { type: "citations_delta", citation } },
      { type: "content_block_stop", index: 0 },
      { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "Sun." } },
      { type: "content_block_stop", index: 1 }
    ])
  })
  it("writes provider parts of Anthropic as whole blocks in their place, and leaves out those of other protocols", () => {
    expect(
      blocks(
        { _tag: "TextDelta", index: 0, text: "Let me search." },
        { _tag: "ProviderPart", index: 1, part: { type: "provider", ...answered(search) } },
        { _tag: "ProviderPart", index: 2, part: { type: "provider", native: { other: {} }, provider: "acme" } },
        { _tag: "TextDelta", index: 3, text: "Rain." }
      )
        .filter(({ type }) => type === "content_block_start")
        .map(({ content_block, index }) => [index, content_block])
    ).toEqual([
      [0, { type: "text", text: "" }],
      [1, search],
      [2, { type: "text", text: "" }]
    ])
  })
  it("writes the container into message_delta", () => {
    const container = { id: "container_1" }
    const events = writeEvents(
      start,
      { _tag: "TextDelta", index: 0, text: "Rain." },
      { _tag: "ProviderPart", index: 1, part: { type: "provider", ...answered({ container }) } },
      finish
    )
    expect(events.filter(({ type }) => type === "content_block_start")).toHaveLength(1)
    expect(events.at(-2)).toMatchObject({ type: "message_delta", delta: { stop_reason: "end_turn", container } })
  })
  it("writes the caller of a tool call into the start of its block", () => {
    const caller = { caller: { type: "direct" } }
    const call = { id: "a", name: "f" }
    const [begun] = blocks({ _tag: "ToolCallDelta", index: 0, ...call, argumentsDelta: "{", ...answered(caller) })
    expect(begun).toMatchObject({ content_block: { type: "tool_use", ...call, input: {}, ...caller } })
    const [whole] = blocks({
      _tag: "ToolCallEnd",
      index: 0,
      call: { type: "tool-call", ...call, arguments: "{}", ...answered(caller) }
    })
    expect(whole).toEqual(begun)
  })
  it("writes the fields of a waiting call and of waiting reasoning that a later event has into the start of their blocks", () => {
    const caller = { type: "direct" }
    const first: ChatEvent = { _tag: "ToolCallDelta", index: 0, id: "a", name: "f", argumentsDelta: "{" }
    const call = { type: "tool-call" as const, id: "b", name: "g", arguments: "{}", ...answered({ caller }) }
    const starts = blocks(
      first,
      { _tag: "ToolCallDelta", index: 1, id: "b", name: "g", argumentsDelta: "{" },
      { _tag: "ReasoningDelta", index: 2, text: "H" },
      { _tag: "ReasoningDelta", index: 2, text: "m.", ...answered({ shown: true }) },
      { _tag: "ToolCallEnd", index: 1, call },
      { _tag: "ToolCallEnd", index: 0, call: Chat.toolCall("a", "f", "{}") }
    ).filter(({ type }) => type === "content_block_start")
    expect(starts.map(({ content_block }) => content_block)).toMatchObject([
      { id: "a" },
      { id: "b", caller },
      { type: "thinking", shown: true }
    ])
  })
  it("writes the signature of a reasoning block as its last delta, also when it arrived first", () => {
    const types = blocks(
      { _tag: "ReasoningDelta", index: 0, text: "Hm", signature: "early" },
      { _tag: "ReasoningDelta", index: 0, text: "." },
      { _tag: "ReasoningDelta", index: 1, text: "", signature: "sealed", format: "redacted_thinking" },
      { _tag: "ReasoningDelta", index: 2, text: "" },
      { _tag: "TextDelta", index: 3, text: "Rain." }
    ).map(({ content_block, delta, index, type }) => [index, type, content_block ?? delta])
    expect(types).toEqual([
      [0, "content_block_start", { type: "thinking", thinking: "", signature: "" }],
      [0, "content_block_delta", { type: "thinking_delta", thinking: "Hm" }],
      [0, "content_block_delta", { type: "thinking_delta", thinking: "." }],
      [0, "content_block_delta", { type: "signature_delta", signature: "early" }],
      [0, "content_block_stop", undefined],
      [1, "content_block_start", { type: "redacted_thinking", data: "sealed" }],
      [1, "content_block_stop", undefined],
      [2, "content_block_start", { type: "text", text: "" }],
      [2, "content_block_delta", { type: "text_delta", text: "Rain." }],
      [2, "content_block_stop", undefined]
    ])
  })
  it("writes an empty signature at the end of reasoning without one, as a whole answer has it", () => {
    const deltas = blocks(
      { _tag: "ReasoningDelta", index: 0, text: "Hm" },
      { _tag: "ReasoningDelta", index: 0, text: "." },
      { _tag: "TextDelta", index: 1, text: "Rain." }
    ).flatMap(({ delta }) => (delta === undefined ? [] : [delta]))
    expect(deltas).toEqual([
      { type: "thinking_delta", thinking: "Hm" },
      { type: "thinking_delta", thinking: "." },
      { type: "signature_delta", signature: "" },
      { type: "text_delta", text: "Rain." }
    ])
  })
  it("writes interleaved parts one after the other, with the arguments that no delta carried", () => {
    const call = (id: string, args: string) => Chat.toolCall(id, "f", args)
    const callDelta = (index: number, id: string, argumentsDelta: string): ChatEvent => ({
      _tag: "ToolCallDelta",
      index,
      id,
      name: "f",
      argumentsDelta
    })
    const events = blocks(
      callDelta(0, "a", '{"n":'),
      callDelta(1, "b", '{"n":'),
      { _tag: "TextDelta", index: 2, text: "Wai" },
      callDelta(0, "a", "1}"),
      { _tag: "ToolCallEnd", index: 3, call: call("c", "{}") },
      { _tag: "ToolCallEnd", index: 1, call: call("b", '{"n":2}') },
      { _tag: "TextDelta", index: 2, text: "t." },
      { _tag: "ToolCallEnd", index: 0, call: call("a", '{"n":1}') }
    )
    expect(
      events.filter(({ type }) => type === "content_block_start").map(({ content_block }) => content_block)
    ).toEqual([
      { type: "tool_use", id: "a", name: "f", input: {} },
      { type: "tool_use", id: "b", name: "f", input: {} },
      { type: "text", text: "" },
      { type: "tool_use", id: "c", name: "f", input: {} }
    ])
    const input = (index: number) =>
      events
        .filter((event) => event["index"] === index && event["type"] === "content_block_delta")
        .map(({ delta }) => delta)
    expect(input(0)).toEqual([
      { type: "input_json_delta", partial_json: '{"n":' },
      { type: "input_json_delta", partial_json: "1}" }
    ])
    expect(input(1)).toEqual([
      { type: "input_json_delta", partial_json: '{"n":' },
      { type: "input_json_delta", partial_json: "2}" }
    ])
    expect(input(2)).toEqual([
      { type: "text_delta", text: "Wai" },
      { type: "text_delta", text: "t." }
    ])
    expect(input(3)).toEqual([{ type: "input_json_delta", partial_json: "{}" }])
  })
  it("closes the block of a tool call without ToolCallEnd at the end of the stream", () => {
    const events = blocks({ _tag: "ToolCallDelta", index: 0, id: "a", name: "f", argumentsDelta: "{" })
    expect(events.at(-1)).toEqual({ type: "content_block_stop", index: 0 })
  })
})

describe("Anthropic server error", () => {
  it.each([
    [400, "invalid_request_error"],
    [401, "authentication_error"],
    [402, "billing_error"],
    [403, "permission_error"],
    [404, "not_found_error"],
    [413, "request_too_large"],
    [429, "rate_limit_error"],
    [500, "api_error"],
    [504, "timeout_error"],
    [529, "overloaded_error"]
  ])("writes an error of status %d as %s", (status, type) => {
    expect(wire.encodeError({ status, message: "No." })).toEqual({ type: "error", error: { type, message: "No." } })
  })
  it("writes the given error type instead of the status's own", () => {
    expect(wire.encodeError({ status: 500, message: "No.", type: "overloaded_error", code: "x" })).toEqual({
      type: "error",
      error: { type: "overloaded_error", message: "No." }
    })
  })
})
