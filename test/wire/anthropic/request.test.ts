import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { ChatRequest, Message, UserPart } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as Anthropic from "../../../src/wire/Anthropic.js"
import type { WireRequest } from "../../../src/wire/Wire.js"

const model = "claude-sonnet-4-6"

const target = { provider: "acme", model, stream: false }

const encode = (request: Partial<ChatRequest>, dialect?: Partial<Anthropic.Dialect>) =>
  Anthropic.make(dialect).encodeRequest({ messages: [Chat.user("Hello")], ...request }, target)

const wireRequest = (request: Partial<ChatRequest>, dialect?: Partial<Anthropic.Dialect>): WireRequest =>
  Either.getOrThrowWith(encode(request, dialect), (failure) => new Error(JSON.stringify(failure)))

const body = (request: Partial<ChatRequest>, dialect?: Partial<Anthropic.Dialect>): Record<string, unknown> =>
  wireRequest(request, dialect).body

const unsupportedFeature = (request: Partial<ChatRequest>, dialect?: Partial<Anthropic.Dialect>): unknown =>
  Either.match(encode(request, dialect), {
    onLeft: (failure) => (failure._tag === "Unsupported" ? failure.feature : failure),
    onRight: () => undefined
  })

const writeMessages = (...messages: ReadonlyArray<Message>) => {
  const { messages: turns, system } = body({ messages })
  return { turns, system }
}

const turns = (...messages: ReadonlyArray<Message>): unknown => writeMessages(...messages).turns

const parts = (...content: ReadonlyArray<UserPart>): unknown => body({ messages: [Chat.user(content)] })["messages"]

const call = Chat.toolCall("toolu_1", "weather", '{"city":"Rome"}')
const toolUse = { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Rome" } }

describe("Anthropic request", () => {
  it("writes path, version header, model and the model's default max_tokens", () => {
    expect(wireRequest({})).toEqual({
      path: "/messages",
      headers: { "anthropic-version": "2023-06-01" },
      body: { model, max_tokens: 128_000, messages: [{ role: "user", content: "Hello" }] }
    })
  })
  it("writes stream: true for a streaming Anthropic request", () => {
    const streamed = Anthropic.make().encodeRequest({ messages: [Chat.user("?")] }, { ...target, stream: true })
    expect(Either.getOrThrow(streamed).body["stream"]).toBe(true)
  })
  it("writes every common setting under its Anthropic name", () => {
    const { messages: _, ...settings } = body({
      model: "other",
      temperature: 0.5,
      topP: 0.9,
      maxTokens: 100,
      stop: ["END"],
      user: "u1"
    })
    expect(settings).toEqual({
      model: "other",
      max_tokens: 100,
      temperature: 0.5,
      top_p: 0.9,
      stop_sequences: ["END"],
      metadata: { user_id: "u1" }
    })
  })
  it("lets extra override written fields and drops an empty stop list", () => {
    const { max_tokens, stop_sequences, top_k } = body({ stop: [], maxTokens: 5, extra: { top_k: 3, max_tokens: 7 } })
    expect([max_tokens, stop_sequences, top_k]).toEqual([7, undefined, 3])
  })
  it("rejects seed, metadata, user names, audio and schemaless JSON as Unsupported", () => {
    expect(unsupportedFeature({ seed: 1 })).toBe("seed")
    expect(unsupportedFeature({ metadata: { a: "b" } })).toBe("metadata")
    expect(unsupportedFeature({ messages: [{ role: "user", content: "?", name: "Ann" }] })).toBe(
      "name of a user message"
    )
    expect(unsupportedFeature({ messages: [Chat.user([Chat.audio("data:audio/wav;base64,AAAA")])] })).toBe(
      "audio input"
    )
    expect(unsupportedFeature({ responseFormat: "json" })).toBe("JSON output without a schema")
  })
  it("writes the dialect's paths with the model in them, and the version into the body", () => {
    const dialect: Partial<Anthropic.Dialect> = {
      path: "/{model}:rawPredict",
      streamPath: "/{model}:streamRawPredict",
      version: { in: "body", value: "elsewhere-1" }
    }
    const { body, headers, path } = wireRequest({ model: "claude-opus-4@1" }, dialect)
    expect([path, headers, "model" in body, body["anthropic_version"]]).toEqual([
      "/claude-opus-4%401:rawPredict",
      {},
      false,
      "elsewhere-1"
    ])
    const streamed = Anthropic.make(dialect).encodeRequest({ messages: [Chat.user("?")] }, { ...target, stream: true })
    expect(Either.getOrThrow(streamed).path).toBe(`/${model}:streamRawPredict`)
  })
  it("writes the betas of extra into the anthropic-beta header, and the Files API beta for a file id", () => {
    const file = { type: "file" as const, fileId: "file_1" }
    const betas = (request: Partial<ChatRequest>) => wireRequest(request).headers?.["anthropic-beta"]
    expect(betas({})).toBeUndefined()
    expect(betas({ extra: { betas: ["one", "two"] } })).toBe("one,two")
    expect("betas" in body({ extra: { betas: ["one"] } })).toBe(false)
    expect(betas({ messages: [Chat.user([file])] })).toBe("files-api-2025-04-14")
    const returned = { role: "tool" as const, toolCallId: "a", content: [file] }
    expect(betas({ messages: [Chat.user("?"), Chat.assistant("", [call]), returned] })).toBe("files-api-2025-04-14")
  })
})

describe("Anthropic system prompt", () => {
  it("writes one instruction as a string, and several or cached ones as text blocks", () => {
    expect(writeMessages(Chat.system("Be brief."), Chat.user("?")).system).toBe("Be brief.")
    expect(
      writeMessages(Chat.system("Be brief."), { role: "developer", content: "Be kind." }, Chat.user("?")).system
    ).toEqual([
      { type: "text", text: "Be brief." },
      { type: "text", text: "Be kind." }
    ])
    expect(
      writeMessages(
        { role: "system", content: [{ type: "text", text: "Long.", cacheControl: { ttl: "1h" } }] },
        Chat.user("?")
      ).system
    ).toEqual([{ type: "text", text: "Long.", cache_control: { type: "ephemeral", ttl: "1h" } }])
  })
  it("drops an empty system prompt", () => {
    expect(writeMessages(Chat.system(""), Chat.user("?")).system).toBeUndefined()
  })
  const lateSystem = [Chat.user("?"), Chat.assistant("!"), Chat.system("Be brief."), Chat.user("??")]
  it("moves later system messages to the system prompt for models without the system role", () => {
    expect(writeMessages(Chat.system("Be kind."), ...lateSystem)).toEqual({
      system: [
        { type: "text", text: "Be kind." },
        { type: "text", text: "Be brief." }
      ],
      turns: [
        { role: "user", content: "?" },
        { role: "assistant", content: "!" },
        { role: "user", content: "??" }
      ]
    })
  })
  it("writes later system messages as one message after the user's turn for models with the system role", () => {
    const { messages, system } = body({ model: "claude-opus-5", messages: [...lateSystem, Chat.system("Be quick.")] })
    expect(system).toBeUndefined()
    expect(messages).toEqual([
      { role: "user", content: "?" },
      { role: "assistant", content: "!" },
      { role: "user", content: "??" },
      {
        role: "system",
        content: [
          { type: "text", text: "Be brief." },
          { type: "text", text: "Be quick." }
        ]
      }
    ])
  })
  it("moves system messages that no user turn follows to the system prompt", () => {
    const { messages, system } = body({
      model: "claude-opus-5",
      messages: [Chat.user("?"), Chat.assistant("!"), Chat.system("Be brief.")]
    })
    expect([system, messages]).toEqual([
      [{ type: "text", text: "Be brief." }],
      [
        { role: "user", content: "?" },
        { role: "assistant", content: "!" }
      ]
    ])
  })
  it("writes the last system message as the user turn when the request has no other messages", () => {
    expect(writeMessages(Chat.system("Be brief."), Chat.system("Say hello."))).toEqual({
      system: "Be brief.",
      turns: [{ role: "user", content: "Say hello." }]
    })
  })
})

describe("Anthropic turns", () => {
  it("merges consecutive messages of one role into one turn", () => {
    expect(turns(Chat.user("a"), Chat.user("b"), Chat.assistant("c"), Chat.assistant("d"), Chat.user("e"))).toEqual([
      {
        role: "user",
        content: [
          { type: "text", text: "a" },
          { type: "text", text: "b" }
        ]
      },
      {
        role: "assistant",
        content: [
          { type: "text", text: "c" },
          { type: "text", text: "d" }
        ]
      },
      { role: "user", content: "e" }
    ])
  })
  it("drops empty messages and text parts of whitespace alone", () => {
    expect(turns(Chat.user("a"), Chat.assistant(" \n"), Chat.user([Chat.text(""), Chat.text("b")]))).toEqual([
      {
        role: "user",
        content: [
          { type: "text", text: "a" },
          { type: "text", text: "b" }
        ]
      }
    ])
  })
  it("puts a placeholder user turn before a conversation that begins with the assistant", () => {
    expect(turns(Chat.assistant("Can I help?"), Chat.user("Yes"))).toEqual([
      { role: "user", content: "(The conversation begins.)" },
      { role: "assistant", content: "Can I help?" },
      { role: "user", content: "Yes" }
    ])
  })
  it("trims trailing whitespace of a final assistant message", () => {
    expect(turns(Chat.user("?"), Chat.assistant("The answer is \n"))).toEqual([
      { role: "user", content: "?" },
      { role: "assistant", content: "The answer is" }
    ])
  })
})

describe("Anthropic tools", () => {
  const tool: Chat.ToolDefinition = { name: "weather", description: "Tells it.", parameters: { type: "object" } }
  it("writes tools with their schema, strict flag and cache_control", () => {
    expect(
      body({ tools: [{ ...tool, strict: false, cacheControl: {} }, { name: "now" }, { name: "bare", parameters: {} }] })
    ).toMatchObject({
      tools: [
        {
          name: "weather",
          description: "Tells it.",
          input_schema: { type: "object" },
          strict: false,
          cache_control: { type: "ephemeral" }
        },
        { name: "now", input_schema: { type: "object", properties: {} } },
        { name: "bare", input_schema: { type: "object" } }
      ]
    })
  })
  it("closes the schema of a strict tool, and turns strict off when the schema must stay open", () => {
    const open = { type: "object", additionalProperties: { type: "number" } }
    expect(
      body({
        tools: [
          { name: "a", parameters: { type: "object" }, strict: true },
          { name: "b", parameters: open, strict: true }
        ]
      })["tools"]
    ).toEqual([
      { name: "a", input_schema: { type: "object", additionalProperties: false }, strict: true },
      { name: "b", input_schema: open, strict: false }
    ])
  })
  it("appends provider tools of extra after the request's tools", () => {
    const search = { type: "web_search_20250305", name: "web_search" }
    expect(body({ tools: [tool], extra: { tools: [search] } })["tools"]).toEqual([
      { name: "weather", description: "Tells it.", input_schema: { type: "object" } },
      search
    ])
  })
  it.each<readonly [string, Partial<ChatRequest>, unknown]>([
    ["auto", { toolChoice: "auto" }, { type: "auto" }],
    ["required", { toolChoice: "required" }, { type: "any" }],
    ["none", { toolChoice: "none", parallelToolCalls: false }, { type: "none" }],
    ["a named tool", { toolChoice: { name: "weather" } }, { type: "tool", name: "weather" }],
    [
      "auto without parallel tool calls",
      { parallelToolCalls: false },
      { type: "auto", disable_parallel_tool_use: true }
    ],
    [
      "required with parallel tool calls",
      { toolChoice: "required", parallelToolCalls: true },
      { type: "any", disable_parallel_tool_use: false }
    ],
    ["no choice", {}, undefined]
  ])("writes tool_choice for %s", (_, request, choice) => {
    expect(body({ tools: [tool], ...request })["tool_choice"]).toEqual(choice)
  })
  it("drops tool_choice when the request has no tools", () => {
    expect("tool_choice" in body({ toolChoice: "auto", parallelToolCalls: true })).toBe(false)
  })
})

describe("Anthropic tool calls and tool results", () => {
  it("writes text before tool calls and all tool results into one user turn", () => {
    expect(
      turns(
        Chat.user("?"),
        Chat.assistant("Let me see.", [call, { ...call, id: "toolu_2" }]),
        { role: "tool", toolCallId: "toolu_1", content: "sunny", cacheControl: { ttl: "5m" } },
        { role: "tool", toolCallId: "toolu_2", content: "", isError: true }
      )
    ).toEqual([
      { role: "user", content: "?" },
      { role: "assistant", content: [{ type: "text", text: "Let me see." }, toolUse, { ...toolUse, id: "toolu_2" }] },
      {
        role: "user",
        content: [
          {
            type: "tool_result",
            tool_use_id: "toolu_1",
            content: "sunny",
            cache_control: { type: "ephemeral", ttl: "5m" }
          },
          { type: "tool_result", tool_use_id: "toolu_2", is_error: true }
        ]
      }
    ])
  })
  it("writes tool results before other content of the user turn", () => {
    expect(
      turns(Chat.user("?"), Chat.assistant("", [call]), Chat.user("Hurry!"), Chat.toolResult(call, "sunny"))
    ).toEqual([
      { role: "user", content: "?" },
      { role: "assistant", content: [toolUse] },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "toolu_1", content: "sunny" },
          { type: "text", text: "Hurry!" }
        ]
      }
    ])
  })
  it("writes images and files inside a tool result", () => {
    const content = [
      Chat.text("Here."),
      Chat.image("https://example.com/a.png"),
      Chat.file("https://example.com/a.pdf")
    ]
    expect(
      turns(Chat.user("?"), Chat.assistant("", [call]), { role: "tool", toolCallId: "toolu_1", content })
    ).toMatchObject([
      {},
      {},
      {
        content: [
          {
            content: [
              { type: "text", text: "Here." },
              { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
              { type: "document", source: { type: "url", url: "https://example.com/a.pdf" } }
            ]
          }
        ]
      }
    ])
  })
  it("rewrites ids of other providers to the allowed characters and wraps arguments that are no object", () => {
    const foreignCall = (args: string) => Chat.toolCall("functions.f:0", "f", args)
    const inputs = [
      foreignCall(""),
      foreignCall('{"a":1'),
      foreignCall("[1]"),
      { ...foreignCall("SELECT 1"), custom: true as const }
    ].map((each) => turns(Chat.user("?"), Chat.assistant("", [each]), Chat.toolResult(each, "ok")))
    const exchange = (input: object) => [
      { role: "user", content: "?" },
      { role: "assistant", content: [{ type: "tool_use", id: "functions_f_0", name: "f", input }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "functions_f_0", content: "ok" }] }
    ]
    expect(inputs).toEqual([
      exchange({}),
      exchange({ input: '{"a":1' }),
      exchange({ input: "[1]" }),
      exchange({ input: "SELECT 1" })
    ])
  })
})

describe("Anthropic images and documents", () => {
  const first = (part: UserPart): unknown => {
    const [turn] = [parts(part)].flat()
    return turn
  }
  const content = (part: UserPart, source: unknown, more: object = {}) =>
    expect(first(part)).toEqual({ role: "user", content: [{ source, ...more }] })
  it("writes images and files by URL, as base64 and by file id", () => {
    content(
      Chat.image("https://example.com/a.png", { detail: "low" }),
      { type: "url", url: "https://example.com/a.png" },
      {
        type: "image"
      }
    )
    content(
      { ...Chat.image("data:image/jpg;base64,AAAA"), cacheControl: {} },
      { type: "base64", media_type: "image/jpeg", data: "AAAA" },
      { type: "image", cache_control: { type: "ephemeral" } }
    )
    content(
      Chat.file("data:application/pdf;base64,AAAA", { filename: "a.pdf" }),
      { type: "base64", media_type: "application/pdf", data: "AAAA" },
      { type: "document", title: "a.pdf" }
    )
    content({ type: "file", fileId: "file_1" }, { type: "file", file_id: "file_1" }, { type: "document" })
  })
  it("writes text files as documents with a text source", () => {
    const text = { type: "text", media_type: "text/plain", data: "Grüße" }
    content(Chat.file(new TextEncoder().encode("Grüße"), { mediaType: "text/markdown" }), text, { type: "document" })
    content(Chat.file("data:text/plain;charset=utf-8,Gr%C3%BC%C3%9Fe"), text, { type: "document" })
    content(Chat.file("data:,Gr%C3%BC%C3%9Fe"), text, { type: "document" })
    content(Chat.file("data:application/json,%7B%7D"), { ...text, data: "{}" }, { type: "document" })
  })
  it("rejects images and files in unsupported encodings as Unsupported", () => {
    const feature = (part: UserPart) => unsupportedFeature({ messages: [Chat.user([part])] })
    expect(feature(Chat.image("data:image/svg+xml,%3Csvg%3E"))).toBe("image data other than base64")
    expect(feature(Chat.file("data:application/pdf,%25PDF"))).toBe("file data other than base64")
    expect(feature(Chat.file("data:text/plain,100%"))).toBe("text file that is not UTF-8")
    expect(feature(Chat.file(Uint8Array.of(0x47, 0xfc), { mediaType: "text/plain" }))).toBe(
      "text file that is not UTF-8"
    )
    expect(feature(Chat.file("data:text/plain;base64,%%%"))).toBe("text file that is not UTF-8")
  })
})

describe("Anthropic response format", () => {
  const schema = { type: "object", properties: { n: { type: "integer", minimum: 1 } } }
  it("writes a closed schema whose unsupported keywords move into the description", () => {
    expect(body({ responseFormat: { name: "count", schema, description: "How many." } })["output_config"]).toEqual({
      format: {
        type: "json_schema",
        schema: {
          type: "object",
          description: "How many.",
          properties: { n: { type: "integer", description: "minimum: 1" } },
          additionalProperties: false
        }
      }
    })
  })
  it("rejects a schema as Unsupported when the dialect has no jsonSchema or the schema has open objects", () => {
    expect(unsupportedFeature({ responseFormat: { name: "count", schema } }, { jsonSchema: false })).toBe(
      "JSON Schema output"
    )
    const open = { type: "object", additionalProperties: { type: "number" } }
    expect(unsupportedFeature({ responseFormat: { name: "counts", schema: open } })).toBe(
      "JSON Schema output with open objects"
    )
  })
  it("writes no output_config for a text response format", () => {
    expect("output_config" in body({ responseFormat: "text" })).toBe(false)
  })
})
