import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as LLM from "../../src/LLM.js"
import * as LLMFunction from "../../src/programs/LLMFunction.js"
import * as Prompt from "../../src/programs/Prompt.js"
import { TestLLM } from "../../src/testing/index.js"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import type { InvalidRequestError } from "../../src/vocabulary/LLMError.js"

const Input = Schema.Struct({
  text: Schema.NonEmptyString,
  to: Schema.String,
  tone: Schema.optional(Schema.String),
  at: Schema.optional(Schema.Date),
  names: Schema.optional(Schema.Array(Schema.String))
})

describe("Prompt.make", () => {
  it.effect("fills the holes of its texts, and sends the other fields of the request", () =>
    Effect.gen(function* () {
      const translate = Prompt.make({
        input: Input,
        system: "Into {{ to }}, {{tone|neutral}}.",
        prompt: "{{text}}",
        temperature: 0,
        user: "user-1"
      })
      expect(yield* translate({ text: "Hallo", to: "French" })).toEqual({
        messages: [Chat.system("Into French, neutral."), Chat.user("Hallo")],
        temperature: 0,
        user: "user-1"
      })
      const { messages } = yield* translate({ text: "Hallo", to: "French", tone: "warm" })
      expect(messages[0]).toEqual(Chat.system("Into French, warm."))
    })
  )

  it.effect("writes encoded values: texts unchanged, anything else as JSON", () =>
    Effect.gen(function* () {
      const prompt = Prompt.make({ input: Input, prompt: "{{text}} {{at}} {{names}}" })
      const { messages } = yield* prompt({ text: 'a "b"', to: "", at: new Date(0), names: ["x", "y"] })
      expect(messages).toEqual([Chat.user('a "b" 1970-01-01T00:00:00.000Z ["x","y"]')])
    })
  )

  it.effect("does not search values for holes, and takes no property that every object has", () =>
    Effect.gen(function* () {
      const prompt = Prompt.make({ input: Input, prompt: "{{text}} {{to}}" })
      const { messages } = yield* prompt({ text: "{{to}} {{missing}} $& $1", to: "{{text}}" })
      expect(messages).toEqual([Chat.user("{{to}} {{missing}} $& $1 {{text}}")])
    })
  )

  it.effect("asks with the whole input where there is no text", () =>
    Effect.gen(function* () {
      const text = yield* Prompt.make({ input: Schema.String, system: "Summarise." })("A story.")
      expect(text.messages).toEqual([Chat.system("Summarise."), Chat.user("A story.")])
      const object = yield* Prompt.make({ input: Schema.Struct({ at: Schema.Date }) })({ at: new Date(0) })
      expect(object.messages).toEqual([Chat.user('{"at":"1970-01-01T00:00:00.000Z"}')])
    })
  )

  it.effect("shows examples, made like the request, before the user's message", () =>
    Effect.gen(function* () {
      const prompt = Prompt.make({
        input: Input,
        system: "Into {{to}}.",
        prompt: "Translate: {{text}}",
        examples: [
          { input: { text: "Guten Tag", to: "English" }, output: "Hello" },
          { input: { text: "Ja", to: "English" }, output: { answer: "Yes" } },
          { input: { text: "Nein", to: "English" }, output: [Chat.text("No")] }
        ]
      })
      expect((yield* prompt({ text: "Danke", to: "French" })).messages).toEqual([
        Chat.system("Into French."),
        Chat.user("Translate: Guten Tag"),
        Chat.assistant("Hello"),
        Chat.user("Translate: Ja"),
        Chat.assistant('{"answer":"Yes"}'),
        Chat.user("Translate: Nein"),
        Chat.assistant([Chat.text("No")]),
        Chat.user("Translate: Danke")
      ])
    })
  )

  it.effect("takes images, files, lists and conditions from functions of the input", () =>
    Effect.gen(function* () {
      const prompt = Prompt.make({
        input: Schema.Struct({
          question: Schema.String,
          photos: Schema.Array(Schema.String),
          isExpert: Schema.Boolean
        }),
        system: ({ isExpert }) => (isExpert ? "Use terms of art." : "Use plain words."),
        prompt: [
          "{{question}}",
          ({ photos }) => photos.map((url) => ({ type: "image", url })),
          { type: "file", url: "https://example.com/guide.pdf", filename: "guide.pdf" }
        ]
      })
      const photos = ["https://example.com/1.png", "https://example.com/2.png"]
      expect((yield* prompt({ question: "Which one?", photos, isExpert: false })).messages).toEqual([
        Chat.system("Use plain words."),
        Chat.user([
          Chat.text("Which one?"),
          { type: "image", url: "https://example.com/1.png" },
          { type: "image", url: "https://example.com/2.png" },
          { type: "file", url: "https://example.com/guide.pdf", filename: "guide.pdf" }
        ])
      ])
    })
  )

  it.effect("fails with the field when the input does not fit, or a hole has no value", () =>
    Effect.gen(function* () {
      const prompt = Prompt.make({ input: Input, name: "translation", prompt: "{{text}} {{tone}}" })
      expect(yield* Effect.flip(prompt({ text: "", to: "French" }))).toMatchObject({
        _tag: "InvalidRequestError",
        field: "text",
        message: expect.stringContaining("The input of translation is not valid. text: ")
      })
      expect(yield* Effect.flip(prompt({ text: "Hallo", to: "French" }))).toMatchObject({
        field: "tone",
        message: "The input of translation is not valid. tone: is absent, and its hole has no default"
      })
    })
  )

  it("refuses a hole that names no field, when it is compiled and when it is made", () => {
    const unknown: string = "{{txet}}"
    expect(() => Prompt.make({ input: Input, prompt: unknown })).toThrow("The input of the prompt has no field txet.")
    // @ts-expect-error The input has no field txet.
    expect(() => Prompt.make({ input: Input, prompt: "{{text}} {{txet}}" })).toThrow(TypeError)
    // @ts-expect-error The input has no field To.
    expect(() => Prompt.make({ input: Input, system: "{{To|x}}" })).toThrow(TypeError)
    expect(() => Prompt.make({ input: Input, prompt: ["{{text}}", "{{txet}}"] })).toThrow(TypeError)
    expect(() =>
      Prompt.make({ input: Schema.Record({ key: Schema.String, value: Schema.String }), prompt: "{{any}}" })
    ).not.toThrow()
  })

  it.effect("is the request of a call, whose own errors are those of the call", () =>
    Effect.gen(function* () {
      const prompt = Prompt.make({ input: Input, prompt: "{{text}}" })
      const call = prompt({ text: "Hallo", to: "French" }).pipe(Effect.flatMap(LLM.chat))
      expect((yield* call).text).toBe("Bonjour")
      const [sent] = yield* TestLLM.calls
      expect(sent?.request.messages).toEqual([Chat.user("Hallo")])
    }).pipe(Effect.provide(TestLLM.layer(["Bonjour"])))
  )

  it.effect("is the prompt of an LLMFunction, as a value or as its text", () =>
    Effect.gen(function* () {
      const prompt = Prompt.make({ input: Input, prompt: "Count: {{text}}" })
      const count = LLMFunction.make({ name: "count", input: Input, output: Schema.Int, prompt })
      const short = LLMFunction.make({ name: "short", input: Input, output: Schema.String, prompt: "In {{to}}." })
      expect(yield* count({ text: "a b", to: "" })).toBe(2)
      expect(yield* short({ text: "a b", to: "English" })).toBe("ab")
      const [first, second] = yield* TestLLM.calls
      expect(first?.request.messages).toEqual([Chat.user("Count: a b")])
      expect(second?.request.messages[0]).toEqual(Chat.system("In English."))
      const toned = LLMFunction.make({
        name: "toned",
        input: Input,
        output: Schema.String,
        prompt: Prompt.make({ input: Input, prompt: "{{tone}}" })
      })
      const error = yield* Effect.flip(toned({ text: "a", to: "b" }))
      expect(error).toMatchObject({ _tag: "InvalidRequestError", provider: "test", field: "tone" })
    }).pipe(Effect.provide(TestLLM.layer(['{"value":2}', '{"value":"ab"}'])))
  )

  it("has the type and the requirements of its input", () => {
    const prompt = Prompt.make({ input: Input, prompt: "{{text}}" })
    expectTypeOf(prompt).parameter(0).toEqualTypeOf<typeof Input.Type>()
    expectTypeOf(prompt).returns.toEqualTypeOf<Effect.Effect<ChatRequest.Messages, InvalidRequestError>>()
  })
})
