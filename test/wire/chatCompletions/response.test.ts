import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { AssistantPart } from "../../../src/vocabulary/Chat.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as ChatCompletions from "../../../src/wire/ChatCompletions.js"
import type { WireResponse } from "../../../src/wire/Wire.js"

const wire = ChatCompletions.make()
const source = { provider: "acme", model: "asked", estimatedInputTokens: 7 }

const responseBody = (
  message: unknown,
  fields: Record<string, unknown> = {},
  choice: Record<string, unknown> = {}
) => ({
  id: "chatcmpl-1",
  object: "chat.completion",
  model: "acme-1-2026",
  choices: [{ index: 0, message, finish_reason: "stop", ...choice }],
  usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
  ...fields
})

const decoded = (body: unknown): WireResponse =>
  Either.getOrThrowWith(wire.decodeResponse(body, source), (failure) => new Error(JSON.stringify(failure)))

const read = (message: unknown, fields?: Record<string, unknown>, choice?: Record<string, unknown>): WireResponse =>
  decoded(responseBody({ role: "assistant", ...(typeof message === "object" ? message : {}) }, fields, choice))

const failure = (body: unknown): unknown =>
  Either.match(wire.decodeResponse(body, source), { onLeft: (left) => left, onRight: () => undefined })

describe("Chat Completions response", () => {
  it("reads text, id, model, finish reason and usage", () => {
    expect(read({ content: "Hello." })).toEqual({
      id: "chatcmpl-1",
      model: "acme-1-2026",
      content: [{ type: "text", text: "Hello." }],
      text: "Hello.",
      reasoning: "",
      refusal: "",
      toolCalls: [],
      finishReason: "stop",
      rawFinishReason: "stop",
      usage: Usage.make({ inputTokens: 5, outputTokens: 3, totalTokens: 8 }),
      providerMetadata: {}
    })
  })
  it("takes the requested model and an empty id when the response has none", () => {
    expect(read({ content: "x" }, { id: null, model: "" })).toMatchObject({ id: "", model: "asked" })
  })
  it("reads a response without text and a refusal", () => {
    expect(read({ content: null })).toMatchObject({ text: "", refusal: "" })
    expect(read({ content: null, refusal: "I will not." })).toMatchObject({ text: "", refusal: "I will not." })
  })
  it("reads a filtered choice without a message", () => {
    const choice = { message: undefined, finish_reason: "content_filter", content_filter_results: { hate: {} } }
    expect(read({}, {}, choice)).toMatchObject({
      text: "",
      finishReason: "content-filter",
      providerMetadata: { content_filter_results: { hate: {} } }
    })
  })
  it("reads content parts as text and reasoning", () => {
    const content = [
      {
        type: "thinking",
        thinking: [
          { type: "text", text: "Hm" },
          { type: "text", text: "." }
        ]
      },
      { type: "thinking", thinking: " So.", signature: "sig" },
      { type: "text", text: "Fo" },
      { type: "text", text: "ur." }
    ]
    expect(read({ content })).toMatchObject({
      text: "Four.",
      reasoning: "Hm. So.",
      content: [
        { type: "reasoning", text: "Hm.", provider: "acme" },
        { type: "reasoning", text: " So.", signature: "sig", provider: "acme" },
        { type: "text", text: "Fo" },
        { type: "text", text: "ur." }
      ]
    })
  })
  it("keeps interleaved thinking, text and unknown entries of the content in their order, with their unknown fields", () => {
    const content = [
      { type: "thinking", thinking: [{ type: "text", text: "a" }], closed: true },
      { type: "text", text: "b" },
      { type: "reference", reference_ids: [1] },
      { type: "reasoning", summary: [{ type: "summary_text", text: "c", signature: "s" }] },
      { type: "reasoning", summary: [{ type: "summary_encrypted_text", data: "enc" }] },
      { type: "text", text: "d", citations: [{ url: "https://example.com" }] },
      { type: "refusal", refusal: "e" }
    ]
    const native = (fields: object | undefined) => ({ provider: "acme", native: { "chat-completions": fields } })
    expect(read({ content, refusal: "f", tool_calls: [{ id: "1", function: { name: "g" } }] }).content).toEqual([
      { type: "reasoning", text: "a", ...native({ closed: true }) },
      { type: "text", text: "b" },
      { type: "provider", ...native(content[2]) },
      { type: "reasoning", text: "c", signature: "s", ...native({ type: "reasoning" }) },
      { type: "provider", ...native(content[4]) },
      { type: "text", text: "d", ...native({ citations: [{ url: "https://example.com" }] }) },
      { type: "refusal", text: "ef" },
      { type: "tool-call", id: "1", name: "g", arguments: "{}" }
    ])
  })
  it("orders the fields of a message: reasoning, text, refusal, tool calls", () => {
    const message = {
      tool_calls: [{ id: "1", function: { name: "f", arguments: "{}" } }],
      refusal: "No.",
      content: "Hi",
      reasoning_content: "Hm."
    }
    expect(read(message).content.map(({ type }) => type)).toEqual(["reasoning", "text", "refusal", "tool-call"])
  })
  it("reads reasoning once when a field repeats the thinking entries of the content", () => {
    const content = [
      { type: "thinking", thinking: "Hm." },
      { type: "text", text: "x" }
    ]
    for (const field of [
      { reasoning_content: "Hm." },
      { reasoning_details: [{ type: "reasoning.text", text: "Hm.", index: 0 }] }
    ]) {
      expect(read({ content, ...field })).toMatchObject({ reasoning: "Hm.", content: [{ text: "Hm." }, { text: "x" }] })
    }
  })
  it("reads the choice of index 0 and keeps the other choices in the metadata", () => {
    const other = { index: 1, message: { content: "Two." }, finish_reason: "stop" }
    const first = { index: 0, message: { content: "One." }, finish_reason: "length" }
    expect(read({}, { choices: [other, first] })).toMatchObject({
      text: "One.",
      finishReason: "length",
      providerMetadata: { choices: [other] }
    })
  })
  it("reads the message of a choice that also has a delta", () => {
    expect(read({ content: "Hello." }, {}, { delta: { role: "assistant", content: "" } }).text).toBe("Hello.")
  })
})

describe("Chat Completions response: reasoning", () => {
  const plain = { type: "reasoning", text: "Hm.", provider: "acme" }
  const reasoningOf = ({ content }: { readonly content: ReadonlyArray<AssistantPart> }) =>
    content.filter((part) => part.type === "reasoning")
  it("reads reasoning under each of its field names, once when several repeat it", () => {
    for (const message of [
      { reasoning_content: "Hm." },
      { reasoning: "Hm." },
      { reasoning_text: "Hm." },
      { reasoning_content: "Hm.", reasoning: "Hm.", reasoning_text: "Hm." },
      { reasoning: "Hm.", reasoning_details: [{ type: "reasoning.text", text: "Hm.", signature: null }] }
    ]) {
      expect(read({ content: "x", ...message })).toMatchObject({
        reasoning: "Hm.",
        content: [plain, { type: "text", text: "x" }]
      })
    }
  })
  it("keeps id, format and signature of reasoning_details", () => {
    const details = [
      { type: "reasoning.summary", summary: "In short.", id: "rs_1", format: "openai-responses-v1", index: 0 },
      { type: "reasoning.encrypted", data: "enc", id: "rs_1", format: "openai-responses-v1", index: 0 },
      { type: "reasoning.text", text: "Hm.", signature: "sig", format: "anthropic-claude-v1", index: 1 }
    ]
    expect(read({ reasoning: "In short.Hm.", reasoning_details: details })).toMatchObject({
      reasoning: "In short.Hm.",
      content: [
        { text: "In short.", id: "rs_1", format: "reasoning.summary/openai-responses-v1", provider: "acme" },
        { text: "", signature: "enc", id: "rs_1", format: "reasoning.encrypted/openai-responses-v1" },
        { text: "Hm.", signature: "sig", format: "reasoning.text/anthropic-claude-v1" }
      ]
    })
  })
  it("reads a reasoning signature next to the text or inside a content part", () => {
    const signed = [{ ...plain, signature: "sig" }]
    const summary = [{ type: "summary_text", text: "Hm.", signature: "sig" }]
    expect(reasoningOf(read({ content: "x", reasoning_text: "Hm.", reasoning_opaque: "sig" }))).toEqual(signed)
    expect(
      read({
        content: [
          { type: "reasoning", summary },
          { type: "text", text: "x" }
        ]
      })
    ).toMatchObject({
      content: [...signed, { type: "text", text: "x" }]
    })
    expect(reasoningOf(read({ content: [{ type: "reasoning", summary: [{ text: "Hm." }] }] }))).toMatchObject([plain])
  })
  it("reads plain reasoning text when reasoning_details contain only encrypted entries", () => {
    const details = [
      { type: "reasoning.encrypted", data: "enc" },
      { type: "reasoning.text", text: "", signature: "" }
    ]
    expect(read({ reasoning: "Hm.", reasoning_details: details }).content).toEqual([
      plain,
      { type: "reasoning", text: "", signature: "enc", format: "reasoning.encrypted", provider: "acme" }
    ])
  })
})

describe("Chat Completions response: tool calls", () => {
  const call = (id: unknown, name: string, args: unknown) => ({
    id,
    type: "function",
    function: { name, arguments: args }
  })
  it("reads function and custom tool calls", () => {
    const calls = [call("a", "f", '{"x":1}'), { id: "b", type: "custom", custom: { name: "g", input: "free" } }]
    expect(read({ content: null, tool_calls: calls }, {}, { finish_reason: "tool_calls" })).toMatchObject({
      toolCalls: [
        { type: "tool-call", id: "a", name: "f", arguments: '{"x":1}' },
        { type: "tool-call", id: "b", name: "g", arguments: "free", custom: true }
      ],
      finishReason: "tool-calls",
      rawFinishReason: "tool_calls"
    })
  })
  it("keeps name and arguments of a tool call of a response next to the empty form of the other type", () => {
    const empty = { name: "", input: "" }
    const free = { id: "b", type: "custom", custom: { name: "g", input: "free" } }
    const toolCalls = [
      { type: "tool-call", id: "a", name: "f", arguments: '{"x":1}' },
      { type: "tool-call", id: "b", name: "g", arguments: "free", custom: true }
    ]
    for (const custom of [empty, {}, { name: null, input: null }, null]) {
      for (const fn of [{ name: "", arguments: "" }, {}, null]) {
        const calls = [
          { ...call("a", "f", '{"x":1}'), custom },
          { ...free, function: fn }
        ]
        expect(read({ content: null, tool_calls: calls }).toolCalls).toEqual(toolCalls)
      }
    }
  })
  it("creates missing ids and arguments of tool calls and writes object arguments as JSON text", () => {
    const calls = [call("", "f", ""), call(null, "g", undefined), call("c", "h", { x: 1 })]
    expect(read({ tool_calls: calls }).toolCalls).toEqual([
      { type: "tool-call", id: "call_0", name: "f", arguments: "{}" },
      { type: "tool-call", id: "call_1", name: "g", arguments: "{}" },
      { type: "tool-call", id: "c", name: "h", arguments: '{"x":1}' }
    ])
  })
  it("reads the finish reason tool-calls for a stop with tool calls, but length when tokens ran out", () => {
    const calls = { tool_calls: [call("a", "f", "{}")] }
    expect(read(calls)).toMatchObject({ finishReason: "tool-calls", rawFinishReason: "stop" })
    expect(read(calls, {}, { finish_reason: null })).toMatchObject({ finishReason: "tool-calls", rawFinishReason: "" })
    expect(read(calls, {}, { finish_reason: "length" }).finishReason).toBe("length")
  })
  it("reads the legacy function_call unless tool_calls repeats it", () => {
    const legacy = { function_call: { name: "f", arguments: "{}" } }
    expect(read(legacy, {}, { finish_reason: "function_call" })).toMatchObject({
      toolCalls: [{ type: "tool-call", id: "call_0", name: "f", arguments: "{}" }],
      finishReason: "tool-calls"
    })
    expect(read({ ...legacy, tool_calls: [call("a", "f", "{}")] }).toolCalls).toEqual([
      { type: "tool-call", id: "a", name: "f", arguments: "{}" }
    ])
  })
  it("reads two tool calls with the same id as two calls", () => {
    expect(read({ tool_calls: [call("a", "f", "{}"), call("a", "f", "{}")] }).toolCalls).toHaveLength(2)
  })
  it("drops tool calls without a name", () => {
    expect(read({ tool_calls: [call("a", "", "{}"), "x", call("b", "f", "{}")] }).toolCalls).toEqual([
      { type: "tool-call", id: "b", name: "f", arguments: "{}" }
    ])
  })
})

describe("Chat Completions finish reason", () => {
  it("reads the finish reason pause_turn of proxies as pause", () => {
    expect(read({ content: "x" }, {}, { finish_reason: "pause_turn" })).toMatchObject({
      finishReason: "pause",
      rawFinishReason: "pause_turn"
    })
  })
  it("maps every known finish_reason, and unknown or absent ones to other", () => {
    const reason = (raw: unknown) => read({ content: "x" }, {}, { finish_reason: raw }).finishReason
    for (const raw of ["stop", "eos", "end_turn"]) expect(reason(raw)).toBe("stop")
    for (const raw of ["length", "max_tokens", "model_length"]) expect(reason(raw)).toBe("length")
    for (const raw of ["content_filter", "sensitive"]) expect(reason(raw)).toBe("content-filter")
    for (const raw of ["a word yet to come", null, undefined]) expect(reason(raw)).toBe("other")
    for (const raw of ["tool_calls", "function_call", "tool_use"]) expect(reason(raw)).toBe("tool-calls")
  })
})

describe("Chat Completions response: usage", () => {
  const usage = (fields: unknown) => read({ content: "Hello." }, { usage: fields }).usage
  const counts = { prompt_tokens: 10, completion_tokens: 4 }
  it("reads cached, cache write and reasoning tokens of Chat Completions usage", () => {
    expect(
      usage({
        ...counts,
        total_tokens: 14,
        prompt_tokens_details: { cached_tokens: 6, cache_write_tokens: 2 },
        completion_tokens_details: { reasoning_tokens: 3 }
      })
    ).toEqual(
      Usage.make({ inputTokens: 10, outputTokens: 4, cachedInputTokens: 6, cacheWriteTokens: 2, reasoningTokens: 3 })
    )
  })
  it("reads cache counts under each provider's field names", () => {
    expect(usage({ ...counts, prompt_cache_hit_tokens: 6 }).cachedInputTokens).toBe(6)
    expect(usage({ ...counts, cached_tokens: 6 }).cachedInputTokens).toBe(6)
    expect(usage({ ...counts, cache_read_input_tokens: 6 }).cachedInputTokens).toBe(6)
    expect(usage({ ...counts, cache_creation_input_tokens: 2 }).cacheWriteTokens).toBe(2)
    const details = { cached_tokens: 6, cache_creation_input_tokens: 2, cache_type: "ephemeral" }
    expect(usage({ ...counts, prompt_tokens_details: details })).toMatchObject({
      cachedInputTokens: 6,
      cacheWriteTokens: 2
    })
  })
  it("adds reasoning tokens to the output when the provider counts them outside it", () => {
    const details = { completion_tokens_details: { reasoning_tokens: 3 } }
    expect(usage({ ...counts, total_tokens: 17, ...details })).toMatchObject({ outputTokens: 7, totalTokens: 17 })
    expect(usage({ ...counts, total_tokens: 14, reasoning_tokens: 90 })).toMatchObject({
      outputTokens: 94,
      reasoningTokens: 90,
      totalTokens: 14
    })
    const tooMany = { completion_tokens_details: { reasoning_tokens: 5 } }
    expect(usage({ ...counts, total_tokens: 14, ...tooMany })).toMatchObject({ outputTokens: 4, totalTokens: 14 })
    expect(usage({ ...counts, ...tooMany })).toMatchObject({ outputTokens: 9, totalTokens: 19 })
  })
  it("reads the usage of a response from the choice and from x_groq", () => {
    const expected = { inputTokens: 10, outputTokens: 4, estimated: false }
    expect(read({ content: "x" }, { usage: null }, { usage: counts }).usage).toMatchObject(expected)
    expect(read({ content: "x" }, { usage: undefined, x_groq: { usage: counts } }).usage).toMatchObject(expected)
  })
  it("estimates the usage when counts are absent or invalid", () => {
    const estimated = Usage.make({ inputTokens: 7, outputTokens: 2, estimated: true })
    for (const none of [null, undefined, {}, { prompt_tokens: -1 }]) expect(usage(none)).toEqual(estimated)
  })
})

describe("Chat Completions response: provider metadata", () => {
  it("keeps the id of the audio in a part, since the next turn sends it back", () => {
    const audio = { id: "audio_1", data: "AA", transcript: "x", expires_at: 1 }
    expect(read({ content: null, audio })).toMatchObject({
      content: [
        {
          type: "provider",
          provider: "acme",
          native: { "chat-completions": { message: { audio: { id: "audio_1" } } } }
        }
      ],
      providerMetadata: { audio }
    })
    expect(read({ content: "x", audio: { id: "", data: "AA" } }).content).toEqual([{ type: "text", text: "x" }])
  })
  it("keeps non-empty provider fields in the metadata", () => {
    expect(
      read(
        {
          content: "x",
          annotations: [],
          audio: { id: "a1", data: "AA", transcript: "x" },
          executed_tools: null,
          images: [{ type: "image_url", image_url: { url: "data:image/png;base64,AA" }, index: 0 }]
        },
        { service_tier: "default", system_fingerprint: "", citations: ["https://example.com"], padding: "…" },
        { logprobs: { content: [{ token: "x" }] }, native_finish_reason: "STOP" }
      ).providerMetadata
    ).toEqual({
      audio: { id: "a1", data: "AA", transcript: "x" },
      images: [{ type: "image_url", image_url: { url: "data:image/png;base64,AA" }, index: 0 }],
      service_tier: "default",
      citations: ["https://example.com"],
      logprobs: { content: [{ token: "x" }] },
      native_finish_reason: "STOP"
    })
  })
})

describe("Chat Completions response: failures", () => {
  it("reports Chat Completions errors under status 200 as Reported", () => {
    const error = { message: "Overloaded", code: 502 }
    expect(failure({ error: error })).toEqual({ _tag: "Reported", body: { error: error } })
    expect(failure({ error: "Overloaded" })).toEqual({ _tag: "Reported", body: { error: "Overloaded" } })
    expect(failure({ object: "error", message: "No." })).toMatchObject({ _tag: "Reported" })
    expect(failure({ detail: "No." })).toMatchObject({ _tag: "Reported" })
    const minimaxError = { choices: null, base_resp: { status_code: 1008, status_msg: "insufficient balance" } }
    expect(failure(minimaxError)).toEqual({ _tag: "Reported", body: minimaxError })
    expect(failure(responseBody({ content: "x" }, { base_resp: { status_code: 0, status_msg: "" } }))).toBeUndefined()
    expect(failure(responseBody({ content: "" }, {}, { error: error, finish_reason: "error" }))).toEqual({
      _tag: "Reported",
      body: { error: error }
    })
    expect(failure(responseBody({ content: "x" }, { error: null }))).toBeUndefined()
  })
  it("rejects an invalid Chat Completions response as Malformed with the path of the field", () => {
    const malformed = (path: string) => ({ _tag: "Malformed", path })
    expect(failure("<html>")).toEqual({ _tag: "Malformed", path: "", excerpt: "<html>" })
    expect(failure([])).toMatchObject(malformed(""))
    expect(failure({ id: "x" })).toMatchObject(malformed("choices"))
    expect(failure({ choices: [] })).toMatchObject(malformed("choices[0]"))
    expect(failure({ choices: ["x"] })).toMatchObject(malformed("choices[0]"))
  })
})
