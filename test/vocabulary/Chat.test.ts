import { describe, expect, it } from "vitest"
import * as Chat from "../../src/vocabulary/Chat.js"

const call = Chat.toolCall("call_1", "weather", "{}")

const reasoning = (text: string): Chat.ReasoningPart => ({ type: "reasoning", text, signature: "s", provider: "acme" })

const search: Chat.ProviderPart = {
  type: "provider",
  provider: "acme",
  native: { anthropic: { type: "server_tool_use", id: "1" } }
}

describe("the content of a response", () => {
  it("the text, reasoning, refusal and tool calls of a response are those of its parts in order", () => {
    const parts: ReadonlyArray<Chat.AssistantPart> = [
      reasoning("A"),
      call,
      Chat.text("one "),
      search,
      reasoning("B"),
      { ...call, id: "call_2" },
      Chat.text("two"),
      { type: "refusal", text: "no" }
    ]
    expect(Chat.withContent({ id: "1" }, parts)).toEqual({
      id: "1",
      content: parts,
      text: "one two",
      reasoning: "AB",
      refusal: "no",
      toolCalls: [call, { ...call, id: "call_2" }]
    })
  })

  it("a response with another content has the views of the new content", () => {
    const first = Chat.withContent({ id: "1" }, [Chat.text("first"), call])
    expect(Chat.withContent(first, [Chat.text("second")])).toEqual(Chat.withContent({ id: "1" }, [Chat.text("second")]))
  })
})

describe("assistant messages", () => {
  it("the message of a response has all parts in the order in which they came", () => {
    const content = [reasoning("A"), call, reasoning("B"), { ...call, id: "call_2" }]
    expect(Chat.toMessage({ content })).toEqual({ role: "assistant", content })
  })

  it("the message of a response with a single plain text has that text as its content", () => {
    expect(Chat.toMessage({ content: [Chat.text("Hello.")] })).toEqual(Chat.assistant("Hello."))
  })

  it("the message of a text with fields of its provider keeps the part", () => {
    const content = [{ ...Chat.text("Hello."), provider: "acme", native: { anthropic: { citations: [] } } }]
    expect(Chat.toMessage({ content }).content).toEqual(content)
  })

  it("the message of a response without content has an empty text", () => {
    expect(Chat.toMessage({ content: [] })).toEqual(Chat.assistant(""))
  })

  it("tool calls that are given beside a text or parts come after them", () => {
    expect(Chat.assistant("Hello.", [call]).content).toEqual([Chat.text("Hello."), call])
    expect(Chat.assistant("", [call]).content).toEqual([call])
    expect(Chat.assistant([reasoning("A"), Chat.text("Hello.")], [call]).content).toEqual([
      reasoning("A"),
      Chat.text("Hello."),
      call
    ])
  })
})
