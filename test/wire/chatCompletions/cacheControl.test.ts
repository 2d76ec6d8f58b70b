import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { ChatRequest, Message } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import { presets } from "../../../src/provider/presets/chatCompletions.js"
import type { Preset } from "../../../src/provider/client.js"
import * as ChatCompletions from "../../../src/wire/ChatCompletions.js"

const body = (preset: Preset<ChatCompletions.Dialect>, request: ChatRequest): Record<string, unknown> =>
  Either.getOrThrowWith(
    ChatCompletions.make(preset.dialect).encodeRequest(request, { provider: "acme", model: "acme-1", stream: false }),
    (failure) => new Error(JSON.stringify(failure))
  ).body

describe("Chat Completions cache control", () => {
  const hour = { ttl: "1h" } as const
  const messages: ReadonlyArray<Message> = [
    { role: "system", content: [{ type: "text", text: "Be brief.", cacheControl: hour }] },
    {
      role: "user",
      content: [
        { ...Chat.image("https://example.com/a.png"), cacheControl: {} },
        { ...Chat.file("data:application/pdf;base64,AAAA"), cacheControl: {} },
        Chat.text("What is it?")
      ]
    },
    { role: "assistant", content: [{ type: "text", text: "Two ", cacheControl: {} }, Chat.text("things.")] },
    { ...Chat.toolResult("call_1", "21 °C"), cacheControl: hour },
    { role: "tool", toolCallId: "call_2", content: [Chat.text("a"), Chat.text("b")], cacheControl: {} }
  ]
  const ephemeral = { cache_control: { type: "ephemeral" } }
  const expectedMessages = (long: object) => [
    { role: "system", content: [{ type: "text", text: "Be brief.", ...long }] },
    {
      role: "user",
      content: [
        { type: "image_url", image_url: { url: "https://example.com/a.png" }, ...ephemeral },
        { type: "file", file: { filename: "file", file_data: "data:application/pdf;base64,AAAA" }, ...ephemeral },
        { type: "text", text: "What is it?" }
      ]
    },
    {
      role: "assistant",
      content: [
        { type: "text", text: "Two ", ...ephemeral },
        { type: "text", text: "things." }
      ]
    },
    { role: "tool", tool_call_id: "call_1", content: [{ type: "text", text: "21 °C", ...long }] },
    {
      role: "tool",
      tool_call_id: "call_2",
      content: [
        { type: "text", text: "a" },
        { type: "text", text: "b", ...ephemeral }
      ]
    }
  ]

  it("writes cache_control with its ttl for OpenRouter", () => {
    expect(body(presets.openrouter, { messages })["messages"]).toEqual(
      expectedMessages({ cache_control: { type: "ephemeral", ttl: "1h" } })
    )
  })
  it("writes cache_control without a ttl for Model Studio", () => {
    for (const preset of [presets.dashscope, presets.dashscopeIntl]) {
      expect(body(preset, { messages })["messages"]).toEqual(expectedMessages(ephemeral))
    }
  })
  it("drops cache_control for every other preset", () => {
    const { dashscope: _, dashscopeIntl: __, openrouter: ___, ...others } = presets
    for (const preset of Object.values(others)) {
      expect(JSON.stringify(body(preset, { messages }))).not.toMatch(/cache_?control/i)
    }
    expect(body(presets.openai, { messages })["messages"]).toMatchObject([
      { content: [{ type: "text", text: "Be brief." }] },
      {},
      { content: "Two things." },
      { content: "21 °C" },
      {}
    ])
  })
  it("reads cache_control on the server and keeps an unknown ttl as native", () => {
    const read = ChatCompletions.make().decodeRequest(
      body(presets.openrouter, { messages: messages.slice(0, 2), model: "m" })
    )
    expect(Either.getOrThrow(read).request.messages).toEqual([
      messages[0],
      {
        role: "user",
        content: [
          { ...Chat.image("https://example.com/a.png"), cacheControl: {} },
          { ...Chat.file("data:application/pdf;base64,AAAA", { filename: "file" }), cacheControl: {} },
          Chat.text("What is it?")
        ]
      }
    ])
    const part = { type: "text", text: "x", cache_control: { type: "ephemeral", ttl: "2h" } }
    expect(
      Either.getOrThrow(ChatCompletions.make().decodeRequest({ messages: [{ role: "user", content: [part] }] })).request
    ).toEqual({
      messages: [
        {
          role: "user",
          content: [
            {
              type: "text",
              text: "x",
              cacheControl: {},
              native: { "chat-completions": { cache_control: part.cache_control } }
            }
          ]
        }
      ]
    })
  })
})
