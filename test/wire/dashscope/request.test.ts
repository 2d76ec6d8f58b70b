import { describe, expect, it } from "@effect/vitest"
import type { ChatRequest, Reasoning } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as DashScope from "../../support/dashscope.js"
import type { WireRequest } from "../../../src/wire/Wire.js"
import { failureOf, getOrThrow } from "../roundTrips.js"

const question: ChatRequest = { messages: [Chat.user("Hi")] }

const wireRequest = (
  request: Partial<ChatRequest>,
  dialect: Partial<DashScope.Dialect> = {},
  stream = false
): WireRequest =>
  getOrThrow(
    DashScope.make(dialect).encodeRequest({ ...question, ...request }, { provider: "acme", model: "qwen-plus", stream })
  )

const parameters = (request: Partial<ChatRequest>) => wireRequest(request).body["parameters"]

const input = (messages: ReadonlyArray<Chat.Message>, dialect: Partial<DashScope.Dialect> = {}) =>
  wireRequest({ messages }, dialect).body["input"]

const encodeFailure = (request: Partial<ChatRequest>) =>
  failureOf(
    DashScope.make().encodeRequest({ ...question, ...request }, { provider: "acme", model: "asked", stream: false })
  )

const unsupported = (feature: string) => ({ _tag: "Unsupported", feature })

describe("DashScope request", () => {
  it("writes messages as input and settings as parameters", () => {
    expect(wireRequest({ temperature: 0, topP: 0.5, maxTokens: 9, stop: ["END"], seed: 7 })).toEqual({
      path: "/services/aigc/text-generation/generation",
      body: {
        model: "qwen-plus",
        input: { messages: [{ role: "user", content: "Hi" }] },
        parameters: { result_format: "message", temperature: 0, top_p: 0.5, max_tokens: 9, stop: ["END"], seed: 7 }
      }
    })
  })
  it("writes the SSE header and incremental_output for a streaming request", () => {
    expect(wireRequest({}, {}, true)).toMatchObject({
      headers: { "x-dashscope-sse": "enable" },
      body: { parameters: { incremental_output: true } }
    })
    expect(wireRequest({}, { incremental: false }, true).body["parameters"]).toEqual({ result_format: "message" })
    expect(wireRequest({})).not.toHaveProperty("headers")
  })
  it("writes extra fields as parameters over the written ones", () => {
    expect(
      parameters({ temperature: 0, stop: [], extra: { enable_search: true, temperature: 1, stream: true } })
    ).toEqual({ result_format: "message", temperature: 1, enable_search: true })
  })
  it("drops user and metadata", () => {
    expect(wireRequest({ user: "u", metadata: { a: "b" } })).toEqual(wireRequest({}))
  })
})

describe("DashScope service", () => {
  const service = (request: Partial<ChatRequest>, dialect: Partial<DashScope.Dialect> = {}) =>
    wireRequest(request, dialect).path.split("/")[3]
  it("chooses multimodal-generation for multimodal models", () => {
    for (const model of [
      "qwen-vl-plus",
      "qwen2.5-vl-72b-instruct",
      "qwen3-vl-plus",
      "qwen-vl-ocr-latest",
      "qvq-max",
      "qwen-audio-turbo",
      "qwen3-asr-flash",
      "qwen3.5-plus",
      "qwen3.7-plus-2026-05-26",
      "kimi-k2.5"
    ]) {
      expect([model, service({ model })]).toEqual([model, "multimodal-generation"])
    }
    for (const model of ["qwen-plus", "qwen-max", "qwen3-max", "qwen3-8b", "qwq-plus", "deepseek-v3.2", "kimi-k2"]) {
      expect([model, service({ model })]).toEqual([model, "text-generation"])
    }
  })
  it("chooses multimodal-generation for requests with media", () => {
    const imageMessages = [Chat.user([Chat.image("https://example.com/a.png")])]
    expect(service({ messages: imageMessages })).toBe("multimodal-generation")
    expect(service({ messages: [Chat.user([Chat.text("Hi")])] })).toBe("text-generation")
  })
  it("chooses the service that the dialect sets", () => {
    expect(service({ model: "qwen-vl-plus" }, { service: "text-generation" })).toBe("text-generation")
    expect(service({}, { service: "multimodal-generation" })).toBe("multimodal-generation")
  })
})

const clock: Chat.ToolCall = { type: "tool-call", id: "call_a", name: "clock", arguments: '{"zone":"UTC"}' }

const turns: ReadonlyArray<Chat.Message> = [
  { role: "developer", content: [Chat.text("Be "), Chat.text("brief.")] },
  Chat.user("What time is it?"),
  Chat.assistant([{ type: "reasoning", text: "Hm." }, Chat.text("Let me see.")], [clock]),
  Chat.toolResult(clock, "12:00")
]

const calls = [{ id: "call_a", type: "function", function: { name: "clock", arguments: '{"zone":"UTC"}' }, index: 0 }]

describe("DashScope messages", () => {
  it("writes message content as text for text-generation", () => {
    expect(input(turns)).toEqual({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "What time is it?" },
        { role: "assistant", content: "Let me see.", reasoning_content: "Hm.", tool_calls: calls },
        { role: "tool", content: "12:00", tool_call_id: "call_a" }
      ]
    })
  })
  it("writes message content as parts for multimodal-generation", () => {
    expect(input(turns, { service: "multimodal-generation" })).toEqual({
      messages: [
        { role: "system", content: [{ text: "Be " }, { text: "brief." }] },
        { role: "user", content: [{ text: "What time is it?" }] },
        { role: "assistant", content: [{ text: "Let me see." }], reasoning_content: "Hm.", tool_calls: calls },
        { role: "tool", content: [{ text: "12:00" }], tool_call_id: "call_a" }
      ]
    })
  })
  it("writes alternating parts into reasoning_content, content and tool_calls, each in its order, without parts of other providers", () => {
    const part: Chat.ProviderPart = { type: "provider", native: { other: { type: "opaque" } }, provider: "other" }
    const alternating = [
      Chat.assistant([
        Chat.text("Let me "),
        { type: "reasoning", text: "Hm. " },
        clock,
        part,
        { type: "refusal", text: "not " },
        { type: "reasoning", text: "Ah." },
        Chat.text("see.")
      ]),
      Chat.assistant("", [clock]),
      Chat.user([Chat.text("Hi"), part])
    ]
    expect(input(alternating)).toEqual({
      messages: [
        { role: "assistant", content: "Let me not see.", reasoning_content: "Hm. Ah.", tool_calls: calls },
        { role: "assistant", content: "", tool_calls: calls },
        { role: "user", content: "Hi" }
      ]
    })
    expect(input(alternating, { service: "multimodal-generation" })).toEqual({
      messages: [
        {
          role: "assistant",
          content: [{ text: "Let me " }, { text: "not " }, { text: "see." }],
          reasoning_content: "Hm. Ah.",
          tool_calls: calls
        },
        { role: "assistant", content: [{ text: "" }], tool_calls: calls },
        { role: "user", content: [{ text: "Hi" }] }
      ]
    })
  })
  it("writes images, audio and video by URL or as base64", () => {
    const film = Chat.file(Uint8Array.of(1), { mediaType: "video/mp4", filename: "film.mp4" })
    expect(
      input([
        Chat.user([
          Chat.image("https://example.com/a.png", { detail: "low" }),
          Chat.image("data:image/png;base64,AAAA"),
          Chat.audio("https://example.com/a.wav"),
          film,
          Chat.file("https://example.com/a.MP4?at=1"),
          Chat.text("What is it?")
        ])
      ])
    ).toEqual({
      messages: [
        {
          role: "user",
          content: [
            { image: "https://example.com/a.png" },
            { image: "data:image/png;base64,AAAA" },
            { audio: "https://example.com/a.wav" },
            { video: "data:video/mp4;base64,AQ==" },
            { video: "https://example.com/a.MP4?at=1" },
            { text: "What is it?" }
          ]
        }
      ]
    })
  })
  it("writes cache_control on parts", () => {
    const cachedText: Chat.TextPart = { type: "text", text: "All of it.", cacheControl: { ttl: "1h" } }
    const cacheControl = { cache_control: { type: "ephemeral" } }
    expect(input([{ role: "system", content: [Chat.text("Know: "), cachedText] }])).toEqual({
      messages: [
        {
          role: "system",
          content: [
            { type: "text", text: "Know: " },
            { type: "text", text: "All of it.", ...cacheControl }
          ]
        }
      ]
    })
    const image: Chat.ImagePart = { type: "image", url: "https://example.com/a.png", cacheControl: {} }
    expect(input([Chat.user([image, cachedText])])).toEqual({
      messages: [
        {
          role: "user",
          content: [
            { image: "https://example.com/a.png", ...cacheControl },
            { text: "All of it.", ...cacheControl }
          ]
        }
      ]
    })
  })
})

describe("DashScope tools, formats and reasoning", () => {
  it("writes tools, tool choice and response format as parameters", () => {
    const schema = { type: "object", properties: { a: { type: "string" } } }
    expect(
      parameters({
        tools: [{ name: "clock", description: "Tells the time.", strict: true }],
        toolChoice: { name: "clock" },
        parallelToolCalls: true,
        responseFormat: { name: "n", schema, strict: true },
        extra: { tools: [{ type: "other" }] }
      })
    ).toEqual({
      result_format: "message",
      tools: [
        {
          type: "function",
          function: { name: "clock", description: "Tells the time.", parameters: { type: "object", properties: {} } }
        },
        { type: "other" }
      ],
      tool_choice: { type: "function", function: { name: "clock" } },
      parallel_tool_calls: true,
      response_format: { type: "json_schema", json_schema: { name: "n", schema, strict: true } }
    })
    expect(parameters({ toolChoice: "none", responseFormat: "json" })).toMatchObject({
      tool_choice: "none",
      response_format: { type: "json_object" }
    })
    expect(parameters({ responseFormat: "text" })).toMatchObject({ response_format: { type: "text" } })
  })
  it("writes enable_thinking and thinking_budget", () => {
    const writtenParameters = (reasoning: Reasoning) => {
      const { body } = wireRequest({ reasoning, extra: { result_format: undefined } })
      return JSON.parse(JSON.stringify(body["parameters"]))
    }
    expect(writtenParameters({ effort: "high", budgetTokens: 100 })).toEqual({
      enable_thinking: true,
      thinking_budget: 100
    })
    expect(writtenParameters({ effort: "minimal" })).toEqual({ enable_thinking: true, thinking_budget: 1024 })
    expect(writtenParameters({})).toEqual({ enable_thinking: true })
    expect(writtenParameters({ effort: "none", budgetTokens: 100 })).toEqual({ enable_thinking: false })
    expect(writtenParameters({ budgetTokens: 0 })).toEqual({ enable_thinking: false })
    expect(writtenParameters({ summary: "auto" })).toEqual({})
  })
  it("turns DashScope enable_thinking off when the server requires it and reasoning was not requested", () => {
    const { dropUnsupportedField } = DashScope.make()
    const rejection = "parameter.enable_thinking must be set to false for non-streaming calls"
    const request = wireRequest({ temperature: 0 })
    expect(dropUnsupportedField(request, rejection)).toEqual({
      ...request,
      body: {
        ...request.body,
        parameters: { result_format: "message", temperature: 0, enable_thinking: false }
      }
    })
    expect(dropUnsupportedField(wireRequest({ reasoning: {} }), rejection)).toBeUndefined()
    expect(dropUnsupportedField(wireRequest({}, {}, true), rejection)).toBeUndefined()
    expect(dropUnsupportedField(request, "url error")).toBeUndefined()
  })
})

describe("DashScope unsupported fields", () => {
  const partFailure = (userPart: Chat.UserPart) => encodeFailure({ messages: [Chat.user([userPart])] })
  it("rejects files other than video and user names as Unsupported", () => {
    expect(partFailure(Chat.file(Uint8Array.of(1)))).toEqual(unsupported("file input"))
    expect(partFailure(Chat.file("https://example.com/a.pdf"))).toEqual(unsupported("file input"))
    expect(partFailure({ type: "file", fileId: "file-1" })).toEqual(unsupported("file by id"))
    expect(encodeFailure({ messages: [{ role: "user", content: "Hi", name: "Ada" }] })).toEqual(
      unsupported("name of a user message")
    )
  })
  it("rejects a provider part of the caller as Unsupported", () => {
    const part: Chat.ProviderPart = { type: "provider", native: { other: { type: "container_upload" } } }
    expect(partFailure(part)).toEqual(unsupported("part of a message that only another protocol has"))
    expect(encodeFailure({ messages: [Chat.assistant([part])] })).toEqual(
      unsupported("part of a message that only another protocol has")
    )
  })
  it("rejects required and custom tool calls as Unsupported", () => {
    expect(encodeFailure({ toolChoice: "required" })).toEqual(unsupported("tool choice required"))
    expect(encodeFailure({ messages: [Chat.assistant("", [{ ...clock, custom: true }])] })).toEqual(
      unsupported("custom tool calls")
    )
  })
})
