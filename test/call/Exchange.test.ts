/** Requests to a provider over an HTTP client without network. */
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, TestClock } from "effect"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import type { ProviderClient } from "../../src/call/ProviderClient.js"
import * as AnthropicClient from "../../src/provider/AnthropicClient.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as GeminiClient from "../../src/provider/GeminiClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Framing from "../../src/wire/framing.js"

const llmOf = (
  client: Layer.Layer<ProviderClient, never, HttpClient.HttpClient>,
  answer: (request: { readonly url: string }) => Response,
  options: Partial<LLM.Options> & { readonly after?: number } = {}
) => {
  const { after = 0, ...rest } = options
  const http = HttpClient.make((request, url) =>
    Effect.delay(
      Effect.sync(() => HttpClientResponse.fromWeb(request, answer({ url: url.href }))),
      after
    )
  )
  return LLM.make({ model: "large", retry: false, ...rest }).pipe(
    Effect.provide(Layer.provide(client, Layer.succeed(HttpClient.HttpClient, http))),
    Effect.provide(KeyPool.layer({ provider: "acme", keys: ["key-one"] })),
    Effect.provide(RateLimiter.layerUnlimited)
  )
}

const acme = ChatCompletionsClient.layer({ provider: "acme", baseUrl: "https://acme.example/v1" })

const json = (body: unknown): Response =>
  new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } })

const encoder = new TextEncoder()

const event = (data: unknown, name?: string): Uint8Array =>
  encoder.encode(`${name === undefined ? "" : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`)

const eventStream = (body: ReadableStream<Uint8Array>): Response =>
  new Response(body, { headers: { "content-type": "text/event-stream" } })

const whole = {
  id: "a",
  choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1, completion_tokens: 1 }
}

const chunk = (delta: object, fields: object = {}) => ({ id: "a", choices: [{ index: 0, delta, ...fields }] })

describe("latency of an answer", () => {
  it.effect("measures the latency of a chat from the request to the end of the answer, in milliseconds", () =>
    Effect.gen(function* () {
      const llm = yield* llmOf(acme, () => json(whole), { after: 250 })
      const asked = yield* Effect.fork(llm.chat("?"))
      yield* TestClock.adjust("250 millis")
      const answer = yield* Fiber.join(asked)
      expect([answer.latency, answer.attempts.map(({ duration }) => duration)]).toEqual([250, [250]])
      const { keys: pool } = yield* llm.status
      expect(pool.keys.map(({ latency }) => latency)).toEqual([250])
    })
  )

  it.effect("measures the latency of a stream up to its last event", () =>
    Effect.gen(function* () {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
      const writer = writable.getWriter()
      const llm = yield* llmOf(acme, () => eventStream(readable), { after: 250 })
      const asked = yield* Effect.fork(ChatEvent.collect(llm.chatStream("?")))
      yield* TestClock.adjust("250 millis")
      yield* Effect.promise(() => writer.write(event(chunk({ content: "Hello" }))))
      yield* TestClock.adjust("100 millis")
      void writer.write(event(chunk({}, { finish_reason: "stop" })))
      void writer.close()
      expect((yield* Fiber.join(asked)).latency).toBe(350)
      const { keys: pool } = yield* llm.status
      expect(pool.keys.map(({ latency }) => latency)).toEqual([250])
    })
  )

  it.effect("measures the latency of embeddings over one or several requests", () =>
    Effect.gen(function* () {
      const client = ChatCompletionsClient.layer({
        provider: "acme",
        baseUrl: "https://acme.example/v1",
        dialect: { embeddings: { maxBatch: 1 } }
      })
      const llm = yield* llmOf(client, () => json({ data: [{ embedding: [1] }] }), {
        after: 250,
        embeddingConcurrency: 1
      })
      const one = yield* Effect.fork(llm.embed(["a"]))
      yield* TestClock.adjust("250 millis")
      expect((yield* Fiber.join(one)).latency).toBe(250)
      const two = yield* Effect.fork(llm.embed(["a", "b"]))
      yield* TestClock.adjust("500 millis")
      expect((yield* Fiber.join(two)).latency).toBe(500)
    })
  )
})

describe("list of models", () => {
  it.effect("stops reading a list of models after 100 pages", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const llm = yield* llmOf(
        AnthropicClient.layer({ provider: "acme", baseUrl: "https://acme.example" }),
        ({ url }) => {
          asked.push(url)
          const id = `model-${asked.length}`
          return json({ data: [{ type: "model", id }], has_more: asked.length < 1000, last_id: id })
        }
      )
      const models = yield* llm.listModels
      expect([asked.length, models.length, models.at(-1)?.id]).toEqual([100, 100, "model-100"])
      expect(asked[1]).toContain("after_id=model-1")
    })
  )
})

describe("whole answer to a stream request", () => {
  /** A whole answer in JSON, with `spaces` characters of whitespace before its end. */
  const padded = (spaces: number) => {
    const text = JSON.stringify(whole)
    const line = encoder.encode(`${" ".repeat(1024 * 1024 - 1)}\n`)
    let left = Math.ceil(spaces / line.length)
    return new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(encoder.encode(text.slice(0, -1))),
      pull: (controller) => {
        if (left-- > 0) return controller.enqueue(line)
        controller.enqueue(encoder.encode("}"))
        controller.close()
      }
    })
  }

  it.live("reads a whole JSON answer although its content type promises events", () =>
    Effect.gen(function* () {
      const llm = yield* llmOf(acme, () => eventStream(padded(10)))
      expect((yield* ChatEvent.collect(llm.chatStream("?"))).text).toBe("Hello")
    })
  )

  it.live("fails with a MalformedResponseError when a whole JSON answer is longer than the longest event", () =>
    Effect.gen(function* () {
      const llm = yield* llmOf(acme, () => eventStream(padded(Framing.maxFrameLength)))
      expect(yield* Effect.flip(ChatEvent.collect(llm.chatStream("?")))).toMatchObject({
        _tag: "MalformedResponseError"
      })
    })
  )
})

describe("connection that breaks", () => {
  /** A stream of these events that ends with a connection error. */
  const broken = (...events: ReadonlyArray<Uint8Array>) => {
    const left = [...events]
    return new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const next = left.shift()
        if (next === undefined) controller.error(new Error("connection reset"))
        else controller.enqueue(next)
      }
    })
  }

  const streamed = (
    client: Layer.Layer<ProviderClient, never, HttpClient.HttpClient>,
    ...events: ReadonlyArray<Uint8Array>
  ) =>
    Effect.flatMap(
      llmOf(client, () => eventStream(broken(...events))),
      (llm) => ChatEvent.collect(llm.chatStream("?"))
    )

  const gemini = GeminiClient.layer({ provider: "acme", baseUrl: "https://acme.example" })
  const candidate = (finishReason?: string) => ({
    candidates: [{ content: { parts: [{ text: "Hello" }] }, ...(finishReason === undefined ? {} : { finishReason }) }],
    usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 }
  })

  it.live("succeeds when the connection breaks after the finish reason, and estimates the usage if none came", () =>
    Effect.gen(function* () {
      const answer = yield* streamed(
        acme,
        event(chunk({ content: "Hello" })),
        event(chunk({}, { finish_reason: "stop" }))
      )
      expect(answer).toMatchObject({ text: "Hello", finishReason: "stop", usage: { estimated: true } })
      const counted = yield* streamed(gemini, event(candidate("STOP")))
      expect(counted).toMatchObject({
        text: "Hello",
        finishReason: "stop",
        usage: { totalTokens: 2, estimated: false }
      })
    })
  )

  it.live("fails with a StreamInterruptedError and the partial text when it breaks before the finish reason", () =>
    Effect.gen(function* () {
      for (const asked of [streamed(acme, event(chunk({ content: "Hello" }))), streamed(gemini, event(candidate()))]) {
        expect(yield* Effect.flip(asked)).toMatchObject({
          _tag: "StreamInterruptedError",
          partial: { text: "Hello" }
        })
      }
    })
  )
})
