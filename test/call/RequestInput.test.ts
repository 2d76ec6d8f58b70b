/** The forms of a chat request: a text, a prompt with options, and messages. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Schema, Stream } from "effect"
import * as Key from "../../src/caching/key.js"
import * as LLM from "../../src/LLM.js"
import * as Fallback from "../../src/routing/Fallback.js"
import { TestLLM } from "../../src/testing/index.js"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import { asObject, normalize } from "../../src/call/request.js"

const expected: ChatRequest = {
  messages: [Chat.system("Be brief."), Chat.user("Hello")],
  temperature: 0.5,
  topK: 3
}

const options = { system: "Be brief.", temperature: 0.5, topK: 3 }

/** Input that plain JavaScript can pass despite the types. */
const plain = (input: unknown): ChatRequest.Input => JSON.parse(JSON.stringify(input))

const requested = Effect.map(TestLLM.calls, (calls) => calls.map(({ request }) => request))

const scripted = TestLLM.layer(["{}"], { loop: true })

describe("forms of a chat request", () => {
  it.effect("LLM.chat and LLM.chatStream take a prompt with options, a prompt in an object, and messages", () =>
    Effect.gen(function* () {
      yield* LLM.chat("Hello", options)
      yield* LLM.chat({ ...options, prompt: "Hello" })
      yield* LLM.chat(expected)
      yield* Stream.runDrain(LLM.chatStream("Hello", options))
      yield* Stream.runDrain(LLM.chatStream({ ...options, prompt: "Hello" }))
      yield* Stream.runDrain(LLM.chatStream(expected))
      expect(yield* requested).toEqual(Array.from({ length: 6 }, () => expected))
    }).pipe(Effect.provide(scripted))
  )

  it.effect("a prompt without a system text becomes one user message", () =>
    Effect.gen(function* () {
      yield* LLM.chat("Hello")
      yield* LLM.chat("Hello", {})
      yield* LLM.chat({ prompt: "Hello" })
      expect(yield* requested).toEqual(Array.from({ length: 3 }, () => ({ messages: [Chat.user("Hello")] })))
    }).pipe(Effect.provide(scripted))
  )

  it.effect("LLM.chat can be passed to Effect.forEach, whose index is not taken for options", () =>
    Effect.gen(function* () {
      const inputs: ReadonlyArray<ChatRequest.Input> = ["one", { prompt: "two" }, { messages: [Chat.user("three")] }]
      yield* Effect.forEach(["zero"], LLM.chat)
      yield* Effect.forEach(inputs, LLM.chat)
      expect((yield* requested).map(({ messages }) => messages[0])).toEqual(
        ["zero", "one", "two", "three"].map((text) => Chat.user(text))
      )
    }).pipe(Effect.provide(scripted))
  )

  it.effect("tool loops, structured output and fallbacks take a prompt in an object", () =>
    Effect.gen(function* () {
      const llm = yield* LLM.LLM
      const request = { ...options, prompt: "Hello" }
      const fallback = yield* Fallback.make([llm])(llm)
      yield* LLM.runTools(request, { tools: [] })
      yield* LLM.generateObject(request, { schema: Schema.Struct({}), name: "empty", mode: "prompt" })
      yield* fallback.chat(request)
      for (const { messages, temperature } of yield* requested) {
        expect(temperature).toBe(0.5)
        expect(Chat.textOf(messages.at(-1)?.content ?? "")).toBe("Hello")
        expect(Chat.textOf(messages[0]?.content ?? "")).toContain("Be brief.")
      }
    }).pipe(Effect.provide(scripted))
  )

  it("a prompt and the same messages have the same cache key", () => {
    const info: LLM.ModelInfo = { provider: "test", model: "model", wire: "test", contextWindow: 1000 }
    const keyOf = (input: ChatRequest.Input) => Key.ofChat("", info, input, new Set())
    expect(keyOf({ ...options, prompt: "Hello" })).toBe(keyOf(expected))
    expect(keyOf({ ...options, prompt: "Bye" })).not.toBe(keyOf(expected))
  })

  it("a field that is undefined counts as absent, and its default holds", () => {
    const undefinedFields: object = { temperature: undefined, tools: undefined, maxTokens: undefined }
    const request = normalize({ messages: [Chat.user("Hello")], ...undefinedFields }, { temperature: 0.5 })
    expect(Either.getOrThrow(request)).toStrictEqual({ messages: [Chat.user("Hello")], temperature: 0.5 })
    expect(Either.getOrThrow(normalize({ prompt: "Hello", ...undefinedFields }))).toStrictEqual({
      messages: [Chat.user("Hello")]
    })
  })

  it.each<readonly [string, unknown, string, string]>([
    ["a prompt beside messages", { prompt: "a", messages: [] }, "prompt", "must not be combined with messages"],
    ["a prompt that is not a text", { prompt: 5 }, "prompt", "must be a text"],
    ["a system text that is not a text", { prompt: "a", system: {} }, "system", "must be a text"],
    ["a system text without a prompt", { system: "a" }, "system", "needs a prompt"],
    ["a system text beside messages", { system: "a", messages: expected.messages }, "system", "needs a prompt"],
    ["neither a prompt nor messages", { temperature: 1 }, "messages", "is missing"],
    ["a null prompt", { prompt: null }, "prompt", "must be a text"]
  ])("rejects %s as an InvalidRequestError with the field", (_, input, field, message) => {
    const result = normalize(plain(input))
    expect(Either.flip(result).pipe(Either.getOrThrow)).toMatchObject({ _tag: "InvalidRequestError", field })
    expect(Either.flip(result).pipe(Either.getOrThrow).message).toContain(message)
    // Also after a middleware has read the request as an object.
    expect(Either.isLeft(normalize(asObject(plain(input))))).toBe(true)
  })

  it.effect("rejects options beside a request that is an object", () =>
    Effect.gen(function* () {
      const chat: (...args: ReadonlyArray<never>) => ReturnType<typeof LLM.chat> = LLM.chat
      const args: ReadonlyArray<never> = JSON.parse('[{ "prompt": "Hello" }, { "temperature": 1 }]')
      const error = yield* Effect.flip(chat(...args))
      expect(error).toMatchObject({ _tag: "InvalidRequestError", field: "options" })
    }).pipe(Effect.provide(scripted))
  )

  it("the types refuse a prompt beside messages, and a system text without a prompt", () => {
    // @ts-expect-error A request has a prompt or messages, not both.
    const both: ChatRequest.Input = { prompt: "Hello", messages: [Chat.user("Hello")] }
    // @ts-expect-error Messages have a system message of their own.
    const system: ChatRequest.Input = { system: "Be brief.", messages: [Chat.user("Hello")] }
    expect([normalize(both), normalize(system)].every(Either.isLeft)).toBe(true)
  })
})

describe("settings of the choice of tokens", () => {
  it.each<readonly [string, object]>([
    ["topK", { topK: -1 }],
    ["topK", { topK: 1.5 }],
    ["topP", { topP: 1.1 }],
    ["temperature", { temperature: -0.1 }],
    ["frequencyPenalty", { frequencyPenalty: 2.1 }],
    ["presencePenalty", { presencePenalty: -2.1 }],
    ["logitBias.50256", { logitBias: { "50256": 101 } }],
    ["logprobs", { logprobs: 21 }]
  ])("rejects a value of %s outside the range of all providers: %o", (field, settings) => {
    expect(Either.flip(normalize(plain({ prompt: "Hello", ...settings }))).pipe(Either.getOrThrow)).toMatchObject({
      _tag: "InvalidRequestError",
      field
    })
  })
})
