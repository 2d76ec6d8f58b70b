import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer } from "effect"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as ContextWindow from "../../src/call/ContextWindow.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as LLM from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as TestLLM from "../../src/testing/TestLLM.js"
import * as TokenCounter from "../../src/tokens/TokenCounter.js"

/** A text of `count` words, each of which is one token here. */
const words = (count: number): string => Array.from({ length: count }, () => "word").join(" ")

/** Counts exactly for the model `exact` and estimates for all others. */
const counter = TokenCounter.layer((model) =>
  model === "exact"
    ? { text: (text) => ({ tokens: text.split(/\s+/).length, estimated: false }), knownChatFormat: true }
    : undefined
)

const withWindow = (contextWindow: number, options?: ContextWindow.Options, model = "exact") =>
  Effect.provide(
    TestLLM.layer(["answer"], { loop: true, info: { provider: "acme", model, contextWindow } }).pipe(
      withCheck(options),
      Layer.provide(counter)
    )
  )

/** Adds the middleware and keeps the TestLLM, which records the requests that pass. */
const withCheck =
  (options?: ContextWindow.Options) =>
  <E, R>(layer: Layer.Layer<LLM.LLM | TestLLM.TestLLM, E, R>): Layer.Layer<LLM.LLM | TestLLM.TestLLM, E, R> =>
    Layer.merge(layer, LLM.withMiddleware(ContextWindow.middleware(options))(layer))

const asked = Effect.map(TestLLM.calls, (calls) => calls.length)

const outcome = (request: Chat.ChatRequest.Input): Effect.Effect<string, never, LLM.LLM> =>
  Effect.match(LLM.chat(request), { onFailure: (error: LLMError) => error._tag, onSuccess: (answer) => answer.text })

describe("request over the context window", () => {
  it.effect("fails with a ContextLengthError before a request is sent", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LLM.chat(words(101)))
      expect(error).toMatchObject({ _tag: "ContextLengthError", provider: "acme", model: "exact", attempts: [] })
      expect(error.message).toContain("have 101 tokens")
      expect(error.message).toContain("exact holds 100")
      expect(yield* asked).toBe(0)
    }).pipe(withWindow(100))
  )
  it.effect("fails a stream with a ContextLengthError before a request is sent", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(ChatEvent.collect(LLM.chatStream(words(101))))
      expect(error._tag).toBe("ContextLengthError")
      expect(yield* asked).toBe(0)
    }).pipe(withWindow(100))
  )
  it.effect("a fallback sends a request that is over the window of one member to the next", () =>
    Effect.gen(function* () {
      const small = yield* TestLLM.make(["small"], { info: { model: "exact", contextWindow: 100 } })
      const large = yield* TestLLM.make(["large"], { info: { model: "large", contextWindow: 1000 } })
      const checked = yield* ContextWindow.middleware()(small.llm)
      const llm = yield* Fallback.make([large.llm])(checked)
      expect((yield* llm.chat(words(200))).text).toBe("large")
      expect(yield* small.calls).toHaveLength(0)
    }).pipe(Effect.provide(counter))
  )
})

describe("request within the context window", () => {
  it.effect("sends a chat and a stream whose tokens fill the context window exactly", () =>
    Effect.gen(function* () {
      expect(yield* outcome(words(100))).toBe("answer")
      expect((yield* ChatEvent.collect(LLM.chatStream(words(100)))).text).toBe("answer")
      expect(yield* asked).toBe(2)
    }).pipe(withWindow(100))
  )
  it.effect("counts maxTokens of the request against the context window", () =>
    Effect.gen(function* () {
      const request = (maxTokens: number) => ({ messages: [Chat.user(words(60))], maxTokens })
      expect(yield* outcome(request(40))).toBe("answer")
      expect(yield* outcome(request(41))).toBe("ContextLengthError")
    }).pipe(withWindow(100))
  )
  it.effect("counts `reserve` against the context window when the request has no maxTokens", () =>
    Effect.gen(function* () {
      const request = { messages: [Chat.user(words(60))] }
      expect(yield* outcome(request)).toBe("ContextLengthError")
      expect(yield* outcome({ ...request, maxTokens: 40 })).toBe("answer")
    }).pipe(withWindow(100, { reserve: 41 }))
  )
})

describe("counting for the context window", () => {
  it.effect("lowers an estimated count by the default tolerance", () =>
    Effect.gen(function* () {
      expect(yield* outcome(words(166))).toBe("answer")
      expect(yield* outcome(words(170))).toBe("ContextLengthError")
    }).pipe(withWindow(100, {}, "estimated"))
  )
  it.effect("lowers an estimated count by the given `tolerance`", () =>
    Effect.gen(function* () {
      expect(yield* outcome(words(100))).toBe("answer")
      expect(yield* outcome(words(101))).toBe("ContextLengthError")
    }).pipe(withWindow(100, { tolerance: 0 }, "estimated"))
  )
  it.effect("does not count images, audio, files and earlier reasoning", () =>
    Effect.gen(function* () {
      const image = Chat.image("https://example.com/map.png")
      const messages: ReadonlyArray<Chat.Message> = [
        Chat.user([Chat.text(words(20)), image, image, Chat.audio("https://example.com/talk.wav")]),
        { role: "assistant", content: [{ type: "reasoning", text: words(500) }, Chat.text("yes")] },
        { role: "tool", toolCallId: "call_1", content: [Chat.text("result"), image] },
        Chat.user([Chat.file("https://example.com/report.pdf")])
      ]
      expect(yield* outcome({ messages })).toBe("answer")
      expect(yield* outcome({ messages: [...messages, Chat.user(words(100))] })).toBe("ContextLengthError")
    }).pipe(withWindow(100))
  )
  it.effect("counts tool calls, tool results and tool definitions", () =>
    Effect.gen(function* () {
      const call = Chat.toolCall("call_1", "search", words(60))
      const history = [Chat.user("?"), Chat.assistant("", [call]), Chat.toolResult(call, words(60))]
      expect(yield* outcome({ messages: history })).toBe("ContextLengthError")
      const tools = [{ name: "search", description: words(120) }]
      expect(yield* outcome({ messages: [Chat.user("?")], tools })).toBe("ContextLengthError")
    }).pipe(withWindow(100))
  )
  it.effect("sends a request for another model without counting it", () =>
    Effect.gen(function* () {
      const request = { messages: [Chat.user(words(500))] }
      expect(yield* outcome({ ...request, model: "another" })).toBe("answer")
      expect(yield* outcome({ ...request, model: "exact" })).toBe("ContextLengthError")
    }).pipe(withWindow(100))
  )
  it.effect("leaves an invalid request to the InvalidRequestError of the LLM", () =>
    Effect.gen(function* () {
      expect(yield* outcome({ messages: [] })).toBe("InvalidRequestError")
    }).pipe(withWindow(100))
  )
})

describe("window of the check", () => {
  it.effect("uses the `contextWindow` of the check before that of the LLM", () =>
    Effect.gen(function* () {
      expect(yield* outcome(words(40))).toBe("answer")
      expect(yield* outcome(words(60))).toBe("ContextLengthError")
    }).pipe(withWindow(100, { contextWindow: 50 }))
  )
  it.effect("counts nothing when the request would fit with one token for each byte", () =>
    Effect.gen(function* () {
      const counted: Array<TokenCounter.Input> = []
      const spy: TokenCounter.Service = {
        count: (input) =>
          Effect.sync(() => {
            counted.push(input)
            return { tokens: 1_000, estimated: false }
          })
      }
      const { llm } = yield* TestLLM.make(["answer", "answer"], { info: { contextWindow: 300 } })
      const checked = yield* Effect.provideService(ContextWindow.middleware()(llm), TokenCounter.TokenCounter, spy)
      yield* checked.chat("a".repeat(100))
      expect(counted).toEqual([])
      expect(Either.isLeft(yield* Effect.either(checked.chat("a".repeat(101))))).toBe(true)
      expect(counted).toEqual(["a".repeat(101)])
    })
  )
})
