import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as Anthropic from "../../../src/wire/Anthropic.js"
import type { WireFailure, WireResponse } from "../../../src/wire/Wire.js"

const wire = Anthropic.make()
const source = { provider: "acme", model: "claude-asked", estimatedInputTokens: 7 }

type Json = Readonly<Record<string, unknown>>

const message = (fields: Json): Json => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "claude-1",
  content: [{ type: "text", text: "Rain." }],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 5, output_tokens: 3 },
  ...fields
})

const read = (fields: Json): WireResponse =>
  Either.getOrThrowWith(wire.decodeResponse(message(fields), source), (failure) => new Error(JSON.stringify(failure)))

const failure = (body: unknown): WireFailure | undefined =>
  Either.match(wire.decodeResponse(body, source), { onLeft: (left) => left, onRight: () => undefined })

/** Fields that only Anthropic has, of an answer of the provider. */
const answered = (fields: Json) => ({ provider: "acme", native: { "anthropic-messages": fields } })

describe("Anthropic response", () => {
  it("reads every field of a response", () => {
    expect(read({})).toEqual({
      id: "msg_1",
      model: "claude-1",
      content: [{ type: "text", text: "Rain." }],
      text: "Rain.",
      reasoning: "",
      refusal: "",
      toolCalls: [],
      finishReason: "stop",
      rawFinishReason: "end_turn",
      usage: {
        inputTokens: 5,
        outputTokens: 3,
        totalTokens: 8,
        cachedInputTokens: 0,
        cacheWriteTokens: 0,
        reasoningTokens: 0,
        estimated: false
      },
      providerMetadata: {}
    })
  })
  it("reads each text block as a part of its own, and drops empty ones", () => {
    const content = ["Rain", "", " and ", "sun."].map((text) => ({ type: "text", text }))
    expect(read({ content }).text).toBe("Rain and sun.")
    expect(read({ content }).content).toEqual(content.filter(({ text }) => text !== ""))
  })
  it("reads every block as a part in its place", () => {
    const call = { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "rain" } }
    const result = { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] }
    const toolCall = { type: "tool-call", name: "now", arguments: "{}" }
    const reasoning = { type: "reasoning", provider: "acme" }
    expect(
      read({
        content: [
          { type: "thinking", thinking: "A", signature: "a" },
          { type: "tool_use", id: "toolu_1", name: "now", input: {} },
          { type: "text", text: "Let me search." },
          call,
          { type: "thinking", thinking: "", signature: "" },
          result,
          { type: "thinking", thinking: "B", signature: "b" },
          { type: "text", text: "Rain." },
          { type: "tool_use", id: "toolu_2", name: "now", input: {} }
        ]
      }).content
    ).toEqual([
      { ...reasoning, text: "A", signature: "a" },
      { ...toolCall, id: "toolu_1" },
      { type: "text", text: "Let me search." },
      { type: "provider", ...answered(call) },
      { type: "provider", ...answered(result) },
      { ...reasoning, text: "B", signature: "b" },
      { type: "text", text: "Rain." },
      { ...toolCall, id: "toolu_2" }
    ])
  })
  it("takes the requested model when the response names none", () => {
    expect(read({ model: undefined }).model).toBe("claude-asked")
  })
  it("reads a response without content", () => {
    const empty = read({ content: [], stop_reason: "stop_sequence", stop_sequence: "END" })
    expect([empty.text, empty.finishReason, empty.providerMetadata]).toEqual(["", "stop", { stop_sequence: "END" }])
  })
})

describe("Anthropic response: reasoning", () => {
  it("reads thinking with and without text and signature, and redacted thinking", () => {
    const { content, reasoning } = read({
      content: [
        { type: "thinking", thinking: "Hm.", signature: "sig1" },
        { type: "redacted_thinking", data: "sealed" },
        { type: "thinking", thinking: "", signature: "sig2" },
        { type: "thinking", thinking: "Unsigned.", signature: "" },
        { type: "thinking", thinking: "", signature: "" },
        { type: "text", text: "Rain." }
      ]
    })
    expect(reasoning).toBe("Hm.Unsigned.")
    expect(content.slice(0, -1)).toEqual([
      { type: "reasoning", text: "Hm.", signature: "sig1", provider: "acme" },
      { type: "reasoning", text: "", signature: "sealed", format: "redacted_thinking", provider: "acme" },
      { type: "reasoning", text: "", signature: "sig2", provider: "acme" },
      { type: "reasoning", text: "Unsigned.", provider: "acme" }
    ])
  })
})

describe("Anthropic response: tool calls", () => {
  it("reads parallel tool calls with their input as JSON text, and creates missing ids", () => {
    const { finishReason, text, toolCalls } = read({
      content: [
        { type: "text", text: "Let me see." },
        { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Rome" } },
        { type: "tool_use", id: "toolu_2", name: "now", input: {} },
        { type: "tool_use", id: "", name: "now" },
        { type: "tool_use", id: "toolu_4", name: "weather", input: '{"city":"Oslo"}' }
      ],
      stop_reason: "tool_use"
    })
    expect([text, finishReason]).toEqual(["Let me see.", "tool-calls"])
    expect(toolCalls).toEqual([
      { type: "tool-call", id: "toolu_1", name: "weather", arguments: '{"city":"Rome"}' },
      { type: "tool-call", id: "toolu_2", name: "now", arguments: "{}" },
      { type: "tool-call", id: "call_2", name: "now", arguments: "{}" },
      { type: "tool-call", id: "toolu_4", name: "weather", arguments: '{"city":"Oslo"}' }
    ])
  })
  it("keeps the caller and other unknown fields of a tool call and of a thinking block with their part", () => {
    const caller = { type: "code_execution_20250825", tool_id: "srvtoolu_1" }
    const { content } = read({
      content: [
        { type: "thinking", thinking: "Hm.", signature: "sig", vendor: 1 },
        { type: "tool_use", id: "toolu_1", name: "now", input: {}, caller, vendor: null }
      ]
    })
    expect(content).toEqual([
      { type: "reasoning", text: "Hm.", signature: "sig", ...answered({ vendor: 1 }) },
      { type: "tool-call", id: "toolu_1", name: "now", arguments: "{}", ...answered({ caller }) }
    ])
  })
  it("reads server tool, MCP and unknown blocks as provider parts, not as tool calls", () => {
    const blocks = [
      { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "rain" } },
      { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [{ type: "web_search_result" }] },
      { type: "mcp_tool_use", id: "mcptoolu_1", name: "ask", server_name: "s", input: {} },
      { type: "mcp_tool_result", tool_use_id: "mcptoolu_1", content: [], is_error: false },
      { type: "a_block_yet_to_come", secret: 1 }
    ]
    const response = read({ content: [...blocks, { type: "text", text: "Rain." }] })
    expect([response.text, response.toolCalls, response.finishReason]).toEqual(["Rain.", [], "stop"])
    expect(response.content).toEqual([
      ...blocks.map((block) => ({ type: "provider", ...answered(block) })),
      { type: "text", text: "Rain." }
    ])
    expect(response.providerMetadata).toEqual({})
  })
  it("rejects a tool_use block of a response without a name as Malformed", () => {
    expect(failure(message({ content: [{ type: "tool_use", id: "toolu_1" }] }))).toMatchObject({
      _tag: "Malformed",
      path: "content[0].name"
    })
  })
})

describe("Anthropic finish reason", () => {
  it.each([
    ["end_turn", "stop"],
    ["stop_sequence", "stop"],
    ["max_tokens", "length"],
    ["model_context_window_exceeded", "length"],
    ["tool_use", "tool-calls"],
    ["refusal", "content-filter"],
    ["pause_turn", "pause"],
    ["a_reason_yet_to_come", "other"],
    [null, "other"]
  ])("maps stop_reason %s to %s", (raw, reason) => {
    const response = read({ stop_reason: raw })
    expect([response.rawFinishReason, response.finishReason]).toEqual([raw ?? "", reason])
  })
  it("reads the finish reason tool-calls when the response has tool calls, except after max_tokens", () => {
    const content = [{ type: "tool_use", id: "toolu_1", name: "now", input: {} }]
    const reasons = ["end_turn", null, "max_tokens"].map((raw) => read({ content, stop_reason: raw }).finishReason)
    expect(reasons).toEqual(["tool-calls", "tool-calls", "length"])
  })
  it("keeps stop_details in the metadata", () => {
    const stop_details = { type: "refusal", category: "cyber", explanation: "No." }
    expect(read({ stop_reason: "refusal", stop_details, content: [] }).providerMetadata).toEqual({ stop_details })
  })
})

describe("Anthropic response: usage", () => {
  it("counts cache reads and writes as input tokens and reasoning as output tokens", () => {
    const response = read({
      usage: {
        input_tokens: 10,
        cache_read_input_tokens: 100,
        cache_creation_input_tokens: 1000,
        output_tokens: 50,
        output_tokens_details: { thinking_tokens: 20 },
        cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 1000 },
        service_tier: "standard",
        server_tool_use: null
      }
    })
    expect(response.usage).toEqual({
      inputTokens: 1110,
      outputTokens: 50,
      totalTokens: 1160,
      cachedInputTokens: 100,
      cacheWriteTokens: 1000,
      cacheWrite1hTokens: 1000,
      reasoningTokens: 20,
      estimated: false
    })
    expect(response.providerMetadata["usage"]).toEqual({
      cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 1000 },
      service_tier: "standard"
    })
  })
  it("estimates the usage when counts are absent or zero", () => {
    for (const usage of [undefined, {}, { input_tokens: 0, output_tokens: 0 }]) {
      const estimate = read({ usage, content: [{ type: "text", text: "12345678" }] }).usage
      expect([estimate.inputTokens, estimate.outputTokens, estimate.estimated]).toEqual([7, 3, true])
    }
  })
})

describe("Anthropic response: fields beside the text", () => {
  it("keeps the citations and unknown fields of each text with its part", () => {
    const citation = { type: "char_location", cited_text: "Rain.", document_index: 0 }
    expect(
      read({
        content: [
          { type: "text", text: "It ", citations: null },
          { type: "text", text: "says ", citations: [] },
          { type: "text", text: "rain.", citations: [citation] },
          { type: "text", text: "", citations: [citation], vendor: 1 }
        ]
      }).content
    ).toEqual([
      { type: "text", text: "It " },
      { type: "text", text: "says " },
      { type: "text", text: "rain.", ...answered({ citations: [citation] }) },
      { type: "text", text: "", ...answered({ citations: [citation], vendor: 1 }) }
    ])
  })
  it("reads the container as the last part, and keeps context_management in the metadata", () => {
    const container = { id: "container_1", expires_at: "2030-01-01T00:00:00Z" }
    const response = read({ container, context_management: { applied_edits: [] } })
    expect(response.content).toEqual([
      { type: "text", text: "Rain." },
      { type: "provider", ...answered({ container }) }
    ])
    expect(response.providerMetadata).toEqual({ context_management: { applied_edits: [] } })
  })
})

describe("Anthropic response: failures", () => {
  it("reports an Anthropic error body as Reported", () => {
    const body = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }
    expect(failure(body)).toEqual({ _tag: "Reported", body })
    expect(failure({ error: "no" })).toEqual({ _tag: "Reported", body: { error: "no" } })
  })
  it.each<readonly [unknown, string]>([
    ["<html>", ""],
    [null, ""],
    [{ id: "msg_1" }, "content"],
    [message({ content: "Rain." }), "content"],
    [message({ content: ["Rain."] }), "content[0]"]
  ])("rejects %j as Malformed", (body, path) => {
    expect(failure(body)).toMatchObject({ _tag: "Malformed", path })
  })
})
