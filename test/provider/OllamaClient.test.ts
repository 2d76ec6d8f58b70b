import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as NamedClient from "../../src/provider/named.js"
import * as OllamaClient from "../../src/provider/OllamaClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Transports from "../support/transports.js"

const llmAt = (baseUrl: string, dialect: NonNullable<OllamaClient.Options["dialect"]> = {}) =>
  LLM.make({ model: "acme-1", retry: false }).pipe(
    Effect.provide(OllamaClient.layer({ ...OllamaClient.presets.local, baseUrl, dialect })),
    // Ollama does not check the key.
    Effect.provide(KeyPool.layer({ provider: "ollama", keys: ["none"] })),
    Effect.provide(RateLimiter.layerUnlimited)
  )

const calls: ReadonlyArray<Chat.ToolCall> = [
  { type: "tool-call", id: "call-a", name: "clock", arguments: '{"zone":"UTC"}' },
  { type: "tool-call", id: "call-b", name: "weather", arguments: "{}" }
]

describe("OllamaClient over sockets", () => {
  it.scopedLive("reads the same response from a chat and a stream, with reasoning and tool calls", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: () => ({
          text: "Let me see.",
          reasoning: "Hm.",
          toolCalls: calls
        })
      })
      const llm = yield* llmAt(provider.baseUrl, { options: { num_ctx: 8192 }, keepAlive: "1h" })
      const response = yield* llm.chat("What time is it?")
      const streamed = yield* ChatEvent.collect(llm.chatStream("What time is it?"))
      expect(response).toMatchObject({
        provider: "ollama",
        model: "acme-1",
        text: "Let me see.",
        reasoning: "Hm.",
        toolCalls: calls,
        finishReason: "tool-calls",
        usage: { estimated: false }
      })
      expect({ ...streamed, latency: 0, attempts: [] }).toEqual({ ...response, latency: 0, attempts: [] })
      const [first, second] = yield* provider.log
      expect([first?.path.endsWith("/api/chat"), first?.stream, second?.stream]).toEqual([true, false, true])
      expect(second?.body).toMatchObject({ keep_alive: "1h", options: { num_ctx: 8192 }, stream: true })
    }).pipe(Effect.provide(Transports.direct))
  )

  it.scopedLive("sends tool results back and reads the final response", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: ({ messages }) => {
          const last = messages[messages.length - 1]
          return last?.role === "tool" ? `It is ${Chat.textOf(last.content)}.` : { toolCalls: calls.slice(0, 1) }
        }
      })
      const llm = yield* llmAt(provider.baseUrl)
      const question = Chat.user("What time is it?")
      const answer = yield* llm.chat({ messages: [question] })
      const results = answer.toolCalls.map((call) => Chat.toolResult(call, "12:00"))
      const { text } = yield* llm.chat({ messages: [question, Chat.toMessage(answer), ...results] })
      expect(text).toBe("It is 12:00.")
    }).pipe(Effect.provide(Transports.direct))
  )

  it.scopedLive("maps errors to error classes, before a stream and in its middle", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "One, two, three." })
      const llm = yield* llmAt(provider.baseUrl)
      const failed = <A>(effect: Effect.Effect<A, LLMError>) => Effect.map(Effect.flip(effect), ({ _tag }) => _tag)
      yield* provider.next(
        SimulatedProvider.status(404, { message: "model 'acme-1' not found" }),
        SimulatedProvider.status(400, { message: '"acme-1" does not support tools' }),
        SimulatedProvider.errorEvent(),
        SimulatedProvider.errorEvent(3),
        SimulatedProvider.truncate(3)
      )
      const stream = ChatEvent.collect(llm.chatStream("?"))
      expect([
        yield* failed(llm.chat("?")),
        yield* failed(llm.chat("?")),
        yield* failed(stream),
        yield* failed(stream),
        yield* failed(stream)
      ]).toEqual([
        "ModelNotFoundError",
        "InvalidRequestError",
        "ProviderUnavailableError",
        "StreamInterruptedError",
        "StreamInterruptedError"
      ])
    }).pipe(Effect.provide(Transports.direct))
  )
})

describe("Ollama by provider name", () => {
  const wireOf = (named: NamedClient.Named) => Effect.map(NamedClient.make(named), ({ wire }) => wire)
  it.effect("uses the Ollama wire for the provider ollama unless base URL or wire choose another", () =>
    Effect.gen(function* () {
      const wires = yield* Effect.all([
        wireOf({ provider: "ollama" }),
        wireOf({ provider: "Ollama", baseUrl: "http://box:11434" }),
        wireOf({ provider: "mine", preset: "ollama-cloud" }),
        wireOf({ provider: "ollama", baseUrl: "http://localhost:11434/v1/" }),
        wireOf({ provider: "ollama", wire: "chat-completions" })
      ])
      expect(wires).toEqual(["ollama", "ollama", "ollama", "chat-completions", "chat-completions"])
    }).pipe(Effect.provide(Transports.direct))
  )
  it.scopedLive("reads base URL, key and model of ollama from the environment", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "Hello." })
      const environment = new Map([
        ["OLLAMA_API_KEY", "none"],
        ["OLLAMA_BASE_URL", provider.baseUrl.replace(/\/v1$/, "")],
        ["LLM_DEFAULT_MODEL", "acme-1"]
      ])
      const llm = yield* Effect.provide(
        LLM.LLM,
        Layer.provide(
          LLM.layerConfig({ provider: "ollama" }),
          Layer.setConfigProvider(ConfigProvider.fromMap(environment))
        )
      )
      expect((yield* llm.chat("Hi")).text).toBe("Hello.")
      expect((yield* provider.log).map(({ path }) => path)).toEqual(["/api/chat"])
    }).pipe(Effect.provide(Transports.direct))
  )
})
