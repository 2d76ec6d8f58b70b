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

describe("Anthropic response", () => {
  it("reads every field of a response", () => {
    expect(read({})).toEqual({
      id: "msg_1",
      model: "claude-1",
      text: "Rain.",
      reasoning: "",
      reasoningParts: [],
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
  it("joins the text of all text blocks", () => {
    const content = ["Rain", " and ", "sun."].map((text) => ({ type: "text", text }))
    expect(read({ content }).text).toBe("Rain and sun.")
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
    const { reasoning, reasoningParts } = read({
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
    expect(reasoningParts).toEqual([
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
  it("keeps server tool, MCP and unknown blocks in the metadata, not as tool calls", () => {
    const blocks = [
      { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "rain" } },
      { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [{ type: "web_search_result" }] },
      { type: "mcp_tool_use", id: "mcptoolu_1", name: "ask", server_name: "s", input: {} },
      { type: "mcp_tool_result", tool_use_id: "mcptoolu_1", content: [], is_error: false },
      { type: "a_block_yet_to_come", secret: 1 }
    ]
    const response = read({ content: [...blocks, { type: "text", text: "Rain." }] })
    expect([response.text, response.toolCalls, response.finishReason]).toEqual(["Rain.", [], "stop"])
    expect(response.providerMetadata).toEqual({ blocks })
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
    ["pause_turn", "other"],
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

describe("Anthropic response: provider metadata", () => {
  it("keeps citations, container and context_management in the metadata", () => {
    const citation = { type: "char_location", cited_text: "Rain.", document_index: 0 }
    const response = read({
      content: [
        { type: "text", text: "It says ", citations: null },
        { type: "text", text: "rain.", citations: [citation] }
      ],
      container: { id: "container_1" },
      context_management: { applied_edits: [] }
    })
    expect(response.text).toBe("It says rain.")
    expect(response.providerMetadata).toEqual({
      citations: [citation],
      container: { id: "container_1" },
      context_management: { applied_edits: [] }
    })
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
