import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { ChatRequest, Message, UserPart } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as Anthropic from "../../../src/wire/Anthropic.js"
import type { WireRequest } from "../../../src/wire/Wire.js"

const model = "claude-sonnet-4-6"

const peer = { provider: "acme", model, stream: false }

const encode = (request: Partial<ChatRequest>, dialect?: Partial<Anthropic.Dialect>) =>
  Anthropic.make(dialect).encodeRequest({ messages: [Chat.user("Hello")], ...request }, peer)

const sent = (request: Partial<ChatRequest>, dialect?: Partial<Anthropic.Dialect>): WireRequest =>
  Either.getOrThrowWith(encode(request, dialect), (failure) => new Error(JSON.stringify(failure)))

const body = (request: Partial<ChatRequest>, dialect?: Partial<Anthropic.Dialect>): Record<string, unknown> =>
  sent(request, dialect).body

const refused = (request: Partial<ChatRequest>, dialect?: Partial<Anthropic.Dialect>): unknown =>
  Either.match(encode(request, dialect), {
    onLeft: (failure) => (failure._tag === "Unsupported" ? failure.feature : failure),
    onRight: () => undefined
  })

const said = (...messages: ReadonlyArray<Message>) => {
  const { messages: turns, system } = body({ messages })
  return { turns, system }
}

const turns = (...messages: ReadonlyArray<Message>): unknown => said(...messages).turns

const parts = (...content: ReadonlyArray<UserPart>): unknown => body({ messages: [Chat.user(content)] })["messages"]

const call = { id: "toolu_1", name: "weather", arguments: '{"city":"Rome"}' }
const used = { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Rome" } }

describe("a request", () => {
  it("goes to /messages with the version of the protocol, and asks for as much as the model writes", () => {
    expect(sent({})).toEqual({
      path: "/messages",
      headers: { "anthropic-version": "2023-06-01" },
      body: { model, max_tokens: 128_000, messages: [{ role: "user", content: "Hello" }] }
    })
  })
  it("asks for a stream where one is wanted", () => {
    const streamed = Anthropic.make().encodeRequest({ messages: [Chat.user("?")] }, { ...peer, stream: true })
    expect(Either.getOrThrow(streamed).body["stream"]).toBe(true)
  })
  it("sends every setting of the vocabulary under its name", () => {
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
  it("sends further fields over the rest, and leaves an empty list of stops out", () => {
    const { max_tokens, stop_sequences, top_k } = body({ stop: [], maxTokens: 5, extra: { top_k: 3, max_tokens: 7 } })
    expect([max_tokens, stop_sequences, top_k]).toEqual([7, undefined, 3])
  })
  it("is told beforehand what the protocol has no word for", () => {
    expect(refused({ seed: 1 })).toBe("seed")
    expect(refused({ metadata: { a: "b" } })).toBe("metadata")
    expect(refused({ messages: [{ role: "user", content: "?", name: "Ann" }] })).toBe("name of a user message")
    expect(refused({ messages: [Chat.user([Chat.audio("data:audio/wav;base64,AAAA")])] })).toBe("audio input")
    expect(refused({ responseFormat: "json" })).toBe("JSON output without a schema")
  })
  it("goes where the dialect says, which may name the model in the path and the version in the body", () => {
    const dialect: Partial<Anthropic.Dialect> = {
      path: "/{model}:rawPredict",
      streamPath: "/{model}:streamRawPredict",
      version: { in: "body", value: "elsewhere-1" }
    }
    const { body, headers, path } = sent({ model: "claude-opus-4@1" }, dialect)
    expect([path, headers, "model" in body, body["anthropic_version"]]).toEqual([
      "/claude-opus-4%401:rawPredict",
      {},
      false,
      "elsewhere-1"
    ])
    const streamed = Anthropic.make(dialect).encodeRequest({ messages: [Chat.user("?")] }, { ...peer, stream: true })
    expect(Either.getOrThrow(streamed).path).toBe(`/${model}:streamRawPredict`)
  })
  it("asks for betas in a header, and for that of the Files API where a file's id is sent", () => {
    const file = { type: "file" as const, fileId: "file_1" }
    const betas = (request: Partial<ChatRequest>) => sent(request).headers?.["anthropic-beta"]
    expect(betas({})).toBeUndefined()
    expect(betas({ extra: { betas: ["one", "two"] } })).toBe("one,two")
    expect("betas" in body({ extra: { betas: ["one"] } })).toBe(false)
    expect(betas({ messages: [Chat.user([file])] })).toBe("files-api-2025-04-14")
    const returned = { role: "tool" as const, toolCallId: "a", content: [file] }
    expect(betas({ messages: [Chat.user("?"), Chat.assistant("", [call]), returned] })).toBe("files-api-2025-04-14")
  })
})

describe("instructions", () => {
  it("are the system prompt, as a string where there is one, as blocks where there are several or a mark", () => {
    expect(said(Chat.system("Be brief."), Chat.user("?")).system).toBe("Be brief.")
    expect(said(Chat.system("Be brief."), { role: "developer", content: "Be kind." }, Chat.user("?")).system).toEqual([
      { type: "text", text: "Be brief." },
      { type: "text", text: "Be kind." }
    ])
    expect(
      said({ role: "system", content: [{ type: "text", text: "Long.", cacheControl: { ttl: "1h" } }] }, Chat.user("?"))
        .system
    ).toEqual([{ type: "text", text: "Long.", cache_control: { type: "ephemeral", ttl: "1h" } }])
  })
  it("that are empty are left out", () => {
    expect(said(Chat.system(""), Chat.user("?")).system).toBeUndefined()
  })
  const late = [Chat.user("?"), Chat.assistant("!"), Chat.system("Be brief."), Chat.user("??")]
  it("further on join the others where the model takes none in the conversation", () => {
    expect(said(Chat.system("Be kind."), ...late)).toEqual({
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
  it("further on stand behind the user's turn where the model takes them, as one message", () => {
    const { messages, system } = body({ model: "claude-opus-5", messages: [...late, Chat.system("Be quick.")] })
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
  it("behind which the user never speaks again move to the beginning", () => {
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
  it("alone are a question: the last of them is asked", () => {
    expect(said(Chat.system("Be brief."), Chat.system("Say hello."))).toEqual({
      system: "Be brief.",
      turns: [{ role: "user", content: "Say hello." }]
    })
  })
})

describe("turns", () => {
  it("of one role that follow each other are one", () => {
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
  it("that say nothing are left out, and so are texts of nothing but blanks", () => {
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
  it("begin with the user", () => {
    expect(turns(Chat.assistant("Can I help?"), Chat.user("Yes"))).toEqual([
      { role: "user", content: "(The conversation begins.)" },
      { role: "assistant", content: "Can I help?" },
      { role: "user", content: "Yes" }
    ])
  })
  it("that the model shall continue do not end in blanks", () => {
    expect(turns(Chat.user("?"), Chat.assistant("The answer is \n"))).toEqual([
      { role: "user", content: "?" },
      { role: "assistant", content: "The answer is" }
    ])
  })
})

describe("tools", () => {
  const tool: Chat.ToolDefinition = { name: "weather", description: "Tells it.", parameters: { type: "object" } }
  it("are named with their schema, and a mark", () => {
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
  it("that are strict have a closed schema, or are not strict", () => {
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
  it("of the provider's own stand behind them", () => {
    const search = { type: "web_search_20250305", name: "web_search" }
    expect(body({ tools: [tool], extra: { tools: [search] } })["tools"]).toEqual([
      { name: "weather", description: "Tells it.", input_schema: { type: "object" } },
      search
    ])
  })
  it.each<readonly [string, Partial<ChatRequest>, unknown]>([
    ["as the model likes", { toolChoice: "auto" }, { type: "auto" }],
    ["any", { toolChoice: "required" }, { type: "any" }],
    ["none", { toolChoice: "none", parallelToolCalls: false }, { type: "none" }],
    ["the one named", { toolChoice: { name: "weather" } }, { type: "tool", name: "weather" }],
    ["one at a time", { parallelToolCalls: false }, { type: "auto", disable_parallel_tool_use: true }],
    [
      "any, side by side",
      { toolChoice: "required", parallelToolCalls: true },
      { type: "any", disable_parallel_tool_use: false }
    ],
    ["unsaid", {}, undefined]
  ])("are chosen: %s", (_, request, choice) => {
    expect(body({ tools: [tool], ...request })["tool_choice"]).toEqual(choice)
  })
  it("are not chosen from where there are none", () => {
    expect("tool_choice" in body({ toolChoice: "auto", parallelToolCalls: true })).toBe(false)
  })
})

describe("calls and their results", () => {
  it("go back as blocks: text before calls, and all results in one turn of the user", () => {
    expect(
      turns(
        Chat.user("?"),
        Chat.assistant("Let me see.", [call, { ...call, id: "toolu_2" }]),
        { role: "tool", toolCallId: "toolu_1", content: "sunny", cacheControl: { ttl: "5m" } },
        { role: "tool", toolCallId: "toolu_2", content: "", isError: true }
      )
    ).toEqual([
      { role: "user", content: "?" },
      { role: "assistant", content: [{ type: "text", text: "Let me see." }, used, { ...used, id: "toolu_2" }] },
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
  it("stand before whatever else the user says in that turn", () => {
    expect(
      turns(Chat.user("?"), Chat.assistant("", [call]), Chat.user("Hurry!"), Chat.toolResult(call, "sunny"))
    ).toEqual([
      { role: "user", content: "?" },
      { role: "assistant", content: [used] },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "toolu_1", content: "sunny" },
          { type: "text", text: "Hurry!" }
        ]
      }
    ])
  })
  it("may hold images and files", () => {
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
  it("of other providers keep their meaning: ids in the allowed characters, arguments in an object", () => {
    const foreign = (args: string, more: object = {}) => ({ id: "functions.f:0", name: "f", arguments: args, ...more })
    const inputs = [
      foreign(""),
      foreign('{"a":1'),
      foreign("[1]"),
      foreign("SELECT 1", { type: "custom" as const })
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

describe("images and documents", () => {
  const first = (part: UserPart): unknown => {
    const [turn] = [parts(part)].flat()
    return turn
  }
  const content = (part: UserPart, source: unknown, more: object = {}) =>
    expect(first(part)).toEqual({ role: "user", content: [{ source, ...more }] })
  it("are sent by URL, by their bytes, and by id", () => {
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
  it("of text are sent as text", () => {
    const text = { type: "text", media_type: "text/plain", data: "Grüße" }
    content(Chat.file(new TextEncoder().encode("Grüße"), { mediaType: "text/markdown" }), text, { type: "document" })
    content(Chat.file("data:text/plain;charset=utf-8,Gr%C3%BC%C3%9Fe"), text, { type: "document" })
    content(Chat.file("data:,Gr%C3%BC%C3%9Fe"), text, { type: "document" })
    content(Chat.file("data:application/json,%7B%7D"), { ...text, data: "{}" }, { type: "document" })
  })
  it("in a form that the protocol does not know are told beforehand", () => {
    const feature = (part: UserPart) => refused({ messages: [Chat.user([part])] })
    expect(feature(Chat.image("data:image/svg+xml,%3Csvg%3E"))).toBe("image in another form than base64")
    expect(feature(Chat.file("data:application/pdf,%25PDF"))).toBe("file in another form than base64")
    expect(feature(Chat.file("data:text/plain,100%"))).toBe("text file that is not UTF-8")
  })
})

describe("an answer in JSON", () => {
  const schema = { type: "object", properties: { n: { type: "integer", minimum: 1 } } }
  it("is held to a schema, closed, with what the API refuses told in words", () => {
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
  it("is told beforehand where the server cannot", () => {
    expect(refused({ responseFormat: { name: "count", schema } }, { jsonSchema: false })).toBe("JSON Schema output")
    const open = { type: "object", additionalProperties: { type: "number" } }
    expect(refused({ responseFormat: { name: "counts", schema: open } })).toBe("JSON Schema output with open objects")
  })
  it("is nothing to ask for where text is wanted", () => {
    expect("output_config" in body({ responseFormat: "text" })).toBe(false)
  })
})
