import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { ChatRequest } from "../../../src/vocabulary/Chat.js"
import * as Anthropic from "../../../src/wire/Anthropic.js"
import type { Address, WireFailure } from "../../../src/wire/Wire.js"

const wire = Anthropic.make()

type Json = Readonly<Record<string, unknown>>

const question = { role: "user", content: "Hello" }

const requestBody = (fields: Json): Json => ({ model: "claude-1", max_tokens: 9, messages: [question], ...fields })

const read = (fields: Json): ChatRequest =>
  Either.getOrThrowWith(wire.decodeRequest(requestBody(fields)), (failure) => new Error(JSON.stringify(failure)))
    .request

const failure = (body: unknown): WireFailure | undefined =>
  Either.match(wire.decodeRequest(body), { onLeft: (left) => left, onRight: () => undefined })

const messages = (...turns: ReadonlyArray<Json>): unknown => read({ messages: turns }).messages

/** Fields that only Anthropic has. */
const native = (fields: Record<string, unknown>) => ({ native: { "anthropic-messages": fields } })

describe("Anthropic server request", () => {
  it("reads every field of a request, and puts unknown ones into extra", () => {
    expect(
      wire.decodeRequest({
        model: "claude-1",
        max_tokens: 100,
        system: "Be brief.",
        messages: [question],
        temperature: 0.5,
        top_p: 0.9,
        top_k: 5,
        stop_sequences: ["END"],
        metadata: { user_id: "u1" },
        service_tier: "auto",
        thinking: null,
        stream: true
      })
    ).toEqual(
      Either.right({
        request: {
          model: "claude-1",
          messages: [{ role: "system", content: "Be brief." }, question],
          temperature: 0.5,
          topP: 0.9,
          maxTokens: 100,
          stop: ["END"],
          user: "u1",
          topK: 5,
          extra: { service_tier: "auto" }
        },
        stream: true
      })
    )
  })

  it("reads the model from a Google Vertex path", () => {
    const body = { anthropic_version: "vertex-2023-10-16", max_tokens: 9, messages: [question] }
    const models = [
      "/models/claude-opus-4%401:rawPredict",
      "/models/claude-1:streamRawPredict",
      "/models/claude-1"
    ].map((path) => Either.map(wire.decodeRequest(body, { path, headers: {} }), ({ request }) => request.model))
    expect(models).toEqual([Either.right("claude-opus-4@1"), Either.right("claude-1"), Either.right(undefined)])
  })

  it("reads system blocks, system messages and mid_conv_system blocks as system messages", () => {
    const lateSystem = { role: "system", content: [{ type: "text", text: "Be kind." }] }
    const inside = {
      role: "user",
      content: [
        { type: "text", text: "?" },
        { type: "mid_conv_system", content: [{ type: "text", text: "Be quick." }] }
      ]
    }
    const system = [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral", ttl: "1h" } }]
    expect(read({ system, messages: [question, lateSystem, inside] }).messages).toEqual([
      { role: "system", content: [{ type: "text", text: "Be brief.", cacheControl: { ttl: "1h" } }] },
      question,
      { role: "system", content: [{ type: "text", text: "Be kind." }] },
      { role: "user", content: [{ type: "text", text: "?" }] },
      { role: "system", content: [{ type: "text", text: "Be quick." }] }
    ])
  })
  it("reads images and documents of every source type", () => {
    const source = (fields: Json) => ({ type: "document", source: fields })
    expect(
      messages({
        role: "user",
        content: [
          { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" }, cache_control: null },
          { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
          { ...source({ type: "base64", media_type: "application/pdf", data: "AAAA" }), title: "a.pdf" },
          source({ type: "url", url: "https://example.com/a.pdf" }),
          source({ type: "text", media_type: "text/plain", data: "Grüße" }),
          { ...source({ type: "file", file_id: "file_1" }), title: null, citations: { enabled: false } }
        ]
      })
    ).toEqual([
      {
        role: "user",
        content: [
          { type: "image", url: "data:image/png;base64,AAAA" },
          { type: "image", url: "https://example.com/a.png" },
          { type: "file", url: "data:application/pdf;base64,AAAA", filename: "a.pdf" },
          { type: "file", url: "https://example.com/a.pdf" },
          { type: "file", url: "data:text/plain;base64,R3LDvMOfZQ==" },
          { type: "file", fileId: "file_1", ...native({ citations: { enabled: false } }) }
        ]
      }
    ])
  })
  it("reads thinking blocks, tool calls and tool results, with each result as a message of its own", () => {
    expect(
      messages(
        question,
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "Hm.", signature: "sig" },
            { type: "redacted_thinking", data: "sealed" },
            { type: "text", text: "Let me see." },
            { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Rome" } },
            { type: "tool_use", id: "toolu_2", name: "now" }
          ]
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "toolu_1", content: "sunny", cache_control: { type: "ephemeral" } },
            {
              type: "tool_result",
              tool_use_id: "toolu_2",
              content: [{ type: "text", text: "late" }],
              is_error: true
            },
            { type: "tool_result", tool_use_id: "toolu_3" },
            { type: "text", text: "Hurry!" }
          ]
        },
        { role: "assistant", content: [{ type: "text", text: "It is" }] }
      )
    ).toEqual([
      question,
      {
        role: "assistant",
        content: [
          { type: "reasoning", text: "Hm.", signature: "sig", ...native({}) },
          { type: "reasoning", text: "", signature: "sealed", format: "redacted_thinking", ...native({}) },
          { type: "text", text: "Let me see." },
          { type: "tool-call", id: "toolu_1", name: "weather", arguments: '{"city":"Rome"}' },
          { type: "tool-call", id: "toolu_2", name: "now", arguments: "{}" }
        ]
      },
      { role: "tool", toolCallId: "toolu_1", content: "sunny", cacheControl: {} },
      { role: "tool", toolCallId: "toolu_2", content: [{ type: "text", text: "late" }], isError: true },
      { role: "tool", toolCallId: "toolu_3", content: "" },
      { role: "user", content: [{ type: "text", text: "Hurry!" }] },
      { role: "assistant", content: [{ type: "text", text: "It is" }] }
    ])
  })
  it("reads the blocks of an assistant message as parts in their place, with the fields that only Anthropic has", () => {
    const search = { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} }
    const citations = [{ type: "page_location" }]
    const caller = { type: "direct" }
    const toolUse = { type: "tool_use", name: "now", input: {} }
    const toolCall = { type: "tool-call", name: "now", arguments: "{}" }
    expect(
      messages(question, {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "A", signature: "a" },
          { ...toolUse, id: "toolu_1", caller },
          { type: "thinking", thinking: "", signature: "" },
          search,
          { type: "text", text: "Rain.", citations },
          { type: "thinking", thinking: "B", signature: "b" },
          { ...toolUse, id: "toolu_2" }
        ]
      })
    ).toEqual([
      question,
      {
        role: "assistant",
        content: [
          { type: "reasoning", text: "A", signature: "a", ...native({}) },
          { ...toolCall, id: "toolu_1", ...native({ caller }) },
          { type: "provider", ...native(search) },
          { type: "text", text: "Rain.", ...native({ citations }) },
          { type: "reasoning", text: "B", signature: "b", ...native({}) },
          { ...toolCall, id: "toolu_2" }
        ]
      }
    ])
  })
  it("reads the client's tools and keeps provider tools in extra", () => {
    const search = { type: "web_search_20250305", name: "web_search" }
    const tool = { name: "a", input_schema: { type: "object" }, cache_control: { type: "ephemeral", ttl: "5m" } }
    const { extra, tools } = read({ tools: [{ ...tool, type: "custom", description: "A.", strict: true }, search] })
    expect(tools).toEqual([
      { name: "a", description: "A.", strict: true, parameters: { type: "object" }, cacheControl: { ttl: "5m" } }
    ])
    expect(extra).toEqual({ tools: [search] })
    expect(read({ tools: [search] }).tools).toBeUndefined()
  })
  it.each<readonly [Json, Partial<ChatRequest>]>([
    [{ type: "auto" }, { toolChoice: "auto" }],
    [
      { type: "any", disable_parallel_tool_use: true },
      { toolChoice: "required", parallelToolCalls: false }
    ],
    [{ type: "tool", name: "a" }, { toolChoice: { name: "a" } }],
    [{ type: "none" }, { toolChoice: "none" }],
    [{ type: "yet_to_come" }, { extra: { tool_choice: { type: "yet_to_come" } } }]
  ])("reads tool_choice %j", (choice, expected) => {
    expect(read({ tool_choice: choice })).toEqual({
      model: "claude-1",
      maxTokens: 9,
      messages: [question],
      ...expected
    })
  })
  it.each<readonly [Json, Pick<ChatRequest, "reasoning" | "extra">]>([
    [{ thinking: { type: "enabled", budget_tokens: 2000 } }, { reasoning: { budgetTokens: 2000 } }],
    [{ thinking: { type: "disabled" } }, { reasoning: { effort: "none" } }],
    [
      { thinking: { type: "disabled" }, output_config: { effort: "high" } },
      { reasoning: { effort: "none" }, extra: { output_config: { effort: "high" } } }
    ],
    [
      { thinking: { type: "enabled", budget_tokens: 2000, display: "summarized" } },
      { reasoning: { budgetTokens: 2000, summary: "auto" } }
    ],
    [{ thinking: { type: "adaptive" } }, { reasoning: {} }],
    [{ thinking: { type: "adaptive", display: "summarized" } }, { reasoning: { summary: "auto" } }],
    [
      { thinking: { type: "adaptive", display: "omitted" } },
      { reasoning: {}, extra: { thinking: { type: "adaptive", display: "omitted" } } }
    ],
    [
      { thinking: { type: "between_tools" } },
      { reasoning: { effort: "none" }, extra: { thinking: { type: "between_tools" } } }
    ],
    [{ thinking: { type: "yet_to_come" } }, { extra: { thinking: { type: "yet_to_come" } } }],
    [{ output_config: { effort: "low" } }, { reasoning: { effort: "low" } }],
    [{ thinking: { type: "adaptive" }, output_config: { effort: "max" } }, { reasoning: { effort: "max" } }],
    [
      { output_config: { effort: "low", task_budget: 5 } },
      { reasoning: { effort: "low" }, extra: { output_config: { effort: "low", task_budget: 5 } } }
    ]
  ])("reads the reasoning settings %j", (fields, expected) => {
    const { extra, reasoning } = read(fields)
    expect({ extra, reasoning }).toEqual({ extra: undefined, reasoning: undefined, ...expected })
  })
  it("reads the response schema from output_config.format and from output_format", () => {
    const schema = { title: "count", type: "object" }
    const format = { type: "json_schema", schema }
    expect(read({ output_config: { format } }).responseFormat).toEqual({ name: "count", schema })
    expect(read({ output_format: format }).responseFormat).toEqual({ name: "count", schema })
    expect(read({ output_config: { format: { type: "json_schema", schema: {} } } }).responseFormat).toEqual({
      name: "response",
      schema: {}
    })
  })
  it("reads betas from the anthropic-beta header and from the body", () => {
    const headers = { "anthropic-beta": ["a-1, b-1", "c-1"] }
    const betas = (fields: Json, address?: Address) =>
      Either.getOrThrow(wire.decodeRequest(requestBody(fields), address)).request.extra
    expect(betas({}, { path: "/v1/messages", headers })).toEqual({ betas: ["a-1", "b-1", "c-1"] })
    expect(betas({ betas: ["d-1"] }, { path: "/v1/messages", headers: { "anthropic-beta": "a-1" } })).toEqual({
      betas: ["d-1", "a-1"]
    })
    expect(betas({}, { path: "/v1/messages", headers: {} })).toBeUndefined()
  })
  it("rejects an invalid Anthropic request as Malformed with the path of the field", () => {
    const path = (fields: Json) => {
      const left = failure(requestBody(fields))
      return left?._tag === "Malformed" ? left.path : left
    }
    expect(failure("Hello")).toMatchObject({ _tag: "Malformed", path: "" })
    expect(path({ messages: "Hello" })).toBe("messages")
    expect(path({ messages: [] })).toBe("messages")
    expect(path({ messages: ["Hello"] })).toBe("messages[0]")
    expect(path({ messages: [{ role: "robot", content: "?" }] })).toBe("messages[0].role")
    expect(path({ messages: [{ role: "user" }] })).toBe("messages[0].content")
    expect(path({ messages: [{ role: "user", content: [{}] }] })).toBe("messages[0].content[0].type")
    expect(path({ messages: [{ role: "assistant", content: [7] }] })).toBe("messages[0].content[0]")
    expect(
      path({
        messages: [
          {
            role: "assistant",
            content: [
              { type: "text", text: "" },
              { type: "tool_use", id: "" }
            ]
          }
        ]
      })
    ).toBe("messages[0].content[1].id")
    expect(path({ messages: [{ role: "user", content: [{ type: "image" }] }] })).toBe(
      "messages[0].content[0].source.type"
    )
    expect(path({ messages: [question, { role: "user", content: [{ type: "tool_result" }] }] })).toBe(
      "messages[1].content[0].tool_use_id"
    )
    expect(path({ max_tokens: 0 })).toBe("max_tokens")
    expect(path({ stop_sequences: "END" })).toBe("stop_sequences")
    expect(path({ tools: {} })).toBe("tools")
    expect(path({ tools: [{ name: "" }] })).toBe("tools[0].name")
    expect(path({ stream: "yes" })).toBe("stream")
  })
  it.each<readonly [string, { readonly role: string; readonly content: readonly [Json] }]>([
    ["content block server_tool_use", { role: "assistant", content: [{ type: "server_tool_use" }] }],
    ["content block search_result", { role: "user", content: [{ type: "search_result" }] }],
    ["image by file id", { role: "user", content: [{ type: "image", source: { type: "file", file_id: "f" } }] }],
    ["document of content blocks", { role: "user", content: [{ type: "document", source: { type: "content" } }] }],
    [
      "citations of a document",
      { role: "user", content: [{ type: "document", citations: { enabled: true }, source: { type: "url" } }] }
    ],
    [
      "context of a document",
      { role: "user", content: [{ type: "document", context: "Old.", source: { type: "url" } }] }
    ]
  ])("keeps a block that only Anthropic has as a native part: %s", (_, message) => {
    const [block] = message.content
    expect(messages(question, message)).toEqual([
      question,
      { role: message.role, content: [{ type: "provider", ...native(block) }] }
    ])
  })
})
