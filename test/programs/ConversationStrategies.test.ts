import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as Conversation from "../../src/programs/Conversation.js"
import type * as LLM from "../../src/LLM.js"
import { NetworkError } from "../../src/vocabulary/LLMError.js"
import * as TestLLM from "../../src/testing/TestLLM.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as TokenCounter from "../../src/tokens/TokenCounter.js"

const broken = new NetworkError({ provider: "test", model: "test", attempts: [], message: "The connection broke." })

/** Counts one token for each character. */
const characters = Effect.provide(
  TokenCounter.layer(() => ({ text: (text) => ({ tokens: text.length, estimated: false }), knownChatFormat: true }))
)

const call: Chat.ToolCall = { type: "tool-call", id: "call_1", name: "weather", arguments: "{}" }

const requests = Effect.map(TestLLM.calls, (calls) => calls.map(({ request }) => request.messages))

describe("conversation budget", () => {
  /** Each turn has 20 tokens: four around each of its two messages, and twelve characters. */
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

  it.effect("removes the oldest turns when the history is over the budget", () =>
    Effect.gen(function* () {
      expect(yield* sent({})).toBe("aAbBcCd")
      expect(yield* sent({ budget: 70 })).toBe("aAbBcCd")
      expect(yield* sent({ budget: 69 })).toBe("bBcCd")
      expect(yield* sent({ budget: 30 })).toBe("cCd")
      expect(yield* sent({ budget: 29 })).toBe("d")
      expect(yield* sent({ budget: 0 })).toBe("d")
    })
  )
  it.effect("subtracts the system message from the budget of the turns", () =>
    Effect.gen(function* () {
      expect(yield* sent({ budget: 69, system: "s".repeat(15) })).toBe("sbBcCd")
      expect(yield* sent({ budget: 69, system: "s".repeat(16) })).toBe("scCd")
    })
  )
  it.effect("keepFirst removes the turns between the first ones and the newest", () =>
    Effect.gen(function* () {
      expect(yield* sent({ budget: 50, strategy: Conversation.keepFirst() })).toBe("aAcCd")
      expect(yield* sent({ budget: 60, strategy: Conversation.keepFirst(2) })).toBe("aAbBd")
      expect(yield* sent({ budget: 10, strategy: Conversation.keepFirst(9) })).toBe("d")
    })
  )
  it.effect("keepImportant keeps the turns with marked messages, and then the newest", () =>
    Effect.gen(function* () {
      const [question = Chat.user(""), ...answer] = turn("a")
      const messages = [Conversation.important(question), ...answer, ...turn("b"), ...turn("c")]
      const strategy = Conversation.keepImportant()
      expect(yield* sent({ messages, budget: 70, strategy })).toBe("aAbBcCd")
      expect(yield* sent({ messages, budget: 69, strategy })).toBe("aAcCd")
      expect(yield* sent({ messages, budget: 49, strategy })).toBe("aAd")
      expect(yield* sent({ messages, budget: 29, strategy })).toBe("d")
      expect(yield* sent({ budget: 69, strategy })).toBe("bBcCd")
    })
  )
  it.effect("keepImportant orders turns by a function, and leaves no gap among equally important ones", () =>
    Effect.gen(function* () {
      const long = [...turn("a"), Chat.user("b".repeat(31)), Chat.assistant("B"), ...turn("c")]
      expect(yield* sent({ messages: long, budget: 69, strategy: Conversation.keepImportant() })).toBe("cCd")
      const oldest = Conversation.keepImportant((_, newer) => newer)
      expect(yield* sent({ budget: 69, strategy: oldest })).toBe("aAbBd")
    })
  )
  it.effect("a mark of importance is part of a snapshot, and is not sent", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ messages: [Conversation.important(Chat.user("Hi"))] })
      const restored = yield* Conversation.restore(yield* conversation.snapshot)
      expect(yield* restored.messages).toEqual([Conversation.important(Chat.user("Hi"))])
      const target = { provider: "openai", model: "m", stream: false }
      const encoded = ChatCompletions.make({}).encodeRequest({ messages: yield* restored.messages }, target)
      expect(Either.isRight(encoded)).toBe(true)
      expect(JSON.stringify(encoded)).not.toContain("important")
    })
  )
  it.effect("keeps the newest turns of what a custom strategy leaves over the budget", () =>
    Effect.gen(function* () {
      const withoutB: Conversation.Strategy = ({ turns }) =>
        Effect.succeed(turns.filter(({ messages }) => messages[0].content !== "bbbbbb"))
      expect(yield* sent({ budget: 50, strategy: withoutB })).toBe("aAcCd")
      expect(yield* sent({ budget: 49, strategy: withoutB })).toBe("cCd")
    })
  )
  it.effect("applies the budget to the recorded messages, and `trim` applies it at once", () =>
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

describe("dropToolOutputs", () => {
  const long = "x".repeat(100)
  const note = "[This result was removed to save space.]"
  const round = (id: string): ReadonlyArray<Chat.Message> => [
    Chat.assistant("", [Chat.toolCall(id, "read", "{}")]),
    Chat.toolResult(id, long)
  ]
  const dropped = (messages: ReadonlyArray<Chat.Message>, budget: number) =>
    Effect.map(Conversation.trim(messages, { budget, strategy: Conversation.dropToolOutputs }), (kept) =>
      kept.map(({ content }) => (content === long ? "long" : content === note ? "note" : "")).join(" ")
    ).pipe(characters)

  it.effect("dropToolOutputs replaces the oldest results first, and only as many as the budget requires", () =>
    Effect.gen(function* () {
      const messages = [Chat.user("a"), ...round("1"), ...round("2"), Chat.assistant("b"), Chat.user("c")]
      expect(yield* dropped(messages, 270)).toBe("  long  long  ")
      expect(yield* dropped(messages, 240)).toBe("  note  long  ")
      expect(yield* dropped(messages, 160)).toBe("  note  note  ")
      expect(yield* dropped(messages, 100)).toBe("")
    })
  )
  it.effect("dropToolOutputs keeps results that follow the last answer of the model", () =>
    Effect.gen(function* () {
      const messages = [Chat.user("a"), ...round("1"), ...round("2")]
      expect(yield* dropped(messages, 0)).toBe("  note  long")
    })
  )
  it.effect("dropToolOutputs keeps results that are shorter than the note", () =>
    Effect.gen(function* () {
      const messages = [Chat.user("a"), Chat.assistant("", [call]), Chat.toolResult(call, "ok"), Chat.assistant("b")]
      expect(yield* Conversation.trim(messages, { budget: 0, strategy: Conversation.dropToolOutputs })).toEqual(
        messages
      )
    }).pipe(characters)
  )
})

describe("summarize", () => {
  const history = [
    Chat.user("My name is Ada."),
    Chat.assistant([
      { type: "reasoning", text: "hm" },
      Chat.text("I look."),
      call,
      { type: "refusal", text: "Then I say it." }
    ]),
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

  it.effect("summarize replaces the oldest turns by a question and a summary", () =>
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
            "user: My name is Ada.\n\nassistant: I look.\n[calls weather with {}]\nThen I say it.\n\ntool: sunny\n\n" +
              "assistant: Hello Ada.\n\nuser: See\n[image]\n[file cv.pdf]\n\nassistant: Seen."
          )
        ],
        [Chat.system("s"), question, Chat.assistant("The user is Ada."), Chat.user("What is my name?")]
      ])
      expect(yield* conversation.messages).toHaveLength(5)
    }).pipe(characters, Effect.provide(TestLLM.layer(["The user is Ada.", "Ada."])))
  )
  it.effect("summarize calls no model when everything fits or when there is only the question", () =>
    Effect.gen(function* () {
      const strategy = Conversation.summarize()
      yield* Conversation.trim(history, { budget: 10_000, strategy })
      yield* Conversation.trim([Chat.user("What is my name?")], { budget: 1, strategy })
      expect(yield* requests).toEqual([])
    }).pipe(Effect.provide(TestLLM.layer([])))
  )
  it.effect("summarize leaves out a summary that is over the budget or empty", () =>
    Effect.gen(function* () {
      const strategy = Conversation.summarize()
      const last = history.slice(-1)
      expect(yield* Conversation.trim(history, { budget: 100, strategy })).toEqual(last)
      expect(yield* Conversation.trim(history, { budget: 100, strategy })).toEqual(last)
    }).pipe(characters, Effect.provide(TestLLM.layer(["long ".repeat(100), " "])))
  )
  it.effect("summarize fails with the error of its call, which a strategy can catch", () =>
    Effect.gen(function* () {
      const strategy = Conversation.summarize()
      expect(yield* Effect.flip(Conversation.trim(history, { budget: 100, strategy }))).toBe(broken)
      const withFallback: Conversation.Strategy<never, LLM.LLM> = (history) =>
        Effect.catchAll(strategy(history), () => Conversation.keepNewest(history))
      expect(yield* Conversation.trim(history, { budget: 100, strategy: withFallback })).toEqual(history.slice(-1))
    }).pipe(characters, Effect.provide(TestLLM.layer([TestLLM.failure(broken)], { loop: true })))
  )
})
