import { describe, expect, it } from "@effect/vitest"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as DashScope from "../../support/dashscope.js"
import type { WireResponse } from "../../../src/wire/Wire.js"
import { failureOf, getOrThrow, source } from "../roundTrips.js"

const wire = DashScope.make()

const usage = { input_tokens: 5, output_tokens: 3, total_tokens: 8 }

const read = (body: Record<string, unknown>): WireResponse =>
  getOrThrow(wire.decodeResponse({ request_id: "r-1", usage, ...body }, source))

const readMessage = (message: Record<string, unknown>, choice: Record<string, unknown> = {}): WireResponse =>
  read({
    output: { choices: [{ finish_reason: "stop", message: { role: "assistant", content: "", ...message }, ...choice }] }
  })

describe("DashScope response", () => {
  it("reads text, reasoning, id and usage, and takes the requested model", () => {
    expect(readMessage({ content: "Four.", reasoning_content: "Two and two." })).toEqual({
      id: "r-1",
      model: "asked",
      content: [
        { type: "reasoning", text: "Two and two.", provider: "acme" },
        { type: "text", text: "Four." }
      ],
      text: "Four.",
      reasoning: "Two and two.",
      refusal: "",
      toolCalls: [],
      finishReason: "stop",
      rawFinishReason: "stop",
      usage: Usage.make({ inputTokens: 5, outputTokens: 3, totalTokens: 8 }),
      providerMetadata: {}
    })
  })
  it("reads a text output of older models and ignores empty fields next to the choices", () => {
    expect(read({ output: { text: "Four.", finish_reason: "length" } })).toMatchObject({
      text: "Four.",
      finishReason: "length"
    })
    // Alibaba's own clients write every field into every response.
    expect(
      read({
        code: "",
        message: "",
        output: { text: null, finish_reason: null, choices: [{ finish_reason: "stop", message: { content: "Four." } }] }
      })
    ).toMatchObject({ text: "Four.", finishReason: "stop" })
  })
  it("joins text parts and keeps other parts in the metadata", () => {
    const image = { image: "https://example.com/a.png" }
    expect(readMessage({ content: [{ text: "Fo" }, image, { text: "ur." }] })).toMatchObject({
      text: "Four.",
      providerMetadata: { content: [image] }
    })
  })
  it("reads tool calls of one index as separate calls and creates missing ids", () => {
    const call = (id: string, args: unknown) => ({
      id,
      index: 0,
      type: "function",
      function: { name: "clock", arguments: args }
    })
    expect(
      readMessage(
        { content: "Let me see.", tool_calls: [call("a", '{"zone":"UTC"}'), call("", ""), call("c", { zone: 1 })] },
        { finish_reason: "tool_calls" }
      )
    ).toMatchObject({
      text: "Let me see.",
      finishReason: "tool-calls",
      rawFinishReason: "tool_calls",
      toolCalls: [
        { type: "tool-call", id: "a", name: "clock", arguments: '{"zone":"UTC"}' },
        { type: "tool-call", id: "call_1", name: "clock", arguments: "{}" },
        { type: "tool-call", id: "c", name: "clock", arguments: '{"zone":1}' }
      ]
    })
  })
  it("reads cached, cache write and reasoning tokens, and keeps other counts in the metadata", () => {
    const counted = read({
      output: { text: "", finish_reason: "stop" },
      usage: {
        input_tokens: 50,
        output_tokens: 30,
        prompt_tokens_details: { cached_tokens: 20, cache_creation_input_tokens: 10 },
        output_tokens_details: { reasoning_tokens: 25, text_tokens: 5 },
        image_tokens: 40,
        video_tokens: null
      }
    })
    expect(counted.usage).toEqual(
      Usage.make({
        inputTokens: 50,
        outputTokens: 30,
        cachedInputTokens: 20,
        cacheWriteTokens: 10,
        reasoningTokens: 25
      })
    )
    expect(counted.providerMetadata).toEqual({ usage: { image_tokens: 40 } })
    expect(read({ output: { text: "12345678", finish_reason: "stop" }, usage: {} }).usage).toEqual(
      Usage.make({ inputTokens: source.estimatedInputTokens, outputTokens: 3, estimated: true })
    )
  })
  it("keeps search_info, logprobs and further choices in the metadata", () => {
    const search_info = { search_results: [{ url: "https://example.com" }] }
    const second = { index: 1, finish_reason: "stop", message: { content: "Vier." } }
    const first = { index: 0, finish_reason: "stop", message: { content: "Four." }, logprobs: { content: [] } }
    expect(read({ output: { choices: [second, first], search_info } })).toMatchObject({
      text: "Four.",
      providerMetadata: { search_info, logprobs: { content: [] }, choices: [second] }
    })
  })
  it("reports a DashScope error body as Reported and rejects other bodies as Malformed", () => {
    const failure = (body: unknown) => failureOf(wire.decodeResponse(body, source))
    const error = { code: "InvalidParameter", message: "No.", request_id: "r-1" }
    expect(failure(error)).toEqual({ _tag: "Reported", body: error })
    expect(failure({ message: "No." })).toEqual({ _tag: "Reported", body: { message: "No." } })
    expect(failure({ request_id: "r-1" })).toMatchObject({ _tag: "Malformed", path: "output" })
    expect(failure({ output: { task_id: "t" } })).toMatchObject({ _tag: "Malformed", path: "output.choices" })
    expect(failure("<html>")).toMatchObject({ _tag: "Malformed", path: "" })
  })
})
