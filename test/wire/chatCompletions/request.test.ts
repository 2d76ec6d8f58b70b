import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { ChatRequest, Message, ReasoningPart } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as ChatCompletions from "../../../src/wire/ChatCompletions.js"
import type { WireRequest } from "../../../src/wire/Wire.js"

type Dialect = Partial<ChatCompletions.Dialect>

const target = { provider: "acme", model: "acme-1", stream: false }

const encode = (request: Partial<ChatRequest>, dialect?: Dialect, stream = false) =>
  ChatCompletions.make(dialect).encodeRequest({ messages: [Chat.user("Hello")], ...request }, { ...target, stream })

const wireRequest = (request: Partial<ChatRequest>, dialect?: Dialect, stream?: boolean): WireRequest =>
  Either.getOrThrowWith(encode(request, dialect, stream), (failure) => new Error(JSON.stringify(failure)))

const body = (request: Partial<ChatRequest>, dialect?: Dialect) => wireRequest(request, dialect).body

const streamed = (request: Partial<ChatRequest>, dialect?: Dialect) => wireRequest(request, dialect, true).body

const messages = (messages: ReadonlyArray<Message>, dialect?: Dialect): unknown =>
  body({ messages }, dialect)["messages"]

const encodeFailure = (request: Partial<ChatRequest>): unknown =>
  Either.match(encode(request), { onLeft: (failure) => failure, onRight: () => undefined })

const unsupported = (feature: string) => ({ _tag: "Unsupported", feature })

describe("Chat Completions request", () => {
  it("writes path, model and messages and no optional field", () => {
    expect(wireRequest({})).toEqual({
      path: "/chat/completions",
      body: { model: "acme-1", messages: [{ role: "user", content: "Hello" }] }
    })
  })
  it("writes the model into the path when the dialect's path contains {model}", () => {
    const path = "/deployments/{model}/chat/completions"
    expect(wireRequest({}, { path }).path).toBe("/deployments/acme-1/chat/completions")
    expect(wireRequest({ model: "a/b c" }, { path }).path).toBe("/deployments/a%2Fb%20c/chat/completions")
  })
  it("prefers the model of the request to the client's model", () => {
    expect(body({ model: "other" })["model"]).toBe("other")
  })
  it("writes every common setting under its Chat Completions name", () => {
    expect(
      body({
        temperature: 0,
        topP: 0.9,
        maxTokens: 100,
        stop: ["a", "b"],
        seed: 7,
        parallelToolCalls: false,
        reasoning: { effort: "low" },
        user: "u1",
        metadata: { a: "b" }
      })
    ).toMatchObject({
      temperature: 0,
      top_p: 0.9,
      max_tokens: 100,
      stop: ["a", "b"],
      seed: 7,
      parallel_tool_calls: false,
      reasoning_effort: "low",
      user: "u1",
      metadata: { a: "b" }
    })
  })
  it("writes maxTokens and seed under the dialect's field names", () => {
    const written = body(
      { maxTokens: 100, seed: 7 },
      { maxTokensField: "max_completion_tokens", seedField: "random_seed" }
    )
    expect(written).toMatchObject({ max_completion_tokens: 100, random_seed: 7 })
    expect(written).not.toHaveProperty("max_tokens")
    expect(written).not.toHaveProperty("seed")
  })
  it("writes content without parts as an empty string, since OpenAI rejects an empty list", () => {
    const content: ReadonlyArray<never> = []
    const messages: ReadonlyArray<Chat.Message> = [
      { role: "system", content },
      { role: "user", content },
      { role: "assistant", content },
      { role: "tool", toolCallId: "call_1", content }
    ]
    expect(body({ messages })["messages"]).toEqual([
      { role: "system", content: "" },
      { role: "user", content: "" },
      { role: "assistant", content: "" },
      { role: "tool", tool_call_id: "call_1", content: "" }
    ])
  })
  it("drops empty stop and tools lists", () => {
    expect(body({ stop: [], tools: [] })).toEqual(body({}))
  })
  it("lets extra override Chat Completions fields except stream, and appends its tools", () => {
    const written = body({
      temperature: 0,
      tools: [{ name: "f" }],
      extra: { temperature: 1, service_tier: "flex", stream: true, tools: [{ type: "web_search" }] }
    })
    expect(written).toMatchObject({ temperature: 1, service_tier: "flex" })
    expect(written["tools"]).toMatchObject([{ type: "function" }, { type: "web_search" }])
    expect(written).not.toHaveProperty("stream")
  })
})

describe("Chat Completions streaming and dropUnsupportedField", () => {
  it("writes stream_options.include_usage for a stream unless the dialect turns it off", () => {
    expect(streamed({})).toMatchObject({ stream: true, stream_options: { include_usage: true } })
    expect(streamed({}, { streamUsage: false })).not.toHaveProperty("stream_options")
    expect(body({})).not.toHaveProperty("stream_options")
  })
  it("merges the stream_options of extra with include_usage", () => {
    const extra = { stream_options: { include_obfuscation: false } }
    expect(streamed({ extra })["stream_options"]).toEqual({ include_usage: true, include_obfuscation: false })
    expect(streamed({ extra: { stream_options: { include_usage: false } } })["stream_options"]).toEqual({
      include_usage: false
    })
    expect(body({ extra })).not.toHaveProperty("stream_options")
    expect(streamed({ extra: { stream: false } })["stream"]).toBe(true)
  })
  it("drops only stream_options when the server rejects them", () => {
    const { dropUnsupportedField } = ChatCompletions.make()
    const request = wireRequest({ temperature: 0 }, {}, true)
    for (const message of ["Unrecognized request argument supplied: stream_options", "include_usage: not permitted"]) {
      expect(dropUnsupportedField(request, message)).toEqual({
        path: "/chat/completions",
        body: { ...wireRequest({ temperature: 0 }).body, stream: true }
      })
    }
    expect(dropUnsupportedField(request, "Unsupported parameter: temperature")).toBeUndefined()
    expect(dropUnsupportedField(wireRequest({}), "stream_options")).toBeUndefined()
  })
  it("turns Chat Completions enable_thinking off when the server requires it and reasoning was not requested", () => {
    const { dropUnsupportedField } = ChatCompletions.make()
    const message = "parameter.enable_thinking must be set to false for non-streaming calls"
    const request = wireRequest({ temperature: 0 })
    expect(dropUnsupportedField(request, message)).toEqual({
      ...request,
      body: { ...request.body, enable_thinking: false }
    })
    expect(dropUnsupportedField(wireRequest({}, {}, true), message)).toBeUndefined()
    // A request for reasoning is not changed.
    expect(
      dropUnsupportedField(wireRequest({ reasoning: {} }, { reasoning: "enable_thinking" }), message)
    ).toBeUndefined()
  })
})

describe("Chat Completions messages", () => {
  it("writes developer messages with the system role unless the dialect has a developer role", () => {
    const instructions: ReadonlyArray<Message> = [{ role: "developer", content: "Be brief." }, Chat.system("Be kind.")]
    expect(messages(instructions)).toEqual([
      { role: "system", content: "Be brief." },
      { role: "system", content: "Be kind." }
    ])
    expect(messages(instructions, { developerRole: "developer" })).toMatchObject([
      { role: "developer" },
      { role: "system" }
    ])
  })
  it("writes text, image, audio and file parts and the user's name", () => {
    const content = [
      Chat.text("See"),
      Chat.image("https://example.com/a.png", { detail: "low" }),
      Chat.audio("data:audio/x-wav;base64,AAAA"),
      Chat.audio("data:audio/mpeg;codecs=mp3;base64,BBBB"),
      Chat.file("data:application/pdf;base64,CCCC", { filename: "a.pdf" }),
      Chat.file("data:application/pdf;base64,CCCC"),
      { type: "file", fileId: "file_1" } as const
    ]
    expect(messages([{ role: "user", content, name: "Ann" }])).toEqual([
      {
        role: "user",
        name: "Ann",
        content: [
          { type: "text", text: "See" },
          { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } },
          { type: "input_audio", input_audio: { format: "wav", data: "AAAA" } },
          { type: "input_audio", input_audio: { format: "mp3", data: "BBBB" } },
          { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,CCCC" } },
          { type: "file", file: { filename: "file", file_data: "data:application/pdf;base64,CCCC" } },
          { type: "file", file: { file_id: "file_1" } }
        ]
      }
    ])
  })
  it("writes tool results as text or as text parts", () => {
    expect(
      messages([
        Chat.toolResult("call_1", "21 °C"),
        { role: "tool", toolCallId: "call_2", content: [Chat.text("no")], isError: true }
      ])
    ).toEqual([
      { role: "tool", tool_call_id: "call_1", content: "21 °C" },
      { role: "tool", tool_call_id: "call_2", content: [{ type: "text", text: "no" }] }
    ])
  })
  describe("attachments of tool results", () => {
    const pixel = Chat.image("data:image/png;base64,AAAA")
    const calls = [
      Chat.toolCall("call_1", "photo", "{}"),
      Chat.toolCall("call_2", "clock", "{}"),
      Chat.toolCall("call_3", "chart", "{}")
    ]
    const pdf = Chat.file("data:application/pdf;base64,CCCC", { filename: "a.pdf" })
    const conversation: ReadonlyArray<Message> = [
      Chat.user("Look."),
      Chat.assistant("", calls),
      { role: "tool", toolCallId: "call_1", content: [Chat.text("Here."), pixel] },
      Chat.toolResult("call_2", "Noon."),
      { role: "tool", toolCallId: "call_3", content: [pixel, pdf] },
      Chat.user("What is it?")
    ]
    const image = { type: "image_url", image_url: { url: pixel.url } }
    const file = { type: "file", file: { filename: "a.pdf", file_data: pdf.url } }
    const label = (id: string, name: string) => ({
      type: "text",
      text: `Attachments of the result of tool call ${id} (${name}):`
    })
    const notice = { type: "text", text: "The attachments of this result are in the next user message." }

    it("writes attachments of tool results as one user message after the last result, labelled by tool call", () => {
      expect(messages(conversation)).toEqual([
        { role: "user", content: "Look." },
        { role: "assistant", content: null, tool_calls: [{}, {}, {}].map(() => expect.anything()) },
        { role: "tool", tool_call_id: "call_1", content: [{ type: "text", text: "Here." }, notice] },
        { role: "tool", tool_call_id: "call_2", content: "Noon." },
        { role: "tool", tool_call_id: "call_3", content: [notice] },
        {
          role: "user",
          content: [label("call_1", "photo"), image, label("call_3", "chart"), image, file]
        },
        { role: "user", content: "What is it?" }
      ])
    })
    it("writes one attachments message after each run of tool results, also at the end of the request", () => {
      const again = conversation.slice(1, 5)
      const roles = (list: ReadonlyArray<Message>) => body({ messages: list })["messages"]
      expect(roles([...conversation.slice(0, 5), ...again])).toMatchObject(
        ["user", "assistant", "tool", "tool", "tool", "user", "assistant", "tool", "tool", "tool", "user"].map(
          (role) => ({ role })
        )
      )
    })
    it("labels attachments with the tool of the nearest earlier call when ids repeat", () => {
      const [call] = calls
      const later = [Chat.assistant("", [Chat.toolCall("call_1", "scan", "{}")]), ...conversation.slice(2, 3)]
      const written = messages([
        Chat.assistant("", call === undefined ? [] : [call]),
        ...conversation.slice(2, 3),
        ...later
      ])
      const labels = (Array.isArray(written) ? written : []).flatMap(({ content, role }) =>
        role === "user" ? [content[0].text] : []
      )
      expect(labels).toEqual([label("call_1", "photo").text, label("call_1", "scan").text])
    })
    it("labels attachments by id when no tool call has that id, and keeps the cache mark on the last part", () => {
      const result = { role: "tool", toolCallId: "x", content: [pixel], cacheControl: {} } as const
      expect(messages([result], { cacheControl: "plain" })).toEqual([
        { role: "tool", tool_call_id: "x", content: [{ ...notice, cache_control: { type: "ephemeral" } }] },
        {
          role: "user",
          content: [{ type: "text", text: "Attachments of the result of tool call x:" }, image]
        }
      ])
    })
    it("labels attachments with the rewritten call id and merges them with the next user message when roles alternate", () => {
      const written = messages(conversation, { callIds: "nine-characters", alternate: true })
      const [, , first, , , user] = Array.isArray(written) ? written : []
      expect(user.content[0].text).toContain(`tool call ${first.tool_call_id} (photo)`)
      expect(user.content.at(-1)).toEqual({ type: "text", text: "What is it?" })
    })
    it("keeps images inside the tool result when the dialect has toolImages", () => {
      expect(messages(conversation.slice(2, 3), { toolImages: true })).toEqual([
        { role: "tool", tool_call_id: "call_1", content: [{ type: "text", text: "Here." }, image] }
      ])
    })
    it("keeps native parts inside the tool result unchanged", () => {
      const nativePart = {
        type: "provider" as const,
        native: { "chat-completions": { type: "image_url", image_url: { url: "x" } } }
      }
      expect(messages([{ role: "tool", toolCallId: "x", content: [nativePart] }])).toEqual([
        { role: "tool", tool_call_id: "x", content: [{ type: "image_url", image_url: { url: "x" } }] }
      ])
    })
  })
  it("writes function and custom tool calls, with null content when there is no text", () => {
    const call = Chat.toolCall("call_1", "f", "{}")
    const free = { ...Chat.toolCall("call_2", "g", "free text"), custom: true as const }
    const written = [
      { id: "call_1", type: "function", function: { name: "f", arguments: "{}" } },
      { id: "call_2", type: "custom", custom: { name: "g", input: "free text" } }
    ]
    expect(messages([Chat.assistant("", [call, free]), Chat.assistant("Well.", [call]), Chat.assistant("")])).toEqual([
      { role: "assistant", content: null, tool_calls: written },
      { role: "assistant", content: "Well.", tool_calls: written.slice(0, 1) },
      { role: "assistant", content: "" }
    ])
  })
})

describe("Chat Completions reasoning in the history", () => {
  const signedText: ReasoningPart = {
    type: "reasoning",
    text: "Hm.",
    signature: "sig",
    id: "r1",
    format: "reasoning.text/anthropic-claude-v1",
    provider: "acme"
  }
  const summary: ReasoningPart = { type: "reasoning", text: "In short.", format: "reasoning.summary", provider: "acme" }
  const encrypted: ReasoningPart = {
    type: "reasoning",
    text: "",
    signature: "enc",
    format: "reasoning.encrypted/openai-responses-v1",
    provider: "acme"
  }
  const foreignText: ReasoningPart = { type: "reasoning", text: "Ah.", signature: "theirs", id: "x", provider: "other" }
  const foreignSignature: ReasoningPart = { type: "reasoning", text: "", signature: "theirs", provider: "other" }
  const history = (dialect: Dialect): unknown =>
    messages(
      [
        {
          role: "assistant",
          content: [signedText, summary, encrypted, foreignText, foreignSignature, Chat.text("Four.")]
        }
      ],
      dialect
    )

  it("drops reasoning unless the dialect's history includes it", () => {
    expect(history({})).toEqual([{ role: "assistant", content: "Four." }])
  })
  it("writes reasoning text as reasoning_content", () => {
    expect(history({ history: "reasoning_content" })).toEqual([
      { role: "assistant", content: "Four.", reasoning_content: "Hm.In short.Ah." }
    ])
  })
  it("writes reasoning_details as they came and drops reasoning of other providers", () => {
    expect(history({ history: "reasoning_details" })).toEqual([
      {
        role: "assistant",
        content: "Four.",
        reasoning_details: [
          { type: "reasoning.text", text: "Hm.", signature: "sig", id: "r1", format: "anthropic-claude-v1", index: 0 },
          { type: "reasoning.summary", summary: "In short.", index: 1 },
          { type: "reasoning.encrypted", data: "enc", format: "openai-responses-v1", index: 2 }
        ]
      }
    ])
  })
  it("writes the signature and the native fields of a tool call only for the provider that sent them", () => {
    const own = { native: { "chat-completions": { cache: 1 } } }
    const signed: Chat.ToolCall = { ...Chat.toolCall("1", "look", "{}"), signature: "sig", ...own }
    const unsigned: Chat.ToolCall = { ...Chat.toolCall("2", "look", "free"), custom: true }
    const message = (first: Chat.ToolCall): Message => Chat.assistant([first, unsigned])
    const call = { id: "1", type: "function", function: { name: "look", arguments: "{}" } }
    const custom = { id: "2", type: "custom", custom: { name: "look", input: "free" } }
    const assistant = { role: "assistant", content: null }
    const extra_content = { google: { thought_signature: "sig" } }
    for (const history of ["none", "reasoning_details", "thinking-parts"] as const) {
      // Without a provider it is of a client's request in this protocol.
      for (const readable of [signed, { ...signed, provider: "acme" }]) {
        expect(messages([message(readable)], { history })).toEqual([
          { ...assistant, tool_calls: [{ ...call, cache: 1, extra_content }, custom] }
        ])
      }
      const { native: _, ...foreign } = signed
      for (const unreadable of [foreign, { ...signed, provider: "other" }]) {
        expect(messages([message(unreadable)], { history })).toEqual([{ ...assistant, tool_calls: [call, custom] }])
      }
    }
  })
  it("writes reasoning as thinking parts, with signatures only of the same provider", () => {
    const thinking = (text: string) => ({ type: "thinking", thinking: [{ type: "text", text }] })
    expect(history({ history: "thinking-parts" })).toEqual([
      {
        role: "assistant",
        content: [
          { ...thinking("Hm."), signature: "sig" },
          thinking("In short."),
          { ...thinking(""), signature: "enc" },
          thinking("Ah."),
          { type: "text", text: "Four." }
        ]
      }
    ])
  })
})

describe("Chat Completions order of an assistant message", () => {
  const reasoning = (text: string): ReasoningPart => ({ type: "reasoning", text, provider: "acme" })
  const thinking = (text: string) => ({ type: "thinking", thinking: [{ type: "text", text }] })
  const entry = (text: string) => ({ type: "text", text })
  const own = (fields: Record<string, unknown>, provider = "acme") => ({
    provider,
    native: { "chat-completions": fields }
  })
  const call = Chat.toolCall("1", "f", "{}")
  const written = [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }]

  it("writes interleaved reasoning and texts in their order as thinking parts", () => {
    expect(
      messages(
        [Chat.assistant([reasoning("a"), Chat.text("b"), call, reasoning("c"), Chat.text(""), Chat.text("d")])],
        {
          history: "thinking-parts"
        }
      )
    ).toEqual([
      { role: "assistant", content: [thinking("a"), entry("b"), thinking("c"), entry("d")], tool_calls: written }
    ])
  })
  it("writes parts in the fields of the message with the order kept inside each field", () => {
    expect(
      messages([Chat.assistant([Chat.text("a"), reasoning("b"), call, Chat.text("c"), reasoning("d")])], {
        history: "reasoning"
      })
    ).toEqual([{ role: "assistant", content: "ac", reasoning: "bd", tool_calls: written }])
  })
  it("writes native fields and provider parts of this provider in place and leaves out those of another", () => {
    const reference = { type: "reference", reference_ids: [1] }
    const content = (provider: string): ReadonlyArray<Chat.AssistantPart> => [
      { ...reasoning("a"), ...own({ closed: true }, provider) },
      { type: "provider", ...own(reference, provider) },
      { ...Chat.text("b"), ...own({ citations: [1] }, provider) },
      { type: "provider", provider, native: { gemini: { x: 1 } } },
      { ...reasoning("c"), ...own({ type: "reasoning" }, provider) }
    ]
    const sent = (provider: string) => messages([Chat.assistant(content(provider))], { history: "thinking-parts" })
    expect(sent("acme")).toEqual([
      {
        role: "assistant",
        content: [
          { ...thinking("a"), closed: true },
          reference,
          { ...entry("b"), citations: [1] },
          { type: "reasoning", summary: [{ type: "summary_text", text: "c" }] }
        ]
      }
    ])
    expect(sent("other")).toEqual([{ role: "assistant", content: [thinking("a"), entry("b"), thinking("c")] }])
  })
  it("leaves provider parts of another provider out of user messages and tool results", () => {
    const foreign: Chat.ProviderPart = { type: "provider", ...own({ type: "x" }, "other") }
    expect(
      messages([
        Chat.user([Chat.text("a"), foreign]),
        { role: "tool", toolCallId: "1", content: [foreign, Chat.text("b")] }
      ])
    ).toEqual([
      { role: "user", content: [entry("a")] },
      { role: "tool", tool_call_id: "1", content: [entry("b")] }
    ])
  })
  it("writes a refusal in its field where the dialect has one, in the entry in which it came, and as text elsewhere", () => {
    const refusal: Chat.RefusalPart = { type: "refusal", text: "No." }
    const knows: Dialect = { assistantFields: ["refusal"] }
    expect(messages([Chat.assistant([refusal])], knows)).toEqual([{ role: "assistant", content: null, refusal: "No." }])
    expect(messages([Chat.assistant([Chat.text("a"), refusal, call])], knows)).toEqual([
      { role: "assistant", content: "a", refusal: "No.", tool_calls: written }
    ])
    const asEntry = { ...refusal, native: { "chat-completions": {} } }
    expect(messages([Chat.assistant([asEntry])], knows)).toEqual([
      { role: "assistant", content: [{ type: "refusal", refusal: "No." }] }
    ])
    expect(messages([Chat.assistant([Chat.text("a"), asEntry, refusal, Chat.text("b")])])).toEqual([
      { role: "assistant", content: "aNo.No.b" }
    ])
  })
  it("names the audio of an earlier answer where the dialect has a field for it", () => {
    const audio: Chat.ProviderPart = { type: "provider", ...own({ message: { audio: { id: "audio_1" }, other: 1 } }) }
    expect(messages([Chat.assistant([audio])], { assistantFields: ["refusal", "audio"] })).toEqual([
      { role: "assistant", content: null, audio: { id: "audio_1" } }
    ])
    expect(messages([Chat.assistant([Chat.text("a"), audio])], { assistantFields: ["refusal"] })).toEqual([
      { role: "assistant", content: "a" }
    ])
    expect(
      messages([Chat.assistant([Chat.text("a"), { ...audio, provider: "other" }])], { assistantFields: ["audio"] })
    ).toEqual([{ role: "assistant", content: "a" }])
  })
  it("writes an answer with audio, a refusal and an unknown entry back as the provider sent it", () => {
    const wire = ChatCompletions.make({ assistantFields: ["refusal", "audio"] })
    const answer = Either.getOrThrow(
      wire.decodeResponse(
        {
          choices: [
            {
              index: 0,
              finish_reason: "stop",
              message: {
                content: [entry("a"), { type: "reference", reference_ids: [1] }, entry("b")],
                refusal: "No.",
                audio: { id: "audio_1", data: "AA" }
              }
            }
          ]
        },
        { ...target, estimatedInputTokens: 0 }
      )
    )
    expect(messages([Chat.toMessage(answer)], { assistantFields: ["refusal", "audio"] })).toEqual([
      {
        role: "assistant",
        content: [entry("a"), { type: "reference", reference_ids: [1] }, entry("b")],
        refusal: "No.",
        audio: { id: "audio_1" }
      }
    ])
  })
})

describe("Chat Completions tools", () => {
  it("writes tools as functions with a schema and the given strict flag", () => {
    const parameters = { type: "object", properties: { a: { type: "string" } } }
    expect(
      body({ tools: [{ name: "f", description: "d", parameters, strict: false }, { name: "g" }] })["tools"]
    ).toEqual([
      { type: "function", function: { name: "f", description: "d", parameters, strict: false } },
      { type: "function", function: { name: "g", parameters: { type: "object", properties: {} } } }
    ])
  })
  it("rewrites the schema of a strict tool so that every property is required", () => {
    const tools = [
      { name: "f", parameters: { type: "object", properties: { a: { type: "string" } } }, strict: true },
      { name: "g", strict: true }
    ]
    expect(body({ tools })["tools"]).toMatchObject([
      {
        function: {
          parameters: {
            type: "object",
            properties: { a: { type: ["string", "null"] } },
            required: ["a"],
            additionalProperties: false
          },
          strict: true
        }
      },
      {
        function: {
          parameters: { type: "object", properties: {}, required: [], additionalProperties: false },
          strict: true
        }
      }
    ])
  })
  it("turns strict off for a tool whose schema strict mode cannot express", () => {
    const parameters = { type: "object", additionalProperties: { type: "string" } }
    expect(body({ tools: [{ name: "f", parameters, strict: true }] })["tools"]).toEqual([
      { type: "function", function: { name: "f", parameters, strict: false } }
    ])
  })
  it("writes Chat Completions tool_choice by mode or by tool name", () => {
    expect(body({ toolChoice: "auto" })["tool_choice"]).toBe("auto")
    expect(body({ toolChoice: "required" })["tool_choice"]).toBe("required")
    expect(body({ toolChoice: "required" }, { toolChoiceRequired: "any" })["tool_choice"]).toBe("any")
    expect(body({ toolChoice: { name: "f" } })["tool_choice"]).toEqual({ type: "function", function: { name: "f" } })
  })
})

describe("Chat Completions response format", () => {
  const format = (responseFormat: Chat.ResponseFormat, dialect?: Dialect) =>
    body({ responseFormat }, dialect)["response_format"]
  it("writes a text, JSON object or JSON Schema response format", () => {
    const named = { name: "n", schema: { type: "object" }, description: "d" }
    expect(format("text")).toEqual({ type: "text" })
    expect(format("json")).toEqual({ type: "json_object" })
    expect(format(named)).toEqual({ type: "json_schema", json_schema: named })
    expect(format({ ...named, strict: false })).toEqual({
      type: "json_schema",
      json_schema: { ...named, strict: false }
    })
  })
  it("rewrites the schema of a strict response format, or turns strict off for open objects", () => {
    const schema = { type: "object", properties: { a: { type: "integer" }, b: { type: "string" } }, required: ["a"] }
    expect(format({ name: "n", schema, strict: true })).toEqual({
      type: "json_schema",
      json_schema: {
        name: "n",
        schema: {
          type: "object",
          properties: { a: { type: "integer" }, b: { type: ["string", "null"] } },
          required: ["a", "b"],
          additionalProperties: false
        },
        strict: true
      }
    })
    const open = { type: "object", additionalProperties: true }
    expect(format({ name: "n", schema: open, strict: true })).toEqual({
      type: "json_schema",
      json_schema: { name: "n", schema: open, strict: false }
    })
  })
  it("rejects a schema as Unsupported when the dialect has no jsonSchema", () => {
    const named = { name: "n", schema: { type: "object" } }
    expect(encode({ responseFormat: named }, { jsonSchema: false })).toEqual(
      Either.left({ _tag: "Unsupported", feature: "JSON Schema output" })
    )
    expect(format("json", { jsonSchema: false })).toEqual({ type: "json_object" })
  })
})

describe("Chat Completions reasoning settings", () => {
  const writtenSettings = (reasoning: Chat.Reasoning, dialect: ChatCompletions.Dialect["reasoning"]) => {
    const { messages: _, model: __, ...rest } = body({ reasoning }, { reasoning: dialect })
    return rest
  }
  it("writes the effort as reasoning_effort or that of its budget, in the effort dialect", () => {
    expect(writtenSettings({ effort: "minimal", budgetTokens: 10 }, "effort")).toEqual({ reasoning_effort: "minimal" })
    expect(writtenSettings({ budgetTokens: 10 }, "effort")).toEqual({ reasoning_effort: "low" })
  })
  it("writes either an effort or a budget as a reasoning object in the object dialect", () => {
    expect(writtenSettings({ effort: "high" }, "object")).toEqual({ reasoning: { effort: "high" } })
    expect(writtenSettings({ effort: "high", budgetTokens: 10 }, "object")).toEqual({ reasoning: { max_tokens: 10 } })
    expect(writtenSettings({ effort: "none", budgetTokens: 10 }, "object")).toEqual({ reasoning: { effort: "none" } })
    expect(writtenSettings({}, "object")).toEqual({ reasoning: { enabled: true } })
  })
  it("writes a thinking switch and the effort in the thinking dialect", () => {
    expect(writtenSettings({ effort: "high" }, "thinking")).toEqual({
      thinking: { type: "enabled" },
      reasoning_effort: "high"
    })
    expect(writtenSettings({ budgetTokens: 10 }, "thinking")).toEqual({
      thinking: { type: "enabled" },
      reasoning_effort: "low"
    })
    expect(writtenSettings({ effort: "none" }, "thinking")).toEqual({ thinking: { type: "disabled" } })
    expect(writtenSettings({ budgetTokens: 0 }, "thinking")).toEqual({ thinking: { type: "disabled" } })
  })
  it("writes enable_thinking and thinking_budget in the enable_thinking dialect", () => {
    expect(writtenSettings({ effort: "high", budgetTokens: 10 }, "enable_thinking")).toEqual({
      enable_thinking: true,
      thinking_budget: 10
    })
    expect(writtenSettings({}, "enable_thinking")).toEqual({ enable_thinking: true })
    expect(writtenSettings({ effort: "none", budgetTokens: 10 }, "enable_thinking")).toEqual({ enable_thinking: false })
    expect(writtenSettings({ budgetTokens: 0 }, "enable_thinking")).toEqual({ enable_thinking: false })
  })
  it("writes nothing for a dialect without reasoning or for a summary setting alone", () => {
    expect(writtenSettings({ effort: "high" }, "none")).toEqual({})
    for (const dialect of ["effort", "object", "thinking", "enable_thinking"] as const) {
      expect(writtenSettings({ summary: "auto" }, dialect)).toEqual({})
    }
  })
})

describe("Chat Completions unsupported parts", () => {
  const partFailure = (part: Chat.UserPart) => encodeFailure({ messages: [Chat.user([part])] })
  it("rejects files and audio by URL and audio without base64 as Unsupported", () => {
    expect(partFailure(Chat.file("https://example.com/a.pdf"))).toEqual(unsupported("file by URL"))
    expect(partFailure(Chat.audio("https://example.com/a.wav"))).toEqual(unsupported("audio by URL"))
    expect(partFailure(Chat.audio("data:audio/wav,abc"))).toEqual(unsupported("audio data other than base64"))
  })
})
