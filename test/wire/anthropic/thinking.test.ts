import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { AssistantMessage, ChatRequest, Message, ReasoningPart } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as Anthropic from "../../../src/wire/Anthropic.js"

const encode = (model: string, request: Partial<ChatRequest>, dialect?: Partial<Anthropic.Dialect>) =>
  Anthropic.make(dialect).encodeRequest(
    { messages: [Chat.user("Hello")], tools: [{ name: "f" }], ...request },
    { provider: "acme", model, stream: false }
  )

const body = (model: string, request: Partial<ChatRequest>, dialect?: Partial<Anthropic.Dialect>) =>
  Either.getOrThrowWith(encode(model, request, dialect), (failure) => new Error(JSON.stringify(failure))).body

const thinking = (model: string, request: Partial<ChatRequest>, dialect?: Partial<Anthropic.Dialect>) => {
  const { output_config, thinking } = body(model, request, dialect)
  return [thinking, output_config]
}

const unsupportedFeature = (
  model: string,
  request: Partial<ChatRequest>,
  dialect?: Partial<Anthropic.Dialect>
): unknown =>
  Either.match(encode(model, request, dialect), {
    onLeft: (failure) => (failure._tag === "Unsupported" ? failure.feature : failure),
    onRight: () => undefined
  })

const enabled = (budget: number) => ({ type: "enabled", budget_tokens: budget })
const adaptive = { type: "adaptive" }

describe("Anthropic model rules", () => {
  it.each([
    ["claude-3-haiku-20240307", 4096],
    ["claude-3-5-sonnet-latest", 8192],
    ["claude-3-7-sonnet@20250219", 64_000],
    ["claude-opus-4-20250514", 32_000],
    ["claude-opus-4-1", 32_000],
    ["claude-sonnet-4-0", 64_000],
    ["anthropic/claude-sonnet-4.5", 64_000],
    ["claude-haiku-4-5-20251001", 64_000],
    ["claude-opus-4-5", 64_000],
    ["us.anthropic.claude-opus-4-6-v1", 128_000],
    ["claude-opus-4-7", 128_000],
    ["claude-fable-5", 128_000],
    ["claude-sonnet-5", 128_000],
    ["claude-opus-12", 128_000],
    ["glm-4.6", 8192]
  ])("sends for %s a default max_tokens of %d", (model, most) => {
    expect(body(model, {})["max_tokens"]).toBe(most)
  })
})

describe("Anthropic reasoning settings", () => {
  const high: Partial<ChatRequest> = { reasoning: { effort: "high" } }
  const none: Partial<ChatRequest> = { reasoning: { effort: "none" } }
  it.each<readonly [string, Partial<ChatRequest>, unknown, unknown]>([
    // Models with a budget.
    ["claude-sonnet-4-5", {}, undefined, undefined],
    ["claude-sonnet-4-5", { reasoning: { effort: "minimal" } }, enabled(1024), undefined],
    ["claude-sonnet-4-5", high, enabled(16_384), undefined],
    ["claude-sonnet-4-5", { reasoning: {} }, enabled(8192), undefined],
    ["claude-sonnet-4-5", { reasoning: { budgetTokens: 5000 } }, enabled(5000), undefined],
    ["claude-sonnet-4-5", { reasoning: { budgetTokens: 0 } }, { type: "disabled" }, undefined],
    ["claude-sonnet-4-5", none, { type: "disabled" }, undefined],
    ["claude-opus-4-5", high, enabled(16_384), { effort: "high" }],
    // The budget is below max_tokens and at least the minimum.
    ["claude-sonnet-4-5", { reasoning: { budgetTokens: 5 } }, enabled(1024), undefined],
    ["claude-sonnet-4-5", { ...high, maxTokens: 10_000 }, enabled(8000), undefined],
    ["claude-sonnet-4-5", { ...high, maxTokens: 1100 }, enabled(1024), undefined],
    ["claude-sonnet-4-5", { ...high, maxTokens: 1024 }, undefined, undefined],
    ["claude-sonnet-4-5", { maxTokens: 3000, reasoning: { budgetTokens: 2999 } }, enabled(2999), undefined],
    ["claude-sonnet-4-5", { maxTokens: 3000, reasoning: { budgetTokens: 3000 } }, enabled(2400), undefined],
    // Models with adaptive thinking.
    ["claude-sonnet-4-6", high, adaptive, { effort: "high" }],
    ["claude-sonnet-4-6", { reasoning: { effort: "xhigh" } }, adaptive, { effort: "max" }],
    ["claude-sonnet-4-6", { reasoning: { effort: "low", budgetTokens: 5000 } }, enabled(5000), { effort: "low" }],
    ["claude-opus-4-8", { reasoning: { effort: "xhigh" } }, adaptive, { effort: "xhigh" }],
    ["claude-opus-4-8", { reasoning: { effort: "minimal" } }, adaptive, { effort: "low" }],
    ["claude-opus-4-8", { reasoning: { budgetTokens: 5000 } }, adaptive, { effort: "medium" }],
    ["claude-opus-5", { reasoning: { summary: "concise" } }, { type: "adaptive", display: "summarized" }, undefined],
    ["claude-opus-5", none, { type: "disabled" }, undefined],
    // Models that cannot turn thinking off.
    ["claude-sonnet-5-5", none, { type: "between_tools" }, undefined],
    ["claude-opus-5-5", none, undefined, { effort: "low" }],
    ["claude-fable-5", none, undefined, { effort: "low" }],
    ["claude-mythos-preview", { reasoning: { budgetTokens: 5000 } }, enabled(5000), undefined],
    ["claude-mythos-preview", none, undefined, { effort: "low" }],
    // Models without thinking.
    ["claude-3-5-haiku-latest", high, undefined, undefined],
    ["claude-3-5-haiku-latest", none, undefined, undefined]
  ])("writes thinking and output_config for %s with %j", (model, request, expectedThinking, expectedOutput) => {
    expect(thinking(model, request)).toEqual([expectedThinking, expectedOutput])
  })
  it("writes the effort and the response schema into one output_config", () => {
    const responseFormat = { name: "a", schema: { type: "object" } }
    expect(body("claude-opus-5", { ...high, responseFormat })["output_config"]).toMatchObject({
      effort: "high",
      format: { type: "json_schema" }
    })
  })
})

describe("Anthropic limits of reasoning requests", () => {
  const lowEffort: Partial<ChatRequest> = { reasoning: { effort: "low" } }
  it("rejects temperature, top_k and a low top_p as Unsupported when reasoning is on", () => {
    expect(unsupportedFeature("claude-sonnet-4-5", { ...lowEffort, temperature: 0.5 })).toBe(
      "temperature with thinking enabled"
    )
    expect(unsupportedFeature("claude-sonnet-4-5", { ...lowEffort, topP: 0.5 })).toBe(
      "top_p below 0.95 with thinking enabled"
    )
    expect(unsupportedFeature("claude-sonnet-4-5", { ...lowEffort, topK: 5 })).toBe("topK with thinking enabled")
    expect(unsupportedFeature("claude-sonnet-4-5", { ...lowEffort, temperature: 1, topP: 0.95 })).toBeUndefined()
    expect(unsupportedFeature("claude-sonnet-4-5", { reasoning: { effort: "none" }, temperature: 0.5 })).toBeUndefined()
  })
  it("drops the thinking budget when a tool call is required", () => {
    expect(thinking("claude-sonnet-4-5", { ...lowEffort, toolChoice: "required" })).toEqual([undefined, undefined])
    expect(thinking("claude-opus-5", { ...lowEffort, toolChoice: { name: "f" } })).toEqual([
      undefined,
      { effort: "low" }
    ])
    expect(thinking("claude-sonnet-4-5", { ...lowEffort, toolChoice: "auto" })[0]).toEqual(enabled(2048))
  })
  it("sends the excluded combinations when modelLimits is off", () => {
    const lenient = { modelLimits: false }
    const request: Partial<ChatRequest> = { ...lowEffort, temperature: 0.5, toolChoice: "required" }
    expect(thinking("claude-sonnet-4-5", request, lenient)[0]).toEqual(enabled(2048))
    expect(body("claude-opus-5-5", request, lenient)["temperature"]).toBe(0.5)
  })
})

describe("Anthropic limits of single models", () => {
  it("rejects temperature, top_p, top_k and required tool calls as Unsupported for models without them", () => {
    expect(unsupportedFeature("claude-opus-4-7", { temperature: 0 })).toBe("temperature")
    expect(unsupportedFeature("claude-sonnet-5", { topP: 0.9 })).toBe("top_p")
    expect(unsupportedFeature("claude-sonnet-5", { topK: 5 })).toBe("topK")
    expect(unsupportedFeature("claude-sonnet-4-5", { topK: 5 })).toBeUndefined()
    expect(unsupportedFeature("claude-opus-5-5", { toolChoice: "required" })).toBe("required tool call")
    expect(unsupportedFeature("claude-opus-5", { toolChoice: "required" })).toBeUndefined()
  })
  it("drops a temperature and top_p of 1 for models that accept only the default", () => {
    expect(body("claude-opus-4-7", { temperature: 1, topP: 1 })).not.toHaveProperty("temperature")
    expect(body("claude-sonnet-4-5", { temperature: 1 })["temperature"]).toBe(1)
  })
})

describe("Anthropic reasoning in the history", () => {
  const reasoningPart = (fields: Partial<ReasoningPart>): ReasoningPart => ({
    type: "reasoning",
    text: "Hm.",
    provider: "acme",
    ...fields
  })
  const signed = reasoningPart({ signature: "sig" })
  const call = Chat.toolCall("toolu_1", "f", "{}")
  const assistantMessage = (...parts: ReadonlyArray<ReasoningPart>): AssistantMessage =>
    Chat.assistant([...parts, Chat.text("So."), call])
  const writtenContent = (message: Message, dialect?: Partial<Anthropic.Dialect>): unknown => {
    const { messages } = body("claude-sonnet-4-5", { messages: [Chat.user("?"), message, Chat.user("!")] }, dialect)
    return Array.isArray(messages) ? messages[1]?.content : undefined
  }
  const textAndCall = [
    { type: "text", text: "So." },
    { type: "tool_use", id: "toolu_1", name: "f", input: {} }
  ]
  it("writes signed and redacted reasoning unchanged and in its place", () => {
    const redacted = reasoningPart({ text: "", signature: "data", format: "redacted_thinking" })
    const textless = reasoningPart({ text: "", signature: "sig2" })
    expect(writtenContent(assistantMessage(signed, redacted, textless))).toEqual([
      { type: "thinking", thinking: "Hm.", signature: "sig" },
      { type: "redacted_thinking", data: "data" },
      { type: "thinking", thinking: "", signature: "sig2" },
      ...textAndCall
    ])
    const second = reasoningPart({ text: "B", signature: "b" })
    const secondCall = Chat.toolCall("toolu_2", "f", "{}")
    expect(writtenContent(Chat.assistant([signed, call, second, redacted, secondCall, Chat.text("So.")]))).toEqual([
      { type: "thinking", thinking: "Hm.", signature: "sig" },
      { type: "tool_use", id: "toolu_1", name: "f", input: {} },
      { type: "thinking", thinking: "B", signature: "b" },
      { type: "redacted_thinking", data: "data" },
      { type: "tool_use", id: "toolu_2", name: "f", input: {} },
      { type: "text", text: "So." }
    ])
  })
  it("drops reasoning at the end of an assistant message, which the API rejects", () => {
    expect(writtenContent(Chat.assistant([Chat.text("So."), call, signed, signed]))).toEqual(textAndCall)
    expect(writtenContent(Chat.assistant([signed, Chat.text("So."), signed, call, signed]))).toHaveLength(4)
  })
  it("drops reasoning of other providers and reasoning without a signature", () => {
    expect(writtenContent(assistantMessage({ ...signed, provider: "other" }, reasoningPart({})))).toEqual(textAndCall)
  })
  it("writes reasoning without a signature when unsignedReasoning is on", () => {
    expect(writtenContent(assistantMessage(reasoningPart({})), { unsignedReasoning: true })).toEqual([
      { type: "thinking", thinking: "Hm.", signature: "" },
      ...textAndCall
    ])
  })
  it("drops an assistant message that contains only reasoning", () => {
    const only: Message = { role: "assistant", content: [signed] }
    expect(body("claude-sonnet-4-5", { messages: [Chat.user("?"), only, Chat.user("!")] })["messages"]).toEqual([
      {
        role: "user",
        content: [
          { type: "text", text: "?" },
          { type: "text", text: "!" }
        ]
      }
    ])
  })
  it("drops the budget while a turn that began without reasoning waits for the model, and keeps adaptive thinking", () => {
    const openTurn = (firstMessage: Message) => ({
      reasoning: { effort: "low" as const },
      messages: [Chat.user("?"), firstMessage, Chat.toolResult(call, "ok")]
    })
    expect(thinking("claude-sonnet-4-5", openTurn(assistantMessage(signed)))[0]).toEqual(enabled(2048))
    expect(thinking("claude-sonnet-4-5", openTurn(Chat.assistant("", [call])))[0]).toBeUndefined()
    expect(thinking("claude-sonnet-4-6", openTurn(Chat.assistant("", [call])))[0]).toEqual(adaptive)
  })
})

describe("Anthropic dropUnsupportedField", () => {
  const wire = Anthropic.make()
  const request = (model: string, messages: ReadonlyArray<Message>, more: Partial<ChatRequest> = {}) =>
    Either.getOrThrow(wire.encodeRequest({ messages, ...more }, { provider: "acme", model, stream: false }))
  it("moves system messages to the system prompt when the model rejects the role", () => {
    const wireRequest = request("claude-sonnet-5", [Chat.system("a"), Chat.user("?"), Chat.system("b")])
    const reduced = wire.dropUnsupportedField(wireRequest, "messages.1: role 'system' is not supported on this model")
    expect(reduced?.body).toMatchObject({
      system: [
        { type: "text", text: "a" },
        { type: "text", text: "b" }
      ],
      messages: [{ role: "user", content: "?" }]
    })
  })
  it("drops reasoning whose signature was rejected, and the budget when the open turn needs that reasoning", () => {
    const call = Chat.toolCall("toolu_1", "f", "{}")
    const assistant = Chat.assistant([
      { type: "reasoning", text: "Hm.", signature: "x", provider: "acme" },
      Chat.text("So."),
      call
    ])
    const message = "messages.1.content.0: Invalid `signature` in `thinking` block"
    const reducedBody = (model: string, ...further: ReadonlyArray<Message>) => {
      const wireRequest = request(model, [Chat.user("?"), assistant, Chat.toolResult(call, "ok"), ...further], {
        reasoning: {}
      })
      expect(wireRequest.body).toHaveProperty("thinking")
      return wire.dropUnsupportedField(wireRequest, message)?.body
    }
    const openTurn = reducedBody("claude-sonnet-4-5")
    expect(openTurn).not.toHaveProperty("thinking")
    expect(openTurn?.["messages"]).toMatchObject([{}, { content: [{ type: "text" }, { type: "tool_use" }] }, {}])
    expect(reducedBody("claude-sonnet-4-5", Chat.assistant("So."), Chat.user("!"))?.["thinking"]).toEqual(enabled(8192))
    expect(reducedBody("claude-opus-5")?.["thinking"]).toEqual(adaptive)
  })
  it("returns undefined when the request lacks the rejected field or the message names another problem", () => {
    const wireRequest = request("claude-sonnet-5", [Chat.user("?")])
    expect(wire.dropUnsupportedField(wireRequest, "role 'system' is not supported")).toBeUndefined()
    expect(wire.dropUnsupportedField(wireRequest, "Invalid `signature` in `thinking` block")).toBeUndefined()
    expect(wire.dropUnsupportedField(wireRequest, "max_tokens: too many")).toBeUndefined()
  })
})
