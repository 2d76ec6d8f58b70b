import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as DashScopeClient from "../../src/provider/DashScopeClient.js"
import * as NamedClient from "../../src/provider/named.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Transports from "../support/transports.js"

const llmAt = (baseUrl: string, dialect: NonNullable<DashScopeClient.Options["dialect"]> = {}) =>
  LLM.make({ model: "acme-1", retry: false }).pipe(
    Effect.provide(DashScopeClient.layer({ ...DashScopeClient.presets.beijing, baseUrl, dialect })),
    Effect.provide(KeyPool.layer({ provider: "dashscope", keys: ["good"] })),
    Effect.provide(RateLimiter.layerUnlimited)
  )

const calls: ReadonlyArray<Chat.ToolCall> = [
  { type: "tool-call", id: "call-a", name: "clock", arguments: '{"zone":"UTC"}' },
  { type: "tool-call", id: "call-b", name: "weather", arguments: "{}" }
]

const services = "/services/aigc"

describe("DashScopeClient over sockets", () => {
  it.scopedLive("reads the same response from a chat, an incremental stream and a cumulative stream", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        keys: [{ key: "good" }],
        answer: () => ({
          id: "r-1",
          text: "Let me see.",
          reasoning: "Hm, let me think.",
          toolCalls: calls
        })
      })
      const response = yield* Effect.flatMap(llmAt(provider.baseUrl), (llm) => llm.chat("What time is it?"))
      expect(response).toMatchObject({
        id: "r-1",
        provider: "dashscope",
        model: "acme-1",
        text: "Let me see.",
        reasoning: "Hm, let me think.",
        toolCalls: calls,
        finishReason: "tool-calls",
        usage: { estimated: false }
      })
      for (const incremental of [true, false]) {
        const llm = yield* llmAt(provider.baseUrl, { incremental })
        const streamed = yield* ChatEvent.collect(llm.chatStream("What time is it?"))
        expect({ ...streamed, latency: 0, attempts: [] }).toEqual({ ...response, latency: 0, attempts: [] })
      }
      expect((yield* provider.log).map(({ stream }) => stream)).toEqual([false, true, true])
    }).pipe(Effect.provide(Transports.direct))
  )

  it.scopedLive("sends tool results back and chooses the service by the content of each request", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: ({ messages }) => {
          const last = messages[messages.length - 1]
          return last?.role === "tool" ? `It is ${Chat.textOf(last.content)}.` : { toolCalls: calls.slice(0, 1) }
        }
      })
      const llm = yield* llmAt(provider.baseUrl)
      const question = Chat.user([Chat.image("https://example.com/clock.png"), Chat.text("What time is it?")])
      const answer = yield* llm.chat({ messages: [question] })
      const results = answer.toolCalls.map((call) => Chat.toolResult(call, "12:00"))
      const { text } = yield* llm.chat({ messages: [question, Chat.toMessage(answer), ...results] })
      expect(text).toBe("It is 12:00.")
      yield* llm.chat("Hi")
      expect((yield* provider.log).map(({ path }) => path.slice(path.indexOf(services) + services.length))).toEqual([
        "/multimodal-generation/generation",
        "/multimodal-generation/generation",
        "/text-generation/generation"
      ])
    }).pipe(Effect.provide(Transports.direct))
  )

  it.scopedLive("maps error codes to error classes, before a stream and in its middle", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "One, two, three." })
      const failure = (fault: SimulatedProvider.Fault, method: "chat" | "stream") =>
        Effect.gen(function* () {
          // Some of these errors start a cooldown of the key, so each has a pool of its own.
          const llm = yield* llmAt(provider.baseUrl)
          yield* provider.next(fault)
          const error = yield* Effect.flip(
            method === "chat" ? Effect.asVoid(llm.chat("?")) : Effect.asVoid(ChatEvent.collect(llm.chatStream("?")))
          )
          return error._tag === "StreamInterruptedError" ? [error._tag, error.reported] : [error._tag]
        })
      const responseError = (status: number, code: string, message: string) =>
        failure(SimulatedProvider.status(status, { code, message }), "chat")
      const streamError = (after: number, code: string) =>
        failure(SimulatedProvider.errorEvent(after, { code, message: "No." }), "stream")
      expect([
        yield* responseError(400, "Arrearage", "The account is not in good standing."),
        yield* responseError(400, "InvalidParameter", "Range of input length should be [1, 9]"),
        yield* responseError(400, "DataInspectionFailed", "Not this."),
        yield* responseError(429, "Throttling.AllocationQuota", "Too many tokens a minute."),
        yield* streamError(0, "Throttling.RateQuota"),
        yield* streamError(2, "DataInspectionFailed"),
        yield* failure(SimulatedProvider.truncate(2), "stream")
      ]).toEqual([
        ["QuotaExceededError"],
        ["ContextLengthError"],
        ["ContentFilterError"],
        ["RateLimitError"],
        ["RateLimitError"],
        ["StreamInterruptedError", "ContentFilterError"],
        ["StreamInterruptedError", undefined]
      ])
    }).pipe(Effect.provide(Transports.direct))
  )
})

describe("DashScope by provider name", () => {
  const wireOf = (named: NamedClient.Named) => Effect.map(NamedClient.make(named), ({ wire }) => wire)
  it.effect("uses the Chat Completions wire for the provider dashscope unless its own wire is given", () =>
    Effect.gen(function* () {
      expect(
        yield* Effect.all([
          wireOf({ provider: "dashscope" }),
          wireOf({ provider: "dashscope-intl", wire: "dashscope" })
        ])
      ).toEqual(["chat-completions", "dashscope"])
    }).pipe(Effect.provide(Transports.direct))
  )
})
