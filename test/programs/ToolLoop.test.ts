import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Chunk, Context, Deferred, Duration, Effect, Fiber, Option, Ref, Schema, Stream, TestClock } from "effect"
import type { ChatResponse, ToolCall } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as LLM from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { TestLLM } from "../../src/testing/index.js"
import * as Tool from "../../src/programs/Tool.js"
import { defectOf } from "../support/failure.js"
import * as Programs from "../support/programs.js"
import type * as ToolLoop from "../../src/programs/ToolLoop.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { unavailable } from "../support/scripted.js"

const add = Tool.make("add", {
  description: "Adds two numbers.",
  parameters: { a: Schema.Number, b: Schema.Number },
  success: Schema.Number,
  handler: ({ a, b }) => Effect.succeed(a + b)
})

const call = (id: string, name: string, args: unknown): ToolCall =>
  Chat.toolCall(id, name, typeof args === "string" ? args : JSON.stringify(args))

const calls = (...toolCalls: ReadonlyArray<ToolCall>) => TestLLM.answer({ toolCalls })

const counted = (inputTokens: number, fields: Partial<ChatResponse>) =>
  TestLLM.answer({ ...fields, usage: Usage.make({ inputTokens, outputTokens: 1 }) })

/** The messages of the last request. */
const lastAsked = Effect.map(TestLLM.calls, (made) => made.at(-1)?.request.messages ?? [])

/** The result in the last event of a stream. */
const finished = <E, R>(stream: Stream.Stream<ToolLoop.Event, E, R>) =>
  Effect.flatMap(Stream.runLast(stream), (last) =>
    Option.isSome(last) && last.value._tag === "Finish" ? Effect.succeed(last.value.result) : Effect.die("no Finish")
  )

/** Both ways of running the loop with the same signature. */
const runners = {
  runTools: LLM.runTools,
  runToolsStream: <const Tools extends ReadonlyArray<Tool.Any>, Failing extends ToolLoop.OnFailure = "fail">(
    request: Chat.ChatRequest.Input,
    options: ToolLoop.Options<Tools, Failing>
  ) => finished(LLM.runToolsStream(request, options))
}

describe.each(["runTools", "runToolsStream"] as const)("%s", (way) => {
  const run = runners[way]

  it.effect("runs the called tools and sends their results until the model answers without a call", () =>
    Effect.gen(function* () {
      const result = yield* run(
        { messages: [Chat.system("Calculate."), Chat.user("2+3, 4+5, and their sum?")], temperature: 0 },
        { tools: [add] }
      )
      expect(result.response.text).toBe("5, 9 and 14.")
      expect(result.pending).toEqual([])
      expect(result.usage).toEqual(Usage.make({ inputTokens: 60, outputTokens: 3 }))
      expect(result.messages).toEqual([
        Chat.system("Calculate."),
        Chat.user("2+3, 4+5, and their sum?"),
        Chat.assistant("", [call("1", "add", { a: 2, b: 3 }), call("2", "add", { a: 4, b: 5 })]),
        Chat.toolResult("1", "5"),
        Chat.toolResult("2", "9"),
        Chat.assistant("Now the sum.", [call("3", "add", { a: 5, b: 9 })]),
        Chat.toolResult("3", "14"),
        Chat.assistant("5, 9 and 14.")
      ])
      expect(
        result.rounds.map(({ executions, response }) => [response.text, executions.map((each) => each.result.content)])
      ).toEqual([
        ["", ["5", "9"]],
        ["Now the sum.", ["14"]],
        ["5, 9 and 14.", []]
      ])
      const made = yield* TestLLM.calls
      expect(made.map(({ request }) => [request.messages.length, request.temperature, request.tools])).toEqual([
        [2, 0, [Tool.definition(add)]],
        [5, 0, [Tool.definition(add)]],
        [7, 0, [Tool.definition(add)]]
      ])
      expect(made.every(({ stream }) => stream === (way === "runToolsStream"))).toBe(true)
    }).pipe(
      Effect.provide(
        TestLLM.layer([
          counted(10, { toolCalls: [call("1", "add", { a: 2, b: 3 }), call("2", "add", { a: 4, b: 5 })] }),
          counted(20, { text: "Now the sum.", toolCalls: [call("3", "add", { a: 5, b: 9 })] }),
          counted(30, { text: "5, 9 and 14." })
        ])
      )
    )
  )

  it.effect("ends after the round in which a condition holds, with the results of its calls", () =>
    Effect.gen(function* () {
      const sums: Array<number> = []
      const { messages, response, rounds } = yield* run("Count.", {
        tools: [add],
        stopWhen: (all) => {
          sums.push(all.length)
          return all.some(({ executions }) => executions.some(({ result }) => result.content === "9"))
        }
      })
      expect(sums).toEqual([1, 2])
      expect(rounds).toHaveLength(2)
      expect(response.toolCalls.map(({ id }) => id)).toEqual(["2"])
      expect(messages.at(-1)).toEqual(Chat.toolResult("2", "9"))
    }).pipe(
      Effect.provide(
        TestLLM.layer([
          calls(call("1", "add", { a: 2, b: 3 })),
          calls(call("2", "add", { a: 4, b: 5 })),
          "Never asked."
        ])
      )
    )
  )

  it.effect("reports unknown tools, broken JSON and invalid arguments to the model", () =>
    Effect.gen(function* () {
      const order = Tool.make("order", {
        parameters: { items: Schema.Array(Schema.Struct({ price: Schema.Number })) },
        handler: () => Effect.die("reached")
      })
      const result = yield* run("Go", { tools: [order, add] })
      expect(result.response.text).toBe("Sorry.")
      expect(yield* lastAsked).toMatchObject([
        {},
        {},
        { toolCallId: "1", isError: true, content: "There is no tool odrer. The tools are: order, add." },
        { toolCallId: "2", isError: true, content: "The arguments of order are not a JSON object: {items" },
        {
          toolCallId: "3",
          isError: true,
          content: 'The arguments of order are not valid. items[1].price: Expected number, actual "free"'
        }
      ])
    }).pipe(
      Effect.provide(
        TestLLM.layer([
          calls(
            call("1", "odrer", {}),
            call("2", "order", "{items"),
            call("3", "order", { items: [{ price: 1 }, { price: "free" }] })
          ),
          "Sorry."
        ])
      )
    )
  )

  it.effect("returns calls of tools without a handler as `pending`, after running the others", () =>
    Effect.gen(function* () {
      const first = yield* run(
        { messages: [Chat.user("Go")], tools: [{ name: "confirm" }, { name: "add", description: "Another." }] },
        { tools: [add] }
      )
      expect(first.pending).toEqual([call("2", "confirm", {})])
      expect(first.rounds).toHaveLength(1)
      const second = yield* run(
        { messages: [...first.messages, ...first.pending.map((each) => Chat.toolResult(each, "yes"))] },
        { tools: [add] }
      )
      expect(second.response.text).toBe("Done.")
      const [asked] = yield* TestLLM.calls
      expect(asked?.request.tools).toEqual([Tool.definition(add), { name: "confirm" }])
      expect((yield* lastAsked).map((message) => message.role)).toEqual(["user", "assistant", "tool", "tool"])
    }).pipe(Effect.provide(TestLLM.layer([calls(call("1", "add", { a: 1, b: 1 }), call("2", "confirm", {})), "Done."])))
  )

  it.effect("returns calls of provider tools from `extra.tools` as `pending`", () =>
    Effect.gen(function* () {
      const result = yield* run(
        { messages: [Chat.user("Go")], extra: { tools: [{ type: "custom", name: "sql" }] } },
        { tools: [add] }
      )
      expect(result.pending.map(({ name }) => name)).toEqual(["sql"])
    }).pipe(Effect.provide(TestLLM.layer([calls(call("1", "sql", "SELECT 1"))])))
  )

  it.effect("sends a tool choice that forces a call with the first request only", () =>
    Effect.gen(function* () {
      yield* run({ messages: [Chat.user("Go")], toolChoice: "required" }, { tools: [add] })
      yield* run({ messages: [Chat.user("Go")], toolChoice: { name: "add" } }, { tools: [add] })
      yield* run({ messages: [Chat.user("Go")], toolChoice: "none" }, { tools: [add] })
      const made = yield* TestLLM.calls
      expect(made.map(({ request }) => request.toolChoice)).toEqual([
        "required",
        undefined,
        { name: "add" },
        undefined,
        "none",
        "none"
      ])
    }).pipe(Effect.provide(TestLLM.layer([calls(call("1", "add", { a: 1, b: 1 })), "Done."], { loop: true })))
  )

  const search: Chat.ProviderPart = { type: "provider", provider: "test", native: { test: { type: "search" } } }

  const paused = (inputTokens: number, ...content: ReadonlyArray<Chat.AssistantPart>) =>
    counted(inputTokens, { content, finishReason: "pause", rawFinishReason: "pause_turn" })

  it.effect("continues an answer with the finish reason `pause` by sending the conversation with it at the end", () =>
    Effect.gen(function* () {
      const messages = [Chat.user("Search.")]
      const pieces = [
        Chat.assistant([Chat.text("I search."), search]),
        Chat.assistant([search]),
        Chat.assistant("Found.")
      ]
      const result = yield* run({ messages, temperature: 0, toolChoice: "auto" }, { tools: [add] })
      expect(result.messages).toEqual([...messages, ...pieces])
      expect(result.response.text).toBe("Found.")
      expect(result.usage).toEqual(Usage.make({ inputTokens: 60, outputTokens: 3 }))
      expect(result.rounds.map(({ executions, response }) => [response.finishReason, executions])).toEqual([
        ["pause", []],
        ["pause", []],
        ["stop", []]
      ])
      const made = yield* TestLLM.calls
      expect(made.map(({ request }) => request)).toEqual(
        [0, 1, 2].map((sent) => ({
          messages: [...messages, ...pieces.slice(0, sent)],
          temperature: 0,
          toolChoice: "auto",
          tools: [Tool.definition(add)]
        }))
      )
    }).pipe(
      Effect.provide(
        TestLLM.layer([paused(10, Chat.text("I search."), search), paused(20, search), counted(30, { text: "Found." })])
      )
    )
  )

  it.effect("runs the tools of an answer with the finish reason `pause` and sends their results", () =>
    Effect.gen(function* () {
      const content = [search, call("1", "add", { a: 1, b: 2 })]
      const result = yield* run("Go", { tools: [add] })
      expect(yield* lastAsked).toEqual([Chat.user("Go"), Chat.assistant(content), Chat.toolResult("1", "3")])
      expect(result.rounds).toHaveLength(2)
    }).pipe(Effect.provide(TestLLM.layer([paused(1, search, call("1", "add", { a: 1, b: 2 })), "Done."])))
  )

  it.effect("returns an answer with the finish reason `pause` that calls a tool without a handler", () =>
    Effect.gen(function* () {
      const result = yield* run({ messages: [Chat.user("Go")], tools: [{ name: "confirm" }] }, { tools: [add] })
      expect(result.pending).toEqual([call("1", "confirm", {})])
      expect(yield* TestLLM.calls).toHaveLength(1)
    }).pipe(Effect.provide(TestLLM.layer([paused(1, search, call("1", "confirm", {}))])))
  )

  it.effect("sends a tool choice that forces a call again after a pause, until the first call", () =>
    Effect.gen(function* () {
      yield* run({ messages: [Chat.user("Go")], toolChoice: "required" }, { tools: [add] })
      const made = yield* TestLLM.calls
      expect(made.map(({ request }) => request.toolChoice)).toEqual(["required", "required", undefined])
    }).pipe(Effect.provide(TestLLM.layer([paused(1, search), calls(call("1", "add", { a: 1, b: 1 })), "Done."])))
  )

  it.effect("counts every pause as a round and fails with a RoundsExceededError after maxRounds", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run("Go", { tools: [add], maxRounds: 3 }))
      if (error._tag !== "RoundsExceededError") return expect.fail(error._tag)
      expect(error.messages).toEqual([Chat.user("Go"), ...Array.from({ length: 3 }, () => Chat.assistant([search]))])
      expect(error.usage).toEqual(Usage.make({ inputTokens: 30, outputTokens: 3 }))
      expect(error.message).toContain("has not finished after 3 round(s)")
      expect(yield* TestLLM.calls).toHaveLength(3)
    }).pipe(Effect.provide(TestLLM.layer([paused(10, search)], { loop: true })))
  )

  it.effect("fails with a RoundsExceededError after maxRounds, whose messages continue the conversation", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run("Go", { tools: [add], maxRounds: 3 }))
      if (error._tag !== "RoundsExceededError") return expect.fail(error._tag)
      expect(error.maxRounds).toBe(3)
      expect(error.usage.outputTokens).toBe(3)
      const round = ["assistant", "tool"]
      expect(error.messages.map((message) => message.role)).toEqual(["user", ...round, ...round, ...round])
      expect(error.message).toContain("3 round(s)")
      const again = yield* Effect.flip(run({ messages: error.messages }, { tools: [add] }))
      expect(again._tag === "RoundsExceededError" && again.maxRounds).toBe(8)
      expect(yield* TestLLM.calls).toHaveLength(11)
    }).pipe(Effect.provide(TestLLM.layerHandler(() => counted(1, { toolCalls: [call("1", "add", { a: 1, b: 1 })] }))))
  )

  it.effect("fails with the error of its LLM", () =>
    Effect.gen(function* () {
      expect(yield* Effect.flip(run("Go", { tools: [add] }))).toBe(unavailable)
    }).pipe(Effect.provide(TestLLM.layer([calls(call("1", "add", { a: 1, b: 1 })), TestLLM.failure(unavailable)])))
  )

  describe("failing handler", () => {
    class NoSuchCity extends Schema.TaggedError<NoSuchCity>()("NoSuchCity", { city: Schema.String }) {
      override get message() {
        return `There is no city ${this.city}.`
      }
    }
    const weather = Tool.make("weather", {
      parameters: { city: Schema.String },
      handler: ({ city }) => Effect.fail(new NoSuchCity({ city }))
    })
    const script = [calls(call("1", "weather", { city: "Atlantis" }), call("2", "add", { a: 1, b: 1 })), "Sorry."]

    it.effect("fails the loop with the error of a handler", () =>
      Effect.gen(function* () {
        const outcome = yield* run("Go", { tools: [weather, add] }).pipe(
          Effect.as("answered"),
          Effect.catchTag("NoSuchCity", (error) => Effect.succeed(error.city))
        )
        expect(outcome).toBe("Atlantis")
        expect(yield* TestLLM.calls).toHaveLength(1)
      }).pipe(Effect.provide(TestLLM.layer(script)))
    )

    it.effect("reports the error of a handler to the model with `onFailure: report`", () =>
      Effect.gen(function* () {
        const result = yield* run("Go", { tools: [weather, add], onFailure: "report" })
        expect(result.response.text).toBe("Sorry.")
        expect((yield* lastAsked).slice(2)).toEqual([
          { ...Chat.toolResult("1", "NoSuchCity: There is no city Atlantis."), isError: true },
          Chat.toolResult("2", "2")
        ])
      }).pipe(Effect.provide(TestLLM.layer(script)))
    )

    it.effect("reports failures of a handler that are texts, plain objects or errors without a message", () =>
      Effect.gen(function* () {
        const failing = (name: string, failure: unknown) => Tool.make(name, { handler: () => Effect.fail(failure) })
        const tools = [failing("a", "no"), failing("b", { code: 7 }), failing("c", new TypeError())]
        const result = yield* run("Go", { tools, onFailure: "report" })
        expect(result.rounds[0]?.executions.map(({ result }) => result.content)).toEqual([
          "no",
          '{"code":7}',
          "TypeError"
        ])
      }).pipe(
        Effect.provide(TestLLM.layer([calls(call("1", "a", {}), call("2", "b", {}), call("3", "c", {})), "Done."]))
      )
    )

    it.effect("fails or reports an InvalidResultError when the result of a handler does not fit its schema", () =>
      Effect.gen(function* () {
        const wrong = Tool.make("weather", { success: Schema.Int, handler: () => Effect.succeed(0.5) })
        const outcome = yield* run("Go", { tools: [wrong, add] }).pipe(
          Effect.as("answered"),
          Effect.catchTag("InvalidResultError", (error) => Effect.succeed(error.tool))
        )
        expect(outcome).toBe("weather")
        const { rounds } = yield* run("Go", { tools: [wrong, add], onFailure: "report" })
        expect(rounds[0]?.executions[0]?.result.isError).toBe(true)
        expect(rounds[0]?.executions[0]?.result.content).toContain("Expected an integer")
      }).pipe(Effect.provide(TestLLM.layer([...script.slice(0, 1), ...script])))
    )

    it.effect("interrupts the other handlers when one fails", () =>
      Effect.gen(function* () {
        const running = yield* Deferred.make<void>()
        const interrupted = yield* Ref.make(false)
        const slow = Tool.make("add", {
          handler: () =>
            Effect.onInterrupt(Effect.zipRight(Deferred.succeed(running, undefined), Effect.never), () =>
              Ref.set(interrupted, true)
            )
        })
        const late = Tool.make("weather", {
          handler: () => Effect.zipRight(Deferred.await(running), Effect.fail("down"))
        })
        expect(yield* Effect.flip(run("Go", { tools: [slow, late] }))).toBe("down")
        expect(yield* Ref.get(interrupted)).toBe(true)
      }).pipe(Effect.provide(TestLLM.layer(script)))
    )

    it.effect("dies with the defect of a handler, also with `onFailure: report`", () =>
      Effect.gen(function* () {
        const broken = Tool.make("weather", { handler: () => Effect.die("bug") })
        const exit = yield* Effect.exit(run("Go", { tools: [broken, add], onFailure: "report" }))
        expect(defectOf(exit)).toEqual(Option.some("bug"))
      }).pipe(Effect.provide(TestLLM.layer(script)))
    )
  })

  describe("handlers", () => {
    const wait = Tool.make("wait", {
      parameters: { seconds: Schema.Number },
      handler: ({ seconds }) => Effect.as(Effect.sleep(Duration.seconds(seconds)), `waited ${seconds}`)
    })
    const script = [
      calls(call("1", "wait", { seconds: 3 }), call("2", "wait", { seconds: 1 }), call("3", "wait", { seconds: 2 })),
      "Done."
    ]
    const timed = (concurrency?: number) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.fork(
          Effect.timed(run("Go", { tools: [wait], ...(concurrency === undefined ? {} : { concurrency }) }))
        )
        yield* TestClock.adjust("1 minute")
        const [took, result] = yield* Fiber.join(fiber)
        return [Duration.toSeconds(took), result.rounds[0]?.executions ?? []] as const
      }).pipe(Effect.provide(TestLLM.layer(script)))

    it.effect("runs handlers concurrently and keeps their results in the order of the calls", () =>
      Effect.gen(function* () {
        const [seconds, executions] = yield* timed()
        expect(seconds).toBe(3)
        expect(executions.map(({ duration, result }) => [result.toolCallId, result.content, duration])).toEqual([
          ["1", "waited 3", 3000],
          ["2", "waited 1", 1000],
          ["3", "waited 2", 2000]
        ])
      })
    )

    it.effect("runs no more handlers at once than `concurrency`", () =>
      Effect.gen(function* () {
        expect((yield* timed(1))[0]).toBe(6)
        expect((yield* timed(2))[0]).toBe(3)
      })
    )

    it.effect("runs each handler in an execute_tool span with the OpenTelemetry attributes", () =>
      Effect.gen(function* () {
        const tool = Tool.make("wait", {
          handler: () =>
            Effect.map(
              Effect.orDie(Effect.currentSpan),
              (span) => `${span.name} ${JSON.stringify(Object.fromEntries(span.attributes))}`
            )
        })
        const { rounds } = yield* run("Go", { tools: [tool] })
        expect(rounds[0]?.executions[1]?.result.content).toBe(
          'execute_tool wait {"gen_ai.operation.name":"execute_tool","gen_ai.tool.name":"wait","gen_ai.tool.call.id":"2","gen_ai.tool.type":"function"}'
        )
      }).pipe(Effect.provide(TestLLM.layer(script)))
    )

    it.effect("interrupts its handlers when the loop is interrupted", () =>
      Effect.gen(function* () {
        const started = yield* Deferred.make<void>()
        const interrupted = yield* Ref.make(0)
        const tool = Tool.make("wait", {
          handler: () =>
            Effect.onInterrupt(Effect.zipRight(Deferred.succeed(started, undefined), Effect.never), () =>
              Ref.update(interrupted, (n) => n + 1)
            )
        })
        const fiber = yield* Effect.fork(run("Go", { tools: [tool] }))
        yield* Deferred.await(started)
        yield* Fiber.interrupt(fiber)
        expect(yield* Ref.get(interrupted)).toBe(3)
      }).pipe(Effect.provide(TestLLM.layer(script)))
    )
  })

  describe("broken arguments", () => {
    const doubled = '{{"a":1,"b":2}'
    const layer = TestLLM.layer([calls(call("1", "add", doubled)), "Done."])
    const brokenAmongOthers: ReadonlyArray<Chat.AssistantPart> = [
      Chat.text("First"),
      call("1", "add", doubled),
      { type: "reasoning", text: "hm", signature: "s", provider: "test" },
      { type: "provider", provider: "test", native: { test: { type: "search" } } },
      { ...call("2", "add", doubled), signature: "s", provider: "test" },
      { ...call("3", "add", '{"a":1,"b":2}'), provider: "test" },
      Chat.text("last.")
    ]

    it.effect("repairs broken arguments with `repair: true` and sends them repaired", () =>
      Effect.gen(function* () {
        const result = yield* run("Go", { tools: [add], repair: true })
        expect(result.rounds[0]?.executions).toMatchObject([
          { call: { arguments: doubled }, repaired: { a: 1, b: 2 }, result: { content: "3" } }
        ])
        expect(result.rounds[0]?.response.toolCalls[0]?.arguments).toBe(doubled)
        expect(yield* lastAsked).toEqual([
          Chat.user("Go"),
          Chat.assistant([call("1", "add", '{"a":1,"b":2}')]),
          Chat.toolResult("1", "3")
        ])
      }).pipe(Effect.provide(layer))
    )

    it.effect("repairs the arguments of each call in its place among the other parts of the answer", () =>
      Effect.gen(function* () {
        const { messages } = yield* run("Go", { tools: [add], repair: true })
        expect(messages[1]).toEqual({
          role: "assistant",
          content: brokenAmongOthers.map((part) =>
            part.type === "tool-call" ? { ...part, arguments: '{"a":1,"b":2}' } : part
          )
        })
      }).pipe(
        // The calls of a response that was read from JSON are other objects than those in its content.
        Effect.provide(
          TestLLM.layer([TestLLM.answer(structuredClone(TestLLM.response({ content: brokenAmongOthers }))), "Done."])
        )
      )
    )

    it.effect("does not repair broken arguments by default", () =>
      Effect.gen(function* () {
        const result = yield* run("Go", { tools: [add] })
        const [execution] = result.rounds[0]?.executions ?? []
        expect(execution?.result.isError).toBe(true)
        expect(execution).not.toHaveProperty("repaired")
      }).pipe(Effect.provide(layer))
    )

    it.effect("reports no repair when the arguments were valid", () =>
      Effect.gen(function* () {
        const result = yield* run("Go", { tools: [add], repair: true })
        expect(result.rounds[0]?.executions[0]).not.toHaveProperty("repaired")
      }).pipe(Effect.provide(TestLLM.layer([calls(call("1", "add", { a: 1, b: 2 })), "Done."])))
    )

    it.effect("does not repair arguments that the token limit cut off", () =>
      Effect.gen(function* () {
        const remove = Tool.make("remove", {
          parameters: { path: Schema.String },
          handler: () => Effect.die("reached")
        })
        const result = yield* run("Go", { tools: [remove], repair: true })
        expect(result.rounds[0]?.executions[0]?.result).toMatchObject({
          isError: true,
          content: 'The arguments of remove are not a JSON object: {"path":"/home The answer hit its token limit.'
        })
      }).pipe(
        Effect.provide(
          TestLLM.layer([
            TestLLM.answer({ finishReason: "length", toolCalls: [call("1", "remove", '{"path":"/home')] }),
            "Done."
          ])
        )
      )
    )
  })
})

describe("events of runToolsStream", () => {
  it.effect("runToolsStream emits the events of every answer, tool and round, then the result of runTools", () =>
    Effect.gen(function* () {
      const events = Chunk.toReadonlyArray(yield* Stream.runCollect(LLM.runToolsStream("Go", { tools: [add] })))
      expect(
        events.map((event) =>
          event._tag === "Finish"
            ? "Finish"
            : `${event.round} ${event._tag === "Answer" ? event.event._tag : event._tag}`
        )
      ).toEqual([
        "1 Start",
        "1 ToolCallDelta",
        "1 ToolCallEnd",
        "1 Finish",
        "1 ToolStart",
        "1 ToolEnd",
        "1 RoundEnd",
        "2 Start",
        "2 TextDelta",
        "2 TextDelta",
        "2 Finish",
        "2 RoundEnd",
        "Finish"
      ])
      const last = events.at(-1)
      expect(last?._tag === "Finish" && last.result).toEqual(yield* LLM.runTools("Go", { tools: [add] }))
      const answers = events.flatMap((event) => (event._tag === "Answer" && event.round === 2 ? [event.event] : []))
      const ended = events.flatMap((event) => (event._tag === "RoundEnd" ? [event.done.response] : []))
      expect(yield* ChatEvent.collect(Stream.fromIterable(answers))).toEqual(ended[1])
    }).pipe(Effect.provide(TestLLM.layer([calls(call("1", "add", { a: 1, b: 2 })), "It's three."], { loop: true })))
  )

  it.effect("runToolsStream emits events as they arrive", () =>
    Effect.gen(function* () {
      const seen = yield* Ref.make<ReadonlyArray<string>>([])
      const slow = Tool.make("slow", { handler: () => Effect.as(Effect.sleep("10 seconds"), "done") })
      const fiber = yield* Effect.fork(
        Stream.runForEach(LLM.runToolsStream("Go", { tools: [slow] }), (event) =>
          Ref.update(seen, (before) => [...before, event._tag === "Answer" ? event.event._tag : event._tag])
        )
      )
      const after = (duration: Duration.DurationInput) =>
        Effect.zipRight(TestClock.adjust(duration), Ref.getAndSet(seen, []))
      expect(yield* after("1 second")).toEqual(["Start"])
      expect(yield* after("1 second")).toEqual(["TextDelta"])
      expect(yield* after("1 second")).toEqual(["ToolCallEnd"])
      expect(yield* after("1 second")).toEqual(["Finish", "ToolStart"])
      expect(yield* after("9 seconds")).toEqual([])
      expect(yield* after("1 second")).toEqual([
        "ToolEnd",
        "RoundEnd",
        "Start",
        "TextDelta",
        "Finish",
        "RoundEnd",
        "Finish"
      ])
      yield* Fiber.join(fiber)
    }).pipe(
      Effect.provide(
        TestLLM.layer([
          TestLLM.stream(
            ChatEvent.fromResponse(
              TestLLM.response({ text: "Let me see.", toolCalls: [call("1", "slow", {})] })
            ).filter((event) => event._tag !== "ToolCallDelta"),
            { every: "1 second" }
          ),
          "Done."
        ])
      )
    )
  )

  it.effect("runToolsStream fails with the error of a handler after all earlier events", () =>
    Effect.gen(function* () {
      const seen = yield* Ref.make<ReadonlyArray<string>>([])
      const failing = Tool.make("add", { handler: () => Effect.fail("down") })
      const failure = yield* LLM.runToolsStream("Go", { tools: [failing] }).pipe(
        Stream.runForEach((event) => Ref.update(seen, (before) => [...before, event._tag])),
        Effect.flip
      )
      expect(failure).toBe("down")
      expect(yield* Ref.get(seen)).toEqual(["Answer", "Answer", "Answer", "Answer", "ToolStart"])
    }).pipe(Effect.provide(TestLLM.layer([calls(call("1", "add", {}))])))
  )

  it.effect("runToolsStream interrupts running handlers when the consumer stops", () =>
    Effect.gen(function* () {
      const interrupted = yield* Ref.make(false)
      const endless = Tool.make("endless", {
        handler: () => Effect.onInterrupt(Effect.never, () => Ref.set(interrupted, true))
      })
      const first = yield* LLM.runToolsStream("Go", { tools: [endless, add] }).pipe(
        Stream.filter((event) => event._tag === "ToolEnd"),
        Stream.runHead
      )
      expect(Option.isSome(first)).toBe(true)
      expect(yield* Ref.get(interrupted)).toBe(true)
    }).pipe(Effect.provide(TestLLM.layer([calls(call("1", "endless", {}), call("2", "add", { a: 1, b: 1 }))])))
  )

  it.effect("runToolsStream stops pulling from the provider while the consumer does not read", () =>
    Effect.gen(function* () {
      const produced = yield* Ref.make(0)
      const endless: Pick<LLM.Service, "chatStream"> = {
        chatStream: () =>
          Stream.repeatEffect(
            Effect.as(
              Ref.update(produced, (n) => n + 1),
              { _tag: "TextDelta", index: 0, text: "more" } as const
            )
          )
      }
      const fiber = yield* Effect.fork(
        Stream.runForEach(Programs.runToolsStream(endless, "Go", { tools: [add] }), () => Effect.never)
      )
      yield* TestClock.adjust("1 minute")
      expect(yield* Ref.get(produced)).toBeLessThan(64)
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("types of tool loops", () => {
  class Down extends Schema.TaggedError<Down>()("Down", {}) {}
  class Lost extends Schema.TaggedError<Lost>()("Lost", {}) {}
  class Database extends Context.Tag("Database")<Database, string>() {}
  const down = Tool.make("down", { handler: () => Effect.fail(new Down()) })
  const lost = Tool.make("lost", {
    parameters: { id: Schema.Number },
    handler: () => Effect.flatMap(Database, () => Effect.fail(new Lost()))
  })

  it("runTools collects the error and requirement types of its handlers", () => {
    const failing = LLM.runTools("Go", { tools: [down, lost, add] })
    expectTypeOf(failing).toEqualTypeOf<
      Effect.Effect<
        ToolLoop.Result,
        LLMError | ToolLoop.RoundsExceededError | Tool.InvalidResultError | Down | Lost,
        LLM.LLM | Database
      >
    >()
    const streaming = LLM.runToolsStream("Go", { tools: [down, lost, add] })
    expectTypeOf(streaming).toEqualTypeOf<
      Stream.Stream<
        ToolLoop.Event,
        LLMError | ToolLoop.RoundsExceededError | Tool.InvalidResultError | Down | Lost,
        LLM.LLM | Database
      >
    >()
  })

  it("runTools removes the error types of its handlers with `onFailure: report`, and only those", () => {
    const reporting = LLM.runTools("Go", { tools: [down, lost], onFailure: "report" })
    expectTypeOf(reporting).toEqualTypeOf<
      Effect.Effect<ToolLoop.Result, LLMError | ToolLoop.RoundsExceededError, LLM.LLM | Database>
    >()
    const either = (onFailure: ToolLoop.OnFailure) => LLM.runTools("Go", { tools: [down], onFailure })
    expectTypeOf<Effect.Effect.Error<ReturnType<typeof either>>>().toEqualTypeOf<
      LLMError | ToolLoop.RoundsExceededError | Tool.InvalidResultError | Down
    >()
  })

  it("runTools requires only an `LLM` when its handlers require nothing", () => {
    expectTypeOf(LLM.runTools("Go", { tools: [add] })).toEqualTypeOf<
      Effect.Effect<ToolLoop.Result, LLMError | ToolLoop.RoundsExceededError | Tool.InvalidResultError, LLM.LLM>
    >()
  })
})
