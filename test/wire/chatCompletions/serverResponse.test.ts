import { describe, expect, it } from "@effect/vitest"
import type { AssistantPart, ChatResponse, FinishReason } from "../../../src/vocabulary/Chat.js"
import { text, toolCall, withContent } from "../../../src/vocabulary/Chat.js"
import type { ChatEvent, Start } from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as ChatCompletions from "../../../src/wire/ChatCompletions.js"

const wire = ChatCompletions.make()

const answer = (content: ReadonlyArray<AssistantPart>): ChatResponse =>
  withContent(
    {
      id: "c1",
      provider: "acme",
      model: "acme-1",
      finishReason: "stop" as const,
      rawFinishReason: "stop",
      usage: Usage.make({
        inputTokens: 5,
        outputTokens: 3,
        cachedInputTokens: 1,
        cacheWriteTokens: 2,
        reasoningTokens: 1
      }),
      latency: 0,
      keyId: "k",
      attempts: [],
      providerMetadata: {}
    },
    content
  )

const response = answer([text("Hello.")])

const usage = {
  prompt_tokens: 5,
  completion_tokens: 3,
  total_tokens: 8,
  prompt_tokens_details: { cached_tokens: 1, cache_write_tokens: 2 },
  completion_tokens_details: { reasoning_tokens: 1 }
}

describe("Chat Completions server response", () => {
  it("writes every field of a response as OpenAI does", () => {
    expect(wire.encodeResponse(response)).toEqual({
      id: "c1",
      object: "chat.completion",
      created: 0,
      model: "acme-1",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Hello.", refusal: null },
          logprobs: null,
          finish_reason: "stop"
        }
      ],
      usage
    })
  })
  it("writes reasoning in the fields of each history dialect, in responses and in streams", () => {
    const withReasoning = answer([{ type: "reasoning", text: "Hm.", signature: "s" }, text("Hello.")])
    const details = [{ type: "reasoning.text", text: "Hm.", signature: "s", index: 0 }]
    const parts = [
      { type: "thinking", thinking: [{ type: "text", text: "Hm." }], signature: "s" },
      { type: "text", text: "Hello." }
    ]
    const dialects = [
      ["none", { content: "Hello.", reasoning_content: "Hm.", reasoning_details: details }],
      ["reasoning_content", { content: "Hello.", reasoning_content: "Hm." }],
      ["reasoning", { content: "Hello.", reasoning: "Hm." }],
      ["reasoning_details", { content: "Hello.", reasoning: "Hm.", reasoning_details: details }],
      ["thinking-parts", { content: parts }]
    ] as const
    for (const [history, message] of dialects) {
      const { encodeResponse, encodeStream } = ChatCompletions.make({ history })
      expect(encodeResponse(withReasoning)["choices"]).toEqual([
        {
          index: 0,
          // Clients look for reasoning under either name; a stream contains it once.
          message: {
            role: "assistant",
            refusal: null,
            ...message,
            ...(history === "none" ? { reasoning: "Hm." } : {})
          },
          logprobs: null,
          finish_reason: "stop"
        }
      ])
      const { content, ...fields } = message
      const frames = encodeStream({}).push({ _tag: "ReasoningDelta", index: 0, text: "Hm.", signature: "s" })
      const delta = typeof content === "string" ? fields : { content: content.slice(0, 1) }
      expect(frames.map(({ data }): unknown => JSON.parse(data))).toEqual([
        {
          object: "chat.completion.chunk",
          created: 0,
          choices: [{ index: 0, delta, logprobs: null, finish_reason: null }]
        }
      ])
    }
  })
  it("maps finish reasons of every provider to OpenAI's finish_reason", () => {
    const reason = (finishReason: FinishReason, rawFinishReason: string) =>
      wire.encodeResponse({ ...response, finishReason, rawFinishReason })["choices"]
    expect(reason("stop", "end_turn")).toMatchObject([{ finish_reason: "stop" }])
    expect(reason("length", "max_output_tokens")).toMatchObject([{ finish_reason: "length" }])
    expect(reason("tool-calls", "function_call")).toMatchObject([{ finish_reason: "function_call" }])
    expect(reason("tool-calls", "tool_use")).toMatchObject([{ finish_reason: "tool_calls" }])
    expect(reason("content-filter", "SAFETY")).toMatchObject([{ finish_reason: "content_filter" }])
    expect(reason("other", "pause_turn")).toMatchObject([{ finish_reason: "pause_turn" }])
    expect(reason("other", "")).toMatchObject([{ finish_reason: "other" }])
    expect(reason("pause", "pause_turn")).toMatchObject([{ finish_reason: "length" }])
    expect(reason("pause", "")).toMatchObject([{ finish_reason: "length" }])
  })
  it("writes metadata into its original fields, except for error and id", () => {
    const metadata = {
      service_tier: "flex",
      annotations: [1],
      logprobs: { content: [] },
      error: "x",
      id: "y",
      choices: [{ index: 1 }]
    }
    const body = wire.encodeResponse({ ...response, providerMetadata: metadata })
    expect(body).toMatchObject({
      id: "c1",
      service_tier: "flex",
      choices: [{ index: 0, message: { annotations: [1] }, logprobs: { content: [] } }, { index: 1 }]
    })
    expect(body).not.toHaveProperty("error")
  })
  describe("order of the parts", () => {
    const own = (fields: Record<string, unknown>) => ({ native: { "chat-completions": fields } })
    const reasoning = (value: string): AssistantPart => ({ type: "reasoning", text: value })
    const message = (content: ReadonlyArray<AssistantPart>, dialect?: Partial<ChatCompletions.Dialect>): unknown => {
      const choices = ChatCompletions.make(dialect).encodeResponse(answer(content))["choices"]
      return Array.isArray(choices) ? choices[0].message : choices
    }
    const thinking = (value: string) => ({ type: "thinking", thinking: [{ type: "text", text: value }] })

    it("writes interleaved reasoning and texts in their order as thinking parts", () => {
      expect(
        message([reasoning("a"), text("b"), toolCall("1", "f", "{}"), reasoning("c"), text("d")], {
          history: "thinking-parts"
        })
      ).toEqual({
        role: "assistant",
        content: [thinking("a"), { type: "text", text: "b" }, thinking("c"), { type: "text", text: "d" }],
        refusal: null,
        tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }]
      })
    })
    it("writes parts in the fields of the message with the order kept inside each field", () => {
      expect(
        message(
          [
            text("a"),
            toolCall("1", "f", "{}"),
            reasoning("b"),
            { type: "refusal", text: "c" },
            text("d"),
            toolCall("2", "f", "{}"),
            reasoning("e")
          ],
          { history: "reasoning" }
        )
      ).toMatchObject({ content: "ad", reasoning: "be", refusal: "c", tool_calls: [{ id: "1" }, { id: "2" }] })
    })
    it("writes the native fields and the provider parts of this protocol in place, and leaves out those of others", () => {
      const reference = { type: "reference", reference_ids: [1] }
      expect(
        message([
          { ...text("a"), ...own({ citations: [1] }) },
          { type: "provider", provider: "mistral", ...own(reference) },
          { type: "provider", provider: "anthropic", native: { "anthropic-messages": { type: "server_tool_use" } } },
          { ...text("b"), native: { gemini: { x: 1 } } },
          {
            ...toolCall("1", "f", "{}"),
            signature: "s",
            provider: "gemini",
            ...own({ extra_content: { google: { x: 1 } } })
          },
          { type: "provider", provider: "openai", ...own({ message: { audio: { id: "audio_1" } } }) }
        ])
      ).toEqual({
        role: "assistant",
        content: [{ type: "text", text: "a", citations: [1] }, reference, { type: "text", text: "b" }],
        refusal: null,
        audio: { id: "audio_1" },
        tool_calls: [
          {
            id: "1",
            type: "function",
            function: { name: "f", arguments: "{}" },
            extra_content: { google: { x: 1, thought_signature: "s" } }
          }
        ]
      })
    })
  })
  it("drops an estimated usage", () => {
    expect(wire.encodeResponse({ ...response, usage: { ...response.usage, estimated: true } })).not.toHaveProperty(
      "usage"
    )
  })
})

describe("Chat Completions server stream", () => {
  const start: Start = { _tag: "Start", id: "c1", provider: "acme", model: "acme-1", keyId: "k", attempts: [] }
  const finish: ChatEvent = {
    _tag: "Finish",
    reason: "stop",
    rawReason: "stop",
    usage: response.usage,
    latency: 0,
    providerMetadata: { service_tier: "flex" }
  }
  const writeEvents = (
    events: ReadonlyArray<ChatEvent>,
    requestBody: Record<string, unknown> = {}
  ): ReadonlyArray<unknown> => {
    const encoder = wire.encodeStream(requestBody)
    return events
      .flatMap((event) => encoder.push(event))
      .map(({ data }): unknown => (data === "[DONE]" ? data : JSON.parse(data)))
  }
  const head = { id: "c1", object: "chat.completion.chunk", created: 0, model: "acme-1" }
  const chunk = (delta: unknown, finish_reason: string | null = null) => ({
    ...head,
    choices: [{ index: 0, delta, logprobs: null, finish_reason }]
  })

  it("writes the role chunk, the deltas, the finish_reason and [DONE]", () => {
    expect(
      writeEvents([
        start,
        { _tag: "TextDelta", index: 0, text: "Hi" },
        { _tag: "RefusalDelta", index: 1, text: "No." },
        finish
      ])
    ).toEqual([
      chunk({ role: "assistant", content: "", refusal: null }),
      chunk({ content: "Hi" }),
      chunk({ refusal: "No." }),
      { ...chunk({}, "stop"), service_tier: "flex" },
      "[DONE]"
    ])
  })
  it("writes a usage chunk when the request has include_usage", () => {
    const requestBody = { stream_options: { include_usage: true } }
    expect(writeEvents([start, finish], requestBody)).toEqual([
      { ...chunk({ role: "assistant", content: "", refusal: null }), usage: null },
      { ...chunk({}, "stop"), service_tier: "flex", usage: null },
      { ...head, choices: [], usage },
      "[DONE]"
    ])
    const estimated: ChatEvent = { ...finish, usage: { ...response.usage, estimated: true } }
    expect(writeEvents([start, estimated], requestBody)).toHaveLength(3)
  })
  it("writes id and name of a tool call once, and the arguments that no delta carried at its end", () => {
    const callDelta = { _tag: "ToolCallDelta", index: 0, id: "a", name: "f" } as const
    const events: ReadonlyArray<ChatEvent> = [
      { ...callDelta, argumentsDelta: "{" },
      { ...callDelta, argumentsDelta: "}" },
      { _tag: "ToolCallEnd", index: 0, call: { type: "tool-call", id: "a", name: "f", arguments: "{}" } },
      { _tag: "ToolCallEnd", index: 1, call: { type: "tool-call", id: "b", name: "g", arguments: "{}" } },
      { _tag: "ToolCallDelta", index: 2, id: "c", name: "h", argumentsDelta: "[" },
      { _tag: "ToolCallEnd", index: 2, call: { type: "tool-call", id: "c", name: "h", arguments: "[]" } }
    ]
    const calls = (call: unknown) => chunk({ tool_calls: [call] })
    expect(writeEvents([start, ...events]).slice(1)).toEqual([
      calls({ index: 0, id: "a", type: "function", function: { name: "f", arguments: "{" } }),
      calls({ index: 0, function: { arguments: "}" } }),
      calls({ index: 1, id: "b", type: "function", function: { name: "g", arguments: "{}" } }),
      calls({ index: 2, id: "c", type: "function", function: { name: "h", arguments: "[" } }),
      calls({ index: 2, function: { arguments: "]" } })
    ])
  })
  it("writes parts in the order of the events, and numbers tool calls and reasoning without the other parts", () => {
    const own = (fields: Record<string, unknown>) => ({ native: { "chat-completions": fields } })
    const reference = { type: "reference", reference_ids: [1] }
    const events: ReadonlyArray<ChatEvent> = [
      { _tag: "TextDelta", index: 0, text: "a" },
      { _tag: "ToolCallDelta", index: 1, id: "1", name: "f", argumentsDelta: "{}" },
      {
        _tag: "ToolCallEnd",
        index: 1,
        call: { ...toolCall("1", "f", "{}"), signature: "s", provider: "gemini", ...own({ x: 1 }) }
      },
      { _tag: "TextDelta", index: 2, text: "b", provider: "acme", ...own({ citations: [1] }) },
      { _tag: "ReasoningDelta", index: 3, text: "c" },
      { _tag: "ProviderPart", index: 4, part: { type: "provider", provider: "acme", ...own(reference) } },
      { _tag: "ProviderPart", index: 5, part: { type: "provider", provider: "acme", native: { gemini: {} } } },
      { _tag: "ToolCallEnd", index: 6, call: toolCall("2", "f", "{}") },
      { _tag: "ReasoningDelta", index: 7, text: "d" },
      {
        _tag: "ProviderPart",
        index: 8,
        part: { type: "provider", provider: "acme", ...own({ message: { audio: { id: "audio_1" } } }) }
      }
    ]
    const call = (fields: object) => chunk({ tool_calls: [fields] })
    const detail = (value: string, index: number) =>
      chunk({ reasoning_content: value, reasoning_details: [{ type: "reasoning.text", text: value, index }] })
    expect(writeEvents([start, ...events]).slice(1)).toEqual([
      chunk({ content: "a" }),
      call({ index: 0, id: "1", type: "function", function: { name: "f", arguments: "{}" } }),
      call({ index: 0, function: { arguments: "" }, x: 1, extra_content: { google: { thought_signature: "s" } } }),
      chunk({ content: [{ type: "text", text: "b", citations: [1] }] }),
      detail("c", 0),
      chunk({ content: [reference] }),
      call({ index: 1, id: "2", type: "function", function: { name: "f", arguments: "{}" } }),
      detail("d", 1),
      chunk({ audio: { id: "audio_1" } })
    ])
  })
  it("writes a custom tool call when the request declared a custom tool of that name", () => {
    const requestBody = { tools: [{ type: "custom", custom: { name: "g" } }] }
    const callDelta: ChatEvent = { _tag: "ToolCallDelta", index: 0, id: "a", name: "g", argumentsDelta: "free" }
    expect(writeEvents([start, callDelta], requestBody)[1]).toEqual(
      chunk({ tool_calls: [{ index: 0, id: "a", type: "custom", custom: { name: "g", input: "free" } }] })
    )
  })
  it("writes reasoning both as reasoning_content and as reasoning_details", () => {
    const reasoningDelta = { _tag: "ReasoningDelta", index: 0 } as const
    const events: ReadonlyArray<ChatEvent> = [
      { ...reasoningDelta, text: "Hm", id: "r1" },
      { ...reasoningDelta, text: "", signature: "sig" }
    ]
    const detail = { type: "reasoning.text", index: 0, id: "r1" }
    expect(writeEvents([start, ...events]).slice(1)).toEqual([
      chunk({ reasoning_content: "Hm", reasoning_details: [{ ...detail, text: "Hm" }] }),
      chunk({ reasoning_details: [{ ...detail, text: "", signature: "sig" }] })
    ])
  })
})

describe("Chat Completions server error", () => {
  it("writes the error type of the status unless a type is given", () => {
    const error = (fields: object) => wire.encodeError({ status: 400, message: "No.", ...fields })
    expect(error({})).toEqual({
      error: { message: "No.", type: "invalid_request_error", param: null, code: null }
    })
    expect(error({ status: 503 })).toMatchObject({ error: { type: "server_error" } })
    expect(error({ type: "requests", code: "rate_limit_exceeded" })).toMatchObject({
      error: { type: "requests", code: "rate_limit_exceeded" }
    })
  })
})
