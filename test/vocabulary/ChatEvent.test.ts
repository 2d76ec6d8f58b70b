import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, Effect, Stream } from "effect"
import * as FastCheck from "fast-check"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import { collectAll } from "../../src/vocabulary/chatEvent/collected.js"

const contentOf = (events: ReadonlyArray<ChatEvent.ChatEvent>) =>
  events.reduce(ChatEvent.append, ChatEvent.nothing).content

const text = (index: number, text: string): ChatEvent.TextDelta => ({ _tag: "TextDelta", index, text })

const call = Chat.toolCall("call_1", "weather", "{}")

const end = (index: number, part: Chat.ToolCall = call): ChatEvent.ToolCallEnd => ({
  _tag: "ToolCallEnd",
  index,
  call: part
})

describe("collecting events", () => {
  it.effect.prop(
    "the events of any response collect to the same response",
    [
      Arbitrary.make(Chat.ChatResponse)
        .filter(({ content }) => content.every((part) => !("cacheControl" in part)))
        .map((response) => Chat.withContent(response, response.content))
    ],
    ([response]) =>
      Effect.gen(function* () {
        expect(yield* ChatEvent.collect(Stream.fromIterable(ChatEvent.fromResponse(response)))).toEqual(response)
      })
  )

  it("parts whose pieces are interleaved are collected in the order of their indexes", () => {
    const events: ReadonlyArray<ChatEvent.ChatEvent> = [
      { _tag: "ReasoningDelta", index: 0, text: "Let me " },
      text(2, "Here "),
      { _tag: "ReasoningDelta", index: 0, text: "see.", signature: "s", provider: "acme" },
      text(2, "it is."),
      end(1)
    ]
    expect(contentOf(events)).toEqual([
      { type: "reasoning", text: "Let me see.", signature: "s", provider: "acme" },
      call,
      Chat.text("Here it is.")
    ])
  })

  it("adjacent texts with different indexes stay different parts", () => {
    expect(contentOf([text(0, "one"), text(1, "two"), text(1, "!")])).toEqual([Chat.text("one"), Chat.text("two!")])
  })

  it("the native fields of a text are those of its last piece that has any", () => {
    const native = { anthropic: { citations: [1] } }
    const events = [text(0, "one"), { ...text(0, ""), provider: "acme", native }, text(0, " two")]
    expect(contentOf(events)).toEqual([{ type: "text", text: "one two", provider: "acme", native }])
  })

  it("parts of different kinds with the same index are all kept, in the order in which they began", () => {
    const part: Chat.ProviderPart = { type: "provider", native: { gemini: {} } }
    const events: ReadonlyArray<ChatEvent.ChatEvent> = [
      text(0, "one"),
      { _tag: "ReasoningDelta", index: 0, text: "two" },
      end(0),
      { _tag: "ProviderPart", index: 0, part },
      { _tag: "RefusalDelta", index: 0, text: "no" },
      text(0, "!"),
      { _tag: "ReasoningDelta", index: 0, text: "?" }
    ]
    expect(contentOf(events)).toEqual([
      Chat.text("one!"),
      { type: "reasoning", text: "two?" },
      call,
      part,
      { type: "refusal", text: "no" }
    ])
  })

  it("a tool call without its end is not part of the content", () => {
    const delta = { _tag: "ToolCallDelta", index: 1, id: "call_1", name: "weather", argumentsDelta: "{" } as const
    expect(contentOf([text(0, "one"), delta])).toEqual([Chat.text("one")])
  })

  it("appending an event leaves the earlier content as it is", () => {
    const before = ChatEvent.append(ChatEvent.nothing, text(0, "one"))
    expect(contentOf([])).toEqual([])
    ChatEvent.append(before, text(0, " two"))
    ChatEvent.append(before, end(1))
    expect(before).toMatchObject({ content: [Chat.text("one")], indexes: [0] })
  })

  it("events in any interleaving of their parts collect to the same content", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.string(), { maxLength: 5 }),
        FastCheck.infiniteStream(FastCheck.nat()),
        (texts, choices) => {
          const pieces = texts.map((whole, index) => Array.from(whole, (letter) => text(index, letter)))
          const left = pieces.filter((list) => list.length > 0)
          const events: Array<ChatEvent.ChatEvent> = []
          while (left.length > 0) {
            const at = choices.next().value % left.length
            events.push(...(left[at]?.splice(0, 1) ?? []))
            if (left[at]?.length === 0) left.splice(at, 1)
          }
          expect(contentOf(events)).toEqual(texts.filter((whole) => whole !== "").map(Chat.text))
          expect(collectAll(events)).toEqual(events.reduce(ChatEvent.append, ChatEvent.nothing))
        }
      )
    )
  })
})
