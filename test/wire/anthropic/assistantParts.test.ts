/** Assistant messages in requests: every part in its place, with what only Anthropic has. */
import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type { AssistantPart, ChatRequest, Message, ProviderPart } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as Anthropic from "../../../src/wire/Anthropic.js"
import { source } from "../roundTrips.js"
import { answered } from "./generators.js"

const wire = Anthropic.make()

type Json = Readonly<Record<string, unknown>>

const body = (messages: ReadonlyArray<Message>, more: Partial<ChatRequest> = {}): Json =>
  Either.getOrThrowWith(
    wire.encodeRequest({ messages, ...more }, { provider: "acme", model: "claude-sonnet-4-6", stream: false }),
    (failure) => new Error(JSON.stringify(failure))
  ).body

const question = Chat.user("?")

/** The blocks of an assistant message. */
const written = (...content: ReadonlyArray<AssistantPart>): unknown => {
  const { messages } = body([question, Chat.assistant(content), Chat.user("!")])
  return Array.isArray(messages) ? messages[1]?.content : undefined
}

const providerPart = (block: Record<string, unknown>, provider = "acme"): ProviderPart => ({
  type: "provider",
  ...answered(provider, block)
})

const search = { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "rain" } }
const found = { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] }

/** The response to a content of these blocks. */
const answer = (content: ReadonlyArray<Json>, fields: Json = {}) =>
  Either.getOrThrowWith(
    wire.decodeResponse({ id: "msg_1", type: "message", role: "assistant", model: "m", content, ...fields }, source),
    (failure) => new Error(JSON.stringify(failure))
  )

describe("Anthropic answers that are sent back", () => {
  const interleaved = [
    { type: "thinking", thinking: "A", signature: "a" },
    { type: "tool_use", id: "toolu_1", name: "f", input: { n: 1 }, caller: { type: "direct" } },
    { type: "thinking", thinking: "B", signature: "b" },
    { type: "tool_use", id: "toolu_2", name: "f", input: {} }
  ]
  it("writes the blocks of an answer with interleaved thinking exactly as they came", () => {
    expect(body([question, Chat.toMessage(answer(interleaved))])["messages"]).toEqual([
      { role: "user", content: "?" },
      { role: "assistant", content: interleaved }
    ])
  })
  it("writes server tools between texts and the citations of each text exactly as they came", () => {
    const content = [
      { type: "text", text: "Let me search. " },
      search,
      found,
      { type: "text", text: "It " },
      { type: "text", text: "rains", citations: [{ type: "web_search_result_location", url: "https://example.com" }] },
      { type: "text", text: "." },
      { type: "mcp_tool_use", id: "mcptoolu_1", name: "ask", server_name: "s", input: {} },
      { type: "mcp_tool_result", tool_use_id: "mcptoolu_1", content: [], is_error: false },
      { type: "container_upload", file_id: "file_1" },
      { type: "text", text: "So." }
    ]
    expect(body([question, Chat.toMessage(answer(content)), Chat.user("!")])["messages"]).toEqual([
      { role: "user", content: "?" },
      { role: "assistant", content },
      { role: "user", content: "!" }
    ])
  })
  it("writes a paused turn at the end of the conversation exactly as it came", () => {
    const paused = answer([{ type: "text", text: "Let me search. " }, search], { stop_reason: "pause_turn" })
    expect(paused.finishReason).toBe("pause")
    expect(body([question, Chat.toMessage(paused)])["messages"]).toEqual([
      { role: "user", content: "?" },
      { role: "assistant", content: [{ type: "text", text: "Let me search. " }, search] }
    ])
  })
  it("joins a paused turn and its continuation into one turn", () => {
    const paused = answer([{ type: "text", text: "Let me search. " }, search], { stop_reason: "pause_turn" })
    const rest = answer([found, { type: "text", text: "Rain." }])
    expect(body([question, Chat.toMessage(paused), Chat.toMessage(rest), Chat.user("!")])["messages"]).toMatchObject([
      {},
      { role: "assistant", content: [{ type: "text", text: "Let me search. " }, search, found, { text: "Rain." }] },
      {}
    ])
  })
})

describe("Anthropic assistant messages", () => {
  it("writes a refusal as a text", () => {
    expect(written(Chat.text("Well."), { type: "refusal", text: "No." })).toEqual([
      { type: "text", text: "Well." },
      { type: "text", text: "No." }
    ])
  })
  it("drops blank texts, blank refusals and what another provider has in its parts", () => {
    expect(
      written(
        Chat.text(" \n"),
        { type: "refusal", text: "" },
        { ...Chat.text("So."), ...answered("other", { citations: [{ type: "page_location" }] }) },
        providerPart(search, "other"),
        { ...Chat.toolCall("toolu_1", "f", "{}"), ...answered("other", { caller: { type: "direct" } }) }
      )
    ).toEqual([
      { type: "text", text: "So." },
      { type: "tool_use", id: "toolu_1", name: "f", input: {} }
    ])
  })
  it("writes native parts and fields that no provider has sent", () => {
    const native = { "anthropic-messages": { citations: [{ type: "page_location" }] } }
    expect(
      written(
        { ...Chat.text("So."), cacheControl: {}, native },
        { type: "provider", native: { "anthropic-messages": search } }
      )
    ).toEqual([
      { type: "text", text: "So.", cache_control: { type: "ephemeral" }, citations: [{ type: "page_location" }] },
      search
    ])
  })
  it("leaves out the provider parts of other providers in user messages and tool results", () => {
    const foreign = providerPart({ type: "search_result" }, "other")
    const result: Message = { role: "tool", toolCallId: "toolu_1", content: [foreign, Chat.text("ok")] }
    const call = Chat.toolCall("toolu_1", "f", "{}")
    expect(body([Chat.user([foreign, Chat.text("?")]), Chat.assistant([call]), result])["messages"]).toMatchObject([
      { role: "user", content: [{ type: "text", text: "?" }] },
      { role: "assistant" },
      { role: "user", content: [{ type: "tool_result", content: [{ type: "text", text: "ok" }] }] }
    ])
  })
})

describe("Anthropic container", () => {
  const inContainer = (id: string): Message =>
    Chat.toMessage(answer([{ type: "text", text: "So." }], { container: { id, expires_at: "2030-01-01T00:00:00Z" } }))
  const result: Message = { role: "tool", toolCallId: "toolu_1", content: "ok" }
  const conversation = [question, inContainer("first"), question, inContainer("second"), result]

  it("writes the id of the container of the open turn into the request, and no block for it", () => {
    const { container, messages } = body(conversation)
    expect(container).toBe("second")
    expect(messages).toMatchObject([{}, { content: [{ type: "text", text: "So." }] }, {}, {}, {}])
  })
  it("does not write the container of an earlier turn, which can have expired", () => {
    expect(body([...conversation, question])).not.toHaveProperty("container")
  })
  it("writes no container of another provider and none without an answer that has one", () => {
    expect(body([question])).not.toHaveProperty("container")
    const foreign = Chat.assistant([Chat.text("So."), providerPart({ container: { id: "c" } }, "other")])
    expect(body([question, foreign])).not.toHaveProperty("container")
  })
  it("prefers the container of extra, and adds the id to an object without one", () => {
    const written = (container: unknown) => body(conversation, { extra: { container } })["container"]
    const skills = [{ type: "anthropic", skill_id: "xlsx", version: "latest" }]
    expect(written("chosen")).toBe("chosen")
    expect(written(null)).toBeNull()
    expect(written({ id: "chosen", skills })).toEqual({ id: "chosen", skills })
    expect(written({ skills })).toEqual({ id: "second", skills })
    expect(body([question], { extra: { container: { skills } } })["container"]).toEqual({ skills })
  })
})
