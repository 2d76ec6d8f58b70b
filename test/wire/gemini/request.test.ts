import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { ChatRequest, ChatResponse, Message } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as Gemini from "../../../src/wire/Gemini.js"
import type { WireRequest } from "../../../src/wire/Wire.js"

const target = { provider: "gemini", model: "gemini-3-flash", stream: false }

const encode = (request: Partial<ChatRequest>, dialect?: Partial<Gemini.Dialect>) =>
  Gemini.make(dialect).encodeRequest({ messages: [Chat.user("Hello")], ...request }, target)

const wireRequest = (request: Partial<ChatRequest>, dialect?: Partial<Gemini.Dialect>): WireRequest =>
  Either.getOrThrowWith(encode(request, dialect), (failure) => new Error(JSON.stringify(failure)))

const body = (request: Partial<ChatRequest>, dialect?: Partial<Gemini.Dialect>): Record<string, unknown> =>
  wireRequest(request, dialect).body

const contents = (messages: ReadonlyArray<Message>, model = "gemini-3-flash"): unknown =>
  body({ messages, model })["contents"]

const config = (request: Partial<ChatRequest>): unknown => body(request)["generationConfig"]

const encodeFailure = (request: Partial<ChatRequest>): unknown =>
  Either.match(encode(request), { onLeft: (failure) => failure, onRight: () => undefined })

const png = "data:image/png;base64,AAAA"
const call = Chat.toolCall("c1", "clock", '{"zone":"UTC"}')

describe("Gemini path", () => {
  const path = (model: string) => wireRequest({ model }).path

  it("writes the model and the method into the path", () => {
    expect(wireRequest({})).toEqual({
      path: "/models/gemini-3-flash:generateContent",
      body: { contents: [{ role: "user", parts: [{ text: "Hello" }] }] }
    })
  })
  it("writes streamGenerateContent and alt=sse for a streaming request", () => {
    const streamed = Gemini.make().encodeRequest({ messages: [Chat.user("Hello")] }, { ...target, stream: true })
    expect(Either.getOrThrow(streamed)).toMatchObject({
      path: "/models/gemini-3-flash:streamGenerateContent",
      query: { alt: "sse" }
    })
  })
  it("keeps a model name that contains its collection", () => {
    expect(path("models/gemini-3-flash")).toBe("/models/gemini-3-flash:generateContent")
    expect(path("tunedModels/mine")).toBe("/tunedModels/mine:generateContent")
    expect(path("publishers/google/models/x")).toBe("/publishers/google/models/x:generateContent")
  })
  it("escapes all other characters of a model name, so that it cannot leave the collection", () => {
    expect(path("a b?c:d#e")).toBe("/models/a%20b%3Fc%3Ad%23e:generateContent")
    expect(path("google/gemini")).toBe("/models/google%2Fgemini:generateContent")
    expect(path("models/../secret")).toBe("/models/models%2F..%2Fsecret:generateContent")
  })
})

describe("Gemini messages", () => {
  it("writes system and developer messages from any place as the systemInstruction", () => {
    expect(
      body({
        messages: [
          Chat.system("One."),
          Chat.user("Hello"),
          { role: "developer", content: [Chat.text("Two."), Chat.text("Three.")] }
        ]
      })
    ).toEqual({
      systemInstruction: { parts: [{ text: "One." }, { text: "Two." }, { text: "Three." }] },
      contents: [{ role: "user", parts: [{ text: "Hello" }] }]
    })
  })
  it("writes a lone system message as user content", () => {
    expect(body({ messages: [Chat.system("Say hello.")] })).toEqual({
      contents: [{ role: "user", parts: [{ text: "Say hello." }] }]
    })
  })
  it("writes base64 data as inlineData and URLs as fileData with the media type of their extension", () => {
    expect(
      contents([
        Chat.user([
          Chat.image(png),
          Chat.image("https://example.com/a.JPG?size=2#x", { detail: "low" }),
          Chat.audio("data:audio/mpeg;base64,BBBB"),
          Chat.audio("https://example.com/a.wav"),
          Chat.file("data:application/pdf;base64,CCCC", { filename: "a.pdf" }),
          Chat.file("https://example.com/unknown"),
          { type: "file", fileId: "gs://bucket/b", filename: "b.pdf" }
        ])
      ])
    ).toEqual([
      {
        role: "user",
        parts: [
          { inlineData: { mimeType: "image/png", data: "AAAA" } },
          { fileData: { mimeType: "image/jpeg", fileUri: "https://example.com/a.JPG?size=2#x" } },
          { inlineData: { mimeType: "audio/mpeg", data: "BBBB" } },
          { fileData: { mimeType: "audio/wav", fileUri: "https://example.com/a.wav" } },
          { inlineData: { mimeType: "application/pdf", data: "CCCC" } },
          { fileData: { fileUri: "https://example.com/unknown" } },
          { fileData: { mimeType: "application/pdf", fileUri: "gs://bucket/b" } }
        ]
      }
    ])
  })
  it("rejects user names, non-base64 data URLs and a limit on parallel tool calls as Unsupported", () => {
    const failureFor = (message: Message) => encodeFailure({ messages: [message] })
    expect(failureFor({ role: "user", content: "Hi", name: "Ann" })).toEqual({
      _tag: "Unsupported",
      feature: "name of a user message"
    })
    expect(failureFor(Chat.user([Chat.image("data:image/svg+xml,<svg/>")]))).toEqual({
      _tag: "Unsupported",
      feature: "data: URL other than base64"
    })
    expect(encodeFailure({ parallelToolCalls: false })).toEqual({
      _tag: "Unsupported",
      feature: "limit to one tool call at a time"
    })
    expect(encodeFailure({ parallelToolCalls: true })).toBe(undefined)
  })
  it("writes provider parts and fields of Gemini in messages of the user and in tool results", () => {
    const code = { executableCode: { language: "PYTHON", code: "1+1" } }
    const part = (provider?: string) =>
      ({ type: "provider", native: { gemini: code }, ...(provider === undefined ? {} : { provider }) }) as const
    const image = { ...Chat.image(png), native: { gemini: { mediaResolution: { level: "MEDIA_RESOLUTION_LOW" } } } }
    const result: Message = {
      role: "tool",
      toolCallId: "c1",
      content: [Chat.text("x"), part()],
      native: { gemini: { functionResponse: { scheduling: "SILENT" } } }
    }
    expect(
      contents([Chat.user([Chat.text("a"), part(), image, part("other")]), Chat.assistant("", [call]), result])
    ).toMatchObject([
      {
        parts: [
          { text: "a" },
          code,
          { inlineData: { data: "AAAA" }, mediaResolution: { level: "MEDIA_RESOLUTION_LOW" } }
        ]
      },
      {},
      {
        parts: [{ functionResponse: { name: "clock", response: { output: "x" }, scheduling: "SILENT", parts: [code] } }]
      }
    ])
  })
  it("rejects a provider part of another protocol as Unsupported, and leaves out one of another provider", () => {
    const native = { "anthropic-messages": { type: "server_tool_use" } }
    const failureFor = (part: Chat.ProviderPart) =>
      encodeFailure({ messages: [{ role: "assistant", content: [Chat.text("a"), part] }] })
    expect(failureFor({ type: "provider", native })).toEqual({
      _tag: "Unsupported",
      feature: "part of a message that only another protocol has"
    })
    const ofAnswer = { type: "provider", native, provider: "anthropic" } as const
    expect(contents([{ role: "assistant", content: [Chat.text("a"), ofAnswer] }])).toEqual([
      { role: "model", parts: [{ text: "a" }] }
    ])
  })
  it("rejects a tool result without a tool call as Malformed with its path", () => {
    expect(encodeFailure({ messages: [Chat.user("Hi"), Chat.toolResult("nobody", "12:00")] })).toEqual({
      _tag: "Malformed",
      path: "messages[1].toolCallId",
      excerpt: "nobody"
    })
  })
})

describe("Gemini tool calls and tool results", () => {
  const question = [
    Chat.user("What time is it?"),
    Chat.assistant("Let me see.", [call, { ...call, id: "c2", name: "sun" }])
  ]
  const results = [Chat.toolResult("c2", "risen"), { ...Chat.toolResult("c1", "no such zone"), isError: true }]

  it("writes ids of tool calls and all results in one content for Gemini 3", () => {
    expect(contents([...question, ...results, Chat.user("Well?")])).toEqual([
      { role: "user", parts: [{ text: "What time is it?" }] },
      {
        role: "model",
        parts: [
          { text: "Let me see." },
          {
            functionCall: { id: "c1", name: "clock", args: { zone: "UTC" } },
            thoughtSignature: "skip_thought_signature_validator"
          },
          { functionCall: { id: "c2", name: "sun", args: { zone: "UTC" } } }
        ]
      },
      {
        role: "user",
        parts: [
          { functionResponse: { id: "c2", name: "sun", response: { output: "risen" } } },
          { functionResponse: { id: "c1", name: "clock", response: { error: "no such zone" } } }
        ]
      },
      { role: "user", parts: [{ text: "Well?" }] }
    ])
  })
  it("writes no ids and the results in order of the tool calls before Gemini 3", () => {
    expect(contents([...question, ...results], "gemini-2.5-pro")).toEqual([
      { role: "user", parts: [{ text: "What time is it?" }] },
      {
        role: "model",
        parts: [
          { text: "Let me see." },
          { functionCall: { name: "clock", args: { zone: "UTC" } } },
          { functionCall: { name: "sun", args: { zone: "UTC" } } }
        ]
      },
      {
        role: "user",
        parts: [
          { functionResponse: { name: "clock", response: { error: "no such zone" } } },
          { functionResponse: { name: "sun", response: { output: "risen" } } }
        ]
      }
    ])
  })
  it("writes a tool result with the name of the nearest earlier tool call when ids repeat", () => {
    const again = [Chat.assistant("", [{ ...call, name: "later" }]), Chat.toolResult("c1", "x")]
    const parts = contents([Chat.assistant("", [call]), Chat.toolResult("c1", "x"), ...again])
    expect(JSON.stringify(parts)).toContain('"functionResponse":{"id":"c1","name":"clock"')
    expect(JSON.stringify(parts)).toContain('"functionResponse":{"id":"c1","name":"later"')
  })
  it("wraps arguments that are no JSON object", () => {
    const message = Chat.assistant("", [
      Chat.toolCall("a", "cut", '{"zone":"U'),
      { ...Chat.toolCall("b", "free", "{}"), custom: true },
      Chat.toolCall("c", "none", "")
    ])
    expect(JSON.stringify(contents([Chat.user("?"), message]))).toBe(
      JSON.stringify([
        { role: "user", parts: [{ text: "?" }] },
        {
          role: "model",
          parts: [
            {
              functionCall: { id: "a", name: "cut", args: { input: '{"zone":"U' } },
              thoughtSignature: "skip_thought_signature_validator"
            },
            { functionCall: { id: "b", name: "free", args: { input: "{}" } } },
            { functionCall: { id: "c", name: "none", args: {} } }
          ]
        }
      ])
    )
  })
  it("writes media inside the tool result for Gemini 3 and next to it before, and rejects media by URL", () => {
    const withImage: Message = { role: "tool", toolCallId: "c1", content: [Chat.text("Here"), Chat.image(png)] }
    const image = { inlineData: { mimeType: "image/png", data: "AAAA" } }
    expect(contents([Chat.assistant("", [call]), withImage])).toMatchObject([
      {},
      { parts: [{ functionResponse: { id: "c1", name: "clock", response: { output: "Here" }, parts: [image] } }] }
    ])
    expect(contents([Chat.assistant("", [call]), withImage], "gemini-2.0-flash")).toMatchObject([
      {},
      { parts: [{ functionResponse: { name: "clock", response: { output: "Here" } } }, image] }
    ])
    const withLink: Message = { ...withImage, content: [Chat.image("https://example.com/a.png")] }
    expect(encodeFailure({ messages: [Chat.assistant("", [call]), withLink] })).toEqual({
      _tag: "Unsupported",
      feature: "file by URL in the result of a tool"
    })
  })
})

describe("Gemini thought signatures", () => {
  const source = { provider: "gemini", model: "gemini-3-flash", estimatedInputTokens: 0 }
  const modelParts = [
    { text: "Hm.", thought: true, thoughtSignature: "of-hm" },
    { text: "Let me ", thoughtSignature: "of-let" },
    { text: "see." },
    { executableCode: { language: "PYTHON", code: "1+1" }, thoughtSignature: "of-code" },
    { codeExecutionResult: { outcome: "OUTCOME_OK", output: "2" } },
    { functionCall: { id: "a", name: "clock", args: {} }, thoughtSignature: "of-a" },
    { text: "Hm again.", thought: true },
    { text: "And now", partMetadata: { source: "a" } },
    { functionCall: { id: "b", name: "clock", args: { zone: "UTC" } } },
    { inlineData: { mimeType: "image/png", data: "AAAA" }, thoughtSignature: "of-image" },
    { functionCall: { id: "c", name: "clock", args: {}, extra: 1 }, thoughtSignature: "of-c" },
    { text: "", thoughtSignature: "of-the-end" }
  ]
  const response = (): ChatResponse => ({
    provider: "gemini",
    latency: 0,
    keyId: "key",
    attempts: [],
    ...Either.getOrThrow(
      Gemini.make().decodeResponse(
        { candidates: [{ content: { role: "model", parts: modelParts }, finishReason: "STOP" }] },
        source
      )
    )
  })

  it("writes the parts of an answer back in their order, with their signatures and other fields", () => {
    const written = contents([
      Chat.user("?"),
      Chat.toMessage(response()),
      ...["a", "b", "c"].map((id) => Chat.toolResult(id, "x"))
    ])
    expect(written).toEqual([
      expect.anything(),
      { role: "model", parts: modelParts },
      {
        role: "user",
        parts: ["a", "b", "c"].map((id) => ({
          functionResponse: { id, name: "clock", response: { output: "x" } }
        }))
      }
    ])
  })
  it("drops signatures, reasoning, provider parts and other fields of another provider", () => {
    const otherProvider = Gemini.make().encodeRequest(
      { messages: [Chat.user("?"), Chat.toMessage(response())] },
      { ...target, provider: "vertex" }
    )
    expect(Either.getOrThrow(otherProvider).body["contents"]).toMatchObject([
      {},
      {
        parts: [
          { text: "Let me " },
          { text: "see." },
          {
            functionCall: { id: "a", name: "clock", args: {} },
            thoughtSignature: "skip_thought_signature_validator"
          },
          { text: "And now" },
          { functionCall: { id: "b", name: "clock", args: { zone: "UTC" } } },
          { functionCall: { id: "c", name: "clock", args: {} } }
        ]
      }
    ])
    const text = JSON.stringify(Either.getOrThrow(otherProvider).body)
    expect(text).not.toContain("of-")
    expect(text).not.toContain("partMetadata")
  })
  it("sends generated images back, but not generated speech", () => {
    const media = (mimeType: string) =>
      ({
        type: "provider",
        native: { gemini: { inlineData: { mimeType, data: "AAAA" } } },
        provider: "gemini"
      }) as const
    const content = [Chat.text("Here"), media("audio/L16;codec=pcm;rate=24000"), media("image/png")]
    expect(contents([{ role: "assistant", content }])).toEqual([
      { role: "model", parts: [{ text: "Here" }, { inlineData: { mimeType: "image/png", data: "AAAA" } }] }
    ])
  })
  it("drops the signature of a tool call whose provider is unknown and whose protocol is another one", () => {
    const signed = { ...call, signature: "of-c1" }
    const written = (message: Message) => contents([Chat.user("?"), message])
    expect(written(Chat.assistant("", [signed]))).toMatchObject([
      {},
      { parts: [{ thoughtSignature: "skip_thought_signature_validator" }] }
    ])
    expect(written(Chat.assistant("", [{ ...signed, native: { gemini: {} } }]))).toMatchObject([
      {},
      { parts: [{ thoughtSignature: "of-c1" }] }
    ])
  })
  it("writes signatures with their tool calls when these are reordered or removed", () => {
    const { content } = response()
    const reversed = contents([Chat.user("?"), { role: "assistant", content: content.toReversed() }])
    expect(reversed).toEqual([expect.anything(), { role: "model", parts: modelParts.toReversed() }])
    const withoutCalls = content.filter((part) => part.type !== "tool-call")
    expect(contents([Chat.user("?"), { role: "assistant", content: withoutCalls }])).toEqual([
      expect.anything(),
      { role: "model", parts: modelParts.filter((part) => !("functionCall" in part)) }
    ])
  })
  it("writes a refusal as text, and an assistant message without content as an empty text", () => {
    expect(contents([{ role: "assistant", content: [{ type: "refusal", text: "No." }] }])).toEqual([
      { role: "model", parts: [{ text: "No." }] }
    ])
    const foreign: Message = {
      role: "assistant",
      content: [Chat.text(""), { type: "reasoning", text: "Hm.", signature: "s", provider: "other" }]
    }
    expect(contents([foreign])).toEqual([{ role: "model", parts: [{ text: "" }] }])
  })
  it("writes the placeholder signature only for models since Gemini 3", () => {
    for (const model of ["gemini-2.5-flash", "gemini-1.5-pro", "gemini-robotics-er-1.5-preview", "gemma-3"]) {
      expect(JSON.stringify(contents([Chat.assistant("", [call])], model))).not.toContain("skip_")
    }
    for (const model of ["gemini-3-pro", "models/gemini-4-flash", "gemini-flash-latest"]) {
      expect(JSON.stringify(contents([Chat.assistant("", [call])], model))).toContain("skip_")
    }
  })
})

describe("Gemini settings", () => {
  it("writes every common setting under its Gemini name", () => {
    expect(
      config({ temperature: 0.5, topP: 0.9, maxTokens: 100, stop: ["END"], seed: 7, user: "u1", metadata: { a: "b" } })
    ).toEqual({ temperature: 0.5, topP: 0.9, maxOutputTokens: 100, stopSequences: ["END"], seed: 7 })
    expect(config({ stop: [] })).toBe(undefined)
  })
  it("writes metadata as labels only when the dialect has labels", () => {
    expect(body({ metadata: { team: "a" } }, { labels: true })["labels"]).toEqual({ team: "a" })
    expect(body({ metadata: { team: "a" } })["labels"]).toBe(undefined)
  })
  it("writes text, JSON and JSON Schema response formats", () => {
    expect(config({ responseFormat: "text" })).toEqual({ responseMimeType: "text/plain" })
    expect(config({ responseFormat: "json" })).toEqual({ responseMimeType: "application/json" })
    expect(
      config({ responseFormat: { name: "city", description: "A city.", schema: { $schema: "x", type: "object" } } })
    ).toEqual({
      responseMimeType: "application/json",
      responseJsonSchema: { description: "A city.", type: "object" }
    })
  })
  it("writes a thinkingLevel for Gemini 3 and a thinkingBudget before", () => {
    const thinking = (reasoning: Chat.Reasoning, model = "gemini-3-flash") => config({ reasoning, model })
    expect(thinking({ effort: "low" })).toEqual({ thinkingConfig: { thinkingLevel: "LOW" } })
    expect(thinking({ effort: "none" })).toEqual({ thinkingConfig: { thinkingLevel: "MINIMAL" } })
    expect(thinking({ effort: "xhigh" })).toEqual({ thinkingConfig: { thinkingLevel: "HIGH" } })
    expect(thinking({ effort: "low" }, "gemini-2.5-flash")).toEqual({ thinkingConfig: { thinkingBudget: 2048 } })
    expect(thinking({ effort: "none" }, "gemini-2.5-flash")).toEqual({ thinkingConfig: { thinkingBudget: 0 } })
    expect(thinking({ effort: "high", budgetTokens: 5, summary: "auto" })).toEqual({
      thinkingConfig: { thinkingBudget: 5, includeThoughts: true }
    })
    expect(thinking({ summary: "concise" })).toEqual({ thinkingConfig: { includeThoughts: true } })
    expect(thinking({})).toBe(undefined)
  })
})

describe("Gemini tools", () => {
  const tool = { name: "clock", parameters: { type: "object", properties: {}, additionalProperties: false } }

  it("writes function declarations and appends provider tools of extra", () => {
    expect(
      body({ tools: [tool, { name: "sun", description: "Is it up?" }], extra: { tools: [{ googleSearch: {} }] } })[
        "tools"
      ]
    ).toEqual([
      {
        functionDeclarations: [
          { name: "clock", description: "", parametersJsonSchema: tool.parameters },
          { name: "sun", description: "Is it up?" }
        ]
      },
      { googleSearch: {} }
    ])
    expect(body({ extra: { tools: [{ codeExecution: {} }] } })["tools"]).toEqual([{ codeExecution: {} }])
  })
  it("writes the function calling mode and the allowed function name", () => {
    const mode = (request: Partial<ChatRequest>) => body({ tools: [tool], ...request })["toolConfig"]
    const calling = (functionCallingConfig: object) => ({ functionCallingConfig })
    expect(mode({})).toBe(undefined)
    expect(mode({ toolChoice: "auto" })).toEqual(calling({ mode: "AUTO" }))
    expect(mode({ toolChoice: "none" })).toEqual(calling({ mode: "NONE" }))
    expect(mode({ toolChoice: "required" })).toEqual(calling({ mode: "ANY" }))
    expect(mode({ toolChoice: { name: "clock" } })).toEqual(calling({ mode: "ANY", allowedFunctionNames: ["clock"] }))
    expect(mode({ tools: [{ ...tool, strict: true }] })).toEqual(calling({ mode: "VALIDATED" }))
    expect(mode({ tools: [{ ...tool, strict: true }], toolChoice: "required" })).toEqual(calling({ mode: "ANY" }))
  })
})

describe("Gemini extra fields", () => {
  it("writes extra fields and merges extra generationConfig and toolConfig with the written ones", () => {
    expect(
      body({
        temperature: 0,
        reasoning: { effort: "low" },
        toolChoice: "auto",
        extra: {
          safetySettings: [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "OFF" }],
          generationConfig: { topK: 3, temperature: 1, thinkingConfig: { includeThoughts: true } },
          toolConfig: { retrievalConfig: { languageCode: "de" } }
        }
      })
    ).toMatchObject({
      safetySettings: [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "OFF" }],
      generationConfig: { topK: 3, temperature: 1, thinkingConfig: { thinkingLevel: "LOW", includeThoughts: true } },
      toolConfig: { functionCallingConfig: { mode: "AUTO" }, retrievalConfig: { languageCode: "de" } }
    })
  })
})

describe("Gemini dropUnsupportedField", () => {
  const request = wireRequest({ messages: [Chat.user("?"), Chat.assistant("", [call]), Chat.toolResult("c1", "x")] })
  const rejection = `Invalid JSON payload received. Unknown name "id" at 'contents[1].parts[0].function_call': Cannot find field.`

  it("drops the ids of tool calls when the server rejects the id field", () => {
    const reduced = Gemini.make().dropUnsupportedField(request, rejection)
    expect(JSON.stringify(reduced?.body)).not.toContain('"id"')
    expect(JSON.stringify(reduced?.body)).toContain('"functionResponse":{"name":"clock"')
    expect(reduced === undefined ? reduced : Gemini.make().dropUnsupportedField(reduced, rejection)).toBe(undefined)
  })
  it("returns undefined for other errors and for a request without ids", () => {
    expect(Gemini.make().dropUnsupportedField(request, 'Unknown name "exclusiveMinimum" at parameters')).toBe(undefined)
    expect(Gemini.make().dropUnsupportedField(wireRequest({}), rejection)).toBe(undefined)
  })
})
