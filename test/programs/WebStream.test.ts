import { describe, expect, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Fiber, Schema, Stream } from "effect"
import * as LLM from "../../src/LLM.js"
import * as Tool from "../../src/programs/Tool.js"
import * as WebStream from "../../src/programs/WebStream.js"
import { TestLLM } from "../../src/testing/index.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import type { ChatEvent } from "../../src/vocabulary/ChatEvent.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import { context, rateLimited, unavailable } from "../support/scripted.js"

const textOf = (response: Response) => Effect.promise(() => response.text())

/** The data of server-sent events. */
const dataOf = (body: string): ReadonlyArray<unknown> =>
  body
    .split("\n\n")
    .flatMap((frame) => frame.split("\n").filter((line) => line.startsWith("data: ")))
    .map((line) => line.slice("data: ".length))
    .map((data): unknown => (data === "[DONE]" ? data : JSON.parse(data)))

const weather = Tool.make("weather", {
  parameters: { city: Schema.String },
  success: Schema.Struct({ celsius: Schema.Number }),
  handler: ({ city }) => (city === "Atlantis" ? Effect.fail("lost") : Effect.succeed({ celsius: city.length }))
})

const calling = (city: string) =>
  TestLLM.answer({
    content: [
      { type: "reasoning", text: "The tool knows.", signature: "secret", provider: "test" },
      Chat.text("Let me look."),
      Chat.toolCall("call-1", "weather", JSON.stringify({ city }))
    ]
  })

const broken = TestLLM.stream(TestLLM.wordByWord(TestLLM.response({ text: "one two three" })).slice(0, 3), {
  failure: unavailable
})

describe("LLM.toResponse", () => {
  it.effect("streams the text of an answer", () =>
    Effect.gen(function* () {
      const response = yield* LLM.toResponse(LLM.chatStream("Hi"), { headers: { "x-mine": "1" } })
      expect([response.status, response.headers.get("content-type"), response.headers.get("x-mine")]).toEqual([
        200,
        "text/plain; charset=utf-8",
        "1"
      ])
      expect(yield* textOf(response)).toBe("A story with ünïcode 🌍.")
    }).pipe(Effect.provide(TestLLM.layer(["A story with ünïcode 🌍."])))
  )

  it.effect("streams events without keys, attempts and signatures", () =>
    Effect.gen(function* () {
      const response = yield* LLM.toResponse(LLM.runToolsStream("Rome?", { tools: [weather] }), { format: "events" })
      const body = yield* textOf(response)
      expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8")
      const names = body.match(/(?<=event: ).*/g) ?? []
      expect(names.filter((name, index) => name !== names[index - 1])).toEqual([
        "Start",
        "ReasoningDelta",
        "TextDelta",
        "ToolCallDelta",
        "ToolCallEnd",
        "Finish",
        "ToolStart",
        "ToolEnd",
        "RoundEnd",
        "Start",
        "TextDelta",
        "Finish",
        "RoundEnd",
        "LoopFinish"
      ])
      expect(body).not.toMatch(/keyId|attempts|secret/)
      expect(dataOf(body)).toContainEqual({
        round: 1,
        id: "call-1",
        name: "weather",
        result: '{"celsius":4}',
        isError: false
      })
    }).pipe(Effect.provide(TestLLM.layer([calling("Rome"), "4 degrees."])))
  )

  it.effect("streams a tool loop as steps of one UI message", () =>
    Effect.gen(function* () {
      const response = yield* LLM.toResponse(LLM.runToolsStream("Rome?", { tools: [weather] }), {
        format: "ui-messages"
      })
      expect(response.headers.get("x-vercel-ai-ui-message-stream")).toBe("v1")
      const chunks = dataOf(yield* textOf(response))
      const types = chunks.map((chunk) =>
        typeof chunk === "object" && chunk !== null && "type" in chunk ? chunk.type : chunk
      )
      expect(types.filter((type, index) => type !== types[index - 1])).toEqual([
        "start",
        "start-step",
        "reasoning-start",
        "reasoning-delta",
        "reasoning-end",
        "text-start",
        "text-delta",
        "text-end",
        "tool-input-start",
        "tool-input-delta",
        "tool-input-available",
        "tool-output-available",
        "finish-step",
        "start-step",
        "text-start",
        "text-delta",
        "text-end",
        "finish-step",
        "finish",
        "[DONE]"
      ])
      expect(chunks).toContainEqual({
        type: "tool-input-available",
        toolCallId: "call-1",
        toolName: "weather",
        input: { city: "Rome" }
      })
      expect(chunks).toContainEqual({ type: "tool-output-available", toolCallId: "call-1", output: { celsius: 4 } })
      expect(chunks).toContainEqual({ type: "finish", finishReason: "stop" })
    }).pipe(Effect.provide(TestLLM.layer([calling("Rome"), "4 degrees."])))
  )

  it.effect("shows a reported failure of a tool, and arguments that are not JSON", () =>
    Effect.gen(function* () {
      const failing = LLM.runToolsStream("Hi", { tools: [weather], onFailure: "report" })
      const chunks = dataOf(yield* textOf(yield* LLM.toResponse(failing, { format: "ui-messages" })))
      expect(chunks).toContainEqual({ type: "tool-output-error", toolCallId: "call-1", errorText: "lost" })
      const cut = LLM.chatStream("Hi")
      const cutChunks = dataOf(yield* textOf(yield* LLM.toResponse(cut, { format: "ui-messages" })))
      expect(cutChunks).toContainEqual(expect.objectContaining({ type: "tool-input-error", toolName: "weather" }))
    }).pipe(
      Effect.provide(
        TestLLM.layer([
          calling("Atlantis"),
          "Lost.",
          TestLLM.answer({ content: [Chat.toolCall("1", "weather", '{"city":')] })
        ])
      )
    )
  )

  it.effect("answers a failure before the first event with a status and nothing of the provider", () => {
    const invalid = new LLMErrors.AuthenticationError({ ...context, message: "Invalid key sk-1234." })
    return Effect.gen(function* () {
      const limited = yield* LLM.toResponse(LLM.chatStream("Hi"), { format: "ui-messages" })
      expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "2"])
      const refused = yield* LLM.toResponse(LLM.chatStream("Hi"))
      expect(refused.status).toBe(500)
      expect(yield* textOf(refused)).not.toContain("sk-1234")
      const own = yield* LLM.toResponse(LLM.chatStream("Hi"), {
        onError: ({ _tag }) => ({ status: 418, type: _tag, message: "Tea." })
      })
      expect([own.status, yield* textOf(own)]).toEqual([
        418,
        '{"error":{"type":"ProviderUnavailableError","message":"Tea."}}'
      ])
      const defect = LLM.toResponse(Stream.fail("of the program"))
      expect((yield* defect).status).toBe(500)
    }).pipe(
      Effect.provide(
        TestLLM.layer([TestLLM.failure(rateLimited(1500)), TestLLM.failure(invalid), TestLLM.failure(unavailable)])
      )
    )
  })

  it.effect("ends a stream that breaks with the error of its form", () =>
    Effect.gen(function* () {
      const events = yield* textOf(yield* LLM.toResponse(LLM.chatStream("Hi"), { format: "events" }))
      expect(events).toMatch(/event: Error\ndata: \{"type":"ProviderUnavailableError","message":"The model is not/)
      const chunks = dataOf(yield* textOf(yield* LLM.toResponse(LLM.chatStream("Hi"), { format: "ui-messages" })))
      expect(chunks.slice(-3)).toEqual([
        { type: "text-end", id: "1-0" },
        { type: "error", errorText: "The model is not available at the moment. Try again later." },
        "[DONE]"
      ])
      const text = yield* LLM.toResponse(LLM.chatStream("Hi"))
      expect(yield* Effect.isFailure(Effect.tryPromise(() => text.text()))).toBe(true)
    }).pipe(Effect.provide(TestLLM.layer([broken, broken, broken])))
  )

  const held = (ended: Deferred.Deferred<void>) =>
    Stream.concat(
      Stream.fromIterable<ChatEvent>([
        { _tag: "Start", id: "1", provider: "test", model: "m", keyId: "k", attempts: [] },
        { _tag: "TextDelta", index: 0, text: "A" }
      ]),
      Stream.never
    ).pipe(Stream.ensuring(Deferred.succeed(ended, undefined)))

  it.live(
    "ends the stream when the reader cancels, when the request aborts, and when the caller leaves before it",
    () =>
      Effect.gen(function* () {
        const cancelled = yield* Deferred.make<void>()
        const { body } = yield* LLM.toResponse(held(cancelled))
        const reader = body?.getReader()
        yield* Effect.promise(async () => reader?.read())
        yield* Effect.promise(async () => reader?.cancel())
        yield* Deferred.await(cancelled)

        const aborted = yield* Deferred.make<void>()
        const controller = new AbortController()
        yield* LLM.toResponse(held(aborted), { signal: controller.signal })
        controller.abort()
        yield* Deferred.await(aborted)

        const left = yield* Deferred.make<void>()
        const waiting = yield* Effect.fork(
          LLM.toResponse(Stream.never.pipe(Stream.ensuring(Deferred.succeed(left, undefined))))
        )
        yield* Effect.sleep("10 millis")
        yield* Fiber.interrupt(waiting)
        yield* Deferred.await(left)
      })
  )

  it.live("reads the stream as its reader does", () =>
    Effect.gen(function* () {
      let produced = 0
      const endless = Stream.repeatEffectChunk(
        Effect.sync(() => {
          produced++
          return Chunk.of<ChatEvent>({ _tag: "TextDelta", index: 0, text: "x" })
        })
      )
      const { body } = yield* LLM.toResponse(endless)
      yield* Effect.sleep("20 millis")
      expect(produced).toBeLessThan(10)
      yield* Effect.promise(async () => body?.cancel())
    })
  )
})

describe("LLM.toReadableStream", () => {
  it.effect("is the body of the response", () =>
    Effect.gen(function* () {
      const readable = yield* LLM.toReadableStream(LLM.chatStream("Hi"), { format: "ui-messages" })
      const chunks = dataOf(yield* textOf(new Response(readable)))
      expect(chunks.at(-1)).toBe("[DONE]")
      const failed = yield* LLM.toReadableStream(LLM.chatStream("Hi"), { format: "ui-messages" })
      expect(dataOf(yield* textOf(new Response(failed)))).toEqual([
        { type: "error", errorText: "The model is not available at the moment. Try again later." },
        "[DONE]"
      ])
    }).pipe(Effect.provide(TestLLM.layer(["Hello", TestLLM.failure(unavailable)])))
  )
})

describe("WebStream.messagesOf", () => {
  it.effect("reads texts, files, calls and their results from what useChat posts", () =>
    Effect.gen(function* () {
      const messages = yield* WebStream.messagesOf({
        id: "chat",
        trigger: "submit-message",
        messages: [
          { id: "0", role: "system", parts: [{ type: "text", text: "Be brief." }] },
          {
            id: "1",
            role: "user",
            parts: [
              { type: "text", text: "Rome?" },
              { type: "file", mediaType: "image/png", url: "data:image/png;base64,AAAA" },
              { type: "file", mediaType: "application/pdf", url: "https://example.com/a.pdf", filename: "a.pdf" }
            ]
          },
          {
            id: "2",
            role: "assistant",
            parts: [
              { type: "step-start" },
              { type: "reasoning", text: "Hm.", state: "done" },
              { type: "text", text: "Let me look.", state: "done" },
              {
                type: "tool-weather",
                toolCallId: "a",
                state: "output-available",
                input: { city: "Rome" },
                output: { celsius: 4 }
              },
              {
                type: "dynamic-tool",
                toolName: "time",
                toolCallId: "b",
                state: "output-error",
                input: {},
                errorText: "No."
              },
              { type: "tool-open", toolCallId: "c", state: "input-available", input: {} },
              { type: "step-start" },
              { type: "text", text: "4 degrees." },
              { type: "data-chart", data: [1] }
            ]
          },
          { id: "3", role: "user", parts: [{ type: "text", text: "Thanks." }] }
        ]
      })
      expect(messages).toEqual([
        Chat.system("Be brief."),
        Chat.user([
          Chat.text("Rome?"),
          { type: "image", url: "data:image/png;base64,AAAA" },
          { type: "file", url: "https://example.com/a.pdf", filename: "a.pdf" }
        ]),
        Chat.assistant([
          Chat.text("Let me look."),
          Chat.toolCall("a", "weather", '{"city":"Rome"}'),
          Chat.toolCall("b", "time", "{}")
        ]),
        Chat.toolResult("a", '{"celsius":4}'),
        { ...Chat.toolResult("b", "No."), isError: true },
        Chat.assistant([Chat.text("4 degrees.")]),
        Chat.user("Thanks.")
      ])
    })
  )

  it.effect("fails with a ParseError for anything else", () =>
    Effect.gen(function* () {
      const bodies = [
        null,
        "Hi",
        {},
        { messages: [] },
        { messages: [{ role: "user", parts: [{ type: "text" }] }] },
        { messages: [{ role: "user", parts: [{ type: "file", mediaType: "image/png", url: "javascript:alert(1)" }] }] },
        { messages: [{ role: "robot", parts: [] }] }
      ]
      const failures = yield* Effect.forEach(bodies, (body) => Effect.flip(WebStream.messagesOf(body)))
      expect(failures.map(({ _tag }) => _tag)).toEqual(bodies.map(() => "ParseError"))
    })
  )
})
