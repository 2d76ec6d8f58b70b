/** Parts of a request that only the client's protocol has, for a provider of another protocol. */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import { anthropic, chatCompletions, responses } from "../../src/gateway/chat/protocols.js"
import * as UnsupportedFields from "../../src/gateway/chat/unsupportedFields.js"
import type { ModelInfo } from "../../src/call/model.js"
import type { AssistantPart, ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as DashScope from "../../src/wire/DashScope.js"
import * as Gemini from "../../src/wire/Gemini.js"
import * as Ollama from "../../src/wire/Ollama.js"
import * as Responses from "../../src/wire/Responses.js"

const gemini: ModelInfo = { provider: "google", model: "gemini", wire: "gemini", contextWindow: 1 }

const requestOf = (...content: ReadonlyArray<AssistantPart>): ChatRequest => ({
  messages: [Chat.user("Hello"), { role: "assistant", content }]
})

describe("UnsupportedFields.drop", () => {
  it("names the native fields of each kind of part by its place in the message, without bookkeeping", () => {
    const native = { responses: { id: "x", status: "completed", vendor: 1 } }
    const request = requestOf(
      { type: "reasoning", text: "Hm", native: { responses: { id: "rs_1", vendor_of_reasoning: 1 } } },
      { ...Chat.text("I look."), native: { responses: { phase: "commentary" } } },
      { type: "refusal", text: "No.", native: { responses: { vendor_of_refusal: 1, annotations: [] } } },
      { type: "tool-call", id: "call_1", name: "look", arguments: "{}", native }
    )
    const supported = Either.getOrThrowWith(
      UnsupportedFields.drop(request, responses, gemini),
      ({ message }) => new Error(message)
    )
    expect(supported.dropped).toEqual([
      "messages.content.vendor_of_reasoning",
      "messages.content.phase",
      "messages.content.vendor_of_refusal",
      "messages.tool_calls.vendor"
    ])
    expect(supported.request).toEqual(request)
  })

  it("drops no native field for a provider of the same protocol", () => {
    const call: Chat.ToolCall = {
      type: "tool-call",
      id: "1",
      name: "a",
      arguments: "{}",
      native: { responses: { a: 1 } }
    }
    const request = requestOf(call, { type: "provider", native: { responses: { type: "web_search_call" } } })
    expect(UnsupportedFields.drop(request, responses, { ...gemini, wire: "responses" })).toEqual(
      Either.right({ request, translatedTools: new Map(), dropped: [] })
    )
  })

  it("refuses a provider part among other parts, and names its type", () => {
    const cases = [
      [anthropic, { "anthropic-messages": { type: "server_tool_use", name: "web_search" } }, "server_tool_use"],
      [responses, { responses: { type: "web_search_call" } }, "web_search_call"],
      [responses, { responses: { item: { type: "compaction" } } }, "compaction"],
      [chatCompletions, { "chat-completions": { vendor: 1 } }, "part of a message"]
    ] as const
    for (const [protocol, native, param] of cases) {
      const request = requestOf(Chat.text("I search."), { type: "provider", native }, Chat.text("So."))
      const refused = UnsupportedFields.drop(request, protocol, gemini)
      expect(Either.getLeft(refused)).toMatchObject({ value: { status: 400, code: "unsupported", param } })
    }
  })

  it("names a budget for reasoning that a model of OpenAI does not have", () => {
    const request: ChatRequest = { messages: [Chat.user("?")], reasoning: { budgetTokens: 2000 } }
    const dropped = (model: string, changed: ChatRequest = request) =>
      Either.map(
        UnsupportedFields.drop(changed, anthropic, { ...gemini, model, wire: "chat-completions" }),
        (supported) => supported.dropped
      )
    expect(dropped("gpt-4o")).toEqual(Either.right(["thinking"]))
    expect(dropped("gpt-5")).toEqual(Either.right([]))
    expect(dropped("gpt-4o", { ...request, reasoning: { effort: "low" } })).toEqual(Either.right([]))
  })

  it("drops provider parts of every message where they are not wanted, and messages of nothing else but results of calls", () => {
    const part = { type: "provider", native: { responses: { type: "local_shell_call_output" } } } as const
    const call: Chat.ToolCall = { type: "tool-call", id: "1", name: "a", arguments: "{}" }
    const request: ChatRequest = {
      messages: [
        Chat.user("List."),
        { role: "assistant", content: [part] },
        { role: "user", content: [part] },
        { role: "user", content: [part, Chat.text("And now?")] },
        { role: "assistant", content: [part, call] },
        { role: "tool", toolCallId: "1", content: [part] }
      ]
    }
    expect(Either.isLeft(UnsupportedFields.drop(request, responses, gemini))).toBe(true)
    const supported = Either.getOrThrow(UnsupportedFields.drop(request, responses, gemini, "drop"))
    expect(supported.request.messages).toEqual([
      Chat.user("List."),
      { role: "user", content: [Chat.text("And now?")] },
      { role: "assistant", content: [call] },
      { role: "tool", toolCallId: "1", content: [] }
    ])
    expect(supported.dropped).toContain("messages.content.local_shell_call_output")
  })

  const wires = {
    "anthropic-messages": Anthropic.make(),
    "chat-completions": ChatCompletions.make(),
    dashscope: DashScope.make(),
    gemini: Gemini.make(),
    ollama: Ollama.make(),
    responses: Responses.make()
  }

  it.each(Object.keys(wires))("%s gets the failure of a tool, or it is named", (wire) => {
    const failed: ChatRequest = {
      messages: [
        Chat.user("Read it."),
        { role: "assistant", content: [Chat.toolCall("call_1", "read", "{}")] },
        { role: "tool", toolCallId: "call_1", content: "not found", isError: true }
      ]
    }
    const client = wire === "anthropic-messages" ? responses : anthropic
    const { dropped } = Either.getOrThrow(UnsupportedFields.drop(failed, client, { ...gemini, wire }))
    const tells = wire === "anthropic-messages" || wire === "gemini"
    expect(dropped).toEqual(tells ? [] : ["messages.content.is_error"])
  })

  it.each(["chat-completions", "dashscope", "gemini", "ollama", "responses"] as const)(
    "%s gets a document of text as the text after its title, or as a file",
    (wire) => {
      const document = {
        type: "document",
        title: "Notes",
        source: { type: "text", media_type: "text/plain", data: "It rains – often." }
      }
      const result = { type: "tool_result", tool_use_id: "toolu_1", content: [document] }
      const { request } = Either.getOrThrow(
        anthropic.wire.decodeRequest(
          {
            model: "m",
            max_tokens: 10,
            messages: [
              { role: "user", content: [document, { type: "text", text: "When?" }] },
              { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "read", input: {} }] },
              { role: "user", content: [result] }
            ]
          },
          { path: "/v1/messages", headers: {} }
        )
      )
      const supported = Either.getOrThrow(UnsupportedFields.drop(request, anthropic, { ...gemini, wire }))
      expect(supported.dropped).toEqual([])
      const body = Either.getOrThrow(
        wires[wire].encodeRequest(supported.request, { provider: "p", model: "m", stream: false })
      ).body
      const sent = JSON.stringify(body)
      const asFile = btoa(String.fromCharCode(...new TextEncoder().encode("It rains – often.")))
      expect(sent.split(wire === "gemini" ? asFile : "Notes\\n\\nIt rains – often.")).toHaveLength(3)
    }
  )

  it("names what a provider of another protocol does not do, but not what it does by itself", () => {
    const request = (extra: Readonly<Record<string, unknown>>): ChatRequest => ({ messages: [Chat.user("?")], extra })
    const named = (extra: Readonly<Record<string, unknown>>) =>
      Either.map(UnsupportedFields.drop(request(extra), responses, gemini), ({ dropped }) => dropped)
    expect(named({ truncation: "auto" })).toEqual(Either.right(["truncation"]))
    expect(named({ truncation: "disabled" })).toEqual(Either.right([]))
    const search = UnsupportedFields.drop(request({ web_search_options: {} }), chatCompletions, gemini)
    expect(Either.flip(search)).toMatchObject(Either.right({ param: "web_search_options" }))
    expect(
      Either.map(
        UnsupportedFields.drop(request({ web_search_options: {} }), chatCompletions, gemini, "drop"),
        ({ dropped }) => dropped
      )
    ).toEqual(Either.right(["web_search_options"]))
  })

  it("knows of each wire which of the shared fields it cannot write", () => {
    const tools = [{ name: "find", parameters: { type: "object" } }]
    const fields: ReadonlyArray<Partial<ChatRequest>> = [
      { seed: 1 },
      { metadata: { a: "b" } },
      { user: "u" },
      { parallelToolCalls: false },
      { toolChoice: "required" },
      { stop: ["x"] }
    ]
    for (const wire of Object.values(wires)) {
      const written = (request: ChatRequest) =>
        JSON.stringify(
          Either.map(wire.encodeRequest(request, { provider: "p", model: "m", stream: false }), ({ body }) => body)
        )
      const plain: ChatRequest = { messages: [Chat.user("?")], tools }
      const protocol = wire.name === "anthropic-messages" ? chatCompletions : anthropic
      for (const field of fields) {
        if (wire.name === protocol.wire.name) continue
        const request = { ...plain, ...field }
        const isWritten = written(request) !== written(plain) && !written(request).includes("Unsupported")
        const supported = UnsupportedFields.drop(request, protocol, { ...gemini, wire: wire.name }, "drop")
        const isDropped = Either.isRight(supported) && supported.right.dropped.length > 0
        expect([wire.name, field, isDropped]).toEqual([wire.name, field, !isWritten])
      }
    }
  })
})
