/** GeminiClient over real sockets, and its choice by provider name. */
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Deferred, Effect, Either, Fiber, Layer, Ref, Stream, TestClock } from "effect"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as Models from "../../src/models/Models.js"
import * as GeminiClient from "../../src/provider/GeminiClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Transports from "../support/transports.js"

const llmAt = (baseUrl: string, options: Omit<LLM.Options, "model"> = {}) =>
  LLM.make({ model: "gemini-3-flash", retry: false, ...options }).pipe(
    Effect.provide(GeminiClient.layer({ provider: "gemini", baseUrl })),
    Effect.provide(KeyPool.layer({ provider: "gemini", keys: ["good"] })),
    Effect.provide(RateLimiter.layerUnlimited)
  )

const outcome = <A>(effect: Effect.Effect<A, LLMError>) =>
  Effect.map(Effect.either(effect), (result) => (Either.isRight(result) ? "ok" : result.left._tag))

const calls: ReadonlyArray<Chat.ToolCall> = [
  { ...Chat.toolCall("call-a", "clock", '{"zone":"UTC"}'), signature: "c2lnbmVk", provider: "gemini" },
  Chat.toolCall("call-b", "weather", "{}")
]

/** Calls tools first, and responds with text when the request has tool results. */
const answerWithTools = (request: ChatRequest) =>
  request.messages.some((message) => message.role === "tool")
    ? { text: "It is noon." }
    : {
        content: [{ type: "reasoning" as const, text: "The time?" }, Chat.text("Let me see."), ...calls]
      }

describe("GeminiClient over sockets", () => {
  it.scopedLive("reads the same response from a chat and a stream", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ keys: [{ key: "good" }], answer: answerWithTools })
      const llm = yield* llmAt(provider.baseUrl)
      const response = yield* llm.chat("What time is it?")
      const streamed = yield* ChatEvent.collect(llm.chatStream("What time is it?"))
      const comparable = { ...response, id: streamed.id, latency: 0, attempts: [] }
      expect({ ...streamed, latency: 0, attempts: [] }).toEqual(comparable)
      expect(response).toMatchObject({
        model: "gemini-3-flash",
        text: "Let me see.",
        reasoning: "The time?",
        toolCalls: calls,
        finishReason: "tool-calls",
        rawFinishReason: "STOP"
      })
      const log = yield* provider.log
      expect(log.map(({ path, status, stream }) => [path.replace(/^.*\/models/, ""), status, stream])).toEqual([
        ["/gemini-3-flash:generateContent", 200, false],
        ["/gemini-3-flash:streamGenerateContent", 200, true]
      ])
    }).pipe(Effect.provide(Transports.direct))
  )

  for (const stream of [false, true]) {
    it.scopedLive(
      `sends every thought signature back with its tool call, ${stream ? "in streams" : "in responses"}`,
      () =>
        Effect.gen(function* () {
          const provider = yield* SimulatedProvider.make({ answer: answerWithTools })
          const llm = yield* llmAt(provider.baseUrl)
          const ask = (messages: ReadonlyArray<Chat.Message>) =>
            stream ? ChatEvent.collect(llm.chatStream({ messages })) : llm.chat({ messages })
          const question = Chat.user("What time is it?")
          const first = yield* ask([question])
          const results = first.toolCalls.map((call) => Chat.toolResult(call, "12:00"))
          expect((yield* ask([question, Chat.toMessage(first), ...results])).text).toBe("It is noon.")
          const [, second] = yield* provider.log
          expect(second?.body).toMatchObject({
            contents: [
              { role: "user" },
              {
                role: "model",
                parts: [
                  { text: "The time?", thought: true },
                  { text: "Let me see." },
                  {
                    functionCall: { id: "call-a", name: "clock", args: { zone: "UTC" } },
                    thoughtSignature: "c2lnbmVk"
                  },
                  { functionCall: { id: "call-b", name: "weather", args: {} } }
                ]
              },
              {
                role: "user",
                parts: [
                  { functionResponse: { id: "call-a", name: "clock", response: { output: "12:00" } } },
                  { functionResponse: { id: "call-b", name: "weather", response: { output: "12:00" } } }
                ]
              }
            ]
          })
        }).pipe(Effect.provide(Transports.direct))
    )
  }

  const S = SimulatedProvider
  const faults: ReadonlyArray<readonly [string, SimulatedProvider.Fault, string, string]> = [
    ["a 503", S.status(503), "ProviderUnavailableError", "ProviderUnavailableError"],
    ["a 429", S.status(429, { retryAfter: "3 seconds" }), "RateLimitError", "RateLimitError"],
    ["a 403", S.status(403), "PermissionError", "PermissionError"],
    ["a reset in the middle of the body", S.reset(2), "NetworkError", "StreamInterruptedError"],
    ["a truncated body", S.truncate(2), "MalformedResponseError", "StreamInterruptedError"],
    ["an HTML page", S.garbage, "MalformedResponseError", "MalformedResponseError"],
    ["an event without valid JSON", S.brokenEvent(2), "MalformedResponseError", "MalformedResponseError"],
    ["an error before the first event", S.errorEvent(), "ProviderUnavailableError", "ProviderUnavailableError"],
    ["an error in the middle of the body", S.errorEvent(2), "ProviderUnavailableError", "StreamInterruptedError"],
    ["a body of one byte per chunk", S.drip, "ok", "ok"],
    ["a response without usage", S.noUsage, "ok", "ok"]
  ]
  for (const [what, fault, inChat, inStream] of faults) {
    it.scopedLive(`reads ${what} as ${inChat} in a chat and as ${inStream} in a stream`, () =>
      Effect.gen(function* () {
        const provider = yield* SimulatedProvider.make({ answer: () => "It is twelve o'clock, more or less." })
        // Each call has its own pool, so that a cooldown after the first does not affect the second.
        const llm = yield* llmAt(provider.baseUrl)
        const other = yield* llmAt(provider.baseUrl)
        yield* provider.next(fault)
        expect(yield* outcome(llm.chat("?"))).toBe(inChat)
        yield* provider.next(fault)
        expect(yield* outcome(ChatEvent.collect(other.chatStream("?")))).toBe(inStream)
      }).pipe(Effect.provide(Transports.direct))
    )
  }

  it.scopedLive("completes a stream whose connection the server never closes", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "Hello" })
      const llm = yield* llmAt(provider.baseUrl)
      yield* provider.next(S.neverClose)
      expect((yield* ChatEvent.collect(llm.chatStream("?"))).text).toBe("Hello")
    }).pipe(Effect.provide(Transports.direct))
  )
})

/** A client that always responds with this body, and its requests. */
const respondingClient = (body: unknown, contentType = "application/json; charset=UTF-8") =>
  Effect.map(
    Ref.make<ReadonlyArray<{ readonly url: string; readonly headers: Readonly<Record<string, string>> }>>([]),
    (requests) => ({
      requests: Ref.get(requests),
      layer: Layer.succeed(
        HttpClient.HttpClient,
        HttpClient.make((request, url) =>
          Effect.as(
            Ref.update(requests, (before) => [...before, { url: url.href, headers: request.headers }]),
            HttpClientResponse.fromWeb(
              request,
              new Response(JSON.stringify(body), { headers: { "content-type": contentType } })
            )
          )
        )
      )
    })
  )

const hello = {
  candidates: [{ content: { parts: [{ text: "Hello" }] }, finishReason: "STOP" }],
  usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 }
}

const callOnce = (options: GeminiClient.Options | undefined, stream: boolean) =>
  Effect.flatMap(GeminiClient.GeminiClient, (client) => {
    const call = { model: "gemini-3-flash", key: ApiKey.make("secret-of-mine") }
    const request = { messages: [Chat.user("?")] }
    return stream ? ChatEvent.collect(client.chatStream(request, call)) : client.chat(request, call)
  }).pipe(Effect.provide(GeminiClient.layer(options)))

describe("GeminiClient key", () => {
  const ask = (options: GeminiClient.Options | undefined, stream = false) =>
    Effect.gen(function* () {
      const { requests, layer } = yield* respondingClient(hello)
      yield* Effect.provide(callOnce(options, stream), layer)
      const [first] = yield* requests
      expect(first?.url).not.toContain("secret-of-mine")
      return [first?.url, first?.headers["x-goog-api-key"], first?.headers["authorization"]]
    })

  it.effect("sends the key as x-goog-api-key and never in the URL", () =>
    Effect.gen(function* () {
      const api = "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-flash"
      expect(yield* ask(undefined)).toEqual([`${api}:generateContent`, "secret-of-mine", undefined])
      expect(yield* ask({}, true)).toEqual([`${api}:streamGenerateContent?alt=sse`, "secret-of-mine", undefined])
      expect(yield* ask({ baseUrl: "http://proxy/v1beta/" })).toEqual([
        "http://proxy/v1beta/models/gemini-3-flash:generateContent",
        "secret-of-mine",
        undefined
      ])
    })
  )
  it.effect("sends a bearer token to Vertex AI and x-goog-api-key to its express mode", () =>
    Effect.gen(function* () {
      const project =
        "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google"
      expect(yield* ask({ ...GeminiClient.presets.vertex, baseUrl: project })).toEqual([
        `${project}/models/gemini-3-flash:generateContent`,
        undefined,
        "Bearer secret-of-mine"
      ])
      expect(yield* ask(GeminiClient.presets.vertexExpress)).toEqual([
        "https://aiplatform.googleapis.com/v1/publishers/google/models/gemini-3-flash:generateContent",
        "secret-of-mine",
        undefined
      ])
    })
  )
})

describe("GeminiClient streams", () => {
  it.effect("reads a stream that arrives as one JSON list", () =>
    Effect.gen(function* () {
      const chunk = { candidates: [{ content: { parts: [{ text: "Hello, " }] } }], responseId: "r1" }
      const { layer } = yield* respondingClient([chunk, hello])
      const answer = yield* Effect.provide(callOnce(undefined, true), layer)
      expect([answer.id, answer.text, answer.finishReason]).toEqual(["r1", "Hello, Hello", "stop"])
    })
  )
  it.effect("reads a stream to its end when a finishReason arrives too early", () =>
    Effect.gen(function* () {
      const chunk = (parts: ReadonlyArray<object>, finishReason?: string) =>
        `data: ${JSON.stringify({ ...hello, candidates: [{ content: { parts }, finishReason }] })}\n\n`
      const isRead = yield* Deferred.make<void>()
      const resume = yield* Deferred.make<void>()
      const last = Effect.zipRight(Deferred.succeed(isRead, undefined), Deferred.await(resume))
      const body = Stream.concat(
        Stream.make(chunk([], "STOP"), chunk([{ text: "Hello, " }])),
        Stream.fromEffect(Effect.as(last, chunk([{ text: "world" }], "STOP")))
      ).pipe(Stream.encodeText, Stream.toReadableStream())
      const client = HttpClient.make((request) =>
        Effect.succeed(
          HttpClientResponse.fromWeb(request, new Response(body, { headers: { "content-type": "text/event-stream" } }))
        )
      )
      const fiber = yield* Effect.fork(Effect.provideService(callOnce(undefined, true), HttpClient.HttpClient, client))
      yield* Deferred.await(isRead)
      // Longer than the client waits for the usage after a finishReason.
      yield* TestClock.adjust("1200 millis")
      yield* Deferred.succeed(resume, undefined)
      expect((yield* Fiber.join(fiber)).text).toBe("Hello, world")
    })
  )
  it.live("retries MALFORMED_FUNCTION_CALL once and then fails with MalformedResponseError", () =>
    Effect.gen(function* () {
      const { requests, layer } = yield* respondingClient({
        candidates: [{ finishReason: "MALFORMED_FUNCTION_CALL", finishMessage: "Malformed function call: f(" }]
      })
      const llm = yield* Effect.provide(
        llmAt("https://gemini.example", { retry: { maxAttempts: 9, backoff: { base: 1 } } }),
        layer
      )
      for (const call of [llm.chat("?"), ChatEvent.collect(llm.chatStream("?"))]) {
        const error = yield* Effect.flip(call)
        expect(error).toMatchObject({
          _tag: "MalformedResponseError",
          path: "candidates[0].finishReason",
          excerpt: "MALFORMED_FUNCTION_CALL: Malformed function call: f("
        })
        expect(error.attempts).toHaveLength(2)
      }
      expect(yield* requests).toHaveLength(4)
    })
  )
  it.effect("fails with ContentFilterError before the first event when the prompt is blocked", () =>
    Effect.gen(function* () {
      const { layer } = yield* respondingClient({ promptFeedback: { blockReason: "SAFETY" } })
      for (const stream of [true, false]) {
        const error = yield* Effect.flip(Effect.provide(callOnce(undefined, stream), layer))
        expect([error._tag, error.message]).toEqual([
          "ContentFilterError",
          "gemini: The prompt was blocked: SAFETY. Change the prompt, or use another model."
        ])
      }
    })
  )
})

describe("Gemini by provider name", () => {
  const environment = (variables: Record<string, string>) =>
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))

  const firstRequest = (provider: string, variables: Record<string, string>) =>
    Effect.gen(function* () {
      const { requests, layer } = yield* respondingClient(hello)
      const llm = LLM.layerConfig({ provider, model: "gemini-3-flash" })
      yield* LLM.chat("?").pipe(Effect.provide(llm), Effect.provide(layer), environment(variables))
      const [first] = yield* requests
      return [first?.url.replace(/\/models.*/, ""), first?.headers["x-goog-api-key"]]
    })

  it.effect("reads the keys of gemini and google from GEMINI_API_KEY or GOOGLE_API_KEY", () =>
    Effect.gen(function* () {
      const api = "https://generativelanguage.googleapis.com/v1beta"
      expect(yield* firstRequest("gemini", { GEMINI_API_KEY: "key-one" })).toEqual([api, "key-one"])
      expect(yield* firstRequest("gemini", { GOOGLE_API_KEY: "key-two" })).toEqual([api, "key-two"])
      expect(yield* firstRequest("gemini", { GOOGLE_API_KEY: "key-two", GEMINI_API_KEY: "key-one" })).toEqual([
        api,
        "key-one"
      ])
      expect(yield* firstRequest("google", { GEMINI_API_KEY: "key-one" })).toEqual([api, "key-one"])
      const none = yield* Effect.flip(firstRequest("gemini", {}))
      expect(String(none)).toContain("GEMINI_API_KEY")
    })
  )

  const wires = (file: object) =>
    Effect.gen(function* () {
      const { requests, layer } = yield* respondingClient(hello)
      const models = yield* Effect.flatMap(Models.parseFile(JSON.stringify(file)), Models.make).pipe(
        Effect.provide(layer)
      )
      yield* Effect.forEach(models.list, ({ model, provider }) =>
        Effect.flatMap(models.get(provider, model), (llm) => Effect.either(llm.chat("?")))
      )
      return (yield* requests).map(({ url }) => url.replace(/^https?:\/\//, ""))
    })

  it.effect("uses the Gemini wire for sections of a provider file unless type or base_url choose another", () =>
    Effect.gen(function* () {
      const entry = { model_name: "m", api_keys: ["key-one"], max_retries: 1 }
      expect(
        yield* wires({
          google: [entry],
          gemini: [{ ...entry, base_url: "https://generativelanguage.googleapis.com/v1beta/openai/" }],
          mine: [{ ...entry, base_url: "http://mine", type: "gemini" }],
          other: [{ ...entry, base_url: "http://other", preset: "gemini", type: "chat-completions" }]
        })
      ).toEqual([
        "generativelanguage.googleapis.com/v1beta/models/m:generateContent",
        "generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        "mine/models/m:generateContent",
        "other/chat/completions"
      ])
    })
  )
})
