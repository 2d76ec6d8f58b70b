import { AiError, Chat as AiChat, LanguageModel, Tool, Toolkit } from "@effect/ai"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Exit, Layer, Option, Schema, Stream } from "effect"
import { LLMLanguageModel } from "../../src/ai/index.js"
import { LLM } from "../../src/LLM.js"
import type * as Chat from "../../src/vocabulary/Chat.js"
import { toolCall } from "../../src/vocabulary/Chat.js"
import { RateLimitError, UnsupportedError } from "../../src/vocabulary/LLMError.js"
import { context } from "../support/scripted.js"
import { TestLLM } from "../../src/testing/index.js"

const Weather = Tool.make("weather", {
  parameters: { city: Schema.String },
  success: Schema.Struct({ celsius: Schema.Number })
})
const Time = Tool.make("time", { parameters: { city: Schema.String }, success: Schema.String })
const toolkit = Toolkit.make(Weather, Time)
const Handlers = toolkit.toLayer({
  weather: ({ city }) => Effect.succeed({ celsius: city.length }),
  time: () => Effect.succeed("12:00")
})

const program = <A, E>(
  steps: ReadonlyArray<TestLLM.Step>,
  effect: Effect.Effect<
    A,
    E,
    LanguageModel.LanguageModel | Tool.HandlersFor<Toolkit.Tools<typeof toolkit>> | TestLLM.TestLLM
  >
): Effect.Effect<A, E> =>
  effect.pipe(
    Effect.provide(
      Layer.merge(Handlers, LLMLanguageModel.layer({ temperature: 0 }).pipe(Layer.provideMerge(TestLLM.layer(steps))))
    )
  )

const signed: Chat.ReasoningPart = { type: "reasoning", text: "The tool knows.", signature: "signed", provider: "test" }
const weatherCall = toolCall("call-1", "weather", `{"city":"Rome"}`)
const timeCall = toolCall("call-2", "time", `{"city":"Rome"}`)

describe("LLMLanguageModel", () => {
  it.effect("generates text with usage, finish reason and the defaults of the layer", () =>
    program(
      [TestLLM.answer({ text: "The Tiber." })],
      Effect.gen(function* () {
        const response = yield* LanguageModel.generateText({ prompt: "A river?" })
        expect(response.text).toBe("The Tiber.")
        expect(response.finishReason).toBe("stop")
        expect(response.usage.inputTokens).toBe(1)
        const [call] = yield* TestLLM.calls
        expect(call?.request).toEqual({ messages: [{ role: "user", content: "A river?" }], temperature: 0 })
      })
    )
  )

  it.effect(
    "sends the reasoning of a tool round back with its signature, though Chat of @effect/ai drops metadata",
    () =>
      program(
        [TestLLM.answer({ content: [signed, weatherCall] }), "4 degrees."],
        Effect.gen(function* () {
          const chat = yield* AiChat.empty
          const round = yield* chat.generateText({ prompt: "How warm is Rome?", toolkit })
          expect(round.toolResults.map(({ result }) => result)).toEqual([{ celsius: 4 }])
          const end = yield* chat.generateText({ prompt: [], toolkit })
          expect(end.text).toBe("4 degrees.")
          const [, second] = yield* TestLLM.calls
          expect(second?.request.messages).toEqual([
            { role: "user", content: "How warm is Rome?" },
            { role: "assistant", content: [signed, weatherCall] },
            { role: "tool", toolCallId: "call-1", content: `{"celsius":4}` }
          ])
        })
      )
  )

  it.effect("streams every part with start, deltas and end, parallel tools and their results included", () =>
    program(
      [TestLLM.answer({ content: [signed, { type: "text", text: "Let me look." }, weatherCall, timeCall] })],
      Effect.gen(function* () {
        const parts = Chunk.toReadonlyArray(
          yield* Stream.runCollect(LanguageModel.streamText({ prompt: "Rome?", toolkit }))
        )
        const types = parts.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1])
        expect(types.join(" ")).toBe(
          "response-metadata reasoning-start reasoning-delta reasoning-end text-start text-delta text-end " +
            "tool-params-start tool-params-delta tool-params-end tool-call tool-result ".repeat(2) +
            "finish"
        )
        const end = parts.find(({ type }) => type === "reasoning-end")
        expect(end?.metadata).toEqual({ effectLlm: { signature: "signed", provider: "test" } })
      })
    )
  )

  it.effect("restricts the tools and the choice to `oneOf`", () =>
    program(
      [TestLLM.answer({ text: "" })],
      Effect.gen(function* () {
        yield* LanguageModel.generateText({
          prompt: "Rome?",
          toolkit,
          toolChoice: { mode: "required", oneOf: ["time"] }
        })
        const [call] = yield* TestLLM.calls
        expect(call?.request.toolChoice).toBe("required")
        expect(call?.request.tools?.map(({ name }) => name)).toEqual(["time"])
      })
    )
  )

  it.effect("fails with an AiError whose cause is the typed error of the LLM", () => {
    const limited = new RateLimitError({
      ...context,
      status: 429,
      message: "Slow down.",
      source: "provider"
    })
    const unsupported = new UnsupportedError({
      ...context,
      message: "No images.",
      feature: "images"
    })
    return program(
      [TestLLM.failure(limited), TestLLM.failure(unsupported)],
      Effect.gen(function* () {
        const first = yield* Effect.flip(LanguageModel.generateText({ prompt: "Hi" }))
        expect(first).toBeInstanceOf(AiError.HttpResponseError)
        expect(LLMLanguageModel.llmError(first)).toEqual(Option.some(limited))
        const second = yield* Effect.flip(Stream.runDrain(LanguageModel.streamText({ prompt: "Hi" })))
        expect(second).toBeInstanceOf(AiError.MalformedInput)
        expect(LLMLanguageModel.llmError(second)).toEqual(Option.some(unsupported))
      })
    )
  })

  it.effect("fails with MalformedOutput when the arguments of a call are cut off", () =>
    program(
      [TestLLM.answer({ content: [toolCall("call-1", "weather", `{"city":`)] })],
      Effect.gen(function* () {
        const exit = yield* Effect.exit(LanguageModel.generateText({ prompt: "Rome?", toolkit }))
        expect(Exit.isFailure(exit)).toBe(true)
        if (Exit.isFailure(exit)) expect(String(exit.cause)).toContain("MalformedOutput")
      })
    )
  )

  it.effect("reads the stream of the LLM no faster than its consumer takes parts", () =>
    Effect.gen(function* () {
      const { llm } = yield* TestLLM.make([TestLLM.answer({ text: "one two three four five six seven" })])
      let read = 0
      const counted = LLM.of({
        ...llm,
        chatStream: (request) => Stream.tap(llm.chatStream(request), () => Effect.sync(() => void read++))
      })
      const parts = yield* LanguageModel.streamText({ prompt: "Count." }).pipe(
        Stream.take(3),
        Stream.runCollect,
        Effect.provide(LLMLanguageModel.layer()),
        Effect.provideService(LLM, counted)
      )
      expect(Chunk.toReadonlyArray(parts).map(({ type }) => type)).toEqual([
        "response-metadata",
        "text-start",
        "text-delta"
      ])
      expect(read).toBe(2)
    })
  )
})
