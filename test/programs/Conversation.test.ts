import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream, TestClock } from "effect"
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
  partial: Chat.withContent({ id: "", model: "", usage: Usage.empty }, [Chat.text("half")])
})

/** Counts one token for each character. */
const characters = Effect.provide(
  TokenCounter.layer(() => ({ text: (text) => ({ tokens: text.length, estimated: false }), knownChatFormat: true }))
)

const call: Chat.ToolCall = { type: "tool-call", id: "call_1", name: "weather", arguments: "{}" }

/** Parts whose order is not that of the fields of a response. */
const mixed: ReadonlyArray<Chat.AssistantPart> = [
  Chat.text("Let me see."),
  call,
  { type: "provider", provider: "test", native: { anthropic: { type: "server_tool_use", id: "s1" } } },
  { type: "reasoning", text: "hm", signature: "s", provider: "test" },
  { type: "refusal", text: "I cannot." },
  Chat.text("Sorry.")
]

const requests = Effect.map(TestLLM.calls, (calls) => calls.map(({ request }) => request.messages))

describe("Conversation.send", () => {
  it.effect("sends the whole history with each question and records question and answer", () =>
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
  it.effect("passes the request options of `send` and `stream` to the model", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      yield* conversation.send("?", { temperature: 0, tools: [{ name: "weather" }] })
      yield* Stream.runDrain(conversation.stream("?", { seed: 7 }))
      const [first, second] = yield* TestLLM.calls
      expect(first?.request).toEqual({ messages: [Chat.user("?")], temperature: 0, tools: [{ name: "weather" }] })
      expect(second).toMatchObject({ stream: true, request: { seed: 7 } })
    }).pipe(Effect.provide(TestLLM.layer(["a", "b"])))
  )
  it.effect("keeps tool calls, their results and signed reasoning in the history", () =>
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
          content: [{ type: "reasoning", text: "hm", signature: "s" }, call]
        },
        Chat.toolResult(call, "sunny")
      ])
    }).pipe(
      Effect.provide(
        TestLLM.layer([
          TestLLM.answer({ content: [{ type: "reasoning", text: "hm", signature: "s" }, call] }),
          "It is sunny.",
          "Rain."
        ])
      )
    )
  )
  it.effect("records the parts of an answer in their order, with its provider parts and its refusal", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      yield* conversation.send("?")
      yield* Stream.runDrain(conversation.stream("?"))
      const turn = [Chat.user("?"), Chat.assistant(mixed)]
      expect(yield* conversation.messages).toEqual([...turn, ...turn])
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.answer({ content: mixed })], { loop: true })))
  )
  it.effect("continues a conversation with another model when another LLM is in context", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      const ask = Effect.map(conversation.send("?"), (answer) => answer.text)
      expect(yield* Effect.provide(ask, TestLLM.layer(["first"]))).toBe("first")
      expect(yield* Effect.provide(ask, TestLLM.layer(["second"]))).toBe("second")
      expect(yield* conversation.messages).toHaveLength(4)
    })
  )
})

describe("Conversation.send without an answer", () => {
  it.effect("leaves the history unchanged when the call fails", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ messages: [Chat.user("a"), Chat.assistant("b")] })
      expect(yield* Effect.flip(conversation.send("?"))).toBe(broken)
      expect(yield* conversation.messages).toEqual([Chat.user("a"), Chat.assistant("b")])
      expect((yield* conversation.send("?")).text).toBe("now")
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.failure(broken), "now"])))
  )
  it.effect("leaves the history unchanged when the call is interrupted", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      const fiber = yield* Effect.fork(conversation.send("?"))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      expect(yield* conversation.messages).toEqual([])
      expect((yield* conversation.send("?")).text).toBe("now")
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.never, "now"])))
  )
  it.effect("keeps the messages that the budget would have removed when the call fails", () =>
    Effect.gen(function* () {
      const messages = [Chat.user("long ago"), Chat.assistant("yes")]
      const conversation = yield* Conversation.make({ budget: 1, messages })
      yield* Effect.flip(conversation.send("?"))
      expect(yield* conversation.messages).toEqual(messages)
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.failure(broken)])))
  )
})

describe("Conversation.stream", () => {
  it.effect("records question and answer, with its tool calls, when the stream ends", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      const events = yield* Stream.runCollect(conversation.stream("?"))
      expect(events.length).toBeGreaterThan(3)
      expect(yield* conversation.messages).toEqual([Chat.user("?"), Chat.assistant("one two three", [call])])
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.answer({ text: "one two three", toolCalls: [call] })])))
  )
  it.effect("records question and answer at Finish when the consumer stops there", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      yield* conversation.stream("?").pipe(
        Stream.takeUntil((event) => event._tag === "Finish"),
        Stream.runDrain
      )
      expect(yield* conversation.messages).toHaveLength(2)
    }).pipe(Effect.provide(TestLLM.layer(["one two three"])))
  )
  it.effect("leaves the history unchanged and releases the turn when the consumer stops early", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      yield* Stream.runDrain(Stream.take(conversation.stream("?"), 2))
      expect(yield* conversation.messages).toEqual([])
      yield* conversation.send("again?")
      expect(yield* conversation.messages).toEqual([Chat.user("again?"), Chat.assistant("now")])
    }).pipe(Effect.provide(TestLLM.layer(["one two three", "now"])))
  )
  it.effect("leaves the history unchanged and releases the turn when the stream breaks", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make()
      expect(yield* Effect.flip(Stream.runDrain(conversation.stream("?")))).toBe(interrupted)
      expect(yield* conversation.messages).toEqual([])
      expect((yield* conversation.send("?")).text).toBe("now")
    }).pipe(
      Effect.provide(
        TestLLM.layer([
          TestLLM.stream([{ _tag: "TextDelta", index: 0, text: "half" }], { failure: interrupted }),
          "now"
        ])
      )
    )
  )
  it.effect("releases the turn of a stream when its strategy fails", () =>
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
  it.effect("puts tool results that are added during a stream behind its answer", () =>
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

describe("concurrent questions to one conversation", () => {
  it.effect("sends concurrent questions one after the other, each with the answers before it", () =>
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
  it.effect("goes on with the next question when a waiting one is interrupted", () =>
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
  it.effect("reads, adds, forks and clears while a question is in flight", () =>
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

describe("Conversation.clear", () => {
  it.effect("clear removes all messages except the system message", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ system: "s", messages: [Chat.user("a"), Chat.assistant("b")] })
      yield* conversation.clear
      expect(yield* conversation.messages).toEqual([Chat.system("s")])
    })
  )
  it.effect("clear keeps an answer that is in flight out of the history", () =>
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

describe("Conversation.fork", () => {
  it.effect("fork copies messages, budget and strategy, and leaves the original unchanged", () =>
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

describe("Conversation.snapshot", () => {
  const messages: ReadonlyArray<Chat.Message> = [
    Chat.system("s"),
    Chat.user([Chat.text("see"), Chat.image("https://example.com/cat.png", { detail: "low" })]),
    Chat.assistant(mixed),
    { role: "tool", toolCallId: call.id, content: "no", isError: true }
  ]

  it.effect("restores the messages of a conversation from its snapshot", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ messages })
      const restored = yield* Conversation.restore(yield* conversation.snapshot, { budget: 100 })
      expect(yield* restored.messages).toEqual(messages)
    })
  )

  it.effect("snapshot fails with a ParseError when a message could not be read again", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ messages: [Chat.user([Chat.image("cat.png")])] })
      const error = yield* Effect.flip(conversation.snapshot)
      expect(error._tag).toBe("ParseError")
      expect(error.message).toContain("expected an http(s): or data: URL")
    })
  )

  it.effect("restore fails with a ParseError when the text is not a snapshot", () =>
    Effect.gen(function* () {
      for (const wrong of ["", "{}", '[{"role":"robot","content":"hi"}]', '["hi"]', '{"version":2}']) {
        expect((yield* Effect.flip(Conversation.restore(wrong)))._tag).toBe("ParseError")
      }
    })
  )

  it.effect("a snapshot has version 2, and one of a later version is refused by its version", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ messages: [Chat.user("hi"), Chat.assistant([call])] })
      const text =
        '{"version":2,"messages":[{"role":"user","content":"hi"},' +
        '{"role":"assistant","content":[{"type":"tool-call","id":"call_1","name":"weather","arguments":"{}"}]}]}'
      expect(yield* conversation.snapshot).toBe(text)
      expect(yield* (yield* Conversation.restore(text)).messages).toEqual(yield* conversation.messages)
      const error = yield* Effect.flip(Conversation.restore(text.replace('"version":2', '"version":3')))
      expect(error._tag).toBe("ParseError")
      expect(error.message).toContain(
        "The history has version 3, and this version of effect-llm reads versions 1 and 2."
      )
    })
  )

  it.effect("restores a snapshot of 0.1.0 with its tool calls behind the text of their message", () =>
    Effect.gen(function* () {
      const snapshot =
        '[{"role":"system","content":"s"},' +
        '{"role":"user","content":[{"type":"text","text":"see"},{"type":"native","native":{"responses":{"type":"x"}}}]},' +
        '{"role":"assistant","content":[{"type":"reasoning","text":"hm","signature":"s","provider":"openai"},' +
        '{"type":"text","text":"so"}],"toolCalls":[{"id":"1","name":"weather","arguments":"{}"},' +
        '{"id":"2","name":"sql","arguments":"SELECT 1","type":"custom","native":{"responses":{"status":"done"}}}],' +
        '"native":{"responses":{}}},' +
        '{"role":"assistant","content":"two","toolCalls":[{"id":"3","name":"weather","arguments":"{}"}]},' +
        '{"role":"assistant","content":"","toolCalls":[{"id":"4","name":"weather","arguments":"{}"}]},' +
        '{"role":"assistant","content":"three","toolCalls":[]},' +
        '{"role":"tool","toolCallId":"1","content":"sunny","isError":true}]'
      const weather = (id: string) => Chat.toolCall(id, "weather", "{}")
      const messages: ReadonlyArray<Chat.Message> = [
        Chat.system("s"),
        Chat.user([Chat.text("see"), { type: "provider", native: { responses: { type: "x" } } }]),
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "hm", signature: "s", provider: "openai" },
            Chat.text("so"),
            weather("1"),
            { ...Chat.toolCall("2", "sql", "SELECT 1"), custom: true, native: { responses: { status: "done" } } }
          ],
          native: { responses: {} }
        },
        Chat.assistant([Chat.text("two"), weather("3")]),
        Chat.assistant([weather("4")]),
        Chat.assistant("three"),
        { ...Chat.toolResult("1", "sunny"), isError: true }
      ]
      expect(yield* (yield* Conversation.restore(snapshot)).messages).toEqual(messages)
      expect(yield* Schema.decode(Conversation.Messages)(snapshot)).toEqual(messages)
    })
  )

  it.effect("refuses a snapshot of 0.1.0 whose tool calls are not calls, instead of dropping them", () =>
    Effect.gen(function* () {
      for (const toolCalls of ['"none"', "[1]", '[{"name":"weather","arguments":"{}"}]']) {
        const snapshot = `[{"role":"assistant","content":"","toolCalls":${toolCalls}}]`
        expect((yield* Effect.flip(Conversation.restore(snapshot)))._tag).toBe("ParseError")
      }
    })
  )
})

describe("Conversation.tokens", () => {
  it.effect("counts the tokens of the history for the model in context", () =>
    Effect.gen(function* () {
      const conversation = yield* Conversation.make({ messages: [Chat.user("four")] })
      expect(yield* conversation.tokens).toEqual({ tokens: 8, estimated: false })
    }).pipe(characters, Effect.provide(TestLLM.layer([])))
  )
})
