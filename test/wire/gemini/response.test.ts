import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as Gemini from "../../../src/wire/Gemini.js"
import { classify } from "../../../src/wire/error/classify.js"
import type { WireFailure, WireResponse } from "../../../src/wire/Wire.js"

const wire = Gemini.make()
const source = { provider: "acme", model: "asked", estimatedInputTokens: 7 }

const read = (body: unknown): WireResponse =>
  Either.getOrThrowWith(wire.decodeResponse(body, source), (failure) => new Error(JSON.stringify(failure)))

const failure = (body: unknown): WireFailure | undefined =>
  Either.match(wire.decodeResponse(body, source), { onLeft: (left) => left, onRight: () => undefined })

const candidate = (parts: ReadonlyArray<object>, fields: object = {}) => ({
  content: { role: "model", parts },
  finishReason: "STOP",
  index: 0,
  ...fields
})

const responseBody = (parts: ReadonlyArray<object>, fields: object = {}, body: object = {}) => ({
  candidates: [candidate(parts, fields)],
  modelVersion: "gemini-9",
  responseId: "r1",
  ...body
})

describe("Gemini response", () => {
  it("reads text, reasoning, id and model", () => {
    expect(
      read(
        responseBody([
          { text: "Hm. ", thought: true },
          { text: "Well.", thought: true },
          { text: "" },
          { text: "Hel" },
          { text: "lo" }
        ])
      )
    ).toMatchObject({
      id: "r1",
      model: "gemini-9",
      text: "Hello",
      reasoning: "Hm. Well.",
      content: [
        { type: "reasoning", text: "Hm. Well.", provider: "acme" },
        { type: "text", text: "Hello" }
      ],
      toolCalls: [],
      refusal: "",
      finishReason: "stop",
      rawFinishReason: "STOP"
    })
  })
  it("reads tool calls and creates ids from the response id when they have none", () => {
    const decoded = read(
      responseBody([
        { functionCall: { id: "given", name: "clock", args: { zone: "UTC" } } },
        { functionCall: { name: "sun" } },
        { functionCall: { name: "sun", args: {} } }
      ])
    )
    expect(decoded.toolCalls).toEqual([
      { type: "tool-call", id: "given", name: "clock", arguments: '{"zone":"UTC"}' },
      { type: "tool-call", id: "call_r1_1", name: "sun", arguments: "{}" },
      { type: "tool-call", id: "call_r1_2", name: "sun", arguments: "{}" }
    ])
    expect(decoded.finishReason).toBe("tool-calls")
    const nameless = read({ candidates: [candidate([{ functionCall: { name: "sun" } }])] })
    expect([nameless.id, nameless.model, nameless.toolCalls[0]?.id]).toEqual(["", "asked", "call_0"])
  })
  it("reads parts in their order, each with the thought signature that it came with", () => {
    expect(
      read(
        responseBody([
          { text: "Hm.", thought: true, thoughtSignature: "s1" },
          { functionCall: { id: "a", name: "clock" }, thoughtSignature: "s2" },
          { text: "Well.", thought: true },
          { text: "One" },
          { text: " two", thoughtSignature: "s3" },
          { text: " three" },
          { functionCall: { id: "b", name: "clock" } },
          { thoughtSignature: "s4" }
        ])
      )
    ).toMatchObject({
      content: [
        { type: "reasoning", text: "Hm.", signature: "s1", provider: "acme" },
        { type: "tool-call", id: "a", name: "clock", arguments: "{}", signature: "s2", provider: "acme" },
        { type: "reasoning", text: "Well.", provider: "acme" },
        { type: "text", text: "One" },
        { type: "text", text: " two", provider: "acme", native: { gemini: { thoughtSignature: "s3" } } },
        { type: "text", text: " three" },
        { type: "tool-call", id: "b", name: "clock", arguments: "{}" },
        { type: "text", text: "", provider: "acme", native: { gemini: { thoughtSignature: "s4" } } }
      ],
      text: "One two three",
      reasoning: "Hm.Well."
    })
  })
  it("does not join texts and thoughts with signatures or other fields with those that follow", () => {
    const partMetadata = { source: "a" }
    expect(
      read(
        responseBody([
          { text: "A", thought: true },
          { text: "B", thought: true, thoughtSignature: "s1" },
          { text: "C", thought: true },
          { text: "D", thought: true, partMetadata },
          { text: "E", thought: true },
          { text: "F", partMetadata },
          { text: "G" },
          { text: "", partMetadata },
          { text: "H" },
          { text: "" },
          { text: "I", thoughtSignature: "" }
        ])
      ).content
    ).toEqual([
      { type: "reasoning", text: "AB", signature: "s1", provider: "acme" },
      { type: "reasoning", text: "C", provider: "acme" },
      { type: "reasoning", text: "D", provider: "acme", native: { gemini: { partMetadata } } },
      { type: "reasoning", text: "E", provider: "acme" },
      { type: "text", text: "F", provider: "acme", native: { gemini: { partMetadata } } },
      { type: "text", text: "G" },
      { type: "text", text: "", provider: "acme", native: { gemini: { partMetadata } } },
      { type: "text", text: "HI" }
    ])
  })
  it("keeps fields of a tool call that only Gemini has", () => {
    const part = { function_call: { name: "clock", new_field: 1 }, partMetadata: { source: "a" } }
    expect(read(responseBody([part])).content).toEqual([
      {
        type: "tool-call",
        id: "call_r1_0",
        name: "clock",
        arguments: "{}",
        provider: "acme",
        native: { gemini: { functionCall: { newField: 1 }, partMetadata: { source: "a" } } }
      }
    ])
  })
  it("reads code, built-in tools and media as provider parts in their place, and the rest as metadata", () => {
    const code = { executableCode: { language: "PYTHON", code: "1+1" } }
    const result = { codeExecutionResult: { outcome: "OUTCOME_OK", output: "2" } }
    const search = { toolCall: { id: "t1", toolType: "GOOGLE_SEARCH_WEB" }, thoughtSignature: "s1" }
    const image = { inlineData: { mimeType: "image/png", data: "AAAA" }, thoughtSignature: "s2" }
    const decoded = read(
      responseBody(
        [{ text: "It is" }, code, result, { text: "2" }, search, image, { partMetadata: { source: "a" } }],
        {
          groundingMetadata: { groundingChunks: [{ web: { uri: "https://example.com" } }] },
          citationMetadata: { citationSources: [{ uri: "https://example.org" }] },
          safetyRatings: [{ category: "HARM_CATEGORY_HARASSMENT", probability: "NEGLIGIBLE" }],
          finishMessage: "Done."
        },
        { createTime: "2026-01-01T00:00:00Z", usageMetadata: { trafficType: "ON_DEMAND" } }
      )
    )
    const providerPart = (part: object) => ({ type: "provider", native: { gemini: part }, provider: "acme" })
    expect(decoded.content).toEqual([
      { type: "text", text: "It is" },
      providerPart(code),
      providerPart(result),
      { type: "text", text: "2" },
      providerPart(search),
      providerPart(image)
    ])
    expect(decoded.providerMetadata).toEqual({
      groundingMetadata: { groundingChunks: [{ web: { uri: "https://example.com" } }] },
      citationMetadata: { citationSources: [{ uri: "https://example.org" }] },
      safetyRatings: [{ category: "HARM_CATEGORY_HARASSMENT", probability: "NEGLIGIBLE" }],
      finishMessage: "Done.",
      usage: { trafficType: "ON_DEMAND" }
    })
  })
  it("reads the candidate of index 0 and keeps the other candidates in the metadata", () => {
    const second = candidate([{ text: "B" }], { index: 1 })
    const decoded = read({ candidates: [second, candidate([{ text: "A" }])] })
    expect([decoded.text, decoded.providerMetadata]).toEqual(["A", { candidates: [second] }])
    expect(read({ candidates: [second] }).text).toBe("B")
  })
  it("reads a candidate without content", () => {
    expect(read({ candidates: [{ finishReason: "SAFETY" }] })).toMatchObject({
      text: "",
      finishReason: "content-filter"
    })
    expect(read({ candidates: [{ content: {} }] })).toMatchObject({ rawFinishReason: "", finishReason: "other" })
  })
})

describe("Gemini finish reason", () => {
  it.each([
    ["STOP", "stop"],
    ["MAX_TOKENS", "length"],
    ["SAFETY", "content-filter"],
    ["RECITATION", "content-filter"],
    ["LANGUAGE", "content-filter"],
    ["BLOCKLIST", "content-filter"],
    ["PROHIBITED_CONTENT", "content-filter"],
    ["SPII", "content-filter"],
    ["IMAGE_SAFETY", "content-filter"],
    ["IMAGE_PROHIBITED_CONTENT", "content-filter"],
    ["IMAGE_RECITATION", "content-filter"],
    ["MODEL_ARMOR", "content-filter"],
    ["NO_IMAGE", "other"],
    ["IMAGE_OTHER", "other"],
    ["OTHER", "other"],
    ["FINISH_REASON_UNSPECIFIED", "other"],
    ["ONE_THAT_IS_YET_TO_COME", "other"]
  ])("maps finishReason %s to %s", (raw, reason) => {
    const decoded = read(responseBody([{ text: "x" }], { finishReason: raw }))
    expect([decoded.finishReason, decoded.rawFinishReason]).toEqual([reason, raw])
  })
  it("reads the finish reason tool-calls for STOP with tool calls, but not for other reasons", () => {
    const reason = (finishReason: string) =>
      read(responseBody([{ functionCall: { name: "clock" } }], { finishReason })).finishReason
    expect(reason("STOP")).toBe("tool-calls")
    expect(reason("MAX_TOKENS")).toBe("length")
    expect(reason("UNEXPECTED_TOOL_CALL")).toBe("other")
  })
  it.each(["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"])(
    "rejects %s without a tool call as Malformed with Gemini's message, and reads one with a tool call",
    (finishReason) => {
      const malformed = { _tag: "Malformed", path: "candidates[0].finishReason", excerpt: finishReason }
      expect(failure(responseBody([], { finishReason }))).toEqual(malformed)
      expect(failure(responseBody([{ text: "Let me look." }], { finishReason }))).toEqual(malformed)
      expect(failure(responseBody([], { finishReason, finishMessage: "print(default_api" }))).toEqual({
        ...malformed,
        excerpt: `${finishReason}: print(default_api`
      })
      expect(read(responseBody([{ functionCall: { name: "clock" } }], { finishReason }))).toMatchObject({
        toolCalls: [{ name: "clock" }],
        finishReason: "other",
        rawFinishReason: finishReason
      })
    }
  )
  it("maps MISSING_THOUGHT_SIGNATURE to InvalidRequestError", () => {
    const decoded = failure(
      responseBody([], { finishReason: "MISSING_THOUGHT_SIGNATURE", finishMessage: "at position 2" })
    )
    expect(decoded).toEqual({
      _tag: "Reported",
      body: { error: { code: "MISSING_THOUGHT_SIGNATURE", message: "MISSING_THOUGHT_SIGNATURE: at position 2" } }
    })
    const context = { provider: "gemini", model: "m", keyId: "key-1", now: 0, mask: (text: string) => text }
    const body = decoded?._tag === "Reported" ? decoded.body : undefined
    expect(classify({ status: 200, headers: {}, body, inBand: true }, context)._tag).toBe("InvalidRequestError")
  })
})

describe("Gemini response: usage", () => {
  const usage = (usageMetadata: object) => read(responseBody([{ text: "abcdefgh" }], {}, { usageMetadata }))

  it("counts reasoning tokens as output and cached tokens as input", () => {
    const decoded = usage({
      promptTokenCount: 100,
      cachedContentTokenCount: 60,
      candidatesTokenCount: 10,
      thoughtsTokenCount: 30,
      toolUsePromptTokenCount: 5,
      totalTokenCount: 145,
      promptTokensDetails: [{ modality: "TEXT", tokenCount: 100 }]
    })
    expect(decoded.usage).toEqual({
      inputTokens: 100,
      outputTokens: 40,
      totalTokens: 145,
      cachedInputTokens: 60,
      cacheWriteTokens: 0,
      reasoningTokens: 30,
      estimated: false
    })
    expect(decoded.providerMetadata["usage"]).toEqual({
      toolUsePromptTokenCount: 5,
      promptTokensDetails: [{ modality: "TEXT", tokenCount: 100 }]
    })
  })
  it("reads a usage without candidate tokens as zero output", () => {
    expect(usage({ promptTokenCount: 14, totalTokenCount: 14 }).usage).toMatchObject({
      inputTokens: 14,
      outputTokens: 0,
      estimated: false
    })
  })
  it("estimates the usage when every count is absent", () => {
    expect(usage({ trafficType: "ON_DEMAND" }).usage).toMatchObject({
      inputTokens: 7,
      outputTokens: 2,
      estimated: true
    })
  })
})

describe("Gemini response: failures", () => {
  it("reports a blocked prompt as Reported", () => {
    expect(failure({ promptFeedback: { blockReason: "PROHIBITED_CONTENT" } })).toEqual({
      _tag: "Reported",
      body: {
        error: {
          type: "prompt_blocked",
          code: "PROHIBITED_CONTENT",
          message: "The prompt was blocked: PROHIBITED_CONTENT."
        }
      }
    })
    expect(
      failure({ candidates: [], promptFeedback: { blockReason: "OTHER", blockReasonMessage: "Not this." } })
    ).toMatchObject({ body: { error: { code: "OTHER", message: "Not this." } } })
  })
  it("reports an error body or a list with an error body as Reported", () => {
    const error = { code: 503, message: "Overloaded.", status: "UNAVAILABLE" }
    expect(failure({ error })).toEqual({ _tag: "Reported", body: { error } })
    expect(failure([{ error }])).toEqual({ _tag: "Reported", body: { error } })
  })
  it("rejects a response without candidates or of another protocol as Malformed", () => {
    expect(failure({ usageMetadata: { promptTokenCount: 1 } })).toMatchObject({ _tag: "Malformed", path: "candidates" })
    expect(failure("<html>")).toMatchObject({ _tag: "Malformed", path: "" })
    expect(failure([])).toMatchObject({ _tag: "Malformed", path: "candidates" })
    expect(failure({ candidates: [candidate([{ functionCall: { args: { a: 1 } } }])] })).toMatchObject({
      _tag: "Malformed",
      path: "candidates[0].content.parts[0].functionCall.name"
    })
  })
})

describe("Gemini stream as one JSON list", () => {
  const chunk = (text: string, fields: object = {}) => ({
    candidates: [{ content: { parts: [{ text }] }, index: 0, ...fields }],
    responseId: "r1"
  })

  it("joins the chunks of the list into one response", () => {
    expect(read([chunk("Hel"), chunk("lo"), chunk("", { finishReason: "STOP" })])).toMatchObject({
      id: "r1",
      text: "Hello",
      finishReason: "stop"
    })
  })
  it("reports Truncated when no chunk of the list has a finishReason", () => {
    expect(failure([chunk("Hel"), chunk("lo")])).toEqual({ _tag: "Truncated" })
  })
})
