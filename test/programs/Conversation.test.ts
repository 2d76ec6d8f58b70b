import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Stream, TestClock } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as Conversation from "../../src/programs/Conversation.js"
import { NetworkError, StreamInterruptedError } from "../../src/vocabulary/LLMError.js"
import * as TestLLM from "../../src/testing/TestLLM.js"
import * as TokenCounter from "../../src/tokens/TokenCounter.js"
import * as Usage from "../../src/vocabulary/Usage.js"

const broken = new NetworkError({ provider: "test", model: "test", attempts: [], message: "The connection broke." })

const interrupted = new StreamInterruptedError({
  provider: "test",
  model: "test",
  attempts: [],
  message: "The stream broke.",
  begun: true,
  partial: { id: "", model: "", text: "half", reasoning: "", toolCalls: [], usage: Usage.empty }
})

/** A character is a token. */
const characters = Effect.provide(
  TokenCounter.layer(() => ({ text: (text) => ({ tokens: text.length, estimated: false }), knownChatFormat: true }))
)

const call: Chat.ToolCall = { id: "call_1", name: "weather", arguments: "{}" }

const requests = Effect.map(TestLLM.calls, (calls) => calls.map(({ request }) => request.messages))

describe("a conversation", () => {
  it.effect("remembers what was said", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ system: "Be brief." })
      expect((yield* conversation.send("one?")).text).toBe("One.")
      yield* conversation.send(Chat.user([Chat.text("two?")]))
      const history = [
        Chat.system("Be brief."),
        Chat.user("one?"),
        Chat.assistant("One."),
        Chat.user([Chat.text("two?")]),
        Chat.assistant("Two.")
      ]
      expect(yield* conversation.messages).toEqual(history)
      expect(yield* requests).toEqual([history.slice(0, 2), history.slice(0, 4)])
    }).pipe(Effect.provide(TestLLM.layer(["One.", "Two."])))
  )
  it.effect("sends the rest of the request as it is told to", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      yield* conversation.send("?", { temperature: 0, tools: [{ name: "weather" }] })
      yield* Stream.runDrain(conversation.stream("?", { seed: 7 }))
      const [first, second] = yield* TestLLM.calls
      expect(first?.request).toEqual({ messages: [Chat.user("?")], temperature: 0, tools: [{ name: "weather" }] })
      expect(second).toMatchObject({ stream: true, request: { seed: 7 } })
    }).pipe(Effect.provide(TestLLM.layer(["a", "b"])))
  )
  it.effect("carries the calls of tools, their results and signed thoughts", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      const { toolCalls } = yield* conversation.send("How is the weather?")
      yield* conversation.add(...toolCalls.map((call) => Chat.toolResult(call, "sunny")))
      yield* conversation.send([])
      yield* conversation.send([Chat.user("And"), Chat.user("tomorrow?")])
      expect((yield* conversation.messages).map((message) => message.role)).toEqual([
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "user",
        "assistant"
      ])
      expect((yield* requests)[1]).toEqual([
        Chat.user("How is the weather?"),
        {
          role: "assistant",
          content: [{ type: "reasoning", text: "hm", signature: "s" }],
          toolCalls: [call]
        },
        Chat.toolResult(call, "sunny")
      ])
    }).pipe(
      Effect.provide(
        TestLLM.layer([
          TestLLM.answer({
            reasoningParts: [{ type: "reasoning", text: "hm", signature: "s" }],
            toolCalls: [call]
          }),
          "It is sunny.",
          "Rain."
        ])
      )
    )
  )
  it.effect("takes a refusal for the answer that it is", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      yield* conversation.send("?")
      yield* Stream.runDrain(conversation.stream("?"))
      const said = [Chat.user("?"), Chat.assistant("I cannot.")]
      expect(yield* conversation.messages).toEqual([...said, ...said])
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.answer({ refusal: "I cannot." })], { loop: true })))
  )
  it.effect("may go on with another model", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      const ask = Effect.map(conversation.send("?"), (answer) => answer.text)
      expect(yield* Effect.provide(ask, TestLLM.layer(["first"]))).toBe("first")
      expect(yield* Effect.provide(ask, TestLLM.layer(["second"]))).toBe("second")
      expect(yield* conversation.messages).toHaveLength(4)
    })
  )
})

describe("a question that is not answered", () => {
  it.effect("leaves the history as before, when it fails", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ messages: [Chat.user("a"), Chat.assistant("b")] })
      expect(yield* Effect.flip(conversation.send("?"))).toBe(broken)
      expect(yield* conversation.messages).toEqual([Chat.user("a"), Chat.assistant("b")])
      expect((yield* conversation.send("?")).text).toBe("now")
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.failure(broken), "now"])))
  )
  it.effect("leaves the history as before, when it is interrupted", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      const fiber = yield* Effect.fork(conversation.send("?"))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      expect(yield* conversation.messages).toEqual([])
      expect((yield* conversation.send("?")).text).toBe("now")
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.never, "now"])))
  )
  it.effect("keeps what the budget would have cost it", () =>
    Effect.gen(function* () {
      const messages = [Chat.user("long ago"), Chat.assistant("yes")]
      const conversation = yield* Conversation.make({ budget: 1, messages })
      yield* Effect.flip(conversation.send("?"))
      expect(yield* conversation.messages).toEqual(messages)
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.failure(broken)])))
  )
})

describe("a stream", () => {
  it.effect("is recorded when it ends well", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      const words = yield* Stream.runCollect(conversation.stream("?"))
      expect(words.length).toBeGreaterThan(3)
      expect(yield* conversation.messages).toEqual([Chat.user("?"), Chat.assistant("one two three", [call])])
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.answer({ text: "one two three", toolCalls: [call] })])))
  )
  it.effect("is recorded once its Finish is there, whoever stays to the end", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      yield* conversation.stream("?").pipe(
        Stream.takeUntil((event) => event._tag === "Finish"),
        Stream.runDrain
      )
      expect(yield* conversation.messages).toHaveLength(2)
    }).pipe(Effect.provide(TestLLM.layer(["one two three"])))
  )
  it.effect("leaves the history as before when it is given up, and lets the next one ask", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      yield* Stream.runDrain(Stream.take(conversation.stream("?"), 2))
      expect(yield* conversation.messages).toEqual([])
      yield* conversation.send("again?")
      expect(yield* conversation.messages).toEqual([Chat.user("again?"), Chat.assistant("now")])
    }).pipe(Effect.provide(TestLLM.layer(["one two three", "now"])))
  )
  it.effect("leaves the history as before when it breaks, and lets the next one ask", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      expect(yield* Effect.flip(Stream.runDrain(conversation.stream("?")))).toBe(interrupted)
      expect(yield* conversation.messages).toEqual([])
      expect((yield* conversation.send("?")).text).toBe("now")
    }).pipe(
      Effect.provide(
        TestLLM.layer([TestLLM.stream([{ _tag: "TextDelta", text: "half" }], { failure: interrupted }), "now"])
      )
    )
  )
  it.effect("lets the next one ask when its strategy fails", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({
        budget: 8,
        strategy: ({ turns }) => (turns.length > 2 ? Effect.fail(broken) : Effect.succeed(turns))
      })
      yield* conversation.add(Chat.user("one"), Chat.user("two"))
      expect(yield* Effect.flip(Stream.runDrain(conversation.stream("three")))).toBe(broken)
      yield* conversation.clear
      expect((yield* conversation.send("four")).text).toBe("now")
    }).pipe(Effect.provide(TestLLM.layer(["now"])))
  )
  it.effect("may have the results of its calls added while it runs", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      yield* Stream.runForEach(conversation.stream("?"), (event) =>
        event._tag === "ToolCallEnd" ? conversation.add(Chat.toolResult(event.call, "sunny")) : Effect.void
      )
      expect(yield* conversation.messages).toEqual([
        Chat.user("?"),
        Chat.assistant("", [call]),
        Chat.toolResult(call, "sunny")
      ])
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.answer({ toolCalls: [call] })])))
  )
})

describe("questions at the same time", () => {
  it.effect("are asked one after the other, each knowing the answer before", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      const fiber = yield* Effect.fork(
        Effect.all(
          [
            conversation.send("a"),
            Stream.runDrain(conversation.stream("b")),
            conversation.send("c"),
            Stream.runDrain(conversation.stream("d"))
          ],
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      const history = yield* conversation.messages
      expect(history.map(({ role }) => role)).toEqual(Array.from({ length: 4 }, () => ["user", "assistant"]).flat())
      expect(yield* requests).toEqual([1, 3, 5, 7].map((length) => history.slice(0, length)))
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.delayed("1 second", "yes")], { loop: true })))
  )
  it.effect("may give up waiting, and nothing is lost", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      const first = yield* Effect.fork(conversation.send("first"))
      yield* TestClock.adjust("1 second")
      const waiting = yield* Effect.fork(Stream.runDrain(conversation.stream("waiting")))
      const behind = yield* Effect.fork(conversation.send("behind"))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(first)
      yield* Fiber.join(behind)
      expect((yield* conversation.messages).map(({ content }) => content)).toEqual(["first", "yes", "behind", "yes"])
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.delayed("10 seconds", "yes")], { loop: true })))
  )
  it.effect("do not stop anybody from reading, adding, forking or clearing", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ system: "s" })
      yield* Effect.fork(conversation.send("?"))
      yield* TestClock.adjust("1 second")
      yield* conversation.add(Chat.user("added"))
      expect(yield* (yield* conversation.fork).messages).toEqual([Chat.system("s"), Chat.user("added")])
      yield* conversation.clear
      expect(yield* conversation.messages).toEqual([Chat.system("s")])
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.never])))
  )
})

describe("clear", () => {
  it.effect("forgets everything but what the model is told beforehand", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ system: "s", messages: [Chat.user("a"), Chat.assistant("b")] })
      yield* conversation.clear
      expect(yield* conversation.messages).toEqual([Chat.system("s")])
    })
  )
  it.effect("forgets an answer that is still on its way", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      const fiber = yield* Effect.fork(conversation.send("old"))
      yield* TestClock.adjust("1 second")
      yield* conversation.clear
      yield* TestClock.adjust("10 seconds")
      expect((yield* Fiber.join(fiber)).text).toBe("answer")
      expect(yield* conversation.messages).toEqual([])
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.delayed("5 seconds", "answer")])))
  )
})

describe("fork", () => {
  it.effect("has the same past, budget and strategy, and a future of its own", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({
        system: "s",
        budget: 20,
        strategy: () => Effect.succeed([]),
        messages: [Chat.user("a"), Chat.assistant("b")]
      })
      const fork = yield* conversation.fork
      yield* fork.send("a question that is long")
      expect(yield* conversation.messages).toHaveLength(3)
      expect(yield* fork.messages).toEqual([
        Chat.system("s"),
        Chat.user("a question that is long"),
        Chat.assistant("yes")
      ])
    }).pipe(characters, Effect.provide(TestLLM.layer(["yes"])))
  )
})

describe("a snapshot", () => {
  const messages: ReadonlyArray<Chat.Message> = [
    Chat.system("s"),
    Chat.user([Chat.text("see"), Chat.image("https://example.com/cat.png", { detail: "low" })]),
    { role: "assistant", content: [{ type: "reasoning", text: "", signature: "x" }], toolCalls: [call] },
    { role: "tool", toolCallId: call.id, content: "no", isError: true }
  ]

  it.effect("restores the conversation", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ messages })
      const restored = yield* Conversation.restore(yield* conversation.snapshot, { budget: 100 })
      expect(yield* restored.messages).toEqual(messages)
    })
  )

  it.effect("fails where a message could not be read again", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ messages: [Chat.user([Chat.image("cat.png")])] })
      const error = yield* Effect.flip(conversation.snapshot)
      expect(error._tag).toBe("ParseError")
      expect(error.message).toContain("cat.png")
    })
  )

  it.effect("that is none is refused", () =>
    Effect.gen(function* () {
      for (const wrong of ["", "{}", '[{"role":"robot","content":"hi"}]']) {
        expect((yield* Effect.flip(Conversation.restore(wrong)))._tag).toBe("ParseError")
      }
    })
  )
})

describe("tokens", () => {
  it.effect("are those of the model in context", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ messages: [Chat.user("four")] })
      expect(yield* conversation.tokens).toEqual({ tokens: 8, estimated: false })
    }).pipe(characters, Effect.provide(TestLLM.layer([])))
  )
})
