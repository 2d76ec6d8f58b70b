import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { ChatRequest, Message } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as Responses from "../../../src/wire/Responses.js"
import type { WireRequest } from "../../../src/wire/Wire.js"

const target = { provider: "acme", model: "acme-1", stream: false }

const encode = (request: ChatRequest, dialect?: Partial<Responses.Dialect>) =>
  Responses.make(dialect).encodeRequest(request, target)

const body = (request: Partial<ChatRequest>, dialect?: Partial<Responses.Dialect>): Record<string, unknown> =>
  Either.getOrThrowWith(
    encode({ messages: [Chat.user("Hello")], ...request }, dialect),
    (failure) => new Error(JSON.stringify(failure))
  ).body

const input = (messages: ReadonlyArray<Message>, dialect?: Partial<Responses.Dialect>): unknown =>
  body({ messages }, dialect)["input"]

const encodeFailure = (request: Partial<ChatRequest>, dialect?: Partial<Responses.Dialect>): unknown =>
  Either.match(encode({ messages: [Chat.user("Hello")], ...request }, dialect), {
    onLeft: (failure) => failure,
    onRight: () => undefined
  })

const png = "data:image/png;base64,AAAA"
const pdf = "data:application/pdf;base64,AAAA"
const wav = "data:audio/x-wav;base64,AAAA"

describe("Responses request", () => {
  it("writes path, model, input, store: false and the include of encrypted reasoning", () => {
    expect(Either.getOrThrow(encode({ messages: [Chat.user("Hello")] }))).toEqual({
      path: "/responses",
      body: {
        model: "acme-1",
        input: [{ type: "message", role: "user", content: "Hello" }],
        store: false,
        include: ["reasoning.encrypted_content"],
        stream: false
      }
    })
  })
  it("writes stream: true for a streaming Responses request", () => {
    const streamed = Responses.make().encodeRequest({ messages: [Chat.user("Hello")] }, { ...target, stream: true })
    expect(Either.getOrThrow(streamed).body["stream"]).toBe(true)
  })
  it("writes every common setting under its Responses name", () => {
    expect(
      body({
        model: "other",
        temperature: 0.5,
        topP: 0.9,
        maxTokens: 100,
        parallelToolCalls: false,
        user: "u1",
        metadata: { a: "b" },
        reasoning: { effort: "xhigh", summary: "detailed", budgetTokens: 1000 }
      })
    ).toMatchObject({
      model: "other",
      temperature: 0.5,
      top_p: 0.9,
      max_output_tokens: 100,
      parallel_tool_calls: false,
      user: "u1",
      metadata: { a: "b" },
      reasoning: { effort: "xhigh", summary: "detailed" }
    })
  })
  it("lets extra override Responses fields except stream, and appends its tools", () => {
    const written = body({
      temperature: 0,
      tools: [{ name: "f" }],
      extra: { temperature: 1, service_tier: "flex", store: true, stream: true, tools: [{ type: "web_search" }] }
    })
    expect(written).toMatchObject({ temperature: 1, service_tier: "flex", store: true, stream: false })
    expect(written["tools"]).toMatchObject([{ type: "function", name: "f" }, { type: "web_search" }])
    expect(body({ extra: { tools: [{ type: "web_search" }] } })["tools"]).toEqual([{ type: "web_search" }])
  })
  it("writes the include of encrypted reasoning only for models and dialects with reasoning", () => {
    expect(body({ model: "gpt-5-mini" })["include"]).toEqual(["reasoning.encrypted_content"])
    for (const model of ["gpt-4o", "gpt-4.1-mini", "openai/gpt-4o", "gpt-3.5-turbo"]) {
      expect(body({ model })).not.toHaveProperty("include")
    }
    expect(body({ reasoning: { effort: "none" } })).not.toHaveProperty("include")
    expect(body({}, { sealedReasoning: false })).not.toHaveProperty("include")
  })
  it("writes the store field of the dialect, or none when the dialect has none", () => {
    expect(body({}, { store: undefined })).not.toHaveProperty("store")
    expect(body({}, { store: true })["store"]).toBe(true)
  })
  it("raises maxTokens to the least that the server accepts, which is 16 for OpenAI", () => {
    expect(body({ maxTokens: 8 })["max_output_tokens"]).toBe(16)
    expect(body({ maxTokens: 17 })["max_output_tokens"]).toBe(17)
    expect(body({ maxTokens: 8 }, { minOutputTokens: 1 })["max_output_tokens"]).toBe(8)
    expect(body({})).not.toHaveProperty("max_output_tokens")
  })
  it("writes the reasoning budget for a dialect with reasoningBudget, and else its effort", () => {
    expect(body({ reasoning: { budgetTokens: 1000 } })["reasoning"]).toEqual({ effort: "low" })
    expect(body({ reasoning: { budgetTokens: 1000 } }, { reasoningBudget: true })["reasoning"]).toEqual({
      max_tokens: 1000
    })
  })
})

describe("Responses unsupported fields", () => {
  const unsupported = (feature: string) => ({ _tag: "Unsupported", feature })
  it("rejects stop, seed and user names as Unsupported", () => {
    expect(encodeFailure({ stop: ["x"] })).toEqual(unsupported("stop"))
    expect(encodeFailure({ stop: [] })).toBeUndefined()
    expect(encodeFailure({ seed: 1 })).toEqual(unsupported("seed"))
    expect(encodeFailure({ messages: [{ role: "user", content: "x", name: "Ann" }] })).toEqual(
      unsupported("name of a user message")
    )
  })
  it("rejects audio as Unsupported unless the dialect has audio, and audio by URL always", () => {
    const messages = [Chat.user([Chat.audio(wav)])]
    expect(encodeFailure({ messages })).toEqual(unsupported("audio input"))
    expect(input(messages, { audio: true })).toEqual([
      {
        type: "message",
        role: "user",
        content: [{ type: "input_audio", input_audio: { data: "AAAA", format: "wav" } }]
      }
    ])
    expect(
      encodeFailure({ messages: [Chat.user([Chat.audio("https://example.com/a.wav")])] }, { audio: true })
    ).toEqual(unsupported("audio input by URL"))
  })
})

describe("Responses instructions", () => {
  it("writes leading system and developer messages as instructions joined by blank lines", () => {
    expect(
      body({
        messages: [
          Chat.system("One."),
          { role: "developer", content: [Chat.text("Tw"), Chat.text("o.")] },
          Chat.user("Hello")
        ]
      })
    ).toMatchObject({ instructions: "One.\n\nTwo.", input: [{ role: "user" }] })
  })
  it("writes a later developer message as an input item in its place", () => {
    expect(
      body({
        messages: [Chat.system("One."), Chat.user("Hello"), { role: "developer", content: "Two." }, Chat.user("Bye")]
      })
    ).toMatchObject({
      instructions: "One.",
      input: [
        { type: "message", role: "user", content: "Hello" },
        { type: "message", role: "developer", content: "Two." },
        { type: "message", role: "user", content: "Bye" }
      ]
    })
  })
  it("writes a lone system message as input and not as instructions", () => {
    const written = body({ messages: [Chat.system("Write a poem.")] })
    expect(written).not.toHaveProperty("instructions")
    expect(written["input"]).toEqual([{ type: "message", role: "system", content: "Write a poem." }])
  })
})

describe("Responses user messages", () => {
  it("writes text, image and file parts", () => {
    expect(
      input([
        Chat.user([
          Chat.text("See"),
          Chat.image(png, { detail: "low" }),
          Chat.image("https://example.com/a.png"),
          Chat.file("https://example.com/a.pdf"),
          Chat.file(pdf, { filename: "a.pdf" }),
          Chat.file(pdf),
          { type: "file", fileId: "file_1" }
        ])
      ])
    ).toEqual([
      {
        type: "message",
        role: "user",
        content: [
          { type: "input_text", text: "See" },
          { type: "input_image", image_url: png, detail: "low" },
          { type: "input_image", image_url: "https://example.com/a.png", detail: "auto" },
          { type: "input_file", file_url: "https://example.com/a.pdf" },
          { type: "input_file", filename: "a.pdf", file_data: pdf },
          { type: "input_file", filename: "file.pdf", file_data: pdf },
          { type: "input_file", file_id: "file_1" }
        ]
      }
    ])
  })
})

describe("Responses history", () => {
  const call: Chat.ToolCall = { type: "tool-call", id: "call_1", name: "f", arguments: '{"a":1}' }
  it("writes the text of an assistant message without an id, which its parts would need, as a string", () => {
    expect(input([Chat.user("Hello"), Chat.assistant("Hi.")])).toEqual([
      { type: "message", role: "user", content: "Hello" },
      { type: "message", role: "assistant", content: "Hi." }
    ])
  })
  it("writes an id and a status of assistant messages when the dialect has messageIds", () => {
    expect(input([Chat.user("Hello"), Chat.assistant("Hi."), Chat.user("Bye")], { messageIds: true })).toMatchObject([
      {},
      { id: "msg_1_0", status: "completed" },
      {}
    ])
  })
  it("writes each tool call and each tool result as an item of its own", () => {
    expect(
      input([
        Chat.user("Hello"),
        Chat.assistant([call, { type: "tool-call", id: "call_2", name: "g", arguments: "" }]),
        Chat.toolResult(call, "one"),
        {
          role: "tool",
          toolCallId: "call_2",
          content: [Chat.text("two"), Chat.image(png), Chat.file("https://example.com/a.pdf")]
        }
      ])
    ).toEqual([
      { type: "message", role: "user", content: "Hello" },
      { type: "function_call", call_id: "call_1", name: "f", arguments: '{"a":1}' },
      { type: "function_call", call_id: "call_2", name: "g", arguments: "{}" },
      { type: "function_call_output", call_id: "call_1", output: "one" },
      {
        type: "function_call_output",
        call_id: "call_2",
        output: [
          { type: "input_text", text: "two" },
          { type: "input_image", image_url: png, detail: "auto" },
          { type: "input_file", file_url: "https://example.com/a.pdf" }
        ]
      }
    ])
  })
  it("writes custom tool calls and their results as custom items", () => {
    const custom: Chat.ToolCall = {
      type: "tool-call",
      id: "call_1",
      name: "sql",
      arguments: "SELECT 1",
      custom: true
    }
    expect(input([Chat.assistant([custom]), Chat.toolResult(custom, "1")])).toEqual([
      { type: "custom_tool_call", call_id: "call_1", name: "sql", input: "SELECT 1" },
      { type: "custom_tool_call_output", call_id: "call_1", output: "1" }
    ])
  })
  it("keeps an empty assistant message as an item", () => {
    expect(input([Chat.user("Hello"), Chat.assistant("")])).toMatchObject([{}, { role: "assistant", content: "" }])
  })
})

describe("Responses reasoning in the history", () => {
  const reasoningPart = (part: Partial<Chat.ReasoningPart>): Chat.ReasoningPart => ({
    type: "reasoning",
    text: "Hm.",
    provider: "acme",
    ...part
  })
  const writeHistory = (parts: ReadonlyArray<Chat.ReasoningPart>, dialect?: Partial<Responses.Dialect>) =>
    input([{ role: "assistant", content: [...parts, Chat.text("Hi.")] }], dialect)
  const assistantItem = { type: "message", role: "assistant" }

  it("writes reasoning items with their id, summaries and encrypted_content", () => {
    expect(
      writeHistory([
        reasoningPart({ id: "rs_1", format: "reasoning.summary" }),
        reasoningPart({ id: "rs_1", text: "So.", signature: "sealed", format: "reasoning.summary" }),
        reasoningPart({ id: "rs_2", text: "", signature: "other" })
      ])
    ).toMatchObject([
      {
        type: "reasoning",
        id: "rs_1",
        summary: [
          { type: "summary_text", text: "Hm." },
          { type: "summary_text", text: "So." }
        ],
        encrypted_content: "sealed"
      },
      { type: "reasoning", id: "rs_2", summary: [], encrypted_content: "other" },
      assistantItem
    ])
  })
  it("writes reasoning.text parts as the content of a reasoning item", () => {
    expect(writeHistory([reasoningPart({ id: "rs_1", format: "reasoning.text" })])).toMatchObject([
      { type: "reasoning", id: "rs_1", summary: [], content: [{ type: "reasoning_text", text: "Hm." }] },
      assistantItem
    ])
  })
  it("writes reasoning with an id but no encrypted content only when the provider stores responses", () => {
    const part = reasoningPart({ id: "rs_1", format: "reasoning.summary" })
    expect(writeHistory([part])).toMatchObject([assistantItem])
    expect(writeHistory([part], { store: true })).toMatchObject([{ type: "reasoning", id: "rs_1" }, assistantItem])
    expect(
      body({ messages: [{ role: "assistant", content: [part, Chat.text("Hi.")] }], extra: { store: true } })["input"]
    ).toMatchObject([{ type: "reasoning", id: "rs_1" }, assistantItem])
  })
  it("drops reasoning of other providers and of unknown ones", () => {
    expect(writeHistory([reasoningPart({ signature: "sealed", provider: "other" })])).toMatchObject([assistantItem])
    expect(writeHistory([{ type: "reasoning", text: "Hm.", signature: "sealed" }])).toMatchObject([assistantItem])
  })
  it("writes reasoning after the last text when the dialect has lastReasoning, and drops it otherwise", () => {
    const messages = [Chat.assistant([Chat.text("Hi."), reasoningPart({ signature: "sealed" })]), Chat.user("Bye")]
    expect(input(messages, { lastReasoning: true })).toMatchObject([
      { type: "message" },
      { type: "reasoning", encrypted_content: "sealed" },
      { type: "message" }
    ])
    expect(input(messages)).toMatchObject([{ role: "assistant" }, { role: "user" }])
  })
  it("drops reasoning that no message and no tool call follows", () => {
    expect(input([{ role: "assistant", content: [reasoningPart({ signature: "sealed" })] }])).toMatchObject([
      assistantItem
    ])
    expect(
      input([
        {
          role: "assistant",
          content: [
            reasoningPart({ signature: "sealed" }),
            { type: "tool-call", id: "c", name: "f", arguments: "{}" },
            reasoningPart({ signature: "last" })
          ]
        }
      ])
    ).toMatchObject([{ type: "reasoning" }, { type: "function_call" }])
  })
  it("sends an answer back as its items in their order, each with its own fields", () => {
    const output = [
      {
        type: "message",
        id: "msg_1",
        role: "assistant",
        status: "completed",
        phase: "commentary",
        content: [
          {
            type: "output_text",
            text: "I ",
            annotations: [{ type: "url_citation", url: "https://example.com" }],
            logprobs: []
          },
          { type: "output_text", text: "call.", annotations: [], logprobs: [] }
        ]
      },
      { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "one" },
      { type: "function_call", id: "fc_1", call_id: "call_1", name: "f", arguments: "{}", status: "completed" },
      { type: "reasoning", id: "rs_2", summary: [], encrypted_content: "two" },
      { type: "custom_tool_call", id: "ctc_1", call_id: "call_2", name: "sql", input: "SELECT 1" },
      { type: "shell_call", id: "sh_1", call_id: "call_3", action: { commands: ["ls"] } },
      { type: "apply_patch_call", id: "ap_1", call_id: "call_4", operation: {} },
      { type: "computer_call", id: "cu_1", call_id: "call_5", action: {} },
      { type: "mcp_approval_request", id: "mcpr_1", name: "f", arguments: "{}", server_label: "s" },
      {
        type: "message",
        id: "msg_2",
        role: "assistant",
        status: "completed",
        phase: "final_answer",
        content: [{ type: "output_text", text: "Done.", annotations: [], logprobs: [] }]
      },
      {
        type: "message",
        id: "msg_3",
        role: "assistant",
        status: "completed",
        phase: "final_answer",
        content: [{ type: "refusal", refusal: "No more." }]
      }
    ]
    const source = { provider: "acme", model: "m", estimatedInputTokens: 1 }
    const answer = Either.getOrThrow(Responses.make().decodeResponse({ status: "completed", output }, source))
    expect(input([Chat.toMessage(answer)])).toEqual(output)
    const other = Responses.make().encodeRequest(
      { messages: [Chat.toMessage(answer)] },
      { ...target, provider: "other" }
    )
    expect(Either.getOrThrow(other).body["input"]).toEqual([
      { type: "message", role: "assistant", content: "I call." },
      { type: "function_call", call_id: "call_1", name: "f", arguments: "{}" },
      { type: "custom_tool_call", call_id: "call_2", name: "sql", input: "SELECT 1" },
      {
        type: "message",
        role: "assistant",
        content: [
          { type: "output_text", text: "Done.", annotations: [], logprobs: [] },
          { type: "refusal", refusal: "No more." }
        ]
      }
    ])
  })
  it("sends messages and calls without their ids after reasoning that the provider cannot read, and keeps their phase", () => {
    const answered = (fields: Record<string, unknown>) => ({ provider: "acme", native: { responses: fields } })
    const content: ReadonlyArray<Chat.AssistantPart> = [
      reasoningPart({ id: "rs_1", format: "reasoning.summary" }),
      { type: "text", text: "I call.", ...answered({ message: { id: "msg_1", phase: "commentary" } }) },
      { type: "tool-call", id: "c1", name: "f", arguments: "{}", ...answered({ id: "fc_1" }) },
      reasoningPart({ id: "rs_2", signature: "sealed" }),
      { type: "tool-call", id: "c2", name: "f", arguments: "{}", ...answered({ id: "fc_2" }) }
    ]
    const written = input([{ role: "assistant", content }])
    expect(written).toMatchObject([
      { type: "message", phase: "commentary" },
      { type: "function_call", call_id: "c1" },
      { type: "reasoning", id: "rs_2" },
      { type: "function_call", id: "fc_2" }
    ])
    expect(JSON.stringify(written)).not.toMatch(/msg_1|fc_1/)
    expect(input([{ role: "assistant", content }], { store: true })).toMatchObject([
      { id: "rs_1" },
      { id: "msg_1", phase: "commentary" },
      { id: "fc_1" },
      { id: "rs_2" },
      { id: "fc_2" }
    ])
    expect(input([{ role: "assistant", content }], { messageIds: true })).toMatchObject([{ id: "msg_0_1" }, {}, {}, {}])
  })
  it("rejects a provider part of another protocol that no answer contained", () => {
    const part = { type: "provider" as const, native: { anthropic: { type: "x" } } }
    expect(encodeFailure({ messages: [{ role: "assistant", content: [part] }] })).toMatchObject({ _tag: "Unsupported" })
    expect(input([{ role: "assistant", content: [{ ...part, provider: "acme" }, Chat.text("Hi.")] }])).toMatchObject([
      { content: "Hi." }
    ])
  })
  it("writes the items among the parts of a user message in their places", () => {
    const item = { type: "mcp_approval_response", approval_request_id: "mcpr_1", approve: true }
    const part = { type: "provider" as const, native: { responses: { item } } }
    expect(input([Chat.user([part, Chat.text("a"), part])])).toEqual([
      item,
      { type: "message", role: "user", content: [{ type: "input_text", text: "a" }] },
      item
    ])
  })
})

describe("Responses tools", () => {
  const parameters = { type: "object", properties: { a: { type: "string" } } }
  const strict = {
    type: "object",
    properties: { a: { type: ["string", "null"] } },
    required: ["a"],
    additionalProperties: false
  }
  const map = { type: "object", properties: {}, additionalProperties: { type: "string" } }
  const tool = (definition: Partial<Chat.ToolDefinition>, dialect?: Partial<Responses.Dialect>): unknown => {
    const { tools } = body({ tools: [{ name: "f", ...definition }] }, dialect)
    return Array.isArray(tools) ? tools[0] : tools
  }
  it("writes a tool as strict with every property required by default", () => {
    expect(tool({ description: "d", parameters })).toEqual({
      type: "function",
      name: "f",
      description: "d",
      parameters: strict,
      strict: true
    })
  })
  it("writes a tool without parameters with an empty closed schema", () => {
    expect(tool({})).toEqual({
      type: "function",
      name: "f",
      parameters: { type: "object", properties: {}, required: [], additionalProperties: false },
      strict: true
    })
  })
  it("keeps the schema of a tool when the tool or the dialect turns strict off", () => {
    expect(tool({ parameters, strict: false })).toMatchObject({ parameters, strict: false })
    expect(tool({ parameters }, { strictTools: false })).toMatchObject({ parameters, strict: false })
    expect(tool({ parameters, strict: true }, { strictTools: false })).toMatchObject({
      parameters: strict,
      strict: true
    })
  })
  it("turns strict off for a schema that strict mode cannot express", () => {
    expect(tool({ parameters: map })).toMatchObject({ parameters: map, strict: false })
    expect(tool({ parameters: map, strict: true })).toMatchObject({ parameters: map, strict: false })
  })
  it("writes Responses tool_choice by mode or by tool name", () => {
    expect(body({ toolChoice: "required" })["tool_choice"]).toBe("required")
    expect(body({ toolChoice: { name: "f" } })["tool_choice"]).toEqual({ type: "function", name: "f" })
  })
})

describe("Responses response format", () => {
  const schema = { type: "object", properties: { a: { type: "string" } } }
  const format = (responseFormat: Chat.ResponseFormat) => body({ responseFormat })["text"]
  it("writes a text or JSON object format", () => {
    expect(format("text")).toEqual({ format: { type: "text" } })
    expect(format("json")).toEqual({ format: { type: "json_object" } })
  })
  it("rewrites a response schema only when it is strict and strict mode can express it", () => {
    expect(format({ name: "n", schema, description: "d" })).toEqual({
      format: { type: "json_schema", name: "n", description: "d", schema }
    })
    expect(format({ name: "n", schema, strict: true })).toMatchObject({
      format: { strict: true, schema: { required: ["a"], additionalProperties: false } }
    })
    expect(format({ name: "n", schema: {}, strict: true })).toMatchObject({ format: { strict: false, schema: {} } })
  })
})

describe("Responses dropUnsupportedField", () => {
  const wire = Responses.make()
  const request: WireRequest = {
    path: "/responses",
    body: {
      model: "m",
      input: [{ type: "reasoning", encrypted_content: "sealed" }, { type: "message" }],
      store: false,
      include: ["reasoning.encrypted_content", "web_search_call.results"]
    }
  }
  const bodyWithout = (message: string) => wire.dropUnsupportedField(request, message)?.body

  it("drops the include of encrypted reasoning when the server rejects it", () => {
    for (const message of [
      "Encrypted content is not supported with this model.",
      "Invalid value: 'reasoning.encrypted_content'. Supported values are: 'x'.",
      "Unknown parameter: 'include'."
    ]) {
      expect(bodyWithout(message)).toEqual({ ...request.body, include: ["web_search_call.results"] })
    }
    const alone = { ...request, body: { include: ["reasoning.encrypted_content"] } }
    expect(wire.dropUnsupportedField(alone, "Unknown parameter: 'include'.")?.body).toEqual({})
  })
  it("drops encrypted reasoning items when the server cannot verify them", () => {
    expect(
      bodyWithout("The encrypted content for item rs_1 could not be verified. Reason: organization_id did not match.")
    ).toEqual({ ...request.body, input: [{ type: "message" }] })
  })
  it("drops store when the server rejects it", () => {
    const { store: _, ...rest } = request.body
    expect(bodyWithout("Unsupported parameter: store")).toEqual(rest)
    expect(bodyWithout("store: Extra inputs are not permitted")).toEqual(rest)
  })
  it("returns undefined for other errors and when the request lacks the rejected field", () => {
    for (const message of [
      "Unsupported parameter: 'temperature'.",
      "Invalid vector store id.",
      "Please include a message with your request.",
      "The store is closed."
    ]) {
      expect(bodyWithout(message)).toBeUndefined()
    }
    const bare: WireRequest = { path: "/responses", body: { input: [] } }
    for (const message of [
      "Encrypted content is not supported with this model.",
      "The encrypted content could not be verified.",
      "Unsupported parameter: store"
    ]) {
      expect(wire.dropUnsupportedField(bare, message)).toBeUndefined()
    }
  })
})
