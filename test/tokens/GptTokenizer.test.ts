import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as FastCheck from "fast-check"
import { countTokens } from "gpt-tokenizer/encoding/o200k_base"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as TokenCounter from "../../src/tokens/TokenCounter.js"
import { GptTokenizer } from "../../src/tokens/tokenizer/index.js"
import { character } from "../support/character.js"

const both = GptTokenizer.layer({ encodings: ["o200k_base", "cl100k_base"] })

/** The conversation of OpenAI's cookbook, which reports the API's count for it. */
const conversation = [
  Chat.system("You are a helpful, pattern-following assistant that translates corporate jargon into plain English."),
  { ...Chat.user("New synergies will help drive top-line growth."), name: "example_user" },
  { ...Chat.user("Things working well together will increase revenue."), name: "example_assistant" },
  {
    ...Chat.user(
      "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."
    ),
    name: "example_user"
  },
  {
    ...Chat.user("Let's talk later when we're less busy about how to do better."),
    name: "example_assistant"
  },
  Chat.user("This late pivot means we don't have time to boil the ocean for the client deliverable.")
]

describe("token counts of OpenAI's models", () => {
  it.effect("GptTokenizer counts the cookbook's conversation as the API of OpenAI does", () =>
    Effect.gen(function* () {
      const request = { messages: conversation }
      expect(yield* TokenCounter.count(request, "gpt-4o-2024-08-06")).toEqual({ tokens: 124, estimated: false })
      expect(yield* TokenCounter.count(request, "gpt-4o-mini")).toEqual({ tokens: 124, estimated: false })
      expect(yield* TokenCounter.count(request, "gpt-4-0613")).toEqual({ tokens: 129, estimated: false })
      expect(yield* TokenCounter.count(request, "gpt-3.5-turbo")).toEqual({ tokens: 129, estimated: false })
    }).pipe(Effect.provide(both))
  )
  it.effect("GptTokenizer counts tools by the cookbook and marks the count as an estimate", () =>
    Effect.gen(function* () {
      const weather: Chat.ToolDefinition = {
        name: "get_current_weather",
        description: "Get the current weather in a given location",
        parameters: {
          type: "object",
          properties: {
            location: { type: "string", description: "The city and state, e.g. San Francisco, CA" },
            unit: {
              type: "string",
              description: "The unit of temperature to return",
              enum: ["celsius", "fahrenheit"]
            }
          },
          required: ["location"]
        }
      }
      const messages = [
        Chat.system("You are a helpful assistant that can answer to questions about the weather."),
        Chat.user("What's the weather like in San Francisco?")
      ]
      expect(yield* TokenCounter.count({ messages, tools: [weather] }, "gpt-4o")).toEqual({
        tokens: 101,
        estimated: true
      })
    }).pipe(Effect.provide(both))
  )
  it.effect(
    "GptTokenizer counts texts of later models exactly, and messages of an undocumented chat format as estimates",
    () =>
      Effect.gen(function* () {
        for (const model of ["gpt-5", "gpt-4.1-mini", "o3", "o4-mini", "gpt-oss-20b"]) {
          expect(yield* TokenCounter.count("Hello, world!", model)).toEqual({ tokens: 4, estimated: false })
          expect((yield* TokenCounter.count([Chat.user("Hello, world!")], model)).estimated).toBe(true)
        }
        expect(yield* TokenCounter.count("Hello, world!", "text-embedding-3-small")).toEqual({
          tokens: 4,
          estimated: false
        })
      }).pipe(Effect.provide(both))
  )
  it.effect("GptTokenizer recognises fine-tuned models and models with the prefix of a gateway", () =>
    Effect.gen(function* () {
      for (const model of ["ft:gpt-4o-mini:acme::1", "openai/gpt-4o"]) {
        expect(yield* TokenCounter.count({ messages: conversation }, model)).toEqual({ tokens: 124, estimated: false })
      }
    }).pipe(Effect.provide(both))
  )
  it.effect("GptTokenizer counts the names of special tokens as text", () =>
    Effect.gen(function* () {
      const { estimated, tokens } = yield* TokenCounter.count("<|endoftext|><|im_start|>", "gpt-4o")
      expect(estimated).toBe(false)
      expect(tokens).toBeGreaterThan(6)
    }).pipe(Effect.provide(both))
  )
  it.effect.prop(
    "GptTokenizer counts any text, with no more tokens than bytes",
    [FastCheck.string({ unit: character })],
    ([text]) =>
      Effect.gen(function* () {
        const { estimated, tokens } = yield* TokenCounter.count(text, "gpt-4o")
        expect(estimated).toBe(false)
        expect(tokens).toBeLessThanOrEqual(Buffer.byteLength(text))
      }).pipe(Effect.provide(both))
  )
  it.effect("GptTokenizer counts in linear time, and marks the count as an estimate when it splits a long run", () =>
    Effect.gen(function* () {
      // Without splitting, this would take minutes.
      const { estimated, tokens } = yield* TokenCounter.count("a".repeat(300_000), "gpt-4o")
      expect(estimated).toBe(true)
      expect(Math.abs(tokens - 37_500)).toBeLessThan(600)
      const prose = yield* TokenCounter.count("A few words of it. ".repeat(10_000), "gpt-4o")
      expect(prose).toEqual({ tokens: 60_001, estimated: false })
    }).pipe(Effect.provide(both))
  )
})

describe("long texts", () => {
  /** The turns of the event loop while an effect runs. */
  const turnsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      let turns = 0
      let isOver = false
      const next = (): void => {
        turns++
        if (!isOver) setImmediate(next)
      }
      setImmediate(next)
      return Effect.map(
        Effect.ensuring(
          effect,
          Effect.sync(() => {
            isOver = true
          })
        ),
        (value) => ({ value, turns })
      )
    })

  it.effect("GptTokenizer lets the event loop turn while it counts, and counts the same as without pauses", () =>
    Effect.gen(function* () {
      const words = "Some words, and a number: 12,345! camelCase (and more)\n的确如此。\n\n  indented "
      const text = words.repeat(Math.ceil(400_000 / words.length))
      const { turns, value } = yield* turnsOf(TokenCounter.count(text, "gpt-4o"))
      expect(turns).toBeGreaterThanOrEqual(6)
      expect(value).toEqual({ tokens: countTokens(text), estimated: false })
      const messages = Array.from({ length: 40 }, () => Chat.user(text.slice(0, 10_000)))
      const whole = yield* turnsOf(TokenCounter.count(messages, "gpt-4o"))
      expect(whole.turns).toBeGreaterThanOrEqual(6)
      expect(whole.value.tokens).toBe(40 * (4 + countTokens(text.slice(0, 10_000))))
    }).pipe(Effect.provide(both))
  )

  it.effect("GptTokenizer marks the count of a text without a place to cut it as an estimate", () =>
    Effect.gen(function* () {
      const text = "测试，".repeat(50_000)
      const { estimated, tokens } = yield* TokenCounter.count(text, "gpt-4o")
      expect(estimated).toBe(true)
      expect(Math.abs(tokens / countTokens(text) - 1)).toBeLessThan(0.01)
      const emoji = "😀".repeat(70_000)
      const cut = yield* TokenCounter.count(emoji, "gpt-4o")
      expect(Math.abs(cut.tokens / (countTokens("😀".repeat(7000)) * 10) - 1)).toBeLessThan(0.02)
    }).pipe(Effect.provide(both))
  )
})

describe("token counts of other models", () => {
  it.effect("GptTokenizer estimates models of other providers and of encodings that are not loaded", () =>
    Effect.gen(function* () {
      const counter = yield* GptTokenizer.make()
      for (const model of ["claude-sonnet-4-5", "gemini-2.5-pro", "", "gpt-4"]) {
        expect(yield* counter.count({ messages: conversation }, model)).toEqual(
          yield* TokenCounter.estimate.count({ messages: conversation }, model)
        )
      }
    })
  )
  it.effect("GptTokenizer counts a custom model name by the OpenAI model in the models option", () =>
    Effect.gen(function* () {
      const counter = yield* GptTokenizer.make({ models: { "our-deployment": "gpt-4o" } })
      expect(yield* counter.count({ messages: conversation }, "our-deployment")).toEqual({
        tokens: 124,
        estimated: false
      })
    })
  )
})
