import { describe, expect, it } from "@effect/vitest"
import type { ChatRequest } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import { response } from "../../../src/testing/TestLLM.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as DashScope from "../../support/dashscope.js"
import { failureOf, getOrThrow, writeFrames } from "../roundTrips.js"

const wire = DashScope.make()

const input = { messages: [{ role: "user", content: "Hi" }] }

const decoded = (body: Record<string, unknown>, headers: Record<string, string> = {}) =>
  getOrThrow(
    wire.decodeRequest({ model: "m", input, ...body }, { path: "/services/aigc/text-generation/generation", headers })
  )

const request = (parameters: Record<string, unknown>): ChatRequest => decoded({ parameters }).request

const messages = (...list: ReadonlyArray<unknown>) => decoded({ input: { messages: list } }).request.messages

const malformedPath = (body: Record<string, unknown>) => {
  const failure = failureOf(wire.decodeRequest({ model: "m", input, ...body }))
  return failure?._tag === "Malformed" ? failure.path : failure
}

describe("DashScope server request", () => {
  it("reads the stream flag from the SSE headers", () => {
    expect(decoded({})).toEqual({ request: { model: "m", messages: [{ role: "user", content: "Hi" }] }, stream: false })
    expect(decoded({}, { "x-dashscope-sse": "enable" }).stream).toBe(true)
    expect(decoded({}, { accept: "text/event-stream" }).stream).toBe(true)
    expect(decoded({}, { accept: "application/json" }).stream).toBe(false)
  })
  it("reads a prompt as one user message", () => {
    expect(decoded({ input: { prompt: "Hi" } }).request.messages).toEqual([{ role: "user", content: "Hi" }])
  })
  it("reads parameters as settings and keeps unknown ones in extra", () => {
    const schema = { type: "object" }
    expect(
      request({
        result_format: "message",
        incremental_output: true,
        temperature: 0,
        top_p: 0.5,
        max_tokens: 9,
        stop: "END",
        seed: 7,
        enable_thinking: true,
        thinking_budget: 100,
        tool_choice: { type: "function", function: { name: "clock" } },
        parallel_tool_calls: true,
        response_format: { type: "json_schema", json_schema: { name: "n", schema } },
        tools: [{ type: "function", function: { name: "clock", parameters: schema } }, { type: "other" }],
        enable_search: true
      })
    ).toEqual({
      model: "m",
      messages: [{ role: "user", content: "Hi" }],
      temperature: 0,
      topP: 0.5,
      maxTokens: 9,
      stop: ["END"],
      seed: 7,
      reasoning: { budgetTokens: 100 },
      toolChoice: { name: "clock" },
      parallelToolCalls: true,
      responseFormat: { name: "n", schema },
      tools: [{ name: "clock", parameters: schema }],
      extra: { enable_search: true, tools: [{ type: "other" }] }
    })
    expect(request({ enable_thinking: false, thinking_budget: 100 }).reasoning).toEqual({ effort: "none" })
    expect(request({ thinking_budget: 100 }).reasoning).toEqual({ budgetTokens: 100 })
    expect(request({ response_format: { type: "json_object" }, tool_choice: "auto" })).toMatchObject({
      responseFormat: "json",
      toolChoice: "auto"
    })
  })
  it("reads text, media, reasoning, tool calls and tool results", () => {
    const mark = { cache_control: { type: "ephemeral" } }
    expect(
      messages(
        { role: "system", content: [{ type: "text", text: "Know.", ...mark }] },
        {
          role: "user",
          content: [
            { image: "https://example.com/a.png", ...mark },
            { audio: "https://example.com/a.wav" },
            { video: "https://example.com/a.mp4" },
            { text: "?" }
          ]
        },
        {
          role: "assistant",
          content: [{ text: "Let me see." }],
          reasoning_content: "Hm.",
          tool_calls: [{ id: "a", type: "function", function: { name: "clock", arguments: "{}" } }]
        },
        { role: "tool", content: [{ text: "12:00" }], tool_call_id: "a" }
      )
    ).toEqual([
      { role: "system", content: [{ type: "text", text: "Know.", cacheControl: {} }] },
      {
        role: "user",
        content: [
          { type: "image", url: "https://example.com/a.png", cacheControl: {} },
          { type: "audio", url: "https://example.com/a.wav" },
          { type: "file", url: "https://example.com/a.mp4" },
          { type: "text", text: "?" }
        ]
      },
      {
        role: "assistant",
        content: [
          { type: "reasoning", text: "Hm." },
          { type: "text", text: "Let me see." },
          { type: "tool-call", id: "a", name: "clock", arguments: "{}" }
        ]
      },
      { role: "tool", toolCallId: "a", content: "12:00" }
    ])
  })
  it("rejects an invalid DashScope request as Malformed with the path of the field", () => {
    expect(malformedPath({ input: "Hi" })).toBe("input")
    expect(malformedPath({ input: {} })).toBe("input.messages")
    expect(malformedPath({ input: { messages: [{ role: "nobody", content: "" }] } })).toBe("input.messages[0].role")
    expect(malformedPath({ input: { messages: [{ role: "tool", content: "" }] } })).toBe(
      "input.messages[0].tool_call_id"
    )
    expect(
      malformedPath({ input: { messages: [{ role: "assistant", content: "", tool_calls: [{ id: "a" }] }] } })
    ).toBe("input.messages[0].tool_calls[0].name")
    expect(
      malformedPath({
        input: {
          messages: [
            {
              role: "assistant",
              content: [{ text: "a" }, { image: 7 }],
              reasoning_content: "b",
              tool_calls: [{ id: "a" }]
            }
          ]
        }
      })
    ).toBe("input.messages[0].content[1].type")
    expect(malformedPath({ parameters: { max_tokens: "many" } })).toBe("parameters.max_tokens")
    expect(malformedPath({ parameters: { tools: {} } })).toBe("parameters.tools")
    expect(malformedPath({ model: 7 })).toBe("model")
    expect(failureOf(wire.decodeRequest("?"))).toMatchObject({ _tag: "Malformed", path: "" })
  })
})

const chatResponse = response({
  id: "r-1",
  model: "m",
  content: [
    { type: "reasoning", text: "Hm." },
    Chat.text("Four."),
    { type: "refusal", text: " No." },
    { type: "provider", native: { other: { type: "opaque" } }, provider: "other" },
    Chat.toolCall("a", "clock", '{"zone":"UTC"}')
  ],
  finishReason: "tool-calls",
  rawFinishReason: "tool_calls",
  usage: Usage.make({ inputTokens: 5, outputTokens: 3 }),
  providerMetadata: { search_info: { found: 1 }, unknown: true }
})

const usage = {
  input_tokens: 5,
  output_tokens: 3,
  total_tokens: 8,
  prompt_tokens_details: { cached_tokens: 0, cache_creation_input_tokens: 0 },
  output_tokens_details: { reasoning_tokens: 0 }
}

const call = (args: string, first = true) => ({
  index: 0,
  id: first ? "a" : "",
  type: "function",
  function: { ...(first ? { name: "clock" } : {}), arguments: args }
})

/** The events of the response, with the tool call in two deltas. */
const events: ReadonlyArray<ChatEvent.ChatEvent> = ChatEvent.fromResponse(chatResponse).flatMap(
  (event): ReadonlyArray<ChatEvent.ChatEvent> =>
    event._tag === "ToolCallDelta"
      ? [
          { ...event, argumentsDelta: '{"zone":' },
          { ...event, argumentsDelta: '"UTC"}' }
        ]
      : [event]
)

const summarize = (frames: ReadonlyArray<{ readonly event?: string | undefined; readonly data: string }>) =>
  frames.map(({ data, event }) => {
    const { output, request_id: id } = JSON.parse(data)
    const { finish_reason: reason, message } = output.choices[0]
    const { role: _, ...fields } = message
    return [event, id, reason, fields]
  })

describe("DashScope server response", () => {
  it("writes text, reasoning, tool calls and usage of a response", () => {
    expect(wire.encodeResponse(chatResponse)).toEqual({
      request_id: "r-1",
      output: {
        choices: [
          {
            index: 0,
            finish_reason: "tool_calls",
            message: {
              role: "assistant",
              content: "Four. No.",
              reasoning_content: "Hm.",
              tool_calls: [{ ...call('{"zone":"UTC"}') }]
            }
          }
        ],
        search_info: { found: 1 }
      },
      usage
    })
  })
  it("writes an incremental stream when the request has incremental_output", () => {
    const frames = writeFrames(wire, events, { parameters: { incremental_output: true } })
    expect(summarize(frames)).toEqual([
      ["result", "r-1", "null", { content: "", reasoning_content: "Hm." }],
      ["result", "r-1", "null", { content: "Four." }],
      ["result", "r-1", "null", { content: " No." }],
      ["result", "r-1", "null", { content: "", tool_calls: [call('{"zone":')] }],
      ["result", "r-1", "null", { content: "", tool_calls: [call('"UTC"}', false)] }],
      ["result", "r-1", "tool_calls", { content: "" }]
    ])
    expect(JSON.parse(frames.at(-1)?.data ?? "")).toMatchObject({ usage, output: { search_info: { found: 1 } } })
  })
  it("writes a cumulative stream when the request has no incremental_output", () => {
    const reasoning = { reasoning_content: "Hm." }
    const full = { content: "Four. No.", ...reasoning }
    expect(summarize(writeFrames(wire, events))).toEqual([
      ["result", "r-1", "null", { content: "", ...reasoning }],
      ["result", "r-1", "null", { content: "Four.", ...reasoning }],
      ["result", "r-1", "null", full],
      ["result", "r-1", "null", { ...full, tool_calls: [call('{"zone":')] }],
      ["result", "r-1", "null", { ...full, tool_calls: [call('{"zone":"UTC"}')] }],
      ["result", "r-1", "tool_calls", { ...full, tool_calls: [call('{"zone":"UTC"}')] }]
    ])
  })
  it("writes the finish reason pause as length", () => {
    const paused = response({ content: [Chat.text("So")], finishReason: "pause", rawFinishReason: "pause_turn" })
    expect(wire.encodeResponse(paused)).toMatchObject({ output: { choices: [{ finish_reason: "length" }] } })
  })
  it("writes an error with the code of its status unless a code is given", () => {
    const code = (status: number) => wire.encodeError({ status, message: "No." })["code"]
    expect(wire.encodeError({ status: 400, message: "No.", code: "Arrearage" })).toEqual({
      code: "Arrearage",
      message: "No.",
      request_id: ""
    })
    expect([400, 401, 429, 500].map(code)).toEqual(["InvalidParameter", "InvalidApiKey", "Throttling", "InternalError"])
  })
})
