import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { ReasoningPart } from "../../../src/vocabulary/Chat.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Responses from "../../../src/wire/Responses.js"
import type { WireResponse } from "../../../src/wire/Wire.js"

const wire = Responses.make()
const source = { provider: "acme", model: "acme-1", estimatedInputTokens: 7 }

const responseBody = (fields: Record<string, unknown>): Record<string, unknown> => ({
  id: "resp_1",
  object: "response",
  status: "completed",
  error: null,
  incomplete_details: null,
  model: "acme-1-2026",
  output: [],
  usage: { input_tokens: 5, output_tokens: 3, total_tokens: 8 },
  ...fields
})

const message = (...content: ReadonlyArray<unknown>) => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  status: "completed",
  content
})

const text = (value: string, annotations: ReadonlyArray<unknown> = []) => ({
  type: "output_text",
  text: value,
  annotations,
  logprobs: []
})

const answered = (fields: Record<string, unknown>) => ({ provider: "acme", native: { responses: fields } })

const summary = (value: string) => ({ type: "summary_text", text: value })

const read = (fields: Record<string, unknown>): WireResponse =>
  Either.getOrThrowWith(
    wire.decodeResponse(responseBody(fields), source),
    (failure) => new Error(JSON.stringify(failure))
  )

const failure = (body: unknown): unknown =>
  Either.match(wire.decodeResponse(body, source), { onLeft: (left) => left, onRight: () => undefined })

describe("Responses response", () => {
  it("joins the text of all messages and reads refusals apart", () => {
    expect(
      read({ output: [message(text("Hel"), text("lo")), message(text("."), { type: "refusal", refusal: "No." })] })
    ).toMatchObject({
      id: "resp_1",
      model: "acme-1-2026",
      text: "Hello.",
      refusal: "No.",
      finishReason: "stop",
      rawFinishReason: "completed"
    })
  })
  it("reads function and custom tool calls under their call_id", () => {
    expect(
      read({
        output: [
          { type: "function_call", id: "fc_1", call_id: "call_1", name: "f", arguments: '{"a":1}' },
          { type: "function_call", id: "fc_2", call_id: "call_2", name: "g", arguments: "" },
          { type: "function_call", id: "fc_3", name: "h" },
          { type: "custom_tool_call", id: "ctc_1", call_id: "call_4", name: "sql", input: "SELECT 1" }
        ]
      })
    ).toMatchObject({
      finishReason: "tool-calls",
      rawFinishReason: "completed",
      toolCalls: [
        { type: "tool-call", id: "call_1", name: "f", arguments: '{"a":1}', ...answered({ id: "fc_1" }) },
        { type: "tool-call", id: "call_2", name: "g", arguments: "{}", ...answered({ id: "fc_2" }) },
        { type: "tool-call", id: "fc_3", name: "h", arguments: "{}", ...answered({ id: "fc_3" }) },
        {
          type: "tool-call",
          id: "call_4",
          name: "sql",
          arguments: "SELECT 1",
          custom: true,
          ...answered({ id: "ctc_1" })
        }
      ]
    })
  })
  it("reads items in their order: reasoning and tool calls in turn, texts and refusals with the fields of their message", () => {
    const { content } = read({
      output: [
        { ...message(text("I call.")), phase: "commentary" },
        { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "one" },
        { type: "function_call", id: "fc_1", call_id: "call_1", name: "f", arguments: "{}", status: "completed" },
        { type: "reasoning", id: "rs_2", summary: [], encrypted_content: "two", status: "completed" },
        { type: "function_call", id: "fc_2", call_id: "call_2", name: "g", arguments: "{}", namespace: "n" },
        { ...message(text("Done."), { type: "refusal", refusal: "No." }), id: "msg_2", phase: "final_answer" }
      ]
    })
    const final = { id: "msg_2", status: "completed", phase: "final_answer" }
    expect(content).toEqual([
      {
        type: "text",
        text: "I call.",
        ...answered({ message: { id: "msg_1", status: "completed", phase: "commentary" } })
      },
      { type: "reasoning", text: "", id: "rs_1", provider: "acme", signature: "one" },
      {
        type: "tool-call",
        id: "call_1",
        name: "f",
        arguments: "{}",
        ...answered({ id: "fc_1", status: "completed" })
      },
      { type: "reasoning", text: "", id: "rs_2", signature: "two", ...answered({ status: "completed" }) },
      { type: "tool-call", id: "call_2", name: "g", arguments: "{}", ...answered({ id: "fc_2", namespace: "n" }) },
      { type: "text", text: "Done.", ...answered({ message: final }) },
      { type: "refusal", text: "No.", ...answered({ message: final }) }
    ])
  })
  it.each(["shell_call", "apply_patch_call", "computer_call", "mcp_approval_request", "compaction"])(
    "reads a %s item as a provider part in its place",
    (type) => {
      const item = { type, id: "x_1", status: "completed", call_id: "call_1" }
      const { content } = read({ output: [message(text("Before.")), item, message(text("After."))] })
      expect(content.map((part) => (part.type === "text" ? part.text : part))).toEqual([
        "Before.",
        { type: "provider", ...answered({ item }) },
        "After."
      ])
    }
  )
  it("reads the summaries and text of reasoning items, with encrypted_content on the last part of each item", () => {
    expect(
      read({
        output: [
          { type: "reasoning", id: "rs_1", summary: [summary("One."), summary("Two.")], encrypted_content: "sealed" },
          { type: "reasoning", id: "rs_2", summary: [], content: [{ type: "reasoning_text", text: "Three." }] },
          { type: "reasoning", id: "rs_3", summary: [], encrypted_content: "hidden" }
        ]
      })
    ).toMatchObject({
      reasoning: "One.Two.Three.",
      content: [
        { text: "One.", id: "rs_1", format: "reasoning.summary", provider: "acme" },
        { text: "Two.", id: "rs_1", format: "reasoning.summary", provider: "acme", signature: "sealed" },
        { text: "Three.", id: "rs_2", format: "reasoning.text", provider: "acme" },
        { text: "", id: "rs_3", provider: "acme", signature: "hidden" }
      ]
    })
  })
  it("reads the content of a reasoning item before its summary", () => {
    const both = { summary: [summary("In short.")], content: [{ type: "reasoning_text", text: "At length." }] }
    expect(read({ output: [{ type: "reasoning", id: "rs_1", ...both }] }).content).toMatchObject([
      { text: "At length.", format: "reasoning.text" },
      { text: "In short.", format: "reasoning.summary" }
    ] satisfies ReadonlyArray<Partial<ReasoningPart>>)
  })
  it("keeps other items in their places, and annotations and log probabilities with their text", () => {
    const cited = { type: "url_citation", url: "https://example.com" }
    const logprobs = [{ token: "a", logprob: -0.5 }]
    const search = { type: "web_search_call", id: "ws_1", status: "completed" }
    const unknown = { type: "from_the_future", id: "x" }
    const message_1 = { id: "msg_1", status: "completed" }
    expect(read({ output: [search, message(text("a", [cited]), { ...text("b"), logprobs }), unknown] })).toMatchObject({
      content: [
        { type: "provider", ...answered({ item: search }) },
        { type: "text", text: "a", ...answered({ annotations: [cited], message: message_1 }) },
        { type: "text", text: "b", ...answered({ logprobs, message: message_1 }) },
        { type: "provider", ...answered({ item: unknown }) }
      ],
      providerMetadata: {}
    })
  })
  it("keeps unknown fields of the response and of its usage in the metadata", () => {
    expect(
      read({
        output: [message(text("a"))],
        service_tier: "default",
        moderation: null,
        temperature: 1,
        usage: { input_tokens: 1, output_tokens: 1, cost: 0.5 }
      }).providerMetadata
    ).toEqual({ service_tier: "default", usage: { cost: 0.5 } })
  })
})

describe("Responses finish reason", () => {
  const finishReasonsOf = (fields: Record<string, unknown>) => {
    const { finishReason, rawFinishReason } = read(fields)
    return [finishReason, rawFinishReason]
  }
  it("maps an incomplete response to the reason in incomplete_details", () => {
    const call = { type: "function_call", call_id: "c", name: "f", arguments: '{"a' }
    expect(
      finishReasonsOf({ status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, output: [call] })
    ).toEqual(["length", "max_output_tokens"])
    expect(finishReasonsOf({ status: "incomplete", incomplete_details: { reason: "content_filter" } })).toEqual([
      "content-filter",
      "content_filter"
    ])
    expect(finishReasonsOf({ status: "incomplete", incomplete_details: { reason: "novel" } })).toEqual([
      "other",
      "novel"
    ])
    expect(finishReasonsOf({ status: "incomplete", incomplete_details: null })).toEqual(["other", "incomplete"])
    expect(finishReasonsOf({ status: "incomplete", incomplete_details: { reason: "pause_turn" } })).toEqual([
      "pause",
      "pause_turn"
    ])
  })
  it("maps queued, in_progress and cancelled responses to other", () => {
    expect(finishReasonsOf({ status: "queued", output: undefined })).toEqual(["other", "queued"])
    expect(finishReasonsOf({ status: "in_progress" })).toEqual(["other", "in_progress"])
    expect(finishReasonsOf({ status: "cancelled" })).toEqual(["other", "cancelled"])
  })
  it("maps a response without a status to stop", () => {
    expect(finishReasonsOf({ status: undefined })).toEqual(["stop", ""])
  })
})

describe("Responses response: usage", () => {
  it("reads cached, cache write and reasoning tokens of Responses usage", () => {
    expect(
      read({
        usage: {
          input_tokens: 100,
          input_tokens_details: { cached_tokens: 60, cache_write_tokens: 30 },
          output_tokens: 20,
          output_tokens_details: { reasoning_tokens: 15 },
          total_tokens: 120
        }
      }).usage
    ).toEqual({
      inputTokens: 100,
      outputTokens: 20,
      totalTokens: 120,
      cachedInputTokens: 60,
      cacheWriteTokens: 30,
      reasoningTokens: 15,
      estimated: false
    })
  })
  it("estimates the usage when the response has none", () => {
    expect(read({ usage: null, output: [message(text("twelve words"))] }).usage).toEqual(
      Usage.make({ inputTokens: 7, outputTokens: 2, estimated: true })
    )
  })
})

describe("Responses response: failures", () => {
  it("reports Responses errors under status 200 as Reported", () => {
    const error = { code: "server_error", message: "Sorry." }
    expect(failure(responseBody({ status: "failed", error }))).toEqual({ _tag: "Reported", body: { error } })
    expect(failure({ error: "Sorry." })).toEqual({ _tag: "Reported", body: { error: "Sorry." } })
    expect(failure(responseBody({ status: "failed" }))).toMatchObject({ _tag: "Reported" })
  })
  it("rejects an invalid Responses response as Malformed with the path of the field", () => {
    expect(failure("Hello")).toMatchObject({ _tag: "Malformed", path: "" })
    expect(failure({ choices: [] })).toMatchObject({ _tag: "Malformed", path: "output" })
    expect(failure(responseBody({ output: ["x"] }))).toMatchObject({ _tag: "Malformed", path: "output[0]" })
    expect(failure(responseBody({ output: [{ type: "function_call", call_id: "c" }] }))).toMatchObject({
      _tag: "Malformed",
      path: "output[0].name"
    })
  })
})
