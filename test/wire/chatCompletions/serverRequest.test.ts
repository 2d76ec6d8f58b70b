import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as ChatCompletions from "../../../src/wire/ChatCompletions.js"

const wire = ChatCompletions.make()

const decoded = (body: unknown) =>
  Either.getOrThrowWith(wire.decodeRequest(body), (failure) => new Error(JSON.stringify(failure)))

const hello = [{ role: "user", content: "Hello" }]

const request = (body: Record<string, unknown>) => decoded({ model: "m", messages: hello, ...body }).request

const messages = (...messages: ReadonlyArray<unknown>) => request({ messages }).messages

const malformedPath = (body: unknown): unknown =>
  Either.match(wire.decodeRequest(body), {
    onLeft: (failure) => (failure._tag === "Malformed" ? failure.path : failure),
    onRight: () => "no fault"
  })

const malformedPathOf = (body: Record<string, unknown>) => malformedPath({ model: "m", messages: hello, ...body })

/** Fields that only Chat Completions has. */
const native = (fields: Record<string, unknown>) => ({ native: { "chat-completions": fields } })

describe("Chat Completions server request", () => {
  it("reads model, messages and the stream flag", () => {
    expect(decoded({ model: "m", messages: hello })).toEqual({
      request: { model: "m", messages: [Chat.user("Hello")] },
      stream: false
    })
    expect(decoded({ messages: hello, stream: true, stream_options: { include_usage: true } })).toEqual({
      request: { messages: [Chat.user("Hello")] },
      stream: true
    })
  })
  it("reads every setting under each of its field names", () => {
    expect(
      request({
        max_completion_tokens: 5,
        max_tokens: 4,
        temperature: 0,
        top_p: 1,
        stop: "x",
        random_seed: 7,
        parallel_tool_calls: false,
        user: "u",
        metadata: { a: "b" }
      })
    ).toEqual({
      model: "m",
      messages: [Chat.user("Hello")],
      maxTokens: 5,
      temperature: 0,
      topP: 1,
      stop: ["x"],
      seed: 7,
      parallelToolCalls: false,
      user: "u",
      metadata: { a: "b" }
    })
    expect(request({ max_tokens: 4, seed: 1, stop: ["a", "b"] })).toMatchObject({
      maxTokens: 4,
      seed: 1,
      stop: ["a", "b"]
    })
  })
  it("reads null fields as absent", () => {
    expect(request({ temperature: null, tools: null, stop: null, stream: null, n: null, tool_choice: null })).toEqual(
      request({})
    )
  })
  it("keeps unknown fields in extra", () => {
    expect(request({ n: 2, prediction: { a: 1 } }).extra).toEqual({ n: 2, prediction: { a: 1 } })
  })
})

describe("Chat Completions server request: messages", () => {
  it("reads messages of every role", () => {
    expect(
      messages(
        { role: "system", content: "One.", name: "Sys" },
        { role: "developer", content: [{ type: "text", text: "Two." }] },
        { role: "user", content: "Hello", name: "Ann" },
        { role: "assistant", content: "Hi." },
        { role: "tool", tool_call_id: "c", content: "done" }
      )
    ).toEqual([
      { ...Chat.system("One."), ...native({ name: "Sys" }) },
      { role: "developer", content: [Chat.text("Two.")] },
      { role: "user", content: "Hello", name: "Ann" },
      Chat.assistant("Hi."),
      Chat.toolResult("c", "done")
    ])
  })
  it("reads text, image, audio and file parts", () => {
    const content = [
      { type: "text", text: "See", cache_control: { type: "ephemeral" } },
      { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "high" } },
      { type: "image_url", image_url: "https://example.com/b.png" },
      { type: "input_audio", input_audio: { data: "AAAA", format: "mp3" } },
      { type: "file", file: { file_data: "data:application/pdf;base64,AAAA", filename: "a.pdf" } },
      { type: "file", file: { file_id: "file_1" } }
    ]
    expect(messages({ role: "user", content })).toEqual([
      Chat.user([
        { type: "text", text: "See", cacheControl: {} },
        Chat.image("https://example.com/a.png", { detail: "high" }),
        Chat.image("https://example.com/b.png"),
        Chat.audio("data:audio/mpeg;base64,AAAA"),
        Chat.file("data:application/pdf;base64,AAAA", { filename: "a.pdf" }),
        { type: "file", fileId: "file_1" }
      ])
    ])
  })
  it("keeps name and arguments of a tool call of a request next to the empty form of the other type", () => {
    const toolCalls = [
      { id: "a", type: "function", function: { name: "f", arguments: "{}" }, custom: { name: "", input: "" } },
      { id: "b", type: "custom", custom: { name: "g", input: "free" }, function: { name: "", arguments: "" } }
    ]
    expect(messages({ role: "assistant", content: null, tool_calls: toolCalls })).toEqual([
      Chat.assistant("", [
        { type: "tool-call", id: "a", name: "f", arguments: "{}" },
        { type: "tool-call", id: "b", name: "g", arguments: "free", custom: true }
      ])
    ])
  })
  it("reads tool calls, reasoning and refusals of assistant messages", () => {
    expect(
      messages(
        {
          role: "assistant",
          content: null,
          tool_calls: [
            { id: "a", type: "function", function: { name: "f", arguments: "" } },
            { id: "b", type: "custom", custom: { name: "g", input: "free" } }
          ]
        },
        { role: "assistant", content: "x", reasoning_content: "Hm." },
        {
          role: "assistant",
          reasoning_details: [{ type: "reasoning.encrypted", data: "enc", format: "f1", index: 0 }]
        },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "Hm." },
            { type: "text", text: "x" }
          ]
        },
        { role: "assistant", content: null, refusal: "No." },
        { role: "assistant", content: [{ type: "refusal", refusal: "No." }] }
      )
    ).toEqual([
      Chat.assistant("", [
        { type: "tool-call", id: "a", name: "f", arguments: "{}" },
        { type: "tool-call", id: "b", name: "g", arguments: "free", custom: true }
      ]),
      { role: "assistant", content: [{ type: "reasoning", text: "Hm.", ...native({}) }, Chat.text("x")] },
      {
        role: "assistant",
        content: [{ type: "reasoning", text: "", signature: "enc", format: "reasoning.encrypted/f1", ...native({}) }]
      },
      { role: "assistant", content: [{ type: "reasoning", text: "Hm.", ...native({}) }, Chat.text("x")] },
      { role: "assistant", content: [{ type: "refusal", text: "No." }] },
      { role: "assistant", content: [{ type: "refusal", text: "No.", ...native({}) }] }
    ])
  })
})

describe("Chat Completions server request: order of assistant messages", () => {
  const call = (id: string, fields: object = {}) => ({
    id,
    type: "function",
    function: { name: "f", arguments: "{}" },
    ...fields
  })
  it("orders the fields of an assistant message: reasoning, text, refusal, tool calls", () => {
    expect(
      messages({ role: "assistant", tool_calls: [call("1")], refusal: "No.", content: "Hi", reasoning: "Hm." })
    ).toEqual([
      Chat.assistant([
        { type: "reasoning", text: "Hm.", ...native({}) },
        Chat.text("Hi"),
        { type: "refusal", text: "No." },
        Chat.toolCall("1", "f", "{}")
      ])
    ])
  })
  it("keeps the entries of the content in their order, each as one part", () => {
    const reference = { type: "reference", reference_ids: [1] }
    const content = [
      { type: "thinking", thinking: [{ type: "text", text: "a" }], signature: "s", closed: true },
      { type: "text", text: "b" },
      { type: "thinking", thinking: "c" },
      reference,
      { type: "text", text: "d", citations: [1] },
      { type: "reasoning", summary: [{ type: "summary_text", text: "e" }] },
      { type: "refusal", refusal: "f", why: 1 }
    ]
    expect(messages({ role: "assistant", content })).toEqual([
      Chat.assistant([
        { type: "reasoning", text: "a", signature: "s", ...native({ closed: true }) },
        Chat.text("b"),
        { type: "reasoning", text: "c", ...native({}) },
        { type: "provider", ...native(reference) },
        { ...Chat.text("d"), ...native({ citations: [1] }) },
        { type: "reasoning", text: "e", ...native({ type: "reasoning" }) },
        { type: "refusal", text: "f", ...native({ why: 1 }) }
      ])
    ])
  })
  it("reads plain text entries alone as one string", () => {
    const content = [
      { type: "text", text: "a" },
      { type: "text", text: "b" }
    ]
    expect(messages({ role: "assistant", content })).toEqual([Chat.assistant("ab")])
    expect(messages({ role: "assistant", content: null })).toEqual([Chat.assistant("")])
  })
  it("reads the signature of a tool call without a provider, and keeps its unknown fields", () => {
    const extra_content = { google: { thought_signature: "s", other: 1 } }
    expect(
      messages({ role: "assistant", content: null, tool_calls: [call("1", { extra_content, cache: 1 }), call("2")] })
    ).toEqual([
      Chat.assistant([
        {
          ...Chat.toolCall("1", "f", "{}"),
          signature: "s",
          ...native({ extra_content: { google: { other: 1 } }, cache: 1 })
        },
        Chat.toolCall("2", "f", "{}")
      ])
    ])
    expect(
      messages({
        role: "assistant",
        tool_calls: [call("1", { extra_content: { google: { thought_signature: "s" } } })]
      })
    ).toEqual([Chat.assistant([{ ...Chat.toolCall("1", "f", "{}"), signature: "s", ...native({}) }])])
  })
  it("keeps the audio of an assistant message as a field of the message", () => {
    expect(messages({ role: "assistant", audio: { id: "audio_1" } })).toEqual([
      { ...Chat.assistant(""), ...native({ audio: { id: "audio_1" } }) }
    ])
  })
})

describe("Chat Completions server request: tools, formats and reasoning", () => {
  const f = { type: "function", function: { name: "f", parameters: { type: "object" }, strict: null } }
  const web = { type: "web_search" }
  it("reads function tools and keeps other tools in extra", () => {
    expect(request({ tools: [web, f] })).toMatchObject({
      tools: [{ name: "f", parameters: { type: "object" } }],
      extra: { tools: [web] }
    })
    expect(request({ tools: [web] })).not.toHaveProperty("tools")
  })
  it("reads tool_choice by mode or by name and keeps other forms in extra", () => {
    const allowed = { type: "allowed_tools", allowed_tools: { mode: "auto", tools: [] } }
    expect(request({ tool_choice: "any" }).toolChoice).toBe("required")
    expect(request({ tool_choice: { type: "function", function: { name: "f" } } }).toolChoice).toEqual({ name: "f" })
    expect(request({ tool_choice: allowed })).toMatchObject({ extra: { tool_choice: allowed } })
    expect(request({ tool_choice: allowed })).not.toHaveProperty("toolChoice")
  })
  it("reads text, JSON and schema response formats and keeps other forms in extra", () => {
    const named = { name: "n", schema: { type: "object" }, strict: true }
    expect(request({ response_format: { type: "text" } }).responseFormat).toBe("text")
    expect(request({ response_format: { type: "json_object" } }).responseFormat).toBe("json")
    expect(request({ response_format: { type: "json_schema", json_schema: named } }).responseFormat).toEqual(named)
    for (const further of [
      { type: "grammar", grammar: "…" },
      { type: "json_schema", json_schema: { name: "n" } }
    ]) {
      expect(request({ response_format: further })).toMatchObject({ extra: { response_format: further } })
    }
  })
  it("reads reasoning settings of every dialect", () => {
    const reasoning = (body: Record<string, unknown>) => request(body).reasoning
    expect(reasoning({ reasoning_effort: "high" })).toEqual({ effort: "high" })
    expect(reasoning({ reasoning: { effort: "high" } })).toEqual({ effort: "high" })
    expect(reasoning({ reasoning: { max_tokens: 10 } })).toEqual({ budgetTokens: 10 })
    expect(reasoning({ reasoning: { enabled: false } })).toEqual({ effort: "none" })
    expect(reasoning({ thinking: { type: "enabled", budget_tokens: 10 } })).toEqual({ budgetTokens: 10 })
    expect(reasoning({ thinking: { type: "enabled" } })).toEqual({})
    expect(reasoning({ thinking: { type: "disabled" } })).toEqual({ effort: "none" })
    expect(reasoning({ enable_thinking: true, thinking_budget: 10 })).toEqual({ budgetTokens: 10 })
    expect(reasoning({ enable_thinking: true })).toEqual({})
    expect(reasoning({ enable_thinking: false })).toEqual({ effort: "none" })
    expect(request({ reasoning: { effort: "high", exclude: true } })).toMatchObject({
      reasoning: { effort: "high" },
      extra: { reasoning: { effort: "high", exclude: true } }
    })
  })
})

describe("Chat Completions server request: failures", () => {
  it("rejects invalid messages as Malformed with their path", () => {
    expect(malformedPath("x")).toBe("")
    expect(malformedPath({})).toBe("messages")
    expect(malformedPath({ messages: [] })).toBe("messages")
    expect(malformedPath({ messages: ["x"] })).toBe("messages[0]")
    expect(malformedPath({ messages: [{ role: "nobody", content: "x" }] })).toBe("messages[0].role")
    expect(malformedPath({ messages: [{ role: "user", content: 5 }] })).toBe("messages[0].content")
    expect(malformedPath({ messages: [{ role: "assistant", content: 5 }] })).toBe("messages[0].content")
    expect(malformedPath({ messages: [{ role: "tool", content: "x" }] })).toBe("messages[0].tool_call_id")
  })
  it("rejects invalid settings as Malformed with their path", () => {
    expect(malformedPathOf({ temperature: -1 })).toBe("temperature")
    expect(malformedPathOf({ top_p: 2 })).toBe("top_p")
    expect(malformedPathOf({ max_tokens: 0 })).toBe("max_tokens")
    expect(malformedPathOf({ metadata: { a: 1 } })).toBe("metadata.a")
    expect(malformedPathOf({ reasoning_effort: "huge" })).toBe("reasoning_effort")
    expect(malformedPathOf({ parallel_tool_calls: "no" })).toBe("parallel_tool_calls")
    expect(malformedPathOf({ tools: "x" })).toBe("tools")
    expect(malformedPathOf({ tools: [{ type: "function", function: { name: "a b" } }] })).toBe("tools[0].function.name")
    expect(malformedPathOf({ tool_choice: { type: "function" } })).toBe("tool_choice.function.name")
    expect(malformedPathOf({ response_format: { type: "json_schema", json_schema: { schema: {} } } })).toBe(
      "response_format.json_schema.name"
    )
  })
  it("rejects invalid parts and tool calls as Malformed with their path", () => {
    const user = (part: unknown) => malformedPath({ messages: [{ role: "user", content: [Chat.text("x"), part] }] })
    expect(user({ type: "image_url", image_url: { url: "ftp://x" } })).toBe("messages[0].content[1].image_url.url")
    expect(user({ type: "input_audio", input_audio: { data: "AA" } })).toBe("messages[0].content[1].input_audio")
    expect(user({ type: "file", file: { file_data: "x" } })).toBe("messages[0].content[1].file.file_data")
    expect(user({ type: "text" })).toBe("messages[0].content[1].text")
    const call = (id: string) => ({ id, type: "function", function: { name: "f", arguments: "{}" } })
    const calls = (tool_calls: unknown) => malformedPath({ messages: [{ role: "assistant", content: "", tool_calls }] })
    const entries = (content: unknown, fields: object) =>
      malformedPath({ messages: [{ role: "assistant", content, ...fields }] })
    expect(entries([{ type: "text", text: "x" }, { type: "text" }], { reasoning_content: "Hm." })).toBe(
      "messages[0].content[1].text"
    )
    expect(entries([{ type: "thinking", thinking: "Hm." }, { type: "refusal" }], {})).toBe(
      "messages[0].content[1].refusal"
    )
    expect(calls("x")).toBe("messages[0].tool_calls")
    expect(calls([call("a"), { id: "b", type: "function", function: { name: "", arguments: "{}" } }])).toBe(
      "messages[0].tool_calls[1]"
    )
  })
})
