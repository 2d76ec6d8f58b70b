import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as Chat from "../../../src/vocabulary/Chat.js"
import type { ChatEvent } from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Responses from "../../../src/wire/Responses.js"

const wire = Responses.make()

const decoded = (body: unknown) =>
  Either.getOrThrowWith(wire.decodeRequest(body), (failure) => new Error(JSON.stringify(failure)))

const request = (body: Record<string, unknown>) => decoded({ model: "m", input: "Hello", ...body }).request

const messages = (input: unknown, further: Record<string, unknown> = {}) => request({ input, ...further }).messages

const failure = (body: unknown): unknown =>
  Either.match(wire.decodeRequest(body), { onLeft: (left) => left, onRight: () => undefined })

const failureOf = (body: Record<string, unknown>) => failure({ model: "m", input: "Hello", ...body })

const native = (fields: Record<string, unknown>) => ({ native: { responses: fields } })

describe("Responses server request", () => {
  it("reads a text input as one user message", () => {
    expect(decoded({ model: "m", input: "Hello", stream: true })).toEqual({
      request: { model: "m", messages: [Chat.user("Hello")], extra: {} },
      stream: true
    })
    expect(decoded({ input: "Hello", stream: null, temperature: null, tools: null }).stream).toBe(false)
  })
  it("reads instructions as a leading system message", () => {
    expect(messages("Hello", { instructions: "Be brief." })).toEqual([Chat.system("Be brief."), Chat.user("Hello")])
    expect(messages("Hello", { instructions: "" })).toEqual([Chat.user("Hello")])
  })
  it("reads messages of every role with and without a type", () => {
    expect(
      messages([
        { role: "system", content: "One." },
        { type: "message", role: "developer", content: [{ type: "input_text", text: "Two." }] },
        { role: "user", content: "Hello" },
        { role: "assistant", content: "Hi." },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "There.", annotations: [] }] },
        { role: "assistant", content: [{ type: "refusal", refusal: "No." }] }
      ])
    ).toEqual([
      { ...Chat.system("One."), ...native({}) },
      { role: "developer", content: [Chat.text("Two.")], ...native({}) },
      Chat.user("Hello"),
      Chat.assistant("Hi."),
      Chat.assistant("There."),
      { role: "assistant", content: [{ type: "refusal", text: "No." }] }
    ])
  })
  it("reads text, image, file and audio parts", () => {
    const content = [
      { type: "input_text", text: "See" },
      { type: "input_image", image_url: "https://example.com/a.png", detail: "high", file_id: null },
      { type: "input_file", file_data: "data:application/pdf;base64,AAAA", filename: "a.pdf" },
      { type: "input_file", file_url: "https://example.com/a.pdf" },
      { type: "input_file", file_id: "file_1" },
      { type: "input_audio", input_audio: { data: "AAAA", format: "mp3" } }
    ]
    expect(messages([{ role: "user", content }])).toEqual([
      Chat.user([
        Chat.text("See"),
        Chat.image("https://example.com/a.png", { detail: "high" }),
        Chat.file("data:application/pdf;base64,AAAA", { filename: "a.pdf" }),
        Chat.file("https://example.com/a.pdf"),
        { type: "file", fileId: "file_1" },
        Chat.audio("data:audio/mpeg;base64,AAAA")
      ])
    ])
  })
  it("reads the reasoning, text and tool calls of one turn as one assistant message", () => {
    expect(
      messages([
        { role: "user", content: "Hello" },
        {
          type: "reasoning",
          id: "rs_1",
          summary: [{ type: "summary_text", text: "Hm." }],
          encrypted_content: "sealed"
        },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "I call." }] },
        { type: "function_call", call_id: "call_1", name: "f", arguments: "" },
        { type: "custom_tool_call", call_id: "call_2", name: "sql", input: "SELECT 1" },
        { type: "function_call_output", call_id: "call_1", output: "one" },
        { type: "custom_tool_call_output", call_id: "call_2", output: [{ type: "input_text", text: "two" }] },
        { type: "function_call", call_id: "call_3", name: "f", arguments: "{}" }
      ])
    ).toEqual([
      Chat.user("Hello"),
      {
        role: "assistant",
        content: [
          {
            type: "reasoning",
            text: "Hm.",
            id: "rs_1",
            format: "reasoning.summary",
            signature: "sealed",
            ...native({})
          },
          Chat.text("I call."),
          { type: "tool-call", id: "call_1", name: "f", arguments: "{}" },
          { type: "tool-call", id: "call_2", name: "sql", arguments: "SELECT 1", custom: true }
        ]
      },
      Chat.toolResult("call_1", "one"),
      { role: "tool", toolCallId: "call_2", content: [Chat.text("two")] },
      Chat.assistant("", [{ type: "tool-call", id: "call_3", name: "f", arguments: "{}" }])
    ])
  })
  it("reads every setting under its common name", () => {
    expect(
      request({
        temperature: 0.5,
        top_p: 0.9,
        max_output_tokens: 10,
        parallel_tool_calls: false,
        user: "u",
        metadata: { a: "b" },
        reasoning: { effort: "low", summary: "auto" },
        text: { format: { type: "json_schema", name: "n", schema: {}, strict: true } },
        tools: [{ type: "function", name: "f", description: null, parameters: { type: "object" }, strict: null }],
        tool_choice: { type: "function", name: "f" }
      })
    ).toEqual({
      model: "m",
      messages: [Chat.user("Hello")],
      temperature: 0.5,
      topP: 0.9,
      maxTokens: 10,
      parallelToolCalls: false,
      user: "u",
      metadata: { a: "b" },
      reasoning: { effort: "low", summary: "auto" },
      responseFormat: { name: "n", schema: {}, strict: true },
      tools: [{ name: "f", parameters: { type: "object" }, ...native({}) }],
      toolChoice: { name: "f" },
      extra: {}
    })
    expect(request({ text: { format: { type: "json_object" } } }).responseFormat).toBe("json")
    expect(request({ tool_choice: "required" }).toolChoice).toBe("required")
  })
  it("keeps unknown fields, tools and settings in extra", () => {
    const allowed = { type: "allowed_tools", mode: "auto", tools: [] }
    const verbose = { format: { type: "text" }, verbosity: "low" }
    expect(
      request({
        store: true,
        service_tier: "flex",
        prompt: null,
        tools: [{ type: "web_search" }, { type: "function", name: "f" }, { type: "custom", name: "sql" }],
        tool_choice: allowed,
        text: verbose,
        reasoning: { effort: "ultra" },
        metadata: {}
      })
    ).toEqual({
      model: "m",
      messages: [Chat.user("Hello")],
      tools: [{ name: "f", ...native({}) }],
      responseFormat: "text",
      extra: {
        store: true,
        service_tier: "flex",
        tools: [{ type: "web_search" }, { type: "custom", name: "sql" }],
        tool_choice: allowed,
        text: verbose,
        reasoning: { effort: "ultra" }
      }
    })
  })
})

describe("Responses server request: native content", () => {
  const item = (fields: Record<string, unknown>) => messages([fields])[0]
  it("keeps unknown parts and item fields as native", () => {
    const upload = { type: "input_image", file_id: "file_1" }
    expect(item({ role: "user", status: "completed", content: [upload] })).toEqual({
      role: "user",
      content: [{ type: "provider", ...native(upload) }],
      ...native({ status: "completed" })
    })
    expect(item({ type: "function_call", id: "fc_1", call_id: "c", name: "f", arguments: "{}" })).toEqual(
      Chat.assistant("", [{ type: "tool-call", id: "c", name: "f", arguments: "{}", ...native({ id: "fc_1" }) }])
    )
  })
  it("keeps unknown output items in an assistant message and unknown input items in a user message", () => {
    const search = { type: "web_search_call", id: "ws_1" }
    expect(item(search)).toEqual({ role: "assistant", content: [{ type: "provider", ...native({ item: search }) }] })
    const image = { type: "output_image", image_url: "https://example.com/a.png" }
    expect(item({ role: "assistant", id: "msg_1", content: [image] })).toEqual({
      role: "assistant",
      content: [{ type: "provider", ...native({ ...image, message: { id: "msg_1" } }) }]
    })
    const reference = { type: "item_reference", id: "rs_1" }
    expect(item(reference)).toEqual({ role: "user", content: [{ type: "provider", ...native({ item: reference }) }] })
  })
})

describe("Responses server request: failures", () => {
  const malformed = (path: string) => ({ _tag: "Malformed", path })
  const item = (fields: unknown) => failureOf({ input: [{ role: "user", content: "x" }, fields] })
  it("rejects an invalid body as Malformed with the path of the field", () => {
    expect(failure("x")).toMatchObject(malformed(""))
    expect(failureOf({ input: undefined })).toMatchObject(malformed("input"))
    expect(failureOf({ input: [] })).toMatchObject(malformed("input"))
    expect(failureOf({ instructions: 1 })).toMatchObject(malformed("instructions"))
    expect(failureOf({ stream: "yes" })).toMatchObject(malformed("stream"))
    expect(failureOf({ tools: "all" })).toMatchObject(malformed("tools"))
    expect(failureOf({ model: "" })).toMatchObject(malformed("model"))
  })
  it("rejects an invalid setting as Malformed with its Responses name", () => {
    expect(failureOf({ temperature: -1 })).toEqual({ _tag: "Malformed", path: "temperature", excerpt: "-1" })
    expect(failureOf({ max_output_tokens: 0 })).toMatchObject(malformed("max_output_tokens"))
    expect(failureOf({ top_p: 2 })).toMatchObject(malformed("top_p"))
    expect(failureOf({ metadata: { a: 1 } })).toMatchObject(malformed("metadata.a"))
    expect(failureOf({ tools: [{ type: "function", name: "no spaces" }] })).toMatchObject(malformed("tools[0].name"))
  })
  it("rejects an invalid item or part as Malformed with its path", () => {
    expect(item("x")).toMatchObject(malformed("input[1]"))
    expect(item({ role: "robot", content: "x" })).toMatchObject(malformed("input[1].role"))
    expect(item({ role: "user" })).toMatchObject(malformed("input[1].content"))
    expect(item({ type: 1 })).toMatchObject(malformed("input[1].type"))
    expect(item({ role: "user", content: [{ type: 1 }] })).toMatchObject(malformed("input[1].content[0].type"))
    expect(item({ role: "user", content: [{ type: "input_text" }] })).toMatchObject(
      malformed("input[1].content[0].text")
    )
    expect(item({ role: "user", content: [{ type: "input_image" }] })).toMatchObject(
      malformed("input[1].content[0].image_url")
    )
    expect(item({ role: "user", content: [{ type: "input_image", image_url: "a.png" }] })).toMatchObject(
      malformed("input[1].content[0]")
    )
    expect(item({ type: "function_call_output", output: "x" })).toMatchObject(malformed("input[1].call_id"))
    expect(item({ type: "function_call", call_id: "c", arguments: "{}" })).toMatchObject(malformed("input[1].name"))
    expect(
      failureOf({
        input: [
          { role: "assistant", content: [{ type: "output_text", text: "a" }, { type: "refusal" }] },
          { type: "function_call", call_id: "c", arguments: "{}" }
        ]
      })
    ).toMatchObject(malformed("input[0].content[1].refusal"))
  })
})

describe("Responses requests between server and client", () => {
  it("writes the items of a request in their order, each with its own fields", () => {
    const input = [
      { type: "message", role: "user", content: "Hello" },
      { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "one" },
      { type: "function_call", id: "fc_1", call_id: "call_1", name: "f", arguments: "{}", status: "completed" },
      { type: "reasoning", id: "rs_2", summary: [], encrypted_content: "two" },
      {
        type: "message",
        id: "msg_1",
        role: "assistant",
        phase: "commentary",
        content: [
          { type: "output_text", text: "a", annotations: [{ type: "url_citation" }], logprobs: [] },
          { type: "refusal", refusal: "b" },
          { type: "output_image", image_url: "https://example.com/a.png" }
        ]
      },
      {
        type: "message",
        id: "msg_2",
        role: "assistant",
        phase: "final_answer",
        content: [{ type: "output_text", text: "c", annotations: [], logprobs: [] }]
      },
      { type: "shell_call", id: "sh_1", call_id: "call_2", action: { commands: ["ls"] } },
      { type: "custom_tool_call", id: "ctc_1", call_id: "call_3", name: "sql", input: "SELECT 1" },
      { type: "function_call_output", call_id: "call_1", output: "one" },
      { type: "shell_call_output", call_id: "call_2", output: [] },
      { type: "custom_tool_call_output", call_id: "call_3", output: "two" },
      { type: "message", role: "assistant", content: "d" },
      { type: "message", role: "assistant", content: "e" },
      { type: "mcp_approval_request", id: "mcpr_1", name: "f", arguments: "{}", server_label: "s" },
      { type: "mcp_approval_response", approval_request_id: "mcpr_1", approve: true },
      { type: "compaction", id: "cmp_1", encrypted_content: "three" }
    ]
    const decodedRequest = decoded({ model: "m", input }).request
    expect(decodedRequest.messages.map(({ role }) => role)).toEqual(
      "user assistant tool user tool assistant assistant user assistant".split(" ")
    )
    const encoded = wire.encodeRequest(decodedRequest, { provider: "acme", model: "m", stream: false })
    expect(Either.getOrThrow(encoded).body["input"]).toEqual(input)
  })
})

const response: Chat.ChatResponse = Chat.withContent(
  {
    id: "resp_1",
    provider: "acme",
    model: "acme-1",
    finishReason: "tool-calls" as const,
    rawFinishReason: "completed",
    usage: Usage.make({ inputTokens: 5, outputTokens: 3, cachedInputTokens: 2, reasoningTokens: 1 }),
    latency: 1,
    keyId: "k",
    attempts: [],
    providerMetadata: { service_tier: "flex" }
  },
  [
    { type: "reasoning", text: "Hm.", id: "rs_1", format: "reasoning.summary", provider: "acme", signature: "sealed" },
    { type: "text", text: "Hello", provider: "acme", ...native({ annotations: [{ type: "url_citation" }] }) },
    { type: "tool-call", id: "call_1", name: "f", arguments: '{"a":1}' }
  ]
)

describe("Responses server response", () => {
  it("writes reasoning, message and function_call items with the usage", () => {
    expect(wire.encodeResponse(response)).toMatchObject({
      id: "resp_1",
      object: "response",
      status: "completed",
      error: null,
      incomplete_details: null,
      model: "acme-1",
      service_tier: "flex",
      output: [
        {
          type: "reasoning",
          id: "rs_1",
          summary: [{ type: "summary_text", text: "Hm." }],
          encrypted_content: "sealed"
        },
        {
          type: "message",
          role: "assistant",
          status: "completed",
          content: [{ type: "output_text", text: "Hello", annotations: [{ type: "url_citation" }] }]
        },
        { type: "function_call", call_id: "call_1", name: "f", arguments: '{"a":1}', status: "completed" }
      ],
      usage: {
        input_tokens: 5,
        input_tokens_details: { cached_tokens: 2, cache_write_tokens: 0 },
        output_tokens: 3,
        output_tokens_details: { reasoning_tokens: 1 },
        total_tokens: 8
      }
    })
  })
  it("writes items in the order of the parts, with generated ids only for those that have none", () => {
    const search = { type: "web_search_call", id: "ws_1", status: "completed" }
    const content: ReadonlyArray<Chat.AssistantPart> = [
      { type: "text", text: "One.", ...native({ message: { id: "msg_1", phase: "commentary" } }) },
      { type: "text", text: "Two.", ...native({ message: { id: "msg_2" } }) },
      { type: "refusal", text: "No.", ...native({ message: { id: "msg_2" } }) },
      { type: "tool-call", id: "call_1", name: "f", arguments: "{}", ...native({ id: "fc_1", status: "incomplete" }) },
      { type: "provider", ...native({ item: search }) },
      { type: "provider", provider: "other", native: { anthropic: { type: "x" } } },
      { type: "reasoning", text: "Hm." },
      { type: "tool-call", id: "call_2", name: "sql", arguments: "SELECT 1", custom: true },
      Chat.text("Three."),
      { type: "text", text: "Four.", provider: "other", native: { anthropic: { citations: [] } } }
    ]
    const output = wire.encodeResponse(Chat.withContent(response, content))["output"]
    const text = (value: string) => ({ type: "output_text", text: value, annotations: [], logprobs: [] })
    const item = { type: "message", role: "assistant", status: "completed" }
    expect(output).toEqual([
      { ...item, id: "msg_1", phase: "commentary", content: [text("One.")] },
      { ...item, id: "msg_2", content: [text("Two."), { type: "refusal", refusal: "No." }] },
      { type: "function_call", id: "fc_1", call_id: "call_1", name: "f", arguments: "{}", status: "incomplete" },
      search,
      { type: "reasoning", id: "rs_1_4", summary: [{ type: "summary_text", text: "Hm." }] },
      {
        type: "custom_tool_call",
        id: "fc_1_5",
        call_id: "call_2",
        name: "sql",
        input: "SELECT 1",
        status: "completed"
      },
      { ...item, id: "msg_1_6", content: [text("Three."), text("Four.")] }
    ])
  })
  it("maps finish reasons of every provider to a status and incomplete_details", () => {
    const endOf = (finishReason: Chat.FinishReason, rawFinishReason: string) => {
      const { incomplete_details, status } = wire.encodeResponse({ ...response, finishReason, rawFinishReason })
      return [status, incomplete_details]
    }
    expect(endOf("stop", "end_turn")).toEqual(["completed", null])
    expect(endOf("length", "max_tokens")).toEqual(["incomplete", { reason: "max_output_tokens" }])
    expect(endOf("content-filter", "")).toEqual(["incomplete", { reason: "content_filter" }])
    expect(endOf("other", "queued")).toEqual(["queued", null])
    expect(endOf("pause", "pause_turn")).toEqual(["incomplete", { reason: "pause_turn" }])
    expect(endOf("pause", "")).toEqual(["incomplete", { reason: "pause_turn" }])
    expect(endOf("other", "novel")).toEqual(["incomplete", { reason: "novel" }])
    expect(endOf("other", "")).toEqual(["incomplete", { reason: "other" }])
  })
  it("writes an error with the type of its status unless a type is given", () => {
    expect(wire.encodeError({ status: 401, message: "No.", code: "invalid_api_key" })).toEqual({
      error: { message: "No.", type: "invalid_request_error", param: null, code: "invalid_api_key" }
    })
    expect(wire.encodeError({ status: 429, message: "Slow." })).toMatchObject({
      error: { type: "rate_limit_error", code: null }
    })
    expect(wire.encodeError({ status: 500, message: "Oh.", type: "oops" })).toMatchObject({ error: { type: "oops" } })
    expect(wire.encodeError({ status: 503, message: "Oh." })).toMatchObject({ error: { type: "server_error" } })
  })
})

describe("Responses server stream", () => {
  const start: ChatEvent = {
    _tag: "Start",
    id: "resp_1",
    provider: "acme",
    model: "acme-1",
    keyId: "k",
    attempts: []
  }
  const finish: ChatEvent = {
    _tag: "Finish",
    reason: "tool-calls",
    rawReason: "completed",
    usage: response.usage,
    latency: 1,
    providerMetadata: {}
  }
  /** The frames without the end mark. */
  const writeEvents = (events: ReadonlyArray<ChatEvent>, requestBody: Record<string, unknown> = {}) => {
    const encoder = wire.encodeStream(requestBody)
    return events.flatMap((event) => encoder.push(event)).filter(({ data }) => data !== "[DONE]")
  }

  it("writes added, delta and done events of every item with consecutive sequence numbers", () => {
    const frames = writeEvents([
      start,
      { _tag: "ReasoningDelta", index: 0, text: "Hm", id: "rs_1", format: "reasoning.summary", provider: "acme" },
      { _tag: "ReasoningDelta", index: 0, text: ".", signature: "sealed" },
      { _tag: "TextDelta", index: 1, text: "Hel" },
      { _tag: "TextDelta", index: 1, text: "lo" },
      { _tag: "ToolCallDelta", index: 2, id: "call_1", name: "f", argumentsDelta: '{"a"' },
      { _tag: "ToolCallDelta", index: 2, id: "call_1", name: "f", argumentsDelta: ":1}" },
      { _tag: "ToolCallEnd", index: 2, call: { type: "tool-call", id: "call_1", name: "f", arguments: '{"a":1}' } },
      finish
    ])
    expect(frames.map(({ event }) => event)).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.reasoning_summary_part.added",
      "response.reasoning_summary_text.delta",
      "response.reasoning_summary_text.delta",
      "response.reasoning_summary_text.done",
      "response.reasoning_summary_part.done",
      "response.output_item.done",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.output_item.added",
      "response.function_call_arguments.delta",
      "response.function_call_arguments.delta",
      "response.function_call_arguments.done",
      "response.output_item.done",
      "response.completed"
    ])
    const data = frames.map((frame) => JSON.parse(frame.data))
    expect(data.map(({ sequence_number }) => sequence_number)).toEqual(data.map((_, index) => index))
    expect(data.map(({ type }) => type)).toEqual(frames.map(({ event }) => event))
    expect(data[8].item).toMatchObject({ id: "rs_1", encrypted_content: "sealed", summary: [{ text: "Hm." }] })
    expect(data[19]).toMatchObject({ type: "response.function_call_arguments.done", name: "f", arguments: '{"a":1}' })
    expect(data.at(-1).response.output).toEqual([data[8].item, data[15].item, data[20].item])
  })
  it("writes items in the order of the parts, each with the id and the phase that its first delta has", () => {
    const message = { id: "msg_1", phase: "commentary" }
    const item = { type: "web_search_call", id: "ws_1", status: "completed" }
    const data = writeEvents([
      start,
      { _tag: "TextDelta", index: 0, text: "One.", ...native({ message }) },
      { _tag: "TextDelta", index: 0, text: "", ...native({ message: { ...message, status: "incomplete" } }) },
      { _tag: "TextDelta", index: 1, text: "Two." },
      { _tag: "ProviderPart", index: 2, part: { type: "provider", ...native({ item }) } },
      { _tag: "ProviderPart", index: 3, part: { type: "provider", native: { anthropic: { type: "x" } } } },
      { _tag: "ToolCallDelta", index: 4, id: "call_1", name: "f", argumentsDelta: "{" },
      { _tag: "TextDelta", index: 5, text: "Three." },
      {
        _tag: "ToolCallEnd",
        index: 4,
        call: { type: "tool-call", id: "call_1", name: "f", arguments: "{}", ...native({ id: "fc_1" }) }
      },
      finish
    ]).map((frame) => JSON.parse(frame.data))
    const added = data.filter(({ type }) => type === "response.output_item.added")
    expect(added.map(({ item }) => [item.id, item.phase ?? item.status])).toEqual([
      ["msg_1", "commentary"],
      ["msg_1_1", "in_progress"],
      ["ws_1", "completed"],
      ["fc_1_3", "in_progress"],
      ["msg_1_4", "in_progress"]
    ])
    expect(data.at(-1).response.output).toMatchObject([
      { id: "msg_1", phase: "commentary", status: "incomplete", content: [{ text: "One." }] },
      { id: "msg_1_1", content: [{ text: "Two." }] },
      item,
      { id: "fc_1", arguments: "{}" },
      { id: "msg_1_4", content: [{ text: "Three." }] }
    ])
    expect(data.find(({ type }) => type === "response.output_text.delta")).toMatchObject({ item_id: "msg_1" })
  })
  it("writes a text or reasoning that goes on after the end of its item as a new item", () => {
    const data = writeEvents([
      start,
      { _tag: "ReasoningDelta", index: 0, text: "Hm" },
      { _tag: "TextDelta", index: 1, text: "One" },
      { _tag: "ReasoningDelta", index: 0, text: "." },
      { _tag: "TextDelta", index: 1, text: " two" },
      { _tag: "ToolCallDelta", index: 2, id: "call_1", name: "f", argumentsDelta: "{}" },
      { _tag: "TextDelta", index: 1, text: "." },
      finish
    ]).map((frame) => JSON.parse(frame.data))
    const ended = new Set<number>()
    for (const { output_index, type } of data) {
      if (type === "response.output_item.done") ended.add(output_index)
      else if (String(type).endsWith(".delta")) expect(ended).not.toContain(output_index)
    }
    const items: ReadonlyArray<{ id: string; content?: ReadonlyArray<{ text: string }> }> = data.at(-1).response.output
    expect(new Set(items.map(({ id }) => id)).size).toBe(items.length)
    expect(items).toMatchObject([
      { type: "reasoning", summary: [{ text: "Hm" }] },
      { type: "message", content: [{ text: "One" }] },
      { type: "reasoning", summary: [{ text: "." }] },
      { type: "message", content: [{ text: " two" }] },
      { type: "function_call", arguments: "{}" },
      { type: "message", content: [{ text: "." }] }
    ])
  })
  it("adds fields that come after the end of their item to it in the completed response", () => {
    const annotations = [{ type: "url_citation" }]
    const data = writeEvents([
      start,
      { _tag: "TextDelta", index: 0, text: "One" },
      { _tag: "ToolCallDelta", index: 1, id: "call_1", name: "f", argumentsDelta: "{}" },
      { _tag: "TextDelta", index: 0, text: "", ...native({ annotations }) },
      finish
    ]).map((frame) => JSON.parse(frame.data))
    expect(data.at(-1).response.output).toMatchObject([
      { type: "message", content: [{ text: "One", annotations }] },
      { type: "function_call", arguments: "{}" }
    ])
  })
  it("leaves out parts that have nothing of this protocol", () => {
    const frames = writeEvents([
      start,
      { _tag: "TextDelta", index: 0, text: "", native: { anthropic: { citations: [] } } },
      { _tag: "ProviderPart", index: 1, part: { type: "provider", native: { anthropic: { type: "x" } } } },
      finish
    ])
    expect(frames.map(({ event }) => event)).toEqual(["response.created", "response.in_progress", "response.completed"])
  })
  it("writes text and refusal deltas under the content_index that the finished item has", () => {
    const deltas = [
      { _tag: "RefusalDelta", index: 0, text: "No, " },
      { _tag: "RefusalDelta", index: 0, text: "but " },
      { _tag: "TextDelta", index: 1, text: "see " },
      { _tag: "TextDelta", index: 1, text: "this" },
      { _tag: "RefusalDelta", index: 2, text: " alone." },
      { _tag: "TextDelta", index: 3, text: " Bye." }
    ] as const
    const data = writeEvents([start, ...deltas, finish]).map((frame) => JSON.parse(frame.data))
    const streamed = new Map<number, string>()
    for (const { content_index, delta } of data.filter(({ type }) => type.endsWith(".delta"))) {
      streamed.set(content_index, (streamed.get(content_index) ?? "") + delta)
    }
    const expected = ["No, but ", "see this", " alone.", " Bye."]
    expect([...streamed.values()]).toEqual(expected)
    const item = data.find(({ type }) => type === "response.output_item.done").item
    expect(item.content.map((part: Record<string, string>) => part["text"] ?? part["refusal"])).toEqual(expected)
    expect(data.at(-1).response.output).toEqual([item])
  })
  it("writes reasoning parts of one id as one item and each signed reasoning without an id as its own", () => {
    const reasoningDelta = (
      index: number,
      fields: { readonly id?: string; readonly signature?: string }
    ): ChatEvent => ({
      _tag: "ReasoningDelta",
      index,
      text: "Hm.",
      ...fields
    })
    const items = (events: ReadonlyArray<ChatEvent>) =>
      writeEvents([start, ...events, finish])
        .filter(({ event }) => event === "response.output_item.done")
        .map(({ data }) => JSON.parse(data).item.summary.length)
    expect(
      items([reasoningDelta(0, { id: "rs_1" }), reasoningDelta(1, { id: "rs_1" }), reasoningDelta(2, { id: "rs_2" })])
    ).toEqual([2, 1])
    expect(items([reasoningDelta(0, { signature: "one" }), reasoningDelta(1, { signature: "two" })])).toEqual([1, 1])
  })
  it("repeats the fields of the request in the created response", () => {
    const tools = [{ type: "function", name: "f" }]
    const [first] = writeEvents([start], { tools, temperature: 0.5, instructions: "Be brief." })
    expect(JSON.parse(first?.data ?? "").response).toMatchObject({
      id: "resp_1",
      status: "in_progress",
      tools,
      temperature: 0.5,
      instructions: "Be brief."
    })
  })
  it("writes custom tool call events when the request declared a custom tool of that name", () => {
    const requestBody = { tools: [{ type: "custom", name: "sql" }] }
    const events = writeEvents(
      [
        start,
        { _tag: "ToolCallDelta", index: 0, id: "call_1", name: "sql", argumentsDelta: "SELECT" },
        {
          _tag: "ToolCallEnd",
          index: 0,
          call: { type: "tool-call", id: "call_1", name: "sql", arguments: "SELECT 1", custom: true }
        }
      ],
      requestBody
    )
    expect(events.slice(2).map(({ event }) => event)).toEqual([
      "response.output_item.added",
      "response.custom_tool_call_input.delta",
      "response.custom_tool_call_input.delta",
      "response.custom_tool_call_input.done",
      "response.output_item.done"
    ])
  })
  it("writes the deltas of parallel tool calls under their own output_index", () => {
    const delta = (index: number): ChatEvent => ({
      _tag: "ToolCallDelta",
      index,
      id: `call_${index}`,
      name: "f",
      argumentsDelta: "1"
    })
    const frames = writeEvents([start, delta(0), delta(1), delta(0)]).map((frame) => JSON.parse(frame.data))
    expect(frames.slice(2).map(({ output_index }) => output_index)).toEqual([0, 0, 1, 1, 0])
  })
  it("writes response.incomplete for a stream that ends by length", () => {
    const last = writeEvents([start, { ...finish, reason: "length" }]).at(-1)
    expect(last?.event).toBe("response.incomplete")
    expect(JSON.parse(last?.data ?? "").response.incomplete_details).toEqual({ reason: "max_output_tokens" })
  })
})
