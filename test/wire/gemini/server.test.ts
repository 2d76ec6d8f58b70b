import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { ChatRequest, ChatResponse } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as LLMError from "../../../src/vocabulary/LLMError.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Gemini from "../../../src/wire/Gemini.js"
import { classify } from "../../../src/wire/error/classify.js"
import { record, records } from "../../../src/wire/json.js"
import type { Frame, WireFailure } from "../../../src/wire/Wire.js"
import { writeFrames } from "../roundTrips.js"

const wire = Gemini.make()

const decode = (body: object, path = "/v1beta/models/gemini-9:generateContent") =>
  wire.decodeRequest({ contents: [{ role: "user", parts: [{ text: "Hello" }] }], ...body }, { path, headers: {} })

const read = (body: object, path?: string) =>
  Either.getOrThrowWith(decode(body, path), (failure) => new Error(JSON.stringify(failure)))

const request = (body: object): ChatRequest => read(body).request

const messages = (contents: unknown, body: object = {}) => request({ contents, ...body }).messages

const partsOf = ({ data }: Frame): ReadonlyArray<unknown> =>
  records(JSON.parse(data), "candidates").flatMap((candidate) => records(record(candidate, "content") ?? {}, "parts"))

/** The parts of the frames of a stream, with those that its end adds. */
const streamedParts = (events: ReadonlyArray<ChatEvent.ChatEvent>): ReadonlyArray<unknown> =>
  writeFrames(wire, events.some(({ _tag }) => _tag === "Finish") ? events : [...events, finish])
    .flatMap(partsOf)
    .filter((part) => JSON.stringify(part) !== '{"text":""}')

const finish: ChatEvent.ChatEvent = {
  _tag: "Finish",
  reason: "stop",
  rawReason: "STOP",
  usage: Usage.make({}),
  latency: 0,
  providerMetadata: {}
}

const failure = (body: object): WireFailure | undefined =>
  Either.match(decode(body), { onLeft: (left) => left, onRight: () => undefined })

describe("Gemini server path", () => {
  it("reads model and stream from the path", () => {
    expect(read({})).toEqual({
      request: { model: "gemini-9", messages: [{ role: "user", content: "Hello" }] },
      stream: false
    })
    const at = (path: string) => {
      const { request, stream } = read({}, path)
      return [request.model, stream]
    }
    expect(at("/v1beta/models/gemini-9:streamGenerateContent?alt=sse")).toEqual(["gemini-9", true])
    expect(at("/v1/projects/p/locations/l/publishers/google/models/gemini-9:generateContent")).toEqual([
      "gemini-9",
      false
    ])
    expect(at("/v1beta/tunedModels/mine:generateContent")).toEqual(["tunedModels/mine", false])
    expect(at("/models/a%20b%3Fc%3Ad:generateContent")).toEqual(["a b?c:d", false])
    expect(at("/models/100%:generateContent")).toEqual(["100%", false])
  })
  it("reads the model from the body when there is no path", () => {
    const decoded = wire.decodeRequest({ model: "gemini-9", contents: [{ parts: [{ text: "Hi" }] }] })
    expect(Either.getOrThrow(decoded)).toMatchObject({ request: { model: "gemini-9" }, stream: false })
  })
})

describe("Gemini server request: messages", () => {
  it("reads a systemInstruction of every form", () => {
    const system = (systemInstruction: unknown) => request({ systemInstruction }).messages[0]
    expect(system({ parts: [{ text: "Be brief." }] })).toEqual({ role: "system", content: "Be brief." })
    expect(system({ parts: { text: "Be brief." } })).toEqual({ role: "system", content: "Be brief." })
    expect(system("Be brief.")).toEqual({ role: "system", content: "Be brief." })
    expect(system({ parts: [{ text: "A" }, { text: "B" }] })).toMatchObject({ content: [{ text: "A" }, { text: "B" }] })
    expect(system({ parts: [{ text: "" }] })).toMatchObject({ role: "user" })
    expect(request({ system_instruction: { parts: [{ text: "A" }] } }).messages[0]).toMatchObject({ role: "system" })
  })
  it("reads inline and file data in camelCase and snake_case", () => {
    expect(
      messages([
        {
          parts: [
            { inline_data: { mime_type: "image/png", data: "AAAA" } },
            { inlineData: { mimeType: "audio/wav", data: "BBBB" } },
            { fileData: { mimeType: "application/pdf", fileUri: "https://example.com/a" } },
            { file_data: { file_uri: "gs://bucket/a" } }
          ]
        }
      ])
    ).toEqual([
      {
        role: "user",
        content: [
          { type: "image", url: "data:image/png;base64,AAAA" },
          { type: "audio", url: "data:audio/wav;base64,BBBB" },
          // The URL does not imply the media type.
          {
            type: "file",
            url: "https://example.com/a",
            native: { gemini: { fileData: { mimeType: "application/pdf" } } }
          },
          { type: "file", fileId: "gs://bucket/a" }
        ]
      }
    ])
  })
  it("keeps fields and parts of the user and of tool results that only Gemini has", () => {
    const code = { executableCode: { language: "PYTHON", code: "1+1" } }
    const image = { inlineData: { mimeType: "image/png", data: "AAAA", displayName: "a.png" } }
    expect(
      messages([
        { role: "user", parts: [{ text: "a", partMetadata: { source: "a" } }, code, image] },
        { role: "model", parts: [{ functionCall: { id: "a", name: "clock" } }] },
        {
          role: "user",
          parts: [{ functionResponse: { id: "a", name: "clock", response: { output: "x" }, scheduling: "SILENT" } }]
        }
      ])
    ).toEqual([
      {
        role: "user",
        content: [
          { type: "text", text: "a", native: { gemini: { partMetadata: { source: "a" } } } },
          { type: "provider", native: { gemini: code } },
          {
            type: "image",
            url: "data:image/png;base64,AAAA",
            native: { gemini: { inlineData: { displayName: "a.png" } } }
          }
        ]
      },
      { role: "assistant", content: [{ type: "tool-call", id: "a", name: "clock", arguments: "{}" }] },
      {
        role: "tool",
        toolCallId: "a",
        content: "x",
        native: { gemini: { functionResponse: { scheduling: "SILENT" } } }
      }
    ])
  })
  it("reads the parts of a model content in their order, with native fields for signatures of this protocol", () => {
    const code = { executableCode: { language: "PYTHON", code: "1+1" }, thoughtSignature: "s3" }
    expect(
      messages([
        {
          role: "model",
          parts: [
            { text: "Hm.", thought: true, thoughtSignature: "s1" },
            { functionCall: { id: "a", name: "clock" }, thoughtSignature: "s2" },
            { text: "A" },
            code,
            { text: "B" },
            { text: "", thoughtSignature: "s4" },
            { functionCall: { id: "b", name: "clock" } }
          ]
        }
      ])
    ).toEqual([
      {
        role: "assistant",
        content: [
          { type: "reasoning", text: "Hm.", signature: "s1", native: { gemini: {} } },
          {
            type: "tool-call",
            id: "a",
            name: "clock",
            arguments: "{}",
            signature: "s2",
            native: { gemini: {} }
          },
          { type: "text", text: "A" },
          { type: "provider", native: { gemini: code } },
          { type: "text", text: "B" },
          { type: "text", text: "", native: { gemini: { thoughtSignature: "s4" } } },
          { type: "tool-call", id: "b", name: "clock", arguments: "{}" }
        ]
      }
    ])
  })
  it("matches tool results without ids to tool calls by name and order", () => {
    const call = (city: string) => ({ functionCall: { name: "weather", args: { city } } })
    const response = (name: string, response: object) => ({ functionResponse: { name, response } })
    expect(
      messages([
        { role: "user", parts: [{ text: "?" }] },
        { role: "model", parts: [call("A"), { functionCall: { name: "clock" } }, call("B")] },
        {
          role: "function",
          parts: [
            response("weather", { output: "sun" }),
            response("weather", { error: "closed" }),
            response("clock", { hour: 12 }),
            { text: "Go on." }
          ]
        },
        { role: "model", parts: [call("C")] },
        { role: "user", parts: [response("weather", { output: "fog" })] }
      ])
    ).toMatchObject([
      {},
      { role: "assistant", content: [{ id: "call_0" }, { id: "call_1" }, { id: "call_2" }] },
      { role: "tool", toolCallId: "call_0", content: "sun" },
      { role: "tool", toolCallId: "call_2", content: "closed", isError: true },
      { role: "tool", toolCallId: "call_1", content: '{"hour":12}' },
      { role: "user", content: "Go on." },
      { content: [{ id: "call_3" }] },
      { toolCallId: "call_3", content: "fog" }
    ])
  })
  it("drops the placeholder thought signature", () => {
    const part = { functionCall: { id: "a", name: "clock", args: {} } }
    expect(
      messages([{ role: "model", parts: [{ ...part, thoughtSignature: "skip_thought_signature_validator" }] }])
    ).toEqual([{ role: "assistant", content: [{ type: "tool-call", id: "a", name: "clock", arguments: "{}" }] }])
  })
})

describe("Gemini server request: settings", () => {
  it("reads settings in camelCase and snake_case and keeps unknown ones in extra", () => {
    expect(
      request({
        generation_config: {
          max_output_tokens: 5,
          thinking_config: { thinking_level: "LOW", include_thoughts: true },
          top_k: 3,
          audio_timestamp: true
        },
        safetySettings: [],
        cachedContent: null,
        labels: { team: "a" },
        toolConfig: { functionCallingConfig: { mode: "ANY", allowedFunctionNames: ["a", "b"] } }
      })
    ).toEqual({
      model: "gemini-9",
      messages: [{ role: "user", content: "Hello" }],
      topK: 3,
      maxTokens: 5,
      reasoning: { effort: "low", summary: "auto" },
      metadata: { team: "a" },
      extra: {
        safetySettings: [],
        generationConfig: { audioTimestamp: true },
        toolConfig: { functionCallingConfig: { mode: "ANY", allowedFunctionNames: ["a", "b"] } }
      }
    })
  })
  it("reads function declarations with OpenAPI or JSON schemas and keeps provider tools in extra", () => {
    const clock = { name: "clock", description: "", parameters: { type: "OBJECT", properties: {} } }
    const sun = { name: "sun", parameters_json_schema: { type: "object" } }
    expect(
      request({
        tools: [{ functionDeclarations: [clock, sun], googleSearch: {} }],
        toolConfig: { functionCallingConfig: { mode: "VALIDATED" } }
      })
    ).toMatchObject({
      tools: [
        { name: "clock", parameters: { type: "object", properties: {} }, strict: true },
        { name: "sun", parameters: { type: "object" }, strict: true }
      ],
      toolChoice: "auto",
      extra: { tools: [{ googleSearch: {} }] }
    })
  })
  it("reads the response schema and the thinking budget", () => {
    const config = (generationConfig: object) => request({ generationConfig })
    expect(config({ responseMimeType: "application/json", responseSchema: { type: "STRING" } }).responseFormat).toEqual(
      { name: "response", schema: { type: "string" } }
    )
    expect(config({ thinkingConfig: { thinkingBudget: -1 } }).reasoning).toBe(undefined)
    expect(config({ thinkingConfig: { thinkingBudget: 0 } }).reasoning).toEqual({ budgetTokens: 0 })
  })
})

describe("Gemini server request: failures", () => {
  it.each<readonly [string, object]>([
    ["contents", { contents: [] }],
    ["contents[0].role", { contents: [{ role: "robot", parts: [{ text: "?" }] }] }],
    ["contents[0].parts[0].inlineData", { contents: [{ parts: [{ inlineData: { data: "AAAA" } }] }] }],
    ["contents[0].parts[0].functionResponse.name", { contents: [{ parts: [{ functionResponse: { name: "a" } }] }] }],
    [
      "contents[0].parts[0].functionCall.name",
      { contents: [{ role: "model", parts: [{ functionCall: { args: {} } }] }] }
    ],
    ["generationConfig.temperature", { generationConfig: { temperature: "hot" } }],
    ["generationConfig.maxOutputTokens", { generationConfig: { maxOutputTokens: 0 } }],
    ["generationConfig.stopSequences[0]", { generationConfig: { stopSequences: [""] } }],
    [
      "generationConfig.thinkingConfig.thinkingLevel",
      { generationConfig: { thinkingConfig: { thinkingLevel: "HUGE" } } }
    ],
    ["tools[0].functionDeclarations[0].name", { tools: [{ functionDeclarations: [{ name: "no good" }] }] }]
  ])("rejects an invalid %s as Malformed", (path, body) => {
    expect(failure(body)).toMatchObject({ _tag: "Malformed", path })
  })
  it("rejects a part without content and a body that is no object", () => {
    expect(failure({ contents: [{ parts: [{ text: "a" }, { partMetadata: { source: "a" } }] }] })).toMatchObject({
      _tag: "Malformed",
      path: "contents[0].parts[1]"
    })
    expect(Either.isLeft(wire.decodeRequest("no"))).toBe(true)
  })
})

describe("Gemini server response", () => {
  const fields = {
    id: "r1",
    provider: "acme",
    model: "gemini-9",
    finishReason: "tool-calls",
    rawFinishReason: "tool_calls",
    usage: Usage.make({ inputTokens: 5, outputTokens: 4, reasoningTokens: 1 }),
    latency: 0,
    keyId: "key",
    attempts: [],
    providerMetadata: {}
  } as const
  const response: ChatResponse = Chat.withContent(fields, [
    { type: "reasoning", text: "Hm." },
    Chat.text("Hello"),
    Chat.toolCall("a", "clock", "{}")
  ])
  const parts = [
    { text: "Hm.", thought: true },
    { text: "Hello" },
    { functionCall: { id: "a", name: "clock", args: {} } }
  ]
  const counts = { promptTokenCount: 5, candidatesTokenCount: 3, thoughtsTokenCount: 1, totalTokenCount: 9 }

  it("writes a response and maps finish reasons to Gemini's finishReason", () => {
    expect(wire.encodeResponse(response)).toEqual({
      candidates: [{ content: { role: "model", parts }, finishReason: "STOP", index: 0 }],
      usageMetadata: counts,
      modelVersion: "gemini-9",
      responseId: "r1"
    })
    const reason = (finishReason: ChatResponse["finishReason"], rawFinishReason: string) =>
      wire.encodeResponse(Chat.withContent({ ...fields, finishReason, rawFinishReason }, []))["candidates"]
    expect(reason("length", "length")).toMatchObject([{ finishReason: "MAX_TOKENS" }])
    expect(reason("content-filter", "RECITATION")).toMatchObject([{ finishReason: "RECITATION" }])
    expect(reason("pause", "pause_turn")).toMatchObject([{ finishReason: "MAX_TOKENS" }])
    expect(reason("other", "paused")).toMatchObject([{ finishReason: "OTHER" }])
    expect(reason("other", "IMAGE_OTHER")).toMatchObject([{ finishReason: "IMAGE_OTHER" }])
    expect(reason("other", "MALFORMED_FUNCTION_CALL")).toMatchObject([{ finishReason: "OTHER" }])
  })
  it("drops an estimated usage and writes a refusal as text", () => {
    const written = wire.encodeResponse(
      Chat.withContent({ ...fields, usage: { ...fields.usage, estimated: true } }, [
        { type: "refusal", text: "I will not." }
      ])
    )
    expect(written["usageMetadata"]).toBe(undefined)
    expect(JSON.stringify(written)).toContain('{"text":"I will not."}')
  })
  it("writes a stream of chunks in the form of a response", () => {
    const encoder = wire.encodeStream({})
    const frames = ChatEvent.fromResponse(response).flatMap((event) => encoder.push(event))
    const chunk = (part: object) => ({
      candidates: [{ content: { role: "model", parts: [part] }, index: 0 }],
      modelVersion: "gemini-9",
      responseId: "r1"
    })
    expect(frames.map(({ data }): unknown => JSON.parse(data))).toEqual([
      ...parts.map(chunk),
      {
        candidates: [{ content: { role: "model", parts: [{ text: "" }] }, finishReason: "STOP", index: 0 }],
        usageMetadata: counts,
        modelVersion: "gemini-9",
        responseId: "r1"
      }
    ])
  })
  it("writes the parts of an answer in their order, without provider parts of other protocols", () => {
    const code = { executableCode: { language: "PYTHON", code: "1+1" }, thoughtSignature: "s1" }
    const answer = Chat.withContent(fields, [
      Chat.text("A"),
      { type: "provider", native: { gemini: code }, provider: "gemini" },
      { type: "provider", native: { "anthropic-messages": { type: "server_tool_use" } }, provider: "anthropic" },
      { ...Chat.toolCall("a", "clock", "{}"), signature: "s2", provider: "gemini" },
      { type: "text", text: "", provider: "gemini", native: { gemini: { thoughtSignature: "s3" } } }
    ])
    const written = [
      { text: "A" },
      code,
      { functionCall: { id: "a", name: "clock", args: {} }, thoughtSignature: "s2" },
      { text: "", thoughtSignature: "s3" }
    ]
    expect(wire.encodeResponse(answer)["candidates"]).toMatchObject([{ content: { parts: written } }])
    expect(streamedParts(ChatEvent.fromResponse(answer))).toEqual(written)
  })
  it("holds back what follows an open tool call in a stream, and writes texts before it at once", () => {
    const delta = (index: number) =>
      ({ _tag: "ToolCallDelta", index, id: `c${index}`, name: "clock", argumentsDelta: "{}" }) as const
    const end = (index: number) =>
      ({ _tag: "ToolCallEnd", index, call: Chat.toolCall(`c${index}`, "clock", "{}") }) as const
    const text = (index: number, text: string) => ({ _tag: "TextDelta", index, text }) as const
    const called = (index: number) => ({ functionCall: { id: `c${index}`, name: "clock", args: {} } })
    const encoder = wire.encodeStream({})
    const framed = [
      text(0, "A"),
      delta(1),
      text(0, "B"),
      delta(2),
      text(3, "C"),
      end(2),
      { _tag: "ProviderPart", index: 4, part: { type: "provider", native: { gemini: { newKind: {} } } } } as const,
      end(1),
      text(3, "D")
    ].map((event) => encoder.push(event).flatMap(partsOf))
    expect(framed).toEqual([
      [{ text: "A" }],
      [],
      [{ text: "B" }],
      [],
      [],
      [],
      [],
      [called(1), called(2), { text: "C" }, { newKind: {} }],
      [{ text: "D" }]
    ])
  })
  it("does not wait for tool calls of a stream that failed, when another one continues it", () => {
    const usage = Usage.make({})
    const continued = {
      _tag: "Continued",
      id: "r2",
      provider: "b",
      model: "m",
      keyId: "k",
      attempts: [],
      usage
    } as const
    expect(
      streamedParts([
        { _tag: "ToolCallDelta", index: 0, id: "a", name: "clock", argumentsDelta: "{" },
        { _tag: "TextDelta", index: 1, text: "A" },
        continued,
        { _tag: "TextDelta", index: 2, text: "B" }
      ])
    ).toEqual([{ text: "A" }, { text: "B" }])
  })
  it("writes the last signature of a part after all its text", () => {
    const signed = { provider: "gemini", native: { gemini: { thoughtSignature: "s1" } } }
    expect(
      streamedParts([
        { _tag: "ReasoningDelta", index: 0, text: "H" },
        { _tag: "ReasoningDelta", index: 0, text: "m", signature: "s0" },
        { _tag: "ReasoningDelta", index: 0, text: ".", signature: "s" },
        { _tag: "TextDelta", index: 1, text: "Hel" },
        { _tag: "TextDelta", index: 1, text: "lo" },
        { _tag: "TextDelta", index: 1, text: "", ...signed }
      ])
    ).toEqual([
      { text: "H", thought: true },
      { text: "m.", thought: true, thoughtSignature: "s" },
      { text: "Hel" },
      { text: "lo" },
      { text: "", thoughtSignature: "s1" }
    ])
  })
  it("writes errors that a client maps back to their class", () => {
    const tag = (status: number, code: string) =>
      classify(
        { status, headers: {}, body: wire.encodeError({ status, message: "No.", code }) },
        { provider: "gemini", model: "m", keyId: "k", now: 0, mask: (text) => text }
      )._tag
    expect(wire.encodeError({ status: 404, message: "No." })).toEqual({
      error: { code: 404, message: "No.", status: "NOT_FOUND" }
    })
    expect(tag(400, "invalid_api_key")).toBe("AuthenticationError")
    expect(tag(429, "rate_limit_exceeded")).toBe("RateLimitError")
    expect(tag(429, "insufficient_quota")).toBe("QuotaExceededError")
    expect(tag(529, "overloaded")).toBe("ProviderUnavailableError")
  })
})

describe("Gemini errors", () => {
  const error = (status: number, body: object) =>
    classify(
      { status, headers: {}, body },
      { provider: "gemini", model: "m", keyId: "k", now: 0, mask: (text) => text }
    )
  const info = (reason: string) => ({
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    reason,
    domain: "googleapis.com"
  })

  it("maps Gemini's API_KEY_INVALID under status 400 to AuthenticationError", () => {
    const details = [info("API_KEY_INVALID")]
    expect(error(400, { error: { code: 400, message: "Bad key.", status: "INVALID_ARGUMENT", details } })._tag).toBe(
      "AuthenticationError"
    )
  })
  it("reads the retryDelay of Gemini's RetryInfo as the wait of a RateLimitError", () => {
    const details = [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "1.5s" }]
    const limited = error(429, { error: { code: 429, message: "Slow down.", status: "RESOURCE_EXHAUSTED", details } })
    expect(limited._tag).toBe("RateLimitError")
    expect(LLMError.retryAfter(limited)).toMatchObject({ _tag: "Some", value: { value: { millis: 1500 } } })
    const listed = error(429, [{ error: { code: 429, message: "Slow down.", status: "RESOURCE_EXHAUSTED", details } }])
    expect(LLMError.retryAfter(listed)).toMatchObject({ _tag: "Some" })
  })
  it.each(["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "JAILBREAK", "MODEL_ARMOR"])(
    "maps a Gemini prompt that was blocked for %s to ContentFilterError",
    (blockReason) => {
      const blocked = wire.decodeResponse(
        { promptFeedback: { blockReason } },
        { provider: "gemini", model: "m", estimatedInputTokens: 0 }
      )
      const body = Either.isLeft(blocked) && blocked.left._tag === "Reported" ? blocked.left.body : undefined
      expect(
        classify(
          { status: 200, headers: {}, body, inBand: true },
          { provider: "gemini", model: "m", keyId: "k", now: 0, mask: (text) => text }
        )._tag
      ).toBe("ContentFilterError")
    }
  )
})
