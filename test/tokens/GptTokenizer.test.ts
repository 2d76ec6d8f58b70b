import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as TokenCounter from "../../src/tokens/TokenCounter.js"
import { GptTokenizer } from "../../src/tokens/tokenizer/index.js"
import { character } from "../support/character.js"

const both = GptTokenizer.layer({ encodings: ["o200k_base", "cl100k_base"] })

/** The conversation of OpenAI's cookbook, for which it tells what the API counted. */
const jargon = [
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

describe("OpenAI's models", () => {
  it.effect("are counted as OpenAI's cookbook says that its API does", () =>
    Effect.gen(function* () {
      const request = { messages: jargon }
      expect(yield* TokenCounter.count(request, "gpt-4o-2024-08-06")).toEqual({ tokens: 124, estimated: false })
      expect(yield* TokenCounter.count(request, "gpt-4o-mini")).toEqual({ tokens: 124, estimated: false })
      expect(yield* TokenCounter.count(request, "gpt-4-0613")).toEqual({ tokens: 129, estimated: false })
      expect(yield* TokenCounter.count(request, "gpt-3.5-turbo")).toEqual({ tokens: 129, estimated: false })
    }).pipe(Effect.provide(both))
  )
  it.effect("have tools counted by the same cookbook, as an estimate", () =>
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
  it.effect("have exact texts, and a chat format that is only estimated where nobody has documented it", () =>
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
  it.effect("are known when they were tuned, or bought at a gateway", () =>
    Effect.gen(function* () {
      for (const model of ["ft:gpt-4o-mini:acme::1", "openai/gpt-4o"]) {
        expect(yield* TokenCounter.count({ messages: jargon }, model)).toEqual({ tokens: 124, estimated: false })
      }
    }).pipe(Effect.provide(both))
  )
  it.effect("read the names of special tokens as text", () =>
    Effect.gen(function* () {
      const { estimated, tokens } = yield* TokenCounter.count("<|endoftext|><|im_start|>", "gpt-4o")
      expect(estimated).toBe(false)
      expect(tokens).toBeGreaterThan(6)
    }).pipe(Effect.provide(both))
  )
  it.effect.prop("take any text", [FastCheck.string({ unit: character })], ([text]) =>
    Effect.gen(function* () {
      const { estimated, tokens } = yield* TokenCounter.count(text, "gpt-4o")
      expect(estimated).toBe(false)
      expect(tokens).toBeLessThanOrEqual(Buffer.byteLength(text))
    }).pipe(Effect.provide(both))
  )
  it.effect("are counted in linear time, and say so where a long run had to be cut", () =>
    Effect.gen(function* () {
      // Uncut, this would take minutes.
      const { estimated, tokens } = yield* TokenCounter.count("a".repeat(300_000), "gpt-4o")
      expect(estimated).toBe(true)
      expect(Math.abs(tokens - 37_500)).toBeLessThan(600)
      const prose = yield* TokenCounter.count("A few words of it. ".repeat(10_000), "gpt-4o")
      expect(prose).toEqual({ tokens: 60_001, estimated: false })
    }).pipe(Effect.provide(both))
  )
})

describe("other models", () => {
  it.effect("are estimated", () =>
    Effect.gen(function* () {
      const counter = yield* GptTokenizer.make()
      for (const model of ["claude-sonnet-4-5", "gemini-2.5-pro", "", "gpt-4"]) {
        expect(yield* counter.count({ messages: jargon }, model)).toEqual(
          yield* TokenCounter.estimate.count({ messages: jargon }, model)
        )
      }
    })
  )
  it.effect("may be OpenAI's under names of one's own", () =>
    Effect.gen(function* () {
      const counter = yield* GptTokenizer.make({ models: { "our-deployment": "gpt-4o" } })
      expect(yield* counter.count({ messages: jargon }, "our-deployment")).toEqual({ tokens: 124, estimated: false })
    })
  )
})
