import { Chat as AiChat, LanguageModel, Tool, Toolkit } from "@effect/ai"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Layer, Option, Schema, Stream } from "effect"
import { LLMLanguageModel } from "../../src/ai/index.js"
import { LLM } from "../../src/LLM.js"
import type * as Chat from "../../src/vocabulary/Chat.js"
import { toolCall } from "../../src/vocabulary/Chat.js"
import { RateLimitError, StreamInterruptedError, UnsupportedError } from "../../src/vocabulary/LLMError.js"
import { inputTokensOf, reasonOf } from "../support/ai.js"
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
        expect(inputTokensOf(response.usage)).toBe(1)
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
        const types = parts
          .map(({ type }) => type)
          .filter((type, index, all) => type !== "tool-result" && type !== all[index - 1])
        expect(types.join(" ")).toBe(
          "response-metadata reasoning-start reasoning-delta reasoning-end text-start text-delta text-end " +
            "tool-params-start tool-params-delta tool-params-end tool-call ".repeat(2) +
            "finish"
        )
        // A tool can run while the answer goes on: its result is anywhere between its call and the end.
        const steps = parts.flatMap((part) =>
          part.type === "tool-call" || part.type === "tool-result" ? [`${part.type} ${part.id}`] : [part.type]
        )
        for (const id of ["call-1", "call-2"]) {
          expect(steps.filter((step) => step === `tool-result ${id}`)).toHaveLength(1)
          expect(steps.indexOf(`tool-result ${id}`)).toBeGreaterThan(steps.indexOf(`tool-call ${id}`))
        }
        expect(steps.at(-1)).toBe("finish")
        const end = parts.find(({ type }) => type === "reasoning-end")
        expect(end?.metadata).toEqual({ effectLlm: { signature: "signed", provider: "test" } })
      })
    )
  )

  it.effect("sends tools with the JSON Schemas of other requests, and runs those that the model calls", () =>
    program(
      [TestLLM.answer({ content: [weatherCall] })],
      Effect.gen(function* () {
        const { finishReason, toolCalls, toolResults } = yield* LanguageModel.generateText({ prompt: "Rome?", toolkit })
        expect(finishReason).toBe("tool-calls")
        expect(toolCalls.map(({ id, name, params }) => [id, name, params])).toEqual([
          ["call-1", "weather", { city: "Rome" }]
        ])
        expect(toolResults).toMatchObject([{ id: "call-1", result: { celsius: 4 }, isFailure: false }])
        const [call] = yield* TestLLM.calls
        const city = { type: "object", required: ["city"], properties: { city: { type: "string" } } }
        const parameters = { ...city, additionalProperties: false }
        expect(call?.request.toolChoice).toBe("auto")
        expect(call?.request.tools).toEqual([
          { name: "weather", parameters },
          { name: "time", parameters }
        ])
      })
    )
  )

  it.effect(
    "writes optional, bounded and described parameters of a tool as other requests do, and none as an empty object",
    () => {
      const Forecast = Tool.make("forecast", {
        description: "The weather of the next days.",
        parameters: {
          city: Schema.String.annotations({ description: "The city." }),
          days: Schema.optional(Schema.Int),
          unit: Schema.Literal("celsius", "fahrenheit")
        },
        success: Schema.String
      })
      const Now = Tool.make("now", { success: Schema.String })
      return program(
        [TestLLM.answer({ text: "" })],
        Effect.gen(function* () {
          yield* LanguageModel.generateText({
            prompt: "Rome?",
            toolkit: Toolkit.make(Forecast, Now),
            disableToolCallResolution: true
          })
          const [call] = yield* TestLLM.calls
          expect(JSON.stringify(call?.request.tools)).toBe(
            `[{"name":"forecast","description":"The weather of the next days.","parameters":{"type":"object","required":["city","unit"],` +
              `"properties":{"city":{"type":"string","description":"The city."},"days":{"type":"integer"},` +
              `"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"additionalProperties":false}},` +
              `{"name":"now","parameters":{"type":"object","required":[],"properties":{},"additionalProperties":false}}]`
          )
        }).pipe(
          Effect.provide(
            Toolkit.make(Forecast, Now).toLayer({
              forecast: () => Effect.succeed("Sun."),
              now: () => Effect.succeed("12:00")
            })
          )
        )
      )
    }
  )

  it.effect("generates an object by its JSON Schema, and fails where the answer does not fit", () => {
    const schema = Schema.Struct({ city: Schema.String, since: Schema.DateFromString }).annotations({
      description: "A capital."
    })
    const text = `{"city":"Rome","since":"1871-02-03T00:00:00.000Z"}`
    return program(
      [TestLLM.answer({ text }), TestLLM.answer({ text: `{"city":1}` }), TestLLM.answer({ text: "Rome." })],
      Effect.gen(function* () {
        const ask = LanguageModel.generateObject({ prompt: "The capital of Italy?", objectName: "capital", schema })
        const { value } = yield* ask
        expect(value).toEqual({ city: "Rome", since: new Date("1871-02-03") })
        const [call] = yield* TestLLM.calls
        expect(call?.request.responseFormat).toMatchObject({
          name: "capital",
          description: "A capital.",
          schema: { type: "object", required: ["city", "since"], additionalProperties: false }
        })
        expect(reasonOf(yield* Effect.flip(ask))).toBe("malformed output")
        expect(reasonOf(yield* Effect.flip(ask))).toBe("malformed output")
      })
    )
  })

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
        expect(reasonOf(first)).toBe("rate limit")
        expect(LLMLanguageModel.llmError(first)).toEqual(Option.some(limited))
        const second = yield* Effect.flip(Stream.runDrain(LanguageModel.streamText({ prompt: "Hi" })))
        expect(reasonOf(second)).toBe("invalid request")
        expect(LLMLanguageModel.llmError(second)).toEqual(Option.some(unsupported))
      })
    )
  })

  it.effect("ends a stream that breaks with the parts so far and the typed error of the LLM", () => {
    const broken = new StreamInterruptedError({
      ...context,
      begun: true,
      partial: TestLLM.response({ text: "A riv" }),
      message: "The connection was lost."
    })
    const texts: Array<string> = []
    return program(
      [TestLLM.stream(TestLLM.wordByWord(TestLLM.response({ text: "A riv" })).slice(0, 3), { failure: broken })],
      Effect.gen(function* () {
        const error = yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
          Stream.tap((part) => Effect.sync(() => part.type === "text-delta" && texts.push(part.delta))),
          Stream.runDrain,
          Effect.flip
        )
        expect(texts.join("")).toBe("A riv")
        expect(LLMLanguageModel.llmError(error)).toMatchObject(Option.some({ _tag: "StreamInterruptedError" }))
      })
    )
  })

  it.effect("fails with the failure of a tool's handler", () => {
    class Closed extends Schema.TaggedError<Closed>()("Closed", {}) {}
    const Shop = Tool.make("shop", { success: Schema.String, failure: Closed })
    return program(
      [TestLLM.answer({ content: [toolCall("call-1", "shop", "{}")] })],
      Effect.gen(function* () {
        const error = yield* Effect.flip(LanguageModel.generateText({ prompt: "Open?", toolkit: Toolkit.make(Shop) }))
        expect(error).toEqual(new Closed())
      }).pipe(Effect.provide(Toolkit.make(Shop).toLayer({ shop: () => Effect.fail(new Closed()) })))
    )
  })

  it.effect("fails with an error of malformed output when the arguments of a call are cut off", () =>
    program(
      [TestLLM.answer({ content: [toolCall("call-1", "weather", `{"city":`)] })],
      Effect.gen(function* () {
        const error = yield* Effect.flip(LanguageModel.generateText({ prompt: "Rome?", toolkit }))
        expect(reasonOf(error)).toBe("malformed output")
        expect(error.message).toContain("The arguments of the call of weather are not JSON")
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
