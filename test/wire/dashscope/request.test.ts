import { describe, expect, it } from "@effect/vitest"
import type { ChatRequest, Reasoning } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as DashScope from "../../support/dashscope.js"
import type { WireRequest } from "../../../src/wire/Wire.js"
import { failureOf, got } from "../roundTrips.js"

const question: ChatRequest = { messages: [Chat.user("Hi")] }

const written = (
  request: Partial<ChatRequest>,
  dialect: Partial<DashScope.Dialect> = {},
  stream = false
): WireRequest =>
  got(
    DashScope.make(dialect).encodeRequest({ ...question, ...request }, { provider: "acme", model: "qwen-plus", stream })
  )

const parameters = (request: Partial<ChatRequest>) => written(request).body["parameters"]

const input = (messages: ReadonlyArray<Chat.Message>, dialect: Partial<DashScope.Dialect> = {}) =>
  written({ messages }, dialect).body["input"]

const refused = (request: Partial<ChatRequest>) =>
  failureOf(
    DashScope.make().encodeRequest({ ...question, ...request }, { provider: "acme", model: "asked", stream: false })
  )

const unsupported = (feature: string) => ({ _tag: "Unsupported", feature })

describe("a question", () => {
  it("has its messages as input, and its settings as parameters", () => {
    expect(written({ temperature: 0, topP: 0.5, maxTokens: 9, stop: ["END"], seed: 7 })).toEqual({
      path: "/services/aigc/text-generation/generation",
      body: {
        model: "qwen-plus",
        input: { messages: [{ role: "user", content: "Hi" }] },
        parameters: { result_format: "message", temperature: 0, top_p: 0.5, max_tokens: 9, stop: ["END"], seed: 7 }
      }
    })
  })
  it("asks for a stream of what is new in a header and a parameter", () => {
    expect(written({}, {}, true)).toMatchObject({
      headers: { "x-dashscope-sse": "enable" },
      body: { parameters: { incremental_output: true } }
    })
    expect(written({}, { incremental: false }, true).body["parameters"]).toEqual({ result_format: "message" })
    expect(written({})).not.toHaveProperty("headers")
  })
  it("has further fields among its parameters, over what the vocabulary says", () => {
    expect(
      parameters({ temperature: 0, stop: [], extra: { enable_search: true, temperature: 1, stream: true } })
    ).toEqual({ result_format: "message", temperature: 1, enable_search: true })
  })
  it("leaves out what only advises the provider", () => {
    expect(written({ user: "u", metadata: { a: "b" } })).toEqual(written({}))
  })
})

describe("the service that is asked", () => {
  const service = (request: Partial<ChatRequest>, dialect: Partial<DashScope.Dialect> = {}) =>
    written(request, dialect).path.split("/")[3]
  it("is the one that sees, for models that do", () => {
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
  it("is the one that sees, for questions with something to see", () => {
    const seen = [Chat.user([Chat.image("https://example.com/a.png")])]
    expect(service({ messages: seen })).toBe("multimodal-generation")
    expect(service({ messages: [Chat.user([Chat.text("Hi")])] })).toBe("text-generation")
  })
  it("is the one that the dialect names", () => {
    expect(service({ model: "qwen-vl-plus" }, { service: "text-generation" })).toBe("text-generation")
    expect(service({}, { service: "multimodal-generation" })).toBe("multimodal-generation")
  })
})

const clock: Chat.ToolCall = { id: "call_a", name: "clock", arguments: '{"zone":"UTC"}' }

const turns: ReadonlyArray<Chat.Message> = [
  { role: "developer", content: [Chat.text("Be "), Chat.text("brief.")] },
  Chat.user("What time is it?"),
  { role: "assistant", content: [{ type: "reasoning", text: "Hm." }, Chat.text("Let me see.")], toolCalls: [clock] },
  Chat.toolResult(clock, "12:00")
]

const calls = [{ id: "call_a", type: "function", function: { name: "clock", arguments: '{"zone":"UTC"}' }, index: 0 }]

describe("messages", () => {
  it("are texts for models that read", () => {
    expect(input(turns)).toEqual({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "What time is it?" },
        { role: "assistant", content: "Let me see.", reasoning_content: "Hm.", tool_calls: calls },
        { role: "tool", content: "12:00", tool_call_id: "call_a" }
      ]
    })
  })
  it("are parts for models that see", () => {
    expect(input(turns, { service: "multimodal-generation" })).toEqual({
      messages: [
        { role: "system", content: [{ text: "Be " }, { text: "brief." }] },
        { role: "user", content: [{ text: "What time is it?" }] },
        { role: "assistant", content: [{ text: "Let me see." }], reasoning_content: "Hm.", tool_calls: calls },
        { role: "tool", content: [{ text: "12:00" }], tool_call_id: "call_a" }
      ]
    })
  })
  it("have images, sound and film by URL or as bytes", () => {
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
  it("have marks of what to remember", () => {
    const marked: Chat.TextPart = { type: "text", text: "All of it.", cacheControl: { ttl: "1h" } }
    const mark = { cache_control: { type: "ephemeral" } }
    expect(input([{ role: "system", content: [Chat.text("Know: "), marked] }])).toEqual({
      messages: [
        {
          role: "system",
          content: [
            { type: "text", text: "Know: " },
            { type: "text", text: "All of it.", ...mark }
          ]
        }
      ]
    })
    const image: Chat.ImagePart = { type: "image", url: "https://example.com/a.png", cacheControl: {} }
    expect(input([Chat.user([image, marked])])).toEqual({
      messages: [
        {
          role: "user",
          content: [
            { image: "https://example.com/a.png", ...mark },
            { text: "All of it.", ...mark }
          ]
        }
      ]
    })
  })
})

describe("tools, formats and thinking", () => {
  it("are parameters", () => {
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
  it("switch thinking on and off, with a bound", () => {
    const asked = (reasoning: Reasoning) => {
      const { body } = written({ reasoning, extra: { result_format: undefined } })
      return JSON.parse(JSON.stringify(body["parameters"]))
    }
    expect(asked({ effort: "high", budgetTokens: 100 })).toEqual({ enable_thinking: true, thinking_budget: 100 })
    expect(asked({ effort: "minimal" })).toEqual({ enable_thinking: true })
    expect(asked({})).toEqual({ enable_thinking: true })
    expect(asked({ effort: "none", budgetTokens: 100 })).toEqual({ enable_thinking: false })
    expect(asked({ budgetTokens: 0 })).toEqual({ enable_thinking: false })
    expect(asked({ summary: "auto" })).toEqual({})
  })
  it("switch thinking off where a whole answer is refused with it, and nobody asked for it", () => {
    const { withoutRefused } = DashScope.make()
    const complaint = "parameter.enable_thinking must be set to false for non-streaming calls"
    const asked = written({ temperature: 0 })
    expect(withoutRefused(asked, complaint)).toEqual({
      ...asked,
      body: {
        ...asked.body,
        parameters: { result_format: "message", temperature: 0, enable_thinking: false }
      }
    })
    expect(withoutRefused(written({ reasoning: {} }), complaint)).toBeUndefined()
    expect(withoutRefused(written({}, {}, true), complaint)).toBeUndefined()
    expect(withoutRefused(asked, "url error")).toBeUndefined()
  })
})

describe("what the protocol has no word for is refused by name, not dropped", () => {
  const part = (asked: Chat.UserPart) => refused({ messages: [Chat.user([asked])] })
  it("of messages", () => {
    expect(part(Chat.file(Uint8Array.of(1)))).toEqual(unsupported("file input"))
    expect(part(Chat.file("https://example.com/a.pdf"))).toEqual(unsupported("file input"))
    expect(part({ type: "file", fileId: "file-1" })).toEqual(unsupported("file by id"))
    expect(refused({ messages: [{ role: "user", content: "Hi", name: "Ada" }] })).toEqual(
      unsupported("name of a user message")
    )
  })
  it("of tools", () => {
    expect(refused({ toolChoice: "required" })).toEqual(unsupported("tool choice required"))
    expect(refused({ messages: [Chat.assistant("", [{ ...clock, type: "custom" }])] })).toEqual(
      unsupported("custom tool calls")
    )
  })
})
