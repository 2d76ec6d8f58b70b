import { HttpClient, HttpClientResponse } from "@effect/platform"
import type { HttpClientRequest } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Ref, Stream } from "effect"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import type { ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import { ProviderClient } from "../../src/call/ProviderClient.js"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import * as Named from "../../src/provider/named.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Transports from "../support/transports.js"

const call = { model: "claude-sonnet-4-5", key: ApiKey.make("a-secret") }

const question: ChatRequest = { messages: [Chat.user("Hello")] }

const answer = {
  id: "msg_1",
  model: "claude-1",
  content: [{ type: "text", text: "Hi" }],
  stop_reason: "end_turn",
  usage: { input_tokens: 1, output_tokens: 1 }
}

/** Sends the same response to every request and records the requests. */
const recordingClient = (status = 200, body: unknown = answer, headers: Readonly<Record<string, string>> = {}) =>
  Effect.map(Ref.make<ReadonlyArray<HttpClientRequest.HttpClientRequest>>([]), (requests) => ({
    firstRequest: Effect.map(Ref.get(requests), (sent) => sent[0]),
    layer: Layer.succeed(
      HttpClient.HttpClient,
      HttpClient.make((request) =>
        Effect.as(
          Ref.update(requests, (before) => [...before, request]),
          HttpClientResponse.fromWeb(
            request,
            new Response(JSON.stringify(body), {
              status,
              headers: { "content-type": "application/json", ...headers }
            })
          )
        )
      )
    )
  }))

const send = (options: AnthropicClient.Options, stream = false) =>
  Effect.gen(function* () {
    const { firstRequest, layer } = yield* recordingClient()
    const client = yield* Effect.provide(AnthropicClient.make(options), layer)
    yield* stream ? Stream.runDrain(client.chatStream(question, call)) : client.chat(question, call)
    const request = yield* firstRequest
    return { url: request?.url, headers: { ...request?.headers } }
  })

describe("AnthropicClient requests", () => {
  it.effect("sends the key as x-api-key and the protocol version to Anthropic", () =>
    Effect.gen(function* () {
      const { headers, url } = yield* send({})
      expect(url).toBe("https://api.anthropic.com/v1/messages")
      expect(headers).toMatchObject({ "x-api-key": "a-secret", "anthropic-version": "2023-06-01" })
      expect(headers).not.toHaveProperty("authorization")
    })
  )
  it.effect("sends x-api-key to an unknown base URL and takes the host as the provider name", () =>
    Effect.gen(function* () {
      const { headers, url } = yield* send({ baseUrl: "http://localhost:8000/v1/" })
      expect(url).toBe("http://localhost:8000/v1/messages")
      expect(headers).toMatchObject({ "x-api-key": "a-secret" })
      const client = yield* Effect.provide(
        AnthropicClient.make({ baseUrl: "http://localhost:8000/v1" }),
        (yield* recordingClient()).layer
      )
      expect([client.provider, client.wire]).toEqual(["localhost:8000", "anthropic-messages"])
    })
  )
  it.effect("sends the key in the header that each preset and each known host uses", () =>
    Effect.gen(function* () {
      const { deepseek, moonshot, zai } = AnthropicClient.presets
      expect((yield* send(zai)).url).toBe("https://api.z.ai/api/anthropic/v1/messages")
      expect((yield* send(moonshot)).headers["authorization"]).toBe("Bearer a-secret")
      expect((yield* send(deepseek)).headers["x-api-key"]).toBe("a-secret")
      const knownHost = yield* send({ baseUrl: "https://api.moonshot.ai/anthropic/v1" })
      expect(knownHost.headers["authorization"]).toBe("Bearer a-secret")
    })
  )
  it.effect("appends /v1 to a base URL without a version", () =>
    Effect.gen(function* () {
      const urls = yield* Effect.forEach(
        [
          "https://api.anthropic.com",
          "https://api.anthropic.com/",
          "https://api.z.ai/api/anthropic",
          "http://a/v1beta"
        ],
        (baseUrl) => Effect.map(send({ baseUrl }), ({ headers, url }) => [url, "authorization" in headers])
      )
      expect(urls).toEqual([
        ["https://api.anthropic.com/v1/messages", false],
        ["https://api.anthropic.com/v1/messages", false],
        ["https://api.z.ai/api/anthropic/v1/messages", true],
        ["http://a/v1beta/messages", false]
      ])
    })
  )
  it.effect("sends the model in the path and the key as a bearer token to Vertex", () =>
    Effect.gen(function* () {
      const vertex = { ...AnthropicClient.presets.vertex, baseUrl: "https://vertex.example/models" }
      const response = yield* send(vertex)
      const streamed = yield* send(vertex, true)
      expect([response.url, streamed.url]).toEqual([
        "https://vertex.example/models/claude-sonnet-4-5:rawPredict",
        "https://vertex.example/models/claude-sonnet-4-5:streamRawPredict"
      ])
      expect(response.headers["authorization"]).toBe("Bearer a-secret")
      expect(response.headers).not.toHaveProperty("anthropic-version")
    })
  )
  it.effect("lists models, except for a preset with the model in the path", () =>
    Effect.gen(function* () {
      const { anthropic, vertex } = AnthropicClient.presets
      const clients = yield* Effect.forEach([anthropic, vertex], AnthropicClient.make)
      expect(clients.map(({ listModels }) => listModels !== undefined)).toEqual([true, false])
    }).pipe(Effect.provide(Transports.direct))
  )
  it.effect(
    "uses the Anthropic wire for the provider and the preset named anthropic unless another wire is given",
    () =>
      Effect.gen(function* () {
        const wires = yield* Effect.forEach(
          [
            { provider: "anthropic" },
            { provider: "mine", preset: "anthropic" },
            { provider: "anthropic", wire: "chat-completions" as const },
            { provider: "zai", wire: "anthropic-messages" as const }
          ],
          (options) => Effect.map(Named.make(options), ({ wire }) => wire)
        ).pipe(Effect.provide((yield* recordingClient()).layer))
        expect(wires).toEqual(["anthropic-messages", "anthropic-messages", "chat-completions", "anthropic-messages"])
      })
  )
})

describe("AnthropicClient errors", () => {
  const error = (type: string, message: string) => ({ type: "error", error: { type, message }, request_id: "req_1" })
  it.effect.each<readonly [number, string, string, string]>([
    [400, "invalid_request_error", "max_tokens: too large", "InvalidRequestError"],
    [400, "invalid_request_error", "prompt is too long: 300000 tokens > 200000 maximum", "ContextLengthError"],
    [
      400,
      "invalid_request_error",
      "input length and `max_tokens` exceed context limit: 199000 + 8000 > 200000",
      "ContextLengthError"
    ],
    [400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", "QuotaExceededError"],
    [400, "invalid_request_error", "Output blocked by content filtering policy", "ContentFilterError"],
    [401, "authentication_error", "This key is not valid.", "AuthenticationError"],
    [402, "billing_error", "There is an issue with your billing.", "QuotaExceededError"],
    [403, "permission_error", "Your key may not use this resource.", "PermissionError"],
    [404, "not_found_error", "model: claude-none", "ModelNotFoundError"],
    [413, "request_too_large", "Request exceeds the maximum size", "InvalidRequestError"],
    [429, "rate_limit_error", "This request would exceed your rate limit.", "RateLimitError"],
    [500, "api_error", "Internal server error", "ProviderUnavailableError"],
    [504, "timeout_error", "Request timed out", "ProviderUnavailableError"],
    [529, "overloaded_error", "Too busy now", "ProviderUnavailableError"],
    [200, "overloaded_error", "Too busy now", "ProviderUnavailableError"]
  ])("maps %d %s with the message '%s' to %s", ([status, type, message, tag]) =>
    Effect.gen(function* () {
      const { layer } = yield* recordingClient(status, error(type, message))
      const client = yield* Effect.provide(AnthropicClient.make(), layer)
      const failure = yield* Effect.flip(client.chat(question, call))
      expect(failure._tag).toBe(tag)
      expect(failure.message).toContain(message)
      expect("requestId" in failure && failure.requestId).toBe("req_1")
    })
  )
  it.effect("keeps the text before an overloaded_error in the middle of a stream as partial", () =>
    Effect.gen(function* () {
      const events = [
        { type: "message_start", message: { ...answer, content: [], stop_reason: null } },
        { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
        { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hi" } },
        error("overloaded_error", "Overloaded")
      ]
      const text = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("")
      const http = HttpClient.make((request) =>
        Effect.succeed(
          HttpClientResponse.fromWeb(
            request,
            new Response(text, { headers: { "content-type": "text/event-stream; charset=utf-8" } })
          )
        )
      )
      const client = yield* Effect.provideService(AnthropicClient.make(), HttpClient.HttpClient, http)
      const failure = yield* Effect.flip(ChatEvent.collect(client.chatStream(question, call)))
      expect(failure).toMatchObject({
        _tag: "StreamInterruptedError",
        reported: "ProviderUnavailableError",
        partial: { text: "Hi", usage: { inputTokens: 1 } }
      })
    })
  )
})

describe("AnthropicClient over sockets", () => {
  it.scopedLive("sends signed reasoning and tool results of a conversation back, in responses and streams", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: ({ messages }) =>
          messages.at(-1)?.role === "tool"
            ? { text: "It is sunny." }
            : {
                content: [
                  { type: "reasoning", text: "Hm.", signature: "sig", provider: "simulated" },
                  Chat.toolCall("toolu_1", "weather", '{"city":"Rome"}'),
                  { type: "reasoning", text: "And?", signature: "second", provider: "simulated" },
                  Chat.text("Let me see."),
                  Chat.toolCall("toolu_2", "weather", '{"city":"Oslo"}')
                ]
              }
      })
      const client = yield* ProviderClient.pipe(
        Effect.provide(AnthropicClient.layer({ provider: "simulated", baseUrl: provider.baseUrl }))
      )
      const first: ChatRequest = { messages: [Chat.system("Be brief."), Chat.user("The weather?")] }
      const response = yield* client.chat(first, call)
      const streamed = yield* ChatEvent.collect(client.chatStream(first, call))
      expect({ ...streamed, id: response.id, latency: 0, attempts: [] }).toEqual({
        ...response,
        latency: 0,
        attempts: []
      })
      expect([response.finishReason, response.toolCalls.length]).toEqual(["tool-calls", 2])
      const messages = [
        ...first.messages,
        Chat.toMessage(streamed),
        ...streamed.toolCalls.map((each) => Chat.toolResult(each, "sunny"))
      ]
      expect((yield* client.chat({ messages }, call)).text).toBe("It is sunny.")
      const [, , last] = yield* provider.log
      expect(last?.body).toMatchObject({
        system: "Be brief.",
        messages: [
          { role: "user", content: "The weather?" },
          {
            role: "assistant",
            content: [
              { type: "thinking", thinking: "Hm.", signature: "sig" },
              { type: "tool_use", id: "toolu_1" },
              { type: "thinking", thinking: "And?", signature: "second" },
              { type: "text", text: "Let me see." },
              { type: "tool_use", id: "toolu_2" }
            ]
          },
          {
            role: "user",
            content: [
              { type: "tool_result", tool_use_id: "toolu_1", content: "sunny" },
              { type: "tool_result", tool_use_id: "toolu_2", content: "sunny" }
            ]
          }
        ]
      })
    }).pipe(Effect.provide(Transports.direct))
  )
})
