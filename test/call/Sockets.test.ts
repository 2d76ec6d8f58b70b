/** Calls over real sockets to a provider with faults. */
import { describe, expect, it } from "@effect/vitest"
import type { HttpClient } from "@effect/platform"
import type { Layer } from "effect"
import { Duration, Effect, Either, Fiber, Random, Stream } from "effect"
import * as TrackedFibers from "../support/trackedFibers.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as ResponsesClient from "../../src/provider/ResponsesClient.js"
import type * as ProviderClient from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { eventually } from "../support/eventually.js"
import { transports } from "../support/transports.js"

const wires = ["chat-completions", "responses", "anthropic-messages"] as const

type Wire = (typeof wires)[number]

const clientAt = (
  wire: Wire,
  baseUrl: string
): Layer.Layer<ProviderClient.ProviderClient, never, HttpClient.HttpClient> => {
  const endpoint = { provider: "simulated", baseUrl }
  switch (wire) {
    case "chat-completions":
      return ChatCompletionsClient.layer(endpoint)
    case "responses":
      return ResponsesClient.layer(endpoint)
    case "anthropic-messages":
      return AnthropicClient.layer(endpoint)
  }
}

const llmAt = (
  baseUrl: string,
  options: Omit<LLM.Options, "model"> = {},
  wire: Wire = "chat-completions",
  keys: ReadonlyArray<string> = ["good"]
) =>
  LLM.make({ model: "simulated", ...options }).pipe(
    Effect.provide(clientAt(wire, baseUrl)),
    Effect.provide(KeyPool.layer({ provider: "simulated", keys })),
    Effect.provide(RateLimiter.layerUnlimited)
  )

/** The default time limits, which are long enough on any machine. */
const once: Omit<LLM.Options, "model"> = { retry: false }

/** For calls that are expected to time out. */
const quick: Omit<LLM.Options, "model"> = {
  retry: false,
  timeouts: { response: "400 millis", firstEvent: "400 millis", idle: "400 millis" }
}

/** Expects that no key is in use and no connection is busy. */
const expectReleased = (llm: LLM.Service, provider: SimulatedProvider.Service) =>
  Effect.gen(function* () {
    const { keys } = yield* llm.status
    expect(keys.keys.map((key) => key.inFlight).concat(keys.waiting)).toEqual([...keys.keys.map(() => 0), 0])
    yield* eventually(Effect.map(provider.busyConnections, (count) => count === 0))
  })

const outcome = <A>(effect: Effect.Effect<A, LLMError>) =>
  Effect.map(Effect.either(effect), (result) => (Either.isRight(result) ? "ok" : result.left._tag))

const everyWay = transports.flatMap(([name, transport]) => wires.map((wire) => [wire, name, transport] as const))

describe.concurrent.each(everyWay)("%s over %s", (wire, _, transport) => {
  const answer = { text: "It is twelve o'clock, more or less." }

  it.scopedLive("chat and collected chatStream return the same response", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: () => ({
          id: "answer",
          content: [
            Chat.text("Let me see."),
            Chat.toolCall("call-a", "clock", '{"zone":"UTC"}'),
            Chat.toolCall("call-b", "weather", "{}")
          ]
        })
      })
      const llm = yield* llmAt(provider.baseUrl, {}, wire)
      const whole = yield* llm.chat("What time is it?")
      const streamed = yield* ChatEvent.collect(llm.chatStream("What time is it?"))
      const comparable = { ...whole, id: streamed.id, latency: 0, attempts: [] }
      expect({ ...streamed, latency: 0, attempts: [] }).toEqual(comparable)
      expect(whole.toolCalls).toHaveLength(2)
      expect(whole.finishReason).toBe("tool-calls")
      yield* expectReleased(llm, provider)
    }).pipe(Effect.provide(transport))
  )

  const S = SimulatedProvider
  const faults: ReadonlyArray<readonly [string, SimulatedProvider.Fault, string, string]> = [
    ["a 500", S.status(500), "ProviderUnavailableError", "ProviderUnavailableError"],
    ["a 529", S.status(529), "ProviderUnavailableError", "ProviderUnavailableError"],
    ["a 429", S.status(429, { retryAfter: "3 seconds" }), "RateLimitError", "RateLimitError"],
    ["a 402", S.status(402), "QuotaExceededError", "QuotaExceededError"],
    ["a 403", S.status(403), "PermissionError", "PermissionError"],
    ["a reset before the answer", S.reset(), "NetworkError", "NetworkError"],
    ["a reset in the middle of the answer", S.reset(5), "NetworkError", "StreamInterruptedError"],
    ["an answer that is cut off", S.truncate(5), "MalformedResponseError", "StreamInterruptedError"],
    ["a page of HTML", S.garbage, "MalformedResponseError", "MalformedResponseError"],
    ["an event that is not JSON", S.brokenEvent(5), "MalformedResponseError", "MalformedResponseError"],
    ["an error before the first token", S.errorEvent(), "ProviderUnavailableError", "ProviderUnavailableError"],
    ["an error in the middle", S.errorEvent(5), "ProviderUnavailableError", "StreamInterruptedError"],
    ["silence", S.hang(), "TimeoutError", "TimeoutError"],
    ["a stall in the middle", S.hang(5), "TimeoutError", "TimeoutError"],
    ["one byte at a time", S.drip, "ok", "ok"],
    ["no usage", S.noUsage, "ok", "ok"]
  ]

  for (const [what, fault, whole, streamed] of faults) {
    it.scopedLive(`${what} is ${whole} whole and ${streamed} streamed, and releases keys and connections`, () =>
      Effect.gen(function* () {
        const provider = yield* SimulatedProvider.make({ answer: () => answer })
        const options = fault._tag === "Hang" ? quick : once
        const llm = yield* llmAt(provider.baseUrl, options, wire)
        yield* provider.next(fault)
        expect(yield* outcome(llm.chat("?"))).toBe(whole)
        const again = yield* llmAt(provider.baseUrl, options, wire)
        yield* provider.next(fault)
        expect(yield* outcome(ChatEvent.collect(again.chatStream("?")))).toBe(streamed)
        yield* expectReleased(again, provider)
      }).pipe(Effect.provide(transport))
    )
  }

  it.scopedLive("keeps the partial text when a stream breaks", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => answer })
      const llm = yield* llmAt(provider.baseUrl, { retry: false, timeouts: { idle: "1 second" } }, wire)
      for (const fault of [S.reset(5), S.truncate(5), S.hang(5), S.brokenEvent(5)]) {
        yield* provider.next(fault)
        const error = yield* Effect.flip(ChatEvent.collect(llm.chatStream("?")))
        const partial = "partial" in error ? error.partial?.text : undefined
        expect(partial).not.toBe("")
        expect(answer.text.startsWith(partial ?? "nothing")).toBe(true)
      }
    }).pipe(Effect.provide(transport))
  )

  it.scopedLive("closes the connection and releases the key when the consumer stops or the call is interrupted", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        // Too long to end before the client disconnects, however late that is.
        answer: () => "word ".repeat(10_000),
        tokenPace: "10 millis"
      })
      const llm = yield* llmAt(provider.baseUrl, {}, wire)
      yield* Stream.runDrain(Stream.take(llm.chatStream("?"), 2))
      yield* expectReleased(llm, provider)
      yield* provider.next(S.hang())
      const hanging = yield* Effect.fork(llm.chat("?"))
      yield* eventually(Effect.map(provider.inFlight, (count) => count === 1))
      yield* Fiber.interrupt(hanging)
      yield* expectReleased(llm, provider)
      expect((yield* provider.log).map((exchange) => exchange.outcome)).toEqual(["aborted", "aborted"])
    }).pipe(Effect.provide(transport))
  )

  it.scopedLive("ends a stream at its finish signal when the server never closes it", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => answer })
      const llm = yield* llmAt(provider.baseUrl, once, wire)
      yield* provider.next(S.neverClose)
      expect((yield* ChatEvent.collect(llm.chatStream("?"))).text).toBe(answer.text)
      yield* expectReleased(llm, provider)
    }).pipe(Effect.provide(transport))
  )
})

describe.each(transports)("chat-completions over %s", (_, transport) => {
  it.scopedLive("sends requests without stream_options after the server has rejected them once", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ faults: () => SimulatedProvider.refuseStreamOptions })
      const llm = yield* llmAt(provider.baseUrl, once)
      for (let call = 0; call < 3; call++) {
        // Without the option, the server sends no usage.
        expect((yield* ChatEvent.collect(llm.chatStream("?"))).usage.estimated).toBe(true)
      }
      expect((yield* provider.log).map((exchange) => exchange.status)).toEqual([400, 200, 200, 200])
    }).pipe(Effect.provide(transport))
  )

  it.scopedLive("waits one second for the usage after the finish reason, then estimates it", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "Hi" })
      const llm = yield* llmAt(provider.baseUrl)
      // The first chunk, the text and the finish reason, but neither usage nor end.
      yield* provider.next(SimulatedProvider.hang(3))
      const [took, answer] = yield* Effect.timed(ChatEvent.collect(llm.chatStream("?")))
      expect([answer.text, answer.finishReason, answer.usage.estimated]).toEqual(["Hi", "stop", true])
      expect(Duration.toMillis(took)).toBeGreaterThan(900)
      expect(Duration.toMillis(took)).toBeLessThan(20_000)
      yield* expectReleased(llm, provider)
    }).pipe(Effect.provide(transport))
  )
})

describe.each(transports)("key pool over %s", (_, transport) => {
  it.scopedLive("answers every call although keys are revoked, rate limited or out of quota", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        keys: [
          { key: "good" },
          { key: "revoked", revoked: true },
          { key: "limited", limit: { requests: 2, per: "1 minute" } },
          { key: "empty", outOfQuota: true }
        ]
      })
      const llm = yield* llmAt(provider.baseUrl, once, "chat-completions", ["empty", "revoked", "limited", "good"])
      const answers = yield* Effect.forEach(Array.from({ length: 30 }), () => outcome(llm.chat("?")))
      expect(new Set(answers)).toEqual(new Set(["ok"]))
      const statuses = (yield* provider.log).map((exchange) => exchange.status)
      expect(statuses.filter((status) => status === 401)).toHaveLength(1)
      expect(statuses.filter((status) => status === 429)).toHaveLength(2)
    }).pipe(Effect.provide(transport))
  )

  it.scopedLive(
    "releases every key, socket, request and fiber after 300 calls with random faults and interruptions",
    () =>
      Effect.gen(function* () {
        const S = SimulatedProvider
        const kinds = [
          S.status(500),
          S.status(429),
          S.reset(),
          S.reset(4),
          S.truncate(3),
          S.garbage,
          S.hang(),
          S.hang(3)
        ]
        const provider = yield* SimulatedProvider.make({
          faults: (index) => kinds[(index * 7) % 24],
          latency: { min: 0, max: "5 millis" }
        })
        const llm = yield* llmAt(
          provider.baseUrl,
          {
            retry: { maxAttempts: 3, backoff: { base: "5 millis" } },
            timeouts: { response: "60 millis", firstEvent: "60 millis", idle: "60 millis", total: "2 seconds" }
          },
          "chat-completions",
          ["one", "two", "three", "four"]
        )
        const call = (index: number): Effect.Effect<void, LLMError> =>
          index % 2 === 0
            ? Effect.asVoid(llm.chat("?"))
            : Stream.runDrain(index % 3 === 0 ? Stream.take(llm.chatStream("?"), 2) : llm.chatStream("?"))
        const tracked = yield* TrackedFibers.track
        const results = yield* Effect.forEach(
          Array.from({ length: 300 }, (_, index) => index),
          (index) =>
            Effect.gen(function* () {
              const fiber = yield* Effect.fork(Effect.either(call(index)))
              if (index % 5 === 0) {
                yield* Effect.flatMap(Random.nextIntBetween(0, 30), (wait) => Effect.sleep(wait))
                yield* Fiber.interrupt(fiber)
              }
              return yield* Fiber.await(fiber)
            }),
          { concurrency: 48 }
        ).pipe(tracked.within)
        expect(results).toHaveLength(300)
        yield* expectReleased(llm, provider)
        yield* eventually(Effect.map(provider.inFlight, (count) => count === 0))
        yield* eventually(Effect.map(tracked.running, (count) => count === 0))
      }).pipe(Effect.provide(transport))
  )
})
