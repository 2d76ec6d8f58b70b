/** Tool loops and structured output, whole and streamed, over two protocols and a real HTTP server. */
import type { HttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import type { Layer } from "effect"
import { Deferred, Effect, Fiber, Option, Schema, Stream } from "effect"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as ResponsesClient from "../../src/provider/ResponsesClient.js"
import type * as ProviderClient from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Programs from "../support/programs.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Tool from "../../src/programs/Tool.js"
import type * as ToolLoop from "../../src/programs/ToolLoop.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { eventually } from "../support/eventually.js"
import { transports } from "../support/transports.js"

const llmAt = (
  client: Layer.Layer<ProviderClient.ProviderClient, never, HttpClient.HttpClient>,
  limiter: Layer.Layer<RateLimiter.RateLimiter, RateLimiter.InvalidLimitError> = RateLimiter.layerUnlimited
) =>
  LLM.make({ model: "simulated", retry: false }).pipe(
    Effect.provide(client),
    Effect.provide(KeyPool.layer({ provider: "simulated", keys: ["key"] })),
    Effect.provide(limiter)
  )

const add = Tool.make("add", {
  description: "Adds two numbers.",
  parameters: { a: Schema.Number, b: Schema.Number, note: Schema.optional(Schema.String) },
  success: Schema.Number,
  handler: ({ a, b }) => Effect.succeed(a + b)
})

const Point = Schema.Struct({ x: Schema.Number, y: Schema.Number })

const contents = (request: ChatRequest) =>
  request.messages.flatMap((message) => (message.role === "tool" ? [Chat.textOf(message.content)] : []))

/** A model that calls `add` twice, then once with both results, and then answers. */
const calculator = (request: ChatRequest) => {
  const results = contents(request)
  const [first, second, third] = results
  if (third !== undefined) {
    return { id: "third", text: `It is ${third}.`, usage: Usage.make({ inputTokens: 30, outputTokens: 5 }) }
  }
  return results.length === 0
    ? {
        id: "first",
        text: "Let me see.",
        toolCalls: [
          Chat.toolCall("call-1", "add", '{"a":1,"b":2,"note":null}'),
          Chat.toolCall("call-2", "add", '{"a":3,"b":4}')
        ],
        usage: Usage.make({ inputTokens: 10, outputTokens: 8 })
      }
    : {
        id: "second",
        toolCalls: [Chat.toolCall("call-3", "add", `{"a":${first},"b":${second}}`)],
        usage: Usage.make({ inputTokens: 20, outputTokens: 4 })
      }
}

const last = <E, R>(events: Stream.Stream<ToolLoop.Event, E, R>) =>
  Effect.map(Stream.runLast(events), (event) =>
    Option.isSome(event) && event.value._tag === "Finish" ? event.value.result : undefined
  )

const clients = [
  ["chat-completions", ChatCompletionsClient.layer],
  ["responses", ResponsesClient.layer]
] as const

const everyWay = transports.flatMap(([name, transport]) =>
  clients.map(([wire, client]) => [wire, name, client, transport] as const)
)

describe.each(everyWay)("%s over %s", (_, __, clientLayer, transport) => {
  const setup = (options: SimulatedProvider.Options) =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make(options)
      const llm = yield* llmAt(clientLayer({ provider: "simulated", baseUrl: provider.baseUrl }))
      return { llm, provider }
    })

  it.scopedLive("LLM.runTools and LLM.runToolsStream end with the same messages, usage and rounds", () =>
    Effect.gen(function* () {
      const { llm } = yield* setup({ answer: calculator })
      const whole = yield* Programs.runTools(llm, "What is 1+2+3+4?", { tools: [add] })
      expect(whole.response.text).toBe("It is 10.")
      expect(whole.rounds.map(({ executions }) => executions.map(({ result }) => result.content))).toEqual([
        ["3", "7"],
        ["10"],
        []
      ])
      expect(whole.usage).toEqual(Usage.make({ inputTokens: 60, outputTokens: 17 }))

      const streamed = yield* last(Programs.runToolsStream(llm, "What is 1+2+3+4?", { tools: [add] }))
      expect(streamed?.messages).toEqual(whole.messages)
      expect(streamed?.usage).toEqual(whole.usage)
      expect(streamed?.rounds.map(({ response }) => response.toolCalls)).toEqual(
        whole.rounds.map(({ response }) => response.toolCalls)
      )
    }).pipe(Effect.provide(transport))
  )

  it.scopedLive("LLM.runTools continues from the messages of a finished loop", () =>
    Effect.gen(function* () {
      const { llm, provider } = yield* setup({ answer: calculator })
      const { messages } = yield* Programs.runTools(llm, "What is 1+2+3+4?", { tools: [add] })
      const next = yield* Programs.runTools(llm, { messages: [...messages, Chat.user("Sure?")] }, { tools: [add] })
      expect(next.response.text).toBe("It is 10.")
      expect((yield* provider.log).map((exchange) => exchange.status)).toEqual([200, 200, 200, 200])
    }).pipe(Effect.provide(transport))
  )

  it.scopedLive("interrupting a loop while a handler runs releases the key and the connection", () =>
    Effect.gen(function* () {
      const { llm, provider } = yield* setup({ answer: calculator })
      const started = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const endless = Tool.make("add", {
        handler: () =>
          Effect.onInterrupt(Effect.zipRight(Deferred.succeed(started, undefined), Effect.never), () =>
            Deferred.succeed(interrupted, undefined)
          )
      })
      const fiber = yield* Effect.fork(Stream.runDrain(Programs.runToolsStream(llm, "Go", { tools: [endless] })))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(interrupted)
      yield* eventually(Effect.map(provider.busyConnections, (count) => count === 0))
      expect((yield* llm.status).keys.keys.map((key) => key.inFlight)).toEqual([0])
    }).pipe(Effect.provide(transport))
  )

  it.scopedLive("LLM.generateObject returns the value in every mode", () =>
    Effect.gen(function* () {
      const { llm, provider } = yield* setup({
        answer: ({ tools }) =>
          tools === undefined
            ? '{"x":1,"y":2}'
            : { toolCalls: [{ type: "tool-call", id: "1", name: "point", arguments: '{"x":1,"y":2}' }] }
      })
      for (const mode of ["auto", "native", "tool", "prompt"] as const) {
        const { value } = yield* Programs.generateObject(llm, "Where?", { schema: Point, name: "point", mode })
        expect(value).toEqual({ x: 1, y: 2 })
      }
      expect((yield* provider.log).map(({ body }) => Object.keys(Object(body)))).toMatchObject([
        expect.arrayContaining([expect.stringMatching(/^(response_format|text)$/)]),
        expect.arrayContaining([expect.stringMatching(/^(response_format|text)$/)]),
        expect.arrayContaining(["tools", "tool_choice"]),
        expect.not.arrayContaining(["tools"])
      ])
    }).pipe(Effect.provide(transport))
  )

  it.scopedLive("LLM.generateObject repairs a value that does not fit its schema", () =>
    Effect.gen(function* () {
      const { llm } = yield* setup({
        answer: ({ messages }) => (messages.length === 1 ? '{"x":1,"y":"two"}' : '{"x":1,"y":2}')
      })
      expect((yield* Programs.generateObject(llm, "Where?", { schema: Point })).value).toEqual({ x: 1, y: 2 })
    }).pipe(Effect.provide(transport))
  )
})

describe.each(transports)("provider without JSON Schema output over %s", (_, transport) => {
  it.scopedLive("mode `auto` falls back to a tool without sending a request or spending tokens first", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: () => ({
          toolCalls: [{ type: "tool-call", id: "1", name: "point", arguments: '{"x":1,"y":2}' }],
          usage: Usage.make({ inputTokens: 400, outputTokens: 100 })
        })
      })
      const { baseUrl } = provider
      const llm = yield* llmAt(
        ChatCompletionsClient.layer({ provider: "simulated", baseUrl, dialect: { jsonSchema: false } }),
        RateLimiter.layer({ capacity: 10, refillRate: 1, tokensPerMinute: 1000 })
      )
      const { value } = yield* Programs.generateObject(llm, "Where? ".repeat(100), { schema: Point, name: "point" })
      expect(value).toEqual({ x: 1, y: 2 })
      expect(yield* provider.log).toHaveLength(1)
      const { limiter } = yield* llm.status
      expect(limiter.tokens?.available).toBeGreaterThanOrEqual(500)
    }).pipe(Effect.provide(transport))
  )
})
