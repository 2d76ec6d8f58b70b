/** The reasoning of earlier turns that each preset sends back, with the models that it serves. */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as FastCheck from "fast-check"
import { presets as anthropic } from "../../../src/provider/presets/anthropic.js"
import { presets } from "../../../src/provider/presets/chatCompletions.js"
import { presets as dashscope } from "../../../src/provider/presets/dashscope.js"
import { presets as gemini } from "../../../src/provider/presets/gemini.js"
import { presets as ollama } from "../../../src/provider/presets/ollama.js"
import { presets as responses } from "../../../src/provider/presets/responses.js"
import type { Preset } from "../../../src/provider/client.js"
import type { ChatRequest, Message, ReasoningPart } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as Anthropic from "../../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../../src/wire/ChatCompletions.js"
import * as DashScope from "../../../src/wire/DashScope.js"
import * as Gemini from "../../../src/wire/Gemini.js"
import * as Ollama from "../../../src/wire/Ollama.js"
import * as Responses from "../../../src/wire/Responses.js"
import type { ClientWire } from "../../../src/wire/Wire.js"
import { chatRequest } from "../generators.js"

type Provider = Preset<ChatCompletions.Dialect>

const encode = (preset: Provider, model: string, request: ChatRequest) =>
  ChatCompletions.client(preset.dialect).encodeRequest(request, {
    provider: preset.provider ?? "",
    model,
    stream: false
  })

const body = (preset: Provider, model: string, request: ChatRequest): Record<string, unknown> =>
  Either.getOrThrowWith(encode(preset, model, request), (failure) => new Error(JSON.stringify(failure))).body

const reasoning = (text: string, provider?: string): ReasoningPart => ({
  type: "reasoning",
  text,
  ...(provider === undefined ? {} : { provider })
})

const clock = (id: string): Chat.ToolCall => Chat.toolCall(id, "clock", "{}")

const written = (id: string) => ({ id, type: "function", function: { name: "clock", arguments: "{}" } })

/** A finished tool loop with its answer, and one that goes on; each step has its reasoning. */
const conversation = (provider?: string): ReadonlyArray<Message> => [
  Chat.user("How late is it?"),
  Chat.assistant([reasoning("I need the clock.", provider), clock("a")]),
  Chat.toolResult("a", "noon"),
  { role: "assistant", content: [reasoning("That is the answer.", provider), Chat.text("Noon.")] },
  Chat.user("And now?"),
  Chat.assistant([reasoning("Again.", provider), Chat.text("I look."), clock("b")]),
  Chat.toolResult("b", "one"),
  Chat.assistant([reasoning("Once more.", provider), clock("c")]),
  Chat.toolResult("c", "two")
]

/** The same as a body, with other fields of the four assistant messages. */
const conversationWith = (fields: readonly [object, object, object, object]) => [
  { role: "user", content: "How late is it?" },
  { role: "assistant", content: null, ...fields[0], tool_calls: [written("a")] },
  { role: "tool", tool_call_id: "a", content: "noon" },
  { role: "assistant", content: "Noon.", ...fields[1] },
  { role: "user", content: "And now?" },
  { role: "assistant", content: "I look.", ...fields[2], tool_calls: [written("b")] },
  { role: "tool", tool_call_id: "b", content: "one" },
  { role: "assistant", content: null, ...fields[3], tool_calls: [written("c")] },
  { role: "tool", tool_call_id: "c", content: "two" }
]

const texts = ["I need the clock.", "That is the answer.", "Again.", "Once more."] as const

const field = (name: string) => (text: string) => ({ [name]: text })

const all = (name: string) => {
  const [first, second, third, fourth] = texts
  const named = field(name)
  return conversationWith([named(first), named(second), named(third), named(fourth)])
}

const loopOnly = (name: string) => {
  const [, , third, fourth] = texts
  return conversationWith([{}, {}, field(name)(third), field(name)(fourth)])
}

const none = conversationWith([{}, {}, {}, {}])

/** One tool loop without any reasoning. */
const unreasoned: ReadonlyArray<Message> = [
  Chat.user("How late is it?"),
  Chat.assistant("", [clock("a")]),
  Chat.toolResult("a", "noon"),
  Chat.assistant("Noon."),
  Chat.user("Thanks.")
]

const unreasonedWith = (fields: object) => [
  { role: "user", content: "How late is it?" },
  { role: "assistant", content: null, ...fields, tool_calls: [written("a")] },
  { role: "tool", tool_call_id: "a", content: "noon" },
  { role: "assistant", content: "Noon." },
  { role: "user", content: "Thanks." }
]

describe("reasoning history of DeepSeek and Moonshot", () => {
  const strict = [
    ["deepseek-v4-pro", presets.deepseek],
    ["deepseek-flash", presets.deepseek],
    ["kimi-k2.6", presets.moonshot],
    ["kimi-k2-thinking", presets.moonshot]
  ] as const

  it.each(strict)("sends the reasoning of all turns back as reasoning_content: %s", (model, preset) => {
    expect(body(preset, model, { messages: conversation(preset.provider) })).toEqual({
      model,
      messages: all("reasoning_content")
    })
  })
  it.each(strict)("sends an empty reasoning_content for tool calls without reasoning: %s", (model, preset) => {
    expect(body(preset, model, { messages: unreasoned })).toEqual({
      model,
      messages: unreasonedWith({ reasoning_content: "" })
    })
  })
  it.each(strict)("sends no empty reasoning_content when the request switches reasoning off: %s", (model, preset) => {
    const off = { model, messages: unreasonedWith({}), thinking: { type: "disabled" } }
    expect(body(preset, model, { messages: unreasoned, reasoning: { effort: "none" } })).toMatchObject(off)
    const tools = [{ name: "clock" }]
    const forced = body(preset, model, { messages: unreasoned, tools, toolChoice: "required" })
    expect(forced["messages"]).toEqual(unreasonedWith({}))
  })
  it("sends an empty reasoning_content with DeepSeek V4 and Kimi K2 at every provider of that field", () => {
    const provider: Provider = { provider: "acme", dialect: { history: "reasoning_content" } }
    for (const model of ["deepseek-ai/DeepSeek-V4-Pro", "Pro/moonshotai/Kimi-K2.5"]) {
      expect(body(provider, model, { messages: unreasoned })["messages"]).toEqual(
        unreasonedWith({ reasoning_content: "" })
      )
    }
    for (const model of ["qwen-plus", "deepseek-r1", "moonshot-v1-8k"]) {
      expect(body(provider, model, { messages: unreasoned })["messages"]).toEqual(unreasonedWith({}))
    }
  })
})

describe("reasoning history of hosts of open models", () => {
  const hosts = [presets.vllm, presets.together, presets.ollama, presets.ollamaCloud, presets.lmStudio].map(
    (preset) => [preset.provider, preset] as const
  )

  const interleaved = [
    "openai/gpt-oss-120b",
    "gpt-oss:20b",
    "MiniMaxAI/MiniMax-M2",
    "MiniMaxAI/MiniMax-M2.7",
    "minimax-m3:cloud",
    "moonshotai/Kimi-K2-Thinking",
    "moonshotai/Kimi-K2.6",
    "kimi-k3",
    "zai-org/GLM-4.6",
    "glm-5.1:cloud"
  ]

  it.each(hosts)("sends the reasoning of the open tool loop back as reasoning: %s", (_, preset) => {
    for (const model of interleaved) {
      expect(body(preset, model, { messages: conversation(preset.provider) })).toEqual({
        model,
        messages: loopOnly("reasoning")
      })
    }
  })
  it.each(hosts)("sends no reasoning back to other models: %s", (_, preset) => {
    for (const model of ["meta-llama/Llama-3.3-70B", "moonshotai/Kimi-K2-Instruct", "THUDM/glm-4-9b", "MiniMax-M1"]) {
      expect(body(preset, model, { messages: conversation(preset.provider) })).toEqual({ model, messages: none })
    }
  })
  it("sends reasoning back as reasoning only to gpt-oss on Groq, whose other models may reject it", () => {
    const messages = conversation("groq")
    expect(body(presets.groq, "openai/gpt-oss-120b", { messages })).toEqual({
      model: "openai/gpt-oss-120b",
      messages: loopOnly("reasoning")
    })
    for (const model of ["moonshotai/kimi-k2-instruct-0905", "llama-3.3-70b-versatile", "qwen/qwen3-32b"]) {
      expect(body(presets.groq, model, { messages })["messages"]).toEqual(none)
    }
  })
  it("sends the reasoning of the open tool loop back as reasoning_content on xAI", () => {
    expect(body(presets.xai, "grok-4", { messages: conversation("xai") })).toEqual({
      model: "grok-4",
      messages: loopOnly("reasoning_content")
    })
  })
  it("does not end a tool loop with the attachments of its results", () => {
    const picture = Chat.image(Uint8Array.from([1]), { mediaType: "image/png" })
    const sent = body(presets.vllm, "openai/gpt-oss-20b", {
      messages: [
        Chat.user("Look."),
        Chat.assistant([reasoning("I look.", "vllm"), clock("a")]),
        { role: "tool", toolCallId: "a", content: [picture] }
      ]
    })
    expect(sent["messages"]).toMatchObject([
      { role: "user" },
      { role: "assistant", reasoning: "I look." },
      { role: "tool" },
      { role: "user" }
    ])
  })
  it("keeps the signatures of tool calls that no rule of reasoning covers", () => {
    const signed: Chat.ToolCall = { ...clock("a"), signature: "sig", provider: "vllm" }
    const messages: ReadonlyArray<Message> = [
      Chat.user("?"),
      Chat.assistant([reasoning("Hm.", "vllm"), signed]),
      Chat.toolResult("a", "noon"),
      Chat.user("Thanks.")
    ]
    expect(body(presets.vllm, "some-model", { messages })["messages"]).toMatchObject([
      {},
      {
        role: "assistant",
        content: null,
        tool_calls: [{ ...written("a"), extra_content: { google: { thought_signature: "sig" } } }]
      },
      {},
      {}
    ])
  })
})

describe("MiniMax preset", () => {
  const source = { provider: "minimax", model: "MiniMax-M2.7", estimatedInputTokens: 0 }

  const detail = {
    type: "reasoning.text",
    id: "reasoning-text-1",
    format: "MiniMax-response-v1",
    index: 0,
    text: "I need the clock."
  }

  const answered = {
    id: "1",
    model: "MiniMax-M2.7",
    choices: [
      {
        index: 0,
        finish_reason: "tool_calls",
        message: {
          role: "assistant",
          content: "",
          reasoning_content: detail.text,
          reasoning_details: [detail],
          tool_calls: [written("a")]
        }
      }
    ],
    base_resp: { status_code: 0, status_msg: "" }
  }

  it("requests reasoning apart from the text and sends reasoning_details back as they came", () => {
    const wire = ChatCompletions.client(presets.minimax.dialect)
    const answer = Either.getOrThrowWith(
      wire.decodeResponse(answered, source),
      (failure) => new Error(JSON.stringify(failure))
    )
    expect(answer.reasoning).toBe(detail.text)
    const messages: ReadonlyArray<Message> = [
      Chat.user("How late is it?"),
      Chat.toMessage(answer),
      Chat.toolResult("a", "noon"),
      Chat.user("Thanks.")
    ]
    expect(body(presets.minimax, "MiniMax-M2.7", { messages, maxTokens: 9, reasoning: { effort: "high" } })).toEqual({
      model: "MiniMax-M2.7",
      max_completion_tokens: 9,
      reasoning_split: true,
      messages: [
        { role: "user", content: "How late is it?" },
        { role: "assistant", content: null, reasoning_details: [detail], tool_calls: [written("a")] },
        { role: "tool", tool_call_id: "a", content: "noon" },
        { role: "user", content: "Thanks." }
      ]
    })
  })
  it("switches thinking only for MiniMax M3 and later", () => {
    const thinking = (model: string, settings: Partial<ChatRequest>) => {
      const {
        messages: _,
        model: __,
        ...rest
      } = body(presets.minimax, model, { messages: [Chat.user("?")], ...settings })
      return rest
    }
    expect(thinking("MiniMax-M3", {})).toEqual({ reasoning_split: true })
    expect(thinking("MiniMax-M3", { reasoning: { summary: "auto" } })).toEqual({ reasoning_split: true })
    for (const on of [{}, { effort: "low" }, { budgetTokens: 100 }] as const) {
      expect(thinking("MiniMax-M3", { reasoning: on })).toEqual({
        reasoning_split: true,
        thinking: { type: "adaptive" }
      })
    }
    for (const off of [{ effort: "none" }, { budgetTokens: 0 }] as const) {
      expect(thinking("MiniMax-M3", { reasoning: off })).toEqual({
        reasoning_split: true,
        thinking: { type: "disabled" }
      })
      expect(thinking("MiniMax-M2.5", { reasoning: off })).toEqual({ reasoning_split: true })
    }
  })
  it("rejects required tool calls and JSON output as Unsupported on MiniMax", () => {
    const request: ChatRequest = { messages: [Chat.user("?")], tools: [{ name: "clock" }] }
    const unsupported = (feature: string) => Either.left({ _tag: "Unsupported", feature })
    expect(encode(presets.minimax, "MiniMax-M2", { ...request, toolChoice: "required" })).toEqual(
      unsupported("required tool calls")
    )
    expect(encode(presets.minimax, "MiniMax-M2", { ...request, responseFormat: "json" })).toEqual(
      unsupported("JSON output without a schema")
    )
  })
})

/** A model of each family, and one that no rule knows. */
const models = [
  "gpt-5",
  "gpt-oss-120b",
  "MiniMax-M2",
  "kimi-k2.5",
  "glm-4.6",
  "grok-4",
  "deepseek-v4-pro",
  "qwen-plus",
  "magistral-medium-latest",
  "some-model"
]

const named = Object.entries<Provider>(presets)

describe("reasoning of another provider", () => {
  const foreign: ReadonlyArray<ReasoningPart> = [
    {
      ...reasoning("Theirs.", "elsewhere"),
      signature: "their-signature",
      id: "their-id",
      format: "reasoning.text/theirs"
    },
    { ...reasoning("", "elsewhere"), signature: "their-secret", format: "reasoning.encrypted/theirs" }
  ]

  const call: Chat.ToolCall = {
    ...clock("a"),
    signature: "their-call",
    provider: "elsewhere",
    native: { "chat-completions": { field: "their-field" } }
  }

  const request: ChatRequest = {
    messages: [
      Chat.user("How late is it?"),
      Chat.assistant([...foreign, Chat.text("I look."), call]),
      Chat.toolResult("a", "noon")
    ]
  }

  /** The presets that accept a text of any author, with the models that get it. */
  const accepting: Readonly<Record<string, RegExp>> = {
    deepseek: /./,
    moonshot: /./,
    zhipu: /./,
    zhipuCoding: /./,
    zai: /./,
    zaiCoding: /./,
    dashscope: /./,
    dashscopeIntl: /./,
    mistral: /./,
    xai: /grok/,
    groq: /gpt-oss/,
    together: /gpt-oss|MiniMax|kimi|glm/,
    ollama: /gpt-oss|MiniMax|kimi|glm/,
    ollamaCloud: /gpt-oss|MiniMax|kimi|glm/,
    vllm: /gpt-oss|MiniMax|kimi|glm/,
    lmStudio: /gpt-oss|MiniMax|kimi|glm/
  }

  it.each(named)("never reaches a provider that rejects it: %s", (name, preset) => {
    for (const model of models) {
      const sent = JSON.stringify(
        body(preset, model, preset.dialect?.tools === false ? withoutTools(request) : request)
      )
      expect(sent).toContain("I look.")
      expect(sent).not.toMatch(/their-|reasoning\.(?:text|encrypted)|elsewhere/)
      expect([model, sent.includes("Theirs.")]).toEqual([model, accepting[name]?.test(model) === true])
    }
  })

  /** The wire of each preset of another protocol, and whether it accepts a text of any author. */
  const others = [
    ...Object.entries<Preset<Anthropic.Dialect>>(anthropic).map(
      ([name, { dialect }]) => [`anthropic-messages, ${name}`, Anthropic.client(dialect), false] as const
    ),
    ...Object.entries<Preset<Gemini.Dialect>>(gemini).map(
      ([name, { dialect }]) => [`gemini, ${name}`, Gemini.client(dialect), false] as const
    ),
    ...Object.entries<Preset<Responses.Dialect>>(responses).map(
      ([name, { dialect }]) => [`responses, ${name}`, Responses.client(dialect), false] as const
    ),
    ...Object.entries<Preset<Ollama.Dialect>>(ollama).map(
      ([name, { dialect }]) => [`ollama, ${name}`, Ollama.client(dialect), true] as const
    ),
    ...Object.entries<Preset<DashScope.Dialect>>(dashscope).map(
      ([name, { dialect }]) => [`dashscope, ${name}`, DashScope.make(dialect), true] as const
    )
  ]

  it.each<[string, ClientWire, boolean]>(others.map(([name, wire, accepts]) => [name, wire, accepts]))(
    "never reaches a provider that rejects it, in the other protocols: %s",
    (_, wire, accepts) => {
      const encoded = wire.encodeRequest(request, { provider: "here", model: "some-model", stream: false })
      const sent = JSON.stringify(Either.getOrThrowWith(encoded, (failure) => new Error(JSON.stringify(failure))).body)
      expect(sent).toContain("I look.")
      expect(sent).not.toMatch(/their-|elsewhere/)
      expect(sent.includes("Theirs.")).toBe(accepts)
    }
  )
})

const withoutCalls = (content: Chat.AssistantMessage["content"]) =>
  typeof content === "string" ? content : content.filter((part) => part.type !== "tool-call")

/** The request without calls and results. */
const withoutTools = ({ messages }: ChatRequest): ChatRequest => ({
  messages: messages.flatMap((message) =>
    message.role === "tool"
      ? []
      : [message.role === "assistant" ? { ...message, content: withoutCalls(message.content) } : message]
  )
})

describe("laws of reasoning history", () => {
  const withoutReasoning = (request: ChatRequest): ChatRequest => ({
    ...request,
    messages: request.messages.map((message) =>
      message.role === "assistant" && typeof message.content !== "string"
        ? { ...message, content: message.content.filter((part) => part.type !== "reasoning") }
        : message
    )
  })

  /** The messages without an empty reasoning. */
  const withoutEmpty = (messages: unknown): unknown =>
    JSON.parse(
      JSON.stringify(messages, (key, value: unknown) =>
        key === "reasoning_content" && value === "" ? undefined : value
      )
    )

  it.each(named)("changes nothing in a request without reasoning: %s", (_, preset) => {
    const without: Provider = { ...preset, dialect: { ...preset.dialect, history: "none" } }
    FastCheck.assert(
      FastCheck.property(chatRequest("acme"), FastCheck.constantFrom(...models), (generated, model) => {
        const { messages } = withoutReasoning(generated)
        const sent = Either.map(encode(preset, model, { messages }), ({ body }) => withoutEmpty(body))
        expect(sent).toEqual(Either.map(encode(without, model, { messages }), ({ body }) => withoutEmpty(body)))
      }),
      { numRuns: 30 }
    )
  })
  it("sends an empty reasoning_content only with tool calls, and only where a rule requires it", () => {
    FastCheck.assert(
      FastCheck.property(
        chatRequest("acme"),
        FastCheck.constantFrom(...named),
        FastCheck.constantFrom(...models),
        (generated, [name, preset], model) => {
          const { messages } = withoutReasoning(generated)
          const strict =
            name === "deepseek" || (preset.dialect?.history === "reasoning_content" && /deepseek-v4|kimi-k/.test(model))
          const calls = messages.filter(
            (each) => each.role === "assistant" && Chat.toolCallsOf(each.content).length > 0
          ).length
          const sent = Either.match(encode(preset, model, { messages }), {
            onLeft: () => undefined,
            onRight: ({ body }) => JSON.stringify(body).split('"reasoning_content":""').length - 1
          })
          expect([undefined, strict && name !== "xai" ? calls : 0]).toContain(sent)
        }
      )
    )
  })
})
