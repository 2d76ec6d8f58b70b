/** The answers that the simulated provider makes itself, by every client over a real HTTP server. */
import type { HttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import type { Layer } from "effect"
import { Effect, Option, Schema, Stream } from "effect"
import type * as ProviderClient from "../../src/call/ProviderClient.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as Tool from "../../src/programs/Tool.js"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as DashScopeClient from "../../src/provider/DashScopeClient.js"
import * as GeminiClient from "../../src/provider/GeminiClient.js"
import * as OllamaClient from "../../src/provider/OllamaClient.js"
import * as ResponsesClient from "../../src/provider/ResponsesClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as Programs from "../support/programs.js"
import * as Transports from "../support/transports.js"

type Client = (baseUrl: string) => Layer.Layer<ProviderClient.ProviderClient, never, HttpClient.HttpClient>

const root = (baseUrl: string): string => baseUrl.replace(/\/v1$/, "")

const clients: ReadonlyArray<readonly [string, Client]> = [
  ["chat-completions", (baseUrl) => ChatCompletionsClient.layer({ provider: "simulated", baseUrl })],
  ["responses", (baseUrl) => ResponsesClient.layer({ provider: "simulated", baseUrl })],
  ["anthropic-messages", (baseUrl) => AnthropicClient.layer({ provider: "simulated", baseUrl })],
  ["gemini", (baseUrl) => GeminiClient.layer({ provider: "simulated", baseUrl: `${root(baseUrl)}/v1beta` })],
  ["ollama", (baseUrl) => OllamaClient.layer({ provider: "simulated", baseUrl: root(baseUrl) })],
  ["dashscope", (baseUrl) => DashScopeClient.layer({ ...DashScopeClient.presets.beijing, baseUrl })]
]

const Invoice = Schema.Struct({
  number: Schema.Int.pipe(Schema.positive()),
  customer: Schema.NonEmptyString,
  due: Schema.Date,
  currency: Schema.Literal("dollar", "euro"),
  email: Schema.optional(Schema.String.pipe(Schema.pattern(/^\S+@\S+$/))),
  items: Schema.NonEmptyArray(
    Schema.Struct({ name: Schema.String.pipe(Schema.minLength(2), Schema.maxLength(40)), price: Schema.Number })
  )
}).annotations({ identifier: "Invoice" })

const clock = Tool.make("clock", {
  description: "The time of day in a city.",
  parameters: { city: Schema.String, format: Schema.Literal("12h", "24h") },
  success: Schema.Struct({ hour: Schema.Int }),
  handler: ({ city }) => Effect.succeed({ hour: city === "Paris" ? 13 : 12 })
})

const search = Tool.make("search", {
  description: "Searches the web.",
  parameters: { query: Schema.String },
  handler: () => Effect.succeed("nothing")
})

const prompt = "Invoice 7 for Ada Lovelace, 1.50 euro."

describe.each(clients)("a simulated provider that is called by %s", (wire, client) => {
  const setup = Effect.gen(function* () {
    const provider = yield* SimulatedProvider.make()
    const llm = yield* LLM.make({ model: "simulated", retry: false }).pipe(
      Effect.provide(client(provider.baseUrl)),
      Effect.provide(KeyPool.layer({ provider: "simulated", keys: ["key"] })),
      Effect.provide(RateLimiter.layerUnlimited)
    )
    return { llm, provider }
  })

  const modes = (["auto", "native", "tool", "prompt"] as const).filter(
    // These protocols cannot force a tool by its name.
    (mode) => mode !== "tool" || (wire !== "ollama" && wire !== "dashscope")
  )

  for (const mode of modes) {
    it.scopedLive(`gives an object that fits its schema at once, in the mode ${mode}`, () =>
      Effect.gen(function* () {
        const { llm, provider } = yield* setup
        const { value } = yield* Programs.generateObject(llm, prompt, { schema: Invoice, mode })
        expect(value).toMatchObject({ number: 7, customer: "Ada Lovelace", currency: "euro" })
        const streamed = yield* Stream.runLast(Programs.streamObject(llm, prompt, { schema: Invoice, mode }))
        expect(Option.getOrThrow(streamed)).toMatchObject({ result: { value } })
        expect(yield* provider.log).toHaveLength(2)
      }).pipe(Effect.provide(Transports.direct))
    )
  }

  it.scopedLive("calls the tool that the question is about, and ends the tool loop with its result", () =>
    Effect.gen(function* () {
      const { llm } = yield* setup
      const question = "What time is it in Paris?"
      const tools = [search, clock]
      const whole = yield* Programs.runTools(llm, question, { tools })
      expect(whole.rounds.map(({ executions }) => executions.map(({ call }) => JSON.parse(call.arguments)))).toEqual([
        [{ city: "Paris", format: "12h" }],
        []
      ])
      expect(whole.response).toMatchObject({
        text: `You said: ${question}\nclock answered: {"hour":13}`,
        finishReason: "stop"
      })
      const streamed = yield* Stream.runLast(Programs.runToolsStream(llm, question, { tools }))
      expect(Option.getOrThrow(streamed)).toMatchObject({
        _tag: "Finish",
        result: { rounds: [{}, {}], response: { text: whole.response.text } }
      })
    }).pipe(Effect.provide(Transports.direct))
  )

  it.scopedLive("reasons when the request asks for it", () =>
    Effect.gen(function* () {
      const { llm } = yield* setup
      const request = { messages: [Chat.user("Why?")], reasoning: { effort: "low" as const }, maxTokens: 8000 }
      const whole = yield* llm.chat(request)
      expect(whole).toMatchObject({ text: "You said: Why?", reasoning: expect.stringContaining("Why?") })
      const streamed = yield* ChatEvent.collect(llm.chatStream(request))
      expect(streamed).toMatchObject({ text: whole.text, reasoning: whole.reasoning })
      expect((yield* llm.chat("Why?")).reasoning).toBe("")
    }).pipe(Effect.provide(Transports.direct))
  )

  it.scopedLive("reasons before each call of a tool loop", () =>
    Effect.gen(function* () {
      const { llm } = yield* setup
      const request = { prompt: "What time is it?", reasoning: { effort: "low" as const }, maxTokens: 8000 }
      const { rounds } = yield* Programs.runTools(llm, request, { tools: [clock] })
      expect(rounds.map(({ response }) => response.content.map(({ type }) => type))).toEqual([
        ["reasoning", "tool-call"],
        ["reasoning", "text"]
      ])
    }).pipe(Effect.provide(Transports.direct))
  )
})
