import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as Conversation from "../../src/programs/Conversation.js"
import type * as LLM from "../../src/LLM.js"
import { NetworkError } from "../../src/vocabulary/LLMError.js"
import * as TestLLM from "../../src/testing/TestLLM.js"
import * as TokenCounter from "../../src/tokens/TokenCounter.js"

const broken = new NetworkError({ provider: "test", model: "test", attempts: [], message: "The connection broke." })

/** A character is a token. */
const characters = Effect.provide(
  TokenCounter.layer(() => ({ text: (text) => ({ tokens: text.length, estimated: false }), knownChatFormat: true }))
)

const call: Chat.ToolCall = { id: "call_1", name: "weather", arguments: "{}" }

const requests = Effect.map(TestLLM.calls, (calls) => calls.map(({ request }) => request.messages))

describe("the budget", () => {
  /** Each turn counts 20 tokens: twice four around the messages, and twelve characters. */
  const turn = (letter: string): ReadonlyArray<Chat.Message> => [
    Chat.user(letter.repeat(6)),
    Chat.assistant(letter.toUpperCase().repeat(6))
  ]
  const letters = (messages: ReadonlyArray<Chat.Message>): string =>
    messages.map(({ content }) => (typeof content === "string" ? content.slice(0, 1) : "?")).join("")

  const sent = (options: Conversation.Options<never, LLM.LLM>) =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ messages: ["a", "b", "c"].flatMap(turn), ...options })
      yield* conversation.send("dddddd")
      return letters((yield* requests)[0] ?? [])
    }).pipe(characters, Effect.provide(TestLLM.layer(["D"])))

  it.effect("is kept by forgetting the oldest turns", () =>
    Effect.gen(function* () {
      expect(yield* sent({})).toBe("aAbBcCd")
      expect(yield* sent({ budget: 70 })).toBe("aAbBcCd")
      expect(yield* sent({ budget: 69 })).toBe("bBcCd")
      expect(yield* sent({ budget: 30 })).toBe("cCd")
      expect(yield* sent({ budget: 29 })).toBe("d")
      expect(yield* sent({ budget: 0 })).toBe("d")
    })
  )
  it.effect("has room for the system message first", () =>
    Effect.gen(function* () {
      expect(yield* sent({ budget: 69, system: "s".repeat(15) })).toBe("sbBcCd")
      expect(yield* sent({ budget: 69, system: "s".repeat(16) })).toBe("scCd")
    })
  )
  it.effect("is kept by forgetting those between the first turns and the newest", () =>
    Effect.gen(function* () {
      expect(yield* sent({ budget: 50, strategy: Conversation.keepFirst() })).toBe("aAcCd")
      expect(yield* sent({ budget: 60, strategy: Conversation.keepFirst(2) })).toBe("aAbBd")
      expect(yield* sent({ budget: 10, strategy: Conversation.keepFirst(9) })).toBe("d")
    })
  )
  it.effect("is kept by a strategy of one's own, and by the newest turns where that is not enough", () =>
    Effect.gen(function* () {
      const withoutB: Conversation.Strategy = ({ turns }) =>
        Effect.succeed(turns.filter(({ messages }) => messages[0].content !== "bbbbbb"))
      expect(yield* sent({ budget: 50, strategy: withoutB })).toBe("aAcCd")
      expect(yield* sent({ budget: 49, strategy: withoutB })).toBe("cCd")
    })
  )
  it.effect("holds for what is recorded, and trim gets there at once", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ messages: ["a", "b", "c"].flatMap(turn), budget: 45 })
      yield* conversation.send("dddddd")
      expect(letters(yield* conversation.messages)).toBe("cCdD")
      yield* conversation.add(...turn("e"))
      yield* conversation.trim
      expect(letters(yield* conversation.messages)).toBe("dDeE")
    }).pipe(characters, Effect.provide(TestLLM.layer(["D"])))
  )
})

describe("results of tools", () => {
  const long = "x".repeat(100)
  const note = "[This result was removed to save space.]"
  const round = (id: string): ReadonlyArray<Chat.Message> => [
    Chat.assistant("", [{ id, name: "read", arguments: "{}" }]),
    Chat.toolResult(id, long)
  ]
  const dropped = (messages: ReadonlyArray<Chat.Message>, budget: number) =>
    Effect.map(Conversation.trim(messages, { budget, strategy: Conversation.dropToolOutputs }), (kept) =>
      kept.map(({ content }) => (content === long ? "long" : content === note ? "note" : "")).join(" ")
    ).pipe(characters)

  it.effect("are dropped first, the oldest first, and only as many as need be", () =>
    Effect.gen(function* () {
      const messages = [Chat.user("a"), ...round("1"), ...round("2"), Chat.assistant("b"), Chat.user("c")]
      expect(yield* dropped(messages, 270)).toBe("  long  long  ")
      expect(yield* dropped(messages, 240)).toBe("  note  long  ")
      expect(yield* dropped(messages, 160)).toBe("  note  note  ")
      expect(yield* dropped(messages, 100)).toBe("")
    })
  )
  it.effect("stay while the model has not seen them", () =>
    Effect.gen(function* () {
      const messages = [Chat.user("a"), ...round("1"), ...round("2")]
      expect(yield* dropped(messages, 0)).toBe("  note  long")
    })
  )
  it.effect("that are short stay as they are", () =>
    Effect.gen(function* () {
      const messages = [Chat.user("a"), Chat.assistant("", [call]), Chat.toolResult(call, "ok"), Chat.assistant("b")]
      expect(yield* Conversation.trim(messages, { budget: 0, strategy: Conversation.dropToolOutputs })).toEqual(
        messages
      )
    }).pipe(characters)
  )
})

describe("a summary", () => {
  const history = [
    Chat.user("My name is Ada."),
    Chat.assistant("", [call]),
    { ...Chat.toolResult(call, "sunny"), isError: false },
    Chat.assistant("Hello Ada."),
    Chat.user([
      Chat.text("See"),
      Chat.image("https://example.com/cat.png"),
      Chat.file("data:application/pdf;base64,AA", { filename: "cv.pdf" })
    ]),
    Chat.assistant("Seen."),
    Chat.user("What is my name?")
  ]
  const question = Chat.user("What have we said so far?")

  it.effect("takes the place of the oldest turns", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({
        system: "s",
        messages: history.slice(0, -1),
        budget: 120,
        strategy: Conversation.summarize({ keep: 0.3, instructions: "Sum up." })
      })
      yield* conversation.send("What is my name?")
      expect(yield* requests).toEqual([
        [
          Chat.system("Sum up."),
          Chat.user(
            "user: My name is Ada.\n\nassistant: \n[calls weather with {}]\n\ntool: sunny\n\nassistant: Hello Ada.\n\n" +
              "user: See\n[image]\n[file cv.pdf]\n\nassistant: Seen."
          )
        ],
        [Chat.system("s"), question, Chat.assistant("The user is Ada."), Chat.user("What is my name?")]
      ])
      expect(yield* conversation.messages).toHaveLength(5)
    }).pipe(characters, Effect.provide(TestLLM.layer(["The user is Ada.", "Ada."])))
  )
  it.effect("is not asked for while all fits, nor where there is nothing but the question", () =>
    Effect.gen(function* () {
      const strategy = Conversation.summarize()
      yield* Conversation.trim(history, { budget: 10_000, strategy })
      yield* Conversation.trim([Chat.user("What is my name?")], { budget: 1, strategy })
      expect(yield* requests).toEqual([])
    }).pipe(Effect.provide(TestLLM.layer([])))
  )
  it.effect("that is too long, or says nothing, is left out", () =>
    Effect.gen(function* () {
      const strategy = Conversation.summarize()
      const last = history.slice(-1)
      expect(yield* Conversation.trim(history, { budget: 100, strategy })).toEqual(last)
      expect(yield* Conversation.trim(history, { budget: 100, strategy })).toEqual(last)
    }).pipe(characters, Effect.provide(TestLLM.layer(["long ".repeat(100), " "])))
  )
  it.effect("that fails fails what needed it, unless it is caught", () =>
    Effect.gen(function* () {
      const strategy = Conversation.summarize()
      expect(yield* Effect.flip(Conversation.trim(history, { budget: 100, strategy }))).toBe(broken)
      const forgiving: Conversation.Strategy<never, LLM.LLM> = (history) =>
        Effect.catchAll(strategy(history), () => Conversation.keepNewest(history))
      expect(yield* Conversation.trim(history, { budget: 100, strategy: forgiving })).toEqual(history.slice(-1))
    }).pipe(characters, Effect.provide(TestLLM.layer([TestLLM.failure(broken)], { loop: true })))
  )
})
