import { describe, expect, it } from "@effect/vitest"
import type { ChatRequest, Reasoning } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as Ollama from "../../../src/wire/Ollama.js"
import type { WireRequest } from "../../../src/wire/Wire.js"
import { failureOf, getOrThrow } from "../roundTrips.js"

const question: ChatRequest = { messages: [Chat.user("Hi")] }

const wireRequest = (
  request: Partial<ChatRequest>,
  dialect: Partial<Ollama.Dialect> = {},
  stream = false
): WireRequest =>
  getOrThrow(
    Ollama.make(dialect).encodeRequest({ ...question, ...request }, { provider: "acme", model: "asked", stream })
  )

const body = (request: Partial<ChatRequest>, dialect?: Partial<Ollama.Dialect>) => wireRequest(request, dialect).body

const messages = (...list: ReadonlyArray<Chat.Message>) => body({ messages: list })["messages"]

const encodeFailure = (request: Partial<ChatRequest>) =>
  failureOf(
    Ollama.make().encodeRequest({ ...question, ...request }, { provider: "acme", model: "asked", stream: false })
  )

const unsupported = (feature: string) => ({ _tag: "Unsupported", feature })

describe("Ollama request", () => {
  it("writes path, model, messages and the stream flag", () => {
    expect(wireRequest({})).toEqual({
      path: "/api/chat",
      body: { model: "asked", messages: [{ role: "user", content: "Hi" }], stream: false }
    })
    expect(wireRequest({ model: "other" }, {}, true).body).toMatchObject({ model: "other", stream: true })
    expect(wireRequest({}, { path: "/ollama/api/chat" }).path).toBe("/ollama/api/chat")
  })
  it("writes settings as options", () => {
    expect(body({ temperature: 0, topP: 0.5, maxTokens: 9, stop: ["END"], seed: 7 })["options"]).toEqual({
      temperature: 0,
      top_p: 0.5,
      num_predict: 9,
      stop: ["END"],
      seed: 7
    })
    expect(body({ stop: [] })).not.toHaveProperty("options")
  })
  it("merges the options of extra with the written ones", () => {
    const extra = { options: { num_ctx: 8192, temperature: 1 }, keep_alive: "1h", stream: true }
    expect(body({ temperature: 0, seed: 7, extra })).toEqual({
      model: "asked",
      messages: [{ role: "user", content: "Hi" }],
      options: { temperature: 1, seed: 7, num_ctx: 8192 },
      keep_alive: "1h",
      stream: false
    })
  })
  it("writes the dialect's keep_alive and options below those of the request", () => {
    const dialect = { keepAlive: -1, options: { num_ctx: 4096, temperature: 0.1, top_k: 5 } }
    expect(body({}, dialect)).toMatchObject({ keep_alive: -1, options: { num_ctx: 4096, temperature: 0.1, top_k: 5 } })
    expect(body({ temperature: 0.9, extra: { keep_alive: 0, options: { num_ctx: 1 } } }, dialect)).toMatchObject({
      keep_alive: 0,
      options: { num_ctx: 1, temperature: 0.9, top_k: 5 }
    })
  })
  it("drops user, metadata, parallelToolCalls: true and toolChoice auto", () => {
    expect(body({ user: "u", metadata: { a: "b" }, parallelToolCalls: true, toolChoice: "auto" })).toEqual(body({}))
  })
})

describe("Ollama messages", () => {
  it("joins the text of a message and writes its images as bare base64", () => {
    expect(
      messages(
        { role: "developer", content: [Chat.text("Be "), Chat.text("brief.")] },
        Chat.user([
          Chat.text("What"),
          Chat.image("data:image/png;base64,AAAA", { detail: "low" }),
          Chat.text(" is it?")
        ])
      )
    ).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "What is it?", images: ["AAAA"] }
    ])
  })
  it("writes reasoning of every provider as thinking", () => {
    expect(
      messages({
        role: "assistant",
        content: [
          { type: "reasoning", text: "Hm. ", provider: "acme" },
          { type: "reasoning", text: "Ah.", provider: "other", signature: "s" },
          Chat.text("Four.")
        ]
      })
    ).toEqual([{ role: "assistant", content: "Four.", thinking: "Hm. Ah." }])
  })
  it("writes alternating parts into thinking, content and tool_calls, each in its order, without parts of other providers", () => {
    const part = (provider: string): Chat.ProviderPart => ({
      type: "provider",
      native: { other: { type: "web_search_call" } },
      provider
    })
    expect(
      messages(
        Chat.assistant([
          Chat.text("Let me "),
          { type: "reasoning", text: "Hm. ", provider: "acme" },
          part("other"),
          Chat.toolCall("a", "clock", "{}"),
          { type: "refusal", text: "not " },
          { type: "reasoning", text: "Ah.", provider: "acme" },
          Chat.toolCall("b", "clock", "{}"),
          part("acme"),
          Chat.text("see.")
        ]),
        Chat.user([Chat.text("Hi"), part("other")])
      )
    ).toEqual([
      {
        role: "assistant",
        content: "Let me not see.",
        thinking: "Hm. Ah.",
        tool_calls: [
          { id: "a", function: { name: "clock", arguments: {} } },
          { id: "b", function: { name: "clock", arguments: {} } }
        ]
      },
      { role: "user", content: "Hi" }
    ])
  })
  it("writes the thinking of every step of a tool loop beside its tool calls, and none where there was none", () => {
    const clock = (id: string) => Chat.toolCall(id, "clock", "{}")
    const call = (id: string) => ({ id, function: { name: "clock", arguments: {} } })
    expect(
      messages(
        Chat.user("How late is it?"),
        Chat.assistant([{ type: "reasoning", text: "I need the clock.", provider: "acme" }], [clock("a")]),
        Chat.toolResult("a", "noon"),
        Chat.assistant("", [clock("b")]),
        Chat.toolResult("b", "one")
      )
    ).toEqual([
      { role: "user", content: "How late is it?" },
      { role: "assistant", content: "", thinking: "I need the clock.", tool_calls: [call("a")] },
      { role: "tool", content: "noon", tool_name: "clock", tool_call_id: "a" },
      { role: "assistant", content: "", tool_calls: [call("b")] },
      { role: "tool", content: "one", tool_name: "clock", tool_call_id: "b" }
    ])
  })
  it("writes tool calls with object arguments and tool results with the id and name of the tool call", () => {
    const clock = Chat.toolCall("call_0", "clock", '{"zone":"UTC"}')
    const weather = Chat.toolCall("call_0", "weather", "")
    expect(
      messages(
        Chat.assistant("", [clock]),
        Chat.toolResult(clock, "12:00"),
        Chat.assistant("Now the weather.", [weather]),
        { ...Chat.toolResult(weather, "wet"), content: [Chat.text("wet"), Chat.image("data:image/png;base64,BBBB")] },
        Chat.toolResult("unknown", "?")
      )
    ).toEqual([
      {
        role: "assistant",
        content: "",
        tool_calls: [{ id: "call_0", function: { name: "clock", arguments: { zone: "UTC" } } }]
      },
      { role: "tool", content: "12:00", tool_name: "clock", tool_call_id: "call_0" },
      {
        role: "assistant",
        content: "Now the weather.",
        tool_calls: [{ id: "call_0", function: { name: "weather", arguments: {} } }]
      },
      { role: "tool", content: "wet", images: ["BBBB"], tool_name: "weather", tool_call_id: "call_0" },
      { role: "tool", content: "?", tool_call_id: "unknown" }
    ])
  })
})

describe("Ollama tools and formats", () => {
  it("writes tools as functions and none for tool choice none", () => {
    const tools: ReadonlyArray<Chat.ToolDefinition> = [{ name: "clock", description: "Tells the time.", strict: true }]
    const clock = {
      type: "function",
      function: { name: "clock", description: "Tells the time.", parameters: { type: "object", properties: {} } }
    }
    expect(body({ tools })["tools"]).toEqual([clock])
    expect(body({ tools, toolChoice: "none" })).not.toHaveProperty("tools")
    expect(body({ tools, extra: { tools: [{ type: "other" }] } })["tools"]).toEqual([clock, { type: "other" }])
  })
  it("writes a JSON format or a JSON Schema", () => {
    const schema = { type: "object", properties: { a: { type: "string" } } }
    expect(body({ responseFormat: "json" })["format"]).toBe("json")
    expect(body({ responseFormat: { name: "n", schema, strict: true } })["format"]).toEqual(schema)
    expect(body({ responseFormat: "text" })).not.toHaveProperty("format")
  })
})

describe("Ollama reasoning settings", () => {
  const think = (reasoning: Reasoning) => body({ reasoning })["think"]
  it("writes think as true, false or one of three levels", () => {
    expect(think({})).toBe(true)
    expect(think({ budgetTokens: 100 })).toBe("low")
    expect(think({ effort: "none" })).toBe(false)
    expect(think({ budgetTokens: 0 })).toBe(false)
    expect((["minimal", "low", "medium", "high", "xhigh"] as const).map((effort) => think({ effort }))).toEqual([
      "low",
      "low",
      "medium",
      "high",
      "high"
    ])
    expect(think({ summary: "auto" })).toBeUndefined()
  })
  it("replaces a think level by true when the server rejects levels, except for gpt-oss", () => {
    const { dropUnsupportedField } = Ollama.make()
    const graded = wireRequest({ reasoning: { effort: "low" } })
    const rejection = 'think value "low" is not supported for this model'
    expect(dropUnsupportedField(graded, rejection)).toEqual({ ...graded, body: { ...graded.body, think: true } })
    expect(dropUnsupportedField(graded, '"asked" does not support thinking')).toBeUndefined()
    expect(dropUnsupportedField(wireRequest({ reasoning: {} }), rejection)).toBeUndefined()
    // gpt-oss supports levels, so the message must concern another model.
    expect(
      dropUnsupportedField(wireRequest({ model: "gpt-oss:20b", reasoning: { effort: "low" } }), rejection)
    ).toBeUndefined()
  })
})

describe("Ollama unsupported fields", () => {
  const partFailure = (userPart: Chat.UserPart) => encodeFailure({ messages: [Chat.user([userPart])] })
  const callFailure = (call: Chat.ToolCall) => encodeFailure({ messages: [Chat.assistant("", [call])] })
  it("rejects images by URL, audio, files and user names as Unsupported", () => {
    expect(partFailure(Chat.image("https://example.com/a.png"))).toEqual(unsupported("image by URL"))
    expect(partFailure(Chat.image("data:image/svg+xml,<svg/>"))).toEqual(unsupported("image data other than base64"))
    expect(partFailure(Chat.audio(Uint8Array.of(1)))).toEqual(unsupported("audio input"))
    expect(partFailure(Chat.file(Uint8Array.of(1)))).toEqual(unsupported("file input"))
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
  it("rejects required and custom tool calls and arguments that are no JSON object as Unsupported", () => {
    expect(encodeFailure({ toolChoice: "required" })).toEqual(unsupported("tool choice required"))
    expect(encodeFailure({ toolChoice: { name: "clock" } })).toEqual(unsupported("tool choice by name"))
    expect(encodeFailure({ parallelToolCalls: false })).toEqual(unsupported("parallel tool calls switched off"))
    expect(callFailure({ type: "tool-call", id: "c", name: "write", arguments: "{", custom: true })).toEqual(
      unsupported("custom tool calls")
    )
    for (const text of ['{"city":"Par', "[1]", "7"]) {
      expect(callFailure({ type: "tool-call", id: "c", name: "weather", arguments: text })).toEqual(
        unsupported("tool calls whose arguments are not a JSON object")
      )
    }
  })
})
