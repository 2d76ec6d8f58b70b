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
      Either.right({ request, dropped: [] })
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

  it("knows of each wire which of the shared fields it cannot write", () => {
    const wires = [
      Anthropic.make(),
      Gemini.make(),
      Ollama.make(),
      Responses.make(),
      ChatCompletions.make(),
      DashScope.make()
    ]
    const tools = [{ name: "find", parameters: { type: "object" } }]
    const fields: ReadonlyArray<Partial<ChatRequest>> = [
      { seed: 1 },
      { metadata: { a: "b" } },
      { user: "u" },
      { parallelToolCalls: false },
      { toolChoice: "required" },
      { stop: ["x"] }
    ]
    for (const wire of wires) {
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
