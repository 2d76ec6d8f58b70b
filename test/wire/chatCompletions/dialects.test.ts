/** Dialects of the providers, as their presets define them. */
import { describe, expect, it } from "@effect/vitest"
import { Either, Option } from "effect"
import type { ChatRequest, Message } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import { presets } from "../../../src/provider/presets/chatCompletions.js"
import type { Preset } from "../../../src/provider/client.js"
import * as ChatCompletions from "../../../src/wire/ChatCompletions.js"
import { classify } from "../../../src/wire/error/classify.js"

type Provider = Preset<ChatCompletions.Dialect>

const encode = (preset: Provider, request: Partial<ChatRequest>, stream = false) =>
  ChatCompletions.make(preset.dialect).encodeRequest(
    { messages: [Chat.user("Hello")], ...request },
    { provider: preset.provider ?? "", model: "acme-1", stream }
  )

const body = (preset: Provider, request: Partial<ChatRequest>, stream = false): Record<string, unknown> =>
  Either.getOrThrowWith(encode(preset, request, stream), (failure) => new Error(JSON.stringify(failure))).body

/** The body of a request without its model and messages. */
const added = (preset: Provider, request: Partial<ChatRequest>): Record<string, unknown> => {
  const { messages: _, model: __, ...rest } = body(preset, request)
  return rest
}

const expectUnsupported = (preset: Provider, request: Partial<ChatRequest>, feature: string): void =>
  expect(encode(preset, request)).toEqual(Either.left({ _tag: "Unsupported", feature }))

const errorClassOf = (provider: string, status: number, body: unknown): string =>
  classify(
    { status, headers: {}, body, inBand: status < 300 },
    { provider, model: "acme-1", keyId: "key-1", now: 0, mask: (text) => text }
  )._tag

const tools: ReadonlyArray<Chat.ToolDefinition> = [{ name: "clock" }]

const efforts = ["none", "minimal", "low", "medium", "high", "xhigh"] as const

const effortsOf = (preset: Provider, field: string): ReadonlyArray<unknown> =>
  efforts.map((effort) => added(preset, { reasoning: { effort } })[field])

describe("Zhipu and Z.ai presets", () => {
  const platforms = [presets.zhipu, presets.zhipuCoding, presets.zai, presets.zaiCoding]

  it("writes a thinking switch and one of three efforts for Zhipu and Z.ai", () => {
    for (const preset of platforms) {
      expect(added(preset, { reasoning: {} })).toEqual({ thinking: { type: "enabled" } })
      expect(added(preset, { reasoning: { effort: "none" } })).toEqual({ thinking: { type: "disabled" } })
      expect(effortsOf(preset, "reasoning_effort")).toEqual([undefined, "low", "low", "high", "high", "max"])
    }
  })
  it("writes reasoning back as reasoning_content for Z.ai", () => {
    const reasoningPart = { type: "reasoning" as const, text: "Hm.", provider: "zai" }
    expect(
      body(presets.zai, {
        messages: [Chat.user("?"), { role: "assistant", content: [reasoningPart, Chat.text("Four.")] }]
      })
    ).toMatchObject({ messages: [{}, { role: "assistant", content: "Four.", reasoning_content: "Hm." }] })
  })
  it("rejects required tool calls as Unsupported and drops tools for choice none on Zhipu and Z.ai", () => {
    for (const preset of platforms) {
      expect(added(preset, { tools, toolChoice: "auto" })).toMatchObject({ tools: [{}], tool_choice: "auto" })
      expect(added(preset, { tools, toolChoice: "none", extra: { tools: [{ type: "web_search" }] } })).toEqual({})
      for (const toolChoice of ["required", { name: "clock" }] as const) {
        expectUnsupported(preset, { tools, toolChoice }, "required tool calls")
      }
    }
  })
  it("writes user_id, no stream_options and no JSON Schema for Zhipu", () => {
    expect(added(presets.zhipu, { user: "u-1", maxTokens: 9 })).toEqual({ user_id: "u-1", max_tokens: 9 })
    expect(body(presets.zhipu, {}, true)).not.toHaveProperty("stream_options")
    expectUnsupported(presets.zhipu, { responseFormat: { name: "n", schema: {} } }, "JSON Schema output")
    expect(added(presets.zhipu, { responseFormat: "json" })).toEqual({ response_format: { type: "json_object" } })
  })
  it("keeps web_search and content_filter of a Z.ai response in the metadata", () => {
    const source = { provider: "zai", model: "glm-4.6", estimatedInputTokens: 1 }
    const searchResults = [{ title: "A page", link: "https://example.com" }]
    const response = ChatCompletions.make(presets.zai.dialect).decodeResponse(
      {
        choices: [{ message: { role: "assistant", content: "" }, finish_reason: "sensitive" }],
        web_search: searchResults,
        content_filter: [{ role: "user", level: 1 }]
      },
      source
    )
    expect(Either.getOrThrow(response)).toMatchObject({
      finishReason: "content-filter",
      rawFinishReason: "sensitive",
      providerMetadata: { web_search: searchResults, content_filter: [{ role: "user", level: 1 }] }
    })
  })
  it("maps numeric and string error codes of Zhipu and Z.ai to the same errors", () => {
    for (const provider of ["zhipu", "zhipu-coding", "zai", "zai-coding"]) {
      for (const [code, expected] of [
        [1000, "AuthenticationError"],
        [1113, "QuotaExceededError"],
        [1211, "ModelNotFoundError"],
        [1214, "InvalidRequestError"],
        [1222, "InvalidRequestError"],
        [1261, "ContextLengthError"],
        [1301, "ContentFilterError"],
        [1302, "RateLimitError"],
        [1234, "ProviderUnavailableError"]
      ] as const) {
        for (const form of [code, String(code)]) {
          expect(errorClassOf(provider, 400, { error: { code: form, message: "…" } })).toBe(expected)
          expect(errorClassOf(provider, 200, { error: { code: form, message: "…" } })).toBe(expected)
        }
      }
    }
  })
})

describe("Perplexity preset", () => {
  const { perplexity } = presets
  const messages = (messages: ReadonlyArray<Message>) => body(perplexity, { messages })["messages"]

  it("moves system messages to the beginning and merges consecutive messages of one role for Perplexity", () => {
    expect(
      messages([
        Chat.user("One."),
        Chat.system("Be brief."),
        Chat.user("Two?"),
        Chat.assistant("Three."),
        Chat.assistant("Four."),
        { role: "developer", content: "Be kind." },
        Chat.user("Five?")
      ])
    ).toEqual([
      { role: "system", content: "Be brief." },
      { role: "system", content: "Be kind." },
      { role: "user", content: "One.\n\nTwo?" },
      { role: "assistant", content: "Three.\n\nFour." },
      { role: "user", content: "Five?" }
    ])
  })
  it("merges text and parts of one role and keeps every tool call for Perplexity", () => {
    const call = (id: string) => Chat.toolCall(id, "clock", "{}")
    expect(
      messages([
        Chat.user("See:"),
        Chat.user([Chat.image("https://example.com/a.png")]),
        Chat.assistant("", [call("a")]),
        Chat.assistant("", [call("b")]),
        Chat.toolResult("a", "1"),
        Chat.toolResult("b", "2")
      ])
    ).toMatchObject([
      { role: "user", content: [{ type: "text", text: "See:" }, { type: "image_url" }] },
      { role: "assistant", content: null, tool_calls: [{ id: "a" }, { id: "b" }] },
      { role: "tool", tool_call_id: "a" },
      { role: "tool", tool_call_id: "b" }
    ])
  })
  it("merges assistant messages with their parts in order and an empty line between their texts", () => {
    const reasoning = (text: string) => ({ type: "reasoning" as const, text, provider: "perplexity" })
    const call = Chat.toolCall("a", "clock", "{}")
    const turns = [Chat.assistant([reasoning("Hm."), Chat.text("A.")]), Chat.assistant("B.", [call])]
    expect(messages(turns)).toMatchObject([{ role: "assistant", content: "A.\n\nB.", tool_calls: [{ id: "a" }] }])
    const encoded = ChatCompletions.client({ alternate: true, history: "thinking-parts" }).encodeRequest(
      { messages: turns.toReversed() },
      { provider: "perplexity", model: "m", stream: false }
    )
    expect(Either.getOrThrow(encoded).body["messages"]).toMatchObject([
      {
        content: [
          { type: "text", text: "B." },
          { type: "text", text: "\n\n" },
          { type: "thinking" },
          { type: "text", text: "A." }
        ],
        tool_calls: [{ id: "a" }]
      }
    ])
  })
  it("keeps the user's name when all merged messages have the same one", () => {
    const ann = (content: string) => ({ role: "user" as const, content, name: "Ann" })
    expect(messages([ann("a"), ann("b")])).toEqual([{ role: "user", content: "a\n\nb", name: "Ann" }])
    expect(messages([ann("a"), Chat.user("b")])).toEqual([{ role: "user", content: "a\n\nb" }])
  })
  it("does not merge consecutive messages for other presets", () => {
    const twice = [Chat.user("One."), Chat.user("Two?")]
    expect(body(presets.openai, { messages: twice })["messages"]).toEqual([
      { role: "user", content: "One." },
      { role: "user", content: "Two?" }
    ])
  })
  it("rejects tools and schemaless JSON as Unsupported for Perplexity and accepts a schema", () => {
    expectUnsupported(perplexity, { tools }, "tools")
    expectUnsupported(perplexity, { responseFormat: "json" }, "JSON output without a schema")
    expect(added(perplexity, { responseFormat: { name: "n", schema: { type: "object" } } })).toMatchObject({
      response_format: { type: "json_schema" }
    })
    expect(added(perplexity, { tools: [], toolChoice: "auto", user: "u-1" })).toEqual({})
  })
  it("has no embeddings, no model list and no stream_options for Perplexity", () => {
    const wire = ChatCompletions.make(perplexity.dialect)
    expect(wire).not.toHaveProperty("embeddings")
    expect(wire).not.toHaveProperty("models")
    expect(body(perplexity, {}, true)).not.toHaveProperty("stream_options")
  })
  it("keeps citations, search results, questions and images of Perplexity in the metadata", () => {
    const metadata = {
      citations: ["https://example.com/a"],
      search_results: [{ title: "A", url: "https://example.com/a" }],
      related_questions: ["And B?"],
      images: [{ image_url: "https://example.com/a.png" }]
    }
    const response = ChatCompletions.make(perplexity.dialect).decodeResponse(
      { ...metadata, choices: [{ message: { role: "assistant", content: "A.[1]" }, finish_reason: "stop" }] },
      { provider: "perplexity", model: "sonar", estimatedInputTokens: 1 }
    )
    expect(Either.getOrThrow(response).providerMetadata).toEqual(metadata)
  })
  it("maps Perplexity's invalid_message error to InvalidRequestError", () => {
    const error = { error: { message: "… should alternate with …", type: "invalid_message", code: 400 } }
    expect(errorClassOf("perplexity", 400, error)).toBe("InvalidRequestError")
  })
})

describe("reasoning settings of the presets", () => {
  it("writes efforts from none to high for xAI", () => {
    expect(effortsOf(presets.xai, "reasoning_effort")).toEqual(["none", "low", "low", "medium", "high", "high"])
  })
  it("writes only the efforts none and high for Mistral", () => {
    expect(effortsOf(presets.mistral, "reasoning_effort")).toEqual(["none", "high", "high", "high", "high", "high"])
  })
  it("writes a reasoning switch and an effort for Together", () => {
    expect(added(presets.together, { reasoning: {} })).toEqual({ reasoning: { enabled: true } })
    expect(added(presets.together, { reasoning: { budgetTokens: 0 } })).toEqual({ reasoning: { enabled: false } })
    expect(added(presets.together, { reasoning: { effort: "xhigh" } })).toEqual({
      reasoning: { enabled: true },
      reasoning_effort: "high"
    })
    expect(added(presets.together, { reasoning: { summary: "auto" } })).toEqual({})
  })
  it("writes the effort of a reasoning budget for DeepSeek and Moonshot", () => {
    for (const preset of [presets.deepseek, presets.moonshot]) {
      expect(added(preset, { reasoning: { budgetTokens: 100 } })).toEqual({
        thinking: { type: "enabled" },
        reasoning_effort: "low"
      })
    }
    expect(effortsOf(presets.moonshot, "reasoning_effort")).toEqual([undefined, "low", "low", "high", "high", "max"])
  })
  it("writes every effort unchanged for OpenRouter", () => {
    expect(effortsOf(presets.openrouter, "reasoning")).toEqual(efforts.map((effort) => ({ effort })))
  })
  it("writes reasoning_format parsed and the model's own efforts for Groq", () => {
    const addedFor = (model: string, request: Partial<ChatRequest>) => added(presets.groq, { model, ...request })
    expect(addedFor("qwen/qwen3-32b", {})).toEqual({ reasoning_format: "parsed" })
    expect(addedFor("qwen/qwen3-32b", { reasoning: { effort: "none" } })).toEqual({
      reasoning_format: "parsed",
      reasoning_effort: "none"
    })
    expect(addedFor("qwen/qwen3-32b", { reasoning: { effort: "high" } })).toMatchObject({ reasoning_effort: "default" })
    expect(addedFor("openai/gpt-oss-120b", {})).toEqual({})
    expect(addedFor("openai/gpt-oss-120b", { reasoning: { effort: "xhigh" } })).toEqual({ reasoning_effort: "high" })
    expect(addedFor("llama-3.3-70b-versatile", {})).toEqual({})
  })
})

describe("tool result images of the presets", () => {
  it("keeps tool result images in the result for Mistral and OpenRouter and moves them to a user message elsewhere", () => {
    const result: Chat.Message = { role: "tool", toolCallId: "a", content: [Chat.image("https://example.com/a.png")] }
    const rolesOf = (preset: Provider) => {
      const { messages } = body(preset, { messages: [result] })
      return Array.isArray(messages) ? messages.map(({ role }) => role) : []
    }
    for (const preset of [presets.mistral, presets.openrouter]) expect(rolesOf(preset)).toEqual(["tool"])
    for (const preset of [presets.openai, presets.azure, presets.vllm, presets.groq]) {
      expect(rolesOf(preset)).toEqual(["tool", "user"])
    }
  })
})

describe("required tool calls of DeepSeek and Moonshot", () => {
  const thinkingPresets = [presets.deepseek, presets.moonshot]

  it("turns thinking off when a tool call is required", () => {
    for (const preset of thinkingPresets) {
      for (const toolChoice of ["required", { name: "clock" }] as const) {
        for (const reasoning of [{}, { reasoning: { summary: "auto" } }, { reasoning: { effort: "none" } }] as const) {
          expect(added(preset, { tools, toolChoice, ...reasoning })).toMatchObject({ thinking: { type: "disabled" } })
        }
      }
    }
  })
  it("rejects a required tool call with a reasoning effort as Unsupported", () => {
    for (const preset of thinkingPresets) {
      expectUnsupported(
        preset,
        { tools, toolChoice: "required", reasoning: { effort: "low" } },
        "required tool calls with reasoning"
      )
    }
  })
  it("leaves the thinking setting unchanged when the tool choice is auto", () => {
    for (const preset of thinkingPresets) {
      expect(added(preset, { tools, toolChoice: "auto" })).not.toHaveProperty("thinking")
      expect(added(preset, { tools, reasoning: {} })).toMatchObject({ thinking: { type: "enabled" } })
    }
  })
})

describe("user names of the presets", () => {
  const named: Message = { role: "user", content: "Hello", name: "Ann" }
  it("rejects names of user messages as Unsupported for Groq and Mistral", () => {
    for (const preset of [presets.groq, presets.mistral]) {
      expectUnsupported(preset, { messages: [named] }, "name of a user message")
      expect(body(preset, {})["messages"]).toEqual([{ role: "user", content: "Hello" }])
    }
  })
  it("drops the user field for Mistral and keeps it for Groq", () => {
    expect(added(presets.mistral, { user: "u-1" })).toEqual({})
    expect(added(presets.groq, { user: "u-1" })).toEqual({ user: "u-1" })
  })
})

describe("refusals and audio of earlier answers of the presets", () => {
  const messages = (preset: Provider): unknown =>
    body(preset, {
      messages: [
        Chat.user("?"),
        Chat.assistant([
          { type: "refusal", text: "No." },
          {
            type: "provider",
            provider: preset.provider ?? "",
            native: { "chat-completions": { message: { audio: { id: "audio_1" } } } }
          }
        ])
      ]
    })["messages"]

  it("writes both fields for the providers that document them, and a refusal as text for all others", () => {
    for (const preset of [presets.openai, presets.azure, presets.openrouter]) {
      expect(messages(preset)).toEqual([
        { role: "user", content: "?" },
        { role: "assistant", content: null, refusal: "No.", audio: { id: "audio_1" } }
      ])
    }
    expect(messages(presets.azureDeployments)).toMatchObject([{}, { content: null, refusal: "No." }])
    for (const preset of [presets.mistral, presets.groq, presets.vllm, presets.dashscope, presets.perplexity]) {
      expect(messages(preset)).toEqual([
        { role: "user", content: "?" },
        { role: "assistant", content: "No." }
      ])
    }
  })
})

describe("embeddings of the presets", () => {
  const wireOf = (preset: Provider) => ChatCompletions.make(preset.dialect).embeddings
  it("limits embedding batches to the size that each provider allows", () => {
    const batches = Object.entries(presets).map(([name, preset]) => [name, wireOf(preset)?.maxBatch])
    expect(Object.fromEntries(batches)).toEqual({
      openai: 2048,
      azure: 2048,
      azureDeployments: 2048,
      deepseek: undefined,
      openrouter: 256,
      xai: 256,
      groq: undefined,
      mistral: 256,
      together: 256,
      perplexity: undefined,
      zhipu: 64,
      zhipuCoding: 64,
      zai: 64,
      zaiCoding: 64,
      moonshot: undefined,
      dashscope: 10,
      dashscopeIntl: 10,
      ollama: 256,
      ollamaCloud: 256,
      vllm: 256,
      lmStudio: 256
    })
    expect(wireOf(presets.mistral)?.maxBatchTokens).toBe(16_000)
  })
  it("writes dimensions and user of embeddings under each provider's field names", () => {
    const embeddingRequest = (preset: Provider) =>
      Option.fromNullable(wireOf(preset)).pipe(
        Option.flatMap((wire) =>
          Either.getRight(
            wire.encodeRequest(
              { input: ["a"], dimensions: 8, user: "u-1" },
              { provider: preset.provider ?? "", model: "e-1" }
            )
          )
        ),
        Option.getOrUndefined
      )
    expect(embeddingRequest(presets.mistral)).toEqual({
      path: "/embeddings",
      body: { model: "e-1", input: ["a"], output_dimension: 8 }
    })
    for (const preset of [presets.zhipu, presets.dashscope, presets.openrouter]) {
      expect(embeddingRequest(preset)).toEqual({
        path: "/embeddings",
        body: { model: "e-1", input: ["a"], dimensions: 8, user: "u-1" }
      })
    }
  })
})

describe("tool call ids of the presets", () => {
  const ids = ["abcDEF123", "call_PTLP8xhu3uwZk4l3nlnrrJha", "toolu_01A09q90qw90lq917835lq9", "turn1_0", "turn1_1"]
  const messages: ReadonlyArray<Message> = [
    Chat.assistant(
      "",
      ids.map((id) => Chat.toolCall(id, "clock", "{}"))
    ),
    ...ids.map((id) => Chat.toolResult(id, "noon"))
  ]
  const writtenIds = (preset: Provider) => {
    const json = JSON.stringify(body(preset, { messages }).messages)
    return {
      calls: Array.from(json.matchAll(/\{"id":"([^"]+)"/g), ([, id]) => id),
      results: Array.from(json.matchAll(/"tool_call_id":"([^"]+)"/g), ([, id]) => id)
    }
  }

  it("rewrites tool call ids to nine letters and digits for Mistral, the same in call and result and distinct per call", () => {
    const { calls, results } = writtenIds(presets.mistral)
    expect(calls).toEqual(results)
    expect(new Set(calls).size).toBe(ids.length)
    for (const id of calls) expect(id).toMatch(/^[a-zA-Z0-9]{9}$/)
    expect(calls[0]).toBe(ids[0])
  })

  it("keeps tool call ids unchanged for OpenAI", () => {
    expect(writtenIds(presets.openai)).toEqual({ calls: ids, results: ids })
  })
})
