import { describe, expect, it } from "@effect/vitest"
import type { ChatResponse } from "../../../src/vocabulary/Chat.js"
import type { ChatEvent } from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Anthropic from "../../../src/wire/Anthropic.js"

const wire = Anthropic.make()

type Json = Readonly<Record<string, unknown>>

const response = (fields: Partial<ChatResponse>): ChatResponse => ({
  id: "msg_1",
  provider: "acme",
  model: "claude-1",
  text: "",
  reasoning: "",
  reasoningParts: [],
  refusal: "",
  toolCalls: [],
  finishReason: "stop",
  rawFinishReason: "",
  usage: Usage.make({ inputTokens: 130, outputTokens: 7, cachedInputTokens: 100, cacheWriteTokens: 20 }),
  latency: 5,
  keyId: "k",
  attempts: [],
  providerMetadata: {},
  ...fields
})

describe("Anthropic server response", () => {
  it("writes reasoning, server tool blocks, text with citations, the refusal and tool calls in this order", () => {
    expect(
      wire.encodeResponse(
        response({
          text: "Rain.",
          refusal: "But no more.",
          reasoningParts: [{ type: "reasoning", text: "Hm.", signature: "sig", provider: "acme" }],
          toolCalls: [{ type: "tool-call", id: "functions.f:0", name: "f", arguments: "" }],
          finishReason: "tool-calls",
          providerMetadata: { citations: [{ type: "page_location" }], blocks: [{ type: "server_tool_use" }] }
        })
      )
    ).toEqual({
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "claude-1",
      content: [
        { type: "thinking", thinking: "Hm.", signature: "sig" },
        { type: "server_tool_use" },
        { type: "text", text: "Rain.", citations: [{ type: "page_location" }] },
        { type: "text", text: "But no more." },
        { type: "tool_use", id: "functions_f_0", name: "f", input: {} }
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
  it.each<readonly [Partial<ChatResponse>, string | null]>([
    [{ finishReason: "stop", rawFinishReason: "stop" }, "end_turn"],
    [{ finishReason: "stop", rawFinishReason: "stop_sequence" }, "stop_sequence"],
    [{ finishReason: "length", rawFinishReason: "length" }, "max_tokens"],
    [{ finishReason: "content-filter", rawFinishReason: "SAFETY" }, "refusal"],
    [{ finishReason: "tool-calls", rawFinishReason: "tool_calls" }, "tool_use"],
    [{ finishReason: "other", rawFinishReason: "pause_turn" }, "pause_turn"],
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
    expect(writeEvents(start, { _tag: "TextDelta", text: "Ra" }, { _tag: "TextDelta", text: "in." }, finish)).toEqual([
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
    expect(encoder.push({ _tag: "TextDelta", text: "Ra" })).toHaveLength(2)
    expect(encoder.push({ _tag: "TextDelta", text: "in." })).toHaveLength(1)
  })
  it("writes the signature of a reasoning block as its last delta, also when it arrived first", () => {
    const types = blocks(
      { _tag: "ReasoningDelta", index: 0, text: "Hm", signature: "early" },
      { _tag: "ReasoningDelta", index: 0, text: "." },
      { _tag: "ReasoningDelta", index: 1, text: "", signature: "sealed", format: "redacted_thinking" },
      { _tag: "ReasoningDelta", index: 2, text: "" },
      { _tag: "TextDelta", text: "Rain." }
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
  it("writes interleaved tool calls one after the other, with the arguments that no delta carried", () => {
    const call = (id: string, args: string) => ({ id, name: "f", arguments: args })
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
      { _tag: "TextDelta", text: "Wait." },
      callDelta(0, "a", "1}"),
      { _tag: "ToolCallEnd", index: 1, call: call("b", '{"n":2}') },
      { _tag: "ToolCallEnd", index: 0, call: call("a", '{"n":1}') },
      { _tag: "ToolCallEnd", index: 2, call: call("c", "{}") }
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
