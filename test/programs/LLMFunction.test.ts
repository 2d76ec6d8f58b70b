import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import type * as LLM from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as LLMFunction from "../../src/programs/LLMFunction.js"
import { TestLLM } from "../../src/testing/index.js"

const Review = Schema.Struct({ text: Schema.NonEmptyString, at: Schema.Date })
const Mood = Schema.Struct({ mood: Schema.Literal("good", "bad"), since: Schema.Date })

const review = { text: "It broke.", at: new Date(0) }
const mood = { mood: "bad", since: "1970-01-01T00:00:00.000Z" }

const judge = LLMFunction.make({ name: "judgement", input: Review, output: Mood, prompt: "Judge the review." })

describe("LLMFunction.make", () => {
  it.effect("encodes the input of an LLMFunction as JSON, asks, and decodes the output", () =>
    Effect.gen(function* () {
      expect(yield* judge(review)).toEqual({ mood: "bad", since: new Date(0) })
      const [call] = yield* TestLLM.calls
      expect(call?.request).toMatchObject({
        messages: [Chat.system("Judge the review."), Chat.user('{"text":"It broke.","at":"1970-01-01T00:00:00.000Z"}')],
        responseFormat: { name: "judgement" }
      })
    }).pipe(Effect.provide(TestLLM.layer([JSON.stringify(mood)])))
  )

  it.effect("sends a text input of an LLMFunction without JSON quotes", () =>
    Effect.gen(function* () {
      const summarise = LLMFunction.make({
        name: "summary",
        input: Schema.String,
        output: Schema.String,
        prompt: "Summarise.",
        mode: "tool"
      })
      expect(yield* summarise('A "long" story.')).toBe("Short.")
      const [call] = yield* TestLLM.calls
      expect(call?.request.messages[1]).toEqual(Chat.user('A "long" story.'))
      expect(call?.request.toolChoice).toEqual({ name: "summary" })
    }).pipe(
      Effect.provide(
        TestLLM.layer([
          TestLLM.answer({
            toolCalls: [{ type: "tool-call", id: "1", name: "summary", arguments: '{"value":"Short."}' }]
          })
        ])
      )
    )
  )

  it.effect("sends the request that a prompt function returns for the input", () =>
    Effect.gen(function* () {
      const rate = LLMFunction.make({
        name: "rating",
        input: Review,
        output: Schema.Int,
        prompt: ({ at, text }) => ({
          messages: [Chat.user(`${text} (${at.getUTCFullYear()})`)],
          temperature: 0
        })
      })
      expect(yield* rate(review)).toBe(3)
      const [call] = yield* TestLLM.calls
      expect(call?.request).toMatchObject({ messages: [Chat.user("It broke. (1970)")], temperature: 0 })
    }).pipe(Effect.provide(TestLLM.layer(['{"value":3}'])))
  )

  it.effect("fails with an InvalidRequestError and sends nothing when the schema rejects the input", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(judge({ ...review, text: "" }))
      expect(error).toMatchObject({
        _tag: "InvalidRequestError",
        provider: "test",
        field: "text",
        message: expect.stringContaining("The input of judgement is not valid. text: ")
      })
      expect(yield* TestLLM.calls).toEqual([])
    }).pipe(Effect.provide(TestLLM.layer([])))
  )

  it.effect("fails with a MalformedResponseError when the output of an LLMFunction does not fit its schema", () =>
    Effect.gen(function* () {
      expect(yield* Effect.flip(judge(review))).toMatchObject({
        _tag: "MalformedResponseError",
        path: "mood",
        message: expect.stringContaining("judgement")
      })
    }).pipe(Effect.provide(TestLLM.layer(['{"mood":"so so","since":"1970-01-01"}'], { loop: true })))
  )

  it("requires only an `LLM` when the schemas of an LLMFunction require nothing", () => {
    expectTypeOf(judge).parameters.toEqualTypeOf<[typeof Review.Type]>()
    expectTypeOf(judge).returns.toEqualTypeOf<Effect.Effect<typeof Mood.Type, LLMError, LLM.LLM>>()
  })
})
