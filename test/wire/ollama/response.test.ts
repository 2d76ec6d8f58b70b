import { describe, expect, it } from "@effect/vitest"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Ollama from "../../../src/wire/Ollama.js"
import type { WireEvent, WireResponse } from "../../../src/wire/Wire.js"
import { failureOf, fold, getOrThrow, readFrames, source } from "../roundTrips.js"

const wire = Ollama.make()

const line = (fields: Record<string, unknown>, message: Record<string, unknown> = {}): Record<string, unknown> => ({
  model: "acme-1:latest",
  created_at: "2026-01-02T03:04:05Z",
  message: { role: "assistant", content: "", ...message },
  done: false,
  ...fields
})

const last = { done: true, done_reason: "stop", prompt_eval_count: 5, eval_count: 3 }

const read = (fields: Record<string, unknown>, message?: Record<string, unknown>): WireResponse =>
  getOrThrow(wire.decodeResponse(line({ ...last, ...fields }, message), source))

const stream = (...lines: ReadonlyArray<unknown>) =>
  readFrames(
    wire,
    lines.map((each) => ({ data: JSON.stringify(each) }))
  )

const call = (name: string, args: unknown, more: Record<string, unknown> = {}) => ({
  ...more,
  function: { name, arguments: args }
})

describe("Ollama response", () => {
  it("reads text, reasoning, model and usage", () => {
    expect(read({}, { content: "Four.", thinking: "Two and two." })).toEqual({
      id: "",
      model: "acme-1:latest",
      content: [
        { type: "reasoning", text: "Two and two.", provider: "acme" },
        { type: "text", text: "Four." }
      ],
      text: "Four.",
      reasoning: "Two and two.",
      refusal: "",
      toolCalls: [],
      finishReason: "stop",
      rawFinishReason: "stop",
      usage: Usage.make({ inputTokens: 5, outputTokens: 3 }),
      providerMetadata: {}
    })
  })
  it("reads tool calls with their arguments as JSON text and creates missing ids", () => {
    const { finishReason, rawFinishReason, toolCalls } = read(
      {},
      {
        tool_calls: [
          call("clock", { zone: "UTC" }, { id: "call_abc" }),
          call("clock", { zone: "UTC" }),
          call("plain", undefined),
          call("text", '{"a":1}')
        ]
      }
    )
    expect(toolCalls).toEqual([
      { type: "tool-call", id: "call_abc", name: "clock", arguments: '{"zone":"UTC"}' },
      { type: "tool-call", id: "call_20260102030405_1", name: "clock", arguments: '{"zone":"UTC"}' },
      { type: "tool-call", id: "call_20260102030405_2", name: "plain", arguments: "{}" },
      { type: "tool-call", id: "call_20260102030405_3", name: "text", arguments: '{"a":1}' }
    ])
    // Ollama sends "stop" for responses with tool calls as well.
    expect([finishReason, rawFinishReason]).toEqual(["tool-calls", "stop"])
  })
  it("keeps durations, logprobs and images in the metadata and drops the context", () => {
    const fields = {
      total_duration: 9,
      load_duration: 1,
      prompt_eval_duration: 2,
      eval_duration: 6,
      remote_model: "acme-1",
      remote_host: "https://example.com",
      logprobs: [{ token: "a", logprob: -1 }]
    }
    expect(read({ ...fields, context: [1, 2] }, { images: ["AAAA"] }).providerMetadata).toEqual({
      ...fields,
      images: ["AAAA"]
    })
  })
  it("maps done_reason to a finish reason", () => {
    const finishReasonsOf = (done_reason: unknown, done = true) => {
      const { finishReason, rawFinishReason } = read({ done, done_reason })
      return [finishReason, rawFinishReason]
    }
    expect(finishReasonsOf("length")).toEqual(["length", "length"])
    expect(finishReasonsOf("load")).toEqual(["other", "load"])
    expect(finishReasonsOf("unload")).toEqual(["other", "unload"])
    // Older servers send no done_reason.
    expect(finishReasonsOf(undefined)).toEqual(["stop", ""])
    expect(finishReasonsOf(undefined, false)).toEqual(["other", ""])
  })
  it("reads a missing prompt count as zero and estimates the usage when both counts are missing", () => {
    expect(read({ prompt_eval_count: undefined }).usage).toEqual(Usage.make({ outputTokens: 3 }))
    expect(read({ prompt_eval_count: undefined, eval_count: undefined }, { content: "12345678" }).usage).toEqual(
      Usage.make({ inputTokens: source.estimatedInputTokens, outputTokens: 3, estimated: true })
    )
  })
  it("reads a response of the older generate protocol", () => {
    const { message: _, ...older } = line(last)
    expect(getOrThrow(wire.decodeResponse({ ...older, response: "Four.", thinking: "Hm." }, source))).toMatchObject({
      text: "Four.",
      reasoning: "Hm.",
      finishReason: "stop"
    })
  })
  it("reports an Ollama error body as Reported and rejects other bodies as Malformed", () => {
    const failure = (body: unknown) => failureOf(wire.decodeResponse(body, source))
    expect(failure({ error: "no such model" })).toEqual({ _tag: "Reported", body: { error: "no such model" } })
    expect(failure({ status: "success" })).toMatchObject({ _tag: "Malformed", path: "message" })
    expect(failure("<html>")).toMatchObject({ _tag: "Malformed", path: "" })
    expect(failure(line(last, { tool_calls: [{ function: {} }] }))).toMatchObject({
      _tag: "Malformed",
      path: "message.tool_calls"
    })
  })
})

describe("Ollama stream decoder", () => {
  it("reads reasoning, text and tool call lines, then one Finish at the done line", () => {
    const { events, failure } = stream(
      line({}, { thinking: "Two " }),
      line({}, { thinking: "and two." }),
      line({ logprobs: [{ token: "Fo" }] }, { content: "Fo" }),
      line({ logprobs: [{ token: "ur" }] }, { content: "ur" }),
      line({}, { tool_calls: [call("clock", { zone: "UTC" })] }),
      line({}, { tool_calls: [call("clock", {})] }),
      line({ ...last, total_duration: 9 }),
      line({}, { content: "never read" })
    )
    expect(failure).toBeUndefined()
    expect(events).toEqual([
      { _tag: "ReasoningDelta", index: 0, text: "Two ", provider: "acme" },
      { _tag: "ReasoningDelta", index: 0, text: "and two.", provider: "acme" },
      { _tag: "TextDelta", index: 1, text: "Fo" },
      { _tag: "TextDelta", index: 1, text: "ur" },
      { _tag: "ToolCallDelta", index: 2, id: "call_20260102030405_0", name: "clock", argumentsDelta: '{"zone":"UTC"}' },
      {
        _tag: "ToolCallEnd",
        index: 2,
        call: { type: "tool-call", id: "call_20260102030405_0", name: "clock", arguments: '{"zone":"UTC"}' }
      },
      { _tag: "ToolCallDelta", index: 3, id: "call_20260102030405_1", name: "clock", argumentsDelta: "{}" },
      {
        _tag: "ToolCallEnd",
        index: 3,
        call: { type: "tool-call", id: "call_20260102030405_1", name: "clock", arguments: "{}" }
      },
      {
        _tag: "Finish",
        reason: "tool-calls",
        rawReason: "stop",
        usage: Usage.make({ inputTokens: 5, outputTokens: 3 }),
        latency: 0,
        providerMetadata: { logprobs: [{ token: "Fo" }, { token: "ur" }], total_duration: 9 }
      }
    ])
  })
  it("keeps the order of the stream when reasoning, text and tool calls alternate, with ids from the position of the call", () => {
    const { content } = fold(
      stream(
        line({}, { content: "Let me see." }),
        line({}, { thinking: "Which ", tool_calls: [call("clock", {})] }),
        line({}, { thinking: "zone?" }),
        line({}, { content: "And ", thinking: "Hm." }),
        line({}, { content: "now:" }),
        line({ ...last }, { tool_calls: [call("clock", { zone: 1 })] })
      ).events
    )
    expect(content).toEqual([
      { type: "text", text: "Let me see." },
      { type: "reasoning", text: "Which ", provider: "acme" },
      Chat.toolCall("call_20260102030405_0", "clock", "{}"),
      { type: "reasoning", text: "zone?Hm.", provider: "acme" },
      { type: "text", text: "And now:" },
      Chat.toolCall("call_20260102030405_1", "clock", '{"zone":1}')
    ])
  })
  it("reads a stream of the older generate protocol", () => {
    const { events } = stream({ model: "m", response: "Fo", done: false }, { model: "m", response: "ur", ...last })
    expect(events).toMatchObject([{ text: "Fo" }, { text: "ur" }, { reason: "stop" }])
  })
  it("reports Truncated without a done line and an error line as Reported", () => {
    expect(stream(line({}, { content: "Fo" })).failure).toEqual({ _tag: "Truncated" })
    expect(stream(line({}, { content: "Fo" }), { error: "the runner has stopped" })).toEqual({
      events: [{ _tag: "TextDelta", index: 0, text: "Fo" }],
      failure: { _tag: "Reported", body: { error: "the runner has stopped" } }
    })
    expect(readFrames(wire, [{ data: '{"model":' }]).failure).toMatchObject({ _tag: "Malformed", excerpt: '{"model":' })
  })
  it("takes the model from the first line and estimates the usage until the done line", () => {
    const decoder = wire.decodeStream(source)
    expect([decoder.id, decoder.model, decoder.state]).toEqual(["", "asked", "open"])
    decoder.push({ data: JSON.stringify(line({}, { content: "12345678" })) }, [])
    expect([decoder.model, decoder.state]).toEqual(["acme-1:latest", "open"])
    expect(decoder.usage).toMatchObject({ outputTokens: 3, estimated: true })
    decoder.push({ data: JSON.stringify(line(last)) }, [])
    expect(decoder.state).toBe("done")
    expect(decoder.usage).toMatchObject({ outputTokens: 3, estimated: false })
    const after: Array<WireEvent> = []
    expect(decoder.push({ data: "no matter" }, after) ?? decoder.end(after)).toBeUndefined()
    expect(after).toEqual([])
  })
})
