import { HttpClient, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import * as AccessLog from "../../src/telemetry/AccessLog.js"
import * as Balance from "../../src/routing/Balance.js"
import * as Budget from "../../src/accounting/Budget.js"
import * as CacheStore from "../../src/caching/CacheStore.js"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ContextWindow from "../../src/call/ContextWindow.js"
import type { EmbeddingRequest } from "../../src/vocabulary/Embedding.js"
import * as EmbeddingCache from "../../src/caching/EmbeddingCache.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as Hedge from "../../src/routing/Hedge.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as LLMFunction from "../../src/programs/LLMFunction.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import type * as ProviderClient from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import * as Retry from "../../src/call/Retry.js"
import * as Programs from "../support/programs.js"
import * as Telemetry from "../../src/telemetry/Telemetry.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import * as TokenCounter from "../../src/tokens/TokenCounter.js"
import * as Tool from "../../src/programs/Tool.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"

/** The JSON of nested objects. */
const deepJson = (depth: number): string => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`

const deep = (depth: number): Readonly<Record<string, unknown>> => JSON.parse(deepJson(depth))

const deepSchema = (depth: number): Readonly<Record<string, unknown>> =>
  JSON.parse(`${'{"type":"object","properties":{"a":'.repeat(depth)}{"type":"string"}${"}}".repeat(depth)}`)

/** Input that plain JavaScript can pass despite the types. */
const plain = (json: string): ChatRequest.Input & EmbeddingRequest.Input => JSON.parse(json)

const plainUndefined = (): ChatRequest.Input => JSON.parse("{}").request

const cyclic: Record<string, unknown> = {}
cyclic["self"] = cyclic

const whole = (message: Record<string, unknown>): string =>
  JSON.stringify({
    id: "c",
    choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason: "stop" }]
  })

const http = (body: string) =>
  Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request) =>
      Effect.succeed(
        HttpClientResponse.fromWeb(request, new Response(body, { headers: { "content-type": "application/json" } }))
      )
    )
  )

const chatCompletions = ChatCompletionsClient.layer({ provider: "acme", baseUrl: "http://acme.test/v1" })

/** An `LLM` over HTTP whose provider answers with `body`. */
const answering = (
  body: string,
  client: Layer.Layer<ProviderClient.ProviderClient, never, HttpClient.HttpClient> = chatCompletions
) =>
  LLM.make({ model: "m", retry: false }).pipe(
    Effect.provide(
      Layer.mergeAll(
        Layer.provide(client, http(body)),
        KeyPool.layer({ provider: "acme", keys: ["sk-1"] }),
        RateLimiter.layer({ capacity: 1000, refillRate: 1000, tokensPerMinute: 1_000_000 })
      )
    )
  )

const store = CacheStore.layerMemory()

const middlewares: Readonly<Record<string, LLM.Middleware<unknown>>> = {
  "no middleware": Effect.succeed,
  AccessLog: AccessLog.middleware(),
  Balance: (llm) => Balance.make([{ llm }, { llm }]),
  Budget: (llm) => Effect.flatMap(Budget.make({ limit: { tokens: 1_000_000 } }), ({ middleware }) => middleware(llm)),
  ContextWindow: ContextWindow.middleware(),
  EmbeddingCache: (llm) =>
    Effect.provide(EmbeddingCache.middleware()(llm), Layer.provide(EmbeddingCache.layer(), store)),
  Fallback: (llm) => Fallback.make([llm])(llm),
  Hedge: (llm) => Hedge.make([llm])(llm),
  Pricing: Pricing.middleware(),
  ResponseCache: (llm) => Effect.provide(ResponseCache.middleware()(llm), Layer.provide(ResponseCache.layer(), store)),
  Retry: Retry.middleware(),
  Telemetry: Telemetry.middleware(),
  Timeouts: Timeouts.middleware({ total: "1 minute", response: "1 minute", idle: "1 minute" }),
  UsageLedger: (llm) => Effect.provide(UsageLedger.middleware()(llm), UsageLedger.layer())
}

const messages = [Chat.user("?")]

const requests: Readonly<Record<string, readonly [request: () => ChatRequest.Input, field: string]>> = {
  null: [() => plain("null"), ""],
  undefined: [() => plainUndefined(), ""],
  "a number": [() => plain("42"), ""],
  "a list": [() => plain("[]"), "messages"],
  "messages that are null": [() => plain('{"messages":null}'), "messages"],
  "metadata 20,000 deep": [() => ({ messages, ...plainMetadata }), "metadata"],
  "extra fields 20,000 deep": [() => ({ messages, extra: deep(20_000) }), "extra"],
  "extra fields that contain themselves": [() => ({ messages, extra: cyclic }), "extra"],
  "a tool's schema 5,000 deep": [
    () => ({ messages, tools: [{ name: "f", parameters: deepSchema(5000) }] }),
    "tools[0].parameters"
  ],
  "an answer's schema 5,000 deep": [
    () => ({ messages, responseFormat: { name: "r", schema: deepSchema(5000) } }),
    "responseFormat"
  ],
  "arguments of an earlier call 20,000 deep": [
    () => ({
      messages: [
        ...messages,
        {
          role: "assistant",
          content: [
            { type: "text", text: "first" },
            { type: "tool-call", id: "b", name: "f", arguments: deepJson(20_000), custom: true },
            { type: "tool-call", id: "a", name: "f", arguments: deepJson(20_000) }
          ]
        },
        { role: "tool", toolCallId: "a", content: "x" }
      ]
    }),
    "messages[1].content[2].arguments"
  ],
  "content of a message 20,000 deep": [
    () => ({ messages: [{ role: "user", content: [{ type: "provider", native: { any: deep(20_000) } }] }] }),
    "messages[0].content"
  ],
  "an extra field that is a bigint": [() => ({ messages, extra: { seed: 1n } }), "extra"],
  "a native field that is a bigint": [
    () => ({
      messages: [
        ...messages,
        { role: "user", content: [{ type: "text", text: "!", native: { "chat-completions": { seed: 1n } } }] }
      ]
    }),
    "messages[1]"
  ]
}

const plainMetadata: { readonly metadata: Record<string, string> } = { metadata: JSON.parse(deepJson(20_000)) }

describe.each(Object.entries(middlewares))("with %s", (_, middleware) => {
  it.scoped("fails an unreadable request with an InvalidRequestError that names the field", () =>
    Effect.gen(function* () {
      const llm = yield* Effect.flatMap(answering(whole({ content: "yes" })), middleware)
      for (const [what, [request, field]] of Object.entries(requests)) {
        const expected = { _tag: "InvalidRequestError", field }
        expect(yield* Effect.flip(llm.chat(request())), what).toMatchObject(expected)
        expect(yield* Effect.flip(Stream.runDrain(llm.chatStream(request()))), what).toMatchObject(expected)
      }
      for (const input of [plain("null"), plain("42"), plain("{}"), { input: ["x"], extra: deep(20_000) }]) {
        expect(yield* Effect.flip(llm.embed(input))).toMatchObject({ _tag: "InvalidRequestError" })
      }
      const { text } = yield* llm.chat({
        messages,
        extra: deep(100),
        tools: [{ name: "f", parameters: deepSchema(100) }]
      })
      expect(text).toBe("yes")
    })
  )
})

describe("request that is null", () => {
  it.effect("accessors and programs fail with an InvalidRequestError when the request is null", () =>
    Effect.gen(function* () {
      const llm = yield* answering(whole({ content: "yes" }))
      const tool = Tool.make("f", {
        description: "f",
        parameters: { a: Schema.Unknown },
        handler: () => Effect.succeed("x")
      })
      const request = plain("null")
      for (const call of [
        LLM.chat(request),
        Stream.runDrain(LLM.chatStream(request)),
        LLM.embed(request),
        Programs.runTools(llm, request, { tools: [tool] }),
        Stream.runDrain(Programs.runToolsStream(llm, request, { tools: [tool] })),
        Programs.generateObject(llm, request, { schema: Schema.Number })
      ]) {
        const error = yield* Effect.flip(Effect.provideService(Effect.asVoid(call), LLM.LLM, llm))
        expect(error).toMatchObject({ _tag: "InvalidRequestError" })
      }
    })
  )
})

describe("answer that is nested too deeply", () => {
  it.effect("fails with a MalformedResponseError when an answer is nested 20,000 levels deep", () =>
    Effect.gen(function* () {
      for (const body of [deepJson(20_000), `{"choices":[{"message":{"content":${deepJson(20_000)}}}]}`]) {
        const llm = yield* answering(body)
        expect(yield* Effect.flip(llm.chat("?"))).toMatchObject({ _tag: "MalformedResponseError" })
        expect(yield* Effect.flip(Stream.runDrain(llm.chatStream("?")))).toMatchObject({
          _tag: "MalformedResponseError"
        })
      }
      const input = `{"type":"message","content":[{"type":"tool_use","id":"a","name":"f","input":${deepJson(20_000)}}]}`
      expect(yield* Effect.flip((yield* answering(input, AnthropicClient.layer())).chat("?"))).toMatchObject({
        _tag: "MalformedResponseError"
      })
    })
  )

  it.effect("LLM.runTools and LLM.generateObject fail with a typed error on too deeply nested answers", () =>
    Effect.gen(function* () {
      const call = { id: "a", type: "function", function: { name: "f", arguments: deepJson(20_000) } }
      const llm = yield* answering(whole({ content: null, tool_calls: [call] }))
      const tool = Tool.make("f", {
        description: "f",
        parameters: { a: Schema.Unknown },
        handler: () => Effect.succeed("x")
      })
      // The arguments are in the history of the second round, which no provider could read either.
      const error = yield* Effect.flip(Programs.runTools(llm, "?", { tools: [tool] }))
      expect(error).toMatchObject({ _tag: "InvalidRequestError", field: "messages[1].content[0].arguments" })
      const nested = yield* answering(whole({ content: deepJson(20_000) }))
      expect(yield* Effect.flip(Programs.generateObject(nested, "?", { schema: Schema.Unknown }))).toMatchObject({
        _tag: "MalformedResponseError"
      })
    })
  )
})

describe("deeply nested input of other modules", () => {
  it.effect("TokenCounter counts a schema nested 20,000 levels deep", () =>
    Effect.gen(function* () {
      const tools = [{ name: "f", parameters: deepSchema(20_000) }]
      expect((yield* TokenCounter.count({ messages, tools }, "m")).tokens).toBeGreaterThan(0)
    })
  )

  it.effect("an LLMFunction fails with an InvalidRequestError when its input is nested too deeply", () =>
    Effect.gen(function* () {
      const llm = yield* answering(whole({ content: "1" }))
      const f = LLMFunction.make({ name: "f", input: Schema.Unknown, output: Schema.Number, prompt: "Count." })
      const error = yield* Effect.flip(Effect.provideService(f({ metadata: deep(20_000) }), LLM.LLM, llm))
      expect(error).toMatchObject({ _tag: "InvalidRequestError", field: "metadata" })
    })
  )
})
