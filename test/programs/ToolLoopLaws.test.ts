/** Laws of the tool loop for any answers of a model, whole and streamed. */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Either, Schema, Stream } from "effect"
import * as FastCheck from "fast-check"
import type { ChatResponse, ToolCall } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import { TestLLM } from "../../src/testing/index.js"
import * as Tool from "../../src/programs/Tool.js"
import * as Programs from "../support/programs.js"
import type * as ToolLoop from "../../src/programs/ToolLoop.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { chatResponse } from "../wire/generators.js"

const add = Tool.make("add", {
  parameters: { a: Schema.Number, b: Schema.Number },
  success: Schema.Number,
  handler: ({ a, b }) => (a === 13 ? Effect.fail("unlucky") : Effect.succeed(a + b))
})
const echo = Tool.make("echo", {
  parameters: { text: Schema.String },
  handler: ({ text }) => Effect.as(Effect.yieldNow(), text)
})
const tools = [add, echo] as const

const calls: FastCheck.Arbitrary<ReadonlyArray<ToolCall>> = FastCheck.array(
  FastCheck.record({
    name: FastCheck.constantFrom("add", "echo", "unknown", "foreign"),
    arguments: FastCheck.constantFrom(
      '{"a":1,"b":2}',
      '{"a":13,"b":0}',
      '{"text":"hello"}',
      '{"text":"hel',
      "{}",
      "[1]"
    )
  }),
  { maxLength: 3 }
).map((calls) => calls.map((call, index) => Chat.toolCall(`call-${index}`, call.name, call.arguments)))

/** Answers with these calls before, among or after their other parts, and with some pauses. */
const answers: FastCheck.Arbitrary<ReadonlyArray<ChatResponse>> = FastCheck.array(
  FastCheck.tuple(chatResponse("test"), calls, FastCheck.nat(3), FastCheck.boolean()).map(
    ([response, calls, at, pauses]) =>
      Chat.withContent(
        pauses ? { ...response, finishReason: "pause" as const } : response,
        response.content.filter(({ type }) => type !== "tool-call").toSpliced(at, 0, ...calls)
      )
  ),
  { minLength: 1, maxLength: 4 }
)

const settings = FastCheck.record({
  maxRounds: FastCheck.integer({ min: 1, max: 4 }),
  onFailure: FastCheck.constantFrom<ToolLoop.OnFailure>("fail", "report"),
  repair: FastCheck.boolean(),
  concurrency: FastCheck.constantFrom(1, 2, "unbounded" as const)
})

const request = { messages: [Chat.user("Go")], tools: [{ name: "foreign" }] }

/** The durations of executions depend on the clock. */
const withoutTime = (result: ToolLoop.Result) => ({
  ...result,
  rounds: result.rounds.map(({ executions, response }) => ({
    response,
    executions: executions.map((execution) => ({ ...execution, duration: 0 }))
  }))
})

const scripted = (script: ReadonlyArray<ChatResponse>) =>
  Effect.map(
    TestLLM.make(
      script.map((response) => TestLLM.answer(response)),
      { loop: true }
    ),
    ({ llm }) => llm
  )

describe("ToolLoop laws", () => {
  it.effect.prop(
    "run and stream end with the same result or error",
    [answers, settings],
    ([script, options]) =>
      Effect.gen(function* () {
        const whole = yield* Effect.either(Programs.runTools(yield* scripted(script), request, { tools, ...options }))
        const events: Array<ToolLoop.Event> = []
        const streamed = yield* Effect.either(
          Stream.runForEachChunk(
            Programs.runToolsStream(yield* scripted(script), request, { tools, ...options }),
            (chunk) => Effect.sync(() => events.push(...Chunk.toReadonlyArray(chunk)))
          )
        )
        const last = events.at(-1)
        if (Either.isLeft(whole)) {
          expect(streamed).toEqual(whole)
          expect(last?._tag).not.toBe("Finish")
        } else {
          expect(last?._tag === "Finish" && withoutTime(last.result)).toEqual(withoutTime(whole.right))
          expect(events.flatMap((event) => (event._tag === "RoundEnd" ? [event.done] : []))).toEqual(
            last?._tag === "Finish" ? last.result.rounds : []
          )
        }
      }),
    { fastCheck: { numRuns: 50 } }
  )

  it.effect.prop(
    "answers every call once and in order, and adds the usage of all rounds",
    [answers, settings],
    ([script, options]) =>
      Effect.gen(function* () {
        const { messages, pending, usage } = yield* Programs.runTools(yield* scripted(script), request, {
          tools,
          ...options,
          onFailure: "report"
        }).pipe(
          Effect.catchTag("RoundsExceededError", ({ messages, usage }) =>
            Effect.succeed({ messages, pending: [], usage })
          )
        )
        const asked = messages.flatMap((message) =>
          message.role === "assistant" ? Chat.toolCallsOf(message.content) : []
        )
        const answered = messages.flatMap((message) => (message.role === "tool" ? [message.toolCallId] : []))
        const isForeign = ({ name }: ToolCall) => name === "foreign"
        expect(answered).toEqual(asked.filter((call) => !isForeign(call)).map(({ id }) => id))
        expect(asked.filter(isForeign).map(({ id }) => id)).toEqual(pending.map(({ id }) => id))
        const rounds = messages.filter((message) => message.role === "assistant").length
        expect(rounds).toBeLessThanOrEqual(options.maxRounds)
        const usages = Array.from({ length: rounds }, (_, round) => script[round % script.length]?.usage ?? Usage.empty)
        expect(usage).toEqual(Usage.combineAll(usages))
      }),
    { fastCheck: { numRuns: 50 } }
  )
})
